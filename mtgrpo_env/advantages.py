"""Group-relative advantages."""

from __future__ import annotations

import numpy as np

from mtgrpo_env.filters import SMALLEST_SPREAD
from mtgrpo_env.types import FloatArray, Group


def group_advantages(group: Group) -> FloatArray:
    """(N,) A_i = (r_i - mean r) / std r over the group's valid rollouts; 0 for the others.

    A group whose rewards are all equal has advantage 0 throughout.
    """
    rewards, valid = group.rewards, group.valid
    advantages = np.zeros_like(rewards)
    if valid.any():
        spread = rewards[valid].std()
        if spread > SMALLEST_SPREAD:
            advantages[valid] = (rewards[valid] - rewards[valid].mean()) / spread
    return advantages
