r"""The option that an answer chooses: by its letter, its text, or both.

A letter may stand in brackets or quotes, behind "option" or "the answer is", and before its own text. What names two
options, or a letter beside another option's text, chooses none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mtgrpo_env.envs.science_typesetting import case_folded, plain, squeezed

LETTERS = "ABCDEFGHIJ"

_MAX_ANSWER = 10_000
_BRACKETS = ("()", "[]", "{}", "<>", "【】", '""', "''", "||")
_NOUN = r"(?:(?:the|my) )?(?:(?:final|correct|right|best) )?(?:answer|ans\.?|option|choice|letter)"
_ANNOUNCED = re.compile(
    r"\A(?:(?:so|thus|therefore|hence),? )?"
    rf"(?:(?:it|that|this)(?: is|'s) |(?:(?:i|we) )?(?:choose|pick|select) |{_NOUN}(?: is)?(?: ?: ?| ))"
    r"{1,2}",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(
    r" is (?:(?:correct|right)|(?:the )?(?:(?:correct|right|best) )?(?:answer|option|choice|one))\Z", re.IGNORECASE
)
_IN_BRACKETS = "|".join(f"{re.escape(left)} ?([A-Za-z]) ?{re.escape(right)}" for left, right in _BRACKETS)
_LETTER = re.compile(
    rf"(?:{_IN_BRACKETS}|([A-Za-z])(?![A-Za-z0-9'^_]))(?P<mark> ?[.):,;=→]{{0,2}} ?)(?P<text>.*)", re.DOTALL
)
_LETTER_BEHIND = re.compile(
    r"(?P<text>.+?) ?(?:[(\[](?:option |choice |answer )?([A-Za-z])[)\]]|(?:[,;:] ?|(?<= )- )(?:option )?([A-Z]))",
    re.DOTALL | re.IGNORECASE,
)
_OBJECTION = re.compile(r"(?:no|wait|but|or|actually|rather|sorry|hmm|oops|correction|however)\b", re.IGNORECASE)
_MENTIONED = re.compile(r"(?<![A-Za-z0-9'.])(?:[B-HJ](?![A-Za-z0-9'])|[AI](?![A-Za-z0-9']| [a-z]))")  # no article
_DASH = re.compile(r"\A- ?")
_MINUS = re.compile(r"-(?! |[^\W\d_]{3}|\Z)")


class _Spellings(NamedTuple):
    """A text as it stands, without blanks and typesetting, and then with words in one case."""

    plain: str
    squeezed: str
    folded: str


class _Labelling(NamedTuple):
    """A letter, as a capital, and the readings of the text that it labels, if there is any."""

    letter: str
    texts: tuple[str, ...]


def bare_letter(text: str) -> str | None:
    r"""The letter that a text consists of, as a capital; None if there is more to it.

    >>> bare_letter(r"\textbf{(c)}."), bare_letter("Option C"), bare_letter("C or D")
    ('C', 'C', None)
    """
    labelled = next(_labellings(plain(text)), None)
    return labelled.letter if labelled and not labelled.texts else None


def chosen_letter(answer: str, choices: Sequence[str]) -> str | None:
    r"""The letter of the option that an answer commits to; None if it commits to none or to several.

    A letter comes first: `C` is option C even if another option reads "C". A text is compared as it stands with every
    option, and only if it is none of them without blanks and typesetting, and then with words in one case.

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
    labellings = [*_labellings(text)]
    if labellings and labellings[0].letter in letters and not labellings[0].texts:
        return labellings[0].letter
    options = [_spelled_choice(choice) for choice in choices]
    named = {labelled.letter for labelled in labellings if labelled.letter in _labelled(labelled.texts, options)}
    alone = _fitting(text, options) or _fitting(_unannounced(text), options)
    found = named | alone
    return found.pop() if len(found) == 1 else None


def begins_with_option(text: str, choices: Sequence[str]) -> bool:
    r"""Whether the text of an option stands at the beginning of a text, behind a full stop or in any dress.

    >>> begins_with_option(". Gold is soft", ["gold", "iron"]), begins_with_option(". I hope so", ["gold", "iron"])
    (True, False)
    """
    said = _spelled(_continued(text)).folded
    return said.startswith(tuple(_spelled_choice(choice).folded for choice in choices))


def takes_back(text: str, letter: str, choices: Sequence[str]) -> bool:
    r"""Whether what follows a sentence that chose a letter objects to it, or names another.

    >>> [takes_back(text, "B", ["gold", "iron"]) for text in (". No, gold", " (A)", ". A metal. I hope", ". D block")]
    [True, True, False, False]
    """
    text = _continued(text)
    letters = LETTERS[: len(choices)] if choices else LETTERS
    return _OBJECTION.match(text) is not None or not {*_MENTIONED.findall(text)} & {*letters} <= {letter}


def _continued(text: str) -> str:
    return plain(text[:_MAX_ANSWER].lstrip(". *"))


def _labellings(text: str) -> Iterator[_Labelling]:
    """The letter that a plain text begins with and the one that it ends with, with what each labels."""
    text = _unannounced(text)
    found = _LETTER.fullmatch(text)
    if found and _is_label(found):
        letter = next(group for group in found.groups() if group)
        yield _Labelling(letter.upper(), _readings(found))
    behind = _LETTER_BEHIND.fullmatch(text)
    if behind and not (len(behind["text"]) == 1 and behind["text"].isalpha()):
        yield _Labelling((behind[2] or behind[3]).upper(), (plain(behind["text"]),))


def _labelled(texts: Sequence[str], options: Sequence[_Spellings]) -> set[str]:
    """The letters of the options that a text reads like, for the first of the texts that reads like any."""
    fitting = (_fitting(text, options) or _fitting(plain(text.strip("()")), options) for text in texts)
    return next(filter(None, fitting), set())


def _readings(found: re.Match[str]) -> tuple[str, ...]:
    """What a letter labels; a dash behind the letter may be the minus sign of that, which is then the first reading."""
    text, is_apart = found["text"], found["mark"].endswith(" ")
    if not text or (text == "-" and is_apart):
        return ()
    if text[0] != "-" or (is_apart and _MINUS.match(text)):
        return (plain(text),)
    return tuple(map(plain, (text, _undashed(text))))


def _undashed(text: str) -> str:
    return _DASH.sub("", text)


def _is_label(found: re.Match[str]) -> bool:
    """Whether the letter is apart from what follows: no index, and between two letters brackets or a mark."""
    is_alone = found.group()[0].isalpha() and set(".):").isdisjoint(found["mark"])
    text = _undashed(found["text"])
    return not text.startswith(("^", "_")) and not (is_alone and len(text) == 1 and text.isalpha())


def _unannounced(text: str) -> str:
    return _CONFIRMED.sub("", _ANNOUNCED.sub("", text, count=1))


def _fitting(text: str, options: Sequence[_Spellings]) -> set[str]:
    """The letters of the options that read like a plain text, in the strictest way in which any does."""
    for spelling, wanted in enumerate(_spelled(text)):
        found = {letter for letter, option in zip(LETTERS, options, strict=False) if option[spelling] == wanted}
        if found:
            return found
    return set()


def _spelled(text: str) -> _Spellings:
    return _Spellings(text, squeezed(text), squeezed(case_folded(text)))


@functools.lru_cache(maxsize=1024)
def _spelled_choice(choice: str) -> _Spellings:
    """Kept, because a group of answers is compared with the same choices."""
    return _spelled(plain(choice))
