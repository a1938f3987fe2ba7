"""The numbers of a page: at a glance, at equal budgets, on the way to a threshold, and of every task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.compared_runs import COSTS
from mtgrpo_env.agents.reports.comparison import Budget
from mtgrpo_env.agents.reports.comparison_table import arrival_text
from mtgrpo_env.agents.reports.page.chart import style_of
from mtgrpo_env.agents.reports.page.content import PageContent, Series
from mtgrpo_env.agents.reports.page.curves import Accuracy, average, interval, of_task, resampling, scores, worst
from mtgrpo_env.agents.reports.page.markup import Html, cell, element, joined, safe, section, table
from mtgrpo_env.agents.reports.statistics import Arrival, Interval, arrival
from mtgrpo_env.agents.reports.task_statistics import overall_numbers
from mtgrpo_env.batch_metrics import SHARES
from mtgrpo_env.chance import TaskChance
from mtgrpo_env.types import FloatArray


def glance(content: PageContent) -> Html:
    """Tiles of a single series, a table of several."""
    if len(content.series) == 1:
        return element("div", {"class": "tiles"}, *_tiles(content, content.series[0]))
    note = (
        "Worst task and average over tasks, in per cent, of each at its end; the best worst task is over all "
        "evaluations. Seconds are of training, without evaluation. "
        f"{said_of_seeds(content)}"
    )
    header = ["run", "seeds", "worst, start", "worst, end", "best worst", "average, start", "average, end"]
    header += ["steps", "rollouts", "seconds"]
    rows = (_glance_row(series, i) for i, series in enumerate(content.series))
    return section("At a glance", note, table([safe(name) for name in header], rows))


def equal_budgets(content: PageContent) -> Html:
    """Worst task and average of every series once each has spent the same."""
    if len(content.series) == 1:
        return Html("")
    note = (
        "The most that every run has spent, or the horizon that was chosen before; scores between evaluations are "
        "interpolated. The worst task, and below it the average, in per cent."
    )
    header = ["run", *(f"{amount:,.0f} {cost}" for cost, amount in content.budgets)]
    rows = (
        [label(series.name, i), *(_budget_cell(series, i, budget) for budget in content.budgets)]
        for i, series in enumerate(content.series)
    )
    return section("At equal budgets", note, table([safe(name) for name in header], rows))


def thresholds(content: PageContent) -> Html:
    """What a worst-task accuracy costs."""
    if len(content.series) == 1 or not content.thresholds:
        return Html("")
    note = (
        "Median over seeds, read at the first evaluation that reaches it. A seed that never arrives counts as beyond "
        "what its run spent; > is known only to cost more."
    )
    header = ["run", "worst task", "seeds that arrive", *COSTS]
    rows: list[list[Html]] = []
    for threshold in content.thresholds:
        for i, series in enumerate(content.series):
            found = _arrivals(series, threshold)
            arrived = f"{found[0].arrived} of {found[0].seeds}"
            cells = [f"{threshold:.0%}", arrived, *map(arrival_text, found)]
            rows.append([label(series.name, i), *map(cell, cells)])
    return section("What a worst-task accuracy costs", note, table([safe(name) for name in header], rows))


def tasks(content: PageContent) -> Html:
    """A row for each series and task."""
    several = len(content.series) > 1
    note = (
        f"Held-out accuracy on {content.eval_problems} problems a task, in per cent; the rest over all steps"
        f"{' and seeds' if content.num_seeds > 1 else ''}: mean task weight, the task's share of what was trained on "
        f"counted in three ways, and the share of generated groups without gradient. {_said_of_chance(content)}"
    )
    header = ["task", *(["run"] if several else []), "start", "end", "change", "best", *chance_columns.COLUMNS]
    header += ["weight", *(f"share of {what}" for what in SHARES.values()), "without gradient"]
    found = [overall_numbers(series.even) for series in content.series]
    rows = (_task_row(content, k, i, numbers) for k in range(len(content.tasks)) for i, numbers in enumerate(found))
    return section("Tasks", note, table([safe(name) for name in header], rows))


def said_of_seeds(content: PageContent) -> str:
    """What brackets and bands mean on this page."""
    if content.num_seeds == 1:
        one = "One seed each" if len(content.series) > 1 else "One seed"
        return f"{one}, so there are no intervals: differences of a few points may be chance."
    return (
        f"Brackets and bands are 95 % bootstrap intervals of the mean over {content.num_seeds} seeds; of few seeds "
        "they are too narrow (3, 5 and 10 seeds cover about 74, 84 and 91 %)."
    )


def label(name: str, index: int) -> Html:
    """A name beside the colour of its lines."""
    swatch = element("i", {"class": f"swatch {style_of(index)}"})
    return joined([swatch, safe(name)])


def _tiles(content: PageContent, series: Series) -> Iterator[Html]:
    for name, accuracy in (("Worst task", worst), ("Average", average)):
        end = _end(series, accuracy)
        start = _mean(series, accuracy, 0)
        best = _best(series, accuracy)
        said = f"{_points(start)} at the start, {best} at best"
        yield _tile(name, f"{_points(end.mean)} %", said if math.isnan(end.low) else f"{said}; {_range(end)}")
    last = np.mean([run.accuracies[-1] for run in series.runs], axis=0)
    if not np.isnan(last).all():
        best = content.tasks[int(np.nanargmax(last))]
        yield _tile("Worst at the end", content.tasks[int(np.nanargmin(last))], f"best: {best}")
    steps, rollouts, seconds = (np.mean([run.costs[cost][-1] for run in series.runs]) for cost in COSTS)
    yield _tile("Rollouts", f"{rollouts:,.0f}", f"{steps:,.0f} steps, {rollouts / max(1, steps):,.0f} a step")
    yield _tile("Seconds of training", f"{seconds:,.0f}", _split(series))
    for threshold in content.thresholds:
        found = _arrivals(series, threshold)
        texts = [f"{arrival_text(one)} {cost}" for one, cost in zip(found, COSTS, strict=True)]
        yield _tile(f"{threshold:.0%} on the worst task", texts[0], f"{texts[1]}, {texts[2]}")


def _tile(name: str, value: str, about: str) -> Html:
    parts = [
        element("dt", {}, safe(name)),
        element("dd", {}, safe(value)),
        element("dd", {"class": "note"}, safe(about)),
    ]
    return element("dl", {}, *parts)


def _split(series: Series) -> str:
    """How generating and learning share the time."""
    records = [record for run in series.runs for record in run.records]
    rolling = sum(record["rollout_seconds"] for record in records)
    total = rolling + sum(record["update_seconds"] for record in records)
    return f"{rolling / total:.0%} generating, {1 - rolling / total:.0%} learning" if total else ""


def _glance_row(series: Series, index: int) -> list[Html]:
    end, mean = _end(series, worst), _end(series, average)
    costs = (f"{np.mean([run.costs[cost][-1] for run in series.runs]):,.0f}" for cost in COSTS)
    return [
        label(series.name, index),
        cell(str(len(series.runs))),
        cell(_points(_mean(series, worst, 0))),
        _bar(end.mean, index, safe(_text(end))),
        cell(_best(series, worst)),
        cell(_points(_mean(series, average, 0))),
        _bar(mean.mean, index, safe(_text(mean))),
        *map(cell, costs),
    ]


def _budget_cell(series: Series, index: int, budget: Budget) -> Html:
    found = [interval(scores(series.runs, accuracy, budget)) for accuracy in (worst, average)]
    below = element("small", {}, safe(_text(found[1])))
    return _bar(found[0].mean, index, safe(_text(found[0])), below)


def _task_row(content: PageContent, k: int, index: int, numbers: Mapping[str, FloatArray]) -> list[Html]:
    series = content.series[index]
    start, end = _mean(series, of_task(k), 0), _mean(series, of_task(k), -1)
    row = [safe(content.tasks[k])]
    if len(content.series) > 1:
        row.append(element("td", {"class": "name"}, label(series.name, index)))
    chance = content.chance.of_task(k)
    row += [cell(_points(start)), _bar(end, index, safe(_points(end)), *_mark(series, k, end, chance))]
    row += [cell("-" if math.isnan(end - start) else f"{100 * (end - start):+.1f}"), cell(_best(series, of_task(k)))]
    row += map(cell, chance_columns.cells(chance))
    columns = (numbers.get(name) for name in ("task_weight", *SHARES, "filter_rate"))
    return [*row, *(cell("-" if values is None else _points(float(values[k]))) for values in columns)]


def _mark(series: Series, k: int, end: float, chance: TaskChance) -> Iterator[Html]:
    """Below an accuracy that may be chance's, by the problems of all its runs."""
    problems = sum(run.problems[k] for run in series.runs if run.problems)
    if chance_columns.is_near_chance(end, problems, chance.best):
        yield element("small", {}, safe(chance_columns.MARK))


def _said_of_chance(content: PageContent) -> str:
    return chance_columns.footnote({task: content.chance.of_task(k) for k, task in enumerate(content.tasks)})


def _arrivals(series: Series, threshold: float) -> list[Arrival]:
    curves = [worst(run) for run in series.runs]
    return [arrival([run.costs[cost] for run in series.runs], curves, threshold, resampling()) for cost in COSTS]


def _end(series: Series, accuracy: Accuracy) -> Interval:
    return interval(np.array([accuracy(run)[-1] for run in series.runs]))


def _mean(series: Series, accuracy: Accuracy, evaluation: int) -> float:
    return float(np.mean([accuracy(run)[evaluation] for run in series.runs]))


def _best(series: Series, accuracy: Accuracy) -> str:
    """The mean of the runs' best evaluations; of a single run, its step as well."""
    curves: list[FloatArray] = [accuracy(run) for run in series.runs]
    best = _points(float(np.mean([curve.max() for curve in curves])))
    if len(curves) > 1 or np.isnan(curves[0]).any():
        return best
    return f"{best} (step {series.runs[0].costs['steps'][int(curves[0].argmax())]:.0f})"


def _bar(share: float, index: int, *texts: Html) -> Html:
    """A cell above a bar in the colour of a series."""
    width = 0 if math.isnan(share) else 100 * share
    return element("td", {"class": f"bar {style_of(index)}", "style": f"--share:{width:.1f}%"}, *texts)


def _text(found: Interval) -> str:
    text = _points(found.mean)
    return text if math.isnan(found.low) else f"{text} {_range(found)}"


def _range(found: Interval) -> str:
    return f"[{_points(found.low)}, {_points(found.high)}]"


def _points(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"
