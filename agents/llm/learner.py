"""GRPO on a language model: minibatches of groups, the objective, one optimiser step each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import PackedGroups, pack
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.prefix import completion_log_probs
from mtgrpo_env.agents.llm.train_torch import TrainEngine
from mtgrpo_env.agents.minibatches import MinibatchLearner
from mtgrpo_env.agents.neural.losses import Objective
from mtgrpo_env.types import Batch, FloatArray, Group, IntArray


class LanguageModelLearner(MinibatchLearner):
    """Improves a `LanguageModelPolicy`.

    Args:
        policy: whose model the engine trains.
        engine: takes the optimiser steps.
        objective: what is maximised.
        reference: model that the policy is held near to, if the objective has a weight for it; never trained.
        num_minibatches: optimiser steps for each batch.
        rows_per_forward: completions in one forward pass; bounds the memory, changes no result. The turns of a rollout
            stay together even where they are more.
        seed: of the minibatch shuffle.

    Raises:
        ValueError: if there is a reference without a weight, or a weight without a reference.
    """

    def __init__(
        self,
        policy: LanguageModelPolicy,
        engine: TrainEngine,
        *,
        objective: Objective | None = None,
        reference: PreTrainedModel | None = None,
        num_minibatches: int = 4,
        rows_per_forward: int = 512,
        seed: int = 0,
    ) -> None:
        super().__init__(num_minibatches=num_minibatches, seed=seed)
        self.policy = policy
        self.engine = engine
        self.objective = objective or Objective()
        self.reference = reference
        if (reference is None) != (self.objective.kl_coef == 0):
            given = "none" if reference is None else "one"
            raise ValueError(f"a kl_coef of {self.objective.kl_coef} and a reference go together, got {given}")
        self.rows_per_forward = rows_per_forward

    @torch.no_grad()
    def objectives(self, batch: Batch) -> FloatArray:
        return self._per_task(batch, self._surrogate)

    @torch.no_grad()
    def sampled_objectives(self, batch: Batch) -> FloatArray:
        return self._per_task(batch, lambda part: self._surrogate_of(part, part.old_log_probs))

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
        return self._surrogate_of(part, self._log_probs(self.policy.model, part))

    def _surrogate_of(self, part: PackedGroups, log_probs: torch.Tensor) -> torch.Tensor:
        """(R, T) of a policy that gives the tokens these log-probabilities."""
        reference_log_probs = None
        if self.reference is not None:
            with torch.no_grad():
                reference_log_probs = self._log_probs(self.reference, part)
        old = part.old_log_probs, part.advantages, part.layout
        return self.objective.surrogate(log_probs, *old, reference_log_probs)

    def _log_probs(self, model: PreTrainedModel, part: PackedGroups) -> torch.Tensor:
        return completion_log_probs(model, part, self.policy.decoding.temperature)

    def _parts(self, groups: Sequence[Group], weights: FloatArray) -> Iterator[tuple[PackedGroups, torch.Tensor]]:
        """Slices that fit in memory, each with its tokens' weights in the mean over *all* the groups."""
        device = self.policy.model.device
        packed = pack(groups, weights, self.policy.pad_id, device, self.objective.advantages)
        token_weights = self.objective.token_weights(packed.layout)
        for start, stop in _slices(packed.rollouts.tolist(), self.rows_per_forward):
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


def _slices(rollouts: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """Bounds of slices of at most `size` rows, or of one rollout that has more.

    >>> list(_slices([0, 1, 1, 1, 2], 2))
    [(0, 1), (1, 4), (4, 5)]
    """
    starts = [i for i, rollout in enumerate(rollouts) if i == 0 or rollout != rollouts[i - 1]]
    start = 0
    for end, following in zip(starts[1:], [*starts[2:], len(rollouts)], strict=True):
        if following - start > size:
            yield start, end
            start = end
    yield start, len(rollouts)
