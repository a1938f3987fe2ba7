r"""Tokens of a mathematical answer, LaTeX and plain text mixed.

Typesetting goes first (`undressed`); then one regular expression without nested repetition over at most
`MAX_LENGTH` characters: linear time by construction. Synonyms become one token, so that the parser knows one
spelling of everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mtgrpo_env.envs.dress import undressed
from mtgrpo_env.envs.symbolic import vocabulary as words_of
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
        e_is_ten: whether `2e-3` is 0.002, or 3 less than twice Euler's number.
        letters: whether the letters behind the last number of `8 m` are variables or a unit.
    """

    comma: Literal["groups", "separates", "decimal"] = "groups"
    e_is_ten: bool = True
    letters: Literal["variables", "unit"] = "variables"


_MAX_UNKNOWN_WORD = 3  # "xyz" is a product, "Tuesday" is not
_MAX_UNIT_WORDS = 5
_NUMBER = r"(?:[0-9]+(?:\.[0-9]+|\.(?=\s*\\overline)|\{,\}[0-9]+%(decimal)s)?|\.[0-9]+)"
_TOKEN = (
    r"(?P<grouped>[0-9]{1,3}(?:(?:,\\!\s?|\{,\}|\\text\{,\}%(comma)s)[0-9]{3})+(?![0-9])(?:\.[0-9]+)?"
    r"|[1-9][0-9]{0,2}(?:(?:(?:\\[,;:! ]|~)\s?|[ ])[0-9]{3})+(?![0-9]|\s*/)(?:\.[0-9]+)?)"
    r"|(?P<blank>\s+|\\[,;:! ]|~|\\(?:left|right)\s*\.)"
    r"|(?P<row>\\\\(?:\[[0-9.a-z ]{0,12}\])?|\\cr(?![a-z])|\\hline)"
    r"|(?P<edge>\\(?:begin|end)\s*\{[A-Za-z]{1,12}\*?\}(?:\[[a-z]\])?(?:\{[lcr|@ ]{1,40}\})?)"
    r"|(?P<number>" + _NUMBER + r"%(power)s)"
    r"|\\text\s*\{(?P<text>[^{}]*)\}"
    r"|\\[dt]?frac\s*\{\s*\\text\{(?P<top>[^{}]*)\}\s*\}\s*\{\s*\\text\{(?P<over>[^{}]*)\}\s*\}"
    r"|\\(?P<command>[A-Za-z]+)"
    r"|(?P<word>[A-Za-z]{2,}(?:[ ][A-Za-z]{2,})+|[A-Za-z]+)"
    r"|(?P<sign>\{:\}|\*\*|<=|>=|!=|==|&&|\\[{}|%%$]|[-+*/^!%%(){}\[\],;:=<>|_°'&~≠≈∨∧€£¥₹])"
)
_COMMAS = {"groups": "|,", "separates": "", "decimal": ""}
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
_EXPONENTS, _INDICES = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+"), re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_NOT_DIGITS = re.compile(r"[^0-9.]")
_OPENING, _CLOSING = frozenset({"(", "[", "\\{"}), frozenset({")", "]", "\\}"})


_END, _ROW, _COMMA = Token("sign", ""), Token("sign", "\\\\"), Token("sign", ",")


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
    found = _without_alignment(list(_scan(_plain(undressed(text)), notation)))
    while found and found[-1] == _COMMA:
        found.pop()
    return _with_units(found) if notation.letters == "unit" else found


def _plain(text: str) -> str:
    """Text with one spelling of each character."""
    if text.isascii():
        return text
    text = _EXPONENTS.sub(lambda match: f"^{{{match.group().translate(words_of.SUPERSCRIPTS)}}}", text)
    text = _INDICES.sub(lambda match: f"_{{{match.group().translate(words_of.SUBSCRIPTS)}}}", text)
    return text.translate(words_of.UNICODE)


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
        for token in _read(str(match.lastgroup), match):
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            rows += (token.kind == "begin") - (token.kind == "end")
            yield token if rows or token != _ROW else _COMMA


def _read(group: str, found: re.Match[str]) -> list[Token]:
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
            return [Token("sign", words_of.SAME_SIGN.get(text, text))]
        case "command":
            return _read_command(text)
        case "text":
            return _read_text(text.strip())
        case "over":
            return _read_text(f"{found['top'].strip()}/{text.strip()}")
        case _:
            return _read_words(text.split())


def _read_command(name: str) -> list[Token]:
    if name in words_of.TYPESETTING:
        return []
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


def _read_text(text: str) -> list[Token]:
    r"""What `\text{...}` holds: words and units, or else mathematics, as in `\text{128}`."""
    if units(text):
        return [Token("unit", text)]
    if all(word.replace(".", "").isalpha() for word in text.split()):
        return _read_words(text.split(), in_text=True)
    return list(_scan(text.replace("\\text", ""), Notation(comma="separates")))


def _read_words(words: list[str], *, in_text: bool = False) -> list[Token]:
    """Words that follow each other: units as long as they go, words that mean something, and others together."""
    words = " ".join(words).replace("per cent", "percent").split()
    if " ".join(words).casefold() in words_of.REALS:
        return [Token("command", "mathbb"), Token("letter", "R")]
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
    if len(name) > (1 if in_text else _MAX_UNKNOWN_WORD) or name.casefold() in words_of.NO_PRODUCTS:
        return [Token("words", name.casefold())]
    return [Token("constant", letter) if letter in words_of.CONSTANTS else Token("letter", letter) for letter in name]


def _without_alignment(found: list[Token]) -> list[Token]:
    """Tokens without the `&` that aligns the relations of a system."""
    if ("sign", "&") not in found:
        return found
    around = zip(found, [_END, *found[:-1]], [*found[1:], _END], strict=True)
    return [
        token
        for token, before, after in around
        if token != ("sign", "&") or not {before.text, after.text} & words_of.RELATIONS
    ]


def _with_units(found: list[Token]) -> list[Token]:
    """Tokens whose last letters, directly behind a number, are a unit."""
    letters = len(found)
    while letters and found[letters - 1].kind in ("letter", "constant"):
        letters -= 1
    name = "".join(token.text for token in found[letters:])
    if not name or not letters or found[letters - 1].kind != "number" or not units(name):
        raise MathSyntaxError("expected a unit behind a number")
    return [*found[:letters], Token("unit", name)]


_TAKEN = frozenset({"sign", "command"})


class Cursor:
    """A place in a list of tokens; behind the last come endless signs without text.

    Attributes:
        next: the token at this place.
    """

    def __init__(self, found: list[Token]) -> None:
        self._tokens = [*found, _END, _END]
        self._position = 0
        self.next = self._tokens[0]

    @property
    def second(self) -> Token:
        """The token after the next one."""
        return self._tokens[self._position + 1]

    def advance(self) -> Token:
        """The next token, which is used up."""
        token = self.next
        self._position = min(self._position + 1, len(self._tokens) - 2)
        self.next = self._tokens[self._position]
        return token

    def replace(self, token: Token) -> None:
        """Put another token in the place of the next one."""
        self._tokens[self._position] = self.next = token

    def take(self, *texts: str) -> str:
        """The next token's text if it is a sign or command among these, and then it is used up; else ""."""
        kind, text = self.next
        return self.advance().text if text in texts and kind in _TAKEN else ""

    def expect(self, *texts: str) -> str:
        """Like `take`, for what must be there.

        Raises:
            MathSyntaxError: if it is not.
        """
        taken = self.take(*texts)
        if not taken:
            raise MathSyntaxError(f"expected {' or '.join(texts)}, got {self.next.text or 'the end'!r}")
        return taken

    def digits(self) -> str:
        """A whole number, which may stand in braces.

        Raises:
            MathSyntaxError: if something else is there.
        """
        braces = self.take("{")
        kind, text = self.advance()
        if kind != "number" or not text.isdecimal():
            raise MathSyntaxError(f"expected digits, got {text!r}")
        if braces:
            self.expect("}")
        return text
