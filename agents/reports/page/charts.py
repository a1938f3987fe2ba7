"""The charts of a page: accuracy and its cost, weights against shares, filters, generation, learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtgrpo_env.agents.reports.compared_runs import COSTS, Cost
from mtgrpo_env.agents.reports.page.chart import Chart, Form, Line, draw, style_of, value_range
from mtgrpo_env.agents.reports.page.content import PageContent, Series
from mtgrpo_env.agents.reports.page.curves import (
    Accuracy,
    accuracy_curve,
    average,
    learner_scalars,
    mean_curves,
    of_task,
    seconds_curve,
    step_curve,
    task_curves,
    worst,
)
from mtgrpo_env.agents.reports.page.markup import Html, element, safe, section
from mtgrpo_env.agents.reports.page.numbers import said_of_seeds
from mtgrpo_env.agents.reports.task_statistics import SMOOTHING
from mtgrpo_env.batch_metrics import SHARES
from mtgrpo_env.types import FloatArray

_LABELS: dict[Cost, str] = {
    "steps": "training steps",
    "rollouts": "rollouts generated",
    "seconds": "seconds of training",
}
_WEIGHT = "task weight"


def accuracy(content: PageContent) -> Html:
    """Against each cost: every task of a single series, the worst task of several."""
    if len(content.series) == 1:
        charts = [_all_tasks(content, cost) for cost in COSTS]
        note = "Thick: the worst task; dashed: the average."
        names = [*content.tasks, "worst task", "average"]
    else:
        charts = [_of_every_series(content, "Worst task", worst, cost) for cost in COSTS]
        note = "Dotted: the thresholds, and the budgets at which the runs are compared."
        names = [series.name for series in content.series]
    title = "Held-out accuracy, and what it costs"
    styles = dict.fromkeys(names, "")
    styles |= {line.name: line.style for line in charts[0].lines}
    return section(title, f"{note} {said_of_seeds(content)}", _legend(styles), _charts(charts))


def every_task(content: PageContent) -> Html:
    """The average and each task of several series, against a cost that the reader chooses."""
    if len(content.series) == 1:
        return Html("")
    panels: dict[str, Accuracy] = {"Average": average}
    panels |= {task: of_task(k) for k, task in enumerate(content.tasks)}
    by_cost = (
        element(
            "div",
            {"class": f"by-{cost}"},
            _charts([_of_every_series(content, name, one, cost) for name, one in panels.items()]),
        )
        for cost in COSTS
    )
    note = "Mean over seeds and its interval, against the cost that is chosen here."
    return section("Accuracy of every task", note, _choice(), _legend(_series_styles(content)), *by_cost)


def weights(content: PageContent) -> Html:
    """A panel for each task: what its weight asks for, and its share of what is trained on."""
    note = (
        "Where a coloured line leaves the thick one, the batch does not hold the task as its weight asks. Shares are "
        f"counted by prompts, by tokens and by the sum of |advantage|, as means of {SMOOTHING} steps."
    )
    names = {_WEIGHT: "ink wide", **{f"share of {what}": style_of(i) for i, what in enumerate(SHARES.values())}}
    parts = [_weights_of(content, series) for series in content.series]
    if len(parts) > 1:
        parts = [
            element(
                "details",
                {"open": ""} if i == 0 else {},
                element("summary", {}, safe(content.series[i].name)),
                part,
            )
            for i, part in enumerate(parts)
        ]
    return section("Task weights against realised shares", note, _legend(names), *parts)


def filters(content: PageContent) -> Html:
    """The share of groups that carry no gradient, and what is told of the rollouts that were generated."""
    note = (
        "A group whose rollouts all earn the same carries no gradient and is thrown away: the task is solved or out of "
        f"reach. Means of {SMOOTHING} steps{' and of all seeds' if content.num_seeds > 1 else ''}"
    )
    rates = [task_curves(series).get("filter_rate") for series in content.series]
    if len(content.series) > 1:
        columns = [
            _lines(task, [(of_series, k) for of_series in rates], _series_styles(content))
            for k, task in enumerate(content.tasks)
        ]
        return section("Groups without gradient", f"{note}.", _legend(_series_styles(content)), _charts(columns))
    series = content.series[0]
    charts = [
        _of_tasks(content, "Groups without gradient", rates[0]),
        _of_tasks(content, "Correct rollouts in training", mean_curves(series, "accuracies")),
        _of_tasks(content, "Reward, as the task weights see it", mean_curves(series, "rewards"), "number"),
    ]
    note += "; correct rollouts and rewards of each step."
    return section("What is generated", note, _legend(_task_styles(content)), _grid(charts))


def responses(content: PageContent) -> Html:
    """Lengths, truncation and certainty of what was generated, and groups whose rollouts all earn the same."""
    numbers = [task_curves(series) for series in content.series]
    recorded = {name: title for name, title in _OF_RESPONSES.items() if any(name in one for one in numbers)}
    if not recorded:
        return Html("")
    note = (
        "Of all rollouts generated for training. Length is in tokens, or in time steps where there are none; the "
        "entropy is estimated by the mean of -log p over the tokens drawn, in nats. Lengths that drift and an entropy "
        f"that falls to 0 come before a collapse. Means of {SMOOTHING} steps."
    )
    if len(content.series) == 1:
        charts = [_of_tasks(content, title, numbers[0].get(name), form) for name, (title, form) in recorded.items()]
        charts += _held_out_responses(content)
        return section("Responses", note, _legend(_task_styles(content)), _grid(charts))
    styles = _series_styles(content)
    charts = [
        _lines(f"{title}: {task}", [(one.get(name), k) for one in numbers], styles, form)
        for name, (title, form) in recorded.items()
        for k, task in enumerate(content.tasks)
    ]
    return section("Responses", note, _legend(styles), _grid(charts))


def steps(content: PageContent) -> Html:
    """What a step costs, and what the learner reports of it."""
    scalars = [learner_scalars(series) for series in content.series]
    names = sorted(dict.fromkeys(name for one in scalars for name in one), key=lambda name: (_rank(name), name))
    styles = _series_styles(content)
    charts = [
        _lines(title, [(step_curve(one, field), None) for one in content.series], styles, "number")
        for title, field in _OF_A_STEP.items()
    ]
    charts.append(_lines("Seconds", [(seconds_curve(one), None) for one in content.series], styles, "number"))
    charts += [
        _lines(f"Learner: {name.replace('_', ' ')}", [(one.get(name), None) for one in scalars], styles, "number")
        for name in names
    ]
    note = f"Costs as means of {SMOOTHING} steps; what the learner says as it was recorded."
    legend = _legend(styles) if len(styles) > 1 else Html("")
    return section("Steps: what they cost, and what the learner says", note, legend, _grid(charts))


_OF_RESPONSES: dict[str, tuple[str, Form]] = {
    "response_length": ("Length", "number"),
    "truncated_share": ("Cut off", "percent"),
    "entropy": ("Entropy", "number"),
    "unanimous_share": ("Groups of equal rewards", "percent"),
}
_OF_HELD_OUT: dict[str, tuple[str, Form]] = {
    "mean_lengths": ("length", "number"),
    "truncated_shares": ("cut off", "percent"),
}
_OF_A_STEP = {
    "Rollouts generated": "rollouts",
    "Generation rounds": "rounds",
    "Groups from the replay buffer": "replayed",
}


def _held_out_responses(content: PageContent) -> list[Chart]:
    """Of a single series, means over its seeds where they were evaluated after the same steps."""
    runs, charts = content.series[0].runs, list[Chart]()
    steps = runs[0].costs["steps"]
    if not all(np.array_equal(run.costs["steps"], steps) for run in runs):
        return []
    for name, (title, form) in _OF_HELD_OUT.items():
        if all(name in run.responses for run in runs):
            values = np.mean([run.responses[name] for run in runs], axis=0)  # (E, K)
            lines = (Line(task, style_of(k), steps, values[:, k]) for k, task in enumerate(content.tasks))
            charts.append(Chart(f"Held out: {title}", _LABELS["steps"], tuple(lines), form))
    return charts


def _all_tasks(content: PageContent, cost: Cost) -> Chart:
    series = content.series[0]
    shown: list[tuple[str, str, Accuracy]] = [("worst task", "ink wide", worst)]
    shown += [(task, style_of(k), of_task(k)) for k, task in enumerate(content.tasks)]
    shown.append(("average", "ink d1", average))
    lines = tuple(_line(name, style, series, one, cost) for name, style, one in shown)
    return Chart(f"By {_LABELS[cost]}", _LABELS[cost], lines, rules=content.thresholds)


def _of_every_series(content: PageContent, title: str, shown: Accuracy, cost: Cost) -> Chart:
    lines = tuple(_line(series.name, style_of(i), series, shown, cost) for i, series in enumerate(content.series))
    marks = tuple(budget.amount for budget in content.budgets if budget.cost == cost)
    if shown is worst:
        return Chart(f"{title}, by {_LABELS[cost]}", _LABELS[cost], lines, rules=content.thresholds, marks=marks)
    return Chart(title, _LABELS[cost], lines)


def _line(name: str, style: str, series: Series, shown: Accuracy, cost: Cost) -> Line:
    curve = accuracy_curve(series, shown, cost)
    return Line(name, style, curve.x, curve.y, curve.low, curve.high)


def _weights_of(content: PageContent, series: Series) -> Html:
    numbers = task_curves(series)
    charts: list[Chart] = []
    for k, task in enumerate(content.tasks):
        lines = [*_column(_WEIGHT, "ink wide", numbers.get("task_weight"), k)]
        for i, (name, what) in enumerate(SHARES.items()):
            lines += _column(f"share of {what}", style_of(i), numbers.get(name), k)
        charts.append(Chart(task, "step", tuple(lines)))
    return _charts(charts)


def _of_tasks(content: PageContent, title: str, values: FloatArray | None, form: Form = "percent") -> Chart:
    """(steps, K) values of a single series, a line for each task."""
    columns = [_column(task, style_of(k), values, k) for k, task in enumerate(content.tasks)]
    return Chart(title, "step", tuple(line for lines in columns for line in lines), form)


def _lines(
    title: str, values: Sequence[tuple[FloatArray | None, int | None]], styles: dict[str, str], form: Form = "percent"
) -> Chart:
    """(steps,) values, or a column of (steps, K) ones, a line for each series."""
    named = zip(styles.items(), values, strict=True)
    lines = [line for (name, style), (array, k) in named for line in _column(name, style, array, k)]
    return Chart(title, "step", tuple(lines), form)


def _column(name: str, style: str, values: FloatArray | None, k: int | None) -> list[Line]:
    """No line where nothing was recorded."""
    if values is None or not len(values):
        return []
    return [Line(name, style, np.arange(1.0, len(values) + 1), values if k is None else values[:, k])]


def _charts(charts: Sequence[Chart]) -> Html:
    """Charts on one scale."""
    low, high = value_range(charts)
    return element("div", {"class": "charts"}, *(draw(chart, low=low, high=high) for chart in charts))


def _grid(charts: Sequence[Chart]) -> Html:
    """Charts each on a scale of its own."""
    ranges = [value_range([chart]) for chart in charts]
    drawn = (draw(chart, low=low, high=high) for chart, (low, high) in zip(charts, ranges, strict=True))
    return element("div", {"class": "charts"}, *drawn)


def _legend(styles: dict[str, str]) -> Html:
    def entry(name: str, style: str) -> Html:
        line = element("path", {"class": f"line {style}", "d": "M1,6H27"})
        return element("li", {"data-name": name}, element("svg", {"viewBox": "0 0 28 12"}, line), safe(name))

    return element("ul", {"class": "legend"}, *(entry(name, style) for name, style in styles.items()))


def _choice() -> Html:
    def option(cost: Cost) -> Html:
        checked = {"checked": ""} if cost == COSTS[0] else {}
        return element(
            "label", {}, element("input", {"type": "radio", "name": "by", "value": cost, **checked}), safe(cost)
        )

    return element("fieldset", {"class": "by"}, element("legend", {}, safe("against")), *map(option, COSTS))


def _series_styles(content: PageContent) -> dict[str, str]:
    return {series.name: style_of(i) for i, series in enumerate(content.series)}


def _task_styles(content: PageContent) -> dict[str, str]:
    return {task: style_of(k) for k, task in enumerate(content.tasks)}


def _rank(name: str) -> int:
    """The scalars that people ask for first."""
    order = ("gradient_norm", "loss", "entropy", "clip", "kl")
    return next((i for i, word in enumerate(order) if word in name), len(order))
