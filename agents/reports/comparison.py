"""Runs of several methods, points of a grid and seeds as one data set, in files that outlive the runs.

`results.jsonl` has a line for each evaluation, `steps.jsonl` one for each training step, `compare.json` says what was
compared. Tables and figures are made from these three alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from mtgrpo_env.agents.record_checks import read_row
from mtgrpo_env.agents.reports.compared_runs import COSTS, Cost, Run, Settings
from mtgrpo_env.agents.reports.history import Record
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.agents.reports.statistics import area_under_curve, at_budget
from mtgrpo_env.chance import Chance
from mtgrpo_env.files import atomic_file
from mtgrpo_env.metrics import relative_change
from mtgrpo_env.types import FloatArray

Measure = Literal["worst", "average", "relative"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


class Budget(NamedTuple):
    """What every method may spend."""

    cost: Cost
    amount: float


BASE = "dapo"  # of the relative change, as in the paper
_SETTINGS, _RESULTS, _STEPS = "compare.json", "results.jsonl", "steps.jsonl"


Name = tuple[str, Point, int]
"""Of a run: its method, point and seed."""


class Comparison:
    """Finished runs, and for each method the best of the points that it was given.

    Args:
        settings: what was to be compared.
        runs: that there are, in any order; one that failed is missing, one that was stopped is as long as it went.
    """

    def __init__(self, settings: Settings, runs: Iterable[Run]) -> None:
        self.settings = settings
        by_name: dict[Name, Run] = {(run.method, run.point, run.seed): run for run in runs}
        given = [(method, point) for method in settings.methods for point in settings.points[method]]
        tried: list[Name] = [(*one, seed) for one in given for seed in settings.choice_seeds]
        self._by_point: dict[tuple[str, Point], list[Run]] = {}
        for method, point, seed in filter(by_name.__contains__, tried):
            self._by_point.setdefault((method, point), []).append(by_name[method, point, seed])
        best = {method: ranked[0] for method in settings.methods if (ranked := self.ranking(method))}
        reported: list[Name] = [(*one, seed) for one in best.items() for seed in settings.seeds]
        has_run = {method for method, _, _ in filter(by_name.__contains__, reported)}
        self.tuned = {method: point for method, point in best.items() if method in has_run}
        names = list(dict.fromkeys([*tried, *reported]))
        self.runs = [by_name[name] for name in names if name in by_name]
        self.missing = [name for name in names if name not in by_name]
        self.budgets = self._budgets()

    @property
    def first(self) -> str:
        """The first method of which there are runs: the one that is put forward."""
        return next(iter(self.tuned))

    def tried(self, method: str, point: Point) -> list[Run]:
        """The runs by which a point is chosen or not, one a seed."""
        return self._by_point.get((method, point), [])

    def chosen(self, method: str) -> list[Run]:
        """The runs of a method at its best point that are reported, one a seed."""
        best, seeds = self.tuned[method], self.settings.seeds
        return [run for run in self.runs if (run.method, run.point) == (method, best) and run.seed in seeds]

    def area(self, method: str, point: Point) -> float:
        """Worst-task accuracy averaged over what was spent, and the seeds of the choice; NaN if there is no run.

        What was spent is counted in `settings.choose_by`, up to the least that a run of the method as long as these
        spent: points of larger batches have no more of it than the others.
        """
        cost, runs = self.settings.choose_by, self.tried(method, point)
        if not runs:
            return math.nan
        rivals = [run for other in self.settings.points[method] for run in self.tried(method, other)]
        steps = min(run.costs["steps"][-1] for run in runs)
        spent = min(run.costs[cost][-1] for run in rivals if run.costs["steps"][-1] >= steps)
        return float(np.mean([area_under_curve(run.costs[cost], run.worst, up_to=spent) for run in runs]))

    def ranking(self, method: str) -> list[Point]:
        """The points of a method of which there are runs, the best first, by the area under the worst-task curve.

        Before that count the seeds that did not fail, and how far the runs went before they were stopped.
        """

        def key(point: Point) -> tuple[int, float, float]:
            runs = self.tried(method, point)
            return len(runs), min(run.costs["steps"][-1] for run in runs), self.area(method, point)

        tried = [point for point in self.settings.points[method] if self.tried(method, point)]
        return sorted(tried, key=key, reverse=True)

    @property
    def horizon(self) -> float:
        """Steps after which the methods are compared: those of the settings, if every run has gone so far."""
        return self.budgets[0].amount

    def scores(self, runs: Sequence[Run], measure: Measure, budget: Budget) -> FloatArray:
        """(S,) what each run scores at a budget; NaN where it is undefined."""
        if measure == "relative":
            return np.array([self._relative(run, budget) for run in runs])
        costs, amount = budget
        return np.array([float(at_budget(run.costs[costs], getattr(run, measure), amount)) for run in runs])

    def _relative(self, run: Run, budget: Budget) -> float:
        base = [other for other in self.chosen(BASE) if other.seed == run.seed] if BASE in self.tuned else []
        if not base:
            return math.nan
        accuracies = base[0].at(*budget)
        return relative_change(run.at(*budget), accuracies) if (accuracies > 0).all() else math.nan

    def _budgets(self) -> tuple[Budget, ...]:
        """The steps of the horizon and of the end, then the rollouts and the seconds that every run has spent."""
        chosen = [run for method in self.tuned for run in self.chosen(method)]
        least = {cost: min((run.costs[cost][-1] for run in chosen), default=math.nan) for cost in COSTS}
        ends = dict.fromkeys((min(float(self.settings.horizon), least["steps"]), least["steps"]))
        return (*(Budget("steps", end) for end in ends), *(Budget(cost, least[cost]) for cost in COSTS[1:]))

    def save(self, folder: Path) -> None:
        """Write the three files."""
        with atomic_file(folder / _SETTINGS) as file:
            plain = asdict(self.settings) | {"points": _plain_points(self.settings.points)}
            file.write_text(json.dumps(plain, indent=1), encoding="utf-8")
        with atomic_file(folder / _RESULTS) as file:
            _write_lines(file, (line for run in self.runs for line in self._result_lines(run)))
        with atomic_file(folder / _STEPS) as file:
            _write_lines(file, (_named(run) | dict(record) for run in self.runs for record in run.records))

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """Read the three files.

        Raises:
            FileNotFoundError: if `folder` holds no comparison.
        """
        if not (folder / _SETTINGS).is_file():
            raise FileNotFoundError(f"{folder} holds no comparison: it has no {_SETTINGS}")
        loaded = _with_points(json.loads((folder / _SETTINGS).read_text(encoding="utf-8")))
        tuples: dict[str, Any] = {name: tuple(value) for name, value in loaded.items() if isinstance(value, list)}
        settings = Settings(**{**loaded, **tuples})
        results = _by_run(folder / _RESULTS)
        steps = _by_run(folder / _STEPS)
        return cls(settings, [_run_of_lines(lines, steps.get(name, []), settings) for name, lines in results.items()])

    def _result_lines(self, run: Run) -> Iterator[dict[str, Any]]:
        for i, accuracies in enumerate(run.accuracies):
            step, rollouts, seconds = (float(run.costs[cost][i]) for cost in COSTS)
            yield {
                **_named(run),
                "step": int(step),
                "rollouts": int(rollouts),
                "seconds": seconds,
                "accuracies": {task: _finite(a) for task, a in zip(self.settings.tasks, accuracies, strict=True)},
                "worst": _finite(run.worst[i]),
                "average": _finite(run.average[i]),
                "relative_change": _finite(self._relative(run, Budget("steps", step))),
                **(_of_first_line(run, self.settings.tasks) if i == 0 else {}),
            }


def per_step(runs: Sequence[Run], field: str) -> FloatArray | None:
    """(steps, ...) of a field of the step records, averaged over runs of one length; None if it was not recorded."""
    steps = [record for run in runs for record in run.records]
    if not steps or any(field not in record for record in steps):
        return None
    return np.mean([[record[field] for record in run.records] for run in runs], axis=0)


def _named(run: Run) -> dict[str, Any]:
    """The learning rate has a column of its own, other options of the grid have one together."""
    others = {name: value for name, value in run.point.options if name != "lr"}
    named = {"method": run.method, "lr": run.point.values["lr"], "seed": run.seed}
    return {**named, "options": others} if others else named


def _point_of(line: Record) -> Point:
    return Point.of(lr=line["lr"], **line.get("options", {}))


def _plain_points(points: Mapping[str, Sequence[Point]]) -> dict[str, list[dict[str, Any]]]:
    return {method: [dict(point.options) for point in of_method] for method, of_method in points.items()}


def _with_points(loaded: dict[str, Any]) -> dict[str, Any]:
    """Settings from a file; earlier versions gave every method the same learning rates and nothing else."""
    given = loaded.pop("lrs", None)
    points = loaded.get("points") or {method: [{"lr": lr} for lr in given] for method in loaded["methods"]}
    return loaded | {"points": {name: tuple(Point.of(**one) for one in of_name) for name, of_name in points.items()}}


def _of_first_line(run: Run, tasks: Sequence[str]) -> dict[str, Any]:
    """What is the same at every evaluation of a run."""
    columns: dict[str, Any] = {}
    if run.problems:
        columns["problems"] = dict(zip(tasks, run.problems, strict=True))
    if run.chance is not None:
        for name, shares in (("guess", run.chance.guess), ("constant", run.chance.constant)):
            columns[name] = {task: _finite(share) for task, share in zip(tasks, shares, strict=True)}
        columns["constant_names"] = dict(zip(tasks, run.chance.names, strict=True))
    return columns


def _chance_of_line(line: Record, tasks: Sequence[str]) -> Chance | None:
    if "constant_names" not in line:  # of earlier versions
        return None
    guess, constant = (
        np.array([line[name][task] for task in tasks], dtype=np.float64) for name in ("guess", "constant")
    )
    return Chance(guess, constant, tuple(line["constant_names"][task] for task in tasks))


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if math.isfinite(value) else None


def _write_lines(file: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    with file.open("w", encoding="utf-8") as opened:
        opened.writelines(json.dumps(line, allow_nan=False) + "\n" for line in lines)


def _by_run(file: Path) -> dict[Name, list[Record]]:
    lines: dict[Name, list[Record]] = {}
    with file.open(encoding="utf-8") as opened:
        for line in map(read_row, opened):
            lines.setdefault((line["method"], _point_of(line), line["seed"]), []).append(line)
    return lines


def _run_of_lines(lines: Sequence[Record], steps: Sequence[Record], settings: Settings) -> Run:
    first = lines[0]
    columns: dict[Cost, str] = {"steps": "step", "rollouts": "rollouts", "seconds": "seconds"}
    costs: dict[Cost, FloatArray] = {
        cost: np.array([line[name] for line in lines], dtype=np.float64) for cost, name in columns.items()
    }
    accuracies = np.array([[line["accuracies"][task] for task in settings.tasks] for line in lines], dtype=np.float64)
    problems = tuple(first["problems"][task] for task in settings.tasks) if "problems" in first else ()
    chance = _chance_of_line(first, settings.tasks)
    run = Run(first["method"], _point_of(first), first["seed"], costs, accuracies, steps)
    return replace(run, problems=problems, chance=chance)
