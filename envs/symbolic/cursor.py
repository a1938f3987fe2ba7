"""A place in the tokens of an answer, from which parsers read on."""

from __future__ import annotations

from mtgrpo_env.envs.symbolic.tokens import END, MathSyntaxError, Token
from mtgrpo_env.envs.symbolic.vocabulary import DIGITS

_TAKEN = frozenset({"sign", "command"})


class Cursor:
    """Behind the last token come endless signs without text.

    Attributes:
        next: the token at this place.
    """

    def __init__(self, found: list[Token]) -> None:
        self._tokens = [*found, END, END]
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

    def count(self, text: str, *, within: str) -> int:
        """How often a sign stands in the brackets that open here, and in no others inside them."""
        depth = found = 0
        for token in self._tokens[self._position :]:
            depth += (token.text == within[0]) - (token.text == within[1])
            if depth < 1:
                break
            found += depth == 1 and token == ("sign", text)
        return found

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
        if kind == "words" and text in DIGITS:
            kind, text = "number", DIGITS[text]
        if kind != "number" or not text.isdecimal():
            raise MathSyntaxError(f"expected digits, got {text!r}")
        if braces:
            self.expect("}")
        return text
