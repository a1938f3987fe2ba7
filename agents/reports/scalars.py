"""TensorBoard scalars of a run, one tag for each task."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter  # noqa: TID253  # this module is what needs it

from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.types import FloatArray

_LAYOUT = {
    "accuracy": ("accuracy", "train_accuracy"),
    "task weight against realised share": ("task_weight", "realised_share", "action_share", "advantage_share"),
    "filter rate": ("filter_rate",),
    "reward": ("reward", "improvement"),
}
"""Categories of custom scalars, and the quantities in the chart of a task."""
_EVENTS = "events.out.tfevents.*"
_OF_STEP = ("rollout_seconds", "update_seconds", "rounds", "rollouts", "replayed")


class ScalarWriter:
    """Writes step reports and evaluations as scalars.

    Args:
        folder: of the event files.
        names: of the K tasks.
        first_step: of this process; what an earlier one wrote from there on is hidden.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], *, first_step: int) -> None:
        is_new = not any(folder.glob(_EVENTS))
        _await_a_later_second(folder)
        self._writer = SummaryWriter(str(folder), purge_step=first_step)
        self._names = names
        if is_new:  # later processes purge steps of their own only
            self._writer.add_custom_scalars(layout(names))
            self._writer.flush()

    def add_step(self, report: TrainMetrics) -> None:
        """Weights, shares, rewards and filter rates of every task, and the learner's scalars."""
        filtered = [1 - a / g if g else math.nan for a, g in zip(report.accepted, report.generated, strict=True)]
        for tag, values in {
            "task_weight": report.probabilities,
            "target_share": report.targets / max(1, report.targets.sum()),
            "realised_share": _share(report.loss_weights * report.kept),
            "action_share": _share(report.loss_weights * report.actions),
            "advantage_share": _share(report.loss_weights * report.abs_advantages),
            "reward": report.rewards,
            "improvement": report.improvements,
            "train_accuracy": report.accuracies,
            "filter_rate": filtered,
        }.items():
            self._add_per_task(tag, values, report.step)
        of_step = {name: getattr(report, name) for name in _OF_STEP}
        for tag, value in {**report.learner, **of_step}.items():
            self._writer.add_scalar(f"step/{tag}", value, report.step)
        self._writer.flush()

    def add_evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Held-out accuracy of every task, the worst and the average."""
        self._add_per_task("accuracy", evaluation.accuracies, step)
        self._writer.add_scalar("accuracy/worst_task", evaluation.worst, step)
        self._writer.add_scalar("accuracy/average", evaluation.average, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _add_per_task(self, tag: str, values: object, step: int) -> None:
        for name, value in zip(self._names, values, strict=True):  # pyright: ignore[reportArgumentType]
            if not math.isnan(value):
                self._writer.add_scalar(f"{tag}/{name}", float(value), step)


def layout(names: Sequence[str]) -> dict[str, dict[str, list[str | list[str]]]]:
    """TensorBoard's custom scalars: in each category a chart for each task, in accuracy also the worst and the average.

    Tags are regular expressions that match beginnings, so that a task's would also be met by one with a longer name.
    """
    charts = {
        category: {name: _lines(f"{quantity}/{name}" for quantity in quantities) for name in names}
        for category, quantities in _LAYOUT.items()
    }
    overall = {"worst task and average": _lines(["accuracy/worst_task", "accuracy/average"])}
    return {**charts, "accuracy": {**overall, **charts["accuracy"]}}


def _lines(tags: Iterable[str]) -> list[str | list[str]]:
    return ["Multiline", [f"^{re.escape(tag)}$" for tag in tags]]


def _await_a_later_second(folder: Path) -> None:
    """Event files are read in the order of the second in their names; of two of one second the later might be first."""
    seconds = [int(file.name.split(".")[3]) for file in folder.glob(_EVENTS)]
    while seconds and int(time.time()) == max(seconds):
        time.sleep(0.05)


def _share(amounts: FloatArray) -> FloatArray:
    return amounts / (amounts.sum() or 1)
