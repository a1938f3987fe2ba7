"""I_k inside somebody else's training loop: how much its optimiser steps improve each task's objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from mtgrpo_env.agents.integrations.trl.rounds import LOG_PROBS
from mtgrpo_env.agents.neural.losses import clipped_surrogate
from mtgrpo_env.types import Batch, FloatArray

Inputs = Mapping[str, torch.Tensor]


class StepImprovements:
    """Sums what each optimiser step gained on the completions it was taken on.

    What they were worth before the step is known from the passes that training makes anyway; one pass without a
    gradient says what they are worth after it.

    Args:
        num_tasks: K.
        clip_low: ε_low of the objective.
        clip_high: ε_high.
    """

    def __init__(self, num_tasks: int, *, clip_low: float, clip_high: float) -> None:
        self.num_tasks = num_tasks
        self._clips = {"clip_low": clip_low, "clip_high": clip_high}
        self._passes: list[tuple[Inputs, torch.Tensor]] = []
        self._gains = np.zeros(num_tasks)

    def pass_made(self, inputs: Inputs, log_probs: torch.Tensor) -> None:
        """Remember a micro-batch of the coming step, and the (R, T) log-probabilities that its pass showed."""
        self._passes.append((inputs, log_probs))

    @torch.no_grad()
    def step_taken(self, log_probs_of: Callable[[Inputs], torch.Tensor]) -> None:
        """Count the gain on all micro-batches since the last step, given the model as it is now."""
        for inputs, before in self._passes:
            old = inputs.get(LOG_PROBS, before)
            gains = self._values(inputs, log_probs_of(inputs), old) - self._values(inputs, before, old)  # (R,)
            counted = gains * (inputs["loss_weights"] > 0)
            task_ids = inputs["task_ids"].cpu().numpy()
            self._gains += np.bincount(task_ids, weights=counted.double().cpu().numpy(), minlength=self.num_tasks)
        self._passes.clear()

    def take(self, batch: Batch) -> FloatArray:
        """(K,) I_k since the last call: means over the rollouts of the batch; 0 for a task not in it."""
        improvements = self._gains / np.maximum(batch.kept_rollouts, 1)
        self._gains = np.zeros(self.num_tasks)
        return improvements

    def _values(self, inputs: Inputs, log_probs: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        """(R,) the clipped surrogate of each rollout, a mean over its tokens."""
        mask = inputs["completion_mask"] * inputs["tool_mask"] if "tool_mask" in inputs else inputs["completion_mask"]
        surrogate = clipped_surrogate(torch.exp(log_probs - old), inputs["advantages"], **self._clips)
        return (surrogate * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
