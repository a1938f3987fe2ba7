"""One picture of a run: is every task getting better, and does the batch hold what the weights ask for?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtgrpo_env.agents.checkpoints import atomic_file
from mtgrpo_env.agents.reports.history import RunHistory

_SMOOTHING = 5  # steps; shares of one batch are small counts


def draw_run(history: RunHistory, names: Sequence[str], file: Path, *, title: str) -> None:
    """Write a PNG with four panels: accuracy, task weights, target and realised shares, filter rates."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    colors = matplotlib.colormaps["tab10"].colors  # pyright: ignore[reportAttributeAccessIssue]
    _accuracies(axes[0, 0], history, names, colors)
    steps = history.of("step")
    if steps:
        _weights(axes[0, 1], steps, names, colors)
        _shares(axes[1, 0], steps, names, colors)
        _filter_rates(axes[1, 1], steps, names, colors)
    figure.suptitle(title)
    with atomic_file(file) as unfinished:
        figure.savefig(unfinished, dpi=120)


def _accuracies(axes: Axes, history: RunHistory, names: Sequence[str], colors: Sequence[Any]) -> None:
    records = history.of("evaluation")
    rollouts = [record["rollouts"] for record in records]
    accuracies = np.array([record["accuracies"] for record in records], dtype=float)
    accuracies = accuracies.reshape(len(records), len(names))  # (evaluations, K), of none as well
    for k, name in enumerate(names):
        axes.plot(rollouts, accuracies[:, k], marker=".", color=colors[k % 10], label=name)
    axes.plot(rollouts, accuracies.min(axis=1), color="black", linewidth=3, alpha=0.3, label="worst task")
    axes.plot(rollouts, accuracies.mean(axis=1), color="black", linestyle="--", linewidth=1, label="average")
    axes.set(title="Held-out accuracy", xlabel="training rollouts generated", ylim=(0, 1))
    axes.legend(fontsize=8)


def _weights(axes: Axes, steps: Sequence[Any], names: Sequence[str], colors: Sequence[Any]) -> None:
    weights = np.array([record["probabilities"] for record in steps])
    for k, name in enumerate(names):
        axes.plot(_numbers(steps), weights[:, k], color=colors[k % 10], label=name)
    axes.set(title="Task weights z", xlabel="step", ylim=(0, 1))
    axes.legend(fontsize=8)


def _shares(axes: Axes, steps: Sequence[Any], names: Sequence[str], colors: Sequence[Any]) -> None:
    kept = _smooth(_per_batch(steps, "kept"))
    targets = _smooth(_per_batch(steps, "targets"))
    for k, name in enumerate(names):
        # Wide and pale below the realised share: where the sampler succeeds the two lines are one.
        axes.plot(
            _numbers(steps), targets[:, k], color=colors[k % 10], linewidth=6, alpha=0.25, label=f"{name}, target"
        )
        axes.plot(_numbers(steps), kept[:, k], color=colors[k % 10], label=f"{name}, realised")
    title = f"Share of the batch (mean of {_SMOOTHING} steps)"
    axes.set(title=title, xlabel="step", ylim=(0, 1))
    axes.legend(fontsize=8, ncols=2)


def _filter_rates(axes: Axes, steps: Sequence[Any], names: Sequence[str], colors: Sequence[Any]) -> None:
    generated = np.array([record["generated"] for record in steps], dtype=float)
    accepted = np.array([record["accepted"] for record in steps], dtype=float)
    rates = 1 - _smooth(accepted) / np.maximum(_smooth(generated), 1e-9)
    for k, name in enumerate(names):
        axes.plot(_numbers(steps), rates[:, k], color=colors[k % 10], label=name)
    title = f"Groups without gradient (mean of {_SMOOTHING} steps)"
    axes.set(title=title, xlabel="step", ylim=(0, 1))
    axes.legend(fontsize=8)


def _numbers(steps: Sequence[Any]) -> list[int]:
    return [record["step"] for record in steps]


def _per_batch(steps: Sequence[Any], name: str) -> np.ndarray:
    counts = np.array([record[name] for record in steps], dtype=float)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _smooth(values: np.ndarray) -> np.ndarray:
    """(steps, K) mean of each row and up to `_SMOOTHING` - 1 rows before it."""
    totals = np.cumsum(values, axis=0)
    totals[_SMOOTHING:] -= totals[:-_SMOOTHING].copy()
    counts = np.minimum(np.arange(len(values)) + 1, _SMOOTHING)
    return totals / counts[:, None]
