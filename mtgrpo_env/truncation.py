"""What is made of a rollout that was cut off by the limit of new tokens, before anything is learned from it.

Changes of a group, to be composed with whatever rolls out for training. Evaluations roll out without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

from mtgrpo_env.types import GeneratedText, Group, Rollout

ChangeGroup = Callable[[Group], Group]
"""What training makes of a group that was just generated."""

TruncatedRollouts = Literal["keep", "mask", "penalty"]

OVERLONG_SHARE = 0.2
"""Of the longest response there may be: the last tokens, over which DAPO's soft penalty grows from 0 to 1. Its authors
have 4,096 of 20,480 (arXiv 2503.14476, equation 13)."""


def keep_truncated(group: Group) -> Group:
    """The same group."""
    return group


def mask_truncated(group: Group) -> Group:
    """DAPO's overlong filtering: truncated rollouts count in the group's mean reward, and nothing is learned from them.

    Whether what was cut off would have been right is not known.
    """
    return _changed(group, lambda rollout: replace(rollout, is_masked=True) if rollout.is_truncated else rollout)


def penalise_overlong(group: Group, *, max_new_tokens: int) -> Group:
    """DAPO's soft overlong punishment: a penalty on the reward that grows with the last tokens that were allowed.

    Success and the outcome stay what they are; of several responses the longest counts.
    """
    return _changed(group, partial(_penalised, max_new_tokens=max_new_tokens))


def overlong_penalty(num_tokens: int, max_new_tokens: int) -> float:
    """0 up to where the last fifth of the tokens begins, 1 where all are used, linear between.

    >>> [overlong_penalty(num_tokens, 100) for num_tokens in (10, 80, 90, 100)]
    [0.0, 0.0, 0.5, 1.0]
    """
    last = OVERLONG_SHARE * max_new_tokens
    return min(max((num_tokens - (max_new_tokens - last)) / last, 0.0), 1.0)


CHANGES: Mapping[TruncatedRollouts, Callable[[int], ChangeGroup]] = {
    "keep": lambda max_new_tokens: keep_truncated,
    "mask": lambda max_new_tokens: mask_truncated,
    "penalty": lambda max_new_tokens: partial(penalise_overlong, max_new_tokens=max_new_tokens),
}
"""By the names that options have for them, given the longest response there may be, in tokens."""


def _penalised(rollout: Rollout, *, max_new_tokens: int) -> Rollout:
    lengths = [step.extras.num_tokens for step in rollout.steps if isinstance(step.extras, GeneratedText)]
    penalty = overlong_penalty(max(lengths, default=0), max_new_tokens)
    return replace(rollout, reward=rollout.reward - penalty) if penalty and rollout.valid else rollout


def _changed(group: Group, change: Callable[[Rollout], Rollout]) -> Group:
    return replace(group, rollouts=tuple(map(change, group.rollouts)))
