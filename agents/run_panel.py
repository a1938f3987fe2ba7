"""A run while it goes on: a live panel on a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mtgrpo_env.agents.pace import Pace
from mtgrpo_env.batch_metrics import TrainMetrics, filter_rates, response_numbers, task_numbers
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.metrics import average
from mtgrpo_env.progress import EVALUATING, Stage, in_words

_SECONDS_OF_SILENCE = 20  # after which a step that was taken is a line of a log
_SECONDS_WITHIN_A_STEP = 60  # and after which progress within one is
_WIDTH_WITH_BARS = 130  # of a terminal in which the table has room for them
_RESPONSES = {
    "response_length": ("length", ".1f"),
    "truncated_share": ("cut off", ".0%"),
    "entropy": ("entropy", ".2f"),
    "unanimous_share": ("unanimous", ".0%"),
    "replayed": ("replayed", ".0%"),
}
"""What is shown of the responses and the batch, and how."""


class RunPanel:
    """Steps and accuracies of a run that goes on.

    Args:
        console: where to.
        names: of the K tasks.
        pace: of the run; steps and evaluations are added to it here.
        step: already done.
        num_steps: to do in all.
    """

    def __init__(self, console: Console, names: Sequence[str], pace: Pace, *, step: int, num_steps: int) -> None:
        self.console = console
        self.names = names
        self._pace, self._step = pace, step
        columns = (
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._progress = Progress(*columns, console=console)
        self._bar = self._progress.add_task("train", total=num_steps, completed=step, left="")
        self._stage: Stage | None = None
        self._start: Evaluation | None = None
        self._latest: Evaluation | None = None
        self._report: TrainMetrics | None = None
        self._rate = _Rate()
        self._printed_at = time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._panel)
        if console.is_interactive:
            self._live.start()

    def close(self) -> None:
        """Remove the panel."""
        self._live.stop()

    def show_stage(self, stage: Stage) -> None:
        """Work within a step or an evaluation goes on."""
        self._stage = stage
        if self._is_silent_for(_SECONDS_WITHIN_A_STEP):
            step = self._step if stage.name == EVALUATING else self._step + 1
            self._print(f"step {step:4d}  {self._stage_text(stage)}")

    def show_step(self, report: TrainMetrics) -> None:
        """A training step was taken."""
        self._report, self._stage, self._step = report, None, report.step
        self._rate.add(report.rollouts)
        self._pace.add_step(rollout_seconds=report.rollout_seconds, update_seconds=report.update_seconds)
        left = self._pace.run_left(report.step)
        self._progress.update(self._bar, completed=report.step, left="" if left is None else f"{in_words(left)} left")
        if self._is_silent_for(_SECONDS_OF_SILENCE):
            self._print(f"step {report.step:4d}{response_text(report, None)}")

    def show_evaluation(self, step: int, start: Evaluation, latest: Evaluation) -> None:
        """The policy was evaluated."""
        if self._stage is not None:
            self._pace.add_evaluation(self._stage.seconds)
        self._start, self._latest, self._stage = start, latest, None
        if not self.console.is_interactive:
            accuracies = "  ".join(f"{n} {a:.3f}" for n, a in zip(self.names, latest.accuracies, strict=True))
            self._print(
                f"step {step:4d}  worst {latest.worst:.3f}  average {latest.average:.3f}  {accuracies}"
                f"  {self._rate.per_second:.0f} rollouts/s{response_text(self._report, latest)}"
            )

    def _is_silent_for(self, seconds: float) -> bool:
        """Whether a log has had no line for so long."""
        return not self.console.is_interactive and time.monotonic() > self._printed_at + seconds

    def _print(self, line: str) -> None:
        self._printed_at = time.monotonic()
        self.console.print(line, soft_wrap=True)

    def _stage_text(self, stage: Stage) -> str:
        return "; ".join(filter(None, (str(stage), self._pace.left_text(self._step, stage))))

    def _panel(self) -> RenderableType:
        parts: list[RenderableType] = [self._progress, Text(self._stage_text(self._stage) if self._stage else "")]
        if self._latest is not None and self._start is not None:
            parts.append(self._table(self._start, self._latest))
        return Group(*parts)

    def _table(self, start: Evaluation, latest: Evaluation) -> Table:
        said = f"{self._rate.per_second:.0f} rollouts/s   worst task {latest.worst:.1%}"
        table = Table(caption=f"{said}{response_text(self._report, latest)}")
        batch = ("weight", "target", "trained on", "no gradient", "length", "cut off")
        for column in ("task", "held-out accuracy", "from", *batch):
            table.add_column(column, justify="left" if column == "task" else "right")
        for k, name in enumerate(self.names):
            accuracy = latest.accuracies[k]
            bar = f"{_bar(accuracy)} " if self.console.width >= _WIDTH_WITH_BARS else ""
            cells = [name, f"{bar}{percent(accuracy):>6}", percent(start.accuracies[k])]
            table.add_row(*cells, *self._batch_cells(k), style="bold yellow" if accuracy == latest.worst else None)
        return table

    def _batch_cells(self, k: int) -> list[str]:
        report = self._report
        if report is None:
            return [""] * 6
        numbers, unknown = task_numbers(report.record), np.full(len(self.names), np.nan)
        rate = filter_rates(report.accepted, report.generated)[k]
        length, truncated = (numbers.get(name, unknown)[k] for name in ("response_length", "truncated_share"))
        cells = [f"{report.probabilities[k]:.2f}", str(report.targets[k]), str(report.kept[k])]
        return [*cells, known(rate, ".0%"), known(length, ".1f"), known(truncated, ".0%")]


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
    full = 0 if np.isnan(share) else round(share * width)
    return "█" * full + "·" * (width - full)


def percent(share: float) -> str:
    """Nothing is known of a task whose scorer always failed."""
    return known(share, ".1%")


def known(value: float, form: str) -> str:
    """A number, or a dash where there is none."""
    return "-" if np.isnan(value) else f"{value:{form}}"


def response_text(metrics: TrainMetrics | None, evaluation: Evaluation | None) -> str:
    """What is known of the latest step's batch and responses, or of an evaluation before any; "" if nothing is."""
    short = ""
    if metrics is not None:
        numbers = {**response_numbers(metrics), "replayed": metrics.replayed_share}
        kept, wanted = int(metrics.kept.sum()), int(metrics.targets.sum())
        short = f"  kept {kept} of {wanted} groups" if kept < wanted else ""
    elif evaluation and evaluation.mean_lengths is not None and evaluation.truncated_shares is not None:
        means = (average(evaluation.mean_lengths), average(evaluation.truncated_shares))
        numbers = dict(zip(("response_length", "truncated_share"), means, strict=True))
    else:
        numbers = {}
    there = {name: value for name, value in numbers.items() if not np.isnan(value)}
    shown = (f"  {word} {there[name]:{form}}" for name, (word, form) in _RESPONSES.items() if name in there)
    return f"{short}{''.join(shown)}"
