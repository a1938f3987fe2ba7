r"""Number guessing, a task of several turns: each wrong guess is met with "higher" or "lower".

Halving the range finds every number in the guesses given, so the score measures whether a policy
uses what it was told, turn after turn. `mini` is ours for small models: a short notation and three turns.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask, boxed
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.fields import whole
from mtgrpo_env.text_env import Verdict

_GUESS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class HiddenNumber:
    """`number` is to be found within `low`..`high`, both included, in `guesses` guesses."""

    low: int
    high: int
    number: int
    guesses: int


@dataclass(frozen=True, slots=True)
class GuessingLevel:
    """Ranges of 2 ** `guesses` - 1 numbers that start in 1..`lowest`: just wide enough to be halved that often."""

    guesses: int
    lowest: int = 10_000
    compact: bool = False


class NumberGuessing(BoxedTask[HiddenNumber]):
    r"""Find a number, told after each guess whether it is higher or lower.

    Rewards: 1.0 for the number, 0.1 for using up the guesses, 0.0 for a turn without a box, which ends the episode.

    >>> task = NumberGuessing("mini")
    >>> hidden = HiddenNumber(low=11, high=17, number=13, guesses=3)
    >>> task.prompt(hidden)
    'G11-17:'
    >>> task.reply(hidden, [r"\boxed{14}"]), task.reply(hidden, [r"\boxed{14}", r"\boxed{13}"]).outcome
    ('<:', 'correct')
    """

    LEVELS: ClassVar[Mapping[str, Hashable]] = {
        "mini": GuessingLevel(3, lowest=90, compact=True),
        "easy": GuessingLevel(4),
        "medium": GuessingLevel(6),
        "hard": GuessingLevel(8),
        "very_hard": GuessingLevel(10),
    }
    level: GuessingLevel

    def generate(self, rng: np.random.Generator) -> HiddenNumber:
        """Draw a range, then a number in it."""
        dice = Dice(rng)
        low = dice.between(1, self.level.lowest)
        high = low + 2**self.level.guesses - 2
        return HiddenNumber(low, high, dice.between(low, high), self.level.guesses)

    def prompt(self, puzzle: HiddenNumber) -> str:
        if self.level.compact:
            return f"G{puzzle.low}-{puzzle.high}:"
        return (
            f"I am thinking of a whole number from {puzzle.low} to {puzzle.high}. Find it in at most {puzzle.guesses} "
            "guesses: after each wrong one I tell you whether my number is higher or lower. Return one guess at a "
            "time in \\boxed{}, for example \\boxed{7}."
        )

    def reply(self, puzzle: HiddenNumber, responses: Sequence[str]) -> Verdict | str:
        verdict = self.verify(puzzle, responses[-1])
        if verdict.outcome != "wrong" or len(responses) >= puzzle.guesses:
            return verdict
        guess = _read(self.extract(responses[-1]))
        return self._hint(puzzle, guess, guesses_left=puzzle.guesses - len(responses))

    def is_correct(self, puzzle: HiddenNumber, answer: str) -> bool:
        return _read(answer) == puzzle.number

    def oracle(self, puzzle: HiddenNumber) -> str:
        """The number itself, which only who sees the puzzle can know."""
        return boxed(str(puzzle.number))

    def guess(self, puzzle: HiddenNumber, rng: np.random.Generator) -> str:
        """Any number of the range, deaf to the hints."""
        return boxed(str(rng.integers(puzzle.low, puzzle.high + 1)))

    def key(self, puzzle: HiddenNumber) -> str:
        return f"{puzzle.low}-{puzzle.high}:{puzzle.number}"

    @classmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> HiddenNumber:
        """Read `{"low": 1, "high": 15, "number": 7, "guesses": 4}`."""
        values: dict[str, int] = {}
        for name in ("low", "high", "number", "guesses"):
            value = whole(ground_truth.get(name))
            if value is None or value < 0:
                found = ground_truth.get(name)
                raise ValueError(f"ground truth needs an int {name!r} of at least 0, got {found!r:.80}")
            values[name] = value
        if not values["low"] <= values["number"] <= values["high"]:
            raise ValueError(f"ground truth needs 'number' within 'low'..'high', got {values}")
        return HiddenNumber(**values)

    def ground_truth(self, puzzle: HiddenNumber) -> dict[str, Any]:
        return {"low": puzzle.low, "high": puzzle.high, "number": puzzle.number, "guesses": puzzle.guesses}

    def _hint(self, puzzle: HiddenNumber, guess: int | None, *, guesses_left: int) -> str:
        if self.level.compact:
            return "?:" if guess is None else ">:" if puzzle.number > guess else "<:"
        said = "That is not a whole number."
        if guess is not None:
            said = f"My number is {'higher' if puzzle.number > guess else 'lower'} than {guess}."
        return f"{said} Guesses left: {guesses_left}."


def _read(answer: str | None) -> int | None:
    """The whole number that an answer is; None for anything else."""
    return int(answer) if answer is not None and _GUESS.fullmatch(answer) else None
