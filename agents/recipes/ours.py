"""Our own methods: ratios by quotas within a budget, and weights without a learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from mtgrpo_env.agents.recipes.method import Method, RunFacts
from mtgrpo_env.logit_optimizers import Adam, AdamW, GradientDescent, LogitOptimizer
from mtgrpo_env.quota_sampler import REPLAYED_BY_DEFAULT, QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.task_weights import (
    SOLVED,
    DisparityWeights,
    ImprovementAwareWeights,
    TaskWeights,
    UniformWeights,
)

WeightOptimizer = Literal["adam", "adamw", "gradient-descent"]

WEIGHT_OPTIMIZERS: Mapping[WeightOptimizer, Callable[[float], LogitOptimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "gradient-descent": GradientDescent,
}
"""Optimisers of the logits by name, given β. Only with plain gradient descent does λ set how far the weights go."""


def quota_mt_grpo(facts: RunFacts, *, tolerance: float = 0.0, max_replayed: float = REPLAYED_BY_DEFAULT) -> Method:
    """The default: no task more than ε below the average accuracy; quotas, replayed groups where they fall short."""
    return _by_quotas(facts, DisparityWeights(facts.num_tasks, tolerance=tolerance, solved=SOLVED), max_replayed)


def quota_iwu(
    facts: RunFacts,
    *,
    reward_coef: float = 0.2,
    weight_lr: float = 0.025,
    weight_optimizer: WeightOptimizer = "adam",
    max_replayed: float = REPLAYED_BY_DEFAULT,
) -> Method:
    """The weights of Subroutine 1 with our quotas."""
    if weight_optimizer not in WEIGHT_OPTIMIZERS:
        raise ValueError(f"weight_optimizer must be one of {list(WEIGHT_OPTIMIZERS)}, got {weight_optimizer!r}")
    optimizer = WEIGHT_OPTIMIZERS[weight_optimizer](weight_lr)
    weights = ImprovementAwareWeights(facts.num_tasks, reward_coef=reward_coef, optimizer=optimizer)
    return _by_quotas(facts, weights, max_replayed)


def quota_only(facts: RunFacts, *, max_replayed: float = REPLAYED_BY_DEFAULT) -> Method:
    """Uniform weights with our quotas: ratio preservation alone."""
    return _by_quotas(facts, UniformWeights(facts.num_tasks), max_replayed)


def one_round(facts: RunFacts, *, tolerance: float = 0.0) -> Method:
    """One acceptance-aware round of B groups: the ratio by loss weights alone."""
    sampler = QuotaSampler(*facts.sizes, seed=facts.seed, max_generated=1, max_rounds=1)
    return Method(sampler, DisparityWeights(facts.num_tasks, tolerance=tolerance))


def _by_quotas(facts: RunFacts, weights: TaskWeights, max_replayed: float) -> Method:
    sampler = QuotaSampler.beside_replay(*facts.sizes, seed=facts.seed, max_replayed=max_replayed)
    return Method(sampler, weights, replay=ReplayBuffer())
