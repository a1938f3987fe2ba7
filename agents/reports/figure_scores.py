"""Agents side by side on problem sets, as a figure: every task's accuracy, and the worst of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtgrpo_env.agents.reports.cell import Cell
from mtgrpo_env.agents.reports.figure_style import color, shared_legend, write
from mtgrpo_env.agents.reports.statistics import Interval


def draw_scores(cells: Sequence[Cell], file: Path) -> None:
    """A panel for each problem set: a row for each task and for the worst, a dot with its interval for each agent."""
    suites = list(dict.fromkeys(cell.suite for cell in cells))
    agents = list(dict.fromkeys(cell.agent for cell in cells))
    most = max(len(cell.scores.tasks) for cell in cells)
    height = 1.8 + (0.28 + 0.11 * len(agents)) * (most + 1)
    figure = Figure(figsize=(4.6 * len(suites) + 1.0, height), layout="constrained")
    row = figure.subplots(1, len(suites), squeeze=False)[0]
    for axes, suite in zip(row, suites, strict=True):
        _panel(axes, [cell for cell in cells if cell.suite == suite], agents)
    for i, agent in enumerate(agents):  # an agent may be missing from the first panel
        row[0].plot([], [], "o", color=color(i), label=agent)
    shared_legend(figure, row[0])
    figure.suptitle("Accuracy, hardest task at the top; bars are 95 % intervals over problems")
    write(figure, file)


def _panel(axes: Axes, cells: Sequence[Cell], agents: Sequence[str]) -> None:
    names = _hardest_first(cells)
    rows = {name: i for i, name in enumerate(["worst task", *names])}
    for cell in cells:
        index = agents.index(cell.agent)
        offset = 0.6 * ((index + 0.5) / len(agents) - 0.5)
        _dot(axes, rows["worst task"] + offset, cell.scores.worst, index)
        for task in cell.scores.tasks:
            _dot(axes, rows[task.task] + offset, task.accuracy, index)
    axes.axhline(0.5, color="gray", linewidth=0.8)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=9)
    axes.set(title=cells[0].suite, xlabel="accuracy", xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)


def _dot(axes: Axes, y: float, interval: Interval, index: int) -> None:
    axes.plot([interval.low, interval.high], [y, y], color=color(index), linewidth=2, alpha=0.6)
    axes.plot(interval.mean, y, "o", color=color(index), markersize=5)


def _hardest_first(cells: Sequence[Cell]) -> list[str]:
    """Tasks by their mean accuracy over agents."""
    accuracies: dict[str, list[float]] = {}
    for cell in cells:
        for task in cell.scores.tasks:
            accuracies.setdefault(task.task, []).append(task.accuracy.mean)
    return sorted(accuracies, key=lambda name: sum(accuracies[name]) / len(accuracies[name]))
