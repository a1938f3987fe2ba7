r"""Finding the answer a response commits to: `\boxed{...}`, in linear time, and tasks judged by it.

Responses are hostile input. Extraction is one pass over the text with a stack of open braces;
nothing in a response is ever evaluated.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, Literal

from mtgrpo_env.envs.boxes import bare, boxes, closing_statement
from mtgrpo_env.task_registry import task_class, task_names
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, WRONG, PuzzleT, TextEnv, Verdict
from mtgrpo_env.types import Split

Extraction = Literal["last-box", "released"]

_BRACE = re.compile(r"\\boxed\{|[{}]")
_MARKERS = ("Assistant:", "<|im_start|>assistant")
_BOX = "\\boxed{"


def last_box(response: str) -> str | None:
    r"""What the last box of a response holds, wherever it stands; None if there is none, or it is cut off.

    What a box is, see `boxes`. A `\text{...}` around the whole answer is typesetting, not content, and is taken off.

    >>> last_box(r"First \boxed{1}, no: \boxed{\text{2}}. Hope that helps.")
    '2'
    >>> print(last_box(r"\boxed{3} and then \boxed{4"))
    None
    """
    only = _only_box(response)
    if only is not None:
        return only or None
    found = boxes(response)
    return found[-1].content if found else None


def last_boxes(response: str, count: int) -> str | None:
    r"""As `last_box`, but the boxes of the closing statement, with commas between, if it has `count` of them.

    For an answer of several values; see `closing_statement`. With any other number of boxes the last one counts, so
    that a guess at more values than there are is no answer.

    >>> last_boxes(r"The roots are $\boxed{-4}$ and $\boxed{9}$.", 2), last_boxes(r"\boxed{1}, \boxed{2}, \boxed{3}", 2)
    ('-4, 9', '3')
    """
    values = closing_statement(response) if count > 1 else []
    return ", ".join(values) if len(values) == count else last_box(response)


def released_box(response: str) -> str | None:
    r"""What the paper's released code extracts; for comparison with its scores, and for nothing else.

    It reads only the last line, only after an assistant marker, and accepts an empty box.

    >>> released_box("Assistant: so\n\\boxed{7}"), released_box("Assistant: \\boxed{7}\n")
    ('7', None)
    """
    for marker in _MARKERS:
        _, found, rest = response.partition(marker)
        if found:
            return _last_complete_box(rest.rsplit("\n", 1)[-1])
    return None


EXTRACTIONS: Mapping[Extraction, Callable[[str], str | None]] = {"last-box": last_box, "released": released_box}


def _only_box(text: str) -> str | None:
    """The content of the only box, in the usual case that no LaTeX stands around it; else None."""
    start = text.find("\\")
    content = start + len(_BOX)
    if not text.startswith(_BOX, start) or text.find("\\", content) >= 0:
        return None
    end = text.find("}", content)
    return bare(text[content:end]) if end >= 0 and text.find("{", content, end) < 0 else None


def _last_complete_box(text: str) -> str | None:
    content = text.rfind(_BOX) + len(_BOX)
    if content < len(_BOX):
        return None
    end = text.find("}", content)
    if end >= 0 and text.find("{", content, end) < 0:
        return text[content:end]  # the usual case: one box, no braces in it
    return _last_complete_box_among_braces(text)


def _last_complete_box_among_braces(text: str) -> str | None:
    open_braces: list[int | None] = []  # where a box's content starts; None for any other brace
    start, end = -1, -1
    for match in _BRACE.finditer(text, text.find(_BOX)):
        if match.group() == "}":
            opened = open_braces.pop() if open_braces else None
            if opened is not None and opened > start:
                start, end = opened, match.start()
        else:
            open_braces.append(match.end() if match.group() != "{" else None)
    return text[start:end] if start >= 0 else None


class BoxedTask(TextEnv[PuzzleT]):
    r"""A text task whose answer stands in `\boxed{...}`.

    Rewards: 1.0 for a correct answer, 0.1 for a box with a wrong one, 0.0 for no box.

    Args:
        level: a key of `LEVELS`.
        extraction: a key of `EXTRACTIONS`.
        split: which puzzles are drawn; see `TextEnv`.
        render_mode: None or "ansi".

    Raises:
        ValueError: if `level` or `extraction` is unknown.
    """

    LEVELS: ClassVar[Mapping[str, Hashable]]

    def __init__(
        self,
        level: str = "easy",
        *,
        extraction: Extraction = "last-box",
        split: Split = "train",
        render_mode: str | None = None,
    ) -> None:
        if level not in self.LEVELS:
            raise ValueError(f"level of {type(self).__name__} must be one of {list(self.LEVELS)}, got {level!r}")
        if extraction not in EXTRACTIONS:
            raise ValueError(f"extraction must be one of {list(EXTRACTIONS)}, got {extraction!r}")
        super().__init__(level=self.LEVELS[level], split=split, render_mode=render_mode)
        self._level_name = level
        self.extract = EXTRACTIONS[extraction]

    @property
    def level_name(self) -> str:
        return self._level_name

    @abstractmethod
    def is_correct(self, puzzle: PuzzleT, answer: str) -> bool:
        """Whether the text in the box solves the puzzle. Hostile input: linear time, nothing evaluated."""

    @classmethod
    @abstractmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> PuzzleT:
        """The puzzle behind a data row.

        Raises:
            ValueError: naming the field that is missing or malformed.
        """

    @abstractmethod
    def ground_truth(self, puzzle: PuzzleT) -> dict[str, Any]:
        """What a data row says of the puzzle: with its prompt, enough for `from_ground_truth` to judge answers."""

    def num_values(self, puzzle: PuzzleT) -> int:
        """How many values the answer has, such as both roots: so many boxes may hold one each; see `last_boxes`."""
        return 1

    def answer(self, puzzle: PuzzleT, response: str) -> str | None:
        """What a response answers: what `is_correct` judges, or None if it commits to nothing."""
        if self.extract is last_box:
            return last_boxes(response, self.num_values(puzzle))
        return self.extract(response)

    def verify(self, puzzle: PuzzleT, response: str) -> Verdict:
        answer = self.answer(puzzle, response)
        if answer is None:
            return NO_ANSWER
        return CORRECT if self.is_correct(puzzle, answer) else WRONG


def reason_tasks() -> dict[str, type[BoxedTask[Any]]]:
    """Every registered task with an answer in a box, by its name."""
    classes = {name: task_class(name) for name in task_names()}
    return {name: env_type for name, env_type in classes.items() if issubclass(env_type, BoxedTask)}


def boxed(answer: str) -> str:
    r"""`answer` as a response that commits to it."""
    return _BOX + answer + "}"
