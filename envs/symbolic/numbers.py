r"""Reading one written number exactly, with its unit, in this process and in bounded time."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from mtgrpo_env.envs.dress import undressed
from mtgrpo_env.envs.symbolic.exact import NoValue, exact_value
from mtgrpo_env.envs.symbolic.readings import is_worked_out
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.units import Unit, is_in_table, magnitude, singular, units


class Quantity(NamedTuple):
    """One number and what stands behind it.

    Attributes:
        value: times all magnitudes; that of `50%` is 50.
        is_percentage: whether it is in per cent.
        units: the readings of its unit; none without one, and none of words that are no unit.
        words: those of its unit and of what is counted, in the singular.
    """

    value: Fraction
    is_percentage: bool = False
    units: tuple[Unit, ...] = ()
    words: frozenset[str] = frozenset()

    def same_as(self, truth: Quantity, *, in_percent: bool = False) -> bool:
        """Whether a quantity is the right one.

        Where both have a unit they must convert; where both have words and one has no unit, the words of the one must
        be among those of the other; where one has neither, the bare values are compared. `50%` is 50, and a half, of a
        number that is not in per cent and counts nothing; beside a truth below 1 it is a hundredth only, unless the
        question is `in_percent`.
        """
        if self.units and truth.units:
            pairs = [(mine, its) for mine in self.units for its in truth.units if mine.dimension == its.dimension]
            return self.is_percentage == truth.is_percentage and any(
                self.value * mine.scale == truth.value * its.scale for mine, its in pairs
            )
        if self.words and truth.words and not (self.words <= truth.words or truth.words <= self.words):
            return False
        if self.is_percentage == truth.is_percentage:
            return self.value == truth.value
        percentage, number = (self, truth) if self.is_percentage else (truth, self)
        is_share = number is truth and abs(number.value) < 1 and not in_percent
        same = (percentage.value / 100,) if is_share else (percentage.value, percentage.value / 100)
        return number.value in same and not number.words


_MAX_LENGTH = 1000
_MAX_WORDS = 8
_POWER_OF_TEN = re.compile(r"10(?:\^|\*\*)(?:\{(-?[0-9]{1,3})\}|(-?[0-9]{1,3}))")
_NUMBER = re.compile(
    r"\s*(?:[A-Za-z]{1,10}(?:_\{?[A-Za-z0-9]{1,10}\}?)?\s*=(?!=))?"
    r"\s*(?:about|approximately|around|exactly|roughly|\\approx(?![A-Za-z])|[=≈~])?"
    r"\s*(?P<sign>[-+−–]?)\s*(?P<currency>(?:US(?=\\?\$)|USD|EUR|GBP|JPY|CNY|CHF|INR|Rs\.?)?\s?(?:\\?\$|[€£¥₹])?)\s*"
    r"(?P<digits>(?:[^A-Za-z\\^°µμΩÅℓ$€£¥₹¢]|\^(?!\{?\s*(?:\\circ|°))|(?<=[0-9.])[eE](?=[+-]?[0-9])"
    r"|(?<=[0-9 ])x(?= ?10\^)|\\(?:[cdt]?frac|times|cdot|left|right|overline|dot)(?![A-Za-z])|\\[,;:! %{}])*)"
    r"(?P<behind>.*)",
    re.DOTALL,
)
_NAME = re.compile(r"^\s*[A-Za-z]{1,10}(?:_\{?[A-Za-z0-9]{1,10}\}?)?\s*=")
_OTHER_RELATION = re.compile(r"[<>!:~≈=]\s*=|=\s*[<>~≈]")
_GLUED_THOUSAND = re.compile(r"[kK](?![A-Za-z])")
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_BLANK = re.compile(r"\\[,;:! ]|~")
_FIRST_WORD = re.compile(r"([A-Za-z]+)(?![A-Za-z])-?\s*")
_PERCENT = re.compile(r"(?:percent|per cent|pct)(?: of)?(?![A-Za-z])\.?\s*", re.IGNORECASE)
_RATE = re.compile(r"/|(?:per|an?) ", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z']+")
_PHRASE = re.compile(r"[A-Za-z' -]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SMALL_WORDS = _words("a all altogether an each every in left of overall per remaining the total")
_NO_NOUNS = _words(  # they change a number, deny it, or offer another, so that they count nowhere, asked for or not
    "least most than at or and nor not no never none neither either but except without unless if maybe perhaps wrong "
    "false incorrect "
    "is are was were be isn't aren't plus minus times divided multiplied mod modulo base squared cubed root power "
    "half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths seventh sevenths eighth "
    "eighths ninth ninths tenth tenths hundredth hundredths thousandth thousandths percent point negative "
    "twice thrice double doubled triple tripled halved tens "
    "zero one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty "
    "seventy eighty ninety than below above under over before after ago short loss losses debt deficit to "
    "north south east west up down upwards downwards am pm noon midnight"
)


def written_number(text: str) -> Fraction | None:
    r"""The value of a text that is one number, exactly, whatever its unit; None for anything else.

    >>> written_number("$1,234.50") == written_number("1234.5"), written_number(r"\frac{1}{2}")
    (True, Fraction(1, 2))
    >>> print(written_number("1, 2"), written_number("3*4"), written_number("72/0"), written_number("٣"))
    None None None None
    """
    found = quantity(text)
    return None if found is None else found.value


def quantity(text: str, question: str = "") -> Quantity | None:
    r"""The number that a text is, with its unit; None for anything else, a sum to be worked out included.

    Signs, thousands separators, decimals, fractions and mixed numbers count, in plain text or LaTeX, and so does
    `6.02e23`. The name in `x = 50` is dropped. Magnitudes multiply. What stands behind is a unit of the table, or
    words that are all in the table or in the question; any other word, and one that changes a number wherever it
    stands ("half", "minus", "south", "or"), makes the text no number.

    >>> quantity("8 million").value, quantity("50 red apples").units, quantity("8 minus three"), quantity("8 foos")
    (Fraction(8000000, 1), (Unit(dimension='red apple', scale=Fraction(1, 1)),), None, None)
    >>> sorted(quantity("8 tiny foos", "How many tiny foos are there?").words)
    ['foo', 'tiny']
    """
    if len(text) > _MAX_LENGTH:
        return None
    match = _NUMBER.fullmatch(_TEXT.sub(r" \1", undressed(text)))
    assert match is not None, "every part of it may be empty"
    digits = match["digits"].rstrip("( /")
    number = _bare_number(("-" if match["sign"] in {*"-−–"} else "") + digits) if digits else None
    behind = match["digits"][len(digits) :] + match["behind"]
    return None if number is None else _described(number, match["currency"], behind, question)


def calculated(text: str, question: str = "") -> Quantity | None:
    r"""The number at the end of a calculation that comes to it, as `quantity` reads it; None for anything else.

    A name may stand in front. Every other side must be arithmetic of exactly the value of the last.

    >>> calculated("12 + 7 = 19 apples").value, calculated(r"x = 3 \times 6 + 1 = 19").value
    (Fraction(19, 1), Fraction(19, 1))
    >>> print(calculated("7 = 19"), calculated("19 = 12 + 7"), calculated("1 = 2 = 19"), calculated("3 != 6"))
    None None None None
    """
    if len(text) > _MAX_LENGTH or _OTHER_RELATION.search(text):
        return None
    *sides, last = _NAME.sub("", undressed(text), count=1).split("=")
    found = quantity(last, question)
    return found if found is not None and sides and all(_value_of(side) == found.value for side in sides) else None


def _value_of(calculation: str) -> Fraction | None:
    try:
        return exact_value(parse(calculation.replace(r"\$", "")))
    except (MathSyntaxError, NoValue):
        return None


def _bare_number(text: str) -> Quantity | None:
    text = text.strip().replace("x", "*")
    if power := _POWER_OF_TEN.fullmatch(text):
        return Quantity(Fraction(10) ** int(power[1] or power[2]))
    try:
        tree = parse(text)
        is_percentage = tree.head == "percent"
        if is_percentage:
            (tree,) = tree.args
        value = exact_value(tree) if is_worked_out(tree) else None
        return None if value is None else Quantity(value, is_percentage)
    except (MathSyntaxError, NoValue):
        return None


def _described(number: Quantity, currency: str, behind: str, question: str) -> Quantity | None:
    """A number with what stands behind it; None if that is more than its name."""
    if thousand := _GLUED_THOUSAND.match(behind):
        number, behind = number._replace(value=number.value * 1000), behind[thousand.end() :]
    behind = " ".join(_BLANK.sub(" ", behind).split())
    while (word := _FIRST_WORD.match(behind)) and (factor := magnitude(word[1])) is not None:
        number, behind = number._replace(value=number.value * factor), behind[word.end() :]
    if percent := _PERCENT.match(behind):
        number, behind = number._replace(is_percentage=True), behind[percent.end() :]
    found = _unit(currency, behind)
    if not found and behind and (units(behind) or not _is_counted(behind, question)):
        return None
    names = (currency, *(_WORD.findall(behind) or [behind]))  # a sign, such as €, is a word
    return number._replace(units=found or units(currency), words=frozenset(map(_stem, names)) - _SMALL_WORDS - {""})


def _unit(currency: str, behind: str) -> tuple[Unit, ...]:
    """The unit of `$5`, `5 km`, `$5 dollars`, `$5 per hour`, but of no `$5 km`."""
    if not currency or (units(behind) and not _RATE.match(behind)):
        found = units(behind)
        return found if not currency or {*found} & {*units(currency)} else ()
    return units(f"{currency} {behind}")


def _is_counted(behind: str, question: str) -> bool:
    """Whether all words may name what is counted."""
    words = behind.replace("-", " ").casefold().split()
    if not _PHRASE.fullmatch(behind) or len(words) > _MAX_WORDS or _NO_NOUNS & {*words}:
        return False
    names = {_stem(word) for word in words if word not in _SMALL_WORDS}
    return all(len(name) > 1 and (is_in_table(name) or name in _stems(question)) for name in names)


def _stem(word: str) -> str:
    """The singular of any word, or what is the same of two forms of one."""
    name = singular(word)
    return name if is_in_table(name) else name.removesuffix("s")


@lru_cache(maxsize=256)
def _stems(question: str) -> frozenset[str]:
    return frozenset(map(_stem, _WORD.findall(question)))
