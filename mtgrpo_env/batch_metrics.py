"""The per-task numbers of a training step, each defined once; history, logs, figures and pages read them here.

A step's *record* holds every field of its metrics, as arrays or as the lists that a file has. From it follow *amounts*,
which may be added over steps and seeds, and from amounts *ratios*: shares and rates. So a figure that pools steps adds
amounts and takes the ratios of the sums; the mean of ratios would count a step of few groups like one of many.

>>> steps = [{"accepted": [1, 2], "generated": [1, 4]}, {"accepted": [0, 0], "generated": [3, 0]}]
>>> task_numbers(steps[1])["filter_rate"]
array([ 1., nan])
>>> task_ratios({name: sum(task_amounts(step)[name] for step in steps) for name in steps[0]})["filter_rate"]
array([0.75, 0.5 ])
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.metrics import worst_task
from mtgrpo_env.shares import absolute_advantage, count_groups, totals
from mtgrpo_env.types import Batch, FloatArray, IntArray, ResponseCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMetrics:
    """What is known of a batch; arrays are (K,).

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
        responses: lengths, truncation and certainty of the episodes generated; None where nobody counted.
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
    responses: ResponseCounts | None = None

    @classmethod
    def of(cls, batch: Batch) -> BatchMetrics:
        """The metrics of a batch."""
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
            responses=batch.responses,
        )

    @property
    def attributes(self) -> dict[str, Any]:
        """Every attribute by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def record(self) -> dict[str, Any]:
        """The same, but for the counts of responses, which stand there by their own names."""
        own = {name: value for name, value in self.attributes.items() if name != "responses"}
        return own if self.responses is None else {**own, **asdict(self.responses)}

    @property
    def replayed_share(self) -> float:
        """Of the groups wanted, as `--max-replayed` counts it, also where fewer are trained on."""
        return float(_ratio(self.replayed, self.targets.sum()))


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
        cpu_seconds: of this process in both, on all its cores: what a step costs where other work shares the machine.
        learner: the learner's own scalars.
    """

    step: int
    rewards: FloatArray
    improvements: FloatArray
    actions: IntArray
    rollout_seconds: float
    update_seconds: float
    cpu_seconds: float
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
    return 1 - _ratio(accepted, generated)


SHARES: Mapping[str, str] = {"prompt_share": "prompts", "token_share": "tokens", "advantage_share": "Σ|advantage|"}
"""A task's shares of what the loss is trained on, and what each counts."""

_SHARE_OF = {
    "target_share": "targets",
    "prompt_share": "kept",
    "token_share": "actions",
    "advantage_share": "abs_advantages",
}
_RATIO_OF = {
    "response_length": ("lengths", "responses"),
    "truncated_share": ("truncated", "responses"),
    "entropy": ("surprisals", "scored_tokens"),
    "unanimous_share": ("unanimous", "generated"),
}
"""What is known of the responses generated, and the amounts whose ratio it is."""
_IN_THE_LOSS = ("kept", "actions", "abs_advantages")
_AMOUNTS = (*_SHARE_OF.values(), "accepted", "generated", *(field.name for field in fields(ResponseCounts)))
_AS_RECORDED = {
    "task_weight": "probabilities",
    "reward": "rewards",
    "improvement": "improvements",
    "train_accuracy": "accuracies",
}
_OF_BATCH = ("rounds", "replayed", "rollouts", "rollout_seconds", "update_seconds", "cpu_seconds")


def task_amounts(record: Mapping[str, Any]) -> dict[str, FloatArray]:
    """(K,) the amounts that a record holds, by its names; what was trained on counts by its loss weight.

    Records from before loss weights had none.
    """
    weights = np.asarray(record.get("loss_weights", 1.0))
    found = {name: np.asarray(record[name], dtype=np.float64) for name in _AMOUNTS if name in record}
    return {name: amount * weights if name in _IN_THE_LOSS else amount for name, amount in found.items()}


def task_ratios(amounts: Mapping[str, ArrayLike]) -> dict[str, FloatArray]:
    """(..., K) the shares and rates that follow from (..., K) amounts: of a step, or of several added up."""
    found = {number: shares(amounts[name]) for number, name in _SHARE_OF.items() if name in amounts}
    if "accepted" in amounts and "generated" in amounts:
        found["filter_rate"] = filter_rates(amounts["accepted"], amounts["generated"])
    ratios = {number: pair for number, pair in _RATIO_OF.items() if all(name in amounts for name in pair)}
    return found | {number: _ratio(amounts[above], amounts[below]) for number, (above, below) in ratios.items()}


def task_numbers(record: Mapping[str, Any]) -> dict[str, FloatArray]:
    """(K,) every per-task number that a record holds or that follows from it, by the name under which it is logged."""
    held = {
        number: np.asarray(record[name], dtype=np.float64) for number, name in _AS_RECORDED.items() if name in record
    }
    return {**held, **task_ratios(task_amounts(record))}


def task_scalars(names: Sequence[str], metrics: BatchMetrics) -> dict[str, float]:
    """What a log takes of the tasks: "number/task", and the accuracy of the worst, where they are known.

    Args:
        names: of the K tasks.
        metrics: of a batch or a step.
    """
    found = {
        f"{number}/{name}": float(value)
        for number, values in task_numbers(metrics.record).items()
        for name, value in zip(names, values, strict=True)
    }
    found["train_accuracy/worst_task"] = worst_task(metrics.accuracies)
    return {tag: value for tag, value in found.items() if not math.isnan(value)}


def response_numbers(metrics: BatchMetrics) -> dict[str, float]:
    """What `task_ratios` says of the responses of each task, over all tasks; NaN where nothing was generated.

    The entropy is the mean of -log p over the tokens drawn: a Monte-Carlo estimate, in nats a token, of the entropy of
    the distributions that they were drawn from.
    """
    counts = metrics.responses
    if counts is None:
        return {}
    totals = {name: amounts.sum() for name, amounts in {**asdict(counts), "generated": metrics.generated}.items()}
    return {number: float(_ratio(totals[above], totals[below])) for number, (above, below) in _RATIO_OF.items()}


def batch_scalars(metrics: BatchMetrics) -> dict[str, float]:
    """What a log takes of a batch or a step as a whole, by name; of a step also what its learner reports."""
    record = metrics.record
    groups = {
        "generated_groups": metrics.generated,
        "informative_groups": metrics.accepted,
        "kept_groups": metrics.kept,
    }
    counted = {name: float(of_tasks.sum()) for name, of_tasks in groups.items()}
    rates = {**response_numbers(metrics), "replayed_share": metrics.replayed_share}
    return {
        **{name: float(record[name]) for name in _OF_BATCH if name in record},
        **counted,
        **{name: value for name, value in rates.items() if not math.isnan(value)},
        **record.get("learner", {}),
    }


def scalars(names: Sequence[str], metrics: BatchMetrics) -> dict[str, float]:
    """Both, as one dictionary for a log of one's own."""
    return {**task_scalars(names, metrics), **batch_scalars(metrics)}


def _ratio(above: ArrayLike, below: ArrayLike) -> FloatArray:
    """(..., K) amounts over others; NaN where those are 0."""
    counts = np.asarray(below, dtype=np.float64)
    return np.divide(np.asarray(above), counts, out=np.full(counts.shape, np.nan), where=counts > 0)
