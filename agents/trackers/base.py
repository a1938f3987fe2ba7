"""What a tracker is, and what it must know of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mtgrpo_env.agents.reports.task_table import TaskRow
from mtgrpo_env.agents.run_folder import RunFolder

PROJECT = "mtgrpo"
"""Where runs stand together, unless the tracker's own environment variable names another project."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as trackers know it.

    Attributes:
        name: of the run, the same whenever it is resumed and no other's.
        id: that name's last part, random.
        folder: of the run.
        options: all of them, without secrets.
        tasks: their names, as they stand in tags.
        first_step: of this process.
    """

    name: str
    id: str
    folder: RunFolder
    options: Mapping[str, Any]
    tasks: tuple[str, ...]
    first_step: int


class Tracker(Protocol):
    """Shows the scalars of a run; whatever it raises costs the tracker and never the run."""

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Scalars of a training step, or of the evaluation after it."""
        ...

    def log_table(self, rows: Sequence[TaskRow], step: int) -> None:
        """What each task came to, the worst first."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...

    @property
    def place(self) -> str:
        """Where a person finds the run, in a line."""
        ...
