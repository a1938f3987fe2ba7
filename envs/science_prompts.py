r"""The options that a question shows, labelled A, B, ... or 1, 2, ... in order: one a line, or several in one line.

Labels may be bold, in brackets, behind bullets, lower case or full width. Linear time: two regular expressions read the
text once each, without nested repetition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from mtgrpo_env.envs.science_answers import LETTERS
from mtgrpo_env.envs.science_typesetting import NARROW

_COMPACT = re.compile(r"S([A-Za-z0-9]+):([0-9]{1,4}(?:,[0-9]{1,4}){1,9}):")
_BOLD = r"(?:\*\*|__|<b>|\{\\bf[ ]?|\\(?:text|math)(?:bf|rm|it|sf)?[ ]?\{)?"
_BOLD_END = r"(?:\*\*|__|</b>|\})?"
_LINE_LABEL = re.compile(
    rf"^[ \t]*(?:[-*+•][ \t]+)?{_BOLD}(?:(?:Option|Choice)[ ])?"
    r"(?P<left>[(\[]?)(?P<label>[A-Ja-j]|[1-9]|10)(?P<right>[)\].:、]|[ ]?[-–—](?=[ ]))"
    rf"{_BOLD_END}(?=[ \t]+\S|[~\\$]|(?<=[)\]])\S|(?<=[.:、])[^\s0-9])",
    re.MULTILINE,
)
_INLINE_LABEL = re.compile(
    rf"(?:(?<![^\s,;|~}}$])|(?<=quad)){_BOLD}(?P<left>[(\[]?)(?P<label>[A-Ja-j])(?P<right>[)\].:])"
    rf"{_BOLD_END}(?=[ \t]+\S|[~\\$]|(?<=[)\]])\S)"
)
_DASHES = str.maketrans("–—", "--")
_PAIRS = {"": ".):、-", "(": ")", "[": "]"}
_NARROW = str.maketrans(NARROW)
_BEHIND = re.compile(
    r"(?<=[.?!;])[ ]+(?:Please|Answer|Return|Give|Choose|Select|Respond|Reply|Put|Write|Provide|Output|Think|Your)\b.*"
)
_NO_OPTIONS = frozenset({"", "and", "or"})
_ORDINALS = tuple(map(str, range(1, len(LETTERS) + 1)))
_SERIES: tuple[Sequence[str], ...] = (LETTERS, LETTERS.lower(), _ORDINALS)
_FEWEST = 2
_FEWEST_DOTTED = 3  # in one line, where "A." and "B." may be initials


class _Label(NamedTuple):
    start: int
    end: int
    place: int
    """Which option it labels, from 0."""
    left: str
    right: str
    series: Sequence[str]


def read_question(text: str, letter: str) -> tuple[str, tuple[str, ...]]:
    r"""A question and its options; all of the text, and (), if it shows none.

    Capitals one a line are the options whatever the right one is. Other labels are if the right one is among them:
    text has numbered lists and "(a) and (b)" for other reasons too.

    >>> read_question("Which is soft?\nA. gold\nB) iron\n(A) gold\n(B) iron", "A")
    ('Which is soft?\nA. gold\nB) iron', ('gold', 'iron'))
    >>> read_question("Which is soft? (a) gold, (b) iron", "A")
    ('Which is soft?', ('gold,', 'iron'))

    Args:
        text: of a prompt.
        letter: the capital of the right option.
    """
    compact = _COMPACT.fullmatch(text)
    if compact:
        return compact[1], tuple(compact[2].split(","))
    narrow = text.translate(_NARROW)
    lines = _runs(_labels(_LINE_LABEL, narrow))
    inline = [run for run in _runs(_labels(_INLINE_LABEL, narrow)) if len(run) >= _FEWEST_DOTTED or run[0].left]
    capitals = [run for run in lines if run[0].series == LETTERS]
    others = [run for run in (*inline, *lines) if letter in LETTERS[: len(run)] and _is_list(text, run)]
    run = next(iter((*capitals, *sorted(others, key=lambda run: _SERIES.index(run[0].series)))), None)
    return (text[: run[0].start].rstrip(), _texts(text, run)) if run else (text, ())


def _labels(pattern: re.Pattern[str], text: str) -> Iterator[_Label]:
    for found in pattern.finditer(text):
        label, left, right = found["label"], found["left"], found["right"].strip().translate(_DASHES)
        series = next(series for series in _SERIES if label in series)
        if right in _PAIRS[left]:
            yield _Label(found.start(), found.end(), series.index(label), left, right, series)


def _runs(labels: Iterable[_Label]) -> list[list[_Label]]:
    """For each kind of label the last ones that count up from the first, the longest first."""
    runs: dict[tuple[object, ...], list[_Label]] = {}
    for label in labels:
        run = runs.setdefault((label.left, label.right, label.series), [])
        if label.place == 0:
            run.clear()
        if label.place == len(run):
            run.append(label)
    return sorted((run for run in runs.values() if len(run) >= _FEWEST), key=len, reverse=True)


def _is_list(text: str, run: Sequence[_Label]) -> bool:
    """Whether what is labelled are texts; and of numbers, which count much else, one a line without lines between."""
    if not _NO_OPTIONS.isdisjoint(choice.strip(" ,") for choice in _texts(text, run)):
        return False
    return run[0].series != _ORDINALS or all(
        text[label.end : after.start].count("\n") == 1 for label, after in pairwise(run)
    )


def _texts(text: str, run: Sequence[_Label]) -> tuple[str, ...]:
    """What stands behind each label, up to the next or the end of the line."""
    ends = [label.start for label in run[1:]] + [len(text)]
    lines = [text[label.end : end].lstrip(" \t").partition("\n")[0] for label, end in zip(run, ends, strict=True)]
    return tuple(_bare(_BEHIND.sub("", line)) for line in lines)


def _bare(option: str) -> str:
    """An option without half a pair of marks, of which the other half stood before the label or behind the last."""
    option = option.strip().removeprefix("|").removesuffix("|").strip()
    for mark in ("**", "__", "$"):
        if option.endswith(mark) and option.count(mark) % 2:
            option = option.removesuffix(mark).rstrip()
    return option
