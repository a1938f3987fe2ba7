"""`mtgrpo tasks`: what tasks there are, how long their prompts are, what a guess scores, and how fast they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.progress import track
from rich.table import Table

from mtgrpo_env.cli.printing import say
from mtgrpo_env.envs.mtreason import REASON_TASKS
from mtgrpo_env.experiments.task_survey import TaskSummary, reasoning_gym_suites, single_task_suites, summarise
from mtgrpo_env.extras import MissingPackageError
from mtgrpo_env.ranges import Count
from mtgrpo_env.safe_console import SafeConsole


@dataclass(frozen=True)
class Config:
    """List every task and level there is, tried on held-out problems."""

    tasks: tuple[str, ...] = tuple(REASON_TASKS)
    """Which tasks to list, all their levels each."""
    problems: Count = 50
    """Problems of each task that guess and oracle are tried on."""
    reasoning_gym: bool = False
    """List the data sets of reasoning-gym instead; takes some minutes, and the extra "reasoning-gym"."""
    json: bool = False
    """Print one JSON object a task instead of a table."""


def run(config: Config) -> int:
    """Try guess and oracle on every task and print a table.

    Returns:
        1 if an oracle is ever judged wrong, 2 if nothing can be listed for want of a package.
    """
    console = SafeConsole(stderr=True)
    suites = list(reasoning_gym_suites() if config.reasoning_gym else single_task_suites(config.tasks))
    watched = track(suites, "trying", console=console, transient=True, disable=not console.is_interactive)
    summaries: list[TaskSummary] = []
    lacking: set[str] = set()
    for suite in watched:
        try:
            summaries.append(summarise(suite, config.problems))
        except MissingPackageError as error:  # the other tasks are there
            lacking.add(str(error))
    if config.json:
        for summary in summaries:
            print(json.dumps(asdict(summary)))
    elif summaries:
        SafeConsole().print(_table(summaries, config.problems))
    for line in sorted(lacking):
        say(line, to_stderr=True)
    if not summaries:
        return 2
    return int(any(summary.oracle < 1 for summary in summaries))


def _table(summaries: Sequence[TaskSummary], num_problems: int) -> Table:
    caption = "characters of a prompt, shares of right answers, puzzles made and answers judged per second of CPU time"
    table = Table(title=f"Tasks ({num_problems} held-out problems each)", caption=caption)
    for column in ("task", "prompt", "guess", "oracle", "puzzles/s", "verdicts/s"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for summary in summaries:
        shares = (f"{summary.guess:.0%}", f"{summary.oracle:.0%}")
        rates = (f"{summary.puzzles_per_second:,.0f}", f"{summary.verdicts_per_second:,.0f}")
        table.add_row(summary.task, f"{summary.prompt_characters:.0f}", *shares, *rates)
    return table
