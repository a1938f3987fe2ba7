"""Runs of several methods, learning rates and seeds as one data set, in files that outlive the runs.

`results.jsonl` has a line for each evaluation, `steps.jsonl` one for each training step, `compare.json` says what was
compared. Tables and figures are made from these three alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from mtgrpo_env.agents.reports.history import Record, chance_of, read_record
from mtgrpo_env.agents.reports.statistics import area_under_curve, at_budget
from mtgrpo_env.chance import Chance
from mtgrpo_env.files import atomic_file
from mtgrpo_env.metrics import averages, relative_change, worst_tasks
from mtgrpo_env.types import FloatArray

Cost = Literal["steps", "rollouts", "seconds"]
COSTS: tuple[Cost, ...] = get_args(Cost)
Clock = Literal["wall", "cpu"]
"""Whose seconds: those that pass, or those of the processor, which other work on the machine does not stretch."""
Measure = Literal["worst", "average", "relative"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


class Budget(NamedTuple):
    """What every method may spend."""

    cost: Cost
    amount: float


BASE = "dapo"  # of the relative change, as in the paper
_SETTINGS, _RESULTS, _STEPS = "compare.json", "results.jsonl", "steps.jsonl"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was compared.

    Attributes:
        command: that made the comparison.
        tasks: names of the K tasks.
        methods: in the order in which they are shown; the first is compared with each of the others.
        lrs: learning rates that every method was given.
        seeds: that every method was given.
        steps: after which every run ends.
        horizon: steps after which the methods are compared, chosen before they were run; the rest is the tail.
        thresholds: worst-task accuracies whose cost is reported.
        eval_problems: held-out problems of each task, or all that it has.
        parallel: runs at a time, since seconds depend on it.
        clock: whose seconds they are.
    """

    command: str
    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    lrs: tuple[float, ...]
    seeds: tuple[int, ...]
    steps: int
    horizon: int
    thresholds: tuple[float, ...]
    eval_problems: int
    parallel: int
    clock: Clock = "wall"

    @property
    def cost_names(self) -> Mapping[Cost, str]:
        """What the costs are, for people."""
        seconds = "seconds of training" if self.clock == "wall" else "CPU seconds of training"
        return {"steps": "training steps", "rollouts": "generated rollouts", "seconds": seconds}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: E evaluations of K tasks, what each had cost, and the records of its training steps.

    `responses` holds what the evaluations recorded of the responses, by name.
    """

    method: str
    lr: float
    seed: int
    costs: Mapping[Cost, FloatArray]  # (E,) each
    accuracies: FloatArray  # (E, K)
    records: Sequence[Record]
    responses: Mapping[str, FloatArray] = field(default_factory=dict)  # (E, K) each
    problems: tuple[int, ...] = ()  # (K,) held out; () where it is not recorded
    chance: Chance | None = None  # of the K tasks

    @property
    def worst(self) -> FloatArray:
        """(E,) accuracy of the worst task that was played."""
        return worst_tasks(self.accuracies)

    @property
    def average(self) -> FloatArray:
        """(E,) accuracy averaged over the tasks that were played."""
        return averages(self.accuracies)

    def at(self, cost: Cost, budget: float) -> FloatArray:
        """(K,) accuracies interpolated to a budget."""
        return at_budget(self.costs[cost], self.accuracies, budget)


def run_of_history(
    records: Iterable[Record], *, method: str, lr: float, seed: int, num_steps: int, clock: Clock = "wall"
) -> Run:
    """A run up to a horizon, from its history."""
    records = [record for record in records if record["step"] <= num_steps]
    chance = chance_of(records)
    steps = [record for record in records if record["kind"] == "step"]
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    seconds = {record["step"]: _seconds(record, clock) for record in steps}
    after = np.array([record["step"] for record in evaluations])
    lost = float("nan")  # the numbers of a step; what was spent is not known from there on
    spent = np.cumsum([0.0, *(seconds.get(step, lost) for step in range(1, int(after.max(initial=0)) + 1))])
    costs: dict[Cost, FloatArray] = {
        "steps": after.astype(np.float64),
        "rollouts": np.array([record["rollouts"] for record in evaluations], dtype=np.float64),
        "seconds": spent[after],  # training only: evaluating is no part of any method
    }
    accuracies = np.array([record["accuracies"] for record in evaluations], dtype=np.float64)
    recorded = (name for name in HELD_OUT_RESPONSES if all(name in record for record in evaluations))
    responses = {name: np.array([record[name] for record in evaluations], dtype=np.float64) for name in recorded}
    problems = tuple(evaluations[-1]["counts"])
    return Run(method, lr, seed, costs, accuracies, steps, responses, problems, chance)


def _seconds(record: Record, clock: Clock) -> float:
    return record["cpu_seconds"] if clock == "cpu" else record["rollout_seconds"] + record["update_seconds"]


HELD_OUT_RESPONSES = ("mean_lengths", "truncated_shares")
"""(K,) each, what an evaluation records of the responses."""


class Comparison:
    """Finished runs, and for each method the best of the learning rates that all were given.

    Args:
        settings: what was to be compared.
        runs: that there are, in any order; one that failed is missing.
    """

    def __init__(self, settings: Settings, runs: Iterable[Run]) -> None:
        self.settings = settings
        by_name = {(run.method, run.lr, run.seed): run for run in runs}
        names = [(m, lr, seed) for m in settings.methods for lr in settings.lrs for seed in settings.seeds]
        self.runs = [by_name[name] for name in names if name in by_name]
        self.missing = [name for name in names if name not in by_name]
        self.tuned = {method: lr for method in settings.methods if (lr := self._best_rate(method)) is not None}
        self.budgets = self._budgets()

    @property
    def first(self) -> str:
        """The first method of which there are runs: the one that is put forward."""
        return next(iter(self.tuned))

    def at_rate(self, method: str, lr: float) -> list[Run]:
        """The runs of a method at a learning rate, one a seed."""
        return [run for run in self.runs if (run.method, run.lr) == (method, lr)]

    def chosen(self, method: str) -> list[Run]:
        """The runs of a method at its best rate, one a seed."""
        return self.at_rate(method, self.tuned[method])

    def area(self, method: str, lr: float) -> float:
        """Worst-task accuracy averaged over the steps and seeds; NaN if there is no run."""
        areas = [area_under_curve(run.costs["steps"], run.worst) for run in self.at_rate(method, lr)]
        return float(np.mean(areas)) if areas else math.nan

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

    def _best_rate(self, method: str) -> float | None:
        """By area under the worst-task curve; a rate at which seeds failed loses to one at which fewer did."""
        rates = [lr for lr in self.settings.lrs if self.at_rate(method, lr)]
        return max(rates, key=lambda lr: (len(self.at_rate(method, lr)), self.area(method, lr)), default=None)

    def save(self, folder: Path) -> None:
        """Write the three files."""
        with atomic_file(folder / _SETTINGS) as file:
            file.write_text(json.dumps(asdict(self.settings), indent=1), encoding="utf-8")
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
        loaded: dict[str, Any] = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
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
    return {"method": run.method, "lr": run.lr, "seed": run.seed}


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


def _by_run(file: Path) -> dict[tuple[str, float, int], list[Record]]:
    lines: dict[tuple[str, float, int], list[Record]] = {}
    with file.open(encoding="utf-8") as opened:
        for line in map(read_record, opened):
            lines.setdefault((line["method"], line["lr"], line["seed"]), []).append(line)
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
    run = Run(first["method"], first["lr"], first["seed"], costs, accuracies, steps)
    return replace(run, problems=problems, chance=chance)
