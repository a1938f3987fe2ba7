"""What a benchmark found: as text, as JSON, as Markdown, and as the files of a report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.markdown import percent
from mtgrpo_env.agents.reports.scores_table import Cell, benchmark_markdown, cell_json
from mtgrpo_env.chance import UNKNOWN
from mtgrpo_env.files import atomic_file, refuse_unwritable_file, refuse_unwritable_folder
from mtgrpo_env.metrics import average
from mtgrpo_env.visible_text import one_line

REPORT, _JSON, _FIGURE = "benchmark.md", "benchmark.json", "benchmark.png"


@dataclass(frozen=True, slots=True)
class Skipped:
    """An agent that cannot play a problem set, or failed on it.

    Attributes:
        agent: its name.
        suite: name of the problem set.
        reason: why, in a line.
        failed: whether it began and broke.
    """

    agent: str
    suite: str
    reason: str
    failed: bool = False

    def __str__(self) -> str:
        return f"{self.agent} failed on {self.suite}: {self.reason}" if self.failed else f"{self.agent}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Agents side by side on problem sets; printed as a table for each suite, the worst task first.

    Attributes:
        command: what to type for the same result.
        cells: an agent on a problem set each, suite by suite.
        skipped: what could not be played.
    """

    command: str
    cells: tuple[Cell, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def __str__(self) -> str:
        suites = dict.fromkeys(cell.suite for cell in self.cells)
        parts = ["\n".join(_suite_lines([cell for cell in self.cells if cell.suite == suite])) for suite in suites]
        parts += map(str, self.skipped)
        return "\n\n".join(parts) or "nothing was played"

    def to_json(self) -> dict[str, Any]:
        """The command, every cell and what was skipped as JSON's values; shares lie in 0..1, the unknown is None."""
        cells, skipped = [cell_json(cell) for cell in self.cells], [asdict(one) for one in self.skipped]
        return {"command": self.command, "cells": cells, "skipped": skipped}

    def markdown(self, *, figure: str = "") -> str:
        """A report; `figure` is the address of a picture to show in it."""
        lines = [str(one) for one in self.skipped]
        return benchmark_markdown(self.cells, command=self.command, figure=figure, skipped=lines)

    def write(self, folder: Path | str) -> None:
        """Write benchmark.json, benchmark.md and benchmark.png; needs matplotlib."""
        from mtgrpo_env.agents.reports.figure_scores import draw_scores

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(folder / _JSON) as file:
            file.write_text(json.dumps(self.to_json(), indent=1, allow_nan=False), encoding="utf-8")
        with atomic_file(folder / REPORT) as file:
            file.write_text(self.markdown(figure=_FIGURE), encoding="utf-8")
        draw_scores(self.cells, folder / _FIGURE)


def refuse_unwritable_report(folder: Path | str) -> None:
    """Make sure that `Benchmark.write` can write its files, before anything is played.

    Raises:
        OSError: naming the folder or the file.
    """
    refuse_unwritable_folder(Path(folder))
    if Path(folder).is_dir():
        for name in (_JSON, REPORT, _FIGURE):
            refuse_unwritable_file(Path(folder) / name)


def _suite_lines(cells: Sequence[Cell]) -> Iterator[str]:
    """A table of a suite: a column for each agent; the worst task, the average, and every task, the worst first."""
    yield f"{one_line(cells[0].suite)}, problem set {cells[0].fingerprint}, accuracy in per cent"
    accuracies = [{task.task: task.accuracy for task in cell.scores.tasks} for cell in cells]
    tasks = dict.fromkeys(name for of_agent in accuracies for name in of_agent)
    means = {name: average([of_agent[name].mean for of_agent in accuracies if name in of_agent]) for name in tasks}
    played = sorted((task.problems, task.task) for cell in cells for task in cell.scores.tasks)
    problems = {task: count for count, task in played}  # of the agent whose scorer failed least
    rows = [
        ["", *(cell.agent for cell in cells), *chance_columns.COLUMNS, "problems"],
        ["worst task", *(percent(cell.scores.worst) for cell in cells), "", "", ""],
        ["average", *(percent(cell.scores.average) for cell in cells), "", "", ""],
    ]
    for name in sorted(tasks, key=lambda name: (means[name] == means[name], means[name])):  # NaN first
        shown = [percent(of_agent[name]) if name in of_agent else "-" for of_agent in accuracies]
        chance = chance_columns.cells(cells[0].chance.get(name, UNKNOWN))
        rows.append([name, *shown, *chance, f"{problems[name]:,}"])
    rows = [[one_line(text) for text in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells_of_row = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join([row[0].ljust(widths[0]), *cells_of_row])
    yield from (one_line(line) for cell in cells for line in cell.left_out_lines())
    if note := chance_columns.footnote(cells[0].chance):
        yield note
