"""What a person sees while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from mtgrpo_env.agents.mtgrpo import StepReport
from mtgrpo_env.evaluation import Evaluation


class RunDisplay:
    """A live panel on a terminal, a line for each evaluation elsewhere.

    Args:
        console: where to.
        names: of the K tasks.
        step: already done.
        num_steps: to do in all.
    """

    def __init__(self, console: Console, names: Sequence[str], *, step: int, num_steps: int) -> None:
        self.console = console
        self.names = names
        columns = (TextColumn("step"), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console)
        self._bar = self._progress.add_task("train", total=num_steps, completed=step)
        self._start: Evaluation | None = None
        self._latest: Evaluation | None = None
        self._report: StepReport | None = None
        self._rate = _Rate()
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._panel)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show_step(self, report: StepReport) -> None:
        """A training step was taken."""
        self._report = report
        self._rate.add(report.rollouts)
        self._progress.update(self._bar, completed=report.step)

    def show_evaluation(self, step: int, start: Evaluation, latest: Evaluation) -> None:
        """The policy was evaluated."""
        self._start, self._latest = start, latest
        if not self.console.is_terminal:
            accuracies = "  ".join(f"{n} {a:.3f}" for n, a in zip(self.names, latest.accuracies, strict=True))
            self.console.print(
                f"step {step:4d}  worst {latest.worst:.3f}  average {latest.average:.3f}  {accuracies}"
                f"  {self._rate.per_second:.0f} rollouts/s",
                soft_wrap=True,
            )

    def _panel(self) -> RenderableType:
        parts: list[RenderableType] = [self._progress]
        if self._latest is not None and self._start is not None:
            parts.append(self._table(self._start, self._latest))
        return Group(*parts)

    def _table(self, start: Evaluation, latest: Evaluation) -> Table:
        table = Table(caption=f"{self._rate.per_second:.0f} rollouts/s   worst task {latest.worst:.1%}")
        for column in ("task", "held-out accuracy", "from", "weight", "target", "trained on", "no gradient"):
            table.add_column(column, justify="left" if column == "task" else "right")
        worst = int(np.argmin(latest.accuracies))
        for k, name in enumerate(self.names):
            accuracy = latest.accuracies[k]
            cells = [name, f"{_bar(accuracy)} {accuracy:6.1%}", f"{start.accuracies[k]:.1%}"]
            table.add_row(*cells, *self._batch_cells(k), style="bold yellow" if k == worst else None)
        return table

    def _batch_cells(self, k: int) -> list[str]:
        report = self._report
        if report is None:
            return ["", "", "", ""]
        filtered = f"{1 - report.accepted[k] / report.generated[k]:.0%}" if report.generated[k] else "-"
        return [f"{report.probabilities[k]:.2f}", str(report.targets[k]), str(report.kept[k]), filtered]


class _Rate:
    """Rollouts per second of wall time since the first was added."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._rollouts = 0

    def add(self, rollouts: int) -> None:
        self._rollouts += rollouts

    @property
    def per_second(self) -> float:
        return self._rollouts / max(time.perf_counter() - self._started, 1e-9)


def _bar(share: float, width: int = 20) -> str:
    full = round(share * width)
    return "█" * full + "·" * (width - full)


def result_table(names: Sequence[str], start: Evaluation, end: Evaluation, *, rollouts: int) -> Table:
    """Start and end accuracy of every task, of the worst and on average."""
    table = Table(title=f"Held-out accuracy, {int(end.counts.min())} problems per task, {rollouts:,} training rollouts")
    for column in ("task", "start", "end", "change"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for name, before, after in zip(names, start.accuracies, end.accuracies, strict=True):
        _add_row(table, name, before, after)
    table.add_section()
    _add_row(table, "worst task", start.worst, end.worst)
    _add_row(table, "average", start.average, end.average)
    return table


def _add_row(table: Table, name: str, before: float, after: float) -> None:
    table.add_row(name, f"{before:.1%}", f"{after:.1%}", f"{100 * (after - before):+.1f} points")
