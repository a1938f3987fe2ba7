"""Agents side by side on problem sets: as JSON, and as Markdown with the worst task first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.markdown import code, percent, table, text
from mtgrpo_env.agents.reports.scores import Scores, TaskScore, TotalTokenUsage
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
        "worst": _finite(scores.worst.mean),
        "worst_interval": _ends(scores.worst),
        "average": _finite(scores.average.mean),
        "average_interval": _ends(scores.average),
        "tasks": {task.task: _task_json(task, cell) for task in scores.tasks},
        "spent": asdict(scores.usage) if scores.usage else None,
        "seconds": round(cell.seconds, 3),
        "left_out": list(cell.left_out),
    }


def benchmark_markdown(cells: Sequence[Cell], *, command: str, figure: str = "", skipped: Sequence[str] = ()) -> str:
    """The whole report.

    Args:
        cells: in the order in which they were played.
        command: that made them.
        figure: file name to show, beside the report.
        skipped: what was not played, and why, a line each.
    """
    parts = [
        "# Agents on problem sets",
        code(command),
        "Accuracy in per cent: avg@n, the share of correct rollouts averaged over problems. Brackets are 95 % "
        "intervals over problems, which the rollouts of a problem do not narrow; where all were solved, or none, the "
        "far end is the binomial's. That of the worst task is of the minimum, which lies below the least of the tasks' "
        "own where several are close. Equal fingerprints are equal problems, judged alike.",
        *_worst_and_average(cells),
        *([f"![worst task and average]({figure})"] if figure else []),
        *(part for suite in _in_order(cell.suite for cell in cells) for part in _of_suite(cells, suite)),
        *_token_usage(cells),
        *(["## Not played", "\n".join(f"- {text(line, None)}" for line in skipped)] if skipped else []),
    ]
    return "\n\n".join(parts) + "\n"


def _worst_and_average(cells: Sequence[Cell]) -> Iterator[str]:
    suites = _in_order(cell.suite for cell in cells)
    by_name = {(cell.agent, cell.suite): cell for cell in cells}
    rows: list[list[str]] = []
    for agent in _in_order(cell.agent for cell in cells):
        row = [code(agent)]
        for suite in suites:
            cell = by_name.get((agent, suite))
            row += [percent(cell.scores.worst), percent(cell.scores.average)] if cell else ["-", "-"]
        rows.append(row)
    yield table(["agent", *(f"{text(suite)}: {what}" for suite in suites for what in ("worst task", "average"))], rows)


def _of_suite(cells: Sequence[Cell], suite: str) -> Iterator[str]:
    of_suite = [cell for cell in cells if cell.suite == suite]
    yield f"## {text(suite)}"
    yield f"Problem set `{of_suite[0].fingerprint}`; of each agent the worst task first."
    ks = sorted({k for cell in of_suite for task in cell.scores.tasks for k in task.pass_at})
    header = [
        "agent",
        "task",
        "accuracy",
        *chance_columns.COLUMNS,
        *(f"pass@{k}" for k in ks),
        "return",
        "problems",
        "rollouts",
        "invalid",
        "left out",
    ]
    yield table(header, (_task_row(cell, task, ks) for cell in of_suite for task in cell.scores.tasks))
    yield from (text(line, None) for cell in of_suite for line in cell.left_out_lines())
    if note := chance_columns.footnote(of_suite[0].chance):
        yield text(note, None)


def _task_row(cell: Cell, task: TaskScore, ks: Sequence[int]) -> list[str]:
    pass_at = [percent(task.pass_at[k]) if k in task.pass_at else "-" for k in ks]
    reward = f"{task.reward:.3g}" if math.isfinite(task.reward) else "-"
    counts = [f"{task.problems:,}", f"{task.rollouts:,}", f"{task.invalid:,}", f"{task.left_out:,}"]
    chance = cell.chance.get(task.task, UNKNOWN)
    mark = chance_columns.mark(task.accuracy.low, chance)
    accuracy = f"{percent(task.accuracy)}{mark}"
    return [code(cell.agent), text(task.task), accuracy, *chance_columns.cells(chance), *pass_at, reward, *counts]


def _token_usage(cells: Sequence[Cell]) -> Iterator[str]:
    used = [(cell, cell.scores.usage) for cell in cells if cell.scores.usage]
    if not used:
        return
    yield "## Tokens"
    header = ["agent", "suite", "responses", "prompt tokens", "completion tokens", "cut off", "empty", "seconds"]
    rows = ([code(cell.agent), text(cell.suite), *_counts(usage), f"{cell.seconds:,.1f}"] for cell, usage in used)
    yield table(header, rows)


def _counts(usage: TotalTokenUsage) -> Iterator[str]:
    for count in (usage.responses, usage.prompt_tokens, usage.completion_tokens, usage.cut):
        yield f"{count:,}"
    yield ", ".join(f"{count:,} {reason}" for reason, count in usage.empty.items()) or "0"


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


def _ends(interval: Interval) -> list[float | None]:
    return [_finite(interval.low), _finite(interval.high)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _in_order(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))
