"""GRPO on a language model: minibatches of groups, the clipped objective, one optimiser step each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from mtgrpo_env.agents.llm.data import PackedGroups, pack
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.prefix import completion_log_probs
from mtgrpo_env.agents.llm.train_torch import TrainEngine
from mtgrpo_env.agents.minibatches import MinibatchLearner
from mtgrpo_env.agents.neural.losses import TokenWeights, clipped_surrogate, sequence_mean
from mtgrpo_env.types import Batch, FloatArray, Group, IntArray


class LanguageModelLearner(MinibatchLearner):
    """Improves a `LanguageModelPolicy`.

    Args:
        policy: whose model the engine trains.
        engine: takes the optimiser steps.
        num_minibatches: optimiser steps for each batch.
        clip_low: ε_low.
        clip_high: ε_high.
        token_weights: how tokens are averaged: `sequence_mean` or `token_mean`.
        rows_per_forward: completions in one forward pass; bounds the memory, changes no result.
        seed: of the minibatch shuffle.
    """

    def __init__(
        self,
        policy: LanguageModelPolicy,
        engine: TrainEngine,
        *,
        num_minibatches: int = 4,
        clip_low: float = 0.2,
        clip_high: float = 0.28,
        token_weights: TokenWeights = sequence_mean,
        rows_per_forward: int = 512,
        seed: int = 0,
    ) -> None:
        super().__init__(num_minibatches=num_minibatches, seed=seed)
        self.policy = policy
        self.engine = engine
        self.clip_low, self.clip_high = clip_low, clip_high
        self.token_weights = token_weights
        self.rows_per_forward = rows_per_forward

    @torch.no_grad()
    def objectives(self, batch: Batch) -> FloatArray:
        return self._per_task(batch, self._surrogate)

    def sampled_objectives(self, batch: Batch) -> FloatArray:
        return self._per_task(batch, _surrogate_at_ratio_one)

    def action_counts(self, batch: Batch) -> IntArray:
        tokens = [sum(len(s.extras.tokens) for r in group.rollouts for s in r.steps) for group in batch.groups]
        return np.bincount(batch.task_ids, weights=tokens, minlength=batch.num_tasks).astype(np.int64)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.engine.save(folder)

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.engine.load(folder)

    def _step(self, minibatch: Batch) -> tuple[Mapping[str, float], FloatArray]:
        loss, objectives = 0.0, _TaskMeans(minibatch.num_tasks)
        for part, token_weights in self._parts(minibatch.groups, minibatch.weights):
            surrogate = self._surrogate(part)
            part_loss = -(token_weights * part.weights[:, None] * surrogate).sum()
            self.engine.backward(part_loss)
            loss += float(part_loss.detach())
            objectives.add(part, token_weights, surrogate.detach())
        return {"loss": loss, "gradient_norm": self.engine.step()}, objectives.means

    def _surrogate(self, part: PackedGroups) -> torch.Tensor:
        log_probs = completion_log_probs(self.policy.model, part, self.policy.decoding.temperature)
        return clipped_surrogate(
            log_probs, part.old_log_probs, part.advantages, clip_low=self.clip_low, clip_high=self.clip_high
        )

    def _parts(self, groups: Sequence[Group], weights: FloatArray) -> Iterator[tuple[PackedGroups, torch.Tensor]]:
        """Slices that fit in memory, each with its tokens' weights in the mean over *all* the groups."""
        packed = pack(groups, weights, self.policy.pad_id, self.policy.model.device)
        token_weights = self.token_weights(packed.mask, packed.rollouts)
        for start in range(0, len(packed.tokens), self.rows_per_forward):
            stop = start + self.rows_per_forward
            yield packed.rows(start, stop), token_weights[start:stop]

    def _per_task(self, batch: Batch, surrogate: Callable[[PackedGroups], torch.Tensor]) -> FloatArray:
        """(K,) weighted mean of a (R, T) surrogate over each task's tokens."""
        objectives = _TaskMeans(batch.num_tasks)
        for part, token_weights in self._parts(batch.groups, batch.weights):
            objectives.add(part, token_weights, surrogate(part))
        return objectives.means


class _TaskMeans:
    """Weighted means over each task's tokens, gathered part by part."""

    def __init__(self, num_tasks: int) -> None:
        self._totals, self._masses = np.zeros(num_tasks), np.zeros(num_tasks)

    def add(self, part: PackedGroups, token_weights: torch.Tensor, values: torch.Tensor) -> None:
        """Count (R, T) `values` with (R, T) `token_weights`."""
        task_ids = part.task_ids.cpu().numpy()
        np.add.at(self._totals, task_ids, (token_weights * values).sum(dim=1).double().cpu().numpy())
        np.add.at(self._masses, task_ids, token_weights.sum(dim=1).double().cpu().numpy())

    @property
    def means(self) -> FloatArray:
        """(K,), NaN for a task without tokens."""
        return np.where(self._masses > 0, self._totals / np.where(self._masses > 0, self._masses, 1), np.nan)


def _surrogate_at_ratio_one(part: PackedGroups) -> torch.Tensor:
    return part.advantages[:, None].expand_as(part.mask)
