"""The methods as the paper states them: AdamW on the logits, whose decoupled decay is the β η ξ of Subroutine 2.

Every sampler that generates in rounds has the same budget.
"""

from __future__ import annotations

from mtgrpo_env.agents.base import CLIP_HIGHER, CLIP_SYMMETRIC
from mtgrpo_env.agents.recipes.method import Method, RunFacts
from mtgrpo_env.agents.recipes.scale import scale_of, sequential_weights
from mtgrpo_env.filters import rewards_differ
from mtgrpo_env.logit_optimizers import AdamW
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.task_weights import ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import RegularizedWeights, SelfEvolvingWeights


def mt_grpo(facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    """Multi-Task GRPO: Subroutine 1 with Algorithm 2."""
    return _algorithm_2(facts, _subroutine_1(facts, reward_coef, weight_lr))


def no_acceptance(facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    """MT-GRPO without acceptance-aware inflation."""
    return _algorithm_2(facts, _subroutine_1(facts, reward_coef, weight_lr), max_inflation=1)


def iwu_only(facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    """Improvement-aware weights alone: Subroutine 1, nothing filtered."""
    return _multinomial(facts, _subroutine_1(facts, reward_coef, weight_lr))


def iwu_dapo(facts: RunFacts, *, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    """Subroutine 1 with DAPO's sampler, which does not keep ratios."""
    return _dynamic(facts, _subroutine_1(facts, reward_coef, weight_lr))


def rps_only(facts: RunFacts) -> Method:
    """The ratio-preserving sampler alone: uniform weights with Algorithm 2."""
    return _algorithm_2(facts, UniformWeights(facts.num_tasks))


def reg(facts: RunFacts, *, decay: float, weight_lr: float = 0.025) -> Method:
    """Subroutine 2 with η = `decay`, and Algorithm 2."""
    return _algorithm_2(facts, RegularizedWeights(facts.num_tasks, optimizer=AdamW(weight_lr, l2=decay)))


def grpo(facts: RunFacts) -> Method:
    """GRPO: uniform weights, B draws that are all kept, a symmetric clip."""
    return _multinomial(facts, UniformWeights(facts.num_tasks), clip_high=CLIP_SYMMETRIC)


def dapo(facts: RunFacts) -> Method:
    """DAPO: uniform weights, dynamic sampling."""
    return _dynamic(facts, UniformWeights(facts.num_tasks))


def sec_grpo(facts: RunFacts) -> Method:
    """The bandit of SEC with GRPO."""
    return _multinomial(facts, SelfEvolvingWeights(facts.num_tasks), clip_high=CLIP_SYMMETRIC)


def sec_dapo(facts: RunFacts) -> Method:
    """The bandit of SEC with DAPO."""
    return _dynamic(facts, SelfEvolvingWeights(facts.num_tasks))


def sequential(facts: RunFacts, *, backward: bool) -> Method:
    """One family of tasks after the other, with DAPO."""
    return _dynamic(facts, sequential_weights(facts, backward=backward))


def _subroutine_1(facts: RunFacts, reward_coef: float, weight_lr: float) -> ImprovementAwareWeights:
    scale = scale_of(facts)
    return ImprovementAwareWeights(
        facts.num_tasks,
        reward_coef=reward_coef,
        optimizer=AdamW(weight_lr, l2=scale.weight_decay),
        improvement_clip=scale.improvement_clip,
    )


def _multinomial(facts: RunFacts, weights: TaskWeights, *, clip_high: float = CLIP_HIGHER) -> Method:
    """Nothing is filtered: that only groups with a gradient are informative is for reports, and for a bandit's pay."""
    sampler = MultinomialSampler(*facts.sizes, seed=facts.seed)
    return Method(sampler, weights, clip_high, group_filter=rewards_differ)


def _dynamic(facts: RunFacts, weights: TaskWeights) -> Method:
    scale = scale_of(facts)
    sampler = DynamicSampler(*facts.sizes, seed=facts.seed, max_rounds=1 + scale.resamples)
    return Method(sampler, weights, group_filter=scale.paper_filter)


def _algorithm_2(facts: RunFacts, weights: TaskWeights, *, max_inflation: float = 5) -> Method:
    scale = scale_of(facts)
    limits = {"max_inflation": max_inflation, "max_resamples": scale.resamples}
    sampler = RatioPreservingSampler(*facts.sizes, seed=facts.seed, **limits)
    return Method(sampler, weights, group_filter=scale.paper_filter)
