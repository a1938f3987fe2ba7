"""One picture of a run: is every task getting better, and does the batch hold what the weights ask for?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtgrpo_env.agents.reports.figure_style import (
    SHARE_LIMITS,
    color,
    line_style,
    write,
)
from mtgrpo_env.agents.reports.history import RunHistory, chance_of
from mtgrpo_env.agents.reports.task_statistics import SMOOTHING, smoothed
from mtgrpo_env.batch_metrics import filter_rates, task_numbers
from mtgrpo_env.metrics import averages, worst_tasks


def draw_run(history: RunHistory, names: Sequence[str], file: Path, *, title: str) -> None:
    """Write a PNG with four panels: accuracy, task weights, target and realised shares, filter rates."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    _accuracies(axes[0, 0], history, names)
    steps = history.of("step")
    if steps:
        _weights(axes[0, 1], steps, names)
        _shares(axes[1, 0], steps, names)
        _filter_rates(axes[1, 1], steps, names)
    figure.suptitle(title)
    write(figure, file)


def _accuracies(axes: Axes, history: RunHistory, names: Sequence[str]) -> None:
    records = history.of("evaluation")
    rollouts = [record["rollouts"] for record in records]
    accuracies = np.array([record["accuracies"] for record in records], dtype=float)
    accuracies = accuracies.reshape(len(records), len(names))  # (evaluations, K), of none as well
    for k, name in enumerate(names):
        axes.plot(rollouts, accuracies[:, k], marker=".", **line_style(k), label=name)
    _chance(axes, history)
    axes.plot(rollouts, worst_tasks(accuracies), color="black", linewidth=3, alpha=0.3, label="worst task")
    axes.plot(rollouts, averages(accuracies), color="black", linestyle="--", linewidth=1, label="average")
    axes.set(title="Held-out accuracy (dotted: chance)", xlabel="training rollouts generated", ylim=SHARE_LIMITS)
    _legend(axes, names)


def _chance(axes: Axes, history: RunHistory) -> None:
    """A thin line for each task: what no thinking comes to."""
    chance = chance_of(history.records)
    for k, share in enumerate([] if chance is None else chance.best.tolist()):
        axes.axhline(share, color=color(k), linestyle=":", linewidth=0.8)


def _weights(axes: Axes, steps: Sequence[Any], names: Sequence[str]) -> None:
    weights = np.array([record["probabilities"] for record in steps])
    for k, name in enumerate(names):
        axes.plot(_numbers(steps), weights[:, k], **line_style(k), label=name)
    axes.set(title="Task weights z", xlabel="step", ylim=SHARE_LIMITS)
    _legend(axes, names)


def _shares(axes: Axes, steps: Sequence[Any], names: Sequence[str]) -> None:
    numbers = [task_numbers(record) for record in steps]
    kept, targets = (smoothed(np.array([one[name] for one in numbers])) for name in ("prompt_share", "target_share"))
    for k, name in enumerate(names):
        # Wide and pale below the realised share: where the sampler succeeds the two lines are one.
        axes.plot(_numbers(steps), targets[:, k], color=color(k), linewidth=6, alpha=0.25)
        axes.plot(_numbers(steps), kept[:, k], **line_style(k), label=name)
    title = f"Share of the batch, targets pale (mean of {SMOOTHING} steps)"
    axes.set(title=title, xlabel="step", ylim=SHARE_LIMITS)
    _legend(axes, names)


def _filter_rates(axes: Axes, steps: Sequence[Any], names: Sequence[str]) -> None:
    generated = np.array([record["generated"] for record in steps], dtype=float)
    accepted = np.array([record["accepted"] for record in steps], dtype=float)
    rates = filter_rates(smoothed(accepted), smoothed(generated))
    for k, name in enumerate(names):
        axes.plot(_numbers(steps), rates[:, k], **line_style(k), label=name)
    title = f"Groups without gradient (mean of {SMOOTHING} steps)"
    axes.set(title=title, xlabel="step", ylim=SHARE_LIMITS)
    _legend(axes, names)


def _legend(axes: Axes, names: Sequence[str]) -> None:
    axes.legend(fontsize=8, ncols=1 + len(names) // 7)


def _numbers(steps: Sequence[Any]) -> list[int]:
    return [record["step"] for record in steps]
