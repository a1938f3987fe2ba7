r"""The option that an answer chooses: by its letter, its text, or both.

A letter may stand in brackets or quotes, behind "option" or "the answer is", and before its own text. What names two
options, or a letter beside another option's text, chooses none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from mtgrpo_env.envs.science_typesetting import plain, squeezed

LETTERS = "ABCDEFGHIJ"

_MAX_ANSWER = 10_000
_BRACKETS = ("()", "[]", "{}", "<>", "【】", '""', "''", "||")
_ANNOUNCED = re.compile(
    r"(?:(?:the )?(?:(?:final|correct|right|best) )?(?:answer|ans\.?|option|choice|letter)(?: is)?(?: ?: ?| )){1,2}",
    re.IGNORECASE,
)
_IN_BRACKETS = "|".join(f"{re.escape(left)} ?([A-Za-z]) ?{re.escape(right)}" for left, right in _BRACKETS)
_LETTER = re.compile(
    rf"(?:{_IN_BRACKETS}|([A-Za-z])(?![A-Za-z0-9'])) ?(?P<mark>[.):,;=→-]{{0,2}}) ?(?P<text>.*)", re.DOTALL
)
_LETTER_BEHIND = re.compile(r"(?P<text>.+) ?[(\[]([A-Za-z])[)\]]", re.DOTALL)


class _Spellings(NamedTuple):
    """A text as it stands, without blanks and typesetting, and then without case."""

    plain: str
    squeezed: str
    folded: str


def bare_letter(text: str) -> str | None:
    r"""The letter that a text consists of, as a capital; None if there is more to it.

    >>> bare_letter(r"\textbf{(c)}."), bare_letter("Option C"), bare_letter("C or D")
    ('C', 'C', None)
    """
    letter, rest = _letter_and_text(plain(text))
    return None if rest else letter


def chosen_letter(answer: str, choices: Sequence[str]) -> str | None:
    r"""The letter of the option that an answer commits to; None if it commits to none or to several.

    A letter comes first: `C` is option C even if another option reads "C". A text is compared as it stands with every
    option, and only if it is none of them without blanks and typesetting, and then without case.

    >>> chosen_letter("b) Iron", ["gold", "iron"]), chosen_letter("IRON", ["gold", "iron"])
    ('B', 'B')
    >>> print(chosen_letter("A) iron", ["gold", "iron"]))
    None
    """
    letters = LETTERS[: len(choices)] if choices else LETTERS
    if len(answer) == 1 and answer.isascii() and answer.upper() in letters:
        return answer.upper()
    if len(answer) > _MAX_ANSWER:
        return None
    text = plain(answer)
    letter, rest = _letter_and_text(text)
    if letter is not None and letter in letters and not rest:
        return letter
    options = [_spelled_choice(choice) for choice in choices]
    labelled = _fitting(rest, options) or _fitting(plain(rest.strip("()")), options)
    named = labelled & {letter}
    alone = _fitting(text, options) or _fitting(_unannounced(text), options)
    found = named | alone
    return found.pop() if len(found) == 1 else None


def begins_with_option(text: str, choices: Sequence[str]) -> bool:
    r"""Whether the text of an option stands at the beginning of a text, behind a full stop or in any dress.

    >>> begins_with_option(". Gold is soft", ["gold", "iron"]), begins_with_option(". I hope so", ["gold", "iron"])
    (True, False)
    """
    said = _spelled(plain(text[:_MAX_ANSWER].lstrip(". *"))).folded
    return said.startswith(tuple(_spelled_choice(choice).folded for choice in choices))


def _letter_and_text(text: str) -> tuple[str | None, str]:
    """The letter that a plain text begins or ends with, as a capital, and what it labels; (None, "") if none does."""
    text = _unannounced(text)
    found = _LETTER.fullmatch(text)
    if found and not (len(found["text"]) == 1 and not _is_label(found)):
        letter = next(group for group in found.groups() if group)
        return letter.upper(), plain(found["text"])
    behind = _LETTER_BEHIND.fullmatch(text)
    return (behind[2].upper(), plain(behind["text"])) if behind else (None, "")


def _is_label(found: re.Match[str]) -> bool:
    """Whether brackets or a mark set a letter apart from what follows; between two letters nothing else does."""
    return not found.group()[0].isalpha() or not set(".):").isdisjoint(found["mark"])


def _unannounced(text: str) -> str:
    found = _ANNOUNCED.match(text)
    return text[found.end() :] if found else text


def _fitting(text: str, options: Sequence[_Spellings]) -> set[str]:
    """The letters of the options that read like a plain text, in the strictest way in which any does."""
    for spelling, wanted in enumerate(_spelled(text)):
        found = {letter for letter, option in zip(LETTERS, options, strict=False) if option[spelling] == wanted}
        if found:
            return found
    return set()


def _spelled(text: str) -> _Spellings:
    return _Spellings(text, without := squeezed(text), without.casefold())


@functools.lru_cache(maxsize=1024)
def _spelled_choice(choice: str) -> _Spellings:
    """Kept, because a group of answers is compared with the same choices."""
    return _spelled(plain(choice))
