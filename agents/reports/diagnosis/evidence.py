"""The numbers of a run that rules look at: of all steps, of the first ones and of the last ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.reports.diagnosis.finding import Curve
from mtgrpo_env.agents.reports.history import Record, chance_of
from mtgrpo_env.agents.reports.page.content import StoredRun
from mtgrpo_env.agents.reports.task_statistics import smoothed
from mtgrpo_env.batch_metrics import task_amounts, task_ratios
from mtgrpo_env.chance import Chance
from mtgrpo_env.metrics import averages, worst_tasks
from mtgrpo_env.types import FloatArray

_WINDOW_SHARE = 1 / 3  # of the steps, at either end
_LONGEST_WINDOW = 20
_SET = re.compile(r"(?<!\w)--([a-z][a-z-]*[a-z]) ([\w.-]+)")  # an option in an advice, and a value


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Options of a run that rules or their advice depend on; a run of an earlier version has today's defaults."""

    method: str
    lr: float
    group_size: int
    max_grad_norm: float
    max_new_tokens: int | None
    filter: str | None
    truncated: str
    lr_schedule: str
    kl_coef: float
    max_step_kl: float | None
    dtype: str
    temperature: float
    examples: int
    prefill: str

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Of the options in a run's file; those of a method of one's own need not be importable."""
        known = TrainConfig().plain | dict(options)
        return cls(**{field.name: known[field.name] for field in fields(cls)})

    @property
    def hold(self) -> str:
        """The advice to hold the policy more than the run does."""
        return f"hold the policy by --kl-coef {2 * self.kl_coef or 0.01:g}"

    def open_advice(self, *alternatives: str) -> str:
        """The alternatives, without those that set an option to what it is already; "" if none is left."""
        options = {field.name.replace("_", "-"): str(getattr(self, field.name)) for field in fields(self)}
        left = [one for one in alternatives if not any(options.get(name) == to for name, to in _SET.findall(one))]
        return ", or ".join(filter(None, (", ".join(left[:-1]), *left[-1:])))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the history of a run holds, S steps and E evaluations of K tasks.

    Attributes:
        tasks: names of the K tasks.
        facts: options of the run.
        records: all of the history.
        steps: records of the S training steps.
        evaluations: records of the E evaluations.
    """

    tasks: tuple[str, ...]
    facts: RunFacts
    records: Sequence[Record]
    steps: Sequence[Record]
    evaluations: Sequence[Record]

    @classmethod
    def of(cls, run: StoredRun) -> Self:
        """What a run's folder holds.

        Raises:
            ValueError: if it has no training step yet.
        """
        steps = [record for record in run.records if record["kind"] == "step"]
        if not steps:
            raise ValueError(f"{run.folder} holds a run without a training step: there is nothing to diagnose yet")
        evaluations = [record for record in run.records if record["kind"] == "evaluation"]
        return cls(run.tasks, RunFacts.of(run.config), run.records, steps, evaluations)

    @property
    def chance(self) -> Chance:
        """Of the tasks, unknown where it was not measured."""
        return chance_of(self.records) or Chance.unknown(len(self.tasks))

    @property
    def numbers(self) -> FloatArray:
        """(S,) of the steps, 1 for the first."""
        return np.array([record["step"] for record in self.steps], dtype=np.float64)

    @property
    def evaluated(self) -> FloatArray:
        """(E,) training steps before each evaluation."""
        return np.array([record["step"] for record in self.evaluations], dtype=np.float64)

    @property
    def accuracies(self) -> FloatArray:
        """(E, K) held out."""
        return np.array([record["accuracies"] for record in self.evaluations], dtype=np.float64)

    @property
    def problems(self) -> FloatArray:
        """(K,) held out, that the last evaluation played."""
        return np.array(self.evaluations[-1]["counts"], dtype=np.float64)

    @property
    def early(self) -> Sequence[Record]:
        """The first steps."""
        return self.steps[: self._window]

    @property
    def late(self) -> Sequence[Record]:
        """The last steps."""
        return self.steps[-self._window :]

    @property
    def _window(self) -> int:
        return max(1, min(_LONGEST_WINDOW, round(_WINDOW_SHARE * len(self.steps))))

    def accuracy_curves(self) -> tuple[Curve, Curve]:
        """Of the worst task and on average."""
        accuracies = self.accuracies
        averaged = Curve("average", self.evaluated, averages(accuracies))
        return Curve("worst task", self.evaluated, worst_tasks(accuracies)), averaged

    def task_curves(self, number: str) -> tuple[Curve, ...]:
        """Of a ratio of every task, smoothed as on the page."""
        values = task_ratios({name: smoothed(amount) for name, amount in self._amounts().items()})[number]  # (S, K)
        return tuple(Curve(task, self.numbers, values[:, k]) for k, task in enumerate(self.tasks))

    def total_curve(self, number: str, name: str) -> Curve:
        """Of a ratio over all tasks."""
        totals = {n: smoothed(amount.sum(axis=1, keepdims=True)) for n, amount in self._amounts().items()}
        return Curve(name, self.numbers, task_ratios(totals)[number][:, 0])

    def scalar_curve(self, name: str) -> Curve:
        """Of what the learner reports."""
        return Curve(name.replace("_", " "), self.numbers, learner_scalars(self.steps, name))

    def _amounts(self) -> dict[str, FloatArray]:
        """(S, K) those that every step recorded."""
        found = [task_amounts(record) for record in self.steps]
        return {name: np.array([one[name] for one in found]) for name in found[0] if all(name in one for one in found)}


def pooled(records: Sequence[Record]) -> Mapping[str, FloatArray]:
    """(K,) the shares and rates of several steps, by name; without what one of them did not record."""
    return task_ratios(summed(records))


def pooled_over_tasks(records: Sequence[Record]) -> Mapping[str, float]:
    """The same over all tasks."""
    totals = {name: amount.sum(keepdims=True) for name, amount in summed(records).items()}
    return {name: float(ratio[0]) for name, ratio in task_ratios(totals).items()}


def summed(records: Sequence[Record]) -> dict[str, FloatArray]:
    """(K,) amounts of several steps together."""
    found = [task_amounts(record) for record in records]
    return {n: np.sum([one[n] for one in found], axis=0) for n in found[0] if all(n in one for one in found)}


def learner_scalars(records: Sequence[Record], name: str) -> FloatArray:
    """(S,) of what the learner reports; NaN where it did not, or was not finite."""
    return np.array([record.get("learner", {}).get(name) for record in records], dtype=np.float64)


def span(records: Sequence[Record]) -> str:
    """Which steps they are.

    >>> span([{"step": 14}, {"step": 15}, {"step": 20}]), span([{"step": 1}])
    ('steps 14 to 20', 'step 1')
    """
    first, last = records[0]["step"], records[-1]["step"]
    return f"step {first}" if first == last else f"steps {first} to {last}"
