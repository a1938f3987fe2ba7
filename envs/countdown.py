r"""Countdown: reach a target from given numbers, each used exactly once, by + - * / (the paper's first task).

The paper's levels have 3, 4, 5 or 6 numbers of 1..100 and a target of 1..1000. The mini levels are ours: a few
numbers to add and subtract in a short notation, within reach of a model with a few hundred thousand parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask, boxed
from mtgrpo_env.envs.countdown_answers import solves, solves_as_written
from mtgrpo_env.envs.countdown_solver import solve
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.fields import whole
from mtgrpo_env.text_env import NoSolution

_OPERATORS = "+-*/"
_NUMBERS = re.compile(r" *[0-9]{1,18} *(, *[0-9]{1,18} *)*")
_MOST_NUMBERS = 100  # of a data row; an expression that is judged has at most 256 characters
_LARGEST = 10**18  # number or target of a data row
# Intermediate values of a generated puzzle stay below this many times the largest target: enough for
# a product to be brought back down, and few draws are lost to values that nothing brings back.
_HEADROOM = 4


@dataclass(frozen=True, slots=True)
class CountdownPuzzle:
    """Make `target` from all of `numbers`."""

    numbers: tuple[int, ...]
    target: int


def paper_question(puzzle: CountdownPuzzle) -> str:
    """The paper's prompt, to the letter."""
    numbers = ", ".join(map(str, puzzle.numbers))
    return (
        f"Using the numbers [{numbers}], create an equation that equals {puzzle.target}. You can only use basic "
        "arithmetic operations (+, -, *, /) and each number should be used exactly once. Return the final answer "
        "in \\boxed{}, for example \\boxed{(1 + 2) / 3}."
    )


def compact_question(puzzle: CountdownPuzzle) -> str:
    """A prompt of a dozen characters; the numbers are sorted, so that one problem has one prompt.

    >>> compact_question(CountdownPuzzle((7, 3, 5), 22))
    'C3,5,7=22:'
    """
    return f"C{','.join(map(str, sorted(puzzle.numbers)))}={puzzle.target}:"


@dataclass(frozen=True, slots=True)
class CountdownLevel:
    """What puzzles of a level look like; both ranges include their ends.

    `operators` are those a puzzle is made with, so it can be solved with them; answers may use all four.
    """

    count: int
    number_range: tuple[int, int] = (1, 100)
    target_range: tuple[int, int] = (1, 1000)
    operators: str = "+-*/"
    question: Callable[[CountdownPuzzle], str] = paper_question


class Countdown(BoxedTask[CountdownPuzzle]):
    r"""Reach the target with an expression that uses every number exactly once.

    Its value must equal the target exactly. It may be typeset, and stand in an equation with the target, since an
    equation is what the paper's prompt asks for; see `solves`. It has no signs: `\boxed{-1+4}` is wrong.

    >>> task = Countdown("mini")
    >>> puzzle = CountdownPuzzle((3, 5, 7), 22)
    >>> task.prompt(puzzle), task.oracle(puzzle)
    ('C3,5,7=22:', '\\boxed{3*5+7}')
    >>> task.verify(puzzle, r"Since 15 + 7 = 22: \boxed{7 + 5 * 3}").outcome
    'correct'
    """

    version: ClassVar[int] = 2
    LEVELS: ClassVar[Mapping[str, Hashable]] = {
        "mini": CountdownLevel(3, (1, 20), (1, 60), operators="+-", question=compact_question),
        "mini_medium": CountdownLevel(3, (1, 40), (1, 120), operators="+-", question=compact_question),
        "mini_hard": CountdownLevel(4, (1, 20), (1, 60), operators="+-", question=compact_question),
        "easy": CountdownLevel(3),
        "medium": CountdownLevel(4),
        "hard": CountdownLevel(5),
        "very_hard": CountdownLevel(6),
    }
    level: CountdownLevel

    def generate(self, rng: np.random.Generator) -> CountdownPuzzle:
        """Draw numbers, then combine random pairs by random operations until one value, the target, is left.

        Every intermediate value is a positive whole number, so each puzzle can be solved without fractions.
        """
        dice = Dice(rng)
        first, last = self.level.target_range
        while True:
            numbers = [dice.between(*self.level.number_range) for _ in range(self.level.count)]
            target = _combine_all(numbers, dice, self.level.operators, limit=last * _HEADROOM)
            if first <= target <= last:
                return CountdownPuzzle(tuple(numbers), target)

    def prompt(self, puzzle: CountdownPuzzle) -> str:
        return self.level.question(puzzle)

    def is_correct(self, puzzle: CountdownPuzzle, answer: str) -> bool:
        judge = solves_as_written if self.extraction == "released" else solves
        return judge(answer, puzzle.numbers, puzzle.target)

    def oracle(self, puzzle: CountdownPuzzle) -> str:
        """The solver's answer; for three numbers a shortest expression.

        Raises:
            NoSolution: if the puzzle has none, which only a data row's can lack.
            NoKnownSolution: if the search is given up.
        """
        answer = solve(puzzle.numbers, puzzle.target)
        if answer is None:
            raise NoSolution(f"expected a puzzle with a solution, got {puzzle}")
        return boxed(answer)

    def guess(self, puzzle: CountdownPuzzle, rng: np.random.Generator) -> str:
        """The numbers in random order, joined by random operators."""
        dice = Dice(rng)
        first, *others = dice.shuffled(puzzle.numbers)
        return boxed(str(first) + "".join(dice.pick(_OPERATORS) + str(number) for number in others))

    def key(self, puzzle: CountdownPuzzle) -> str:
        return f"{','.join(map(str, sorted(puzzle.numbers)))}={puzzle.target}"

    def ground_truth(self, puzzle: CountdownPuzzle) -> dict[str, Any]:
        return {"numbers": ",".join(map(str, puzzle.numbers)), "target": puzzle.target}

    @classmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> CountdownPuzzle:
        """Read `{"numbers": "8,73,96", "target": 841}`; the numbers may be a list of ints too.

        Raises:
            ValueError: if there is no such target, or there are no such numbers or too many.
        """
        target = whole(ground_truth.get("target"))
        if target is None:
            raise ValueError(f"ground truth needs an int 'target', got {ground_truth.get('target')!r:.80}")
        if abs(target) > _LARGEST:
            raise ValueError(f"ground truth needs a 'target' from -10^18 to 10^18, got {Decimal(target):.3e}")
        return CountdownPuzzle(_read_numbers(ground_truth.get("numbers")), target)


def _combine_all(numbers: list[int], dice: Dice, operators: str, *, limit: int) -> int:
    """One value made from all the numbers, every value on the way to it a positive whole number."""
    values = list(numbers)
    while len(values) > 1:
        a = values.pop(dice.below(len(values)))
        b = values.pop(dice.below(len(values)))
        small, large = (a, b) if a < b else (b, a)
        choices = [small + large]
        if small != large:
            choices.append(large - small)
        if "*" in operators and small * large <= limit:
            choices.append(small * large)
        if "/" in operators and large % small == 0:
            choices.append(large // small)
        values.append(dice.pick(choices))
    return values[0]


def _read_numbers(given: Any) -> tuple[int, ...]:
    listed = given.split(",") if isinstance(given, str) and _NUMBERS.fullmatch(given) else given
    listed = listed if isinstance(listed, list | tuple | np.ndarray) else []
    if len(listed) > _MOST_NUMBERS:
        raise ValueError(f"ground truth needs 1 to {_MOST_NUMBERS} 'numbers', got {len(listed):,}")
    numbers = [int(number) if isinstance(given, str) else whole(number) for number in listed]
    known = tuple(number for number in numbers if number is not None and 0 <= number <= _LARGEST)
    if not numbers or len(known) < len(numbers):
        what = "like '8,73,96' or a list of ints from 0 to 10^18"
        raise ValueError(f"ground truth needs 'numbers' {what}, got {given!r:.80}")
    return known
