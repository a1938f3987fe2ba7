"""`Curriculum`: what decides the next batch, for trainers and envs of any kind (Algorithm 1 but for the learning).

It holds everything that Multi-Task GRPO adds to a trainer: a stream of problems, the task weights and the estimate of
J that they look at, the sampler that keeps their ratio, the filter, and the replay buffer. A trainer rolls out the
problems that it is given, learns from the batch that it gets, and says so:

    batch = curriculum.draw(roll_out)      # line 1
    learn(batch.groups, batch.loss_weights)
    curriculum.update(batch)               # lines 3 and 4
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.batch_metrics import BatchMetrics, scalars
from mtgrpo_env.drafts import BatchDraft
from mtgrpo_env.filters import rewards_differ, success_differs
from mtgrpo_env.manifest import read_object
from mtgrpo_env.plans import BatchSampler, checked_probabilities
from mtgrpo_env.problem_streams import NumberedProblems, ObservingStream, ProblemStream
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.reward_estimates import LatestReward, RecentAccuracy, RewardEstimate, judged
from mtgrpo_env.shares import GroupMeasure, count_groups, reweight_to_target_shares
from mtgrpo_env.stateful import Stateful, name_of, plain, refuse_other_hyperparameters, refuse_unnamed_attributes
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import SOLVED, DisparityWeights, GivenWeights, TaskWeights, in_task_order
from mtgrpo_env.types import Batch, FloatArray, Group, GroupFilter, Problem, TaskStats

GenerateGroups = Callable[[Sequence[Problem]], Iterable[Group]]
"""Rolls out a round of problems: a group of rollouts of each, in the order of the problems."""

BATCH_SIZE = 32
"""B, where nobody says otherwise."""

_STATE_FILE = "curriculum.json"
_STARVED_STEPS = 10  # batches without an informative group before a task is called starved


class StarvedTaskWarning(UserWarning):
    """A task gives no informative groups: it is solved, or out of reach, and takes no part in training."""


class Curriculum:
    """Draws batches that hold the tasks in the ratio of weights that move.

    Args:
        problems: a stream of problems of K tasks, or the names of the tasks.
        batch_size: B, in groups, of the default sampler.
        sampler: draws batches; by default quotas within a budget, filled from a replay buffer.
        task_weights: decides the ratio of tasks; by default no task far below the average accuracy.
        reward_estimate: J; by default each task's recent accuracy for weights that look at accuracy, as those by
            default do, and its latest mean reward for others.
        replay: keeps informative groups for the batches after their own; none by default with a sampler that is given.
        group_filter: which groups are informative; by default those with successes and failures (`success_differs`),
            or, where success in a task of the suite is a threshold on the return, those whose returns differ
            (`rewards_differ`).
        share_by: what the tasks' shares of the loss are counted by; by default groups, as the sampler counts.
        seed: of the default sampler.

    Raises:
        ValueError: if the parts differ in the number of tasks, `batch_size` is not the sampler's, `task_weights` is no
            rule with `num_tasks`, or a part does not name all it holds (`Stateful`).

    >>> curriculum = Curriculum(["math", "code", "chat"], batch_size=6)
    >>> curriculum.sampler
    QuotaSampler(num_tasks=3, batch_size=6, max_generated=2.0, max_rounds=2, confidence=0.6, max_inflation=20.0, \
weight_clip=2.0, max_replayed=0.25, acceptance=RecentShares(num_tasks=3, memory=48.0, prior_trials=2.0))
    """

    def __init__(
        self,
        problems: ProblemStream | Sequence[str],
        *,
        batch_size: int | None = None,
        sampler: BatchSampler[Any] | None = None,
        task_weights: TaskWeights | None = None,
        reward_estimate: RewardEstimate | None = None,
        replay: ReplayBuffer | None = None,
        group_filter: GroupFilter | None = None,
        share_by: GroupMeasure = count_groups,
        seed: int = 0,
    ) -> None:
        self.problems = NumberedProblems(problems) if isinstance(problems, Sequence) else problems
        num_tasks = len(self.problems.names)
        if sampler is None:
            size = BATCH_SIZE if batch_size is None else batch_size
            sampler = QuotaSampler.beside_replay(num_tasks, size, seed=seed)
            replay = ReplayBuffer() if replay is None else replay  # an empty one is false
        task_weights = (
            DisparityWeights(num_tasks, solved=SOLVED) if task_weights is None else _checked_rule(task_weights)
        )
        if reward_estimate is None:
            reward_estimate = (RecentAccuracy if task_weights.uses_accuracy else LatestReward)(num_tasks)
        self.sampler = sampler
        self.task_weights = task_weights
        self.reward_estimate = reward_estimate
        self.replay = replay
        self.group_filter = _filter_for(self.problems) if group_filter is None else group_filter
        self.share_by = share_by
        self._check(batch_size)
        self.rewards = np.zeros(num_tasks)  # J, as the weights last saw it
        self._fixed: FloatArray | None = None
        self._starved_for = np.zeros(num_tasks, dtype=np.int64)
        self._latest: BatchMetrics | None = None
        for part in self._parts:
            refuse_unnamed_attributes(part)
        self._start = [part.state_dict() for part in self._parts]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the K tasks."""
        return self.problems.names

    @property
    def num_tasks(self) -> int:
        return len(self.names)

    @property
    def batch_size(self) -> int:
        """B, in groups."""
        return self.sampler.batch_size

    @property
    def probabilities(self) -> FloatArray:
        """(K,) z, that the next batch is drawn with."""
        return self.task_weights.probabilities if self._fixed is None else self._fixed.copy()

    def set_task_weights(self, probabilities: GivenWeights | None) -> None:
        """Take z from outside from the next batch on; None gives it back to the rule.

        Args:
            probabilities: (K,) on the simplex; or by the tasks' names, as in `{"math": 0.5, "code": 0.5}`; tasks that
                are not named have 0.

        Raises:
            ValueError: if `probabilities` is not on the simplex, or names an unknown task.
        """
        if isinstance(probabilities, Mapping):
            probabilities = in_task_order(probabilities, self.names)
        self._fixed = None if probabilities is None else checked_probabilities(probabilities, self.num_tasks)

    def draft(self, group_filter: GroupFilter | None = None) -> BatchDraft:
        """A batch under construction, for drivers that roll out one episode at a time; others call `draw`.

        Several may be open at a time. Each must be finished or given up, or the groups that it replays stay out.
        """
        z, informative = self.probabilities, group_filter or self.group_filter
        return BatchDraft(self.sampler, self.sampler.plan(z), z, informative, self.replay, self._shared, self._observe)

    def draw(self, roll_out: GenerateGroups) -> Batch:
        """Line 1 of Algorithm 1: generate a batch in the ratio of z, and learn from what it shows of the problems.

        That is how many groups are informative, and which problems are solved.

        Args:
            roll_out: is called once for each generation round.

        Raises:
            ValueError: if it returns anything but a group for each problem, in their order.
        """
        draft = self.draft()
        try:
            while task_ids := draft.propose():
                problems = [self.problems.next_problem(task_id) for task_id in task_ids]
                draft.report(_checked_groups(problems, roll_out(problems)))
        except BaseException:
            draft.give_up()
            raise
        return draft.finish()

    def update(self, batch: Batch, improvements: ArrayLike | None = None) -> BatchMetrics:
        """Lines 3 and 4 of Algorithm 1: estimate J from the batch, and move the task weights.

        Args:
            batch: that was trained on.
            improvements: (K,) I_k, or (U, K) of the U updates that are due. Rules that look at none need none; others
                rest without them while the weights are set.

        Returns:
            The metrics of the batch.

        Raises:
            ValueError: if the rule looks at improvements and is given none, or not K of them.
        """
        if improvements is None:
            self.check_measurable()
            improvements = np.zeros((0 if self.task_weights.uses_improvements else 1, self.num_tasks))
        updates = np.atleast_2d(np.asarray(improvements, dtype=np.float64))  # (U, K)
        if updates.ndim != 2 or updates.shape[1] != self.num_tasks:
            raise ValueError(f"expected improvements of {self.num_tasks} tasks, got shape {np.shape(improvements)}")
        self.rewards = judged(self.reward_estimate.observe(batch), batch, before=self.rewards)
        rollouts = None if batch.responses is None else batch.responses.responses
        for improvement in updates:
            self.task_weights.update(TaskStats(self.rewards, improvement, batch.mean_abs_advantages, rollouts))
        self._latest = BatchMetrics.of(batch)
        self._watch_starvation(batch)
        return self._latest

    def check_measurable(self) -> None:
        """Make sure that the weights can move without improvements, for drivers that cannot measure any.

        Raises:
            ValueError: if they look at improvements, and were not set.
        """
        if self.task_weights.uses_improvements and self._fixed is None:
            rule = type(self.task_weights).__name__
            raise ValueError(f"{rule} looks at improvements, got none: give them, set the weights or take another rule")

    def metrics(self) -> dict[str, float]:
        """Scalars of the last batch for a log: "number/task" and numbers of the batch; {} before the first.

        Of tasks with a fixed list of problems, "solved/task" is the share whose latest group was all correct.
        """
        if self._latest is None:
            return {}
        rewards = {f"reward/{k}": float(j) for k, j in zip(self.names, self.rewards, strict=True) if not np.isnan(j)}
        known = self.problems.solved() if isinstance(self.problems, ObservingStream) else {}
        solved = {f"solved/{name}": share for name, share in known.items()}
        return {**scalars(self.names, self._latest), **rewards, **solved}

    def reseed(self, seed: int) -> None:
        """Start anew, as just made but for the seed; task weights that were set stay."""
        self.problems.reseed(seed)
        for part, state in zip(self._parts, self._start, strict=True):
            part.load_state_dict(state)
        self.sampler.reseed(seed)
        if self.replay is not None:
            self.replay.load_state_dict({"held": ()})
        self.rewards = np.zeros(self.num_tasks)
        self._starved_for = np.zeros(self.num_tasks, dtype=np.int64)
        self._latest = None

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Of every part, by name."""
        parts = ("sampler", "task_weights", "reward_estimate", "replay", "group_filter", "share_by")
        return {"tasks": list(self.names), **{name: plain(getattr(self, name)) for name in parts}}

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to draw what this would draw next; `save` writes the same into files.

        Raises:
            ValueError: naming what a part holds under no name that it declares.
        """
        for part in self._parts:
            refuse_unnamed_attributes(part)
        return {
            "hyperparameters": self.hyperparameters,
            "problems": self.problems.state_dict(),
            "sampler": self.sampler.state_dict(),
            "task_weights": self.task_weights.state_dict(),
            "reward_estimate": self.reward_estimate.state_dict(),
            "replay": None if self.replay is None else self.replay.state_dict(),
            "rewards": [None if np.isnan(reward) else reward for reward in self.rewards.tolist()],
            "fixed": None if self._fixed is None else self._fixed.tolist(),
            "starved_for": self._starved_for.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of a curriculum with equal hyper-parameters.

        Raises:
            ValueError: naming every hyper-parameter that differs, or what is missing.
        """
        if missing := sorted(self.state_dict().keys() - state.keys()):
            raise ValueError(f"expected the state of a curriculum, got one without {missing}")
        refuse_other_hyperparameters("a state", state["hyperparameters"], self.hyperparameters)
        self.problems.load_state_dict(state["problems"])
        self.sampler.load_state_dict(state["sampler"])
        self.task_weights.load_state_dict(state["task_weights"])
        self.reward_estimate.load_state_dict(state["reward_estimate"])
        if self.replay is not None:
            self.replay.load_state_dict(state["replay"])
        self.rewards = np.asarray(state["rewards"], dtype=np.float64)
        self.set_task_weights(state["fixed"])
        self._starved_for = np.asarray(state["starved_for"], dtype=np.int64)

    def save(self, folder: str | Path) -> None:
        """Write the state into a folder, which is made if it is not there.

        Raises:
            ValueError: if groups of the replay buffer are not plain data.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        state = {**self.state_dict(), "replay": None}  # has a file of its own
        if self.replay is not None:
            self.replay.save(Path(folder))
        (Path(folder) / _STATE_FILE).write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: str | Path) -> None:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: if it did not.
            ValueError: naming every hyper-parameter that differs, or what is damaged.
        """
        file = Path(folder) / _STATE_FILE
        if not file.is_file():
            raise FileNotFoundError(f"{folder} holds no curriculum: it has no {_STATE_FILE}")
        state = read_object(file)
        refuse_other_hyperparameters(f"{folder} is", state.get("hyperparameters", {}), self.hyperparameters)
        if self.replay is not None:
            self.replay.load(Path(folder))
            state["replay"] = self.replay.state_dict()
        self.load_state_dict(state)

    def __repr__(self) -> str:
        parts = (self.sampler, self.task_weights, self.reward_estimate, self.replay)
        return f"Curriculum({', '.join(self.names)}: {'; '.join(map(repr, parts))}; {name_of(self.group_filter)})"

    @property
    def _parts(self) -> tuple[Stateful, ...]:
        return (self.sampler, self.task_weights, self.reward_estimate)

    def _shared(self, batch: Batch) -> Batch:
        return batch if self.share_by is count_groups else reweight_to_target_shares(batch, self.share_by)

    def _observe(self, generated: Sequence[Group]) -> None:
        if isinstance(self.problems, ObservingStream):
            self.problems.observe(generated)

    def _watch_starvation(self, batch: Batch) -> None:
        starved = (batch.generated > 0) & (batch.accepted == 0)
        self._starved_for = np.where(batch.accepted > 0, 0, self._starved_for + starved)
        for k in np.flatnonzero(starved & (self._starved_for == _STARVED_STEPS)):
            warnings.warn(
                f"task {self.names[k]!r} gave no informative group in {_STARVED_STEPS} steps "
                f"(accuracy {batch.accuracies[k]:.2f}): it is solved or out of reach, and is not being trained",
                StarvedTaskWarning,
                stacklevel=3,
            )

    def _check(self, batch_size: int | None) -> None:
        for name, part in (("sampler", self.sampler), ("task_weights", self.task_weights)):
            if part.num_tasks != self.num_tasks:
                tasks = f"{self.num_tasks} tasks, {list(self.names)}"
                raise ValueError(f"there are {tasks}, the {name} expects {part.num_tasks}")
        if batch_size not in (None, self.sampler.batch_size):
            raise ValueError(f"batch_size must be that of the sampler, {self.sampler.batch_size}, got {batch_size}")


def _checked_rule(task_weights: TaskWeights) -> TaskWeights:
    if not hasattr(task_weights, "num_tasks"):  # which, unlike the two methods, Python does not demand
        raise ValueError(
            "task_weights must be a rule: a TaskWeights with num_tasks (K), probabilities and update, "
            f"got {type(task_weights).__name__} without num_tasks; fixed weights are set by set_task_weights"
        )
    return task_weights


def _filter_for(problems: ProblemStream) -> GroupFilter:
    """In control returns differ long before an episode reaches its threshold."""
    has_threshold = isinstance(problems, TaskSuite) and any(task.success_threshold is not None for task in problems)
    return rewards_differ if has_threshold else success_differs


def _checked_groups(problems: Sequence[Problem], generated: Iterable[Group]) -> list[Group]:
    groups = list(generated)
    if strange := next((group for group in groups if not isinstance(group, Group)), None):
        raise ValueError(f"expected a Group of each problem, got {strange!r:.80}")
    if [group.problem for group in groups] != list(problems):
        given = f"{len(groups)} groups" if len(groups) != len(problems) else "groups of others, or in another order"
        raise ValueError(f"expected a group of each of the {len(problems)} problems, in their order, got {given}")
    return groups
