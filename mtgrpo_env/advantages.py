"""Group-relative advantages."""

from __future__ import annotations

import numpy as np

from mtgrpo_env.filters import SMALLEST_SPREAD
from mtgrpo_env.types import FloatArray, Group


def group_advantages(group: Group) -> FloatArray:
    """(N,) A_i = (r_i - mean r) / std r over the group's valid rollouts; 0 for the others.

    A group whose rewards are all equal has advantage 0 throughout.
    """
    centred, valid = centred_rewards(group), group.valid
    spread = group.rewards[valid].std() if valid.any() else 0.0
    return centred / spread if spread > SMALLEST_SPREAD else np.zeros_like(centred)


def centred_rewards(group: Group) -> FloatArray:
    """(N,) A_i = r_i - mean r over the group's valid rollouts, as in Dr.GRPO; 0 for the others.

    Not divided by the spread, a group counts for more the more its rewards differ.
    """
    rewards, valid = group.rewards, group.valid
    centred = np.zeros_like(rewards)
    if valid.any():
        centred[valid] = rewards[valid] - rewards[valid].mean()
    return centred
