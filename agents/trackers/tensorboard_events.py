"""TensorBoard: event files in the run's folder, one tag for each task."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter  # noqa: TID253  # this module is what needs it

from mtgrpo_env.agents.reports import markdown
from mtgrpo_env.agents.reports.scalars import CHARTS, OVERALL
from mtgrpo_env.agents.reports.task_table import COLUMNS, TaskRow, cells
from mtgrpo_env.agents.trackers.base import TrackedRun

_EVENTS = re.compile(r"events\.out\.tfevents\.(\d+)\..*")  # the second that it was made in


class TensorBoard:
    """Writes scalars as events.

    Args:
        run: whose folder holds the event files; what an earlier process wrote from its first step on is hidden.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._folder = folder = run.folder.tensorboard
        is_new = not _seconds(folder)
        _await_a_later_second(folder)
        self._writer = SummaryWriter(str(folder), purge_step=run.first_step)
        if is_new:  # later processes purge steps of their own only
            self._writer.add_custom_scalars(layout(run.tasks))
            self._writer.flush()

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        for tag, value in scalars.items():
            self._writer.add_scalar(tag, value, step)
        self._writer.flush()

    def log_table(self, rows: Sequence[TaskRow], step: int) -> None:
        lines = [[_text(cell) for cell in cells(row)] for row in rows]
        self._writer.add_text("tasks", markdown.table(COLUMNS, lines), step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    @property
    def place(self) -> str:
        return f"scalars: tensorboard --logdir {self._folder}"


def layout(names: Sequence[str]) -> dict[str, dict[str, list[str | list[str]]]]:
    """TensorBoard's custom scalars: in each category a chart for each task, in accuracy also the worst and the average.

    Tags are regular expressions that match beginnings, so that a task's would also be met by one with a longer name.
    """
    charts = {
        category: {name: _lines(f"{quantity}/{name}" for quantity in quantities) for name in names}
        for category, quantities in CHARTS.items()
    }
    overall = {"worst task and average": _lines(OVERALL)}
    return {**charts, "accuracy": {**overall, **charts["accuracy"]}}


def _text(cell: str | float | None) -> str:
    return "-" if cell is None else f"{cell:.3g}" if isinstance(cell, float) else str(cell)


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
