"""MT-GRPO (Algorithm 1): sample a batch in the ratio of the task weights, learn from it, move the weights.

The method is a composition: a rule for the task weights and what it is told, a sampler, a filter and a
learner. GRPO, DAPO and the other methods of the paper are compositions of such parts too; see `methods`.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtgrpo_env.agents.base import Learner, TrainablePolicy
from mtgrpo_env.agents.ranks import OneRank, Ranks, agreement, shared_folder
from mtgrpo_env.agents.sharded import ShardedRollouts
from mtgrpo_env.agents.signals import Improve, LatestReward, RecentAccuracy, RewardEstimate, improve_for
from mtgrpo_env.carry_over import CarryOver
from mtgrpo_env.evaluation import Evaluation, GroupCallback, evaluate_policy
from mtgrpo_env.filters import strict
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.quota_sampler import BUDGET_WITH_CARRY_OVER, QuotaSampler
from mtgrpo_env.rollout import RollOut, rollout_groups, sample_batch
from mtgrpo_env.shares import Amount, absolute_advantage, matched, prompt, totals
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, TaskWeights
from mtgrpo_env.types import Batch, FloatArray, GroupFilter, IntArray, Problem, TaskStats

_STATE_FILE = "agent.json"
_BATCH_SIZE = 32
_PATIENCE = 10  # steps without an informative group before a task is called starved


class StarvedTaskWarning(UserWarning):
    """A task gives no informative groups: it is solved, or out of reach, and takes no part in training."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What happened in one training step; arrays are (K,).

    Attributes:
        step: 1 for the first.
        probabilities: z the batch was sampled with.
        targets: groups wanted.
        kept: groups trained on.
        accepted: informative groups generated.
        generated: groups generated.
        rewards: J_k as the weight rule saw it.
        accuracies: share of correct rollouts among those generated; NaN for an absent task.
        improvements: I_k, summed if the weight rule was told of several.
        loss_weights: mean loss weight of the groups trained on; 0 where there is none.
        actions: tokens, or env steps, trained on.
        abs_advantages: Σ |A| over the rollouts trained on. Times `loss_weights`, each of this, `actions` and `kept`
            says what share of the batch a task has.
        rounds: generation rounds.
        carried: groups trained on that were generated for earlier batches.
        rollouts: episodes generated in this step.
        rollout_seconds: time spent generating and verifying.
        update_seconds: time spent learning and measuring the improvement.
        learner: the learner's own scalars.
    """

    step: int
    probabilities: FloatArray
    targets: IntArray
    kept: IntArray
    accepted: IntArray
    generated: IntArray
    rewards: FloatArray
    accuracies: FloatArray
    improvements: FloatArray
    loss_weights: FloatArray
    actions: IntArray
    abs_advantages: FloatArray
    rounds: int
    carried: int
    rollouts: int
    rollout_seconds: float
    update_seconds: float
    learner: Mapping[str, float]


Callback = Callable[["MTGRPOAgent", StepReport], None]


class MTGRPOAgent:
    """Trains one policy on K tasks.

    Args:
        suite: the tasks and their problem streams.
        policy: acts.
        learner: improves the policy.
        sampler: draws batches; by default quotas for 32 groups, filled with what is carried over.
        task_weights: decides the ratio of tasks; by default no task far below the average accuracy.
        group_size: N, rollouts of each problem.
        group_filter: which groups are informative.
        reward_estimate: J; for task weights that are given, by default the latest mean reward of each task.
        improve: trains on a batch and measures the improvements that the task weights are told; by default those
            of the step, if the task weights look at any.
        carry_over: keeps informative groups for the batches after their own; those of a sampler that is given are
            by default thrown away.
        share_by: what the tasks' shares of the loss are counted by; by default groups, as the sampler does it.
        ranks: the processes that train together, each with an agent like this one; by default this one alone.

    Raises:
        ValueError: if the parts differ in the number of tasks.
    """

    def __init__(
        self,
        suite: TaskSuite,
        policy: TrainablePolicy,
        learner: Learner,
        sampler: BatchSampler[Any] | None = None,
        task_weights: TaskWeights | None = None,
        *,
        group_size: int = 8,
        group_filter: GroupFilter = strict,
        reward_estimate: RewardEstimate | None = None,
        improve: Improve | None = None,
        carry_over: CarryOver | None = None,
        share_by: Amount = prompt,
        ranks: Ranks | None = None,
    ) -> None:
        if sampler is None:
            sampler = QuotaSampler(suite.num_tasks, _BATCH_SIZE, max_generated=BUDGET_WITH_CARRY_OVER)
            carry_over = CarryOver() if carry_over is None else carry_over  # an empty one is false
        if task_weights is None:
            task_weights = DisparityWeights(suite.num_tasks)
            reward_estimate = reward_estimate or RecentAccuracy(suite.num_tasks)
        for name, part in (("sampler", sampler), ("task_weights", task_weights)):
            if part.num_tasks != suite.num_tasks:
                raise ValueError(f"the suite has {suite.num_tasks} tasks, the {name} expects {part.num_tasks}")
        self.suite = suite
        self.policy = policy
        self.learner = learner
        self.sampler = sampler
        self.task_weights = task_weights
        self.group_size = group_size
        self.group_filter = group_filter
        self.reward_estimate = reward_estimate if reward_estimate is not None else LatestReward(suite.num_tasks)
        self.improve = improve or improve_for(task_weights)
        self.carry_over = carry_over
        self.share_by = share_by
        self.ranks = ranks or OneRank()
        self.roll_out: RollOut = rollout_groups if ranks is None else ShardedRollouts(ranks)
        self.step = 0
        self.rollouts = 0
        self._starved_for = np.zeros(suite.num_tasks, dtype=np.int64)

    def train_step(self) -> StepReport:
        """Algorithm 1, one step."""
        started = time.perf_counter()
        z = self.task_weights.probabilities
        batch = self._sample(z)  # 1. batch ← sampler(z, B, N, ρ)
        sampled = time.perf_counter()
        scalars, improvements = self._learn(batch)  # 2. θ ← optimiser steps on it; 3. I_k ← Ĵ_k(θ') - Ĵ_k(θ)
        rewards = self.reward_estimate.observe(batch)  # J
        for improvement in improvements:
            stats = TaskStats(rewards, improvement, batch.mean_abs_advantages)
            self.task_weights.update(stats)  # 4. z ← weight update (I, J)
        self.step += 1
        self.rollouts += batch.num_rollouts
        self._watch_starvation(batch)
        return StepReport(
            step=self.step,
            probabilities=z,
            targets=batch.targets,
            kept=batch.kept,
            accepted=batch.accepted,
            generated=batch.generated,
            rewards=rewards,
            accuracies=batch.accuracies,
            improvements=np.sum(improvements, axis=0),
            loss_weights=totals(batch, prompt) / np.maximum(batch.kept, 1),
            actions=self.learner.action_counts(batch),
            abs_advantages=totals(replace(batch, weights=np.ones(len(batch.groups))), absolute_advantage),
            rounds=batch.rounds,
            carried=batch.carried,
            rollouts=batch.num_rollouts,
            rollout_seconds=sampled - started,
            update_seconds=time.perf_counter() - sampled,
            learner=scalars,
        )

    def train(self, num_steps: int, callbacks: Sequence[Callback] = ()) -> None:
        """Take `num_steps` more steps, telling every callback about each."""
        for _ in range(num_steps):
            report = self.train_step()
            for callback in callbacks:
                callback(self, report)

    def evaluate(
        self,
        problems: Sequence[Problem],
        *,
        rollouts_per_problem: int = 1,
        deterministic: bool = False,
        seed: int = 0,
        on_group: GroupCallback = lambda _: None,
    ) -> Evaluation:
        """Accuracy on fixed problems; draws from a generator of its own, so training is not disturbed."""
        policy = self.policy.reseeded(seed)
        with policy.generating():
            return evaluate_policy(
                self.suite,
                policy,
                problems,
                rollouts_per_problem=rollouts_per_problem,
                deterministic=deterministic,
                on_group=on_group,
                roll_out=self.roll_out,
            )

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Sequence[Any]:
        """Actions of the trained policy."""
        return self.policy.act(observations, task_ids, deterministic=deterministic)[0]

    def save(self, folder: Path) -> None:
        """Write everything a later process needs to go on exactly here; the folder appears whole or not at all."""
        with shared_folder(folder, self.ranks) as unfinished:
            for part in (self.policy, self.learner):
                with agreement(self.ranks):  # or the others would wait in the next for one that cannot write
                    part.save(unfinished)
            if self.ranks.rank == 0:
                if self.carry_over is not None:
                    self.carry_over.save(unfinished)
                (unfinished / _STATE_FILE).write_text(json.dumps(self._state_dict(), indent=1))

    def restore(self, folder: Path) -> None:
        """Go on from a checkpoint that an agent of the same composition saved.

        Raises:
            FileNotFoundError: if `folder` holds no checkpoint.
            ValueError: naming what differs between the checkpoint and this agent.
        """
        file = Path(folder) / _STATE_FILE
        if not file.is_file():
            raise FileNotFoundError(f"{folder} is no agent checkpoint: it has no {_STATE_FILE}")
        state = json.loads(file.read_text())
        own = self._state_dict()
        if state["parts"] != own["parts"]:
            raise ValueError(f"the checkpoint is of {state['parts']}, this agent is of {own['parts']}")
        self.suite.load_state_dict(state["suite"])
        self.sampler.load_state_dict(state["sampler"])
        self.task_weights.load_state_dict(state["task_weights"])
        self.policy.load(Path(folder))
        self.learner.load(Path(folder))
        if self.carry_over is not None:
            self.carry_over.load(Path(folder))
        self.step, self.rollouts = int(state["step"]), int(state["rollouts"])
        self.reward_estimate.load_state_dict(state["reward_estimate"])
        self._starved_for = np.asarray(state["starved_for"], dtype=np.int64)

    def _sample(self, z: FloatArray) -> Batch:
        with self.policy.generating():
            batch = sample_batch(
                self.suite,
                self.policy,
                self.sampler,
                z,
                group_size=self.group_size,
                group_filter=self.group_filter,
                roll_out=self.roll_out,
                carry_over=self.carry_over,
            )
        return batch if self.share_by is prompt else matched(batch, self.share_by)

    def _learn(self, batch: Batch) -> tuple[Mapping[str, float], list[FloatArray]]:
        if not batch.groups:  # nothing was informative: the weights still learn from the rewards
            return {}, [np.zeros(self.suite.num_tasks)]
        return self.improve(self.learner, self.learner.prepare(batch))

    def _watch_starvation(self, batch: Batch) -> None:
        starved = (batch.generated > 0) & (batch.accepted == 0)
        self._starved_for = np.where(batch.accepted > 0, 0, self._starved_for + starved)
        for k in np.flatnonzero(starved & (self._starved_for == _PATIENCE)):
            warnings.warn(
                f"task {self.suite.names[k]!r} gave no informative group in {_PATIENCE} steps "
                f"(accuracy {batch.accuracies[k]:.2f}): it is solved or out of reach, and is not being trained",
                StarvedTaskWarning,
                stacklevel=3,
            )

    def _state_dict(self) -> dict[str, Any]:
        parts = [self.policy, self.learner, self.sampler, self.task_weights, self.reward_estimate, self.carry_over]
        return {
            "parts": {
                "types": [type(part).__name__ for part in parts],
                "batch_size": self.sampler.batch_size,
                "group_size": self.group_size,
            },
            "step": self.step,
            "rollouts": self.rollouts,
            "reward_estimate": self.reward_estimate.state_dict(),
            "starved_for": self._starved_for.tolist(),
            "suite": self.suite.state_dict(),
            "sampler": self.sampler.state_dict(),
            "task_weights": self.task_weights.state_dict(),
        }
