"""A small picture of a diagnosis: for each finding the curves that show it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtgrpo_env.agents.reports.diagnosis.finding import Finding
from mtgrpo_env.agents.reports.figure_style import line_style, write

_COLUMNS = 3
_WIDTH, _HEIGHT = 4.0, 2.8  # inches of a panel
_TITLE_WIDTH = 44  # characters


def draw_findings(findings: Sequence[Finding], file: Path) -> None:
    """Write a PNG with a panel for each finding.

    Raises:
        ValueError: if there is none to draw.
    """
    if not findings:
        raise ValueError("expected at least one finding to draw, got none")
    columns = min(len(findings), _COLUMNS)
    rows = math.ceil(len(findings) / columns)
    figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for one, finding in zip(axes, findings, strict=False):
        _panel(one, finding)
    for empty in axes[len(findings) :]:
        empty.remove()
    write(figure, file)


def _panel(axes: Axes, finding: Finding) -> None:
    for i, curve in enumerate(finding.curves):
        axes.plot(curve.steps, curve.values, marker=".", markersize=3, **line_style(i), label=curve.name)
    if finding.limit is not None:
        axes.axhline(finding.limit, color="black", linestyle=":", linewidth=0.8, label="limit")
    axes.set_title("\n".join(textwrap.wrap(finding.name, _TITLE_WIDTH)), fontsize=9)
    axes.set_xlabel("training step", fontsize=8)
    axes.set_ylabel(finding.measure, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=7)
