"""The report of a comparison: a Markdown table and its figures, beside the files they are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mtgrpo_env.agents.reports.comparison import Comparison
from mtgrpo_env.agents.reports.comparison_table import comparison_markdown
from mtgrpo_env.agents.reports.figure_methods import draw_budgets, draw_curves, draw_thresholds
from mtgrpo_env.agents.reports.figure_tasks import (
    draw_filters,
    draw_generation,
    draw_heat_map,
    draw_shares_against_weights,
    draw_task_curves,
    draw_weights,
)
from mtgrpo_env.agents.reports.summary import summarise
from mtgrpo_env.files import atomic_file

_TASK_FIGURES: Mapping[str, Callable[[Comparison, Path], None]] = {
    "tasks.png": draw_task_curves,
    "heat_map.png": draw_heat_map,
    "weights.png": draw_weights,
    "shares_against_weights.png": draw_shares_against_weights,
    "filters.png": draw_filters,
    "generation.png": draw_generation,
}
FIGURES = ("budgets.png", "worst_task.png", "threshold.png", *_TASK_FIGURES)
REPORT = "results.md"


def write_report(comparison: Comparison, folder: Path, *, rng: np.random.Generator) -> None:
    """Write `results.md` and the figures.

    Args:
        comparison: with at least one run.
        folder: of the report.
        rng: resamples the seeds.

    Raises:
        ValueError: if there is no run to report.
    """
    if not comparison.runs:
        raise ValueError("expected at least one finished run to report, got none")
    summary = summarise(comparison, rng)
    draw_budgets(comparison, summary, folder / "budgets.png")
    draw_curves(comparison, folder / "worst_task.png", rng=rng)
    draw_thresholds(comparison, summary, folder / "threshold.png")
    for name, draw in _TASK_FIGURES.items():
        draw(comparison, folder / name)
    with atomic_file(folder / REPORT) as file:
        file.write_text(comparison_markdown(comparison, summary, figures=FIGURES), encoding="utf-8")
