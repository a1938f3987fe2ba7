"""What a terminal shows of a benchmark: a bar while an agent plays, then a table of what it scored."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.baseline import difference_rows
from mtgrpo_env.agents.reports.cell import Cell, cell_json
from mtgrpo_env.agents.reports.markdown import percent
from mtgrpo_env.chance import UNKNOWN
from mtgrpo_env.experiments.benchmark_callback import BenchmarkCallback
from mtgrpo_env.experiments.benchmark_result import Benchmark, Skipped
from mtgrpo_env.problem_sets import ProblemSet
from mtgrpo_env.safe_console import SafeConsole


class BenchmarkDisplay(BenchmarkCallback):
    """Progress on standard error; on standard output a table, or a line of JSON, for each agent and suite.

    Args:
        as_json: lines instead of tables.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = SafeConsole(stderr=True)
        self._bar: Progress | None = None
        self._name = ""
        self._responses = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()

    def on_start(self, agent: str, problem_set: ProblemSet) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        console = self._console
        bar = Progress(*columns, console=console, transient=True, disable=not console.is_interactive)
        self._name, self._responses = f"{agent} on {problem_set.name}", 0
        bar.add_task(self._name, total=len(problem_set.problems))
        bar.start()
        self._bar = bar

    def on_response(self) -> None:
        self._responses += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=f"{self._name}, {self._responses:,} responses")

    def on_problem(self) -> None:
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def on_skip(self, skipped: Skipped) -> None:
        self._end_bar()
        self._console.print(str(skipped), soft_wrap=True)

    def on_cell(self, cell: Cell) -> None:
        self._end_bar()  # or it would be drawn over
        if self._as_json:
            sys.stdout.write(json.dumps(cell_json(cell), allow_nan=False) + "\n")
        else:
            console = SafeConsole()
            console.print(cell_table(cell))
            for line in cell.left_out_lines():
                console.print(line, soft_wrap=True)

    def show_comparisons(self, result: Benchmark) -> None:
        """A leaderboard of each suite that several agents were given, and the differences from baselines."""
        if self._as_json:
            for difference in result.differences:
                sys.stdout.write(json.dumps(difference.to_json(), allow_nan=False) + "\n")
            return
        console = SafeConsole()
        for suite in dict.fromkeys(cell.suite for cell in result.cells):
            board = result.leaderboard(suite)
            if len(board) > 2:
                console.print(_plain_table(f"leaderboard of {suite}", board))
        for difference in result.differences:
            console.print(_plain_table(difference.title, [*difference_rows(difference)], difference.footnote))

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def cell_table(cell: Cell) -> Table:
    """What an agent scored on a suite, its worst task first."""
    ks = sorted({k for task in cell.scores.tasks for k in task.pass_at})
    table = Table(title=f"{cell.agent} on {cell.suite} ({cell.fingerprint})", caption=_caption(cell))
    table.add_column("task")
    for column in ("accuracy %", *chance_columns.COLUMNS, *(f"pass@{k} %" for k in ks), "return", "rollouts"):
        table.add_column(column, justify="right")
    for task in cell.scores.tasks:
        pass_at = (f"{100 * task.pass_at[k].mean:.1f}" if k in task.pass_at else "-" for k in ks)
        reward = "-" if math.isnan(task.reward) else f"{task.reward:.3g}"
        chance = cell.chance.get(task.task, UNKNOWN)
        accuracy = f"{percent(task.accuracy)}{chance_columns.mark(task.accuracy.low, chance)}"
        cells = chance_columns.cells(chance)
        table.add_row(task.task, accuracy, *cells, *pass_at, reward, f"{task.rollouts:,}")
    for level, total in cell.scores.levels.items():
        table.add_section()
        table.add_row(f"{level}: worst task", percent(total.worst))
        table.add_row(f"{level}: average", percent(total.average))
    table.add_section()
    table.add_row("worst task", percent(cell.scores.worst))
    table.add_row("average", percent(cell.scores.average))
    return table


def _plain_table(title: str, rows: Sequence[Sequence[str]], caption: str | None = None) -> Table:
    header, *body = rows
    table = Table(title=title, caption=caption)
    table.add_column(header[0], no_wrap=True)
    for name in header[1:]:
        table.add_column(name, justify="right")
    for row in body:
        table.add_row(*row)
    return table


def _caption(cell: Cell) -> str | None:
    parts: list[str] = []
    usage, invalid = cell.scores.usage, sum(task.invalid for task in cell.scores.tasks)
    if usage is not None:
        parts.append(f"{usage.prompt_tokens:,} prompt tokens, {usage.completion_tokens:,} generated")
        counts = {"cut off": usage.cut, **usage.empty}
        parts += [f"{count:,} {what}" for what, count in counts.items() if count]
    if cell.reused:
        parts.append(f"{cell.reused:,} {'responses' if usage else 'problems'} kept by an earlier command")
    if invalid:
        parts.append(f"{invalid:,} rollouts left out: their scorer or their server failed")
    counted = "; ".join(parts)
    return "\n".join(filter(None, (counted, chance_columns.footnote(cell.chance)))) or None
