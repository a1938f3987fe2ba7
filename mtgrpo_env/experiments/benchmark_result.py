"""What a benchmark found: as text, as JSON, as Markdown, and as the files of a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.baseline import Difference, PlayedProblems, difference_rows, differences
from mtgrpo_env.agents.reports.cell import Cell, cell_json
from mtgrpo_env.agents.reports.leaderboard import leaderboard_rows
from mtgrpo_env.agents.reports.markdown import percent
from mtgrpo_env.agents.reports.scores_table import benchmark_markdown
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
        baselines: what earlier reports hold, to compare with.
    """

    command: str
    cells: tuple[Cell, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    baselines: tuple[PlayedProblems, ...] = ()

    @property
    def differences(self) -> list[Difference]:
        """Every agent beside the baselines that played problems of the same suite."""
        return differences([PlayedProblems(one.agent, one.suite, one.problems) for one in self.cells], self.baselines)

    def leaderboard(self, suite: str) -> list[list[str]]:
        """The header and a row for each agent that played a suite, the best first; those that failed on it last."""
        return [*leaderboard_rows([cell for cell in self.cells if cell.suite == suite], self.failed.get(suite, []))]

    @property
    def failed(self) -> dict[str, list[str]]:
        """The agents that failed on each suite."""
        suites = dict.fromkeys(one.suite for one in self.skipped if one.failed)
        return {suite: [one.agent for one in self.skipped if one.failed and one.suite == suite] for suite in suites}

    def __str__(self) -> str:
        suites = dict.fromkeys(cell.suite for cell in self.cells)
        parts = ["\n".join(_suite_lines([cell for cell in self.cells if cell.suite == suite])) for suite in suites]
        parts += ["\n".join(_difference_lines(one)) for one in self.differences]
        parts += map(str, self.skipped)
        return "\n\n".join(parts) or "nothing was played"

    def to_json(self) -> dict[str, Any]:
        """The command, every cell and what was skipped as JSON's values; shares lie in 0..1, the unknown is None."""
        return {
            "command": self.command,
            "cells": [cell_json(cell) for cell in self.cells],
            "skipped": [asdict(one) for one in self.skipped],
            "differences": [one.to_json() for one in self.differences],
        }

    def markdown(self, *, figure: str = "") -> str:
        """A report; `figure` is the address of a picture to show in it."""
        lines = [str(one) for one in self.skipped]
        return benchmark_markdown(
            self.cells,
            command=self.command,
            figure=figure,
            skipped=lines,
            failed=self.failed,
            differences=self.differences,
        )

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


def report_files(folder: Path | str) -> list[Path]:
    """What `Benchmark.write` writes; first what a later benchmark reads as its baseline."""
    return [Path(folder) / name for name in (_JSON, REPORT, _FIGURE)]


def refuse_unwritable_report(folder: Path | str) -> None:
    """Make sure that `Benchmark.write` can write its files, before anything is played.

    Raises:
        OSError: naming the folder or the file.
    """
    refuse_unwritable_folder(Path(folder))
    if Path(folder).is_dir():
        for file in report_files(folder):
            refuse_unwritable_file(file)


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
    yield from aligned(rows)
    yield from (one_line(line) for cell in cells for line in cell.left_out_lines())
    if note := chance_columns.footnote(cells[0].chance):
        yield note


def _difference_lines(difference: Difference) -> Iterator[str]:
    yield one_line(difference.title)
    yield from aligned(difference_rows(difference))
    yield one_line(difference.footnote)


def aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows in columns, each in a visible line: the first flush left, the others flush right.

    >>> [*aligned([["task", "%"], ["arc", "12.5"]])]
    ['task     %', 'arc   12.5']
    """
    lines = [[one_line(text) for text in row] for row in rows]
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    for name, *texts in lines:
        yield "  ".join([name.ljust(first), *(text.rjust(width) for text, width in zip(texts, others, strict=True))])
