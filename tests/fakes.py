"""Scripted stand-ins that several tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.filters import success_differs
from mtgrpo_env.plans import BatchPlan, BatchSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.rollout import Policy, RollOut, rollout_groups
from mtgrpo_env.spaces import TEXT
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, WRONG, TextEnv, Verdict
from mtgrpo_env.types import Batch, FloatArray, Group, GroupFilter, IntArray, Problem, Rollout, Step


class ScriptedPolicy:
    """Asks `choose(observation, task_id, place)` for each action; `place` is its index in the call."""

    def __init__(self, choose: Callable[[Any, int, int], Any]) -> None:
        self.choose = choose
        self.calls: list[tuple[list[Any], list[int]]] = []
        self.deterministic: list[bool] = []

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[Any], list[Any]]:
        self.calls.append((list(observations), list(task_ids)))
        self.deterministic.append(deterministic)
        actions = [self.choose(o, k, i) for i, (o, k) in enumerate(zip(observations, task_ids, strict=True))]
        return actions, [("extra", action) for action in actions]


class Guess(gym.Env[Any, Any]):
    """One step: is this bit of the problem set? Bits are set with probability `chance`, each on its own.

    Bit 0 and bit 1 differ, so that two rollouts that ask for one each are informative, with probability
    2 chance (1 - chance): a task whose filter rate is known.
    """

    observation_space = spaces.Discrete(2**16)
    action_space = spaces.Discrete(2)

    def __init__(self, chance: float = 0.5) -> None:
        self.chance = chance
        self.seeds: list[int | None] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.bits = self.np_random.random(2) < self.chance
        return int(self.np_random.integers(2**16)), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        is_set = bool(self.bits[action])
        return 0, float(is_set), True, False, {"is_success": is_set}


def guess_suite(chances: Sequence[float], *, seed: int = 0) -> TaskSuite:
    """One `Guess` task for each chance."""
    return TaskSuite([Task(f"guess-{k}", partial(Guess, chance)) for k, chance in enumerate(chances)], seed=seed)


class Scripted(gym.Env[str, str]):
    """One step whose reward and `info` are a function of the action."""

    observation_space = TEXT
    action_space = TEXT

    def __init__(self, script: Callable[[str], tuple[float, dict[str, Any]]]) -> None:
        self.script = script

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        return "go", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        reward, info = self.script(action)
        return "", reward, True, False, info


class Sum(TextEnv[tuple[int, int]]):
    """Add two numbers."""

    def generate(self, rng: np.random.Generator) -> tuple[int, int]:
        return int(rng.integers(1000)), int(rng.integers(1000))

    def prompt(self, puzzle: tuple[int, int]) -> str:
        return f"{puzzle[0]}+{puzzle[1]}="

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        if not response:
            return NO_ANSWER
        return CORRECT if response == str(sum(puzzle)) else WRONG

    def oracle(self, puzzle: tuple[int, int]) -> str:
        return str(sum(puzzle))

    def guess(self, puzzle: tuple[int, int], rng: np.random.Generator) -> str:
        return str(rng.integers(2000))


class Recording(TaskSuite):
    """A suite that remembers the problems it gave."""

    def reseed(self, seed: int) -> None:
        super().reseed(seed)
        self.given: list[Problem] = []

    def next_problem(self, task_id: int) -> Problem:
        problem = super().next_problem(task_id)
        self.given.append(problem)
        return problem


World = tuple[FloatArray, list[float], int, int]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Task weights z, the share of groups filtered of each task, B, and a seed."""
    z = np.array(draw(st.lists(st.sampled_from([0.0, 0.1, 1.0, 3.0]), min_size=1, max_size=5).filter(any)))
    rates = draw(st.lists(st.sampled_from([0.0, 0.3, 0.9, 1.0]), min_size=len(z), max_size=len(z)))
    return z / z.sum(), rates, draw(st.integers(1, 24)), draw(st.integers(0, 10**6))


def drive(plan: BatchPlan, informative: Callable[[int], bool]) -> list[list[int]]:
    """Play a plan to its end without any env; returns the proposals, round by round."""
    rounds: list[list[int]] = []
    while proposal := plan.propose():
        plan.report(proposal, [informative(k) for k in proposal])
        rounds.append(proposal)
    return rounds


def filtered_at(rates: Sequence[float] | FloatArray, seed: int) -> Callable[[int], bool]:
    """Says of a group of task k that it is informative, with probability 1 - rates[k]."""
    rng = np.random.default_rng(seed)
    return lambda task_id: bool(rng.random() >= rates[task_id])


def kept_tasks(plan: BatchPlan) -> IntArray:
    """(K,) groups selected of each task."""
    selected, _ = plan.select()
    return np.bincount([plan.task_ids[i] for i in selected], minlength=plan.num_tasks)


def sample_batch(
    suite: TaskSuite,
    policy: Policy,
    sampler: BatchSampler[Any],
    z: FloatArray,
    *,
    group_size: int,
    group_filter: GroupFilter = success_differs,
    replay: ReplayBuffer | None = None,
    roll_out: RollOut = rollout_groups,
) -> Batch:
    """The next batch of a curriculum whose weights are set."""
    curriculum = Curriculum(suite, sampler=sampler, group_filter=group_filter, replay=replay)
    curriculum.set_task_weights(z)
    return curriculum.draw(lambda problems: roll_out(suite, policy, problems, group_size))


def group_of(
    rewards: Sequence[float],
    *,
    successes: Sequence[bool] | None = None,
    valid: Sequence[bool] | None = None,
    task_id: int = 0,
) -> Group:
    """A group with these returns; correct where the return is 1, valid everywhere, unless said otherwise."""
    successes = [reward == 1 for reward in rewards] if successes is None else successes
    valid = [True] * len(rewards) if valid is None else valid
    rollouts = (Rollout((Step(0, 0, r, 0.0),), r, s, v) for r, s, v in zip(rewards, successes, valid, strict=True))
    return Group(Problem(task_id, seed=0), tuple(rollouts))
