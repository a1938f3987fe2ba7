"""Pictures of what methods do to single tasks: accuracy, weight, share of the batch, lost groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtgrpo_env.agents.reports.comparison import Comparison, per_step
from mtgrpo_env.agents.reports.figure_style import (
    SHARE_LIMITS,
    color,
    line_style,
    panels,
    shared_legend,
    write,
)
from mtgrpo_env.agents.reports.task_statistics import SMOOTHING, overall_numbers, smoothed, smoothed_numbers
from mtgrpo_env.batch_metrics import SHARES
from mtgrpo_env.types import FloatArray

_MARKERS = "osD^vP*X<>phd8"


def draw_task_curves(comparison: Comparison, file: Path) -> None:
    """A panel for each task: held-out accuracy of every method, mean over seeds."""
    tasks = comparison.settings.tasks
    figure, row = panels(len(tasks), xlabel="step", title="Held-out accuracy of each task, mean over seeds")
    for k, axes in enumerate(row):
        for i, method in enumerate(comparison.tuned):
            runs = comparison.chosen(method)
            steps = runs[0].costs["steps"]
            accuracies = np.mean([[run.at("steps", step)[k] for step in steps] for run in runs], axis=0)
            axes.plot(steps, accuracies, label=method, **line_style(i))
        axes.set(title=tasks[k], ylim=SHARE_LIMITS)
        axes.grid(alpha=0.3)
    shared_legend(figure, row[0])
    write(figure, file)


def draw_weights(comparison: Comparison, file: Path) -> None:
    """A row for each method: task weights, then realised shares by prompts, by tokens and by |advantage|."""
    methods, tasks = list(comparison.tuned), comparison.settings.tasks
    figure = Figure(figsize=(14, 2.3 * len(methods) + 1), layout="constrained")
    grid = figure.subplots(len(methods), 1 + len(SHARES), sharex=True, sharey=True, squeeze=False)
    for row, method in zip(grid, methods, strict=True):
        runs = comparison.chosen(method)
        _task_lines(row[0], per_step(runs, "probabilities"), tasks)
        numbers = smoothed_numbers(runs)
        for axes, name in zip(row[1:], SHARES, strict=True):
            _task_lines(axes, numbers.get(name), tasks)
        row[0].set_ylabel(method)
    titles = ("task weights", *(f"share of the {what}" for what in SHARES.values()))
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    grid[0, 0].set_ylim(bottom=SHARE_LIMITS[0])
    shared_legend(figure, grid[0, 0])
    figure.suptitle(f"What the weights ask for, mean over seeds; what is trained on, by {SMOOTHING} steps of all seeds")
    write(figure, file)


def draw_shares_against_weights(comparison: Comparison, file: Path) -> None:
    """Mean share against mean weight, a point for each method and task: on the diagonal the batch holds the weights."""
    tasks = comparison.settings.tasks
    found = [overall_numbers(comparison.chosen(method)) for method in comparison.tuned]
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    row = figure.subplots(1, len(SHARES), sharex=True, sharey=True)
    for axes, (name, what) in zip(row, SHARES.items(), strict=True):
        axes.axline((0, 0), slope=1, color="gray", linewidth=0.8)
        is_recorded = False
        for i, numbers in enumerate(found):
            is_recorded |= _shares_against_weights(axes, numbers.get("task_weight"), numbers.get(name), i)
        if not is_recorded:
            _say_not_recorded(axes)
        axes.set(title=f"share of the {what}", xlabel="mean task weight")
        axes.locator_params(nbins=5)
        axes.grid(alpha=0.3)
    row[0].set(ylabel="mean share", xlim=(0, None), ylim=(0, None))
    for k, task in enumerate(tasks):
        row[0].plot([], [], _MARKERS[k % len(_MARKERS)], color="black", label=task)
    for i, method in enumerate(comparison.tuned):
        row[0].plot([], [], color=color(i), linewidth=4, label=method)
    shared_legend(figure, row[0])
    figure.suptitle("Is a task trained on as much as its weight asks for? Means over all steps and seeds")
    write(figure, file)


def _shares_against_weights(axes: Axes, weights: FloatArray | None, realised: FloatArray | None, index: int) -> bool:
    """Whether the share was recorded."""
    if weights is None or realised is None:
        return False
    for k, (weight, share) in enumerate(zip(weights, realised, strict=True)):
        axes.plot(weight, share, _MARKERS[k % len(_MARKERS)], color=color(index), alpha=0.85)
    return True


def draw_filters(comparison: Comparison, file: Path) -> None:
    """A panel for each method: the share of groups without gradient by task."""
    methods, tasks = list(comparison.tuned), comparison.settings.tasks
    figure, row = panels(
        len(methods), xlabel="step", title=f"Groups without gradient, mean over seeds and {SMOOTHING} steps"
    )
    for axes, method in zip(row, methods, strict=True):
        _task_lines(axes, smoothed_numbers(comparison.chosen(method)).get("filter_rate"), tasks)
        axes.set(title=method, ylim=SHARE_LIMITS)
    shared_legend(figure, row[0])
    write(figure, file)


def draw_generation(comparison: Comparison, file: Path) -> None:
    """What a training step costs: generation rounds and rollouts, a line for each method."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    row = figure.subplots(1, 2)
    for axes, field, label in zip(row, ("rounds", "rollouts"), ("rounds", "rollouts generated"), strict=True):
        for i, method in enumerate(comparison.tuned):
            values = per_step(comparison.chosen(method), field)
            if values is not None:
                axes.plot(_step_numbers(values), smoothed(values), label=method, **line_style(i))
        axes.set(xlabel="step", ylabel=f"{label} in a step")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    shared_legend(figure, row[0])
    figure.suptitle(f"What a step costs, mean over seeds and {SMOOTHING} steps")
    write(figure, file)


def draw_heat_map(comparison: Comparison, file: Path) -> None:
    """Accuracy at the horizon: task by level for each method; where tasks have but one level, method by task."""
    tasks, methods = comparison.settings.tasks, list(comparison.tuned)
    horizon = comparison.horizon
    ends = {m: np.mean([run.at("steps", horizon) for run in comparison.chosen(m)], axis=0) for m in methods}
    names = [task.partition("-")[::2] for task in tasks]
    families, levels = (list(dict.fromkeys(part)) for part in zip(*names, strict=True))
    if len(levels) == 1 or len(families) == len(tasks):
        figure = Figure(figsize=(2.5 + 1.1 * len(tasks), 1.8 + 0.38 * len(methods)), layout="constrained")
        _cells(figure.subplots(), np.array(list(ends.values())), methods, tasks)
    else:
        size = {"width": 1.6 + 0.8 * len(levels), "height": 0.8 + 0.5 * len(families)}
        figure, row = panels(len(methods), xlabel="", title="", **size)
        for axes, method in zip(row, methods, strict=True):
            cells = np.full((len(families), len(levels)), np.nan)
            for (family, level), accuracy in zip(names, ends[method], strict=True):
                cells[families.index(family), levels.index(level)] = accuracy
            _cells(axes, cells, families, levels)
            axes.set_title(method, fontsize=10)
    figure.suptitle(f"Held-out accuracy after {horizon:.0f} steps, %, mean over seeds")
    write(figure, file)


def _cells(axes: Axes, values: FloatArray, rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.set_xticks(range(len(columns)), columns, fontsize=9, rotation=30 if len(columns) > 4 else 0)
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            axes.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color="black" if value > 0.6 else "white")


def _task_lines(axes: Axes, values: FloatArray | None, tasks: Sequence[str]) -> None:
    """(steps, K) values, a line for each task."""
    if values is None:
        _say_not_recorded(axes)
        return
    for k, task in enumerate(tasks):
        axes.plot(_step_numbers(values), values[:, k], label=task, **line_style(k))
    axes.grid(alpha=0.3)


def _say_not_recorded(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center", color="gray")


def _step_numbers(values: FloatArray) -> range:
    return range(1, len(values) + 1)
