"""What a page shows: series of runs that differ in their seed alone, from run folders or from a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtgrpo_env.agents.reports.chance_columns import mean_chance
from mtgrpo_env.agents.reports.compared_runs import COSTS, Run, run_of_history
from mtgrpo_env.agents.reports.comparison import Budget, Comparison
from mtgrpo_env.agents.reports.comparison_choice import said_of_points
from mtgrpo_env.agents.reports.history import Record, nothing_learned, read_history
from mtgrpo_env.agents.reports.markdown import number_range
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.agents.reports.samples import StoredSample, read_samples
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.chance import Chance

_NO_PART_OF_THE_NAME = {
    "seed",
    "out",
    "steps",
    "eval_every",
    "checkpoint_every",
    "keep_checkpoints",
    "device",
    "report_to",
    "keep_optimizer",
}
_NO_SETTING = {"out"}
_LOST = {
    "left_out": "problems left out, since no prompt can be made of them",
    "invalid": "the most held-out rollouts of an evaluation whose scorer failed, and that count as none",
}
"""Counts in the record of an evaluation, and what they are of."""
_TOLD = ("method", "tasks", "model", "lr", "batch_size", "group_size", "seed")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What `mtgrpo train` left behind: K tasks, settings, and the records of its history."""

    folder: Path
    tasks: tuple[str, ...]
    config: Mapping[str, Any]
    records: Sequence[Record]

    @property
    def as_run(self) -> Run:
        """Its evaluations and steps."""
        last = max(record["step"] for record in self.records)
        named = {"method": str(self.config["method"]), "seed": int(self.config["seed"])}
        point = Point.of(lr=float(self.config["lr"]))
        return run_of_history(self.records, **named, point=point, num_steps=last)


@dataclass(frozen=True, slots=True)
class Series:
    """Runs that are averaged: one a seed.

    Attributes:
        name: for the legend.
        runs: with their evaluations.
    """

    name: str
    runs: tuple[Run, ...]

    @property
    def even(self) -> tuple[Run, ...]:
        """The runs with as many step records as the shortest of them has."""
        steps = min(len(run.records) for run in self.runs)
        return tuple(replace(run, records=run.records[:steps]) for run in self.runs)


JudgedSample = tuple[StoredSample, str | None]
"""A sample, and a right answer where one is known."""


@dataclass(frozen=True, slots=True)
class PageContent:
    """All that is written on one page.

    Attributes:
        title: what was trained, or compared.
        made_by: the command, or the folders and what tells them from others.
        tasks: names of the K tasks.
        series: in the order in which they are shown.
        settings: what all runs have in common.
        eval_problems: held-out problems of a task, in words.
        budgets: at which several series are compared.
        thresholds: worst-task accuracies whose cost is reported.
        notes: what a reader must know, such as runs that are missing.
        samples: of a single run's evaluations, with the right answers where they are known; None on a page of several
            runs.
        training_samples: likewise, of its training steps.
    """

    title: str
    made_by: str
    tasks: tuple[str, ...]
    series: tuple[Series, ...]
    settings: Mapping[str, Any]
    eval_problems: str
    budgets: tuple[Budget, ...]
    thresholds: tuple[float, ...]
    notes: tuple[str, ...] = ()
    samples: tuple[JudgedSample, ...] | None = None
    training_samples: tuple[JudgedSample, ...] | None = None

    @property
    def chance(self) -> Chance:
        """Of the tasks, over all runs; unknown where a run does not know it."""
        runs = [run for series in self.series for run in series.runs]
        return mean_chance([run.chance for run in runs]) or Chance.unknown(len(self.tasks))

    @property
    def num_seeds(self) -> int:
        """Of the series with most of them."""
        return max(len(series.runs) for series in self.series)


def read_run(folder: Path, tasks_of: Callable[[RunFolder, Mapping[str, Any]], tuple[str, ...]]) -> StoredRun:
    """A run's folder; `tasks_of` names the tasks of the run that the folder holds and the config describes.

    Raises:
        ValueError: if it is no run's folder, or the run has not been evaluated.
    """
    run = RunFolder(folder)
    if not run.is_run:
        expected = f"{run.config.name} and {run.history.name}"
        raise ValueError(f"{folder} is no run: expected {expected} in it, as mtgrpo train makes them")
    config, records = run.read_options(), read_history(run.history)
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    if not evaluations:
        raise ValueError(f"{folder} holds a run that has not been evaluated yet: there is nothing to show")
    tasks, played = tasks_of(run, config), len(evaluations[0]["accuracies"])
    if len(tasks) != played:
        raise ValueError(f"{folder}: its config names {len(tasks)} tasks, its history has {played}")
    return StoredRun(folder, tasks, config, records)


def content_of_runs(
    folders: Sequence[StoredRun],
    *,
    thresholds: tuple[float, ...],
    answer_of: Callable[[StoredSample], str | None],
) -> PageContent:
    """Runs side by side; of a single one its samples too, with the right answers that `answer_of` knows.

    Raises:
        ValueError: if the runs are of different tasks.
    """
    first = folders[0]
    for other in folders[1:]:
        if other.tasks != first.tasks:
            raise ValueError(
                f"expected runs of the same tasks, got {', '.join(first.tasks)} in {first.folder} "
                f"and {', '.join(other.tasks)} in {other.folder}"
            )
    series = _series(folders)
    methods = " and ".join(dict.fromkeys(str(one.config["method"]) for one in folders))
    samples = training_samples = None
    if len(folders) == 1:
        folder = RunFolder(first.folder)
        of_files = (read_samples(file) for file in (folder.samples, folder.training_samples))
        samples, training_samples = (tuple((one, answer_of(one)) for one in read) for read in of_files)
    return PageContent(
        title=f"{methods} on {len(first.tasks)} tasks",
        made_by="\n".join(map(_said_of, folders)),
        tasks=first.tasks,
        series=series,
        settings=_common(folders),
        eval_problems=number_range(count for one in folders for count in _evaluations(one)[-1]["counts"]),
        budgets=_budgets(series),
        thresholds=thresholds,
        notes=tuple(_notes(folders)),
        samples=samples,
        training_samples=training_samples,
    )


def content_of_comparison(comparison: Comparison) -> PageContent:
    """Every method at its best point.

    Raises:
        ValueError: if no run is finished.
    """
    settings = comparison.settings
    if not comparison.runs:
        raise ValueError("expected a comparison with at least one finished run, got none")
    notes = []
    if len(settings.all_points) > 1:
        best = "; ".join(f"{method}: {point}" for method, point in comparison.tuned.items())
        notes.append(f"{said_of_points(settings)} {best}.")
    if comparison.missing:
        names = "; ".join(f"{method} at {point}, seed {seed}" for method, point, seed in comparison.missing)
        notes.append(f"Missing runs ({len(comparison.missing)}): {names}.")
    return PageContent(
        title=f"{len(comparison.tuned)} methods on {len(settings.tasks)} tasks",
        made_by=f"$ {settings.command}",
        tasks=settings.tasks,
        series=tuple(Series(method, tuple(comparison.chosen(method))) for method in comparison.tuned),
        settings={},
        eval_problems=f"up to {settings.eval_problems:,}",
        budgets=comparison.budgets,
        thresholds=settings.thresholds,
        notes=tuple(notes),
    )


def _series(folders: Sequence[StoredRun]) -> tuple[Series, ...]:
    """Runs that differ in nothing but their seed are averaged; two of the same seed stay apart, by their folders."""
    differing = _differing(folders)
    by_name: dict[str, list[StoredRun]] = {}
    for one in folders:
        rest = [f"{field} {_text(one.config[field])}" for field in differing if field != "method"]
        by_name.setdefault(", ".join([str(one.config["method"]), *rest]), []).append(one)
    series: list[Series] = []
    for name, members in by_name.items():
        if len({one.config["seed"] for one in members}) == len(members):
            series.append(Series(name, tuple(one.as_run for one in members)))
        else:
            series += [Series(f"{name} ({one.folder})", (one.as_run,)) for one in members]
    return tuple(series)


def _differing(folders: Sequence[StoredRun]) -> list[str]:
    """Settings that tell runs apart; one that an older run did not record is taken to be the same."""
    recorded = [field for field in folders[0].config if all(field in one.config for one in folders)]
    return [
        field
        for field in recorded
        if field not in _NO_PART_OF_THE_NAME and any(one.config[field] != folders[0].config[field] for one in folders)
    ]


def _said_of(one: StoredRun) -> str:
    told = [f"{field} {_text(one.config[field])}" for field in _TOLD if one.config.get(field) is not None]
    return f"{one.folder}: {', '.join(told)}"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _common(folders: Sequence[StoredRun]) -> dict[str, Any]:
    first = folders[0].config
    return {
        field: _text(value)
        for field, value in first.items()
        if field not in _NO_SETTING and all(field in one.config and one.config[field] == value for one in folders)
    }


def _budgets(series: Sequence[Series]) -> tuple[Budget, ...]:
    """The most that every run has spent."""
    runs = [run for one in series for run in one.runs]
    return tuple(Budget(cost, float(min(run.costs[cost][-1] for run in runs))) for cost in COSTS)


def _notes(folders: Sequence[StoredRun]) -> Iterable[str]:
    for one in folders:
        planned, done = one.config.get("steps", 0), max(record["step"] for record in one.records)
        if done < planned:
            yield f"{one.folder} is not finished: step {done} of {planned}."
        if reason := nothing_learned(one.records):
            yield f"{one.folder}: no model is the best, for {reason}."
        for name, what in _LOST.items():
            counts = [0] * len(one.tasks)
            for record in _evaluations(one):
                counts = [max(pair) for pair in zip(counts, record.get(name, counts), strict=True)]
            if any(counts):
                named = [f"{count:,} of {task}" for task, count in zip(one.tasks, counts, strict=True) if count]
                yield f"{one.folder}: {what}: {', '.join(named)}."
    if unplayed := np.isnan(np.array(_evaluations(folders[0])[-1]["accuracies"], dtype=np.float64)).sum():
        yield f"{unplayed} of the tasks have no held-out problems; worst task and average are over the others."


def _evaluations(one: StoredRun) -> list[Record]:
    return [record for record in one.records if record["kind"] == "evaluation"]
