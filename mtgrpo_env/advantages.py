"""Group-relative advantages."""

from __future__ import annotations

import numpy as np

from mtgrpo_env.filters import is_unanimous
from mtgrpo_env.types import FloatArray, Group


def group_advantages(group: Group) -> FloatArray:
    """(N,) A_i = (r_i - mean r) / std r over the group's valid rollouts; 0 for the others and for masked ones.

    A group whose rewards are all equal has advantage 0 throughout.
    """
    if is_unanimous(group):
        return np.zeros(len(group.rollouts))
    return centred_rewards(group) / group.rewards[group.valid].std()


def centred_rewards(group: Group) -> FloatArray:
    """(N,) A_i = r_i - mean r over the group's valid rollouts, as in Dr.GRPO; 0 for the others and for masked ones.

    Not divided by the spread, a group counts for more the more its rewards differ.
    """
    learnable = group.learnable
    if not learnable.any():
        return np.zeros(len(learnable))
    return np.where(learnable, group.rewards - group.rewards[group.valid].mean(), 0.0)
