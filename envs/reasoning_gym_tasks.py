r"""Any data set of reasoning-gym as a task, behind scoring that is safe: see `reasoning_gym_scoring`.

Needs the package, which is optional: `pip install '.[reasoning-gym]'` in the checkout.
"""

from __future__ import annotations

import io
import json
import os
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from mtgrpo_env.envs.answers import boxed, last_box
from mtgrpo_env.envs.reasoning_gym_scoring import RULES, UNREPEATABLE, reference_answer, rule_of
from mtgrpo_env.envs.worker_pool import ScorerFailure, shared_pool
from mtgrpo_env.suite import Task
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, SCORER_ERROR, WRONG, TextEnv, Verdict
from mtgrpo_env.types import Split

_SCORER = "mtgrpo_env.envs.reasoning_gym_worker:score"
_FULL_MARKS = 1 - 1e-9
_MAX_ANSWER = 20_000
_MAX_DRAWS = 100
_NUM_ITEMS = 2**31  # a few of their data sets pass seed + index to numpy, which takes 32 bits
# These prepare all items of a data set when it is made, or limit their number, so that each item here is
# the first of a data set of its own; five is the fewest that they make.
_PREPARED = frozenset({"acre", "gsm_symbolic", "list_functions", "word_ladder"})
_PREPARED_SIZE = 5
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
    item's number is drawn at random from 2^31, and nothing is shared.

    Args:
        name: of the data set, such as "basic_arithmetic".
        config: fields of the data set's own config, without `seed` and `size`.
        split: which puzzles are drawn; see `TextEnv`.
        render_mode: None or "ansi".

    Raises:
        ImportError: if reasoning-gym is not installed.
        ValueError: if there is no such data set, it cannot be scored safely, it cannot be repeated in another
            process, or the config does not fit it.
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
        self._check = rule_of(name).check
        self._config_text = _config_text(name, self.config)
        if name in UNREPEATABLE and _hashes_are_random():
            raise ValueError(
                f"puzzles of {name!r} differ from process to process: set PYTHONHASHSEED=0 before Python starts"
            )
        self._dataset = _shared_dataset(name, self._config_text)
        super().__init__(level=(name, self._config_text), split=split, render_mode=render_mode)

    def generate(self, rng: np.random.Generator) -> ReasoningGymPuzzle:
        """Draw an item, and another where its answer does not fit in a box.

        Raises:
            RuntimeError: if no item's does.
        """
        for _ in range(_MAX_DRAWS):
            number = int(rng.integers(_NUM_ITEMS))
            with _left_alone(number):
                item = self._item(number)
            answer = reference_answer(self.name, item)
            puzzle = ReasoningGymPuzzle(item["question"], answer, json.dumps(item, default=_plain))
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

    def _item(self, number: int) -> dict[str, Any]:
        if self.name in _PREPARED:
            return _make_dataset(self.name, self._config_text, seed=number, size=_PREPARED_SIZE)[0]
        return self._dataset[number]

    def _is_usable(self, puzzle: ReasoningGymPuzzle) -> bool:
        """Whether a box can hold the answer, and our own check, where there is one, agrees with it."""
        answer = last_box(boxed(puzzle.answer))
        if answer is None or answer != puzzle.answer.strip():
            return False
        return self._check is None or self._is_correct(puzzle, answer)

    def _is_correct(self, puzzle: ReasoningGymPuzzle, answer: str) -> bool:
        if self._check is not None:
            return self._check(json.loads(puzzle.entry), answer)
        request = {
            "name": self.name,
            "config": self._config_text,
            "entry": puzzle.entry,
            "reference": puzzle.answer,
            "answer": answer,
        }
        return shared_pool(_SCORER).call(request) >= _FULL_MARKS


def reasoning_gym_names() -> list[str]:
    """The data sets that make a task in this process, in alphabetical order."""
    return sorted(RULES.keys() - (UNREPEATABLE if _hashes_are_random() else set()))


def reasoning_gym_task(name: str, *, config: Mapping[str, Any] | None = None) -> Task:
    """A data set as a task called "reasoning_gym/<name>"; arguments and errors are as in `ReasoningGymEnv`."""
    rule_of(name)
    make = partial(ReasoningGymEnv, name, config=config, render_mode="ansi")
    return Task.from_text(f"reasoning_gym/{name}", make)


def _hashes_are_random() -> bool:
    return os.environ.get("PYTHONHASHSEED", "random") == "random"


def _config_text(name: str, config: Mapping[str, Any]) -> str:
    try:
        return json.dumps(config, sort_keys=True)
    except TypeError as error:
        raise ValueError(f"config of {name!r} must hold what JSON can: {error}, got {config!r:.200}") from error


@lru_cache(maxsize=64)
def _shared_dataset(name: str, config: str) -> Any:
    """One data set for all envs of a group: some take a third of a second to make. Items do not change it."""
    return _make_dataset(name, config, seed=0, size=_PREPARED_SIZE if name in _PREPARED else _NUM_ITEMS)


def _make_dataset(name: str, config: str, *, seed: int, size: int) -> Any:
    from mtgrpo_env.envs.reasoning_gym_worker import make_dataset  # imports reasoning-gym, which takes seconds

    return make_dataset(name, json.loads(config), seed=seed, size=size)


@contextmanager
def _left_alone(seed: int) -> Iterator[None]:
    """Keeps their generators from touching the process: its global generators, its output and its warnings.

    Some draw from the global generators, which are seeded here so that this can be repeated.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


def _plain(value: Any) -> Any:
    """What JSON has no form for."""
    return value.item() if isinstance(value, np.generic) else str(value)
