"""What a person sees while runs are compared."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mtgrpo_env.agents.reports.history import Record, read_history
from mtgrpo_env.experiments.compare_plan import PlannedRun
from mtgrpo_env.experiments.jobs import Job
from mtgrpo_env.metrics import worst_task
from mtgrpo_env.progress import in_words

_REFRESH_SECONDS = 1.0


@dataclass(slots=True)
class _Pace:
    """How quickly a run goes, from its step when first seen."""

    first_step: int
    since: float = field(default_factory=time.monotonic)

    def seconds_left(self, step: int, num_steps: int) -> float | None:
        done = step - self.first_step
        return (time.monotonic() - self.since) * (num_steps - step) / done if done > 0 else None


class CompareDisplay:
    """A live table of the runs that are going on, on a terminal; everywhere a line for each run that ended.

    Args:
        console: where to.
        runs: that are to be made, by job.
        total: runs of the comparison, with those that were finished before.
        parallel: runs at a time.
    """

    def __init__(self, console: Console, runs: Mapping[Job, PlannedRun], *, total: int, parallel: int) -> None:
        self._console = console
        self._runs = runs
        self._total = total
        self._parallel = parallel
        self._waiting = len(runs)
        self._ended: list[float] = []  # seconds that each run of this process took
        self._failed = 0
        self._started: dict[Job, float] = {}
        self._paces: dict[Job, _Pace] = {}
        self._refreshed = -_REFRESH_SECONDS
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        before = self._total - len(self._runs)
        self._console.print(f"{self._total} runs, {before} of them finished before, {self._parallel} at a time")
        if self._console.is_interactive:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show_end(self, job: Job, *, error: str | None) -> None:
        """A job ended: well, or with the last lines that it said."""
        run = self._runs[job]
        seconds = time.monotonic() - self._started.pop(job, time.monotonic())
        if error is not None:
            self._failed += 1
            failed = Text.assemble(("failed", "bold red"), f"  {run.name}; the end of {job.log}:")
            self._console.print(failed, highlight=False, soft_wrap=True)
            self._console.print(error, markup=False, highlight=False, soft_wrap=True)
            return
        self._ended.append(seconds)
        record = _last(read_history(run.folder.history), "evaluation")
        worst = f"worst task {worst_task(record['accuracies']):.3f}, {record['rollouts']:,} rollouts" if record else ""
        self._console.print(f"done    {run.name}: {worst}, {_duration(seconds)}", highlight=False, soft_wrap=True)

    def show_running(self, running: Sequence[Job]) -> None:
        """These jobs are going on now."""
        now = time.monotonic()
        for job in running:
            if job not in self._started:
                self._started[job] = now
                started = f"started {self._runs[job].name}; its output is in {job.log}"
                self._console.print(started, highlight=False, soft_wrap=True)
        self._waiting = len(self._runs) - len(self._ended) - self._failed - len(running)
        if self._console.is_interactive and now - self._refreshed >= _REFRESH_SECONDS:
            self._refreshed = now
            self._live.update(self._table(running), refresh=True)

    def _table(self, running: Sequence[Job]) -> Table:
        table = Table()
        for column in ("method", "point", "seed", "step", "worst task", "rollouts", "ETA"):
            table.add_column(column, justify="left" if column in ("method", "point") else "right")
        lefts = [self._add_row(table, job) for job in running]
        done = self._total - len(running) - self._waiting - self._failed
        failed = f", {self._failed} failed" if self._failed else ""
        table.caption = f"{done} of {self._total} done{failed}, {self._waiting} waiting, {self._time_left(lefts)} left"
        return table

    def _add_row(self, table: Table, job: Job) -> float | None:
        """Gives the seconds left, None while they are not known."""
        run = self._runs[job]
        num_steps = run.until
        records = read_history(run.folder.history)
        step = max((record["step"] for record in records), default=0)
        pace = self._paces.setdefault(job, _Pace(step)) if records else None
        left = pace.seconds_left(step, num_steps) if pace else None
        evaluation = _last(records, "evaluation")
        rollouts = sum(record["rollouts"] for record in records if record["kind"] == "step")
        worst = f"{worst_task(evaluation['accuracies']):.1%}" if evaluation else "-"
        progress = f"{step}/{num_steps}" if records else "starting"
        of_run = [run.config.method, str(run.point), str(run.config.seed)]
        table.add_row(*of_run, progress, worst, f"{rollouts:,}", _duration(left))
        return left

    def _time_left(self, running: Sequence[float | None]) -> str:
        known = [left for left in running if left is not None]
        if not self._ended or len(known) < len(running):
            return "?"
        mean = sum(self._ended) / len(self._ended)
        return _duration((sum(known) + mean * self._waiting) / self._parallel)


def _last(records: Sequence[Record], kind: str) -> Record | None:
    return next((record for record in reversed(records) if record["kind"] == kind), None)


def _duration(seconds: float | None) -> str:
    return "?" if seconds is None else in_words(seconds)
