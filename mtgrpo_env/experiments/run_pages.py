"""Pages of runs and comparisons by their folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.reports.comparison import Comparison
from mtgrpo_env.agents.reports.history import read_history
from mtgrpo_env.agents.reports.page.content import (
    PageContent,
    StoredRun,
    content_of_comparison,
    content_of_runs,
    read_run,
)
from mtgrpo_env.agents.reports.samples import StoredSample, read_samples
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.envs.records import Record
from mtgrpo_env.envs.row_rewards import RowScorers
from mtgrpo_env.envs.row_schema import row_of
from mtgrpo_env.named_tasks import is_registered, read_tasks

_COMPARISON = "compare.json"


def page_content(folders: Sequence[Path], *, thresholds: Sequence[float]) -> PageContent:
    """What a page shows of a run, of several, whose seeds are averaged, or of one comparison.

    Args:
        folders: of runs of the same tasks, or of the comparison; one that is named twice is shown once.
        thresholds: worst-task accuracies whose cost is shown; a comparison has its own.

    Raises:
        ValueError: if the folders hold anything else.
    """
    if not folders:
        raise ValueError("expected the folder of a run, of several, or of a comparison, got none")
    named: dict[Path, Path] = {}
    for folder in folders:
        named.setdefault(folder.resolve(), folder)
    runs = list(named.values())
    comparisons = [folder for folder in runs if (folder / _COMPARISON).is_file()]
    if not comparisons:
        read = [run_of_folder(folder) for folder in runs]
        return content_of_runs(read, thresholds=tuple(thresholds), answer_of=_answer)
    if len(runs) > 1:
        raise ValueError(f"{comparisons[0]} is a comparison, which has a page to itself: got {len(runs)} folders")
    return content_of_comparison(_comparison(comparisons[0]))


def run_of_folder(folder: Path) -> StoredRun:
    """The options and the history of a run, and the names of its tasks.

    Raises:
        ValueError: if the folder holds no run, or one that was not evaluated.
    """
    return read_run(folder, _task_names)


def _comparison(folder: Path) -> Comparison:
    try:
        return Comparison.load(folder)
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"{folder} was made by another version ({error}): the same mtgrpo compare command writes it again"
        ) from error


def _task_names(run: RunFolder, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Of a run's tasks: from its checkpoints, by registered names, or from its first samples, which are in their order.

    A folder decides on no code that is imported.
    """
    if checkpoint := run.newest_checkpoint:
        return tuple(json.loads((checkpoint / "agent.json").read_text(encoding="utf-8"))["hyperparameters"]["tasks"])
    if all(map(is_registered, config["tasks"])):
        return read_tasks(tuple(config["tasks"])).names
    first = next(record for record in read_history(run.history) if record["kind"] == "evaluation")
    known = tuple(dict.fromkeys(sample.suite_task for sample in read_samples(run.samples)))
    num_tasks = len(first["accuracies"])
    return known if len(known) == num_tasks else tuple(f"task {k}" for k in range(num_tasks))


def _answer(sample: StoredSample) -> str | None:
    """A response that is right, if the task finds one."""
    try:
        row = row_of(Record(sample.row, "sample"), 0)
        scorer = RowScorers().of(row)
        return scorer.oracle(scorer.problem(row))
    except (ValueError, KeyError, TypeError):
        return None
