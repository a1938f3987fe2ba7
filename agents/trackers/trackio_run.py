"""Trackio: a local database that `trackio show` reads, or a Space on the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO

import trackio  # pyright: ignore[reportMissingImports]

from mtgrpo_env.agents.reports.task_table import COLUMNS, TaskRow, cells
from mtgrpo_env.agents.trackers.base import PROJECT, TrackedRun


class Trackio:
    """A run of Trackio.

    Args:
        run: that it shows; a resumed one is continued there.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        with redirect_stdout(StringIO()):  # the run has a display of its own
            self._run = trackio.init(
                project=self._project, name=run.name, resume="allow", config=dict(run.options), embed=False
            )

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        self._run.log(dict(scalars), step=step)

    def log_table(self, rows: Sequence[TaskRow], step: int) -> None:
        table = trackio.Table(columns=list(COLUMNS), data=[cells(row) for row in rows])
        self._run.log({"tasks": table}, step=step)

    def close(self) -> None:
        with redirect_stdout(StringIO()):
            trackio.finish()  # the run's own would be called once more when Python ends

    @property
    def place(self) -> str:
        return f"trackio: trackio show --project {self._project}, run {self._run.name}"
