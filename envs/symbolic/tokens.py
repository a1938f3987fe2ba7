r"""Tokens of a mathematical answer, LaTeX and plain text mixed.

Typesetting goes first (`plain_text`); then one regular expression without nested repetition over at most
`MAX_LENGTH` characters: linear time by construction. Synonyms become one token, so that the parser knows one
spelling of everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mtgrpo_env.envs.symbolic import vocabulary as words_of
from mtgrpo_env.envs.symbolic.plain_text import plain_text
from mtgrpo_env.envs.symbolic.units import magnitude, units

MAX_LENGTH = 512


class MathSyntaxError(ValueError):
    """The text is not an answer that the grammar covers; the message says where."""


Kind = Literal[
    "number", "letter", "constant", "function", "command", "mark", "unit", "magnitude", "words", "begin", "end", "sign"
]


class Token(NamedTuple):
    """One token; `text` of a sign is the character, of a command its name without the backslash."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Notation:
    """How to read what can be read in two ways.

    Attributes:
        comma: whether `1,000` outside brackets is one number (`1{,}000` always is), or a list of two, or whether
            `2,5` is a decimal (`2{,}5` always is).
        e_is_ten: whether `2e-3` in a formula is 0.002, or 3 less than twice Euler's number.
        letters: whether the letters behind the last number of `8 m` are variables or a unit.
    """

    comma: Literal["groups", "separates", "decimal"] = "groups"
    e_is_ten: bool = True
    letters: Literal["variables", "unit"] = "variables"


_MAX_UNKNOWN_WORD = 3  # "xyz" is a product, "Tuesday" is not
_MAX_UNIT_WORDS = 5
_NUMBER = r"(?:[0-9]+(?:\.[0-9]+|\.(?=\s*\\(?:overline|dot|bar))|\{,\}[0-9]+%(decimal)s)?|\.[0-9]+)"
_TOKEN = (
    r"(?P<grouped>[1-9][0-9]{0,2}(?:(?:(?:,\\!|\{,\}|\\text\{,\}%(comma)s)(?:\\[,;:! ])?\s?[0-9]{3})+|(?:'[0-9]{3})+)"
    r"(?![0-9])(?:\.[0-9]+)?"
    r"|[1-9][0-9]{0,2}(?:(?:(?:\\[,;:! ]|~|\{\\[,;:! ]\}|\\thinspace|\\text\{ \})\s?|[ ])[0-9]{3})+"
    r"(?![0-9]|\s*/)(?:\.[0-9]+)?)"
    r"|(?P<meridiem>(?<=[0-9])\s*[aApP]\.?[mM]\b\.?)"
    r"|(?P<blank>\s+|\\[,;:! ]|~|\{\}|\\(?:left|right)\s*\.|\\$"
    r"|\\(?:[hv]?phantom|[hv]space)\*?\s*\{[^{}]*\}|\\strut(?![A-Za-z]))"
    r"|(?P<row>\\\\(?:\[[0-9.a-z ]{0,12}\])?|\\cr(?![a-z])|\\hline)"
    r"|(?P<edge>\\(?:begin|end)\s*\{[A-Za-z]{1,12}\*?\}(?:\[[a-z]\])?(?:\{(?:[lcr|@ ]|\{\}){1,40}\})?)"
    r"|(?P<number>" + _NUMBER + r"%(power)s)"
    r"|\\text\s*\{(?P<text>(?:[^{}\\]|\\.)*)\}"
    r"|\\[dt]?frac\s*\{\s*\\text\{(?P<top>[^{}]*)\}\s*\}"
    r"\s*\{\s*\\text\{(?P<over>[^{}]*\}(?:\^\{?[23]\}?)?)\s*\}"
    r"|(?P<unequal>\\not\s*=)|(?P<dollar>US\s?\\?\$)"
    r"|\\(?P<command>[A-Za-z]+)"
    r"|(?P<word>[A-Za-z]{2,}(?:[ ][A-Za-z]{2,})+|[A-Za-z]+)"
    r"|(?P<sign>\{[-+:=]\}|\*\*|<=|>=|(?<![0-9)])!=|==|&&|\\[{}|%%$]|[-+*/^!%%(){}\[\],;:=<>|_°'&~≠≈∨∧€£¥₹¢])"
)
_COMMAS = {"groups": "|,(?! )", "separates": "", "decimal": ""}
_DECIMALS = r"|,(?:[0-9]{1,2}|[0-9]{4,}|(?<=\b0,)[0-9]{3})(?![0-9])"  # "1,000" has no decimals
_PATTERNS = {
    (comma, e_is_ten): re.compile(
        _TOKEN
        % {
            "comma": _COMMAS[comma],
            "decimal": _DECIMALS if comma == "decimal" else "",
            "power": r"(?:[eE][-+]?[0-9]{1,3}(?![0-9.]))?" if e_is_ten else "",
        }
    )
    for comma in _COMMAS
    for e_is_ten in (True, False)
}
_BEFORE_UNIT = re.compile(
    r"[0-9)}](?:\s|\\[,;:! ]|~)*(?=(?:\{\s*)?(?:[A-Za-z°µΩ$€£¥₹]|\\Omega|\\[dt]?frac\s*\{)[^=<>+;()|]{0,39}$)"
)
_NAME = re.compile(r"[A-Z](?=[a-z]*[aeiou])[a-z]{2}")
_NOT_DIGITS = re.compile(r"[^0-9.]")
_OPENING, _CLOSING = frozenset({"(", "[", "\\{"}), frozenset({")", "]", "\\}"})


class _Abbreviation(Token):
    """A unit of two or three letters outside of text, which may be a product of variables."""


_BEFORE_VALUE = frozenset("=+-^|{[(")
_ENDS_OF_SIDES = words_of.RELATIONS | {",", ";", "or", "and"}
_REALS = (Token("command", "mathbb"), Token("letter", "R"))
END, _ROW, COMMA = Token("sign", ""), Token("sign", "\\\\"), Token("sign", ",")


def tokens(text: str, notation: Notation) -> list[Token]:
    r"""The tokens of an answer.

    Args:
        text: hostile input.
        notation: how to read what can be read in two ways.

    Raises:
        MathSyntaxError: if the text is too long, or has a character or command that no answer needs.

    >>> [token.text for token in tokens(r"\dfrac{x}{1,000}\text{ cm}", Notation())]
    ['frac', '{', 'x', '}', '{', '1000', '}', 'cm']
    """
    if len(text) > MAX_LENGTH:
        raise MathSyntaxError(f"expected at most {MAX_LENGTH} characters, got {len(text)}")
    plain, unit = plain_text(text), ""
    if notation.letters == "unit":
        plain, unit = _parted(plain)
        if not unit:
            raise MathSyntaxError(f"expected a unit behind a number, got {text!r:.80}")
    found = _read_abbreviations(_without_alignment(list(_scan(plain, notation))))
    while found and found[-1] == COMMA:
        found.pop()
    if notation.comma == "decimal" and COMMA in found:
        raise MathSyntaxError(f"expected no commas between decimals with commas, got {text!r:.80}")
    return [*found, Token("unit", unit)] if unit else found


def _parted(text: str) -> tuple[str, str]:
    """Text before and in a unit that it ends with, directly behind a number; "" without one."""
    for start in (match.end() for match in _BEFORE_UNIT.finditer(text)):
        if units(text[start:]):
            return text[:start], text[start:]
    return text, ""


def _scan(text: str, notation: Notation) -> Iterator[Token]:
    position, depth = 0, 0  # depth of brackets, inside which a comma separates
    rows = 0  # depth of matrices; outside, the end of a line separates
    outside = _PATTERNS[notation.comma, notation.e_is_ten]
    inside = _PATTERNS["separates", notation.e_is_ten]
    while position < len(text):
        match = (inside if depth else outside).match(text, position)
        if match is None:
            raise MathSyntaxError(f"unexpected {text[position]!r} at {position} of {text!r:.80}")
        position = match.end()
        for token in _read(str(match.lastgroup), match, notation):
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            rows += (token.kind == "begin") - (token.kind == "end")
            yield token if rows or token != _ROW else COMMA


def _read(group: str, found: re.Match[str], notation: Notation) -> list[Token]:
    text = str(found[group])
    match group:
        case "blank":
            return []
        case "grouped":
            return [Token("number", _NOT_DIGITS.sub("", text))]
        case "number":
            return [Token("number", text.replace("{,}", ".").replace(",", ".").lower())]
        case "row":
            return [] if text == "\\hline" else [_ROW]
        case "edge":
            return [
                Token("begin" if text[1] == "b" else "end", text[text.index("{") + 1 : text.index("}")].rstrip("*"))
            ]
        case "sign":
            if text in words_of.CURRENCIES:
                return [Token("unit", text.lstrip("\\"))]
            return [Token("sign", words_of.SAME_SIGN.get(text, text[1] if len(text) == 3 else text))]
        case "command":
            return _read_command(text)
        case "text":
            return _read_text(text.strip(), notation)
        case "over":
            bottom = text.replace("{", "").replace("}", "").strip()
            return _read_text(f"{found['top'].strip()}/{bottom}", notation)
        case "unequal":
            return [Token("sign", "!=")]
        case "dollar":
            return [Token("unit", "US$")]
        case "meridiem":
            return [Token("words", text.replace(".", "").strip().casefold())]
        case _:
            words = _read_words(text.split())
            is_short = len(text) <= _MAX_UNKNOWN_WORD and words[0].kind == "unit"
            return [_Abbreviation("unit", text)] if is_short else words


def _read_command(name: str) -> list[Token]:
    if name in words_of.TYPESETTING:
        return []
    if name in words_of.LETTERS:
        return [Token("letter", words_of.LETTERS[name])]
    if name in words_of.REAL_COMMANDS:
        return [*_REALS]
    name = words_of.SAME_COMMAND.get(name, words_of.SAME_FUNCTION.get(name, name))
    if not name.isalpha() or name in ("or", "and"):
        return [Token("sign", name)]
    if name in words_of.COMMANDS:
        return [Token("command", name)]
    if name in words_of.MARKS:
        return [Token("mark", name)]
    if name in words_of.GREEK:
        return [Token("letter", name)]
    if name in words_of.FUNCTIONS:
        return [Token("function", name)]
    if name in words_of.CONSTANTS and len(name) > 1:
        return [Token("constant", words_of.CONSTANTS[name])]
    raise MathSyntaxError(f"unknown command '\\{name:.40}'")


def _read_text(text: str, notation: Notation) -> list[Token]:
    r"""What `\text{...}` holds: words and units, or else mathematics, as in `\text{128}`."""
    if "(" not in text and units(text):
        return [Token("unit", text)]
    if all(word.replace(".", "").isalpha() for word in text.split()):
        return _read_words(text.split(), in_text=True)
    plain, unit = _parted(text)
    return [*_scan(plain, notation), *([Token("unit", unit)] if unit else [])]


def _read_words(words: list[str], *, in_text: bool = False) -> list[Token]:
    """Words that follow each other: units as long as they go, words that mean something, and others together."""
    words = " ".join(words).replace("per cent", "percent").split()
    if " ".join(words).casefold() in words_of.REALS:
        return [*_REALS]
    if " ".join(words).casefold() in words_of.EMPTY:
        return [Token("command", "emptyset")]
    if " ".join(words).casefold() in words_of.TOTALS:
        return []
    if (excepted := " ".join(words).casefold().rpartition(" "))[0] in words_of.REALS and excepted[2] in words_of.EXCEPT:
        return [*_REALS, Token("command", "setminus")]
    found: list[Token] = []
    while words:
        length = next((n for n in range(min(len(words), _MAX_UNIT_WORDS), 0, -1) if _is_unit(words[:n], in_text)), 0)
        new = [Token("unit", " ".join(words[:length]))] if length else _read_word(words[0], in_text=in_text)
        words = words[length or 1 :]
        if found and found[-1].kind == "words" and new[0].kind in ("words", "unit"):  # "of 8 red apples"
            new[:1] = [Token("words", f"{found.pop().text} {new[0].text.casefold()}")]
        found += new
    return found


def _is_unit(words: list[str], in_text: bool) -> bool:
    """A single letter is a variable, unless it stands in text; "in" and "or" are what they mean more often."""
    name = " ".join(words)
    return (in_text or len(name) > 1) and name not in ("in", "or", "and") and bool(units(name))


def _read_word(word: str, *, in_text: bool) -> list[Token]:
    name = words_of.SAME_FUNCTION.get(word, word)
    if name in words_of.FUNCTIONS:
        return [Token("function", name)]
    if name in words_of.CONSTANTS:
        return [Token("constant", words_of.CONSTANTS[name])]
    if name == "sqrt":
        return [Token("command", "sqrt")]
    if name in words_of.SEPARATORS:
        return [Token("sign", words_of.SEPARATORS[name])]
    if name in words_of.PERCENT:
        return [Token("sign", "%")]
    if (factor := magnitude(name)) is not None:
        return [Token("magnitude", str(factor))]
    if len(name) > (1 if in_text else _MAX_UNKNOWN_WORD) or _is_small_word(name):
        return [Token("words", name.replace(".", "").casefold())]
    return _letters(name)


def _letters(name: str) -> list[Token]:
    return [Token("constant", letter) if letter in words_of.CONSTANTS else Token("letter", letter) for letter in name]


def _is_small_word(name: str) -> bool:
    """Whether letters are a word sooner than a product, such as a name; capitals are points: "no", "Bob", but NO."""
    return (name.lower() in words_of.NO_PRODUCTS and not name.isupper()) or _NAME.fullmatch(name) is not None


def _read_abbreviations(found: list[Token]) -> list[Token]:
    """Tokens with "cd" and the like as letters beside other variables, or in the place of a value, else as a unit."""
    if not any(isinstance(token, _Abbreviation) for token in found):
        return found
    read: list[Token] = []
    for place, token in enumerate(found):
        if isinstance(token, _Abbreviation) and _is_product(found, place):
            read += _letters(token.text)
        else:
            read.append(token)
    return read


def _is_product(found: list[Token], place: int) -> bool:
    before, behind = (found[at] if 0 <= at < len(found) else END for at in (place - 1, place + 1))
    if behind.kind == "number":  # "Rs 5"
        return False
    if before.kind in ("mark", "function", "command") or (before.kind == "sign" and before.text in _BEFORE_VALUE):
        return True
    ends = [at for at, token in enumerate(found) if token.text in _ENDS_OF_SIDES]
    start, end = max([-1, *(at for at in ends if at < place)]), min([len(found), *(at for at in ends if at > place)])
    return any(token.kind == "letter" for token in found[start + 1 : end])


def _without_alignment(found: list[Token]) -> list[Token]:
    """Tokens without the `&` that aligns the relations of a system."""
    if ("sign", "&") not in found:
        return found
    around = zip(found, [END, *found[:-1]], [*found[1:], END], strict=True)
    return [
        token
        for token, before, after in around
        if token != ("sign", "&") or not {before.text, after.text} & words_of.RELATIONS
    ]
