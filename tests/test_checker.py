from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Guess, Scripted, Sum
from gymnasium import spaces
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from mtgrpo_env import text_env
from mtgrpo_env.checker import TaskCheckError, check_task
from mtgrpo_env.hostile import canaries
from mtgrpo_env.suite import Task
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, WRONG, Verdict
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
        return (
            {"a": np.zeros(3, np.float32), "b": (np.zeros((2, 2), np.float32),)},
            0.0,
            True,
            False,
            {"is_success": False},
        )


class FailingAtTimes(Sum):
    def generate(self, rng: np.random.Generator) -> tuple[int, int]:
        puzzle = super().generate(rng)
        if puzzle[0] % 40 == 7:
            raise ZeroDivisionError("no such sum")
        return puzzle


class OnePrompt(Sum):
    def prompt(self, puzzle: tuple[int, int]) -> str:
        return "which sum am I thinking of?"

    def key(self, puzzle: tuple[int, int]) -> str:
        return str(puzzle)


class Judging(Sum):
    """Judges what is not a number by `judge`."""

    judge: Callable[[str], Verdict]

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        is_number = response.isascii() and response.isdigit()
        return super().verify(puzzle, response) if is_number or not response else type(self).judge(response)


class Crashing(Judging):
    @staticmethod
    def judge(response: str) -> Verdict:
        return WRONG if response.encode() else NO_ANSWER


class Hanging(Judging):
    @staticmethod
    def judge(response: str) -> Verdict:
        while "9**9" in response:
            pass
        return WRONG


class Evaluating(Judging):
    """Runs what it is given, as verifiers of arithmetic often do."""

    @staticmethod
    def judge(response: str) -> Verdict:
        with suppress(Exception):
            exec(response.removeprefix("\\boxed{").removesuffix("}") if "environ" in response else "0")
        return WRONG


class Exiting(Judging):
    @staticmethod
    def judge(response: str) -> Verdict:
        return WRONG if "[" not in response else os._exit(1)


class Paying(Judging):
    @staticmethod
    def judge(response: str) -> Verdict:
        return CORRECT if "True" in response else WRONG


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
        # whoever meets such a puzzle first: gymnasium's check resets without a seed
        (FailingAtTimes, "(raised in reset on the problem of seed .*|fails gymnasium's check_env: )no such sum"),
        (OnePrompt, "shows the same first observation for every seed"),
    ],
)
def test_a_broken_text_task_is_named_with_the_promise_it_breaks(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TaskCheckError, match=f"task 'broken' {message}"):
        check_task(Task.from_text("broken", make))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Crashing, "the verifier raises on the hostile response 'lone surrogates': UnicodeEncodeError"),
        (Hanging, r"the verifier takes more than 1 s over the hostile response .*9\*\*9"),
        (Evaluating, "'code that sets a variable': it runs it as code"),
        (Exiting, r"the verifier ends the process on the hostile response .*\["),
        (Paying, "'True': it calls it correct"),
    ],
)
def test_a_verifier_that_hostile_responses_break_is_named_with_the_response(
    make: Callable[[], Any], message: str
) -> None:
    with pytest.raises(TaskCheckError, match=message):
        check_task(Task.from_text("broken", make), num_problems=2, seconds=1)
    assert not canaries()


def test_an_env_with_one_start_passes_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="'deaf' shows the same first observation for every seed"):
        check_task(Task("deaf", Deaf))


class Endless(Guess):
    """No action ends it."""

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return 0, 0.0, False, False, {}


class Chatty(Sum):
    """Asks again whatever the response."""

    def reply(self, puzzle: tuple[int, int], responses: Sequence[str]) -> Verdict | str:
        return "Try again."


@pytest.mark.parametrize(
    ("task", "remedy"),
    [
        (Task("endless", Endless), r"give its env a limit \(`max_episode_steps`\)"),
        (Task.from_text("endless", Chatty), "let `reply` end it after some turns"),
    ],
    ids=["numbers", "text"],
)
def test_an_episode_that_random_actions_do_not_end_is_a_warning(task: Task, remedy: str) -> None:
    with pytest.warns(UserWarning, match=f"'endless' has no step limit, .* did not end in 1000 steps: .*{remedy}"):
        check_task(task, num_problems=2)


def test_a_step_limit_of_any_length_is_one() -> None:
    check_task(Task("limited", lambda: OrderEnforcing(TimeLimit(Endless(), 2000))))


def test_more_problems_find_rarer_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_env, "_recent_puzzles", {})
    played: list[tuple[int, int]] = []

    class Watched(Sum):
        def oracle(self, puzzle: tuple[int, int]) -> str:
            played.append(puzzle)
            return super().oracle(puzzle)

    check_task(Task.from_text("watched", Watched), num_problems=7)
    assert len(set(played)) == 14


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


def test_tasks_are_checked_by_any_of_their_names() -> None:
    check_task("arc-mini, guessing-mini", num_problems=2)
    with pytest.raises(ValueError, match="task must be one of"):
        check_task("ark-mini")


class Anywhere(Sum):
    """Looks for the answer anywhere in a response."""

    def prompt(self, puzzle: tuple[int, int]) -> str:
        return f"Which is larger, {puzzle[0]} or {puzzle[1]}?"

    def oracle(self, puzzle: tuple[int, int]) -> str:
        return str(max(puzzle))

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        return CORRECT if str(max(puzzle)) in response else WRONG


class AnyList(Anywhere):
    """The same, of short responses."""

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        return super().verify(puzzle, response) if len(response) < 12 else NO_ANSWER


class AnyLetter(Sum):
    """Looks for a letter anywhere in a response that is a list of letters."""

    def prompt(self, puzzle: tuple[int, int]) -> str:
        return f"{puzzle[0]}+{puzzle[1]}=?\nA. {sum(puzzle)}\nB) 0\nC: 1"

    def oracle(self, puzzle: tuple[int, int]) -> str:
        return "A"

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        is_list = all(len(part) == 1 for part in response.split(", "))
        return CORRECT if is_list and "A" in response.split(", ") else NO_ANSWER


class AnyOption(Anywhere):
    """Takes either number for the answer."""

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        return CORRECT if response in map(str, puzzle) else WRONG


class Sorting(Anywhere):
    """Numbers that often stand in order already."""

    def prompt(self, puzzle: tuple[int, int]) -> str:
        return f"Sort {puzzle[0]}, {puzzle[1]}"

    def oracle(self, puzzle: tuple[int, int]) -> str:
        return ", ".join(map(str, sorted(puzzle)))

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        return CORRECT if response.replace(",", " ").split() == [*map(str, sorted(puzzle))] else WRONG


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Anywhere, r"accepts the prompt repeated, 'Which is larger, \d+ or \d+\?'.* right on 40 of 40 problems"),
        (AnyList, r"accepts every number of the prompt listed, '\d+, \d+'"),
        (AnyLetter, "accepts every letter listed, 'A, B, C'"),
        (AnyOption, r"accepts each option alone, '\d+'"),
    ],
)
def test_a_verifier_that_accepts_a_response_without_thought_is_named_with_the_response(
    make: Callable[[], Any], message: str
) -> None:
    with pytest.raises(TaskCheckError, match=message):
        check_task(Task.from_text("lenient", make))


def test_options_that_are_the_answer_as_they_stand_are_no_list() -> None:
    check_task(Task.from_text("sorting", Sorting))


def test_a_verifier_that_raises_on_the_prompt_is_named_with_it() -> None:
    class Raising(Sum):
        def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
            if response.endswith("="):
                raise ArithmeticError("no number")
            return super().verify(puzzle, response)

    with pytest.raises(TaskCheckError, match=r"the verifier raises on '\d+\+\d+=': ArithmeticError"):
        check_task(Task.from_text("raising", Raising))


@pytest.mark.filterwarnings("ignore:task 'boundless' shows the same first observation:UserWarning")
@pytest.mark.parametrize("reward", [math.inf, math.nan, 1e308])
def test_a_reward_that_is_no_finite_number_is_named_with_its_task(reward: float) -> None:
    task = Task("boundless", partial(Scripted, lambda action: (reward, {"is_success": True})))
    with pytest.raises(TaskCheckError, match=r"task 'boundless'.*(finite number, got|reward is an? (NaN|inf))"):
        check_task(task)
