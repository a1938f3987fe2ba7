r"""One-dimensional ARC: find the rule behind example rows and apply it (the paper's third task).

The paper's levels have rows of 10, 20, 30 or 40 cells. The mini levels are ours: rows of six to ten cells, six to
twelve rules and a short notation, within reach of a model with a few hundred thousand parameters. The rules
are in `arc_rules`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask, boxed
from mtgrpo_env.envs.arc_rows import Row
from mtgrpo_env.envs.arc_rules import RULES, Rule, Transform
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.fields import text_field
from mtgrpo_env.paper_frame import question_of

_MINI_RULES = ("move_right_1", "move_left_1", "to_right_wall", "mirror", "fill_pairs", "invert")
_MINI_MEDIUM_RULES = (*_MINI_RULES, "to_left_wall", "move_right_2", "mirror_in_place")
_MINI_HARD_RULES = (*_MINI_MEDIUM_RULES, "move_left_2", "hollow", "swap_halves")
_MAX_DRAWS = 1000
_MAX_ROWS = 20  # rows tried per puzzle, to find four that the rule changes
_MOST_CELLS = 10_000  # of a data row's answer

Pairs = tuple[tuple[Row, Row], ...]

_ASKED = (
    "Below is a test input grid. Predict the corresponding output grid by applying the rule you found. Describe how "
    "you derived the rule and your overall reasoning process in detail before you submit your answer. Your final "
    "answer must be placed in \\boxed{} and should be just the test output grid itself.\n\nInput:\n"
)
_PAPER_EXAMPLE = re.compile(r"^Example \d+:\nInput:  ([\d ]+)\nOutput: ([\d ]+)$", re.MULTILINE)
_PAPER_TEST = re.compile(r"^Input:\n([\d ]+)$", re.MULTILINE)
_COMPACT = re.compile(r"A((?:[0-9]+>[0-9]+,)+)([0-9]+):")


@dataclass(frozen=True, slots=True)
class ArcPuzzle:
    """Example pairs of one rule, a row to apply it to, and what that gives; rows are strs of digits.

    Attributes:
        examples: (input, output) rows.
        test: the row asked about.
        answer: what the rule makes of it.
        question: the data row's text where no examples could be read from it, else empty.
    """

    examples: Pairs
    test: Row
    answer: Row
    question: str = ""


@dataclass(frozen=True, slots=True)
class ArcLevel:
    """What puzzles of a level look like.

    Attributes:
        length: cells of a row.
        num_examples: pairs shown.
        rules: keys of `RULES`.
        compact: rows are written as one block of digits, and the prompt holds nothing but rows.
    """

    length: int
    num_examples: int = 3
    rules: tuple[str, ...] = tuple(RULES)
    compact: bool = False

    def write(self, row: Row) -> str:
        """The row in this level's notation."""
        return row if self.compact else " ".join(row)


def _paper_prompt(puzzle: ArcPuzzle) -> str:
    shown = "".join(
        f"Example {number}:\nInput:  {' '.join(given)}\nOutput: {' '.join(made)}\n\n"
        for number, (given, made) in enumerate(puzzle.examples, start=1)
    )
    return (
        "Find the common rule that maps an input grid to an output grid, given the examples below.\n\n"
        f"{shown}{_ASKED}{' '.join(puzzle.test)}"
    )


def _compact_prompt(puzzle: ArcPuzzle) -> str:
    return f"A{''.join(f'{given}>{made},' for given, made in puzzle.examples)}{puzzle.test}:"


class Arc(BoxedTask[ArcPuzzle]):
    r"""Find the rule that turns the first row of each example into the second, and apply it once more.

    Every example shows a change, and no other rule of the level explains all examples but would
    answer differently.

    >>> arc = Arc("mini")
    >>> puzzle = ArcPuzzle(examples=(("001100", "000110"), ("020000", "002000")), test="333000", answer="033300")
    >>> arc.prompt(puzzle), arc.oracle(puzzle)
    ('A001100>000110,020000>002000,333000:', '\\boxed{033300}')
    >>> arc.verify(puzzle, r"\boxed{033000}").outcome
    'wrong'
    """

    LEVELS: ClassVar[Mapping[str, Hashable]] = MappingProxyType(
        {
            "mini": ArcLevel(length=6, num_examples=2, rules=_MINI_RULES, compact=True),
            "mini_medium": ArcLevel(length=8, num_examples=2, rules=_MINI_MEDIUM_RULES, compact=True),
            "mini_hard": ArcLevel(length=10, num_examples=2, rules=_MINI_HARD_RULES, compact=True),
            "easy": ArcLevel(length=10),
            "medium": ArcLevel(length=20),
            "hard": ArcLevel(length=30),
            "very_hard": ArcLevel(length=40),
        }
    )
    level: ArcLevel

    def generate(self, rng: np.random.Generator) -> ArcPuzzle:
        dice = Dice(rng)
        for _ in range(_MAX_DRAWS):
            rule = RULES[dice.pick(self.level.rules)]
            pairs = self._changes(rule, dice)
            if pairs is not None and not self._is_ambiguous(pairs):
                return ArcPuzzle(examples=pairs[:-1], test=pairs[-1][0], answer=pairs[-1][1])
        raise RuntimeError(f"no unambiguous puzzle in {_MAX_DRAWS} draws for {self.level}")

    def _changes(self, rule: Rule, dice: Dice) -> Pairs | None:
        """Distinct rows that the rule changes, the examples' and then the test's; None if too few came up."""
        changes: dict[Row, Row] = {}
        for _ in range(_MAX_ROWS):
            given = rule.draw(dice, self.level.length)
            made = rule.transform(given)
            if given != made:
                changes[given] = made
                if len(changes) > self.level.num_examples:
                    return tuple(changes.items())
        return None

    def _is_ambiguous(self, pairs: Pairs) -> bool:
        """Whether another rule of the level explains the examples, but not the answer."""
        *examples, (test, answer) = pairs
        fitting = _transforms(self.level.rules)
        for given, made in examples:
            fitting = [transform for transform in fitting if transform(given) == made]
        return any(transform(test) != answer for transform in fitting)

    def prompt(self, puzzle: ArcPuzzle) -> str:
        if not puzzle.examples:
            return puzzle.question
        return _compact_prompt(puzzle) if self.level.compact else _paper_prompt(puzzle)

    def is_correct(self, puzzle: ArcPuzzle, answer: str) -> bool:
        cells = self.level.write(puzzle.answer).split()
        return answer.split() == cells or ((bare := self.bare(answer)) != answer and bare.split() == cells)

    def oracle(self, puzzle: ArcPuzzle) -> str:
        return boxed(self.level.write(puzzle.answer))

    def guess(self, puzzle: ArcPuzzle, rng: np.random.Generator) -> str:
        """A random row over the colours seen in the examples."""
        colours = sorted(set("".join(given + made for given, made in puzzle.examples)) or "0")
        picks = rng.integers(len(colours), size=len(puzzle.answer))
        return boxed(self.level.write("".join([colours[pick] for pick in picks])))

    def key(self, puzzle: ArcPuzzle) -> str:
        """The rows without the order of the examples."""
        shown = sorted(f"{given}>{made}" for given, made in puzzle.examples)
        return ",".join((*shown, puzzle.test or puzzle.question))

    def ground_truth(self, puzzle: ArcPuzzle) -> dict[str, Any]:
        return {"target": " ".join(puzzle.answer)}

    @classmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> ArcPuzzle:
        """The puzzle behind a data row: `{"target": "0 0 1"}`, the examples being read from the question.

        Where the question holds no examples in a known notation, it is kept and shown as it is.

        Raises:
            ValueError: if the target is missing, too long or anything but digits.
        """
        target = text_field(ground_truth, "target")
        answer = "".join(target.split())
        if len(answer) > _MOST_CELLS:
            raise ValueError(f"ground truth 'target' must be 1 to {_MOST_CELLS:,} digits, got {len(answer):,}")
        if not (answer.isascii() and answer.isdigit()):
            raise ValueError(f"ground truth 'target' must be digits separated by blanks, got {target!r:.80}")
        examples, test = _read_question(question)
        if not examples or not test:
            return ArcPuzzle(examples=(), test="", answer=answer, question=question_of(question))
        return ArcPuzzle(examples=examples, test=test, answer=answer)


@functools.cache
def _transforms(rules: tuple[str, ...]) -> list[Transform]:
    return [RULES[name].transform for name in rules]


def _read_question(question: str) -> tuple[Pairs, Row]:
    if compact := _COMPACT.fullmatch(question):
        pairs = (pair.split(">") for pair in compact[1].split(",")[:-1])
        return tuple((given, made) for given, made in pairs), compact[2]
    found = _PAPER_EXAMPLE.findall(question)
    test = _PAPER_TEST.search(question)
    return tuple((given.replace(" ", ""), made.replace(" ", "")) for given, made in found), (
        test[1].replace(" ", "") if test else ""
    )
