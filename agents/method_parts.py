"""The parts that methods are composed of, as three sources have them: ourselves, the paper, its released code.

A set of parts answers "which sampler is meant by Algorithm 2?"; which parts make a method stands in `methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from mtgrpo_env.agents.signals import (
    AverageAccuracy,
    Improve,
    LatestReward,
    RecentAccuracy,
    RewardEstimate,
    improve_for,
    once_per_minibatch,
    summed_change,
)
from mtgrpo_env.carry_over import CarryOver
from mtgrpo_env.filters import lenient, released_lenient, strict
from mtgrpo_env.logit_optimizers import Adam, AdamW, GradientDescent, LogitOptimizer
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.quota_sampler import BUDGET_WITH_CARRY_OVER, QuotaSampler
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.samplers_released import (
    DelayedSampler,
    ReleasedDynamicSampler,
    ReleasedRatioPreservingSampler,
    RoundBudget,
)
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import (
    ForgettingSelfEvolvingWeights,
    RegularizedWeights,
    SelfEvolvingWeights,
    SequentialWeights,
)
from mtgrpo_env.types import GroupFilter

WEIGHT_OPTIMIZERS: Mapping[str, Callable[[float], LogitOptimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "gradient-descent": GradientDescent,
}
"""Optimisers of the logits by name, given β. Only with plain gradient descent does λ set how far the weights go."""


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """What methods are built from; a method reads what it needs.

    Raises:
        ValueError: if a name is unknown, or the weight optimizer is not the preset's to choose.
    """

    num_tasks: int
    """K."""
    batch_size: int
    """B, in groups."""
    seed: int = 0
    """Of the sampler."""
    tolerance: float = 0.0
    """ε, how far a task's accuracy may be below the average before it is given more of the batch."""
    reward_coef: float = 0.2
    """λ, weight of the reward against the improvement in Subroutine 1."""
    weight_lr: float = 0.025
    """β, learning rate of the task weights."""
    weight_optimizer: str = "adam"
    """Of the logits, one of `WEIGHT_OPTIMIZERS`; presets of other sources have their own."""
    preset: str = "default"
    """Whose parts to use: `default` (ours), `paper` or `released` (the paper's public code)."""
    num_steps: int | None = None
    """Steps of the whole run; the sequential methods share them out and cannot do without."""
    families: tuple[tuple[int, ...], ...] = ()
    """Task ids that the sequential methods train on together, in order; by default each task is alone."""
    policy_lr: float = 1e-6
    """Learning rate of the policy; the released code clips improvements in proportion to it."""

    def __post_init__(self) -> None:
        for name, known in (("preset", PRESETS), ("weight_optimizer", WEIGHT_OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")
        if self.preset != "default" and self.weight_optimizer != "adam":
            raise ValueError(f"preset {self.preset!r} has its own weight_optimizer, got {self.weight_optimizer!r}")


class Weighting(NamedTuple):
    """A rule for the task weights, and how it is told of a step."""

    task_weights: TaskWeights
    reward_estimate: RewardEstimate
    improve: Improve


class Sampling(NamedTuple):
    """A sampler, which groups it is told are informative, and what becomes of those it has no room for."""

    sampler: BatchSampler[Any]
    group_filter: GroupFilter
    carry_over: CarryOver | None = None


class OwnParts:
    """Our parts: weights and a sampler of our own, and the paper's with the coupled Adam of its released code.

    Args:
        config: numbers of the run.
    """

    def __init__(self, config: MethodConfig) -> None:
        self.config = config

    def uniform(self) -> Weighting:
        """Every task alike."""
        return self._told_each_step(UniformWeights(self.config.num_tasks))

    def adaptive(self) -> Weighting:
        """What this source takes for weights that lift the worst task: here, no task far below the average."""
        rule = DisparityWeights(self.config.num_tasks, tolerance=self.config.tolerance)
        return Weighting(rule, RecentAccuracy(self.config.num_tasks), improve_for(rule))

    def improvement_aware(self) -> Weighting:
        """Subroutine 1."""
        c = self.config
        optimizer = WEIGHT_OPTIMIZERS[c.weight_optimizer](c.weight_lr)
        return self._told_each_step(
            ImprovementAwareWeights(c.num_tasks, reward_coef=c.reward_coef, optimizer=optimizer)
        )

    def regularized(self, decay: float) -> Weighting:
        """Subroutine 2 with η = `decay`; coupled, for only so does it hold the weights back."""
        optimizer = Adam(self.config.weight_lr, l2=decay)
        return self._told_each_step(RegularizedWeights(self.config.num_tasks, optimizer=optimizer))

    def self_evolving(self) -> Weighting:
        """The bandit of SEC."""
        return self._told_each_step(SelfEvolvingWeights(self.config.num_tasks))

    def sequential(self, *, backward: bool = False) -> Weighting:
        """One family after the other, in their order or in the opposite one.

        Raises:
            ValueError: if the config does not say how many steps there are.
        """
        c = self.config
        if c.num_steps is None:
            raise ValueError("sequential methods need num_steps, the steps of the whole run, got None")
        families = c.families or tuple((k,) for k in range(c.num_tasks))
        return self._told_each_step(SequentialWeights(families[::-1] if backward else families, num_steps=c.num_steps))

    def multinomial(self) -> Sampling:
        """B draws, all kept; the filter only says which of them are reported, and pay a bandit, as informative."""
        return Sampling(MultinomialSampler(*self._sizes, seed=self.config.seed), strict)

    def dynamic(self) -> Sampling:
        """DAPO's dynamic sampling."""
        return Sampling(DynamicSampler(*self._sizes, seed=self.config.seed), strict)

    def ratio_preserving(self) -> Sampling:
        """What this source takes for a sampler that keeps ratios: here, quotas within a budget, and carry-over."""
        sampler = QuotaSampler(*self._sizes, seed=self.config.seed, max_generated=BUDGET_WITH_CARRY_OVER)
        return Sampling(sampler, strict, CarryOver())

    def one_round(self) -> Sampling:
        """One acceptance-aware round of B groups: the ratio by loss weights alone."""
        sampler = QuotaSampler(*self._sizes, seed=self.config.seed, max_generated=1, max_rounds=1)
        return Sampling(sampler, strict)

    def no_acceptance(self) -> Sampling:
        """Algorithm 2 without acceptance-aware inflation."""
        return Sampling(RatioPreservingSampler(*self._sizes, seed=self.config.seed, max_inflation=1), strict)

    @property
    def _sizes(self) -> tuple[int, int]:
        return self.config.num_tasks, self.config.batch_size

    def _told_each_step(self, rule: TaskWeights) -> Weighting:
        return Weighting(rule, LatestReward(self.config.num_tasks), improve_for(rule))


@dataclass(frozen=True, slots=True)
class _Scale:
    """Numbers that the paper's experiments on three and on nine tasks do not share."""

    weight_decay: float
    improvement_clip: float
    resamples: int
    paper_filter: GroupFilter
    released_filter: GroupFilter
    released_max_inflation: float
    released_ratio_from_step: int


_THREE_TASKS = _Scale(1e-5, 0.1, 10, strict, strict, 1.0, 1)
_NINE_TASKS = _Scale(1e-4, 0.2, 2, lenient, released_lenient, 5.0, 10)


def _scale_of(config: MethodConfig) -> _Scale:
    """The experiment on nine tasks, if there are as many or more."""
    return _NINE_TASKS if config.num_tasks >= 9 else _THREE_TASKS


class PaperParts(OwnParts):
    """What the paper states: AdamW on the logits, whose decoupled decay is the β η ξ of Subroutine 2.

    Every sampler that generates in rounds has the same budget.
    """

    def adaptive(self) -> Weighting:
        """Subroutine 1."""
        return self.improvement_aware()

    def improvement_aware(self) -> Weighting:
        c, scale = self.config, _scale_of(self.config)
        rule = ImprovementAwareWeights(
            c.num_tasks,
            reward_coef=c.reward_coef,
            optimizer=AdamW(c.weight_lr, l2=scale.weight_decay),
            improvement_clip=scale.improvement_clip,
        )
        return self._told_each_step(rule)

    def regularized(self, decay: float) -> Weighting:
        optimizer = AdamW(self.config.weight_lr, l2=decay)
        return self._told_each_step(RegularizedWeights(self.config.num_tasks, optimizer=optimizer))

    def multinomial(self) -> Sampling:
        """B draws, all kept; informative are those that have a gradient."""
        return super().multinomial()._replace(group_filter=lenient)

    def dynamic(self) -> Sampling:
        scale = _scale_of(self.config)
        sampler = DynamicSampler(*self._sizes, seed=self.config.seed, max_rounds=1 + scale.resamples)
        return Sampling(sampler, scale.paper_filter)

    def ratio_preserving(self) -> Sampling:
        return self._algorithm_2(max_inflation=5)

    def no_acceptance(self) -> Sampling:
        return self._algorithm_2(max_inflation=1)

    def _algorithm_2(self, *, max_inflation: float) -> Sampling:
        scale = _scale_of(self.config)
        sampler = RatioPreservingSampler(
            *self._sizes, seed=self.config.seed, max_inflation=max_inflation, max_resamples=scale.resamples
        )
        return Sampling(sampler, scale.paper_filter)


class ReleasedParts(OwnParts):
    """What the released code does: coupled Adam, told after every minibatch of sums, and of accuracy for reward."""

    def adaptive(self) -> Weighting:
        """Subroutine 1."""
        return self.improvement_aware()

    def improvement_aware(self) -> Weighting:
        c, scale = self.config, _scale_of(self.config)
        rule = ImprovementAwareWeights(
            c.num_tasks,
            reward_coef=c.reward_coef,
            optimizer=Adam(c.weight_lr, l2=scale.weight_decay),
            improvement_clip=scale.improvement_clip * c.policy_lr / 1e-6,
        )
        return self._told_each_minibatch(rule)

    def regularized(self, decay: float) -> Weighting:
        optimizer = Adam(self.config.weight_lr, l2=decay)
        return self._told_each_minibatch(
            RegularizedWeights(self.config.num_tasks, reward_coef=0.2, optimizer=optimizer)
        )

    def self_evolving(self) -> Weighting:
        return self._told_each_step(ForgettingSelfEvolvingWeights(self.config.num_tasks))

    def multinomial(self) -> Sampling:
        """B draws, all kept; informative are those that have a gradient."""
        return super().multinomial()._replace(group_filter=lenient)

    def dynamic(self) -> Sampling:
        sampler = ReleasedDynamicSampler(*self._sizes, seed=self.config.seed, budget=self._budget)
        return Sampling(sampler, _scale_of(self.config).released_filter)

    def ratio_preserving(self) -> Sampling:
        return self._algorithm_2(max_inflation=_scale_of(self.config).released_max_inflation)

    def no_acceptance(self) -> Sampling:
        return self._algorithm_2(max_inflation=1)

    def _algorithm_2(self, *, max_inflation: float) -> Sampling:
        scale = _scale_of(self.config)
        sampler: BatchSampler[Any] = ReleasedRatioPreservingSampler(
            *self._sizes, seed=self.config.seed, max_inflation=max_inflation, budget=self._budget
        )
        if scale.released_ratio_from_step > 1:
            sampler = DelayedSampler(self.dynamic().sampler, sampler, first_step=scale.released_ratio_from_step)
        return Sampling(sampler, scale.released_filter)

    @property
    def _budget(self) -> RoundBudget:
        return RoundBudget(max_rounds=_scale_of(self.config).resamples)

    def _told_each_minibatch(self, rule: TaskWeights) -> Weighting:
        improve = partial(once_per_minibatch, change=summed_change)
        return Weighting(rule, AverageAccuracy(self.config.num_tasks), improve)


PRESETS: Mapping[str, type[OwnParts]] = {"default": OwnParts, "paper": PaperParts, "released": ReleasedParts}
