"""Methods by name: each is a composition of a rule for the task weights, a sampler and a clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mtgrpo_env.logit_optimizers import Adam
from mtgrpo_env.samplers import BatchSampler, DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.task_weights import ImprovementAwareWeights, TaskWeights, UniformWeights


@dataclass(frozen=True, slots=True)
class Method:
    """The parts in which methods differ."""

    sampler: BatchSampler[Any]
    task_weights: TaskWeights
    clip_high: float


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """What methods are built from; a method reads what it needs."""

    num_tasks: int
    batch_size: int
    seed: int = 0
    reward_coef: float = 0.2
    weight_lr: float = 0.025


def grpo(config: MethodConfig) -> Method:
    """Uniform weights, no filter, symmetric clip."""
    sampler = MultinomialSampler(config.num_tasks, config.batch_size, seed=config.seed)
    return Method(sampler, UniformWeights(config.num_tasks), clip_high=0.2)


def dapo(config: MethodConfig) -> Method:
    """Uniform weights, dynamic sampling, clip higher."""
    sampler = DynamicSampler(config.num_tasks, config.batch_size, seed=config.seed)
    return Method(sampler, UniformWeights(config.num_tasks), clip_high=0.28)


def mt_grpo(config: MethodConfig) -> Method:
    """Improvement-aware weights, ratio-preserving sampling, clip higher."""
    sampler = RatioPreservingSampler(config.num_tasks, config.batch_size, seed=config.seed)
    weights = ImprovementAwareWeights(
        config.num_tasks, reward_coef=config.reward_coef, optimizer=Adam(config.weight_lr)
    )
    return Method(sampler, weights, clip_high=0.28)


METHODS: Mapping[str, Callable[[MethodConfig], Method]] = {"mt-grpo": mt_grpo, "dapo": dapo, "grpo": grpo}
