"""What a comparison found, as Markdown: what was done, what it cost, and how sure the numbers are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from mtgrpo_env.agents.reports.chance_columns import COLUMNS, constants_of, mean_chance
from mtgrpo_env.agents.reports.compared_runs import COSTS
from mtgrpo_env.agents.reports.comparison import BASE, Budget, Comparison, Measure
from mtgrpo_env.agents.reports.comparison_choice import points_table, said_of_points
from mtgrpo_env.agents.reports.markdown import code, percent, table, text, with_interval
from mtgrpo_env.agents.reports.statistics import Arrival, CostRatio
from mtgrpo_env.agents.reports.summary import CROSSINGS, Crossing, Summary
from mtgrpo_env.agents.reports.task_statistics import overall_numbers
from mtgrpo_env.batch_metrics import SHARES
from mtgrpo_env.types import FloatArray


def comparison_markdown(comparison: Comparison, summary: Summary, *, figures: Sequence[str] = ()) -> str:
    """The whole report.

    Args:
        comparison: the runs.
        summary: their numbers.
        figures: file names to show, beside the report.
    """
    parts = [
        *_setting(comparison),
        *(line for budget in comparison.budgets for line in _at_equal(comparison, summary, budget)),
        *_chance_note(comparison),
        *_thresholds(comparison, summary),
        *_differences(comparison, summary),
        *points_table(comparison),
        *_tasks(comparison),
        *(f"![{name}]({name})" for name in figures),
    ]
    return "\n\n".join(parts) + "\n"


def _setting(comparison: Comparison) -> Iterator[str]:
    settings = comparison.settings
    *steps, rollouts, seconds = (f"{budget.amount:,.0f}" for budget in comparison.budgets)
    yield "# Methods compared"
    yield code(settings.command)
    yield (
        f"{len(settings.methods)} methods, {len(settings.seeds)} seeds, {settings.steps} steps, on "
        f"{', '.join(map(text, settings.tasks))}; held-out accuracy on {settings.eval_problems} problems a task, or "
        "all that it has. Runs of one seed start from the same model and meet the same problem streams. "
        f"{said_of_points(settings)} Brackets are 95 % bootstrap intervals of the mean over seeds; of few seeds "
        "they are too narrow (3, 5 and 10 seeds cover about 74, 84 and 91 %)."
    )
    yield (
        f"Equal budgets are the most that every run has spent: {steps[-1]} steps, {rollouts} generated rollouts, "
        f"{seconds} {settings.cost_names['seconds']} without evaluation, {settings.parallel} runs at a time. Scores "
        f"between evaluations are interpolated. Δm is the mean relative change of a task's accuracy against {BASE} at "
        "the same seed and budget; it is undefined (-) while a task's base accuracy is 0."
    )
    if len(steps) > 1:
        yield f"The horizon, chosen before the runs were made, is step {steps[0]}; what comes after it is the tail."
    if comparison.missing:
        names = ", ".join(f"{text(method)} at {point}, seed {seed}" for method, point, seed in comparison.missing)
        yield f"**Missing runs ({len(comparison.missing)}):** {names}."


def _at_equal(comparison: Comparison, summary: Summary, budget: Budget) -> Iterator[str]:
    yield f"## At equal {comparison.settings.cost_names[budget.cost]}: {budget.amount:,.0f}"
    header = ["method", "worst task %", "average %", "Δm %", *map(text, comparison.settings.tasks)]
    rows = []
    for method in comparison.tuned:
        runs = comparison.chosen(method)
        tasks = np.mean([run.at(*budget) for run in runs], axis=0)  # (K,)
        worst, average, relative = (summary.scores[method, m, budget] for m in ("worst", "average", "relative"))
        rows.append([text(method), percent(worst), percent(average), with_interval(relative, "+.1f")])
        rows[-1] += [f"{100 * task:.1f}" for task in tasks]
    yield table(header, [*rows, *_chance_rows(comparison)])


def _chance_rows(comparison: Comparison) -> Iterator[list[str]]:
    """What no thinking comes to, below the methods; nothing of runs that do not know it."""
    chance = mean_chance([run.chance for run in comparison.runs])
    if chance is None:
        return
    for name, shares in zip(COLUMNS, (chance.guess, chance.constant), strict=True):
        texts = ["-" if math.isnan(share) else f"{100 * share:.1f}" for share in shares.tolist()]
        yield [name, "-", "-", "-", *texts]


def _chance_note(comparison: Comparison) -> Iterator[str]:
    chance = mean_chance([run.chance for run in comparison.runs])
    if chance is not None:
        tasks = {task: chance.of_task(k) for k, task in enumerate(comparison.settings.tasks)}
        yield from filter(None, [text(constants_of(tasks), None)])


def _thresholds(comparison: Comparison, summary: Summary) -> Iterator[str]:
    thresholds = comparison.settings.thresholds
    yield f"## Cost of {' and '.join(f'{threshold:.0%}' for threshold in thresholds)} on the worst task"
    yield (
        "Median over seeds; a seed that never arrives counts as beyond what its run spent, so a median is known "
        "only where more than half the seeds arrive. A first crossing rewards noise; smoothed is that of the mean of "
        "each evaluation with the one before and the one after it."
    )
    yield table(
        ["method", "worst task", "crossing", "seeds that arrive", *COSTS],
        (_arrival_row(summary, *key) for key in product(comparison.tuned, thresholds, CROSSINGS)),
    )
    others = [method for method in comparison.tuned if method != comparison.first]
    if not others:
        return
    yield (
        f"What it costs {text(comparison.first)} over what it costs each other method: ratios of the medians, and "
        "their intervals over seeds. ≤: the other does not get there, and is counted as if it had with the last it "
        "spent."
    )
    rows = (
        [f"{text(comparison.first)} / {text(method)}", f"{threshold:.0%}", crossing]
        + [_ratio_text(summary.ratios[method, threshold, cost, crossing]) for cost in COSTS]
        for threshold in thresholds
        for method in others
        for crossing in CROSSINGS
    )
    yield table(["", "worst task", "crossing", *COSTS], rows)


def _arrival_row(summary: Summary, method: str, threshold: float, crossing: Crossing) -> list[str]:
    arrivals = [summary.arrivals[method, threshold, cost, crossing] for cost in COSTS]
    arrived = f"{arrivals[0].arrived} of {arrivals[0].seeds}"
    return [text(method), f"{threshold:.0%}", crossing, arrived, *(arrival_text(one) for one in arrivals)]


def _ratio_text(ratio: CostRatio) -> str:
    if not math.isfinite(ratio.value):
        return "-"
    text = f"{'≤ ' if ratio.at_most else ''}{ratio.value:.2f}"
    high = f"{ratio.high:.2f}" if math.isfinite(ratio.high) else "never"
    return text if math.isnan(ratio.low) else f"{text} [{ratio.low:.2f}, {high}]"


def _differences(comparison: Comparison, summary: Summary) -> Iterator[str]:
    others = [method for method in comparison.tuned if method != comparison.first]
    if not others:
        return
    yield f"## {text(comparison.first)} minus each other method"
    yield "Points of accuracy, paired by seed. An interval that holds 0 shows no difference."
    measures: tuple[Measure, ...] = ("worst", "average")
    shown = [(measure, budget) for measure in measures for budget in comparison.budgets]
    rows = [
        [
            f"{text(comparison.first)} − {text(other)}",
            *(percent(summary.differences[other, *key], "+.1f") for key in shown),
        ]
        for other in others
    ]
    yield table(["", *(f"{measure}, {amount:,.0f} {cost}" for measure, (cost, amount) in shown)], rows)


def _tasks(comparison: Comparison) -> Iterator[str]:
    yield "## Tasks"
    yield (
        f"Accuracy at step {comparison.horizon:.0f}; the rest over all steps and seeds, in per cent: generated groups "
        "without gradient, mean task weight, and the task's share of what was trained on, counted in three ways."
    )
    header = ["method", "task", "accuracy", "without gradient", "weight", *(f"share of {s}" for s in SHARES.values())]
    yield table(header, (row for method in comparison.tuned for row in _task_rows(comparison, method)))


def _task_rows(comparison: Comparison, method: str) -> Iterator[list[str]]:
    runs = comparison.chosen(method)
    found = overall_numbers(runs)
    accuracies: FloatArray = np.mean([run.at(*comparison.budgets[0]) for run in runs], axis=0)
    columns = (accuracies, *(found.get(name) for name in ("filter_rate", "task_weight", *SHARES)))
    for k, task in enumerate(comparison.settings.tasks):
        yield [text(method), text(task), *("-" if values is None else f"{100 * values[k]:.1f}" for values in columns)]


def arrival_text(arrival: Arrival) -> str:
    """The median and its interval, with what is known only to be more written as such."""
    if math.isinf(arrival.median):
        return f"> {arrival.horizon:,.0f}"
    text = f"{arrival.median:,.0f}"
    if math.isnan(arrival.low):
        return text
    return f"{text} [{arrival.low:,.0f}, {'never' if math.isinf(arrival.high) else f'{arrival.high:,.0f}'}]"
