"""Group-relative advantages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtgrpo_env.filters import SMALLEST_SPREAD
from mtgrpo_env.types import FloatArray, Group


def group_advantages(group: Group) -> FloatArray:
    """(N,) A_i = (r_i - mean r) / std r over the group's valid rollouts; 0 for the others.

    A group whose rewards are all equal has advantage 0 throughout.
    """
    rewards, valid = group.rewards, group.valid
    spread = rewards[valid].std() if valid.any() else 0.0
    return _centred(rewards, valid) / spread if spread > SMALLEST_SPREAD else np.zeros_like(rewards)


def centred_rewards(group: Group) -> FloatArray:
    """(N,) A_i = r_i - mean r over the group's valid rollouts, as in Dr.GRPO; 0 for the others.

    Not divided by the spread, a group counts for more the more its rewards differ.
    """
    return _centred(group.rewards, group.valid)


def _centred(rewards: FloatArray, valid: NDArray[np.bool_]) -> FloatArray:
    centred = np.zeros_like(rewards)
    if valid.any():
        centred[valid] = rewards[valid] - rewards[valid].mean()
    return centred
