"""GRPO over env steps: group advantages of episode returns, the clipped objective, one network for all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.agents.base import Objectives, env_step_counts
from mtgrpo_env.agents.minibatches import MinibatchLearner
from mtgrpo_env.agents.neural.losses import Layout, clipped_surrogate, sequence_mean
from mtgrpo_env.agents.neural.mlp import Choice, MLPPolicy
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
from mtgrpo_env.types import Batch, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class _Steps:
    """Every step of a batch, flat; M steps."""

    features: torch.Tensor  # (M, D)
    chosen: torch.Tensor  # (M, A)
    old_log_probs: torch.Tensor  # (M,)
    task_ids: torch.Tensor  # (M,)
    advantages: torch.Tensor  # (M,) of the step's episode
    shares: torch.Tensor  # (M,) in the mean over groups, episodes and their steps
    weights: torch.Tensor  # (M,) loss weight of the step's group


class MLPLearner(MinibatchLearner):
    """Improves an `MLPPolicy` by AdamW; every step of an episode has the advantage of its return.

    Args:
        policy: whose network is trained.
        lr: learning rate.
        num_minibatches: optimiser steps for each pass over a batch.
        num_passes: times that a batch is trained on.
        clip_low: ε_low.
        clip_high: ε_high; None for the method's.
        seed: of the minibatch shuffle.
    """

    hyperparameter_names = ("lr", *MinibatchLearner.hyperparameter_names)

    def __init__(
        self,
        policy: MLPPolicy,
        *,
        lr: float = 3e-3,
        num_minibatches: int = 4,
        num_passes: int = 1,
        clip_low: float = 0.2,
        clip_high: float | None = None,
        seed: int = 0,
    ) -> None:
        clips = {"clip_low": clip_low, "clip_high": clip_high}
        super().__init__(num_minibatches=num_minibatches, num_passes=num_passes, seed=seed, **clips)
        self.policy, self.lr = policy, lr
        self.engine = TorchTrainEngine(policy.network, lr=lr)

    @torch.no_grad()
    def objectives(self, batch: Batch) -> FloatArray:
        steps = _flatten(batch)
        return _per_task(steps, self._surrogate(steps), batch.num_tasks)

    def sampled_objectives(self, batch: Batch) -> FloatArray:
        steps = _flatten(batch)
        return _per_task(steps, steps.advantages, batch.num_tasks)

    def action_counts(self, batch: Batch) -> IntArray:
        return env_step_counts(batch)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.engine.save(folder)

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.engine.load(folder)

    def _step(self, minibatch: Batch) -> tuple[Mapping[str, float], Objectives]:
        steps = _flatten(minibatch)
        surrogate = self._surrogate(steps)
        loss = -(steps.shares * steps.weights * surrogate).sum()
        self.engine.backward(loss, is_last=True)
        scalars = {"loss": float(loss.detach()), "gradient_norm": self.engine.step()}
        means = (_per_task(steps, of_steps, minibatch.num_tasks) for of_steps in (steps.advantages, surrogate.detach()))
        return scalars, Objectives(*means)

    def _surrogate(self, steps: _Steps) -> torch.Tensor:
        """(M,) min(r A, clip(r) A): each step is a row of one action."""
        log_probs = self.policy.log_probs(steps.features, steps.task_ids, steps.chosen)
        ratios = torch.exp(log_probs - steps.old_log_probs)[:, None]
        clips = {"clip_low": self.clip_low, "clip_high": self.clip_high}
        return clipped_surrogate(ratios, steps.advantages, **clips).squeeze(1)


def _flatten(batch: Batch) -> _Steps:
    """The steps of the groups trained on; their `extras` must be `Choice`s."""
    choices: list[Choice] = []
    lengths: list[int] = []
    for group in batch.groups:
        for rollout in group.rollouts:
            choices += [step.extras for step in rollout.steps]
            lengths.append(len(rollout.steps))
    sizes = [len(group.rollouts) for group in batch.groups]
    advantages = np.concatenate([group_advantages(group) for group in batch.groups])
    of_groups = (np.repeat(values, sizes) for values in (batch.loss_weights, batch.task_ids, np.arange(len(sizes))))
    of_rollouts = (advantages.astype(np.float32), *of_groups)
    of_steps = (torch.as_tensor(np.repeat(values, lengths)) for values in (*of_rollouts, np.arange(len(lengths))))
    of_advantages, weights, task_ids, groups, rollouts = of_steps
    return _Steps(
        features=torch.as_tensor(np.stack([choice.features for choice in choices])),
        chosen=torch.as_tensor(np.stack([choice.chosen for choice in choices])),
        old_log_probs=torch.tensor([choice.log_prob for choice in choices]),
        task_ids=task_ids,
        advantages=of_advantages,
        shares=sequence_mean(Layout(torch.ones(len(choices), 1), rollouts, groups)).squeeze(1),
        weights=weights.float(),
    )


def _per_task(steps: _Steps, surrogate: torch.Tensor, num_tasks: int) -> FloatArray:
    """(K,) mean of the surrogate over each task's episodes; NaN for a task that has none."""
    task_ids = steps.task_ids.numpy()
    totals = np.bincount(task_ids, weights=(steps.shares * surrogate).double().numpy(), minlength=num_tasks)
    masses = np.bincount(task_ids, weights=steps.shares.double().numpy(), minlength=num_tasks)
    return np.where(masses > 0, totals / np.where(masses > 0, masses, 1), np.nan)
