"""Methods by name: each is a composition of a rule for the task weights, a sampler and a clip.

Whose rule and whose sampler, ours or the paper's or its released code's, is the config's `preset`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mtgrpo_env.agents.base import Learner, TrainablePolicy
from mtgrpo_env.agents.method_parts import PRESETS, MethodConfig, OwnParts, Sampling, Weighting
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.ranks import Ranks
from mtgrpo_env.agents.signals import Improve, RewardEstimate
from mtgrpo_env.carry_over import CarryOver
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.shares import Amount, prompt
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import TaskWeights
from mtgrpo_env.types import GroupFilter

__all__ = ["METHODS", "PRESETS", "Method", "MethodConfig", "named_method"]

_SYMMETRIC, _HIGHER = 0.2, 0.28  # ε_high


@dataclass(frozen=True, slots=True)
class Method:
    """The parts in which methods differ.

    Attributes:
        sampler: draws batches.
        task_weights: the ratio of tasks.
        clip_high: ε_high; a learner is made with it.
        group_filter: which groups are informative.
        reward_estimate: J, as the weight rule is told of it.
        improve: trains, and measures what the weight rule is told of improvements.
        carry_over: keeps informative groups for the batches after their own.
    """

    sampler: BatchSampler[Any]
    task_weights: TaskWeights
    clip_high: float
    group_filter: GroupFilter
    reward_estimate: RewardEstimate
    improve: Improve
    carry_over: CarryOver | None

    def agent(
        self,
        suite: TaskSuite,
        policy: TrainablePolicy,
        learner: Learner,
        *,
        group_size: int = 8,
        share_by: Amount = prompt,
        ranks: Ranks | None = None,
    ) -> MTGRPOAgent:
        """An agent that trains `policy` by this method; the `learner` should clip at `clip_high`."""
        return MTGRPOAgent(
            suite,
            policy,
            learner,
            self.sampler,
            self.task_weights,
            group_size=group_size,
            group_filter=self.group_filter,
            reward_estimate=self.reward_estimate,
            improve=self.improve,
            carry_over=self.carry_over,
            share_by=share_by,
            ranks=ranks,
        )


Composition = tuple[Callable[[OwnParts], Weighting], Callable[[OwnParts], Sampling], float]

_COMPOSITIONS: Mapping[str, Composition] = {
    "mt-grpo": (lambda p: p.adaptive(), lambda p: p.ratio_preserving(), _HIGHER),
    "dapo": (lambda p: p.uniform(), lambda p: p.dynamic(), _HIGHER),
    "grpo": (lambda p: p.uniform(), lambda p: p.multinomial(), _SYMMETRIC),
    "sec-dapo": (lambda p: p.self_evolving(), lambda p: p.dynamic(), _HIGHER),
    "sec-grpo": (lambda p: p.self_evolving(), lambda p: p.multinomial(), _SYMMETRIC),
    "iwu-only": (lambda p: p.improvement_aware(), lambda p: p.multinomial(), _HIGHER),
    "iwu-dapo": (lambda p: p.improvement_aware(), lambda p: p.dynamic(), _HIGHER),
    "rps-only": (lambda p: p.uniform(), lambda p: p.ratio_preserving(), _HIGHER),
    "one-round": (lambda p: p.adaptive(), lambda p: p.one_round(), _HIGHER),
    "no-acceptance": (lambda p: p.improvement_aware(), lambda p: p.no_acceptance(), _HIGHER),
    "reg-1e-5": (lambda p: p.regularized(1e-5), lambda p: p.ratio_preserving(), _HIGHER),
    "reg-5e-4": (lambda p: p.regularized(5e-4), lambda p: p.ratio_preserving(), _HIGHER),
    "reg-1e-2": (lambda p: p.regularized(1e-2), lambda p: p.ratio_preserving(), _HIGHER),
    "sequential-forward": (lambda p: p.sequential(), lambda p: p.dynamic(), _HIGHER),
    "sequential-backward": (lambda p: p.sequential(backward=True), lambda p: p.dynamic(), _HIGHER),
}


def _compose(composition: Composition, config: MethodConfig) -> Method:
    make_weighting, make_sampling, clip_high = composition
    parts = PRESETS[config.preset](config)
    weighting, sampling = make_weighting(parts), make_sampling(parts)
    return Method(
        sampling.sampler,
        weighting.task_weights,
        clip_high,
        sampling.group_filter,
        weighting.reward_estimate,
        weighting.improve,
        sampling.carry_over,
    )


METHODS: Mapping[str, Callable[[MethodConfig], Method]] = {
    name: partial(_compose, composition) for name, composition in _COMPOSITIONS.items()
}


_SUBROUTINE_1 = (lambda p: p.improvement_aware(), lambda p: p.ratio_preserving(), _HIGHER)
_LAMBDA_PREFIX = "mt-grpo-"


def named_method(name: str) -> Callable[[MethodConfig], Method]:
    """What makes the method of a name.

    That is one of `METHODS`; or Subroutine 1 with its λ and the sampler that keeps ratios, as in "mt-grpo-0.9"; either
    with the preset to take its parts from instead of the config's, as in "mt-grpo@paper".

    Raises:
        ValueError: if there is no such method.
    """
    method, _, preset = name.partition("@")
    if preset and preset not in PRESETS:
        raise ValueError(f"the preset of a method must be one of {list(PRESETS)}, got {name!r}")
    make = METHODS[method] if method in METHODS else _with_lambda(method)
    return (lambda config: make(replace(config, preset=preset))) if preset else make


def _with_lambda(name: str) -> Callable[[MethodConfig], Method]:
    try:
        reward_coef = float(name.removeprefix(_LAMBDA_PREFIX)) if name.startswith(_LAMBDA_PREFIX) else math.nan
    except ValueError:
        reward_coef = math.nan
    if not math.isfinite(reward_coef):
        expected = f'{list(METHODS)}, or "{_LAMBDA_PREFIX}" and its λ'
        raise ValueError(f'method must be one of {expected}, perhaps with "@" and a preset, got {name!r}')
    return lambda config: _compose(_SUBROUTINE_1, replace(config, reward_coef=reward_coef))
