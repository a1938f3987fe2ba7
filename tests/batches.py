"""Batches as a curriculum draws them, without an agent."""

from __future__ import annotations

from typing import Any

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.filters import success_differs
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.rollout import Policy, rollout_groups
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import UniformWeights
from mtgrpo_env.types import Batch, FloatArray, GroupFilter


def drawn_batch(
    suite: TaskSuite,
    policy: Policy,
    sampler: BatchSampler[Any],
    z: FloatArray,
    *,
    group_size: int,
    group_filter: GroupFilter = success_differs,
) -> Batch:
    """The sampler's next batch for z, (K,), of groups that a policy rolls out."""
    weights = UniformWeights(suite.num_tasks)
    curriculum = Curriculum(suite, sampler=sampler, task_weights=weights, group_filter=group_filter)
    curriculum.set_task_weights(z)
    return curriculum.draw(lambda problems: rollout_groups(suite, policy, problems, group_size))
