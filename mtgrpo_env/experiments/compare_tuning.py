"""Which runs of a comparison go on, and which are reported: decided by the histories alone, so that it can be resumed.

Successive halving: at each stated step the points of a method are ranked by `Comparison.ranking` on the tuning seeds,
by what was known at that step and no more, and the better half goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mtgrpo_env.agents.reports.compared_runs import Run, Settings, run_of_history
from mtgrpo_env.agents.reports.comparison import Comparison
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.experiments.compare_plan import PlannedRun


def still_going(settings: Settings, planned: Sequence[PlannedRun], *, up_to: int) -> list[PlannedRun]:
    """The runs on the seeds of the choice whose points are left after so many halvings."""
    left = _left(settings, planned, up_to)
    return [run for run in _tried(settings, planned) if run.point in left[run.config.method]]


def halvings(settings: Settings, planned: Sequence[PlannedRun], *, up_to: int) -> Iterator[str]:
    """What the latest of so many halvings decided, for people."""
    if up_to == 0:
        return
    before, after = (_left(settings, planned, number) for number in (up_to - 1, up_to))
    for method, points in after.items():
        if len(points) < len(before[method]):
            kept = "; ".join(map(str, points))
            step = settings.halve_at[up_to - 1]
            yield f"{method}: after step {step} {len(points)} of {len(before[method])} points go on: {kept}"


def count_runs(settings: Settings, planned: Sequence[PlannedRun]) -> int:
    """That the comparison takes: those of the choice, and then each method's best point on the seeds of the report."""
    of_choice = sum(run.config.seed in settings.tuning_seeds for run in planned)
    return of_choice + len(settings.methods) * len(settings.seeds) if of_choice else len(planned)


def stopped_runs(settings: Settings, planned: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Those whose points were left behind by the halvings that are decided."""
    stopped: list[PlannedRun] = []
    going = _tried(settings, planned)
    for number, step in enumerate(settings.halve_at, start=1):
        if not all(run.has_reached(step) for run in going):
            break
        left = still_going(settings, planned, up_to=number)
        stopped += [run for run in going if run not in left]
        going = left
    return stopped


def reported(settings: Settings, planned: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs of each method's best point on the seeds that are reported."""
    comparison = compared(settings, planned)
    best = {(method, point) for method in settings.methods for point in comparison.ranking(method)[:1]}
    return [run for run in planned if run.config.seed in settings.seeds and (run.config.method, run.point) in best]


def compared(settings: Settings, planned: Sequence[PlannedRun]) -> Comparison:
    """The comparison of what there is: each run up to the step at which its point was stopped, or to the end."""
    runs: dict[tuple[str, Point, int], Run] = {}
    for number, step in enumerate((*settings.halve_at, settings.steps)):
        for run in still_going(settings, planned, up_to=number):
            if run.has_reached(step):
                runs[run.config.method, run.point, run.config.seed] = _run(run, settings, step)
    for run in planned:
        if run.config.seed in settings.seeds and run.has_reached(settings.steps):
            runs[run.config.method, run.point, run.config.seed] = _run(run, settings, settings.steps)
    return Comparison(settings, runs.values())


def _left(settings: Settings, planned: Sequence[PlannedRun], up_to: int) -> Mapping[str, Sequence[Point]]:
    """The points of each method after so many halvings."""
    left: Mapping[str, Sequence[Point]] = settings.points
    for step in settings.halve_at[:up_to]:
        tried = [run for run in _tried(settings, planned) if run.point in left[run.config.method]]
        known = [_run(run, settings, step) for run in tried if run.has_reached(step)]
        given = {method: tuple(points) for method, points in left.items()}
        comparison = Comparison(replace(settings, points=given), known)
        left = {method: comparison.ranking(method)[: -(-len(points) // 2)] for method, points in left.items()}
    return left


def _tried(settings: Settings, planned: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [run for run in planned if run.config.seed in settings.choice_seeds]


def _run(run: PlannedRun, settings: Settings, num_steps: int) -> Run:
    named = {"method": run.config.method, "seed": run.config.seed}
    return run_of_history(run.records, **named, point=run.point, num_steps=num_steps, clock=settings.clock)
