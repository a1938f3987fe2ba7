"""The order of episodes: a curriculum's batches handed out one episode at a time, to any number of slots."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.drafts import BatchDraft
from mtgrpo_env.filters import every_group, rewards_differ, success_differs
from mtgrpo_env.ranges import Range
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import FloatArray, Group, Problem, Rollout


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
class Selection:
    """What to train on, once a batch is complete.

    What differs in length from batch to batch is a list: Gymnasium's vector envs take arrays in `info` to be of one
    shape.

    Attributes:
        selected_groups: indices of the batch's own groups.
        group_weights: their loss weights.
        replayed_groups: (batch, group) of groups of earlier batches that fill it, for trainers that kept those.
        replay_weights: their loss weights.
        task_weights: (K,) z that the next plan is drawn with.
        replayed_batches: further batches, due before this one, that groups of earlier ones fill alone: the groups and
            loss weights of each.
    """

    selected_groups: list[int]
    group_weights: list[float]
    replayed_groups: list[tuple[int, int]]
    replay_weights: list[float]
    task_weights: FloatArray
    replayed_batches: list[tuple[list[tuple[int, int]], list[float]]] = field(default_factory=list)

    @property
    def info(self) -> dict[str, Any]:
        """By the names of the attributes."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Progress:
    """What the end of one episode completed.

    Attributes:
        group_informative: whether its group was, if this was the group's last rollout; else None.
        selection: what to train on, if this completed the batch; else None.
    """

    group_informative: bool | None = None
    selection: Selection | None = None

    @property
    def batch_complete(self) -> bool:
        return self.selection is not None

    @property
    def info(self) -> dict[str, Any]:
        """What `info` says of it on an episode's last step: only what there is."""
        info: dict[str, Any] = {"batch_complete": self.batch_complete}
        if self.group_informative is not None:
            info["group_informative"] = self.group_informative
        return info if self.selection is None else info | self.selection.info


@dataclass(frozen=True, slots=True)
class PlayedGroup(Group):
    """A group, and where it was played."""

    batch: int
    index: int


_MID_GROUP = Progress()


class Schedule:
    """Which episode comes next, for drivers that play one or many at a time.

    Each problem is handed out `group_size` times before the next one. Slots may finish in any order: a round is
    reported to the plan once all of it is finished, in the order proposed. A slot that asks when the whole round is
    handed out but not finished is given work from the next batch, which is opened for it with the task weights of
    that moment. With one slot this never happens, and problems and selections are those of `Curriculum.draw`.

    When a batch is complete the curriculum is updated with it, so its weights move by themselves, unless they were set
    or look at improvements, which only a learner can measure.

    An assignment stays good until it is finished, so its episode may be started again.

    Args:
        curriculum: draws the batches; its problems must be a suite.
        group_size: N. With groups of one, which have nothing to differ from, every group is informative, unless the
            curriculum has another filter than its default.

    Raises:
        ValueError: if the problems are no suite, or `group_size` is below 1.

    >>> from mtgrpo_env.envs.toy import toy_suite
    >>> from mtgrpo_env.samplers import MultinomialSampler
    >>> schedule = Schedule(Curriculum(toy_suite(2), sampler=MultinomialSampler(2, 1)), group_size=2)
    >>> first, second = schedule.next_episode(), schedule.next_episode()
    >>> first.problem == second.problem, (first.rollout, second.rollout)
    (True, (0, 1))
    >>> schedule.finish(second, Rollout((), reward=0.0, is_success=False)).batch_complete
    False
    >>> done = schedule.finish(first, Rollout((), reward=1.0, is_success=True)).info
    >>> done["selected_groups"], done["group_weights"]
    ([0], [1.0])
    """

    def __init__(self, curriculum: Curriculum, *, group_size: int = 1) -> None:
        if not isinstance(curriculum.problems, TaskSuite):
            raise ValueError(
                f"episodes need the problems of a TaskSuite, got {curriculum.problems!r:.80}: "
                "write Curriculum(TaskSuite([...]), ...)"
            )
        Range(1).check("group_size", group_size)
        self.curriculum = curriculum
        self.suite: TaskSuite = curriculum.problems
        self.group_size = group_size
        compares = curriculum.group_filter in (success_differs, rewards_differ)
        self.group_filter = every_group if compares and group_size == 1 else curriculum.group_filter
        self._forget_batches()

    def reseed(self, seed: int) -> None:
        """Start anew: no assignment made so far may be finished any more. Task weights that were set stay."""
        self.curriculum.reseed(seed)
        self._forget_batches()

    def next_episode(self) -> Assignment:
        """An episode that was not handed out yet, of the oldest batch that has one.

        Raises:
            TaskError: if a text task cannot make its next puzzle; asking again tries again.
            ValueError: if the task weights look at improvements and were not set, or the replay buffer holds groups
                of another driver.
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
        group.played = PlayedGroup(group.problem, rollouts, batch.number, assignment.group)
        informative = self.group_filter(group.played)
        batch.unfinished -= 1
        return Progress(informative) if batch.unfinished else self._end_round(batch, informative)

    def _forget_batches(self) -> None:
        self._batches: dict[int, _OpenBatch] = {}
        self._with_work: list[int] = []  # a heap of the batches that have an episode to hand out
        # Groups and loss weights of the batches that had none, since one was completed.
        self._replayed: list[tuple[list[tuple[int, int]], list[float]]] = []
        self._num_batches = 0

    def _open_batch(self) -> None:
        self.curriculum.check_measurable()
        while not (batch := self._next_batch()).has_work:  # groups of earlier batches fill it alone
            selection = self._selection(batch)
            self._replayed.append((selection.replayed_groups, selection.replay_weights))
        self._batches[batch.number] = batch
        heapq.heappush(self._with_work, batch.number)

    def _next_batch(self) -> _OpenBatch:
        draft = self.curriculum.draft(self.group_filter)
        try:
            batch = _OpenBatch(self._num_batches, draft, self.group_size)
        except BaseException:
            draft.give_up()
            raise
        self._num_batches += 1
        return batch

    def _end_round(self, batch: _OpenBatch, informative: bool) -> Progress:
        batch.report()
        batch.propose()
        if batch.has_work:
            heapq.heappush(self._with_work, batch.number)
            return Progress(informative)
        del self._batches[batch.number]
        before, self._replayed = self._replayed, []
        return Progress(informative, replace(self._selection(batch), replayed_batches=before))

    def _selection(self, batch: _OpenBatch) -> Selection:
        draft, places = batch.draft, batch.replayed
        finished = draft.finish()
        unmeasured = np.zeros((0, finished.num_tasks)) if self.curriculum.task_weights.uses_improvements else None
        self.curriculum.update(finished, unmeasured)
        weighted = list(zip(draft.selected or [], finished.loss_weights.tolist(), strict=True))
        own = [(i - len(places), weight) for i, weight in weighted if i >= len(places)]
        replayed = [(places[i], weight) for i, weight in weighted if i < len(places)]
        return Selection(
            selected_groups=[index for index, _ in own],
            group_weights=[weight for _, weight in own],
            replayed_groups=[place for place, _ in replayed],
            replay_weights=[weight for _, weight in replayed],
            task_weights=self.curriculum.probabilities,
        )


def _place(group: Group) -> tuple[int, int]:
    if not isinstance(group, PlayedGroup):
        raise ValueError("expected groups of a schedule in the replay buffer, got others: reseed, which empties it")
    return group.batch, group.index


class _OpenGroup:
    """A problem that was handed out at least once, and the rollouts of it that are finished."""

    def __init__(self, problem: Problem, group_size: int) -> None:
        self.problem = problem
        self.rollouts: list[Rollout | None] = [None] * group_size
        self.unfinished = group_size
        self.played: PlayedGroup | None = None


class _OpenBatch:
    """A draft, and its groups in the order proposed."""

    def __init__(self, number: int, draft: BatchDraft, group_size: int) -> None:
        self.number = number
        self.draft = draft
        self.replayed = [_place(group) for group in draft.groups]  # (batch, group) of those offered
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
        self.draft.report([group.played for group in self.groups[self._reported :] if group.played is not None])
        self._reported = len(self.groups)

    def propose(self) -> None:
        self._proposal = deque(self.draft.propose())
        self.unfinished = len(self._proposal)
