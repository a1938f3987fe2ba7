"""`mtgrpo evaluate`: accuracy of an agent on every task of a suite, or of a file of rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mtgrpo_env.envs.answers import Extraction
from mtgrpo_env.envs.mtreason import reason_suite, suite_tasks
from mtgrpo_env.envs.responses import response_rows
from mtgrpo_env.envs.rows import read_rows, rows_problems, rows_suite
from mtgrpo_env.evaluation import Evaluation, GroupCallback, evaluate_answers, evaluate_policy, guess, oracle
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Group, Problem

_BASELINES = {"oracle": oracle, "random": guess}


@dataclass(frozen=True)
class Config:
    """Play held-out problems of a suite, or the rows of a file, and print accuracy per task, worst and average."""

    agent: str
    """oracle, random, or a checkpoint: a folder or a hub id."""
    rows: Path | None = None
    """Rows to play, .parquet or .jsonl; one task for each task and level in them."""
    suite: str = "mini"
    """Suite to play where there are no rows: a name, or tasks like "countdown-easy,arc-hard"."""
    problems: int = 300
    """Held-out problems of each task of a suite."""
    rollouts: int = 1
    """Rollouts of each problem, for a checkpoint."""
    max_new_tokens: int = 1024
    """Longest response of a checkpoint, in tokens; cut to what its context leaves."""
    temperature: float = 1.0
    """Of a checkpoint's sampling; 0 takes the likeliest token."""
    extraction: Extraction = "last-box"
    """How the answer is found in a response."""
    device: str = "cpu"
    """Where a checkpoint runs."""
    seed: int = 0
    """Of problems, guesses and sampling."""
    save: Path | None = None
    """Write every rollout to this .jsonl file, for `mtgrpo score`."""
    json: bool = False
    """Print one line of JSON instead of a table."""


def run(config: Config) -> int:
    """Evaluate and print; progress goes to standard error."""
    for name, value in (("rollouts", config.rollouts), ("max_new_tokens", config.max_new_tokens)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    suite, problems = _problems(config)
    console = Console(stderr=True)
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        _Saved(config) as saved,
    ):
        bar = progress.add_task(f"{config.agent} on {suite.num_tasks} tasks", total=len(problems))

        def on_group(group: Group) -> None:
            saved.write(suite, group)
            progress.advance(bar)

        evaluation = _evaluate(config, suite, problems, on_group)
    if config.json:
        print(json.dumps(_as_json(config.agent, evaluation)))
    else:
        Console().print(_table(config.agent, evaluation))
    if evaluation.invalid.any():
        print(f"{evaluation.invalid.sum()} episodes were left out: their scorer failed", file=sys.stderr)
    return 0


class _Saved:
    """The file of rollouts, if one is wanted."""

    def __init__(self, config: Config) -> None:
        self._file = None if config.save is None else config.save.open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, suite: TaskSuite, group: Group) -> None:
        if self._file is not None:
            self._file.writelines(json.dumps(row) + "\n" for row in response_rows(suite, group))


def _problems(config: Config) -> tuple[TaskSuite, list[Problem]]:
    if config.rows is not None:
        rows = read_rows(config.rows)
        suite = rows_suite(rows, split="test", extraction=config.extraction)
        return suite, rows_problems(suite, rows)
    if config.problems < 1:
        raise ValueError(f"problems must be at least 1, got {config.problems}")
    suite = reason_suite(suite_tasks(config.suite), seed=config.seed, extraction=config.extraction)
    return suite, suite.held_out(config.problems)


def _evaluate(config: Config, suite: TaskSuite, problems: Sequence[Problem], on_group: GroupCallback) -> Evaluation:
    if config.agent in _BASELINES:
        return evaluate_answers(suite, _BASELINES[config.agent], problems, seed=config.seed, on_group=on_group)
    import transformers

    from mtgrpo_env.agents.llm.engines import Decoding
    from mtgrpo_env.agents.llm.policy import LanguageModelPolicy

    transformers.utils.logging.disable_progress_bar()  # it would draw over ours
    decoding = Decoding(config.max_new_tokens, config.temperature)
    policy = LanguageModelPolicy.from_pretrained(
        config.agent, decoding=decoding, device=config.device, seed=config.seed
    )
    envs = ((suite.envs(problem.task_id, 1)[0], problem) for problem in problems)
    prompts = [env.reset(seed=problem.seed, options=dict(problem.options))[0] for env, problem in envs]
    longest = max(len(ids) for ids in policy.tokenizer(prompts)["input_ids"])
    room = int(policy.model.config.max_position_embeddings) - longest
    policy.decoding = Decoding(min(config.max_new_tokens, max(room, 1)), config.temperature)
    return evaluate_policy(suite, policy, problems, rollouts_per_problem=config.rollouts, on_group=on_group)


def _as_json(agent: str, evaluation: Evaluation) -> dict[str, object]:
    columns = zip(evaluation.names, evaluation.accuracies.tolist(), evaluation.counts.tolist(), strict=True)
    tasks = {name: {"accuracy": accuracy, "count": count} for name, accuracy, count in columns if count}
    return {"agent": agent, "worst": evaluation.worst, "average": evaluation.average, "tasks": tasks}


def _table(agent: str, evaluation: Evaluation) -> Table:
    table = Table(title=f"Accuracy of {agent}")
    table.add_column("task")
    table.add_column("accuracy", justify="right")
    table.add_column("episodes", justify="right")
    for name, accuracy, count in zip(evaluation.names, evaluation.accuracies, evaluation.counts, strict=True):
        table.add_row(name, f"{accuracy:.1%}", str(count))
    table.add_section()
    table.add_row("worst task", f"{evaluation.worst:.1%}", "")
    table.add_row("average", f"{evaluation.average:.1%}", "")
    return table
