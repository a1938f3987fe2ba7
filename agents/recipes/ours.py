"""Our own methods: ratios by quotas within a budget, and weights without a learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from mtgrpo_env.agents.recipes.method import Method, RunFacts
from mtgrpo_env.logit_optimizers import Adam, AdamW, GradientDescent, LogitOptimizer
from mtgrpo_env.quota_sampler import BUDGET_WITH_REPLAY, QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights

WeightOptimizer = Literal["adam", "adamw", "gradient-descent"]

WEIGHT_OPTIMIZERS: Mapping[WeightOptimizer, Callable[[float], LogitOptimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "gradient-descent": GradientDescent,
}
"""Optimisers of the logits by name, given β. Only with plain gradient descent does λ set how far the weights go."""


def quota_mt_grpo(facts: RunFacts, *, tolerance: float = 0.0) -> Method:
    """The default: no task more than ε below the average accuracy; quotas, replayed groups where they fall short."""
    return _by_quotas(facts, DisparityWeights(facts.num_tasks, tolerance=tolerance))


def quota_iwu(
    facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025, weight_optimizer: WeightOptimizer = "adam"
) -> Method:
    """The weights of Subroutine 1 with our quotas."""
    if weight_optimizer not in WEIGHT_OPTIMIZERS:
        raise ValueError(f"weight_optimizer must be one of {list(WEIGHT_OPTIMIZERS)}, got {weight_optimizer!r}")
    optimizer = WEIGHT_OPTIMIZERS[weight_optimizer](weight_lr)
    return _by_quotas(facts, ImprovementAwareWeights(facts.num_tasks, reward_coef=reward_coef, optimizer=optimizer))


def quota_only(facts: RunFacts) -> Method:
    """Uniform weights with our quotas: ratio preservation alone."""
    return _by_quotas(facts, UniformWeights(facts.num_tasks))


def one_round(facts: RunFacts, *, tolerance: float = 0.0) -> Method:
    """One acceptance-aware round of B groups: the ratio by loss weights alone."""
    sampler = QuotaSampler(*facts.sizes, seed=facts.seed, max_generated=1, max_rounds=1)
    return Method(sampler, DisparityWeights(facts.num_tasks, tolerance=tolerance))


def _by_quotas(facts: RunFacts, weights: TaskWeights) -> Method:
    sampler = QuotaSampler(*facts.sizes, seed=facts.seed, max_generated=BUDGET_WITH_REPLAY)
    return Method(sampler, weights, replay=ReplayBuffer())
