"""What a person sees while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from mtgrpo_env.agents.callbacks import TrainerCallback
from mtgrpo_env.agents.llm.adapters import checkpoint_kind
from mtgrpo_env.agents.llm.plan import memory_of, prompt_lines
from mtgrpo_env.agents.llm.warm_start import Lesson
from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.history import chance_of, nothing_learned
from mtgrpo_env.agents.reports.markdown import number_range
from mtgrpo_env.batch_metrics import TrainMetrics, filter_rates, response_numbers, task_numbers
from mtgrpo_env.chance import UNKNOWN, Chance, TaskChance
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.metrics import average
from mtgrpo_env.safe_console import SafeConsole

if TYPE_CHECKING:
    from mtgrpo_env.agents.trainer import Trainer

_SECONDS_OF_SILENCE = 20  # after which a log is told of a step between evaluations
_RESPONSES = {
    "response_length": ("length", ".1f"),
    "truncated_share": ("cut off", ".0%"),
    "entropy": ("entropy", ".2f"),
    "unanimous_share": ("unanimous", ".0%"),
    "replayed": ("replayed", ".0%"),
}
"""What is shown of the responses, and how."""


class Display(TrainerCallback):
    """A live panel on a terminal, a line for each evaluation elsewhere, and a table at the end.

    Args:
        console: where to; by default the standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or SafeConsole()
        self._lesson: _LessonProgress | None = None
        self._run: _RunPanel | None = None

    def on_lesson_step(self, trainer: Trainer, lesson: Lesson, step: int, loss: float) -> None:
        if self._lesson is None:
            self._lesson = _LessonProgress(self.console, lesson)
        self._lesson.show(step, loss)
        if step >= lesson.steps:
            self._lesson.close()
            self._lesson = None

    def on_build(self, trainer: Trainer, source: str) -> None:
        config, ranks = trainer.config, trainer.ranks.size
        among = f" on {ranks} ranks" if ranks > 1 else ""
        tasks = ", ".join(trainer.suite.names)
        named = f"{config.method} on {tasks}; starting model {source}; run {trainer.folder}{among}"
        self.console.print(named, soft_wrap=True)
        lines = [*prompt_lines(trainer.prompts), f"checkpoints: {checkpoint_kind(config)}"]
        self.console.print("\n".join(lines), soft_wrap=True)
        self.console.print(memory_of(config, trainer.suite, trainer.prompts, ranks=ranks), soft_wrap=True)

    def on_start(self, trainer: Trainer) -> None:
        step, num_steps = trainer.agent.step, trainer.config.steps
        if trainer.folder.newest_checkpoint:
            done = step >= num_steps
            self.console.print(f"all {num_steps} steps are done" if done else f"going on after step {step}")
        self._run = _RunPanel(self.console, trainer.suite.names, step=step, num_steps=num_steps)

    def on_step(self, trainer: Trainer, metrics: TrainMetrics) -> None:
        assert self._run is not None
        self._run.show_step(metrics)

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        assert self._run is not None
        first = trainer.evaluation_of(trainer.history.of("evaluation")[0])
        self._run.show_evaluation(trainer.agent.step, first, evaluation)

    def on_end(self, trainer: Trainer) -> None:
        self.close()
        history, folder, step = trainer.history, trainer.folder, trainer.agent.step
        first, latest = (trainer.evaluation_of(history.of("evaluation")[at]) for at in (0, -1))
        self.console.print(_result_of(trainer, first, latest))
        lines = [latest.left_out_line] if latest.left_out_line else []
        lines += [f"figure {folder.figure}", *(o for c in trainer.callbacks for o in c.closing_lines(trainer))]
        lines.append(f"page: mtgrpo report {folder}")
        if folder.newest_checkpoint:
            lines.append(f"model  {folder.newest_checkpoint}, {checkpoint_kind(trainer.config)}")
        if reason := nothing_learned(history.records):
            lines.append(f"No model is the best: {reason}; see the samples in {folder.samples}")
        best, checkpoint = history.best_evaluation(), folder.checkpoint(trainer.best_step)
        if best and checkpoint.is_dir():
            evaluation = trainer.evaluation_of(best)
            lines.append(f"best   {checkpoint} (worst task {evaluation.worst:.1%}, average {evaluation.average:.1%})")
        self.console.print("\n".join(lines), soft_wrap=True)
        if step < trainer.config.steps:
            self.console.print(
                f"Stopped after step {step} of {trainer.config.steps}; nothing is lost. Run the same command to resume."
            )

    def close(self) -> None:
        if self._lesson is not None:
            self._lesson.close()
        if self._run is not None:
            self._run.close()


class _LessonProgress:
    """A bar on a terminal, ten lines elsewhere."""

    def __init__(self, console: Console, lesson: Lesson) -> None:
        self._title = f"warm start: {lesson.title}"
        self._steps = lesson.steps
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
        )
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(self._title, total=lesson.steps, loss=float("nan"))
        self._bar.start()

    def show(self, step: int, loss: float) -> None:
        """A step was taken."""
        self._bar.update(self._task, completed=step, loss=loss)
        if not self._bar.console.is_terminal and step % max(1, self._steps // 10) == 0:
            self._bar.console.print(f"{self._title}: step {step} of {self._steps}, loss {loss:.3f}", soft_wrap=True)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()


class _RunPanel:
    """Steps and accuracies of a run that goes on.

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
        self._report: TrainMetrics | None = None
        self._rate = _Rate()
        self._said_at = time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._panel)
        if console.is_terminal:
            self._live.start()

    def close(self) -> None:
        """Remove the panel."""
        self._live.stop()

    def show_step(self, report: TrainMetrics) -> None:
        """A training step was taken."""
        self._report = report
        self._rate.add(report.rollouts)
        self._progress.update(self._bar, completed=report.step)
        if not self.console.is_terminal and time.monotonic() > self._said_at + _SECONDS_OF_SILENCE:
            self._say(f"step {report.step:4d}{response_text(report, None)}")

    def show_evaluation(self, step: int, start: Evaluation, latest: Evaluation) -> None:
        """The policy was evaluated."""
        self._start, self._latest = start, latest
        if not self.console.is_terminal:
            accuracies = "  ".join(f"{n} {a:.3f}" for n, a in zip(self.names, latest.accuracies, strict=True))
            self._say(
                f"step {step:4d}  worst {latest.worst:.3f}  average {latest.average:.3f}  {accuracies}"
                f"  {self._rate.per_second:.0f} rollouts/s{response_text(self._report, latest)}"
            )

    def _say(self, line: str) -> None:
        self._said_at = time.monotonic()
        self.console.print(line, soft_wrap=True)

    def _panel(self) -> RenderableType:
        parts: list[RenderableType] = [self._progress]
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
            cells = [name, f"{_bar(accuracy)} {_percent(accuracy):>6}", _percent(start.accuracies[k])]
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
        return [*cells, _known(rate, ".0%"), _known(length, ".1f"), _known(truncated, ".0%")]


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


def _percent(share: float) -> str:
    """Nothing is known of a task whose scorer always failed."""
    return _known(share, ".1%")


def _known(value: float, form: str) -> str:
    return "-" if np.isnan(value) else f"{value:{form}}"


def response_text(metrics: TrainMetrics | None, evaluation: Evaluation | None) -> str:
    """What is known of the responses of the latest step, or of an evaluation before any; "" if nothing is."""
    if metrics is not None:
        numbers = {**response_numbers(metrics), "replayed": metrics.replayed_share}
    elif evaluation and evaluation.mean_lengths is not None and evaluation.truncated_shares is not None:
        means = (average(evaluation.mean_lengths), average(evaluation.truncated_shares))
        numbers = dict(zip(("response_length", "truncated_share"), means, strict=True))
    else:
        numbers = {}
    known = {name: value for name, value in numbers.items() if not np.isnan(value)}
    return "".join(f"  {word} {known[name]:{form}}" for name, (word, form) in _RESPONSES.items() if name in known)


def _result_of(trainer: Trainer, first: Evaluation, latest: Evaluation) -> Table:
    chance = chance_of(trainer.history.records)
    return result_table(trainer.suite.names, first, latest, rollouts=trainer.agent.rollouts, chance=chance)


def result_table(
    names: Sequence[str], start: Evaluation, end: Evaluation, *, rollouts: int, chance: Chance | None = None
) -> Table:
    """Start and end accuracy of every task, of the worst and on average, beside what no thinking comes to.

    Args:
        names: of the K tasks.
        start: the first evaluation.
        end: the last one.
        rollouts: that were trained on.
        chance: of the tasks; None where it was not measured.
    """
    problems = number_range(end.problems.tolist())
    table = Table(title=f"Held-out accuracy, {problems} problems per task, {rollouts:,} training rollouts")
    for column in ("task", "start", "end", "change", *chance_columns.COLUMNS):
        table.add_column(column, justify="left" if column == "task" else "right")
    chance = chance or Chance.unknown(len(names))
    tasks = [chance.of_task(k) for k in range(len(names))]
    for k, name in enumerate(names):
        is_near = chance_columns.is_near_chance(end.accuracies[k], end.problems[k], tasks[k].best)
        _add_row(table, name, start.accuracies[k], end.accuracies[k], tasks[k], is_near=is_near)
    table.add_section()
    worst = UNKNOWN if np.isnan(end.worst) else tasks[int(np.nanargmin(end.accuracies))]
    _add_row(table, "worst task", start.worst, end.worst, worst)
    _add_row(table, "average", start.average, end.average, chance.average)
    if said := chance_columns.footnote(dict(zip(names, tasks, strict=True))):
        table.caption = said
    return table


def _add_row(
    table: Table, name: str, before: float, after: float, chance: TaskChance, *, is_near: bool = False
) -> None:
    change = "-" if np.isnan(after - before) else f"{100 * (after - before):+.1f} points"
    mark = f" {chance_columns.MARK}" if is_near else ""
    table.add_row(name, _percent(before), f"{_percent(after)}{mark}", change, *chance_columns.cells(chance, unit="%"))
