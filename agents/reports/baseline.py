"""What an agent gains on an earlier one on equal problems: paired differences, with what would count as one.

Two agents that play the same problems share what makes these hard. The difference by problem leaves that out, so
its interval is narrower than the two accuracies' own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtgrpo_env.agents.reports.markdown import percent
from mtgrpo_env.agents.reports.statistics import LEVEL, Interval
from mtgrpo_env.metrics import average, averages, worst_task, worst_tasks
from mtgrpo_env.types import FloatArray

_DRAWS = 4000
_CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
_ADDED = 1.0  # problem at each corner: with half a one, four gained of thirty and none lost would count as a gain

Outcome = tuple[int, int]
"""Correct and valid rollouts of a problem."""


@dataclass(frozen=True, slots=True)
class PlayedProblems:
    """How an agent did on each problem of a problem set.

    Attributes:
        agent: its name.
        suite: name of the problem set.
        tasks: of each task, by the problem's key; see `ProblemSet.key`.
        source: the file it is from; "" for what was just played.
    """

    agent: str
    suite: str
    tasks: Mapping[str, Mapping[str, Outcome]]
    source: str = ""

    def shares(self, task: str, keys: Sequence[str]) -> FloatArray:
        """(P,) share of correct rollouts of each problem."""
        correct, valid = np.array([self.tasks[task][key] for key in keys], dtype=np.float64).T
        return correct / valid


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """A task, or what several come to, on problems that both agents played.

    Attributes:
        name: of the task.
        own: accuracy of the agent.
        baseline: accuracy of the baseline.
        difference: of the two.
        problems: that both played.
    """

    name: str
    own: float
    baseline: float
    difference: Interval
    problems: int

    @property
    def least(self) -> float:
        """The smallest difference in this direction that the interval would tell from none."""
        mean, low, high = self.difference.mean, self.difference.low, self.difference.high
        return max(mean - low, high - mean) if mean == 0 else mean - low if mean > 0 else high - mean

    @property
    def counts(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True, slots=True)
class Difference:
    """An agent beside a baseline on one problem set.

    Attributes:
        own: the agent.
        baseline: what it is compared with.
        worst: of the worst tasks, each agent's own.
        average: over the tasks.
        tasks: the one that fell most first.
        left_out: problems that only the agent, and only the baseline, played.
    """

    own: PlayedProblems
    baseline: PlayedProblems
    worst: TaskDifference
    average: TaskDifference
    tasks: Sequence[TaskDifference]
    left_out: tuple[int, int]

    @property
    def title(self) -> str:
        return f"{self.own.agent} against {self.baseline.agent} on {self.own.suite}"

    @property
    def footnote(self) -> str:
        """What was compared, and what was not."""
        text = (
            f"Baseline: {self.baseline.source}. Differences in percentage points, paired by problem, with 95 % "
            "intervals; `*`: the interval leaves out 0. Counts from: the smallest difference in this direction whose "
            "interval would, at this number of problems."
        )
        if any(self.left_out):
            text += (
                f" Not compared: {self.left_out[0]:,} problems that only the agent and {self.left_out[1]:,} that only "
                "the baseline played."
            )
        return text

    def to_json(self) -> dict[str, Any]:
        """Shares lie in 0..1."""
        return {
            "agent": self.own.agent,
            "suite": self.own.suite,
            "baseline": self.baseline.agent,
            "baseline_file": self.baseline.source,
            "worst": _json(self.worst),
            "average": _json(self.average),
            "tasks": {task.name: _json(task) for task in self.tasks},
            "left_out": list(self.left_out),
        }


def read_baseline(path: Path | str) -> list[PlayedProblems]:
    """Every agent and suite of an earlier report.

    Args:
        path: a benchmark.json, or the folder that holds one.

    Raises:
        ValueError: naming the file, if it is no such report, or one of before problems were written down.
        OSError: if it cannot be read.
    """
    file = Path(path)
    file = file / "benchmark.json" if file.is_dir() else file
    try:
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        played = [
            PlayedProblems(
                str(cell["agent"]),
                str(cell["suite"]),
                {
                    str(task): {key: _outcome(text) for key, text in outcomes.items()}
                    for task, outcomes in cell["problems"].items()
                },
                str(file),
            )
            for cell in cells
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = "a baseline must be a benchmark.json that holds the problems of each task, as `mtgrpo evaluate --out`"
        raise ValueError(f"{file}: {what} writes it today; found {type(error).__name__}: {error}") from error
    if not any(one.tasks for one in played):
        raise ValueError(f"{file}: expected a baseline in which an agent played, got none")
    return played


def check_baselines(baselines: Sequence[PlayedProblems], suites: Mapping[str, Mapping[str, set[str]]]) -> list[str]:
    """A line for each suite of which the baselines hold no problem, or not all.

    Args:
        baselines: of earlier reports.
        suites: keys of the problems of each task, by the suite's name.

    Raises:
        ValueError: if they hold no problem of any suite: nothing could be compared.
    """
    lines: list[str] = []
    for suite, tasks in suites.items():
        total = sum(map(len, tasks.values()))
        shared = max((sum(map(len, _common(one.tasks, tasks).values())) for one in baselines), default=0)
        if not shared:
            lines.append(f"{suite}: no baseline played any of its problems, so nothing is compared")
        elif shared < total:
            lines.append(f"{suite}: compared on the {shared:,} of {total:,} problems that a baseline played too")
    if len(lines) == len(suites) and all("no baseline" in line for line in lines):
        sources = ", ".join(dict.fromkeys(one.source for one in baselines))
        raise ValueError(
            f"{sources}: holds none of the problems of {', '.join(suites)}: a comparison needs equal problems, so the "
            "same --suite, --seed and --extraction, and a version of this package with the same tasks"
        )
    return lines


def differences(played: Sequence[PlayedProblems], baselines: Sequence[PlayedProblems]) -> list[Difference]:
    """Every agent beside the baselines that played problems of the same suite.

    A file that holds an agent of the same name is compared with that agent, any other file with all that it holds.
    """
    found: list[Difference] = []
    for own in played:
        comparable = [one for one in baselines if any(_common(one.tasks, own.tasks).values())]
        namesakes = {one.source for one in comparable if one.agent == own.agent}
        chosen = [one for one in comparable if one.source not in namesakes or one.agent == own.agent]
        found += [paired_differences(own, one) for one in chosen]
    return found


def paired_differences(own: PlayedProblems, baseline: PlayedProblems, *, seed: int = 0) -> Difference:
    """An agent beside a baseline, on the problems that both played.

    Raises:
        ValueError: if there are none.
    """
    rng = np.random.default_rng(seed)
    common = {task: keys for task, keys in _common(own.tasks, baseline.tasks).items() if keys}
    if not common:
        raise ValueError(f"{baseline.source}: {baseline.agent} played none of the problems that {own.agent} played")
    pairs = [np.stack([one.shares(task, keys) for one in (own, baseline)], axis=1) for task, keys in common.items()]
    means = np.array([pair.mean(axis=0) for pair in pairs])  # (K, 2)
    draws, even_draws = (
        np.stack([paired_means(pair, rng, added=added) for pair in pairs], axis=1)  # (R, K, 2)
        for added in (_ADDED, _ADDED / len(pairs))  # or the average would be drawn towards 0 by every task
    )
    sizes = [len(pair) for pair in pairs]
    tasks = [
        _task_difference(task, mean, of_task, size)
        for task, mean, of_task, size in zip(common, means, np.moveaxis(draws, 1, 0), sizes, strict=True)
    ]
    worst, mean = ([function(means[:, i]) for i in (0, 1)] for function in (worst_task, average))
    worst_draws, mean_draws = worst_tasks(np.moveaxis(draws, 1, 2)), averages(np.moveaxis(even_draws, 1, 2))  # (R, 2)
    return Difference(
        own,
        baseline,
        worst=_task_difference("worst task", worst, worst_draws, sum(sizes)),
        average=_task_difference("average", mean, mean_draws, sum(sizes)),
        tasks=sorted(tasks, key=lambda task: task.difference.mean),
        left_out=(_count(own) - sum(sizes), _count(baseline) - sum(sizes)),
    )


def paired_means(pairs: FloatArray, rng: np.random.Generator, *, added: float = _ADDED) -> FloatArray:
    """(R, 2) draws of what both means over all problems may be, given two values in 0..1 of some.

    The Bayesian bootstrap, with the same weight for both values of a problem and one problem of each kind added: none
    solves it, one does, the other does, both do. Of problems that are right or wrong, intervals of differences cover
    the truth in 93 to 100 of 100 cases, for 20 problems and more.

    Args:
        pairs: (P, 2) both values of the problems.
        rng: of the draws.
        added: how much of a problem of each kind.
    """
    kinds, counts = np.unique(np.concatenate([pairs, _CORNERS]), axis=0, return_counts=True)
    is_added = np.isin(kinds, [0.0, 1.0]).all(axis=1)
    weights = rng.standard_gamma(counts - (1 - added) * is_added, size=(_DRAWS, len(kinds)))
    return weights @ kinds / weights.sum(axis=1, keepdims=True)


def difference_rows(difference: Difference) -> Iterator[list[str]]:
    """The header, then the worst task, the average, and every task, the one that fell most first."""
    yield ["task", "accuracy %", "baseline %", "difference", "counts from", "problems"]
    for one in (difference.worst, difference.average, *difference.tasks):
        yield [
            one.name,
            f"{100 * one.own:.1f}",
            f"{100 * one.baseline:.1f}",
            f"{percent(one.difference, '+.1f')}{' *' if one.counts else ''}",
            f"±{100 * one.least:.1f}",
            f"{one.problems:,}",
        ]


def _task_difference(
    name: str, means: Sequence[float] | FloatArray, draws: FloatArray, problems: int
) -> TaskDifference:
    mean = float(means[0] - means[1])
    low, high = np.quantile(draws[:, 0] - draws[:, 1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return TaskDifference(
        name, float(means[0]), float(means[1]), Interval(mean, min(low, mean), max(high, mean)), problems
    )


def _common(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[str]]:
    """Keys of the problems that both hold, by task, in an order that does not depend on who was first."""
    return {task: sorted(set(keys) & set(other[task])) for task, keys in one.items() if task in other}


def _count(played: PlayedProblems) -> int:
    return sum(map(len, played.tasks.values()))


def _outcome(text: str) -> Outcome:
    correct, valid = map(int, text.split("/"))
    if not 0 <= correct <= valid or not valid:
        raise ValueError(f"expected correct/valid rollouts like 3/4, got {text!r}")
    return correct, valid


def _json(one: TaskDifference) -> dict[str, Any]:
    values = {
        "accuracy": one.own,
        "baseline": one.baseline,
        "difference": one.difference.mean,
        "interval": [one.difference.low, one.difference.high],
        "counts_from": one.least,
        "counts": one.counts,
        "problems": one.problems,
    }
    assert all(math.isfinite(x) for x in (one.own, one.baseline, one.difference.low, one.difference.high))
    return values
