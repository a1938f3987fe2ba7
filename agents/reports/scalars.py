"""TensorBoard scalars of a run, one tag for each task."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter  # noqa: TID253  # this module is what needs it

from mtgrpo_env.batch_metrics import SHARES, TrainMetrics, batch_scalars, task_scalars
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.visible_text import one_line

_LAYOUT = {
    "accuracy": ("accuracy", "train_accuracy"),
    "task weight against share": ("task_weight", *SHARES),
    "filter rate": ("filter_rate",),
    "reward": ("reward", "improvement"),
    "response length": ("response_length", "held_out_length"),
    "truncated responses": ("truncated_share", "held_out_truncated"),
    "entropy": ("entropy",),
    "unanimous groups": ("unanimous_share",),
}
"""Categories of custom scalars, and the quantities in the chart of a task."""
_EVENTS = re.compile(r"events\.out\.tfevents\.(\d+)\..*")  # the second that it was made in
_LONGEST = 200  # characters of a name in a tag


class ScalarWriter:
    """Writes the metrics of steps, and evaluations, as scalars.

    Args:
        folder: of the event files.
        names: of the K tasks.
        first_step: of this process; what an earlier one wrote from there on is hidden.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], *, first_step: int) -> None:
        is_new = not _seconds(folder)
        _await_a_later_second(folder)
        self._writer = SummaryWriter(str(folder), purge_step=first_step)
        self._names = names = tuple(one_line(name, _LONGEST) for name in names)
        if is_new:  # later processes purge steps of their own only
            self._writer.add_custom_scalars(layout(names))
            self._writer.flush()

    def add_step(self, metrics: TrainMetrics) -> None:
        """Weights, shares, rewards and filter rates of every task, and the scalars of the step."""
        of_step = {f"step/{name}": value for name, value in batch_scalars(metrics).items()}
        self._add({**task_scalars(self._names, metrics), **of_step}, metrics.step)

    def add_evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Held-out accuracy of every task, the worst and the average; lengths and truncation of the responses."""
        numbers = {"accuracy": evaluation.accuracies}
        if evaluation.mean_lengths is not None and evaluation.truncated_shares is not None:
            numbers |= {"held_out_length": evaluation.mean_lengths, "held_out_truncated": evaluation.truncated_shares}
        known = {
            f"{number}/{name}": float(value)
            for number, values in numbers.items()
            for name, value in zip(self._names, values, strict=True)
            if not math.isnan(value)
        }
        self._add({**known, "accuracy/worst_task": evaluation.worst, "accuracy/average": evaluation.average}, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _add(self, scalars: Mapping[str, float], step: int) -> None:
        for tag, value in scalars.items():
            self._writer.add_scalar(tag, value, step)
        self._writer.flush()


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
    seconds = _seconds(folder)
    while int(time.time()) in seconds:
        time.sleep(0.05)


def _seconds(folder: Path) -> set[int]:
    """In which the event files of a folder were made; files with other names are none."""
    names = [_EVENTS.fullmatch(file.name) for file in folder.glob("events.*")]
    return {int(name[1]) for name in names if name}
