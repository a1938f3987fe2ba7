"""When is a group informative? A group whose advantages are all zero has no gradient and is filtered.

All rules look only at valid rollouts: a scorer that failed says nothing about the policy.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mtgrpo_env.types import Group, GroupFilter

SMALLEST_SPREAD = 1e-8
"""Rewards whose standard deviation is not above this are equal: they differ by rounding alone."""


def is_unanimous(group: Group) -> bool:
    """All valid rollouts have the same reward, so that none has an advantage."""
    rewards = group.rewards[group.valid]
    return not (rewards.size > 0 and bool(rewards.std() > SMALLEST_SPREAD))


def has_gradient(group: Group) -> bool:
    """A rollout that may be learned from has a reward other than the group's mean."""
    if is_unanimous(group):
        return False
    distances = np.abs(group.rewards - group.rewards[group.valid].mean())
    return bool((distances[group.learnable] > SMALLEST_SPREAD).any())


def success_differs(group: Group) -> bool:
    """Some but not all rollouts are correct (the paper's 3-task runs)."""
    successes = group.successes[group.valid]
    return bool(successes.any() and not successes.all()) and has_gradient(group)


def rewards_differ(group: Group) -> bool:
    """Not all rewards are equal (the paper's 9-task runs): partial credit counts."""
    return has_gradient(group)


def released_rewards_differ(group: Group) -> bool:
    """Neither all rewards are 0 nor all are 1, as the paper's released code has it.

    So it keeps a group of equal partial rewards, which has no gradient: for reproductions only.
    """
    rewards = group.rewards[group.valid]
    return bool(group.learnable.any()) and not bool((rewards == rewards[0]).all() and rewards[0] in (0.0, 1.0))


def every_group(group: Group) -> bool:
    """Call every group informative: the only sensible filter when groups have one rollout."""
    return True


FILTERS: Mapping[str, GroupFilter] = {"success": success_differs, "reward": rewards_differ}
"""Rules by the names that options have for them."""
