r"""Tokens of a mathematical answer, LaTeX and plain text mixed.

One regular expression without nested repetition over at most `MAX_LENGTH` characters: linear time by
construction. Typesetting (`\left`, spacing, dollar signs, `\displaystyle`) is dropped here, and synonyms
become one token, so that the parser knows one spelling of everything.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

MAX_LENGTH = 512


class MathSyntaxError(ValueError):
    """The text is not an answer that the grammar covers; the message says where."""


Kind = Literal["number", "letter", "constant", "function", "command", "unit", "sign"]


class Token(NamedTuple):
    """One token; `text` of a sign is the character, of a command its name without the backslash."""

    kind: Kind
    text: str


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp")
GREEK = _words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
COMMANDS = frozenset(
    {"frac", "sqrt", "binom", "overline", "pm", "mp", "cup", "in", "emptyset", "mathbb", "lvert", "rvert"}
)
_SAME_COMMAND = {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom"} | {
    "varnothing": "emptyset",
    "vert": "|",
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "div": "/",
    "le": "<=",
    "leq": "<=",
    "leqslant": "<=",
    "ge": ">=",
    "geq": ">=",
    "geqslant": ">=",
    "lt": "<",
    "gt": ">",
    "lbrace": "\\{",
    "rbrace": "\\}",
    "lbrack": "[",
    "rbrack": "]",
    "circ": "°",
    "degree": "°",
}
_TYPESETTING = _words(
    "left right big Big bigl bigr Bigl Bigr bigg Bigg displaystyle textstyle quad qquad limits textdollar"
)
_CONSTANTS = {"pi": "pi", "e": "e", "i": "i", "infty": "infinity", "infinity": "infinity", "inf": "infinity"}
_UNICODE = str.maketrans(
    {
        "π": " pi ",
        "∞": " infinity ",
        "√": "\\sqrt ",
        "·": "*",
        "×": "*",
        "÷": "/",
        "−": "-",
        "²": "^2",
        "³": "^3",
        "≤": "<=",
        "≥": ">=",
        "±": "\\pm ",
        "∪": "\\cup ",
        "∈": "\\in ",
        "∅": "\\emptyset ",
        "\u00a0": " ",
    }
)
_UNIT_WORDS = _words(
    "cm mm km kg mg ml mph inch inches foot feet ft yard yards mile miles meter meters metre metres gram grams liter "
    "liters litre litres second seconds minute minutes hour hours day days week weeks month months year years dollar "
    "dollars cent cents unit units square cubic sq degree degrees percent"
)
_SEPARATORS = frozenset({"or", "and", ","})
_MAX_UNKNOWN_WORD = 3  # "xyz" is a product, "Tuesday" is not

_GROUPED = r"[0-9]{1,3}(?:(?:,\\!|\{,\}%s)[0-9]{3})+(?![0-9])(?:\.[0-9]+)?"
_TOKEN = (
    r"(?P<blank>\s+|\\[,;:! ]|~|\\\$|\$|\\\(|\\\)|\\\\(?=\s*$))"
    r"|(?P<grouped>%s)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+|\.(?=\\overline))?|\.[0-9]+)"
    r"|\\(?:text|mathrm|textrm|textbf|textit|mbox|operatorname)\s*\{(?P<text>[^{}]*)\}"
    r"|\\(?P<command>[A-Za-z]+)"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<sign>\*\*|<=|>=|\\[{}|%%]|[-+*/^!%%(){}\[\],;=<>|_°])"
)
_GROUPING = re.compile(_TOKEN % (_GROUPED % "|,"))
_NOT_GROUPING = re.compile(_TOKEN % (_GROUPED % ""))
_SAME_SIGN = {"**": "^", "\\|": "|", "\\%": "%", ";": ","}
_UNIT = re.compile(r"[A-Za-z .,/^$%°²³23-]{1,40}")


def tokens(text: str, *, commas_group: bool) -> list[Token]:
    r"""The tokens of an answer.

    Args:
        text: hostile input.
        commas_group: whether `1,000` outside brackets is one number; `1{,}000` always is.

    Raises:
        MathSyntaxError: if the text is too long, or has a character or command that no answer needs.

    >>> [token.text for token in tokens(r"\dfrac{x}{1,000}\text{ cm}", commas_group=True)]
    ['frac', '{', 'x', '}', '{', '1000', '}', 'cm']
    """
    if len(text) > MAX_LENGTH:
        raise MathSyntaxError(f"expected at most {MAX_LENGTH} characters, got {len(text)}")
    text = text.translate(_UNICODE)
    found: list[Token] = []
    position, depth = 0, 0  # depth of brackets, inside which a comma separates
    while position < len(text):
        match = (_GROUPING if commas_group and depth == 0 else _NOT_GROUPING).match(text, position)
        if match is None:
            raise MathSyntaxError(f"unexpected {text[position]!r} at {position} of {text!r:.80}")
        position = match.end()
        new = _read(str(match.lastgroup), str(match.group(str(match.lastgroup))))
        for token in new:
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
        found += new
    return found


_OPENING, _CLOSING = frozenset({"(", "[", "\\{"}), frozenset({")", "]", "\\}"})


def _read(group: str, text: str) -> list[Token]:
    if group == "blank":
        return []
    if group == "grouped":
        return [Token("number", text.replace("\\!", "").replace("{", "").replace("}", "").replace(",", ""))]
    if group == "number":
        return [Token("number", text)]
    if group == "sign":
        return [Token("sign", _SAME_SIGN.get(text, text))]
    if group == "command":
        return _read_command(text)
    return _read_words(text.strip()) if group == "text" else _read_word(text)


def _read_command(name: str) -> list[Token]:
    if name in _TYPESETTING:
        return []
    name = _SAME_COMMAND.get(name, name)
    if not name.isalpha():
        return [Token("sign", name)]
    if name in COMMANDS:
        return [Token("command", name)]
    if name in GREEK:
        return [Token("letter", name)]
    if name in FUNCTIONS:
        return [Token("function", name)]
    if name in _CONSTANTS and len(name) > 1:
        return [Token("constant", _CONSTANTS[name])]
    raise MathSyntaxError(f"unknown command '\\{name:.40}'")


def _read_words(text: str) -> list[Token]:
    r"""What `\text{...}` holds: a separator, a name, or else a unit."""
    if text in _SEPARATORS:
        return [Token("sign", ",")]
    if text in FUNCTIONS or text in ("e", "i"):
        return _read_word(text)
    if not text:
        return []
    words = text.split()
    if _UNIT.fullmatch(text) is None or any(word in ("or", "and", "not") for word in words):
        raise MathSyntaxError(f"expected a unit, got {text!r:.80}")
    return [Token("sign", "%")] if text == "percent" else [Token("unit", text)]


def _read_word(word: str) -> list[Token]:
    if word in FUNCTIONS:
        return [Token("function", word)]
    if word in _CONSTANTS:
        return [Token("constant", _CONSTANTS[word])]
    if word == "sqrt":
        return [Token("command", "sqrt")]
    if word in _SEPARATORS:
        return [Token("sign", ",")]
    if word == "percent":
        return [Token("sign", "%")]
    if word in _UNIT_WORDS:
        return [Token("unit", word)]
    if len(word) > _MAX_UNKNOWN_WORD:
        raise MathSyntaxError(f"unknown word {word!r:.80}")
    return [Token("constant", letter) if letter in _CONSTANTS else Token("letter", letter) for letter in word]


_END = Token("sign", "")


class Cursor:
    """A place in a list of tokens; behind the last come endless signs without text."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = [*found, _END]
        self._position = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._position]

    def advance(self) -> Token:
        """The next token, which is used up."""
        token = self.next
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def replace(self, token: Token) -> None:
        """Put another token in the place of the next one."""
        self._tokens[self._position] = token

    def take(self, *texts: str) -> str:
        """The next token's text if it is a sign or command among these, and then it is used up; else ""."""
        return self.advance().text if self.next.kind in ("sign", "command") and self.next.text in texts else ""

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
