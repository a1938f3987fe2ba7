"""The per-task numbers of a training step, each defined once.

A step's *amounts* are counts and sums of each task; its *numbers* (shares, rates) follow from them. History,
TensorBoard, TRL's log, figures and pages read the amounts and use these definitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.metrics import worst_task
from mtgrpo_env.shares import absolute_advantage, count_groups, totals
from mtgrpo_env.types import Batch, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMetrics:
    """The amounts of a batch; arrays are (K,).

    Attributes:
        probabilities: z the batch was drawn with.
        targets: groups wanted.
        kept: groups trained on.
        accepted: informative groups generated.
        generated: groups generated.
        accuracies: share of correct rollouts among those generated; NaN for an absent task.
        loss_weights: mean loss weight of the groups trained on; 0 where there is none.
        abs_advantages: Σ |A| over the rollouts trained on, before their loss weights.
        rounds: generation rounds.
        replayed: groups trained on that were generated for earlier batches.
        rollouts: episodes generated.
    """

    probabilities: FloatArray
    targets: IntArray
    kept: IntArray
    accepted: IntArray
    generated: IntArray
    accuracies: FloatArray
    loss_weights: FloatArray
    abs_advantages: FloatArray
    rounds: int
    replayed: int
    rollouts: int

    @classmethod
    def of(cls, batch: Batch) -> BatchMetrics:
        """The amounts of a batch."""
        unweighted = replace(batch, loss_weights=np.ones(len(batch.groups)))
        return BatchMetrics(
            probabilities=batch.task_weights,
            targets=batch.targets,
            kept=batch.kept,
            accepted=batch.accepted,
            generated=batch.generated,
            accuracies=batch.accuracies,
            loss_weights=totals(batch, count_groups) / np.maximum(batch.kept, 1),
            abs_advantages=totals(unweighted, absolute_advantage),
            rounds=batch.rounds,
            replayed=batch.replayed,
            rollouts=batch.num_rollouts,
        )

    @property
    def amounts(self) -> dict[str, Any]:
        """Every attribute by its name, as a record of the history has them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainMetrics(BatchMetrics):
    """What happened in one training step.

    Attributes:
        step: 1 for the first.
        rewards: (K,) J_k as the weight rule saw it.
        improvements: (K,) I_k, summed if the weight rule was given several.
        actions: (K,) tokens, or env steps, trained on.
        rollout_seconds: time spent generating and verifying.
        update_seconds: time spent learning and measuring the improvement.
        learner: the learner's own scalars.
    """

    step: int
    rewards: FloatArray
    improvements: FloatArray
    actions: IntArray
    rollout_seconds: float
    update_seconds: float
    learner: Mapping[str, float]


def shares(amounts: ArrayLike) -> FloatArray:
    """(..., K) amounts as shares of their sum over the tasks; all 0 where the sum is.

    >>> shares([1, 3])
    array([0.25, 0.75])
    """
    array = np.asarray(amounts, dtype=np.float64)
    sums = array.sum(axis=-1, keepdims=True)
    return array / np.where(sums > 0, sums, 1)


def filter_rates(accepted: ArrayLike, generated: ArrayLike) -> FloatArray:
    """(..., K) ρ, the share of generated groups without a gradient; NaN where none was generated.

    >>> filter_rates([1, 0], [4, 0])
    array([0.75,  nan])
    """
    made = np.asarray(generated, dtype=np.float64)
    return 1 - np.divide(np.asarray(accepted), made, out=np.full(made.shape, np.nan), where=made > 0)


def loss_amounts(record: Mapping[str, Any], name: str) -> FloatArray:
    """(K,) an amount of the groups trained on, times their loss weights; records without these had none."""
    return np.asarray(record[name], dtype=np.float64) * np.asarray(record.get("loss_weights", 1.0), dtype=np.float64)


SHARES: Mapping[str, tuple[str, str]] = {
    "prompt_share": ("kept", "prompts"),
    "token_share": ("actions", "tokens"),
    "advantage_share": ("abs_advantages", "Σ|advantage|"),
}
"""A task's shares of what the loss is trained on: the amount that each counts, and what people call it."""

_NUMBERS: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], ArrayLike]]] = {
    "task_weight": (("probabilities",), lambda record: record["probabilities"]),
    "target_share": (("targets",), lambda record: shares(record["targets"])),
    "prompt_share": (("kept",), lambda record: shares(loss_amounts(record, "kept"))),
    "token_share": (("actions",), lambda record: shares(loss_amounts(record, "actions"))),
    "advantage_share": (("abs_advantages",), lambda record: shares(loss_amounts(record, "abs_advantages"))),
    "reward": (("rewards",), lambda record: record["rewards"]),
    "improvement": (("improvements",), lambda record: record["improvements"]),
    "train_accuracy": (("accuracies",), lambda record: record["accuracies"]),
    "filter_rate": (("accepted", "generated"), lambda record: filter_rates(record["accepted"], record["generated"])),
}


def task_numbers(record: Mapping[str, Any]) -> dict[str, FloatArray]:
    """(K,) every per-task number whose amounts the record holds, by the name under which it is logged."""
    known = {name: number for name, (needed, number) in _NUMBERS.items() if all(need in record for need in needed)}
    return {name: np.asarray(number(record), dtype=np.float64) for name, number in known.items()}


def scalars(names: Sequence[str], metrics: BatchMetrics) -> dict[str, float]:
    """What a log takes: "number/task" for every task where it is known, the worst task, and the numbers of the batch.

    Args:
        names: of the K tasks.
        metrics: of a batch or a step.
    """
    per_task = {
        f"{number}/{name}": float(value)
        for number, values in task_numbers(metrics.amounts).items()
        for name, value in zip(names, values, strict=True)
        if not math.isnan(value)
    }
    of_batch = {name: float(getattr(metrics, name)) for name in ("rounds", "replayed", "rollouts")}
    groups = {"generated_groups": float(metrics.generated.sum()), "kept_groups": float(metrics.kept.sum())}
    return {**per_task, "train_accuracy/worst_task": worst_task(metrics.accuracies), **of_batch, **groups}
