"""The methods as the paper's released code runs them, read line by line: for reproductions.

Coupled Adam on the logits, updated after every minibatch with summed improvements, and with accuracy for the reward.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mtgrpo_env.agents.base import CLIP_HIGHER, CLIP_SYMMETRIC
from mtgrpo_env.agents.improvement import MinibatchImprovement, summed_change
from mtgrpo_env.agents.recipes.method import Method, RunFacts
from mtgrpo_env.agents.recipes.scale import scale_of, sequential_weights
from mtgrpo_env.filters import rewards_differ
from mtgrpo_env.logit_optimizers import Adam
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.reward_estimates import AverageAccuracy
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.samplers_released import (
    DelayedSampler,
    ReleasedDynamicSampler,
    ReleasedRatioPreservingSampler,
    RoundBudget,
)
from mtgrpo_env.task_weights import ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import ForgettingSelfEvolvingWeights, RegularizedWeights


def mt_grpo(facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    """Multi-Task GRPO: Subroutine 1 with Algorithm 2; inflation is off in every script for three tasks."""
    inflation = scale_of(facts).released_max_inflation
    return _algorithm_2(facts, _subroutine_1(facts, reward_coef, weight_lr), max_inflation=inflation)


def no_acceptance(facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    """MT-GRPO without acceptance-aware inflation."""
    return _algorithm_2(facts, _subroutine_1(facts, reward_coef, weight_lr), max_inflation=1)


def iwu_only(facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    """Subroutine 1, nothing filtered."""
    return _multinomial(facts, _subroutine_1(facts, reward_coef, weight_lr))


def iwu_dapo(facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    """Subroutine 1 with DAPO's sampler."""
    return _dynamic(facts, _subroutine_1(facts, reward_coef, weight_lr))


def rps_only(facts: RunFacts) -> Method:
    """Uniform weights with Algorithm 2."""
    weights = UniformWeights(facts.num_tasks)
    return _algorithm_2(facts, weights, max_inflation=scale_of(facts).released_max_inflation)


def reg(facts: RunFacts, *, decay: float, weight_lr: float = 0.025) -> Method:
    """Subroutine 2 with η = `decay` on 0.2 J, and Algorithm 2."""
    weights = RegularizedWeights(facts.num_tasks, reward_coef=0.2, optimizer=Adam(weight_lr, l2=decay))
    return _algorithm_2(facts, weights, max_inflation=scale_of(facts).released_max_inflation)


def grpo(facts: RunFacts) -> Method:
    """Uniform weights, B draws that are all kept, a symmetric clip."""
    return _multinomial(facts, UniformWeights(facts.num_tasks), clip_high=CLIP_SYMMETRIC)


def dapo(facts: RunFacts) -> Method:
    """Uniform weights, dynamic sampling under the released budget."""
    return _dynamic(facts, UniformWeights(facts.num_tasks))


def sec_grpo(facts: RunFacts) -> Method:
    """SEC with GRPO; an arm that was not played decays."""
    return _multinomial(facts, ForgettingSelfEvolvingWeights(facts.num_tasks), clip_high=CLIP_SYMMETRIC)


def sec_dapo(facts: RunFacts) -> Method:
    """SEC with DAPO; an arm that was not played decays."""
    return _dynamic(facts, ForgettingSelfEvolvingWeights(facts.num_tasks))


def sequential(facts: RunFacts, *, backward: bool) -> Method:
    """One family of tasks after the other, with DAPO."""
    return _dynamic(facts, sequential_weights(facts, backward=backward))


def _subroutine_1(facts: RunFacts, reward_coef: float, weight_lr: float) -> ImprovementAwareWeights:
    scale = scale_of(facts)
    return ImprovementAwareWeights(
        facts.num_tasks,
        reward_coef=reward_coef,
        optimizer=Adam(weight_lr, l2=scale.weight_decay),
        improvement_clip=scale.improvement_clip * facts.policy_lr / 1e-6,
    )


def _multinomial(facts: RunFacts, weights: TaskWeights, *, clip_high: float = CLIP_HIGHER) -> Method:
    sampler = MultinomialSampler(*facts.sizes, seed=facts.seed)
    return _method(facts, sampler, weights, group_filter=rewards_differ, clip_high=clip_high)


def _dynamic(facts: RunFacts, weights: TaskWeights) -> Method:
    return _method(facts, _dynamic_sampler(facts), weights, group_filter=scale_of(facts).released_filter)


def _algorithm_2(facts: RunFacts, weights: TaskWeights, *, max_inflation: float) -> Method:
    scale = scale_of(facts)
    sampler: BatchSampler[Any] = ReleasedRatioPreservingSampler(
        *facts.sizes, seed=facts.seed, max_inflation=max_inflation, budget=_budget(facts)
    )
    if scale.released_ratio_from_step > 1:
        sampler = DelayedSampler(_dynamic_sampler(facts), sampler, first_step=scale.released_ratio_from_step)
    return _method(facts, sampler, weights, group_filter=scale.released_filter)


def _dynamic_sampler(facts: RunFacts) -> ReleasedDynamicSampler:
    return ReleasedDynamicSampler(*facts.sizes, seed=facts.seed, budget=_budget(facts))


def _budget(facts: RunFacts) -> RoundBudget:
    return RoundBudget(max_rounds=scale_of(facts).resamples)


def _method(facts: RunFacts, sampler: BatchSampler[Any], weights: TaskWeights, **options: Any) -> Method:
    """Rules on the logits move with every minibatch; the others with every step."""
    if not isinstance(weights, ImprovementAwareWeights):
        return Method(sampler, weights, **options)
    every_minibatch = partial(MinibatchImprovement, change=summed_change)
    estimate = AverageAccuracy(facts.num_tasks)
    return Method(sampler, weights, reward_estimate=estimate, improvement=every_minibatch, **options)
