"""The clipped GRPO objective over tokens; R completions of at most T tokens, right-padded."""

from __future__ import annotations

from collections.abc import Callable

import torch

TokenWeights = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From a mask (R, T), 1 for a token and 0 for padding, and the rollout (R,) that each row is a turn of, numbered
from 0, to the weight of each token; weights sum to 1."""


def clipped_surrogate(
    log_probs: torch.Tensor,
    old_log_probs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
) -> torch.Tensor:
    """min(r_t A, clip(r_t, 1 - ε_low, 1 + ε_high) A) for every token, to be maximised.

    Args:
        log_probs: (R, T) under the policy being trained.
        old_log_probs: (R, T) under the policy that sampled.
        advantages: (R,).
        clip_low: ε_low.
        clip_high: ε_high; above ε_low it is DAPO's "clip higher".

    Returns:
        (R, T).
    """
    ratios = torch.exp(log_probs - old_log_probs)  # r_t
    advantages = advantages[:, None]
    return torch.minimum(ratios * advantages, ratios.clamp(1 - clip_low, 1 + clip_high) * advantages)


def sequence_mean(mask: torch.Tensor, rollouts: torch.Tensor) -> torch.Tensor:
    """Mean over rollouts of the mean over their tokens, whatever turns they have: prompt share is loss share."""
    num_rollouts = int(rollouts.max()) + 1
    lengths = torch.zeros(num_rollouts, device=mask.device).index_add(0, rollouts, mask.sum(dim=1))
    return mask / lengths.clamp(min=1)[rollouts, None] / num_rollouts


def token_mean(mask: torch.Tensor, rollouts: torch.Tensor) -> torch.Tensor:
    """Mean over all tokens: long rollouts, and the tasks that have them, count for more."""
    return mask / mask.sum().clamp(min=1)
