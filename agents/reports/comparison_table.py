"""What a comparison found, as Markdown: what was done, what it cost, and how sure the numbers are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mtgrpo_env.agents.reports.comparison import BASE, COSTS, Comparison, Cost, Measure
from mtgrpo_env.agents.reports.statistics import Arrival, Interval
from mtgrpo_env.agents.reports.summary import Summary

_EQUAL = {"steps": "training steps", "rollouts": "generated rollouts", "seconds": "seconds of training"}


def comparison_markdown(comparison: Comparison, summary: Summary, *, figures: Sequence[str] = ()) -> str:
    """The whole report.

    Args:
        comparison: the runs.
        summary: their numbers.
        figures: file names to show, beside the report.
    """
    parts = [
        *_setting(comparison),
        *(line for cost in COSTS for line in _at_equal(comparison, summary, cost)),
        *_thresholds(comparison, summary),
        *_differences(comparison, summary),
        *_rates(comparison),
        *(f"![{name}]({name})" for name in figures),
    ]
    return "\n\n".join(parts) + "\n"


def _setting(comparison: Comparison) -> Iterator[str]:
    settings, budgets = comparison.settings, comparison.budgets
    yield "# Methods compared"
    yield f"`{settings.command}`"
    yield (
        f"{len(settings.methods)} methods, {len(settings.seeds)} seeds, {settings.steps} steps, on "
        f"{', '.join(settings.tasks)}; held-out accuracy on {settings.eval_problems} problems a task. Runs of one seed "
        "start from the same model and meet the same problem streams. Every method was given the same learning rates "
        "and is shown at its best one. Brackets are 95 % bootstrap intervals of the mean over seeds; of few "
        "seeds they are too narrow (3, 5 and 10 seeds cover about 74, 84 and 91 %), and rates are chosen and reported "
        "on the same evaluations."
    )
    yield (
        f"Equal budgets are the most that every run has spent: {budgets['steps']:,.0f} steps, "
        f"{budgets['rollouts']:,.0f} generated rollouts, {budgets['seconds']:,.0f} seconds of training without "
        f"evaluation, {settings.parallel} runs at a time. Scores between evaluations are interpolated. Δm is the mean "
        f"relative change of a task's accuracy against {BASE} at the same seed and budget; it is undefined (-) while a "
        "task's base accuracy is 0."
    )
    if comparison.missing:
        names = ", ".join(f"{method} at {lr:g}, seed {seed}" for method, lr, seed in comparison.missing)
        yield f"**Missing runs ({len(comparison.missing)}):** {names}."


def _at_equal(comparison: Comparison, summary: Summary, cost: Cost) -> Iterator[str]:
    budget = comparison.budgets[cost]
    yield f"## At equal {_EQUAL[cost]}: {budget:,.0f}"
    header = ["method", "worst task %", "average %", "Δm %", *comparison.settings.tasks]
    rows = []
    for method in comparison.tuned:
        runs = comparison.chosen(method)
        tasks = np.mean([run.at(cost, budget) for run in runs], axis=0)  # (K,)
        worst, average, relative = (summary.scores[method, m, cost] for m in ("worst", "average", "relative"))
        rows.append([method, _percent(worst), _percent(average), _interval(relative, "+.1f")])
        rows[-1] += [f"{100 * task:.1f}" for task in tasks]
    yield _table(header, rows)


def _thresholds(comparison: Comparison, summary: Summary) -> Iterator[str]:
    yield f"## Cost of {comparison.settings.threshold:.0%} on the worst task"
    yield (
        "Median over seeds; a seed that never arrives counts as beyond what its run spent, so a median is known "
        "only where more than half the seeds arrive."
    )
    rows = [
        [method, f"{arrivals[0].arrived} of {arrivals[0].seeds}", *(arrival_text(one) for one in arrivals)]
        for method in comparison.tuned
        for arrivals in ([summary.arrivals[method, cost] for cost in COSTS],)
    ]
    yield _table(["method", "seeds that arrive", *COSTS], rows)


def _differences(comparison: Comparison, summary: Summary) -> Iterator[str]:
    others = [method for method in comparison.tuned if method != comparison.first]
    if not others:
        return
    yield f"## {comparison.first} minus each other method"
    yield "Points of accuracy, paired by seed. An interval that holds 0 shows no difference."
    shown: list[tuple[Measure, Cost]] = [(measure, cost) for measure in ("worst", "average") for cost in COSTS]
    rows = [
        [f"{comparison.first} − {other}", *(_percent(summary.differences[other, *key], "+.1f") for key in shown)]
        for other in others
    ]
    yield _table(["", *(f"{measure}, equal {cost}" for measure, cost in shown)], rows)


def _rates(comparison: Comparison) -> Iterator[str]:
    yield "## Learning rates"
    yield (
        "Worst-task accuracy averaged over the steps (the area under its curve) and the seeds, in per cent; the best "
        "of a method is bold and is the one reported, chosen in the same way for all. In brackets the seeds that "
        "finished, where some did not."
    )
    settings = comparison.settings
    rows = []
    for method in settings.methods:
        cells = []
        for lr in settings.lrs:
            count = len(comparison.at_rate(method, lr))
            text = f"{100 * comparison.area(method, lr):.1f}" if count else "-"
            text = f"**{text}**" if comparison.tuned.get(method) == lr else text
            cells.append(text if count == len(settings.seeds) else f"{text} ({count})")
        rows.append([method, *cells])
    yield _table(["method", *(f"{lr:g}" for lr in settings.lrs)], rows)


def arrival_text(arrival: Arrival) -> str:
    """The median and its interval, with what is known only to be more written as such."""
    if math.isinf(arrival.median):
        return f"> {arrival.horizon:,.0f}"
    text = f"{arrival.median:,.0f}"
    if math.isnan(arrival.low):
        return text
    return f"{text} [{arrival.low:,.0f}, {'never' if math.isinf(arrival.high) else f'{arrival.high:,.0f}'}]"


def _percent(interval: Interval, form: str = ".1f") -> str:
    return _interval(Interval(100 * interval.mean, 100 * interval.low, 100 * interval.high), form)


def _interval(interval: Interval, form: str) -> str:
    if math.isnan(interval.mean):
        return "-"
    text = f"{interval.mean:{form}}"
    return text if math.isnan(interval.low) else f"{text} [{interval.low:{form}}, {interval.high:{form}}]"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
