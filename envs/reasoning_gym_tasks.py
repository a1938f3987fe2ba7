r"""Any data set of reasoning-gym as a task, behind scoring that is safe: see `reasoning_gym_scoring`.

Needs the package, which is optional: `pip install '.[reasoning-gym]'` in the checkout.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from mtgrpo_env.envs.answers import boxed, last_box
from mtgrpo_env.envs.reasoning_gym_checks import plain
from mtgrpo_env.envs.reasoning_gym_scoring import RULES, UNREPEATABLE, reference_answer, rule_of
from mtgrpo_env.envs.worker_pool import ScorerFailure, WorkerPool, shared_pool
from mtgrpo_env.extras import require_package
from mtgrpo_env.suite import Task
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, SCORER_ERROR, WRONG, TextEnv, Verdict
from mtgrpo_env.types import Split

_GENERATOR = "mtgrpo_env.envs.reasoning_gym_worker:make"
_SCORER = "mtgrpo_env.envs.reasoning_gym_worker:score"
_FULL_MARKS = 1 - 1e-9
_MAX_ANSWER = 20_000
_MAX_DRAWS = 100
_NUM_ITEMS = 2**31  # as many as the worker's data sets have
_INSTRUCTION = "Return the final answer, and nothing else, in \\boxed{}."


@dataclass(frozen=True, slots=True)
class ReasoningGymPuzzle:
    """One item of a data set.

    Attributes:
        question: their text, without our instruction.
        answer: one that is right, of perhaps many.
        entry: the item as JSON, for the scorer.
    """

    question: str
    answer: str
    entry: str


class ReasoningGymEnv(TextEnv[ReasoningGymPuzzle]):
    r"""The items of one data set.

    Rewards are 1.0 for a right answer, 0.1 for a box with a wrong one, 0.0 for no box. Their own scores
    between 0 and 1 are not used: many reward texts for their length or for quoting the answer among others.

    Item i of their data sets is made from seed + i, so that neighbouring seeds share items; here an
    item's number is drawn at random from 2^31, and nothing is shared. Items are made in a worker process, where
    the order of sets is fixed: they are the same in every process, whatever its PYTHONHASHSEED.

    Args:
        name: of the data set, such as "basic_arithmetic".
        config: fields of the data set's own config, without `seed` and `size`.
        split: which puzzles are drawn; see `TextEnv`.
        render_mode: None or "ansi".

    Raises:
        ImportError: if reasoning-gym is not installed.
        ValueError: if there is no such data set, it cannot be scored safely, or the config does not fit it.
    """

    def __init__(
        self,
        name: str,
        *,
        config: Mapping[str, Any] | None = None,
        split: Split = "train",
        render_mode: str | None = None,
    ) -> None:
        self.name = name
        self.config = dict(config or {})
        self._rule = rule_of(name)
        self._config_text = _config_text(name, self.config)
        require_package("reasoning_gym", user=f"the data set {name!r}")
        if refused := self._make(None).get("refused"):
            raise ValueError(refused)
        super().__init__(level=(name, self._config_text), split=split, render_mode=render_mode)

    def generate(self, rng: np.random.Generator) -> ReasoningGymPuzzle:
        """Draw an item, and another where its answer does not fit in a box.

        Raises:
            RuntimeError: if no item's does.
        """
        for _ in range(_MAX_DRAWS):
            item = self._item(int(rng.integers(_NUM_ITEMS)))
            if item is None:
                continue
            puzzle = ReasoningGymPuzzle(item["question"], reference_answer(self.name, item), json.dumps(item))
            if self._is_usable(puzzle):
                return puzzle
        raise RuntimeError(f"reasoning-gym's {self.name!r} gave no item with a usable answer in {_MAX_DRAWS} draws")

    def prompt(self, puzzle: ReasoningGymPuzzle) -> str:
        return f"{puzzle.question.strip()}\n{_INSTRUCTION}"

    def verify(self, puzzle: ReasoningGymPuzzle, response: str) -> Verdict:
        answer = last_box(response)
        if answer is None:
            return NO_ANSWER
        if len(answer) > _MAX_ANSWER:
            return WRONG
        try:
            return CORRECT if self._is_correct(puzzle, answer) else WRONG
        except ScorerFailure:
            return SCORER_ERROR

    def oracle(self, puzzle: ReasoningGymPuzzle) -> str:
        return boxed(puzzle.answer)

    def key(self, puzzle: ReasoningGymPuzzle) -> str:
        return puzzle.question

    def _item(self, number: int) -> dict[str, Any] | None:
        """An item; None if their generator fails, or makes another one the second time."""
        try:
            return self._make(number).get("item")
        except ScorerFailure:
            return None

    def _make(self, number: int | None) -> dict[str, Any]:
        twice = self.name in UNREPEATABLE
        request = {"name": self.name, "config": self._config_text, "number": number, "twice": twice}
        return _generators().call(request)

    def _is_usable(self, puzzle: ReasoningGymPuzzle) -> bool:
        """Whether a box can hold the answer, and our own check, where there is one, agrees with it."""
        answer = last_box(boxed(puzzle.answer))
        if answer is None or answer != puzzle.answer.strip():
            return False
        return self._rule.check is None or self._is_correct(puzzle, answer)

    def _is_correct(self, puzzle: ReasoningGymPuzzle, answer: str) -> bool:
        """Whether an answer is right as it stands, or without dress, unless that spoils the right answer too."""
        if self._is_right(puzzle, answer):
            return True
        bare = plain(answer)
        return bare != answer and self._is_right(puzzle, plain(puzzle.answer)) and self._is_right(puzzle, bare)

    def _is_right(self, puzzle: ReasoningGymPuzzle, answer: str) -> bool:
        if any(character.isdecimal() and not character.isascii() for character in answer):
            return False  # Python reads the digits of all scripts, and so do their scorers
        if self._rule.check is not None:
            return self._rule.check(json.loads(puzzle.entry), answer)
        if self._rule.form and not self._rule.form.fullmatch(answer):
            return False
        request = {
            "name": self.name,
            "config": self._config_text,
            "entry": puzzle.entry,
            "reference": puzzle.answer,
            "answer": answer,
        }
        return shared_pool(_SCORER).call(request) >= _FULL_MARKS


def reasoning_gym_names() -> list[str]:
    """The data sets that make a task, in alphabetical order."""
    return sorted(RULES)


def reasoning_gym_task(name: str, *, config: Mapping[str, Any] | None = None) -> Task:
    """A data set as a task called "reasoning_gym/<name>"; arguments and errors are as in `ReasoningGymEnv`."""
    rule_of(name)
    make = partial(ReasoningGymEnv, name, config=config, render_mode="ansi")
    return Task.from_text(f"reasoning_gym/{name}", make)


def _config_text(name: str, config: Mapping[str, Any]) -> str:
    try:
        return json.dumps(config, sort_keys=True)
    except TypeError as error:
        raise ValueError(f"config of {name!r} must hold what JSON can: {error}, got {config!r:.200}") from error


@cache
def _generators() -> WorkerPool:
    """A worker for all data sets: what takes longer than a minute on a busy machine is no item."""
    pool = WorkerPool(_GENERATOR, num_workers=1, seconds=60.0)
    atexit.register(pool.close)
    return pool
