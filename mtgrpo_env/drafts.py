"""`BatchDraft`: a batch while its groups come in. The plan decides; the draft holds the groups, which it never sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.filters import is_unanimous
from mtgrpo_env.plans import BatchPlan, BatchSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.types import Batch, FloatArray, Group, GroupFilter, IntArray, ResponseCounts, Rollout, per_task_mean


class BatchDraft:
    """Groups are proposed and reported round by round; `finish` selects those to train on, or `give_up` ends it.

    Args:
        sampler: learns from the plan in the end.
        plan: of the batch.
        task_weights: (K,) z that it was drawn with.
        group_filter: which groups are informative.
        replay: offers groups of earlier batches, and keeps this one's.
        shared: sets loss weights that make the tasks' shares what is wanted.
        observe: is given all groups that were generated, in the end.

    Attributes:
        selected: indices of the groups trained on, among those of earlier batches and then those reported; None
            before the end.
    """

    def __init__(
        self,
        sampler: BatchSampler[Any],
        plan: BatchPlan,
        task_weights: FloatArray,
        group_filter: GroupFilter,
        replay: ReplayBuffer | None,
        shared: Callable[[Batch], Batch],
        observe: Callable[[Sequence[Group]], None],
    ) -> None:
        self.plan = plan
        self.task_weights = task_weights
        self.group_filter = group_filter
        self.groups = [] if replay is None else replay.offer(plan)
        self.selected: list[int] | None = None
        self._sampler, self._replay, self._shared, self._observe = sampler, replay, shared, observe

    def propose(self) -> list[int]:
        """Task ids of the next round, a group each; [] when there is nothing more to generate."""
        return self.plan.propose()

    def report(self, groups: Sequence[Group]) -> None:
        """The groups of the round that was proposed last, in its order."""
        self.plan.report([group.task_id for group in groups], [self.group_filter(group) for group in groups])
        self.groups += groups

    def give_up(self) -> None:
        """Never finish: the replayed groups are at hand for the next batch, and nothing was learned from this one."""
        if self._replay is not None:
            self._replay.take_back(self.groups[: self.plan.replayed])

    def finish(self) -> Batch:
        """Select, once nothing more is proposed."""
        assert self.selected is None, "a batch is finished once"
        plan = self.plan
        self._sampler.update(plan)
        self.selected, loss_weights = plan.select()
        if self._replay is not None:
            self._replay.keep(plan, self.groups, self.selected)
        generated = self.groups[plan.replayed :]
        self._observe(generated)
        batch = Batch(
            groups=tuple(self.groups[i] for i in self.selected),
            loss_weights=loss_weights,
            task_weights=self.task_weights,
            targets=plan.targets,
            accepted=plan.generated - plan.filtered,
            generated=plan.generated,
            rewards=_mean_per_task(generated, [group.rewards for group in generated], plan.num_tasks),
            accuracies=_accuracies(generated, plan.num_tasks),
            mean_abs_advantages=_mean_per_task(generated, _abs_advantages(plan, generated), plan.num_tasks),
            round_accuracies=_round_accuracies(plan, generated),
            rounds=plan.rounds,
            num_rollouts=sum(len(group.rollouts) for group in generated),
            replayed=sum(i < plan.replayed for i in self.selected),
            responses=count_responses(generated, plan.num_tasks),
        )
        return self._shared(batch)


def count_responses(groups: Sequence[Group], num_tasks: int) -> ResponseCounts:
    """What the rollouts of some groups amount to, task by task; those whose scorer failed among them."""
    rollouts = [(group.task_id, rollout) for group in groups for rollout in group.rollouts]
    scored = [(k, rollout.log_prob, rollout.length) for k, rollout in rollouts if rollout.log_prob is not None]

    def counted(task_ids: Sequence[int], amounts: Sequence[float]) -> FloatArray:
        weights = np.asarray(amounts, dtype=np.float64)
        return np.bincount(np.asarray(task_ids, dtype=np.int64), weights, num_tasks).astype(np.float64)

    def of_all(amount: Callable[[Rollout], int]) -> IntArray:
        amounts = [amount(rollout) for _, rollout in rollouts]
        return counted([k for k, _ in rollouts], amounts).astype(np.int64)

    unanimous = [is_unanimous(group) for group in groups]
    return ResponseCounts(
        responses=of_all(lambda _: 1),
        lengths=of_all(lambda rollout: rollout.length),
        truncated=of_all(lambda rollout: rollout.is_truncated),
        surprisals=-counted([k for k, *_ in scored], [log_prob for _, log_prob, _ in scored]),
        scored_tokens=counted([k for k, *_ in scored], [length for *_, length in scored]).astype(np.int64),
        unanimous=counted([group.task_id for group in groups], unanimous).astype(np.int64),
    )


def _round_accuracies(plan: BatchPlan, generated: list[Group]) -> FloatArray:
    """(rounds, K) of the groups of each generation round."""
    ends = np.cumsum([of_round.sum() for of_round, _ in plan.history], dtype=np.int64)
    rounds = [generated[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=False)]
    return np.array([_accuracies(groups, plan.num_tasks) for groups in rounds]).reshape(-1, plan.num_tasks)


def _accuracies(groups: Sequence[Group], num_tasks: int) -> FloatArray:
    return _mean_per_task(groups, [group.successes for group in groups], num_tasks)


def _abs_advantages(plan: BatchPlan, groups: Sequence[Group]) -> list[FloatArray]:
    """(N,) |A| of each group, 0 throughout unless it is informative."""
    pairs = zip(groups, plan.informative[plan.replayed :], strict=True)
    return [np.abs(group_advantages(g)) if informative else np.zeros(len(g.rollouts)) for g, informative in pairs]


def _mean_per_task(groups: Sequence[Group], values: Sequence[ArrayLike], num_tasks: int) -> FloatArray:
    """(K,) mean over each task's valid rollouts, given (N,) values of each group; NaN where there is none."""
    if not groups:
        return np.full(num_tasks, np.nan)
    task_ids = [np.full(group.valid.sum(), group.task_id) for group in groups]
    valid_values = [np.asarray(of_group)[group.valid] for group, of_group in zip(groups, values, strict=True)]
    return per_task_mean(np.concatenate(valid_values), np.concatenate(task_ids), num_tasks)
