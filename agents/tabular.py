"""A policy that is a table, and GRPO on it, in numpy: the whole method without a neural network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.agents.base import Objectives, env_step_counts
from mtgrpo_env.agents.minibatches import MinibatchLearner
from mtgrpo_env.types import Batch, FloatArray, Group, IntArray, per_task_mean

_POLICY_FILE = "policy.npz"


class TabularPolicy:
    """Softmax over a row of logits for each (task, observation); for discrete spaces.

    Args:
        num_tasks: K.
        num_observations: S.
        num_actions: A.
        seed: of the policy's own generator.
    """

    def __init__(self, num_tasks: int, num_observations: int, num_actions: int, *, seed: int = 0) -> None:
        self.logits = np.zeros((num_tasks, num_observations, num_actions))  # (K, S, A)
        self.rng = np.random.default_rng(seed)

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[Sequence[int], Sequence[float]]:
        """Actions, and the log-probability of each."""
        log_probs = self.log_probs(np.asarray(task_ids), np.asarray(observations))  # (P, A)
        noise = 0.0 if deterministic else self.rng.gumbel(size=log_probs.shape)
        actions = np.argmax(log_probs + noise, axis=1)
        return actions.tolist(), log_probs[np.arange(len(actions)), actions].tolist()

    def log_probs(self, task_ids: IntArray, observations: IntArray) -> FloatArray:
        """(P, A) log-probabilities of every action."""
        logits = self.logits[task_ids, observations]
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def reseeded(self, seed: int) -> Self:
        other = type(self)(*self.logits.shape, seed=seed)
        other.logits = self.logits
        return other

    def generating(self) -> AbstractContextManager[object]:
        return nullcontext()

    def save(self, folder: Path) -> None:
        np.savez(folder / _POLICY_FILE, logits=self.logits, rng=json.dumps(self.rng.bit_generator.state))

    def load(self, folder: Path) -> None:
        with np.load(folder / _POLICY_FILE) as saved:
            if saved["logits"].shape != self.logits.shape:
                raise ValueError(f"the saved table has shape {saved['logits'].shape}, this one {self.logits.shape}")
            if saved["logits"].dtype.kind != "f" or not np.isfinite(saved["logits"]).all():
                raise ValueError(f"expected a table of finite numbers, got {saved['logits']!r:.80}")
            self.logits = saved["logits"]
            self.rng.bit_generator.state = json.loads(str(saved["rng"]))


@dataclass(frozen=True, slots=True)
class _Steps:
    """Every step of a list of rollouts, flat; R rollouts, M steps."""

    task_ids: IntArray  # (M,)
    observations: IntArray  # (M,)
    actions: IntArray  # (M,)
    old_log_probs: FloatArray  # (M,)
    rollout_ids: IntArray  # (M,)
    lengths: IntArray  # (R,)
    advantages: FloatArray  # (R,)
    weights: FloatArray  # (R,)
    divisors: IntArray  # (R,) groups times rollouts of the own one
    rollout_tasks: IntArray  # (R,)


class TabularLearner(MinibatchLearner):
    """The clipped GRPO objective by gradient ascent on the table.

    Args:
        policy: the table.
        lr: step size of plain gradient ascent.
        num_minibatches: optimiser steps for each pass over a batch.
        num_passes: times that a batch is trained on.
        clip_low: ε_low.
        clip_high: ε_high; None for the method's.
        seed: of the minibatch shuffle.
    """

    hyperparameter_names = ("lr", *MinibatchLearner.hyperparameter_names)

    def __init__(
        self,
        policy: TabularPolicy,
        *,
        lr: float = 2.0,
        num_minibatches: int = 4,
        num_passes: int = 1,
        clip_low: float = 0.2,
        clip_high: float | None = None,
        seed: int = 0,
    ) -> None:
        clips = {"clip_low": clip_low, "clip_high": clip_high}
        super().__init__(num_minibatches=num_minibatches, num_passes=num_passes, seed=seed, **clips)
        self.policy = policy
        self.lr = lr

    def objectives(self, batch: Batch) -> FloatArray:
        steps = _flatten(batch.groups, batch.loss_weights)
        surrogate, _ = self._surrogate(steps)
        return _per_task(steps, surrogate, batch.num_tasks)

    def sampled_objectives(self, batch: Batch) -> FloatArray:
        steps = _flatten(batch.groups, batch.loss_weights)
        return per_task_mean(steps.advantages, steps.rollout_tasks, batch.num_tasks)

    def action_counts(self, batch: Batch) -> IntArray:
        return env_step_counts(batch)

    def _step(self, minibatch: Batch) -> tuple[Mapping[str, float], Objectives]:
        steps = _flatten(minibatch.groups, minibatch.loss_weights)
        surrogate, slope = self._surrogate(steps)
        gradient = self._gradient(steps, slope)
        self.policy.logits = self.policy.logits + self.lr * gradient
        sampled = per_task_mean(steps.advantages, steps.rollout_tasks, minibatch.num_tasks)
        objectives = Objectives(sampled, _per_task(steps, surrogate, minibatch.num_tasks))
        return {"gradient_norm": float(np.linalg.norm(gradient))}, objectives

    def _surrogate(self, steps: _Steps) -> tuple[FloatArray, FloatArray]:
        """(M,) min(r A, clip(r) A), and its derivative with respect to log π."""
        log_probs = self.policy.log_probs(steps.task_ids, steps.observations)
        ratios = np.exp(log_probs[np.arange(len(steps.actions)), steps.actions] - steps.old_log_probs)  # r_t
        advantages = steps.advantages[steps.rollout_ids]
        clipped = np.clip(ratios, 1 - self.clip_low, 1 + self.clip_high) * advantages
        surrogate = np.minimum(ratios * advantages, clipped)
        return surrogate, np.where(ratios * advantages <= clipped, ratios * advantages, 0.0)

    def _gradient(self, steps: _Steps, slope: FloatArray) -> FloatArray:
        """(K, S, A) of the objective, from its derivative (M,) with respect to log π."""
        share = steps.weights / (steps.lengths * steps.divisors)  # (R,) mean over steps, rollouts, groups
        slope = slope * share[steps.rollout_ids]
        away = -np.exp(self.policy.log_probs(steps.task_ids, steps.observations))  # d log π / d logits
        away[np.arange(len(steps.actions)), steps.actions] += 1
        gradient = np.zeros_like(self.policy.logits)
        np.add.at(gradient, (steps.task_ids, steps.observations), slope[:, None] * away)
        return gradient


def _per_task(steps: _Steps, surrogate: FloatArray, num_tasks: int) -> FloatArray:
    """(K,) mean over each task's rollouts of the mean over their steps; NaN for a task that has none."""
    totals = np.bincount(steps.rollout_ids, weights=surrogate, minlength=len(steps.lengths))
    return per_task_mean(totals / steps.lengths, steps.rollout_tasks, num_tasks)


def _flatten(groups: Sequence[Group], weights: FloatArray) -> _Steps:
    rollouts = [(group.task_id, rollout) for group in groups for rollout in group.rollouts]
    steps = [(k, i, step) for i, (k, rollout) in enumerate(rollouts) for step in rollout.steps]
    group_sizes = [len(group.rollouts) for group in groups]
    return _Steps(
        task_ids=np.array([k for k, _, _ in steps]),
        observations=np.array([step.observation for _, _, step in steps]),
        actions=np.array([step.action for _, _, step in steps]),
        old_log_probs=np.array([step.extras for _, _, step in steps]),
        rollout_ids=np.array([i for _, i, _ in steps]),
        lengths=np.array([len(rollout.steps) for _, rollout in rollouts]),
        advantages=np.concatenate([group_advantages(group) for group in groups]),
        weights=np.repeat(weights, group_sizes),
        divisors=np.repeat(np.multiply(group_sizes, len(groups)), group_sizes),
        rollout_tasks=np.array([k for k, _ in rollouts]),
    )
