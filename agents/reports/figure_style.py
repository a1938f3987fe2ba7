"""What all figures share: colours that do not repeat, panels, and files that appear whole."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from mtgrpo_env.files import atomic_file
from mtgrpo_env.visible_text import one_line

_PALETTE = matplotlib.colormaps["tab20"].colors  # pyright: ignore[reportAttributeAccessIssue]
_COLORS = (*_PALETTE[::2], *_PALETTE[1::2])  # ten strong ones, then their pale relatives
_LINES = ("-", "--", ":")
_LONGEST, _LONGEST_TITLE, _LONGEST_NAME = 160, 56, 40  # characters over all, over a panel, and in a legend or axis

SHARE_LIMITS = (-0.02, 1.02)
"""Of an axis of shares: a line at 0 or at 1 would be hidden by the frame."""


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the line at an index: colours repeat after 20, pairs of the two after 60.

    The pale colours of 10 to 19 are dashed, so that they are not taken for the strong ones.
    """
    return {"color": color(index), "linestyle": _LINES[index // 10 % len(_LINES)]}


def color(index: int) -> Any:
    """The colour of a task or of a method."""
    return _COLORS[index % len(_COLORS)]


def panels(
    count: int, *, title: str, xlabel: str, width: float = 4.0, height: float = 3.0
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels in at most four columns, with one scale for all; no panel is left empty."""
    num_columns = min(count, 3 if count in (3, 5, 6, 9) else 4)
    num_rows = math.ceil(count / num_columns)
    figure = Figure(figsize=(max(8.0, width * num_columns), height * num_rows + 1.2), layout="constrained")
    axes = figure.subplots(num_rows, num_columns, squeeze=False, sharex=True, sharey=True).ravel().tolist()
    for empty in axes[count:]:
        empty.remove()
    for lowest in axes[max(0, count - num_columns) : count]:
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel(xlabel)
    figure.suptitle(title)
    return figure, axes[:count]


def shared_legend(figure: Figure, axes: Axes) -> None:
    """One legend below all panels, of what one of them shows."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), fontsize=8)


def write(figure: Figure, file: Path) -> None:
    """Write a PNG; it replaces one that is there. Names stand in it as they are: no mathematics, no hidden sign."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text(
            one_line(text.get_text(), _LONGEST if text.get_text() == figure.get_suptitle() else _LONGEST_TITLE)
        )
    for text in (text for legend in figure.findobj(Legend) for text in legend.get_texts()):
        text.set_text(one_line(text.get_text(), _LONGEST_NAME))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(own := axis.get_major_formatter(), FuncFormatter):  # labels that were given
            axis.set_major_formatter(FuncFormatter(lambda x, pos, own=own: one_line(own(x, pos), _LONGEST_NAME)))
    with atomic_file(file) as unfinished:
        figure.savefig(unfinished, dpi=120, format="png")
