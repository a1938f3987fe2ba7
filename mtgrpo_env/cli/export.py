"""`mtgrpo export`: the problems of a suite as rows for other trainers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from rich.progress import track
from tyro.conf import arg

from mtgrpo_env.chat import ChatFrame
from mtgrpo_env.cli.printing import say
from mtgrpo_env.envs.export import PROMPTS, PromptForm, export_rows, fresh_problems, write_rows
from mtgrpo_env.envs.rows import read_rows, rows_problems, rows_suite
from mtgrpo_env.envs.task_folders import FolderFormat, FolderOptions, refuse_used_folder, write_folder
from mtgrpo_env.files import atomic_file, refuse_unwritable_file
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.paper_frame import NEXT_TURNS
from mtgrpo_env.ranges import Count, CountOrNone, Seed
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.safe_console import SafeConsole
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Problem, Split
from mtgrpo_env.worked_examples import WorkedExamples, worked_examples


@dataclass(frozen=True, kw_only=True)
class Config(RowOptions):
    """Write problems with their ground truths as rows that trainers load, or as an evaluator's tasks."""

    out: Path
    """The file to write, .parquet or .jsonl, or the folder of tasks; it appears when it is complete."""
    to: Literal["rows", FolderFormat] = "rows"
    """What to write: rows, a folder of tasks for the lm-evaluation-harness (lm-eval), or one for inspect-ai."""
    max_new_tokens: Count = 1024
    """Longest response that a folder of tasks asks for, in tokens."""
    suite: Annotated[tuple[str, ...], arg(aliases=("--tasks",))] = ("easy",)
    """Suite to export: a name, tasks like "countdown-easy,arc-hard", or rows, of which those of --split are taken."""
    problems: Count = 1000
    """Problems of each task, all different."""
    split: Split = "train"
    """Where they are drawn from: no problem is in both splits."""
    seed: Seed = 0
    """Of the problem streams."""
    prompt: PromptForm = "chat"
    """Form of the prompts: messages as a chat has them, or one message in the paper's frame for base models."""
    system: str = ""
    """System message before every prompt that brings none of its own."""
    examples: CountOrNone = 0
    """Solved problems of the same task before every prompt, as earlier turns; they are not among the rows."""
    rows: tuple[str, ...] = ()
    """Files of rows to write again in this form instead, all of them, in their own order."""


def run(config: Config) -> int:
    """Write the file and print what is in it; progress goes to standard error."""
    if config.out.resolve() in (Path(source).resolve() for source in (*config.rows, *config.suite)):
        raise ValueError(f"out must be another file than the rows, got {config.out}")
    (refuse_unwritable_file if config.to == "rows" else refuse_used_folder)(config.out)
    suite, problems, total = _problems(config)
    examples = worked_examples(suite, config.examples)
    problems = _others(suite, problems, examples)
    console = SafeConsole(stderr=True)
    watched = track(
        problems, "writing", total=total, console=console, transient=True, disable=not console.is_interactive
    )
    frame = ChatFrame(config.system, examples.turns)
    rows = export_rows(suite, watched, PROMPTS[config.prompt](frame))
    if config.to == "rows":
        with atomic_file(config.out) as unfinished:
            exported = write_rows(rows, unfinished)
    else:
        exported = write_folder(rows, config.out, config.to, _folder_options(config))
    say(f"{config.out}: {exported.rows} rows of {suite.num_tasks} tasks, content hash {exported.content_hash}")
    return 0


def _folder_options(config: Config) -> FolderOptions:
    """What a folder of tasks says; all its tasks have one reward, as its code names it once.

    Raises:
        ValueError: naming the option that it has no place for.
    """
    if config.correct_at != 1:
        raise ValueError(f"correct_at must be 1 for tasks of {config.to}, got {config.correct_at}")
    if others := [name for name in config.rewards if name]:
        raise ValueError(f"tasks of {config.to} take one reward for all, got one for {', '.join(others)}")
    name = "-".join(config.suite) if not config.rows else "-".join(Path(file).stem for file in config.rows)
    stop = NEXT_TURNS if config.prompt == "paper" else ()
    return FolderOptions(name=name, max_tokens=config.max_new_tokens, reward=config.rewards.get(""), stop=stop)


def _problems(config: Config) -> tuple[TaskSuite, Iterable[Problem], int]:
    if config.rows:
        rows = [row for file in config.rows for row in read_rows(file, columns=config.column_names)]
        suite = rows_suite(rows, reward=config.rewards, correct_at=config.correct_at)
        return suite, rows_problems(suite, rows), len(rows)
    suite = read_tasks(config.suite, split=config.split, seed=config.seed, row_options=config)
    config.check_used(suite.names)
    return suite, fresh_problems(suite, config.problems), config.problems * suite.num_tasks


def _others(suite: TaskSuite, problems: Iterable[Problem], examples: WorkedExamples) -> Iterator[Problem]:
    """The problems but for the examples, without which the streams of the suite start anew."""
    suite.leave_out(examples.shows)
    for problem in problems:
        opening = suite.opening(problem)
        if opening is None or not examples.shows(problem.task_id, opening):
            yield problem
