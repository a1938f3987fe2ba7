"""One run of a comparison, as its history has it, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from mtgrpo_env.agents.reports.history import Record, chance_of
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.agents.reports.statistics import at_budget
from mtgrpo_env.chance import Chance
from mtgrpo_env.metrics import averages, worst_tasks
from mtgrpo_env.types import FloatArray

Cost = Literal["steps", "rollouts", "seconds"]
COSTS: tuple[Cost, ...] = get_args(Cost)
Clock = Literal["wall", "cpu"]
"""Whose seconds: those that pass, or those of the processor, which other work on the machine does not stretch."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What was compared.

    Attributes:
        command: that made the comparison.
        tasks: names of the K tasks.
        methods: in the order in which they are shown; the first is compared with each of the others.
        points: of the grid, those that each method was given.
        seeds: that every method is reported on.
        steps: after which every run ends.
        horizon: steps after which the methods are compared, chosen before they were run; the rest is the tail.
        thresholds: worst-task accuracies whose cost is reported.
        eval_problems: held-out problems of each task, or all that it has.
        parallel: runs at a time, since seconds depend on it.
        clock: whose seconds they are.
        tuning_seeds: on which each method's best point is chosen; on the reported ones if there are none.
        halve_at: steps after which only the better half of a method's points goes on, on the tuning seeds.
        choose_by: the cost along which points are judged: the worst task averaged over what the cheapest run spent.
    """

    command: str
    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    points: Mapping[str, tuple[Point, ...]]
    seeds: tuple[int, ...]
    steps: int
    horizon: int
    thresholds: tuple[float, ...]
    eval_problems: int
    parallel: int
    clock: Clock = "wall"
    tuning_seeds: tuple[int, ...] = ()
    halve_at: tuple[int, ...] = ()
    choose_by: Cost = "steps"

    @property
    def choice_seeds(self) -> tuple[int, ...]:
        """On which points are chosen."""
        return self.tuning_seeds or self.seeds

    @property
    def all_points(self) -> tuple[Point, ...]:
        """Of all methods together."""
        return tuple(dict.fromkeys(point for points in self.points.values() for point in points))

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
    point: Point
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
    records: Iterable[Record], *, method: str, point: Point, seed: int, num_steps: int, clock: Clock = "wall"
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
    return Run(method, point, seed, costs, accuracies, steps, responses, problems, chance)


def _seconds(record: Record, clock: Clock) -> float:
    return record["cpu_seconds"] if clock == "cpu" else record["rollout_seconds"] + record["update_seconds"]


HELD_OUT_RESPONSES = ("mean_lengths", "truncated_shares")
"""(K,) each, what an evaluation records of the responses."""
