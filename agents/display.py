"""What a person sees while a run goes on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mtgrpo_env.agents.callbacks import TrainerCallback
from mtgrpo_env.agents.llm.adapters import checkpoint_kind
from mtgrpo_env.agents.llm.loading_bars import hidden_bars
from mtgrpo_env.agents.llm.plan import memory_of, prompt_lines, sampling_line
from mtgrpo_env.agents.llm.warm_start import Lesson
from mtgrpo_env.agents.pace import Pace
from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.history import chance_of, nothing_learned
from mtgrpo_env.agents.reports.markdown import number_range
from mtgrpo_env.agents.run_panel import RunPanel, percent
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.chance import UNKNOWN, Chance, TaskChance
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.progress import Stage
from mtgrpo_env.safe_console import SafeConsole

if TYPE_CHECKING:
    from mtgrpo_env.agents.trainer import Trainer


class Display(TrainerCallback):
    """A live panel on a terminal, a line for each evaluation elsewhere, and a table at the end.

    Args:
        console: where to; by default the standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or SafeConsole()
        self._lesson: _LessonProgress | None = None
        self._run: RunPanel | None = None
        self._hidden = ExitStack()

    def on_lesson_step(self, trainer: Trainer, lesson: Lesson, step: int, loss: float) -> None:
        if self._lesson is None:
            self._lesson = _LessonProgress(self.console, lesson)
        self._lesson.show(step, loss)
        if step >= lesson.steps:
            self._lesson.close()
            self._lesson = None

    def on_build(self, trainer: Trainer, source: str) -> None:
        self._hidden.enter_context(hidden_bars())
        config, ranks = trainer.config, trainer.ranks.size
        among = f" on {ranks} ranks" if ranks > 1 else ""
        tasks = ", ".join(trainer.suite.names)
        named = f"{config.method} on {tasks}; starting model {source}; run {trainer.folder}{among}"
        self.console.print(named, soft_wrap=True)
        lines = [
            *prompt_lines(trainer.prompts, trainer.suite.names),
            sampling_line(config),
            f"checkpoints: {checkpoint_kind(config)}",
        ]
        self.console.print("\n".join(lines), soft_wrap=True)
        self.console.print(memory_of(config, trainer.suite, trainer.prompts, ranks=ranks), soft_wrap=True)

    def on_start(self, trainer: Trainer) -> None:
        step, num_steps = trainer.agent.step, trainer.config.steps
        if trainer.folder.newest_checkpoint:
            done = step >= num_steps
            self.console.print(f"all {num_steps} steps are done" if done else f"going on after step {step}")
        pace = Pace(steps=num_steps, eval_every=trainer.config.eval_every)
        self._run = RunPanel(self.console, trainer.suite.names, pace, step=step, num_steps=num_steps)

    def on_progress(self, trainer: Trainer, stage: Stage) -> None:
        assert self._run is not None
        self._run.show_stage(stage)

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
        lines.append(f"page: {shlex.join(['mtgrpo', 'report', str(folder)])}")
        if folder.newest_checkpoint:
            lines.append(f"model  {folder.newest_checkpoint}, {checkpoint_kind(trainer.config)}")
        if reason := nothing_learned(history.records):
            lines.append(f"No model is the best: {reason}; see the samples in {folder.samples}")
        best, checkpoint = history.best_evaluation(), folder.checkpoint(trainer.best_step)
        if best and checkpoint.is_dir():
            evaluation = trainer.evaluation_of(best)
            lines.append(f"best   {checkpoint} (worst task {evaluation.worst:.1%}, average {evaluation.average:.1%})")
            if evaluation.worst < first.worst:
                lines[-1] += f", and worse than the starting model, with {first.worst:.1%} and {first.average:.1%}"
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
        self._hidden.close()


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
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_interactive)
        self._task = self._bar.add_task(self._title, total=lesson.steps, loss=float("nan"))
        self._bar.start()

    def show(self, step: int, loss: float) -> None:
        """A step was taken."""
        self._bar.update(self._task, completed=step, loss=loss)
        if not self._bar.console.is_interactive and step % max(1, self._steps // 10) == 0:
            self._bar.console.print(f"{self._title}: step {step} of {self._steps}, loss {loss:.3f}", soft_wrap=True)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()


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
    is_near = [
        chance_columns.is_near_chance(end.accuracies[k], end.problems[k], tasks[k].best) for k in range(len(names))
    ]
    for k, name in enumerate(names):
        _add_row(table, name, start.accuracies[k], end.accuracies[k], tasks[k], is_near=is_near[k])
    table.add_section()
    k = None if np.isnan(end.worst) else int(np.nanargmin(end.accuracies))
    worst, is_worst_near = (UNKNOWN, False) if k is None else (tasks[k], is_near[k])
    _add_row(table, "worst task", start.worst, end.worst, worst, is_near=is_worst_near)
    _add_row(table, "average", start.average, end.average, chance.average)
    if said := chance_columns.footnote(dict(zip(names, tasks, strict=True))):
        table.caption = said
    return table


def _add_row(
    table: Table, name: str, before: float, after: float, chance: TaskChance, *, is_near: bool = False
) -> None:
    change = "-" if np.isnan(after - before) else f"{100 * (after - before):+.1f} points"
    mark = f" {chance_columns.MARK}" if is_near else ""
    table.add_row(name, percent(before), f"{percent(after)}{mark}", change, *chance_columns.cells(chance, unit="%"))
