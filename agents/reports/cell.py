"""An agent on a problem set, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mtgrpo_env.agents.reports.baseline import Outcome
from mtgrpo_env.agents.reports.scores import Scores, TaskScore, WorstAndAverage
from mtgrpo_env.agents.reports.statistics import Interval
from mtgrpo_env.chance import UNKNOWN, TaskChance

_MAX_NAMED = 5  # problems that a line names


@dataclass(frozen=True, slots=True)
class Cell:
    """An agent on a problem set.

    Attributes:
        agent: its name.
        suite: name of the problem set.
        fingerprint: of the problem set.
        rollouts: of each problem, wanted.
        seconds: of wall time.
        scores: what came out.
        levels: of the tasks that have one.
        chance: of the tasks of which it is known.
        problems: of each task, by the problem's key, correct and valid rollouts.
        reused: responses, or problems of an agent that gives none, that an earlier command had kept.
        left_out: problems that were not played: where they stand, and why.
    """

    agent: str
    suite: str
    fingerprint: str
    rollouts: int
    seconds: float
    scores: Scores
    levels: Mapping[str, str]
    chance: Mapping[str, TaskChance] = field(default_factory=dict)
    problems: Mapping[str, Mapping[str, Outcome]] = field(default_factory=dict)
    reused: int = 0
    left_out: Sequence[str] = ()

    def left_out_lines(self) -> Iterator[str]:
        """How many problems were not played, the first of them by name; nothing if all were."""
        if self.left_out:
            more = f" and {len(self.left_out) - _MAX_NAMED} more" if len(self.left_out) > _MAX_NAMED else ""
            named = "; ".join(self.left_out[:_MAX_NAMED])
            yield f"{self.agent}: {len(self.left_out)} problems are left out and count as none: {named}{more}"


def cell_json(cell: Cell) -> dict[str, Any]:
    """A cell as JSON; shares lie in 0..1, intervals are pairs of their ends, what is not known or finite is null."""
    scores = cell.scores
    return {
        "agent": cell.agent,
        "suite": cell.suite,
        "fingerprint": cell.fingerprint,
        "rollouts": cell.rollouts,
        **_total_json(scores.total),
        "levels": {level: _total_json(total) for level, total in scores.levels.items()},
        "tasks": {task.task: _task_json(task, cell) for task in scores.tasks},
        "spent": asdict(scores.usage) if scores.usage else None,
        "seconds": round(cell.seconds, 3),
        "reused": cell.reused,
        "problems": {
            task: {key: f"{correct}/{valid}" for key, (correct, valid) in outcomes.items()}
            for task, outcomes in cell.problems.items()
        },
        "left_out": list(cell.left_out),
    }


def _task_json(task: TaskScore, cell: Cell) -> dict[str, Any]:
    level, chance = cell.levels.get(task.task, ""), cell.chance.get(task.task, UNKNOWN)
    return {
        "task": task.task.removesuffix(f"-{level}"),
        "level": level,
        "accuracy": _finite(task.accuracy.mean),
        "interval": _ends(task.accuracy),
        "guess": _finite(chance.guess),
        "constant": _finite(chance.constant),
        "constant_name": chance.name,
        "pass_at": {str(k): {"mean": at.mean, "interval": _ends(at)} for k, at in task.pass_at.items()},
        "reward": _finite(task.reward),
        "problems": task.problems,
        "rollouts": task.rollouts,
        "invalid": task.invalid,
        "left_out": task.left_out,
    }


def _total_json(total: WorstAndAverage) -> dict[str, Any]:
    return {
        "worst": _finite(total.worst.mean),
        "worst_interval": _ends(total.worst),
        "average": _finite(total.average.mean),
        "average_interval": _ends(total.average),
    }


def _ends(interval: Interval) -> list[float | None]:
    return [_finite(interval.low), _finite(interval.high)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
