"""The order of episodes: a sampler's plans handed out one episode at a time, to any number of slots."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.filters import every_group, strict
from mtgrpo_env.samplers import BatchPlan, BatchSampler, checked_probabilities
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import FloatArray, Group, GroupFilter, Problem, Rollout


@dataclass(frozen=True, slots=True)
class Assignment:
    """One episode to play.

    Attributes:
        problem: where it starts.
        batch: number of the batch it is for, counted from the last reseed.
        group: index of its group within the batch, in the order proposed.
        rollout: its index within the group.
    """

    problem: Problem
    batch: int
    group: int
    rollout: int

    @property
    def task_id(self) -> int:
        return self.problem.task_id


@dataclass(frozen=True, slots=True)
class Progress:
    """What the end of one episode completed.

    Attributes:
        group_informative: whether its group was, if this was the group's last rollout; else None.
        selected_groups: which groups of its batch to train on, if this completed the batch; else None.
        group_weights: with what weight in the loss, likewise.
    """

    group_informative: bool | None = None
    selected_groups: list[int] | None = None
    group_weights: FloatArray | None = None

    @property
    def batch_complete(self) -> bool:
        return self.selected_groups is not None

    @property
    def info(self) -> dict[str, Any]:
        """What `info` says of it on an episode's last step: only what there is."""
        info: dict[str, Any] = {"batch_complete": self.batch_complete}
        if self.group_informative is not None:
            info["group_informative"] = self.group_informative
        if self.batch_complete:
            info |= {"selected_groups": self.selected_groups, "group_weights": self.group_weights}
        return info


_MID_GROUP = Progress()


class Schedule:
    """Which episode comes next, for drivers that play one or many at a time.

    Each problem is handed out `group_size` times before the next one. Slots may finish in any order:
    a plan is told of a round once all of it is finished, in the order proposed. A slot that asks when
    the whole round is handed out but not finished is given work from the next plan, which is opened
    for it with the task weights of that moment. With one slot this never happens, and problems and
    selections are those of `sample_batch`.

    An assignment stays good until it is finished: who leaves an episode halfway plays it again.

    Args:
        suite: the tasks.
        sampler: draws the plans.
        group_size: N.
        group_filter: says which groups are informative; by default `strict`, or `every_group` if N is 1.

    Raises:
        ValueError: if suite and sampler differ in the number of tasks, or `group_size` is below 1.

    >>> from mtgrpo_env.envs.toy import toy_suite
    >>> from mtgrpo_env.samplers import MultinomialSampler
    >>> schedule = Schedule(toy_suite(2), MultinomialSampler(2, 1), group_size=2)
    >>> first, second = schedule.next_episode(), schedule.next_episode()
    >>> first.problem == second.problem, (first.rollout, second.rollout)
    (True, (0, 1))
    >>> schedule.finish(second, Rollout((), reward=0.0, is_success=False)).batch_complete
    False
    >>> schedule.finish(first, Rollout((), reward=1.0, is_success=True)).info
    {'batch_complete': True, 'group_informative': True, 'selected_groups': [0], 'group_weights': array([1.])}
    """

    def __init__(
        self,
        suite: TaskSuite,
        sampler: BatchSampler[Any],
        *,
        group_size: int = 1,
        group_filter: GroupFilter | None = None,
    ) -> None:
        if suite.num_tasks != sampler.num_tasks:
            raise ValueError(f"the suite has {suite.num_tasks} tasks, the sampler expects {sampler.num_tasks}")
        if group_size < 1:
            raise ValueError(f"group_size must be at least 1, got {group_size}")
        self.suite = suite
        self.sampler = sampler
        self.group_size = group_size
        self.group_filter = group_filter or (strict if group_size > 1 else every_group)
        self.task_weights = np.full(suite.num_tasks, 1 / suite.num_tasks)
        self._forget_batches()

    def set_task_weights(self, probabilities: ArrayLike) -> None:
        """Steer the ratio of tasks, (K,) on the simplex; takes effect with the next plan.

        Raises:
            ValueError: if `probabilities` is not on the simplex.
        """
        self.task_weights = checked_probabilities(probabilities, self.suite.num_tasks)

    def reseed(self, seed: int) -> None:
        """Start anew: no assignment made so far may be finished any more. The task weights stay."""
        self.suite.reseed(seed)
        self.sampler.reseed(seed)
        self._forget_batches()

    def next_episode(self) -> Assignment:
        """An episode that nobody was given yet, of the oldest batch that has one.

        Raises:
            TaskError: if a text task cannot make its next puzzle; asking again tries again.
        """
        if not self._with_work:
            self._open_batch()
        batch = self._batches[self._with_work[0]]
        assignment = batch.hand_out(self.suite)
        if not batch.has_work:
            heapq.heappop(self._with_work)
        return assignment

    def finish(self, assignment: Assignment, rollout: Rollout) -> Progress:
        """Say how an episode went.

        Raises:
            ValueError: if it was finished before, or handed out before the last reseed.
        """
        batch = self._batches.get(assignment.batch)
        group = batch.running_group(assignment) if batch else None
        if batch is None or group is None:
            raise ValueError(f"expected an episode handed out since the last reseed and not finished, got {assignment}")
        group.rollouts[assignment.rollout] = rollout
        group.unfinished -= 1
        if group.unfinished:
            return _MID_GROUP
        rollouts = tuple(rollout for rollout in group.rollouts if rollout is not None)
        group.informative = self.group_filter(Group(group.problem, rollouts))
        batch.unfinished -= 1
        return Progress(group.informative) if batch.unfinished else self._end_round(batch, group.informative)

    def _forget_batches(self) -> None:
        self._batches: dict[int, _OpenBatch] = {}
        self._with_work: list[int] = []  # a heap of the batches that have an episode to hand out
        self._num_batches = 0

    def _open_batch(self) -> None:
        number = self._num_batches
        self._batches[number] = _OpenBatch(number, self.sampler.plan(self.task_weights), self.group_size)
        self._num_batches += 1
        heapq.heappush(self._with_work, number)

    def _end_round(self, batch: _OpenBatch, informative: bool) -> Progress:
        batch.report()
        batch.propose()
        if batch.has_work:
            heapq.heappush(self._with_work, batch.number)
            return Progress(informative)
        selected, weights = batch.plan.select()
        self.sampler.update(batch.plan)
        del self._batches[batch.number]
        return Progress(informative, selected, weights)


class _OpenGroup:
    """A problem that was handed out at least once, and the rollouts of it that are finished."""

    def __init__(self, problem: Problem, group_size: int) -> None:
        self.problem = problem
        self.rollouts: list[Rollout | None] = [None] * group_size
        self.unfinished = group_size
        self.informative = False


class _OpenBatch:
    """A plan, and its groups in the order proposed."""

    def __init__(self, number: int, plan: BatchPlan, group_size: int) -> None:
        self.number = number
        self.plan = plan
        self.groups: list[_OpenGroup] = []
        self.unfinished = 0  # groups of this round
        self._group_size = group_size
        self._handed_out = group_size  # rollouts of the last group
        self._reported = 0  # groups of earlier rounds
        self._proposal: deque[int] = deque()
        self.propose()

    @property
    def has_work(self) -> bool:
        """Whether an episode of this round has not been handed out."""
        return bool(self._proposal) or self._handed_out < self._group_size

    def hand_out(self, suite: TaskSuite) -> Assignment:
        if self._handed_out == self._group_size:
            self.groups.append(_OpenGroup(suite.next_problem(self._proposal[0]), self._group_size))
            self._proposal.popleft()
            self._handed_out = 0
        assignment = Assignment(self.groups[-1].problem, self.number, len(self.groups) - 1, self._handed_out)
        self._handed_out += 1
        return assignment

    def running_group(self, assignment: Assignment) -> _OpenGroup | None:
        """The group of an assignment; None unless it was made here and has not been finished."""
        if assignment.group >= len(self.groups):
            return None
        group = self.groups[assignment.group]
        is_running = group.problem == assignment.problem and group.rollouts[assignment.rollout] is None
        return group if is_running else None

    def report(self) -> None:
        of_round = self.groups[self._reported :]
        self.plan.report([group.problem.task_id for group in of_round], [group.informative for group in of_round])
        self._reported = len(self.groups)

    def propose(self) -> None:
        self._proposal = deque(self.plan.propose())
        self.unfinished = len(self._proposal)
