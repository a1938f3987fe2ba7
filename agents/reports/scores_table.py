"""Agents side by side on problem sets as Markdown, the worst task first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.baseline import Difference, difference_rows
from mtgrpo_env.agents.reports.cell import Cell
from mtgrpo_env.agents.reports.leaderboard import leaderboard_rows, worst_accuracy
from mtgrpo_env.agents.reports.markdown import code, percent, table, text
from mtgrpo_env.agents.reports.scores import TaskScore, TotalTokenUsage
from mtgrpo_env.chance import UNKNOWN


def benchmark_markdown(
    cells: Sequence[Cell],
    *,
    command: str,
    figure: str = "",
    skipped: Sequence[str] = (),
    failed: Mapping[str, Sequence[str]] | None = None,
    differences: Sequence[Difference] = (),
) -> str:
    """The whole report.

    Args:
        cells: in the order in which they were played.
        command: that made them.
        figure: file name to show, beside the report.
        skipped: what was not played, and why, a line each.
        failed: of each suite the agents that failed on it.
        differences: from baselines.
    """
    failed = failed or {}
    parts = [
        "# Agents on problem sets",
        code(command),
        "Accuracy in per cent: avg@n, the share of correct rollouts averaged over problems. Brackets are 95 % "
        "intervals over problems, which the rollouts of a problem do not narrow; where all were solved, or none, the "
        "far end is the binomial's. That of the worst task is of the minimum, which lies below the least of the tasks' "
        "own where several are close. Equal fingerprints are equal problems, judged alike.",
        *_worst_and_average(cells, failed),
        *([f"![worst task and average]({figure})"] if figure else []),
        *(part for suite in _in_order(cell.suite for cell in cells) for part in _of_suite(cells, suite, failed)),
        *(part for difference in differences for part in _of_difference(difference)),
        *_token_usage(cells),
        *(["## Not played", "\n".join(f"- {text(line, None)}" for line in skipped)] if skipped else []),
    ]
    return "\n\n".join(parts) + "\n"


def _worst_and_average(cells: Sequence[Cell], failed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    suites = _in_order(cell.suite for cell in cells)
    agents = _in_order([*(cell.agent for cell in cells), *(agent for agents in failed.values() for agent in agents)])
    by_name = {(cell.agent, cell.suite): cell for cell in cells}
    rows: list[list[str]] = []
    for agent in agents:
        row = [code(agent)]
        for suite in suites:
            cell = by_name.get((agent, suite))
            row += [worst_accuracy(cell), percent(cell.scores.average)] if cell else ["-", "-"]
        rows.append(row)
    yield table(["agent", *(f"{text(suite)}: {what}" for suite in suites for what in ("worst task", "average"))], rows)


def _of_suite(cells: Sequence[Cell], suite: str, failed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    of_suite = [cell for cell in cells if cell.suite == suite]
    yield f"## {text(suite)}"
    header, *board = leaderboard_rows(of_suite, failed.get(suite, ()))
    if len(board) > 1:
        yield "The agents, the one with the best worst task first."
        yield table(header, ([code(agent), _task(worst), *rest] for agent, worst, *rest in board))
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
    levels = [(cell, level, total) for cell in of_suite for level, total in cell.scores.levels.items()]
    if levels:
        rows = ([code(c.agent), text(level), percent(one.worst), percent(one.average)] for c, level, one in levels)
        yield table(["agent", "level", "worst task", "average"], rows)


def _task(name: str) -> str:
    """A task's name; "-" stands for none."""
    return name if name == "-" else text(name)


def _of_difference(difference: Difference) -> Iterator[str]:
    yield f"## {text(difference.title)}"
    header, *rows = difference_rows(difference)
    yield table(header, ([text(task), *rest] for task, *rest in rows))
    yield text(difference.footnote, None)


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


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
