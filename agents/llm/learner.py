"""GRPO on a language model: minibatches of groups, the objective, one optimiser step each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.base import Objectives, OnMinibatch
from mtgrpo_env.agents.llm.data import Completion, PackedGroups, num_tokens, pack
from mtgrpo_env.agents.llm.engines import TrainEngine
from mtgrpo_env.agents.llm.micro_batches import MicroBatch, micro_batches
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.prefix import completion_log_probs
from mtgrpo_env.agents.minibatches import MinibatchLearner
from mtgrpo_env.agents.neural.losses import Objective
from mtgrpo_env.agents.ranks import Ranks
from mtgrpo_env.types import Batch, FloatArray, Group, IntArray, Rollout

LogProbs = Callable[[PreTrainedModel, PackedGroups, float], torch.Tensor]
"""(R, T) log-probabilities of completions under a model, at a temperature."""


class LanguageModelLearner(MinibatchLearner):
    """Improves a `LanguageModelPolicy`; with several ranks, each takes its share of every minibatch.

    Args:
        policy: whose model the engine trains.
        engine: takes the optimiser steps.
        objective: what is maximised.
        reference: model that the policy is held near to, if the objective has a weight for it; never trained.
        num_minibatches: optimiser steps for each batch.
        tokens_per_forward: tokens in one forward pass, padding included; bounds the memory, changes no result. The
            turns of a rollout stay together even where they are more.
        log_probs: runs a model over completions; by default each prompt once.
        learning_rate: of each training step, counted from 0; by default the engine's own throughout.
        seed: of the minibatch shuffle.

    Raises:
        ValueError: if there is a reference without a weight, or a weight without a reference, or all rollouts of a
            prompt are the same, by the policy's temperature of 0, or its top-p or top-k leave tokens out, so that the
            model trained is not the distribution drawn from.
    """

    hyperparameter_names = ("num_minibatches", "objective")
    state_names = ("rng", "step")

    def __init__(
        self,
        policy: LanguageModelPolicy,
        engine: TrainEngine,
        *,
        objective: Objective | None = None,
        reference: PreTrainedModel | None = None,
        num_minibatches: int = 4,
        tokens_per_forward: int = 16_384,
        log_probs: LogProbs = completion_log_probs,
        learning_rate: Callable[[int], float] | None = None,
        seed: int = 0,
    ) -> None:
        self.objective = objective or Objective()
        clips = {"clip_low": self.objective.clip_low, "clip_high": self.objective.clip_high}
        super().__init__(num_minibatches=num_minibatches, seed=seed, **clips)
        if not policy.decoding.temperature > 0:
            raise ValueError(f"a policy that learns must sample at a temperature above 0, got {policy.decoding}")
        if policy.decoding.is_restricted:  # tokens outside have a ratio of infinity, and the others a wrong one
            raise ValueError(f"a policy that learns must sample with top_p 1 and top_k 0, got {policy.decoding}")
        self.policy = policy
        self.engine = engine
        self.reference = reference
        if (reference is None) != (self.objective.kl_coef == 0):
            given = "none" if reference is None else "one"
            raise ValueError(f"a kl_coef of {self.objective.kl_coef} and a reference go together, got {given}")
        self.tokens_per_forward = tokens_per_forward
        self.log_probs = log_probs
        self.learning_rate = learning_rate
        self.step = 0

    def use_clip(self, clip_high: float) -> None:
        """See `Learner.use_clip`; the clip is part of the objective."""
        super().use_clip(clip_high)
        self.objective = replace(self.objective, clip_high=self.clip_high)

    def prepare(self, batch: Batch) -> Batch:
        """What the reference, and the model where the objective corrects the engine's, say of every completion."""
        if not batch.groups:
            return batch
        columns: dict[str, list[tuple[float, ...]]] = {}
        if self.objective.importance is not None:
            columns["old_log_probs"] = self._rescored(batch, self.policy.model)
        if self.reference is not None:
            columns["reference_log_probs"] = self._rescored(batch, self.reference)
        if not columns:
            return batch
        rescored = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        return _mapped(batch, lambda completion: replace(completion, **next(rescored)))

    def update(self, batch: Batch, on_minibatch: OnMinibatch | None = None) -> Mapping[str, float]:
        """See `Learner.update`; afterwards the policy generates with the new parameters."""
        if self.learning_rate is not None:
            self.engine.lr = self.learning_rate(self.step)
        self.step += 1
        if not batch.groups:
            return {}
        scalars = super().update(batch, on_minibatch)
        self.policy.publish()
        return {**scalars, "lr": self.engine.lr, **self._engine_gap(batch)}

    @torch.no_grad()
    def objectives(self, batch: Batch) -> FloatArray:
        return self._per_task(batch, self._surrogate)

    @torch.no_grad()
    def sampled_objectives(self, batch: Batch) -> FloatArray:
        return self._per_task(batch, lambda part: self._surrogate_of(part, part.old_log_probs))

    def action_counts(self, batch: Batch) -> IntArray:
        tokens = [num_tokens(group) for group in batch.groups]
        return np.bincount(batch.task_ids, weights=tokens, minlength=batch.num_tasks).astype(np.int64)

    def save(self, folder: Path) -> None:
        self.engine.save(folder)
        if self.policy.ranks.rank == 0:
            super().save(folder)

    def load(self, folder: Path) -> None:
        super().load(folder)
        self.engine.load(folder)
        self.policy.publish()

    def _step(self, minibatch: Batch) -> tuple[Mapping[str, float], Objectives]:
        loss, sampled, current = 0.0, _TaskMeans(minibatch.num_tasks), _TaskMeans(minibatch.num_tasks)
        moved: list[torch.Tensor] = []
        parts = self._parts(minibatch.groups, minibatch.loss_weights)
        for n, (part, token_weights) in enumerate(parts, start=1):
            log_probs = self._log_probs_of(self.policy.model, part)
            surrogate = self._surrogate_of(part, log_probs)
            moved.append((log_probs.detach() - part.old_log_probs)[token_weights > 0].abs())
            part_loss = -(token_weights * part.weights[:, None] * surrogate).sum()
            self.engine.backward(part_loss, is_last=n == len(parts))
            loss += float(part_loss.detach())
            sampled.add(part, token_weights, self._surrogate_of(part, part.old_log_probs))
            current.add(part, token_weights, surrogate.detach())
        norm, ranks = self.engine.step(), self.policy.ranks
        objectives = Objectives(sampled.over(ranks), current.over(ranks))
        scalars = {"loss": sum(ranks.gather(loss)), "gradient_norm": norm, **_log_ratio_sizes(moved, ranks)}
        return scalars, objectives

    def _summary(self, batch: Batch, steps: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
        """The means, and in `ratio_gap` how far generation and training are apart on fresh rollouts.

        Before the first step the policy has the parameters that sampled them, so its ratios should be 1.
        """
        scalars = super()._summary(batch, steps)
        if batch.replayed:
            return scalars
        return {**scalars, "ratio_gap": steps[0]["log_ratio"], "ratio_gap_max": steps[0]["log_ratio_max"]}

    def _surrogate(self, part: PackedGroups) -> torch.Tensor:
        return self._surrogate_of(part, self._log_probs_of(self.policy.model, part))

    def _surrogate_of(self, part: PackedGroups, log_probs: torch.Tensor) -> torch.Tensor:
        """(R, T) of a policy that gives the tokens these log-probabilities."""
        reference = None if self.reference is None else part.reference_log_probs
        value = self.objective.surrogate(log_probs, part.old_log_probs, part.advantages, part.layout, reference)
        if self.objective.importance is None:
            return value
        return value * self.objective.importance(part.old_log_probs - part.drawn_log_probs, part.layout)

    def _log_probs_of(self, model: PreTrainedModel, part: PackedGroups) -> torch.Tensor:
        return self.log_probs(model, part, self.policy.decoding.temperature)

    def _parts(self, groups: Sequence[Group], weights: FloatArray) -> list[tuple[PackedGroups, torch.Tensor]]:
        """This rank's passes, each with its tokens' weights in the mean over *all* the groups."""
        packed, device = self._packed(groups, weights), self.policy.model.device
        token_weights = self.objective.token_weights(packed.layout)
        parts: list[tuple[PackedGroups, torch.Tensor]] = []
        for micro_batch in self._micro_batches(packed):
            part = packed.rows(micro_batch.rows)
            own = token_weights[micro_batch.rows, : part.tokens.shape[1]] * micro_batch.counts
            parts.append((part.to(device), own.to(device)))
        return parts

    def _packed(self, groups: Sequence[Group], weights: FloatArray) -> PackedGroups:
        return pack(groups, weights, self.policy.pad_id, self.objective.advantages)

    def _micro_batches(self, packed: PackedGroups) -> list[MicroBatch]:
        ranks = self.policy.ranks
        return micro_batches(packed, tokens=self.tokens_per_forward, rank=ranks.rank, size=ranks.size)

    def _per_task(self, batch: Batch, surrogate: Callable[[PackedGroups], torch.Tensor]) -> FloatArray:
        """(K,) weighted mean of a (R, T) surrogate over each task's tokens."""
        objectives = _TaskMeans(batch.num_tasks)
        for part, token_weights in self._parts(batch.groups, batch.loss_weights):
            objectives.add(part, token_weights, surrogate(part))
        return objectives.over(self.policy.ranks)

    @torch.no_grad()
    def _rescored(self, batch: Batch, model: PreTrainedModel) -> list[tuple[float, ...]]:
        """The log-probabilities that a model gives to every completion of the batch, in their order."""
        packed = self._packed(batch.groups, batch.loss_weights)
        own: dict[int, tuple[float, ...]] = {}
        for micro_batch in self._micro_batches(packed):
            part = packed.rows(micro_batch.rows).to(model.device)
            values = self._log_probs_of(model, part).tolist()
            for row, length, of_row in zip(micro_batch.rows.tolist(), part.lengths.tolist(), values, strict=True):
                own[row] = tuple(of_row[:length])
        rescored = {row: values for share in self.policy.ranks.gather(own) for row, values in share.items()}
        return [rescored[row] for row in range(len(rescored))]

    def _engine_gap(self, batch: Batch) -> Mapping[str, float]:
        """How far the log-probabilities of the engine that drew the tokens are from the model's own."""
        if self.objective.importance is None:
            return {}
        packed = self._packed(batch.groups, batch.loss_weights)
        gap = packed.old_log_probs - packed.drawn_log_probs
        ratios = self.objective.importance(gap, packed.layout)[packed.mask > 0]
        sizes = gap.abs()[packed.mask > 0]
        return {
            "engine_gap": float(sizes.mean()),
            "engine_gap_max": float(sizes.max()),
            "importance_mean": float(ratios.mean()),
            "importance_max": float(ratios.max()),
        }


class _TaskMeans:
    """Weighted means over each task's tokens, gathered part by part."""

    def __init__(self, num_tasks: int) -> None:
        self._totals, self._masses = np.zeros(num_tasks), np.zeros(num_tasks)

    def add(self, part: PackedGroups, token_weights: torch.Tensor, values: torch.Tensor) -> None:
        """Count (R, T) `values` with (R, T) `token_weights`."""
        task_ids = part.task_ids.cpu().numpy()
        np.add.at(self._totals, task_ids, (token_weights * values).sum(dim=1).double().cpu().numpy())
        np.add.at(self._masses, task_ids, token_weights.sum(dim=1).double().cpu().numpy())

    def over(self, ranks: Ranks) -> FloatArray:
        """(K,) of what all ranks have counted; NaN for a task without tokens."""
        totals, masses = np.sum(ranks.gather((self._totals, self._masses)), axis=0)
        return np.where(masses > 0, totals / np.where(masses > 0, masses, 1), np.nan)


def _log_ratio_sizes(parts: Sequence[torch.Tensor], ranks: Ranks) -> Mapping[str, float]:
    """Mean and maximum of |log r_t| over the tokens of all ranks, of those of this rank's passes."""
    own = torch.cat([*parts]).double()
    largest = float(own.max()) if len(own) else 0.0
    totals, counts, maxima = zip(*ranks.gather((float(own.sum()), len(own), largest)), strict=True)
    return {"log_ratio": sum(totals) / max(1, sum(counts)), "log_ratio_max": max(maxima)}


def _mapped(batch: Batch, change: Callable[[Completion], Completion]) -> Batch:
    """The batch with every completion changed, in their order."""

    def of_rollout(rollout: Rollout) -> Rollout:
        return replace(rollout, steps=tuple(replace(step, extras=change(step.extras)) for step in rollout.steps))

    groups = (replace(group, rollouts=tuple(map(of_rollout, group.rollouts))) for group in batch.groups)
    return replace(batch, groups=tuple(groups))
