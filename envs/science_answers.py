r"""The option that an answer chooses: by its letter, its text, or both.

A letter may stand in brackets or quotes, behind "option" or "the answer is", and before its own text. What names two
options, or a letter beside another option's text, chooses none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mtgrpo_env.envs.science_typesetting import plain, squeezed

LETTERS = "ABCDEFGHIJ"

_MAX_ANSWER = 10_000
_BRACKETS = ("()", "[]", "{}", "<>", "【】", '""', "''", "||")
_ANNOUNCED = re.compile(
    r"(?:(?:the )?(?:(?:final|correct|right|best) )?(?:answer|option|choice|letter)(?: is)?(?: ?: ?| )){1,2}",
    re.IGNORECASE,
)
_IN_BRACKETS = "|".join(f"{re.escape(left)} ?([A-Za-z]) ?{re.escape(right)}" for left, right in _BRACKETS)
_LETTER = re.compile(
    rf"(?:{_IN_BRACKETS}|([A-Za-z])(?![A-Za-z0-9'])) ?(?P<mark>[.):-]{{0,2}}) ?(?P<text>.*)", re.DOTALL
)
_LETTER_BEHIND = re.compile(r"(?P<text>.+) ?[(\[]([A-Za-z])[)\]]", re.DOTALL)
_STRICTER_FIRST: tuple[Callable[[str], str], ...] = (str, squeezed, lambda text: squeezed(text).casefold())


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
    if len(answer) > _MAX_ANSWER:
        return None
    text = plain(answer)
    letters = LETTERS[: len(choices)] if choices else LETTERS
    letter, rest = _letter_and_text(text)
    if letter is not None and letter in letters and not rest:
        return letter
    options = [plain(choice) for choice in choices]
    named = {letter} & _fitting(rest, options) if letter is not None else set[str]()
    alone = _fitting(text, options) or _fitting(_unannounced(text), options)
    found = named | alone
    return found.pop() if len(found) == 1 else None


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
    return found["mark"] not in ("", "-") or not found.group()[0].isalpha()


def _unannounced(text: str) -> str:
    found = _ANNOUNCED.match(text)
    return text[found.end() :] if found else text


def _fitting(text: str, options: Sequence[str]) -> set[str]:
    """The letters of the plain options that read like a plain text, in the strictest way in which any does."""
    for spelling in _STRICTER_FIRST:
        wanted = spelling(text)
        found = {letter for letter, option in zip(LETTERS, options, strict=False) if spelling(option) == wanted}
        if found:
            return found
    return set()
