"""Rollouts by several ranks: each rolls out its share of the problems, and all get all the groups."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from mtgrpo_env.agents.base import TrainablePolicy
from mtgrpo_env.agents.ranks import Ranks, agreement
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Group, Problem


class ShardedRollouts:
    """`rollout_groups` shared out among ranks; the plan that asked for the problems is the same on all of them.

    The policy draws from a generator made for the call, on every rank the same, so that its own has moved alike
    on all ranks afterwards, however many turns their episodes took. If what it draws for a problem depends on
    that generator and the problem only, any number of ranks gives the same groups.

    Args:
        ranks: who shares; what one of them raises, all of them raise.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def __call__(
        self,
        suite: TaskSuite,
        policy: TrainablePolicy,
        problems: Sequence[Problem],
        group_size: int | Sequence[int],
        *,
        deterministic: bool = False,
    ) -> list[Group]:
        """See `rollout_groups`.

        Raises:
            TaskError: if an env raises, on whichever rank.
            RankError: if another rank failed in another way.
        """
        seed = int(policy.rng.integers(2**62))
        policy = copy.copy(policy)  # not reseeded, which draws as evaluations do
        policy.rng = np.random.default_rng(seed)
        own, size = self.ranks.rank, self.ranks.size
        own_sizes = group_size if isinstance(group_size, int) else group_size[own::size]
        share: list[Group] = []
        with agreement(self.ranks):
            share = rollout_groups(suite, policy, problems[own::size], own_sizes, deterministic=deterministic)
        groups = dict[int, Group]()
        for rank, of_rank in enumerate(self.ranks.gather(share)):
            groups |= zip(range(rank, len(problems), size), of_rank, strict=True)
        return [groups[i] for i in range(len(problems))]
