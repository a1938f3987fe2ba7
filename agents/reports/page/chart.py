"""Line charts as inline SVG: complete without a script, which only adds what a pointer shows.

Colours and dashes are classes; `style` says what they look like on paper, in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtgrpo_env.agents.reports.page.markup import Html, element, safe
from mtgrpo_env.types import FloatArray

Form = Literal["percent", "number"]

COLORS = 8
"""That can be told apart, also by the colour-blind; beyond them lines are dashed."""
_WIDTH, _HEIGHT = 400, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 38
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart.

    Attributes:
        name: for the legend.
        style: class names, see `style_of`.
        x: (P,) in rising order.
        y: (P,) NaN leaves a gap.
        low: (P,) lower end of its interval, NaN where there is none; None if there is none at all.
        high: the upper end, likewise.
    """

    name: str
    style: str
    x: FloatArray
    y: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over one axis.

    Attributes:
        title: above it.
        x_label: below it.
        lines: the first is drawn first, below the others.
        form: of the values.
        rules: values at which a horizontal line is drawn.
        marks: places on the axis at which a vertical line is drawn.
    """

    title: str
    x_label: str
    lines: tuple[Line, ...]
    form: Form = "percent"
    rules: tuple[float, ...] = ()
    marks: tuple[float, ...] = ()


def style_of(index: int) -> str:
    """Colour and dashes of the line at an index: pairs of the two repeat after 24."""
    return f"c{index % COLORS} d{index // COLORS % 3}"


def draw(chart: Chart, *, low: float, high: float) -> Html:
    """A figure with a caption; `low` and `high` are the ends of the values' axis."""
    caption = element("figcaption", {}, safe(chart.title))
    if not any(np.isfinite(line.y).any() for line in chart.lines):
        return element("figure", {}, caption, element("p", {"class": "none"}, safe("not recorded")))
    scale = _Scale(max(float(line.x[-1]) for line in chart.lines) or 1.0, low, high)
    said = "; ".join(_said(line, chart.form) for line in chart.lines)
    attributes = {
        "class": "chart",
        "viewBox": f"0 0 {_WIDTH} {_HEIGHT}",
        "role": "img",
        "aria-label": f"{chart.title}; along the axis: {chart.x_label}. {said}.",
        "data-ends": f"{scale.end:.6g} {low:.6g} {high:.6g}",
        "data-box": f"{_LEFT} {_WIDTH - _RIGHT} {_TOP} {_HEIGHT - _BOTTOM}",
        "data-form": chart.form,
        "data-by": chart.x_label,
    }
    bands = (_band(line, scale) for line in chart.lines)
    lines = (_path(line, scale) for line in chart.lines)
    return element("figure", {}, caption, element("svg", attributes, *_grid(chart, scale), *bands, *lines))


def value_range(charts: Sequence[Chart]) -> tuple[float, float]:
    """Ends of an axis that holds the lines of all charts, and 0; round numbers."""
    finite = [line.y[np.isfinite(line.y)] for chart in charts for line in chart.lines]
    values = np.concatenate([*finite, np.zeros(1)])
    bands = [side for chart in charts for line in chart.lines for side in (line.low, line.high) if side is not None]
    values = np.concatenate([values, *(side[np.isfinite(side)] for side in bands)])
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, low + 1.0
    step = tick_step(high - low, 5)
    return math.floor(low / step) * step, math.ceil(high / step - 1e-9) * step


def tick_step(span: float, most: int) -> float:
    """The smallest round number of which at most `most` fit into a span.

    >>> tick_step(60, 5), tick_step(0.33, 4)
    (20.0, 0.1)
    """
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    return next(step * magnitude for step in _STEPS if span / (step * magnitude) <= most + 1e-9)


def number(value: float, form: Form = "number") -> str:
    """A value as people write it.

    >>> number(0.25, "percent"), number(12_500), number(0.0123), number(7)
    ('25%', '12.5k', '0.0123', '7')
    """
    if form == "percent":
        return f"{100 * value:.3g}%"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g}M"
    return f"{value / 1e3:.4g}k" if abs(value) >= 1e3 else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class _Scale:
    """From 0..end and low..high to places in the picture."""

    end: float
    low: float
    high: float

    def x(self, value: float) -> str:
        return f"{_LEFT + value / self.end * (_WIDTH - _LEFT - _RIGHT):.1f}"

    def y(self, value: float) -> str:
        return f"{_HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM):.1f}"


def _grid(chart: Chart, scale: _Scale) -> Iterator[Html]:
    base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for value in _ticks(scale.low, scale.high, 5):
        y = scale.y(value)
        yield element("line", {"class": "grid", "x1": _LEFT, "x2": right, "y1": y, "y2": y})
        yield element("text", {"class": "y", "x": _LEFT - 6, "y": y}, safe(number(value, chart.form)))
    for value in _ticks(0, scale.end, 6):
        x = scale.x(value)
        yield element("line", {"class": "tick", "x1": x, "x2": x, "y1": base, "y2": base + 4})
        yield element("text", {"class": "x", "x": x, "y": base + 16}, safe(number(value)))
    for value in chart.rules:
        if scale.low <= value <= scale.high:
            y = scale.y(value)
            yield element("line", {"class": "rule", "x1": _LEFT, "x2": right, "y1": y, "y2": y})
    for value in chart.marks:
        if value <= scale.end:
            x = scale.x(value)
            yield element("line", {"class": "rule", "x1": x, "x2": x, "y1": _TOP, "y2": base})
    yield element("text", {"class": "x", "x": (_LEFT + right) / 2, "y": _HEIGHT - 5}, safe(chart.x_label))


def _ticks(low: float, high: float, most: int) -> list[float]:
    step = tick_step(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _band(line: Line, scale: _Scale) -> Html:
    if line.low is None or line.high is None:
        return Html("")
    known = np.isfinite(line.low) & np.isfinite(line.high)
    if not known.any():
        return Html("")
    x, low, high = line.x[known], line.low[known], line.high[known]
    edge = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
    points = "L".join(f"{scale.x(x)},{scale.y(y)}" for x, y in edge)
    return element("path", {"class": f"band {line.style}", "data-name": line.name, "d": f"M{points}Z"})


def _path(line: Line, scale: _Scale) -> Html:
    """One move for each stretch without a gap; a point between two gaps is a dot."""
    pieces: list[str] = []
    is_open = False
    for x, y in zip(line.x, line.y, strict=True):
        if not math.isfinite(y):
            is_open = False
            continue
        at = f"{scale.x(x)},{scale.y(y)}"
        pieces.append(f"L{at}" if is_open else f"M{at}h0")
        is_open = True
    return element("path", {"class": f"line {line.style}", "data-name": line.name, "d": "".join(pieces)})


def _said(line: Line, form: Form) -> str:
    known = line.y[np.isfinite(line.y)]
    if not known.size:
        return f"{line.name}: not recorded"
    return f"{line.name}: from {number(known[0], form)} to {number(known[-1], form)}"
