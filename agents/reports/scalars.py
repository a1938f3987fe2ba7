"""The scalars of a run, by tags that every tracker lays out in groups: "quantity/task", and "step/number" of a step."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mtgrpo_env.batch_metrics import SHARES, TrainMetrics, batch_scalars, task_scalars
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.visible_text import one_line

CHARTS = {
    "accuracy": ("accuracy", "train_accuracy"),
    "task weight against share": ("task_weight", *SHARES),
    "filter rate": ("filter_rate",),
    "reward": ("reward", "improvement"),
    "response length": ("response_length", "held_out_length"),
    "truncated responses": ("truncated_share", "held_out_truncated"),
    "entropy": ("entropy",),
    "unanimous groups": ("unanimous_share",),
}
"""Questions, and the quantities that answer one in the chart of a task."""

OVERALL = ("accuracy/worst_task", "accuracy/average")
"""Tags of an evaluation as a whole."""

_LONGEST = 200  # characters of a name in a tag


class Scalars:
    """Makes the scalars of a run.

    Args:
        names: of the K tasks.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(one_line(name, _LONGEST) for name in names)

    def of_step(self, metrics: TrainMetrics) -> dict[str, float]:
        """Weights, shares, rewards and filter rates of every task, and the numbers of the step."""
        of_step = {f"step/{name}": value for name, value in batch_scalars(metrics).items()}
        return {**task_scalars(self.names, metrics), **of_step}

    def of_evaluation(self, evaluation: Evaluation) -> dict[str, float]:
        """Held-out accuracy of every task, the worst and the average; lengths and truncation of the responses."""
        numbers = {"accuracy": evaluation.accuracies}
        if evaluation.mean_lengths is not None and evaluation.truncated_shares is not None:
            numbers |= {"held_out_length": evaluation.mean_lengths, "held_out_truncated": evaluation.truncated_shares}
        of_tasks = {
            f"{number}/{name}": float(value)
            for number, values in numbers.items()
            for name, value in zip(self.names, values, strict=True)
        }
        overall = dict(zip(OVERALL, (evaluation.worst, evaluation.average), strict=True))
        return {tag: value for tag, value in {**of_tasks, **overall}.items() if not math.isnan(value)}
