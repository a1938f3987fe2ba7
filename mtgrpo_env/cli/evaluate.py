"""`mtgrpo evaluate`: agents side by side on suites of tasks, the worst task first."""

from __future__ import annotations

import json
import logging
import math
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from mtgrpo_env.agents.reports.markdown import percent
from mtgrpo_env.agents.reports.scores import Scorer, Spent
from mtgrpo_env.agents.reports.scores_table import Cell, benchmark_markdown, cell_json
from mtgrpo_env.cli.agent_options import AgentOptions, check_agents
from mtgrpo_env.cli.agents import Agent, Unplayable, named_agent, shown_name
from mtgrpo_env.envs.answers import Extraction
from mtgrpo_env.envs.responses import response_rows
from mtgrpo_env.files import atomic_file
from mtgrpo_env.problem_sets import ProblemSet, named_problem_set, rows_problem_set
from mtgrpo_env.types import Group

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Config(AgentOptions):
    """Play held-out problems of suites, or the rows of files, and report the accuracy of every task."""

    agent: tuple[str, ...]
    """One or more of: oracle; random; a checkpoint, a folder or a hub id, with or without "hf:" before it;
    vllm:<checkpoint>; openai:<model>@<base url>, any server with OpenAI's protocol (its key is read from
    OPENAI_API_KEY), or completions:<model>@<base url> for a prompt that is continued as it stands;
    package.module:function, which makes a policy for a suite."""
    suite: tuple[str, ...] = ()
    """One or more of: a named suite (mini, mini-nine, easy, medium, hard, very_hard, nine); tasks like
    "countdown-easy,arc-hard"; control, six tasks of classic control; gym:<ids>, such as gym:CartPole-v1,Taxi-v4;
    reasoning-gym:<data sets>; package.module:function, which makes a suite. By default mini, if there are no rows."""
    rows: tuple[Path, ...] = ()
    """Files of rows to play, .parquet or .jsonl; one task for each task and level in them."""
    problems: int = 300
    """Held-out problems of each task of a suite."""
    extraction: Extraction = "last-box"
    """How the answer is found in a response."""
    save: Path | None = None
    """Write every rollout to this .jsonl file, for `mtgrpo score`."""
    out: Path | None = None
    """Folder for the report: benchmark.json, benchmark.md and benchmark.png."""
    json: bool = False
    """Print a line of JSON for each agent and suite instead of a table."""


def run(config: Config) -> int:
    """Evaluate and print; progress goes to standard error. 2 if nothing could be played."""
    check_agents(config)
    if config.out is not None:
        config.out.mkdir(parents=True, exist_ok=True)  # or a mistake would show when all has been played
    agents = {name: named_agent(name, config) for name in config.agent}
    suites = dict.fromkeys(config.suite or (() if config.rows else ("mini",)))
    problem_sets = [
        *(rows_problem_set(file, extraction=config.extraction) for file in dict.fromkeys(config.rows)),
        *(_suite(config, name) for name in suites),
    ]
    cells: list[Cell] = []
    order = [problem_set.name for problem_set in problem_sets]
    with ExitStack() as stack:
        saved = None if config.save is None else stack.enter_context(config.save.open("w", encoding="utf-8"))
        for cell in _played(agents, problem_sets, config.rollouts, saved):
            cells.append(cell)
            print(_line(cell)) if config.json else Console().print(_table(cell))
            if config.out is not None:  # after each: a run that is cut off leaves what it has
                _write_report(config, config.out, sorted(cells, key=lambda cell: order.index(cell.suite)))
    if config.out is not None and cells:
        print(f"report {config.out / 'benchmark.md'}", file=sys.stderr)
    return 0 if cells else 2


def _suite(config: Config, name: str) -> ProblemSet:
    return named_problem_set(name, count=config.problems, seed=config.seed, extraction=config.extraction)


def _played(
    agents: dict[str, Agent], problem_sets: Sequence[ProblemSet], rollouts: int, saved: IO[str] | None
) -> Iterator[Cell]:
    """Every agent on every problem set that it can play; an agent is let go of when it has played."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    for name in list(agents):
        agent = agents.pop(name)
        for problem_set in problem_sets:
            with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
                watched = _Watched(shown_name(name), agent, problem_set, progress, saved)
                try:
                    cell = watched.play(rollouts)
                except Unplayable as error:
                    console.print(f"{shown_name(name)}: {error}", soft_wrap=True)
                    continue
            yield cell


class _Watched:
    """An agent on a problem set, with a bar that moves with every problem and a count of responses beside it."""

    def __init__(
        self, name: str, agent: Agent, problem_set: ProblemSet, progress: Progress, saved: IO[str] | None
    ) -> None:
        self._name, self._agent, self._problem_set, self._saved = name, agent, problem_set, saved
        self._scorer = Scorer(problem_set.suite.names)
        self._progress = progress
        self._heard = 0
        self._differing = 0
        self._bar: TaskID = progress.add_task(self._described(), total=len(problem_set.problems))

    def play(self, rollouts: int) -> Cell:
        started = time.perf_counter()
        self._agent.play(self._problem_set, self._add, self._hear)
        seconds = time.perf_counter() - started
        if rollouts > 1 and self._heard and not self._differing:
            _LOG.warning(
                "%s gave the same response in all %d rollouts of every problem: avg@n and pass@k are those of one. "
                "Does it draw tokens at all?",
                self._name,
                rollouts,
            )
        problem_set, scores = self._problem_set, self._scorer.scores()
        fingerprint, levels = problem_set.fingerprint(), problem_set.levels()
        return Cell(self._name, problem_set.name, fingerprint, rollouts, seconds, scores, levels)

    def _add(self, group: Group) -> None:
        extras = (step.extras for rollout in group.rollouts for step in rollout.steps)
        spent: list[Spent] = [of_one for extra in extras if (of_one := self._agent.spent(extra)) is not None]
        self._scorer.add(group, spent)
        if spent:
            self._differing += len({tuple(step.action for step in rollout.steps) for rollout in group.rollouts}) > 1
        self._progress.advance(self._bar)
        if self._saved is not None:
            self._save(group, self._saved)

    def _save(self, group: Group, file: IO[str]) -> None:
        about = {"agent": self._name, "suite": self._problem_set.name}
        try:
            rows = list(response_rows(self._problem_set.suite, group))
        except ValueError as error:
            _LOG.warning("%s: %s", self._problem_set.name, error)
            self._saved = None
            return
        file.writelines(json.dumps({**about, **row}) + "\n" for row in rows)

    def _hear(self) -> None:
        self._heard += 1
        self._progress.update(self._bar, description=self._described())

    def _described(self) -> str:
        heard = f", {self._heard:,} responses" if self._heard else ""
        return f"{self._name} on {self._problem_set.name}{heard}"


def _line(cell: Cell) -> str:
    return json.dumps(cell_json(cell), allow_nan=False)


def _table(cell: Cell) -> Table:
    ks = sorted({k for task in cell.scores.tasks for k in task.pass_at})
    table = Table(title=f"{cell.agent} on {cell.suite} ({cell.fingerprint})", caption=_caption(cell))
    table.add_column("task")
    for column in ("accuracy %", *(f"pass@{k} %" for k in ks), "return", "rollouts"):
        table.add_column(column, justify="right")
    for task in cell.scores.tasks:
        pass_at = (f"{100 * task.pass_at[k].mean:.1f}" if k in task.pass_at else "-" for k in ks)
        reward = "-" if math.isnan(task.reward) else f"{task.reward:.3g}"
        table.add_row(task.task, percent(task.accuracy), *pass_at, reward, f"{task.rollouts:,}")
    table.add_section()
    table.add_row("worst task", percent(cell.scores.worst))
    table.add_row("average", percent(cell.scores.average))
    return table


def _caption(cell: Cell) -> str | None:
    parts: list[str] = []
    spent, invalid = cell.scores.spent, sum(task.invalid for task in cell.scores.tasks)
    if spent is not None:
        parts.append(f"{spent.prompt_tokens:,} prompt tokens, {spent.completion_tokens:,} generated")
        parts += [f"{count:,} {what}" for count, what in ((spent.cut, "cut off"), (spent.refused, "refused")) if count]
    if invalid:
        parts.append(f"{invalid:,} rollouts left out: their scorer failed")
    return "; ".join(parts) or None


def _write_report(config: Config, folder: Path, cells: Sequence[Cell]) -> None:
    report = {"command": _command(config), "cells": [cell_json(cell) for cell in cells]}
    with atomic_file(folder / "benchmark.json") as file:
        file.write_text(json.dumps(report, indent=1, allow_nan=False))
    with atomic_file(folder / "benchmark.md") as file:
        file.write_text(benchmark_markdown(cells, command=_command(config), figure="benchmark.png"))
    from mtgrpo_env.agents.reports.figure_scores import draw_scores

    draw_scores(cells, folder / "benchmark.png")


def _command(config: Config) -> str:
    """What to type for the same result; what is at its default is left out."""
    words = ["mtgrpo", "evaluate"]
    for field in sorted(fields(config), key=lambda field: field.name in AgentOptions.__dataclass_fields__):
        value = getattr(config, field.name)
        if value == field.default or field.name in ("out", "save", "json"):
            continue
        values = value if isinstance(value, tuple) else (value,)
        words += [f"--{field.name.replace('_', '-')}", *(shown_name(str(item)) for item in values)]
    return shlex.join(words)
