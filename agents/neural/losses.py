"""The GRPO objective and its relatives over tokens; R completions of at most T tokens, right-padded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch

from mtgrpo_env.advantages import centred_rewards, group_advantages
from mtgrpo_env.agents.base import CLIP_HIGHER
from mtgrpo_env.ranges import Range
from mtgrpo_env.types import FloatArray, Group


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tokens of a table are, and to whom its rows belong."""

    mask: torch.Tensor  # (R, T) 1 for a token and 0 for padding
    rollouts: torch.Tensor  # (R,) the rollout that a row is a turn of, numbered from 0
    groups: torch.Tensor  # (R,) the group of that rollout, numbered from 0

    @property
    def lengths(self) -> torch.Tensor:
        """Tokens of each rollout, whatever turns it has; at least 1."""
        return _sums(self.mask.sum(dim=1), self.rollouts).clamp(min=1)

    @property
    def divisors(self) -> torch.Tensor:
        """(R,) what a rollout is divided by in the mean over groups of the means over their rollouts."""
        of_rollouts = self.groups.new_zeros(int(self.rollouts.max()) + 1).index_put((self.rollouts,), self.groups)
        sizes = torch.bincount(of_rollouts)
        return (len(sizes) * sizes)[self.groups]


TokenWeights = Callable[[Layout], torch.Tensor]
"""The weight (R, T) of each token in the loss."""

Ratios = Callable[[torch.Tensor, Layout], torch.Tensor]
"""From log r_t (R, T) to the ratios that are clipped, (R, T)."""


def token_ratios(log_ratios: torch.Tensor, layout: Layout) -> torch.Tensor:
    """r_t, a ratio of its own for each token."""
    return torch.exp(log_ratios)


def sequence_ratios(log_ratios: torch.Tensor, layout: Layout) -> torch.Tensor:
    """GSPO's ratio: the geometric mean of a rollout's r_t, the same for all its tokens."""
    means = _sums((log_ratios * layout.mask).sum(dim=1), layout.rollouts) / layout.lengths
    return torch.exp(means)[layout.rollouts, None].expand_as(log_ratios)


def clipped_surrogate(
    ratios: torch.Tensor, advantages: torch.Tensor, *, clip_low: float = 0.2, clip_high: float = 0.28
) -> torch.Tensor:
    """min(r A, clip(r, 1 - ε_low, 1 + ε_high) A) for every token, to be maximised.

    Args:
        ratios: (R, T) of the policy being trained to the one that sampled.
        advantages: (R,).
        clip_low: ε_low.
        clip_high: ε_high; above ε_low it is DAPO's "clip higher".

    Returns:
        (R, T).
    """
    advantages = advantages[:, None]
    return torch.minimum(ratios * advantages, ratios.clamp(1 - clip_low, 1 + clip_high) * advantages)


def divergence(log_probs: torch.Tensor, reference_log_probs: torch.Tensor) -> torch.Tensor:
    """f(π_ref/π_θ), f(u) = u - log u - 1, of every token: an unbiased estimate of the KL divergence, never below 0."""
    log_u = reference_log_probs - log_probs
    return torch.exp(log_u) - log_u - 1


Importance = Callable[[torch.Tensor, Layout], torch.Tensor]
"""From log π_model - log π_engine (R, T) of what an engine drew to the weights (R, T) that correct for it."""


def truncated_token_importance(log_ratios: torch.Tensor, layout: Layout, *, cap: float) -> torch.Tensor:
    """min(π_model / π_engine, cap) of each token."""
    return torch.exp(log_ratios).clamp(max=cap)


def truncated_sequence_importance(log_ratios: torch.Tensor, layout: Layout, *, cap: float) -> torch.Tensor:
    """min(π_model / π_engine, cap) of each whole rollout, the same for all its tokens."""
    sums = _sums((log_ratios * layout.mask).sum(dim=1), layout.rollouts)
    return torch.exp(sums).clamp(max=cap)[layout.rollouts, None].expand_as(log_ratios)


def sequence_mean(layout: Layout) -> torch.Tensor:
    """Mean over groups, of the mean over rollouts, of the mean over their tokens: prompt share is loss share."""
    return layout.mask / layout.lengths[layout.rollouts, None] / layout.divisors[:, None]


def token_mean(layout: Layout) -> torch.Tensor:
    """Mean over all tokens (DAPO's): long rollouts, and the tasks that have them, count for more."""
    return layout.mask / layout.mask.sum().clamp(min=1)


def group_mean(layout: Layout) -> torch.Tensor:
    """Mean over groups of the mean over their tokens: prompt share is loss share, long rollouts count for more."""
    tokens = _sums(layout.mask.sum(dim=1), layout.groups).clamp(min=1)
    return layout.mask / tokens[layout.groups, None] / len(tokens)


def constant_mean(layout: Layout, *, max_tokens: int) -> torch.Tensor:
    """Dr.GRPO's: every token weighs 1 / (rollouts x longest response there may be), whatever was generated.

    Of groups of several sizes each counts alike.
    """
    return layout.mask / (layout.divisors[:, None] * max_tokens)


@dataclass(frozen=True, slots=True)
class Objective:
    """What a learner maximises.

    Attributes:
        token_weights: how tokens are averaged.
        ratios: of single tokens or of sequences.
        advantages: (N,) of a group.
        clip_low: ε_low.
        clip_high: ε_high; None for the method's, 0.28 without one.
        kl_coef: β, weight of the divergence from a reference policy.
        importance: corrects for an engine that does not draw from quite the policy that is trained, if it is to.

    Raises:
        ValueError: if a number is negative.
    """

    token_weights: TokenWeights = sequence_mean
    ratios: Ratios = token_ratios
    advantages: Callable[[Group], FloatArray] = group_advantages
    clip_low: float = 0.2
    clip_high: float | None = None
    kl_coef: float = 0.0
    importance: Importance | None = None

    def __post_init__(self) -> None:
        Range(0).check("kl_coef", self.kl_coef)
        for name in ("clip_low", "clip_high"):
            if (clip := getattr(self, name)) is not None:
                Range(0, math.inf).check(name, clip)

    def surrogate(
        self,
        log_probs: torch.Tensor,
        old_log_probs: torch.Tensor,
        advantages: torch.Tensor,
        layout: Layout,
        reference_log_probs: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(R, T) the clipped surrogate of every token, less β times its divergence from the reference."""
        ratios = self.ratios(log_probs - old_log_probs, layout)
        clip_high = CLIP_HIGHER if self.clip_high is None else self.clip_high
        value = clipped_surrogate(ratios, advantages, clip_low=self.clip_low, clip_high=clip_high)
        if reference_log_probs is None:
            return value
        return value - self.kl_coef * divergence(log_probs, reference_log_probs)


LOSSES: Mapping[str, Callable[[int], Objective]] = {
    "sequence-mean": lambda max_tokens: Objective(sequence_mean),
    "token-mean": lambda max_tokens: Objective(token_mean),
    "group-mean": lambda max_tokens: Objective(group_mean),
    "dr-grpo": lambda max_tokens: Objective(partial(constant_mean, max_tokens=max_tokens), advantages=centred_rewards),
    "gspo": lambda max_tokens: Objective(sequence_mean, sequence_ratios),
}
"""Objectives by name, given the longest response in tokens; clips and β are the caller's to replace."""

GSPO_CLIPS = {"clip_low": 3e-4, "clip_high": 4e-4}
"""Of sequence ratios, as its authors have them: a geometric mean moves far less than a token's ratio."""


IMPORTANCE: Mapping[str, Callable[[float], Importance | None]] = {
    "none": lambda cap: None,
    "token": lambda cap: partial(truncated_token_importance, cap=cap),
    "sequence": lambda cap: partial(truncated_sequence_importance, cap=cap),
}
"""Corrections for the engine by name, given the largest weight."""


def named_importance(name: str, cap: float) -> Importance | None:
    """A correction of `IMPORTANCE`.

    Raises:
        ValueError: if there is none of the name, or the cap is below 1.
    """
    if name not in IMPORTANCE:
        raise ValueError(f"importance must be one of {list(IMPORTANCE)}, got {name!r}")
    Range(1, math.inf).check("importance_cap", cap)
    return IMPORTANCE[name](cap)


def named_objective(name: str, *, max_tokens: int, clip_high: float | None = None, kl_coef: float = 0.0) -> Objective:
    """An objective of `LOSSES`; `clip_high` is for ratios of tokens, and by default the method's.

    Raises:
        ValueError: if there is no such objective, or a number is negative.
    """
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {list(LOSSES)}, got {name!r}")
    clips = GSPO_CLIPS if name == "gspo" else {"clip_high": clip_high}
    return replace(LOSSES[name](max_tokens), kl_coef=kl_coef, **clips)


def _sums(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The sum of the (R,) values of each index, which are numbered from 0 without a gap."""
    return torch.zeros(int(index.max()) + 1, dtype=values.dtype, device=values.device).index_add(0, index, values)
