r"""Where an answer stands in its prompt: the numbers and words of texts, and an oracle's response as a form to fill.

What is read here is hostile: texts are cut to a length, and their tokens are found in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TOKEN = re.compile(r"(\\[A-Za-z]+)|([0-9]+(?:\.[0-9]+)?)|[^\W\d_]+")
_LONGEST = 16_000  # characters that are read of a text, the last ones
_MOST = 64  # tokens of an answer


class Token(NamedTuple):
    """A number or a word of a text; a LaTeX command is neither.

    Attributes:
        text: as it is written.
        start: of its first character.
        end: after its last one.
        is_number: or else a word.
    """

    text: str
    start: int
    end: int
    is_number: bool


class AnswerForm(NamedTuple):
    r"""A response with places for the tokens of an answer, such as `\boxed{_, _}`.

    Attributes:
        before: the first token.
        between: two tokens.
        after: the last token.
        size: how many tokens.
        are_numbers: or else words.
    """

    before: str
    between: str
    after: str
    size: int
    are_numbers: bool

    def filled(self, tokens: Sequence[str]) -> str:
        """The response with these tokens."""
        return f"{self.before}{self.between.join(tokens)}{self.after}"


class Place(NamedTuple):
    """A run of tokens of one kind in a prompt.

    Attributes:
        start: of the run among the tokens of its kind, from the end if negative.
        is_reversed: whether it is read backwards.
    """

    start: int
    is_reversed: bool = False

    def read(self, tokens: Sequence[str], size: int) -> Sequence[str] | None:
        """The run; None where there are too few tokens.

        >>> Place(-2).read(["1", "2", "3"], 2), Place(2).read(["1", "2", "3"], 2)
        (['2', '3'], None)
        """
        first = self.start if self.start >= 0 else len(tokens) + self.start
        if first < 0 or first + size > len(tokens):
            return None
        run = tokens[first : first + size]
        return run[::-1] if self.is_reversed else run

    def name(self, form: AnswerForm) -> str:
        """In words.

        >>> Place(0, True).name(AnswerForm("", ", ", "", 3, True)), Place(-1).name(AnswerForm("", "", "", 1, False))
        ('numbers 3 to 1', 'the last word')
        """
        kind = "number" if form.are_numbers else "word"
        count = abs(self.start) if self.start < 0 else self.start + 1
        from_end = " from the end" if self.start < 0 else ""
        if form.size == 1:
            return f"the last {kind}" if self.start == -1 else f"{kind} {count}{from_end}"
        ends = (count, count + (1 - form.size if self.start < 0 else form.size - 1))
        first, last = reversed(ends) if self.is_reversed else ends
        return f"{kind}s {first} to {last}{from_end}"


def tokens_of(text: str) -> list[Token]:
    r"""The numbers and words of a text, or of its end if it is long.

    >>> [token.text for token in tokens_of(r"So \boxed{3.5 apples}")]
    ['So', '3.5', 'apples']
    """
    cut = max(0, len(text) - _LONGEST)
    matches = _TOKEN.finditer(text, cut)
    return [Token(m.group(), m.start(), m.end(), m.group(2) is not None) for m in matches if m.group(1) is None]


def texts_of(tokens: Sequence[Token], *, are_numbers: bool) -> list[str]:
    """The tokens of one kind, in their order."""
    return [token.text for token in tokens if token.is_number == are_numbers]


def answer_forms(response: str) -> Iterator[tuple[AnswerForm, tuple[str, ...]]]:
    r"""A response as a form and what fills it: its last token, and the run of its kind that this token ends.

    >>> for form, answer in answer_forms(r"\boxed{2, 1}"):
    ...     print(form.filled(["_"] * form.size), answer)
    \boxed{2, _} ('1',)
    \boxed{_, _} ('2', '1')
    """
    tokens = tokens_of(response)
    if not tokens:
        return
    last = tokens[-1]
    yield AnswerForm(response[: last.start], "", response[last.end :], 1, last.is_number), (last.text,)
    run = [last]
    for token in reversed(tokens[-_MOST:-1]):
        if token.is_number != last.is_number or "\\" in response[token.end : run[0].start]:
            break
        run.insert(0, token)
    if len(run) > 1:
        between = response[run[-2].end : last.start]
        form = AnswerForm(response[: run[0].start], between, response[last.end :], len(run), last.is_number)
        yield form, tuple(token.text for token in run)


def places_of(answer: Sequence[str], tokens: Sequence[str]) -> Iterator[Place]:
    """Where the tokens of an answer stand among those of a prompt, counted from both its ends.

    >>> list(places_of(["b"], ["a", "b", "b"]))
    [Place(start=1, is_reversed=False), Place(start=-2, is_reversed=False), Place(start=2, is_reversed=False), \
Place(start=-1, is_reversed=False)]
    """
    wanted, backwards = list(answer), list(answer)[::-1]
    for first in range(len(tokens) - len(wanted) + 1):
        if tokens[first] not in (wanted[0], backwards[0]):
            continue
        run = list(tokens[first : first + len(wanted)])
        for is_reversed, of in ((False, wanted), (True, backwards)):
            if run == of and not (is_reversed and len(wanted) == 1):
                yield Place(first, is_reversed)
                yield Place(first - len(tokens), is_reversed)
