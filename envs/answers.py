r"""Finding the answer a response commits to: `\boxed{...}`, in linear time, and tasks judged by it.

Responses are hostile input. Extraction is one pass over the text with a stack of open braces;
nothing in a response is ever evaluated.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Hashable, Mapping
from typing import Any, ClassVar, Literal, Protocol

from mtgrpo_env.envs.boxes import bare, boxes, closing_statement
from mtgrpo_env.envs.dress import bare_words
from mtgrpo_env.envs.thoughts import without_thoughts
from mtgrpo_env.task_registry import task_class, task_names
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, WRONG, PuzzleT, TextEnv, Verdict
from mtgrpo_env.types import Split

Extraction = Literal["last-box", "released"]

_BRACE = re.compile(r"\\boxed\{|[{}]")
_MARKERS = ("Assistant:", "<|im_start|>assistant")
_BOX = "\\boxed{"


class Extract(Protocol):
    """Finds the answer that a response commits to."""

    def __call__(self, response: str, count: int = 1, names: Collection[str] = ()) -> str | None:
        """The answer, or None if there is none; `count` is how many values it has, `names` what they are called."""
        ...


def last_box(response: str, count: int = 1, names: Collection[str] = ()) -> str | None:
    r"""What the last box of a response holds, outside of its thoughts; None if there is none, or it is cut off.

    An answer of several values may have a box for each: if the closing statement has `count` boxes, their contents are
    the answer, with commas between. With any other number the last box is all that counts, so that a response gains
    nothing from boxes to spare. `boxes` says what a box is, and `closing_statement` what a statement is.

    >>> last_box(r"First \boxed{1}, no: \boxed{\text{2}}. Hope that helps.")
    '2'
    >>> last_box(r"The roots are $\boxed{-4}$ and $\boxed{9}$.", count=2)
    '-4, 9'
    >>> print(last_box(r"\boxed{3} and then \boxed{4"))
    None
    """
    response = without_thoughts(response)
    rest = response[response.find("\\") :]  # the usual case is a single box without LaTeX in it or around it
    if rest.startswith(_BOX) and "\\" not in rest[1:]:
        content, closing, _ = rest[len(_BOX) :].partition("}")
        if closing and "{" not in content:
            return (bare(content) if "$" in content else content.strip()) or None
    found = boxes(response)
    values = closing_statement(response, found, names) if count > 1 else []
    if values and len(values) == count:
        return ", ".join(values)
    return found[-1].content if found else None


def released_box(response: str, count: int = 1, names: Collection[str] = ()) -> str | None:
    r"""What the paper's released code extracts; for comparison with its scores, and for nothing else.

    It reads only the last line, only after an assistant marker, and accepts an empty box. It knows of one box only,
    whatever the `count` and the `names`.

    >>> released_box("Assistant: so\n\\boxed{7}"), released_box("Assistant: \\boxed{7}\n")
    ('7', None)
    """
    for marker in _MARKERS:
        _, found, rest = response.partition(marker)
        if found:
            return _last_complete_box(rest.rsplit("\n", 1)[-1])
    return None


EXTRACTIONS: Mapping[Extraction, Extract] = {"last-box": last_box, "released": released_box}


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
        self.extract: Extract = EXTRACTIONS[extraction]
        self.extraction = extraction

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

    def answer(self, puzzle: PuzzleT, response: str) -> str | None:
        """What `is_correct` judges of a response, or None if it commits to nothing.

        A task with answers of several values, such as both roots of an equation, gives `extract` their number.
        """
        return self.extract(response)

    def bare(self, answer: str) -> str:
        """Words without their dress; the paper's released code takes no more than blanks off them."""
        return answer.strip() if self.extraction == "released" else bare_words(answer)

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
