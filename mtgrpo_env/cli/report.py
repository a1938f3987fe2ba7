"""`mtgrpo report`: one page of a run, of several, or of a comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from mtgrpo_env.agents.reports.comparison import Comparison
from mtgrpo_env.agents.reports.page.content import PageContent, content_of_comparison, content_of_runs, read_run
from mtgrpo_env.agents.reports.page.document import write_page
from mtgrpo_env.agents.reports.samples import StoredSample
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.envs.rows import task_type
from mtgrpo_env.named_tasks import read_tasks

_COMPARISON = "compare.json"


@dataclass(frozen=True)
class Config:
    """Write one HTML page that needs no network: curves, shares, filters, tasks, sample rollouts."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of runs of the same tasks, whose seeds are averaged, or the folder of one comparison."""
    out: Path = Path("report.html")
    """The page."""
    thresholds: tuple[float, ...] = (0.5,)
    """Worst-task accuracies whose cost is shown; a comparison has its own."""


def run(config: Config) -> int:
    """Write the page."""
    content = _content(config)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    write_page(content, config.out)
    print(f"report {config.out}")
    return 0


def _content(config: Config) -> PageContent:
    if not config.runs:
        raise ValueError("expected the folder of a run, of several, or of a comparison, got none")
    named: dict[Path, Path] = {}
    for folder in config.runs:
        named.setdefault(folder.resolve(), folder)
    runs = list(named.values())
    comparisons = [folder for folder in runs if (folder / _COMPARISON).is_file()]
    if not comparisons:
        folders = [read_run(folder, _task_names) for folder in runs]
        return content_of_runs(folders, thresholds=config.thresholds, answer_of=_answer)
    if len(runs) > 1:
        raise ValueError(f"{comparisons[0]} is a comparison, which has a page to itself: got {len(runs)} folders")
    return content_of_comparison(_comparison(comparisons[0]))


def _comparison(folder: Path) -> Comparison:
    try:
        return Comparison.load(folder)
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"{folder} was made by another version ({error}): the same mtgrpo compare command writes it again"
        ) from error


def _task_names(run: RunFolder, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Of a run's tasks; they are in its checkpoints, as files of rows may have gone."""
    if checkpoint := run.newest_checkpoint:
        return tuple(json.loads((checkpoint / "agent.json").read_text())["hyperparameters"]["tasks"])
    return read_tasks(tuple(config["tasks"])).names


def _answer(sample: StoredSample) -> str | None:
    """A response that is right, if the task finds one."""
    try:
        env_type = task_type(str(sample.row.get("task")), "sample")
        task = env_type(*(level for level in env_type.LEVELS if level == sample.row.get("level")))
        return task.oracle(task.from_ground_truth(sample.row["ground_truth"], sample.prompt))
    except (ValueError, KeyError, TypeError):
        return None
