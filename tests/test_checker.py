from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Guess, Sum
from gymnasium import spaces

from mtgrpo_env import text_env
from mtgrpo_env.checker import TaskCheckError, check_task
from mtgrpo_env.suite import Task
from mtgrpo_env.text_env import CORRECT, WRONG, Verdict
from mtgrpo_env.types import Split


class Restless(Guess):
    """Ignores its seed."""

    drawn = count()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return next(self.drawn) % 2**16, {}


class OwnRandomness(Guess):
    """Resets to one start within an env, and to another in every other env."""

    made = count()

    def __init__(self) -> None:
        super().__init__()
        self.offset = next(self.made)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        return (observation + self.offset) % 2**16, info


class Deaf(Guess):
    """Shows the same start whatever the seed."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return 7, {}


class OutsideItsSpace(Guess):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return -1, {}


class WrongOracle(Sum):
    def oracle(self, puzzle: tuple[int, int]) -> str:
        return str(sum(puzzle) + 1)


class OracleWrongAtTimes(Sum):
    def oracle(self, puzzle: tuple[int, int]) -> str:
        return str(sum(puzzle) + (puzzle[0] % 4 == 0))


class Gullible(Sum):
    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        return CORRECT if response in ("", str(sum(puzzle))) else WRONG


class Leaking(Sum):
    """Asks the same few sums in both splits: its split ignores the key."""

    def generate(self, rng: np.random.Generator) -> tuple[int, int]:
        return int(rng.integers(3)), int(rng.integers(3))

    def _search(self, split: Split, rng: np.random.Generator) -> tuple[int, int]:
        return self.generate(rng)


class RandomPuzzles(Sum):
    """Generates from a generator of its own, which the store of recent puzzles hides within a process."""

    own = np.random.default_rng(0)

    def generate(self, rng: np.random.Generator) -> tuple[int, int]:
        return super().generate(self.own)


class Pictures(gym.Env[Any, Any]):
    """Dictionaries and tuples of arrays for observations."""

    observation_space = spaces.Dict({"a": spaces.Box(0, 1, (3,)), "b": spaces.Tuple([spaces.Box(0, 1, (2, 2))])})
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        draw = self.np_random.random
        return {"a": draw(3, dtype=np.float32), "b": (draw((2, 2), dtype=np.float32),)}, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return {"a": np.zeros(3, np.float32), "b": (np.zeros((2, 2), np.float32),)}, 0.0, True, False, {}


@pytest.mark.filterwarnings("ignore:.*Box observation space .* value is .*infinity.*")
@pytest.mark.parametrize(
    "task",
    [Task("guess", Guess), Task.from_text("sum", Sum), Task("pictures", Pictures), Task.from_id("CartPole-v1")],
    ids=lambda task: task.name,
)
def test_a_good_task_passes(task: Task) -> None:
    check_task(task)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Restless, r"is not one problem under seed \d+ when reset twice: \d+ and \d+"),
        (OwnRandomness, r"is not one problem under seed \d+ when reset in another env"),
        (Deaf, "shows the same first observation for every seed"),
        (OutsideItsSpace, "fails gymnasium's check_env: .*not within the observation space"),
    ],
)
def test_a_broken_env_is_named_with_the_promise_it_breaks(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TaskCheckError, match=f"task 'broken' {message}"):
        check_task(Task("broken", make))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (WrongOracle, r"rejects its own oracle '\d+' under seed \d+: Verdict\(reward=0.1"),
        (OracleWrongAtTimes, "rejects its own oracle"),
        (Gullible, "accepts an empty response"),
        (Leaking, r"has puzzles in both splits: \['0\+0="),
        (RandomPuzzles, "generates another puzzle from the same generator"),
    ],
)
def test_a_broken_text_task_is_named_with_the_promise_it_breaks(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TaskCheckError, match=f"task 'broken' {message}"):
        check_task(Task.from_text("broken", make))


def test_more_problems_find_rarer_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_env, "_recent_puzzles", {})
    played: list[tuple[int, int]] = []

    class Watched(Sum):
        def oracle(self, puzzle: tuple[int, int]) -> str:
            played.append(puzzle)
            return super().oracle(puzzle)

    check_task(Task.from_text("watched", Watched), num_problems=7)
    assert len(played) == 14


def test_checking_leaves_no_env_open() -> None:
    made, closed = [], []

    class Closing(Guess):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        def close(self) -> None:
            closed.append(self)

    check_task(Task("closing", Closing))
    assert set(map(id, closed)) >= set(map(id, made))
