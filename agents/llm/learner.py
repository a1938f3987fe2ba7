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
from mtgrpo_env.agents.neural.losses import Objective, divergence
from mtgrpo_env.agents.ranks import Ranks
from mtgrpo_env.progress import advance, begin_part, stage
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
        num_minibatches: optimiser steps for each pass over a batch.
        num_passes: times that a batch is trained on.
        tokens_per_forward: tokens in one forward pass, padding included; bounds the memory, changes no result. The
            turns of a rollout stay together even where they are more.
        max_step_kl: mean divergence over the tokens of a minibatch, in nats, of the policy that is trained from the one
            that sampled: the first minibatch beyond it is the last of its batch. None for no limit.
        log_probs: runs a model over completions; by default each prompt once.
        learning_rate: of each training step, counted from 0; by default the engine's own throughout.
        seed: of the minibatch shuffle.

    Raises:
        ValueError: if there is a reference without a weight, or a weight without a reference, or all rollouts of a
            prompt are the same, by the policy's temperature of 0, or its top-p or top-k leave tokens out, so that the
            model trained is not the distribution drawn from, or `max_step_kl` is not above 0.
    """

    hyperparameter_names = ("num_minibatches", "num_passes", "objective", "max_step_kl")
    state_names = ("rng", "step")

    def __init__(
        self,
        policy: LanguageModelPolicy,
        engine: TrainEngine,
        *,
        objective: Objective | None = None,
        reference: PreTrainedModel | None = None,
        num_minibatches: int = 4,
        num_passes: int = 1,
        tokens_per_forward: int = 16_384,
        max_step_kl: float | None = None,
        log_probs: LogProbs = completion_log_probs,
        learning_rate: Callable[[int], float] | None = None,
        seed: int = 0,
    ) -> None:
        self.objective = objective or Objective()
        clips = {"clip_low": self.objective.clip_low, "clip_high": self.objective.clip_high}
        super().__init__(num_minibatches=num_minibatches, num_passes=num_passes, seed=seed, **clips)
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
        if max_step_kl is not None and not max_step_kl > 0:
            raise ValueError(f"max_step_kl must be above 0, got {max_step_kl}")
        self.max_step_kl = max_step_kl
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
        divergences = _TokenMeans()
        parts = self._parts(minibatch.groups, minibatch.loss_weights)
        begin_part(len(parts))
        for n, (part, token_weights) in enumerate(parts, start=1):
            log_probs = self._log_probs_of(self.policy.model, part)
            surrogate = self._surrogate_of(part, log_probs)
            part_loss = -(token_weights * part.weights[:, None] * surrogate).sum()
            self.engine.backward(part_loss, is_last=n == len(parts))
            loss += float(part_loss.detach())
            sampled.add(part, token_weights, self._surrogate_of(part, part.old_log_probs))
            current.add(part, token_weights, surrogate.detach())
            divergences.add(self._divergences(part, log_probs.detach()), token_weights > 0)
            advance(1)
        norm, ranks = self.engine.step(), self.policy.ranks
        objectives = Objectives(sampled.over(ranks), current.over(ranks))
        scalars = {"loss": sum(ranks.gather(loss)), "gradient_norm": norm, **divergences.over(ranks)}
        return scalars, objectives

    def _went_too_far(self, scalars: Mapping[str, float]) -> bool:
        return self.max_step_kl is not None and scalars["step_kl"] > self.max_step_kl

    def _summary(self, batch: Batch, steps: Sequence[Mapping[str, float]], skipped: int) -> Mapping[str, float]:
        """The means, what was skipped, and in `ratio_gap` how far generation and training are apart.

        Before the first step on fresh rollouts the policy has the parameters that sampled them: its ratios should be 1.
        """
        found = dict(super()._summary(batch, steps, skipped))
        if self.max_step_kl is not None:
            found["skipped_minibatches"] = float(skipped)
        if not batch.replayed:
            found["ratio_gap"] = steps[0]["log_ratio"]
        return found

    def _divergences(self, part: PackedGroups, log_probs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """(R, T) each: of the policy from the one that sampled the tokens, and from the reference, if there is one."""
        found = {
            "log_ratio": (log_probs - part.old_log_probs).abs(),
            "step_kl": divergence(part.old_log_probs, log_probs),
        }
        return found if self.reference is None else {**found, "kl": divergence(log_probs, part.reference_log_probs)}

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
        passes = self._micro_batches(packed)
        with stage("scoring", "passes", parts=1):
            begin_part(len(passes))
            for micro_batch in passes:
                part = packed.rows(micro_batch.rows).to(model.device)
                values = self._log_probs_of(model, part).tolist()
                for row, length, of_row in zip(micro_batch.rows.tolist(), part.lengths.tolist(), values, strict=True):
                    own[row] = tuple(of_row[:length])
                advance(1)
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


class _TokenMeans:
    """Means over tokens of numbers with names, gathered part by part."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._count = 0

    def add(self, values: Mapping[str, torch.Tensor], is_counted: torch.Tensor) -> None:
        """Count (R, T) `values` where `is_counted`, (R, T)."""
        self._count += int(is_counted.sum())
        for name, of_tokens in values.items():
            self._totals[name] = self._totals.get(name, 0.0) + float(of_tokens[is_counted].double().sum())

    def over(self, ranks: Ranks) -> Mapping[str, float]:
        """Of what all ranks have counted, the same on each."""
        shares = ranks.gather((self._totals, self._count))
        count = max(sum(of_rank for _, of_rank in shares), 1)
        return {name: sum(totals.get(name, 0.0) for totals, _ in shares) / count for name in self._totals}


def _mapped(batch: Batch, change: Callable[[Completion], Completion]) -> Batch:
    """The batch with every completion changed, in their order."""

    def of_rollout(rollout: Rollout) -> Rollout:
        return replace(rollout, steps=tuple(replace(step, extras=change(step.extras)) for step in rollout.steps))

    groups = (replace(group, rollouts=tuple(map(of_rollout, group.rollouts))) for group in batch.groups)
    return replace(batch, groups=tuple(groups))
