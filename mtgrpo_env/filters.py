"""When is a group informative? A group whose advantages are all zero has no gradient and is filtered.

Both rules look only at valid rollouts: a scorer that failed says nothing about the policy.
"""

from __future__ import annotations

from mtgrpo_env.types import Group

SMALLEST_SPREAD = 1e-8
"""Rewards whose standard deviation is not above this are equal: they differ by rounding alone."""


def strict(group: Group) -> bool:
    """Some but not all rollouts are correct (the paper's 3-task runs)."""
    successes = group.successes[group.valid]
    return bool(successes.any() and not successes.all())


def lenient(group: Group) -> bool:
    """Not all rewards are equal (the paper's 9-task runs): partial credit counts."""
    rewards = group.rewards[group.valid]
    return rewards.size > 0 and bool(rewards.std() > SMALLEST_SPREAD)


def released_lenient(group: Group) -> bool:
    """Neither all rewards are 0 nor all are 1, as the paper's released code has it.

    So it keeps a group of equal partial rewards, which has no gradient: for reproductions only.
    """
    rewards = group.rewards[group.valid]
    return rewards.size > 0 and not bool((rewards == rewards[0]).all() and rewards[0] in (0.0, 1.0))


def every_group(group: Group) -> bool:
    """Call every group informative: the only sensible filter when groups have one rollout."""
    return True
