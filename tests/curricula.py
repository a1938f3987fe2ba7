"""Curricula of every composition on tasks whose filter rates are known, and what some steps of them give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fakes import ScriptedPolicy, guess_suite

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.samplers_released import DelayedSampler, ReleasedDynamicSampler, ReleasedRatioPreservingSampler
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import (
    ForgettingSelfEvolvingWeights,
    RegularizedWeights,
    SelfEvolvingWeights,
    SequentialWeights,
)
from mtgrpo_env.task_weights_floored import GapWeights, ProgressWeights, VarianceWeights
from mtgrpo_env.task_weights_literature import DUMPWeights, GDROWeights
from mtgrpo_env.types import Group, Problem

CHANCES = (0.5, 0.1, 0.9)
K, B, N = 3, 8, 2
BITS = ScriptedPolicy(lambda observation, task_id, place: place % 2)  # the two rollouts of a group ask for one bit each

SAMPLERS: dict[str, Callable[..., Any]] = {
    "quota": partial(QuotaSampler, max_generated=2.0),
    "multinomial": MultinomialSampler,
    "dynamic": partial(DynamicSampler, oversampling=1.5),
    "ratio-preserving": RatioPreservingSampler,
    "released dynamic": ReleasedDynamicSampler,
    "released ratio-preserving": ReleasedRatioPreservingSampler,
    "delayed": lambda *sizes, seed: DelayedSampler(
        MultinomialSampler(*sizes, seed=seed), QuotaSampler(*sizes, seed=seed), first_step=3
    ),
}
RULES: dict[str, Callable[[int], TaskWeights]] = {
    "uniform": UniformWeights,
    "disparity": DisparityWeights,
    "disparity with a ceiling": partial(DisparityWeights, solved=0.85),
    "gap": GapWeights,
    "variance": VarianceWeights,
    "progress": ProgressWeights,
    "improvement-aware": ImprovementAwareWeights,
    "regularized": RegularizedWeights,
    "self-evolving": SelfEvolvingWeights,
    "forgetting": ForgettingSelfEvolvingWeights,
    "dump": DUMPWeights,
    "gdro": GDROWeights,
    "sequential": lambda num_tasks: SequentialWeights([[k] for k in range(num_tasks)], num_steps=9),
}


def roll_out(suite: TaskSuite) -> Callable[[Sequence[Problem]], list[Group]]:
    return lambda problems: rollout_groups(suite, BITS, problems, N)


def guessing(*, seed: int = 0, **parts: Any) -> tuple[Curriculum, TaskSuite]:
    suite = guess_suite(CHANCES, seed=seed)
    return Curriculum(suite, seed=seed, **{"batch_size": None if "sampler" in parts else B, **parts}), suite


def composed(sampler: str, rule: str, *, replayed: bool, seed: int = 0) -> tuple[Curriculum, TaskSuite]:
    parts = {"sampler": SAMPLERS[sampler](K, B, seed=seed), "task_weights": RULES[rule](K)}
    return guessing(seed=seed, **parts, replay=ReplayBuffer() if replayed else None)


def draws(curriculum: Curriculum, suite: TaskSuite, count: int) -> list[tuple[Any, ...]]:
    """What some steps give, each with improvements that depend on the batch alone."""
    log: list[tuple[Any, ...]] = []
    for _ in range(count):
        batch = curriculum.draw(roll_out(suite))
        curriculum.update(batch, batch.generated / (10.0 * B))
        numbers = (batch.loss_weights.tolist(), batch.task_weights.tolist(), batch.replayed)
        log.append((batch.groups, *numbers, curriculum.probabilities.tolist(), curriculum.rewards.tolist()))
    return log
