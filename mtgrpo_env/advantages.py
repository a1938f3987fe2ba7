"""Group-relative advantages."""

from __future__ import annotations

import numpy as np

from mtgrpo_env.filters import SMALLEST_SPREAD
from mtgrpo_env.types import FloatArray, Group


def group_advantages(group: Group) -> FloatArray:
    """(N,) A_i = (r_i - mean r) / std r over the group's valid rollouts; 0 for the others and for masked ones.

    A group whose rewards are all equal has advantage 0 throughout.
    """
    rewards, valid = group.rewards, group.valid
    spread = rewards[valid].std() if valid.any() else 0.0
    return centred_rewards(group) / spread if spread > SMALLEST_SPREAD else np.zeros_like(rewards)


def centred_rewards(group: Group) -> FloatArray:
    """(N,) A_i = r_i - mean r over the group's valid rollouts, as in Dr.GRPO; 0 for the others and for masked ones.

    Not divided by the spread, a group counts for more the more its rewards differ.
    """
    learnable = group.learnable
    if not learnable.any():
        return np.zeros(len(learnable))
    return np.where(learnable, group.rewards - group.rewards[group.valid].mean(), 0.0)
