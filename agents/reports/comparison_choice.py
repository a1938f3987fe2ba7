"""How each method's best point was chosen, in words and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mtgrpo_env.agents.reports.compared_runs import Settings
from mtgrpo_env.agents.reports.comparison import Comparison
from mtgrpo_env.agents.reports.markdown import table, text
from mtgrpo_env.agents.reports.points import Point, shown


def said_of_points(settings: Settings) -> str:
    """What every method was given, on which seeds its best was chosen, and which runs were stopped early."""
    points = settings.all_points
    if len(points) == 1:
        return f"Every method has {points[0]}."
    chosen_on = "the seeds that are reported"
    if settings.tuning_seeds:
        chosen_on = f"{_seeds(settings.tuning_seeds)}, not among those that are reported"
    parts = [
        f"Every method was given the same grid ({_ranges(points)}), of which it has the options that it takes, and is "
        f"shown at its best point, chosen on {chosen_on}."
    ]
    if settings.halve_at:
        parts.append(
            f"Hopeless points were stopped early: after step {_listed(settings.halve_at)} only the better half of a "
            f"method's points, rounded up, went on, by the worst-task accuracy averaged over the {settings.choose_by} "
            "so far and the seeds."
        )
    return " ".join(parts)


def points_table(comparison: Comparison) -> Iterator[str]:
    """What every point of every method came to on the seeds of the choice; nothing if there was no choice."""
    settings = comparison.settings
    if len(settings.all_points) == 1:
        return
    yield "## Points of the grid"
    yield (
        f"On {_seeds(settings.choice_seeds)}: worst-task accuracy averaged over the {settings.choose_by} that all of a "
        "method's points spent (the area under its curve) and the seeds, in per cent; the best of a method is bold and "
        f"is the one reported, chosen in the same way for all. Then the worst task at step {comparison.horizon:.0f}, "
        "the steps made, and the seeds that finished."
    )
    header = ["method", "point", "area %", "worst task %", "steps", "seeds"]
    rows = (_row(comparison, method, point) for method in settings.methods for point in settings.points[method])
    yield table(header, rows)


def _row(comparison: Comparison, method: str, point: Point) -> list[str]:
    runs, wanted = comparison.tried(method, point), len(comparison.settings.choice_seeds)
    if not runs:
        return [text(method), str(point), "-", "-", "-", f"0 of {wanted}"]
    mark = "**" if comparison.tuned[method] == point else ""
    at_horizon = comparison.scores(runs, "worst", comparison.budgets[0]).mean()
    worst = "-" if math.isnan(at_horizon) else f"{100 * at_horizon:.1f}"
    steps = min(run.costs["steps"][-1] for run in runs)
    area = f"{mark}{100 * comparison.area(method, point):.1f}{mark}"
    return [text(method), f"{mark}{point}{mark}", area, worst, f"{steps:.0f}", f"{len(runs)} of {wanted}"]


def _ranges(points: Sequence[Point]) -> str:
    """The values of each option, in the order in which they come."""
    names = dict.fromkeys(name for point in points for name in point.values)
    values = {name: dict.fromkeys(point.values[name] for point in points if name in point.values) for name in names}
    return "; ".join(f"{name} {', '.join(map(shown, values[name]))}" for name in names)


def _seeds(numbers: Sequence[int]) -> str:
    return f"{'seed' if len(numbers) == 1 else 'seeds'} {_listed(numbers)}"


def _listed(numbers: Sequence[int]) -> str:
    """Numbers in a sentence.

    >>> _listed([3]), _listed([0, 1, 2])
    ('3', '0, 1 and 2')
    """
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last
