r"""Units of measurement, currencies and counted nouns, read from a table: what may be dropped behind a number.

How an answer is compared with the truth, wherever this table is used:

* Only units are dropped. Any other word makes an answer wrong, unless the truth has the same.
* Where both sides have a unit, they must convert: 8 hours are 480 minutes, and no 8 minutes. A word with several
  meanings (a pound) has several readings, of which one must do.
* Where one side has none, the bare values are compared.
* Magnitudes multiply: 8 million are 8000000.

A unit is a product and quotient of table entries, with powers: `m/s^2`, `kg·m²`, `sq ft`, `kilometres per hour`.
"Squared" counts only behind "per", as in "metres per second squared": a "5 cm squared" may be 5 or 25 square
centimetres. Dates and amounts that do not convert exactly are dimensions of their own: months (12 are a year) against
days, degrees Celsius, Fahrenheit and of an angle, radians, currencies. A gallon is the American one.

What is counted is a noun of the table, behind nouns and adjectives of it ("red apples", "apple pies"); all of its
words make its dimension, so that red apples are no green apples and no apples. A unit may end in "in total" and the
like; "left" is an ending of what has no direction. A percentage, a direction, a profit, a time of day are no units.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from functools import cache, lru_cache
from typing import NamedTuple

from mtgrpo_env.envs.symbolic import unit_tables

MAX_LENGTH = 40
_MAX_WORDS = 6


class Unit(NamedTuple):
    """One reading of a unit; units of equal dimensions convert by the ratio of their scales."""

    dimension: str
    scale: Fraction


def units(words: str) -> tuple[Unit, ...]:
    r"""The readings of a text as a unit; none if it is no unit, or longer than `MAX_LENGTH`. Hostile input.

    >>> [hours], [minutes] = units("hours"), units("min")
    >>> hours.dimension == minutes.dimension, hours.scale / minutes.scale
    (True, Fraction(60, 1))
    >>> units(r"\text{km}/\text{h}") == units("kilometers per hour"), units("red apples")[0].dimension
    (True, 'red apple')
    >>> units("km south"), units("more apples")
    ((), ())
    """
    is_sound = len(words) <= MAX_LENGTH and words.count("{") == words.count("}")
    return _units(words.strip()) if is_sound else ()


def magnitude(word: str) -> int | None:
    """What a word such as "million" or "dozens" multiplies by; None for any other.

    >>> magnitude("Thousand"), magnitude("apples")
    (1000, None)
    """
    return _magnitudes().get(singular(word)) if len(word) <= MAX_LENGTH else None


def singular(word: str) -> str:
    """A word in small letters, and in the singular if it is the plural of one of the tables."""
    word = word.casefold()
    return _singulars().get(word, word)


def is_in_table(word: str) -> bool:
    """Whether a word is a unit, a noun or an adjective of the tables, so that it changes no number."""
    name = singular(word)
    return name in _nouns() or name in _adjectives() or name in _table()


class _Reading(NamedTuple):
    powers: tuple[tuple[str, int], ...]  # of base dimensions, in alphabetical order
    scale: Fraction

    def times(self, other: _Reading, power: int) -> _Reading:
        powers = dict(self.powers)
        for base, exponent in other.powers:
            powers[base] = powers.get(base, 0) + exponent * power
        return _Reading(tuple(sorted(item for item in powers.items() if item[1])), self.scale * other.scale**power)

    def unit(self) -> Unit:
        return Unit(" ".join(base if power == 1 else f"{base}^{power}" for base, power in self.powers), self.scale)


_ONE = _Reading((), Fraction(1))
_Table = dict[str, list[_Reading]]
_Word = tuple[str, int | None]  # and its power, if it has one

_SIGN = re.compile(r"\\[A-Za-z]+|\\.|\*\*|.", re.DOTALL)
_SAME_SIGN = (
    {"**": "^", "*": "·", "×": "·", "⋅": "·", "\\cdot": "·", "\\times": "·", "²": "^2", "³": "^3", "⁻": "^-", "¹": "1"}
    | {"\\circ": "°", "\\degree": "°", "º": "°", "\\Omega": "Ω", "\u2126": "Ω", "\\mu": "µ", "μ": "µ", "−": "-"}
    | {"\\$": "$", "\\pounds": "£", "\\euro": "€", "\\text": " ", "\\mathrm": " ", "{": "", "}": "", "~": " "}
    | dict.fromkeys(("\\,", "\\;", "\\:", "\\ "), " ")
)
_SAME_TEXT = (("^-^", "^-"), ("^°", "°"), ("µ ", "µ"), ("° ", "°"))
_FRACTION = re.compile(r"\\[dt]?frac\s*\{((?:[^{}]|\{[^{}]*\})*)\}\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_ENDING = re.compile(rf"(.*?)(?:^|\s+)(left|{unit_tables.ENDINGS})", re.DOTALL | re.IGNORECASE)
_OVER = re.compile(r"\s*/\s*|(?:^|\s+)per\s+|(?<=\S)\s+an?\s+", re.IGNORECASE)
_PER_CENT = re.compile(r"\bper[\s-]+cents?\b", re.IGNORECASE)
_WORD = re.compile(r"(?:^|\s*·\s*|\s+|-|(?<=\.))(US\$|°?[A-Za-zµΩÅℓ]+|[°$€£¥₹¢])\.?(?:\^?(-?[1-9]))?")
_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_BEHIND = {"squared": 2, "cubed": 3}
_SQUARED = tuple(((base, 1),) for base in ("metre", "unit"))  # what is counted in squares and cubes


@lru_cache(maxsize=4096)
def _units(text: str) -> tuple[Unit, ...]:
    text = _FRACTION.sub(r"\1/\2", text)
    text = _SIGN.sub(lambda match: _SAME_SIGN.get(match[0], match[0]), text)
    for old, new in _SAME_TEXT:
        text = text.replace(old, new)
    ending = _ENDING.fullmatch(text.strip())
    readings = _quotient(ending[1] if ending else text.strip(), _table())
    if ending and ending[2].casefold() == "left" and any(powers == (("metre", 1),) for powers, _ in readings):
        return ()
    return tuple(reading.unit() for reading in readings if reading.powers)


def _quotient(text: str, table: _Table) -> list[_Reading]:
    """Of products; the first may be missing: `per hour`."""
    parts = _OVER.split(text)
    top, *bottoms = map(_words, parts)
    if _PER_CENT.search(text) or len(top) + sum(map(len, bottoms)) > _MAX_WORDS:
        return []
    factors = [(_product(top, table), 1)] if parts[0] or not bottoms else []
    for words in bottoms:
        if len(words) > 1 and words[-1][0] in _BEHIND:  # metres per second squared
            words[-2:] = [(words[-2][0], _BEHIND[words[-1][0]])]
        factors.append((_product(words, table), -1))
    return _multiplied(factors)


def _words(text: str) -> list[_Word]:
    """The words of a product; none if there is anything else."""
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    found, position = list[_Word](), 0
    while match := _WORD.match(text, position):
        found.append((match[1], int(match[2]) if match[2] else None))
        position = match.end()
    return found if position == len(text) else []


def _product(words: list[_Word], table: _Table) -> list[_Reading]:
    return [*_measured(words, table), *_counted(words)] if words else []


def _measured(words: list[_Word], table: _Table) -> list[_Reading]:
    """The readings as a product of units of the table."""
    factors, raised, rest = list[tuple[list[_Reading], int]](), 1, deque(words)
    while rest:
        word, power = rest.popleft()
        if raised == 1 and power is None and word.casefold() in _BEFORE:
            raised = _BEFORE[word.casefold()]
            continue
        if power is None and rest and (phrase := f"{singular(word)}_{singular(rest[0][0])}") in table:
            word, power = phrase, rest.popleft()[1]
        found = table.get(word) or (table.get(singular(word), []) if len(word) > 1 else [])
        if raised > 1:
            found = [reading for reading in found if power is None and reading.powers in _SQUARED]
        factors.append((found, power or raised))
        raised = 1
    return _multiplied(factors) if raised == 1 else []


def _multiplied(factors: list[tuple[list[_Reading], int]]) -> list[_Reading]:
    """All readings of a product of powers, without repetition; none if a factor has none."""
    found = [_ONE]
    for readings, power in factors:
        found = list(dict.fromkeys(left.times(right, power) for left in found for right in readings))
    return found


def _counted(words: list[_Word]) -> list[_Reading]:
    """The reading as a noun of the table behind nouns and adjectives of it."""
    names = [singular(word) for word, power in words if power is None]
    if len(names) < len(words) or names[-1] not in _nouns() or not {*names} <= _nouns() | _adjectives():
        return []
    kind = " ".join(name for name in names if name not in _plain_adjectives())
    return [_Reading(((kind, 1),), Fraction(1))]


@cache
def _table() -> _Table:
    """Readings by symbol and by name; names in the singular, with "_" for a blank."""
    table: _Table = {}
    for symbols, names, definition, prefixed in _rows():
        value, _, of = definition.partition(" ")
        base = next(iter(_quotient(of, table)), _Reading(((of, 1),), Fraction(1)))
        reading = _Reading(base.powers, base.scale * Fraction(value))
        names = [name.partition("/")[0] for name in names]
        for key in (*(symbols if prefixed != "big" else ()), *names):
            table.setdefault(key, []).append(reading)
        for short, long, scale in _prefixes(prefixed):
            for key in (*(short + symbol for symbol in symbols), *(long + name for name in names)):
                table.setdefault(key, []).append(reading._replace(scale=reading.scale * scale))
    return table


def _rows() -> Iterator[tuple[list[str], list[str], str, str]]:
    for line in filter(None, map(str.strip, unit_tables.UNITS.splitlines())):
        symbols, names, definition, prefixed = (*(part.strip() for part in line.split(";")), "")[:4]
        yield symbols.split(), names.split(), definition, prefixed


def _prefixes(prefixed: str) -> Iterator[tuple[str, str, Fraction]]:
    """Those of a row: all, those above 100 for "big", else none."""
    for line in filter(None, map(str.strip, unit_tables.PREFIXES.splitlines())):
        short, long, scale = line.split()
        if prefixed == "all" or (prefixed == "big" and float(scale) > 100):
            yield short, long, Fraction(scale)


@cache
def _magnitudes() -> dict[str, int]:
    words = unit_tables.MAGNITUDES.split()
    return {name: int(float(value)) for name, value in zip(words[::2], words[1::2], strict=True)}


@cache
def _nouns() -> frozenset[str]:
    return frozenset(noun.partition("/")[0] for noun in unit_tables.NOUNS.split())


@cache
def _adjectives() -> frozenset[str]:
    return frozenset(unit_tables.ADJECTIVES.split()) | _plain_adjectives()


@cache
def _plain_adjectives() -> frozenset[str]:
    return frozenset(unit_tables.PLAIN_ADJECTIVES.split())


@cache
def _singulars() -> dict[str, str]:
    """The singular of every plural: of units with their prefixes, nouns and magnitudes."""
    names = [*unit_tables.NOUNS.split(), *_magnitudes()]
    for _, of_unit, _, prefixed in _rows():
        names += [long + name for name in of_unit for long in ("", *(long for _, long, _ in _prefixes(prefixed)))]
    return {_plural(name): name.partition("/")[0] for name in names}


def _plural(noun: str) -> str:
    """By rule, or what stands behind a "/"."""
    singular, _, plural = noun.partition("/")
    if plural:
        return plural
    if singular.endswith("y") and singular[-2] not in "aeiou":
        return singular[:-1] + "ies"
    return singular + ("es" if singular.endswith(("s", "x", "ch", "sh")) else "s")
