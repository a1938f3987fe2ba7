"""`mtgrpo score`: judge responses that were stored earlier, without running a policy."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mtgrpo_env.envs.answers import BoxedTask, Extraction
from mtgrpo_env.envs.rows import StoredResponse, read_responses, task_type
from mtgrpo_env.text_env import Verdict


@dataclass(frozen=True)
class Config:
    """Score stored responses, in their order."""

    rows: Path
    """A .jsonl or .parquet file; each row has a response, a ground_truth, and a task or data_source."""
    extraction: Extraction = "last-box"
    """How the answer is found: the last complete box, or what the paper's released code reads."""
    json: bool = False
    """Print one JSON object a row instead of a summary."""


def run(config: Config) -> int:
    """Score and print."""
    outcomes: Counter[tuple[str, str]] = Counter()
    tasks: dict[str, BoxedTask[object]] = {}
    for stored in read_responses(config.rows):
        verdict = _judge(stored, tasks, config.extraction)
        outcomes[stored.task, verdict.outcome] += 1
        if config.json:
            fields = {"reward": verdict.reward, "is_success": verdict.is_success, "outcome": verdict.outcome}
            print(json.dumps(fields))
    out = sys.stderr if config.json else sys.stdout
    for (task, outcome), count in sorted(outcomes.items()):
        print(f"{task:12}{outcome:14}{count:8}", file=out)
    return 0


def _judge(stored: StoredResponse, tasks: dict[str, BoxedTask[object]], extraction: Extraction) -> Verdict:
    if stored.task not in tasks:
        tasks[stored.task] = task_type(stored)(extraction=extraction)
    task = tasks[stored.task]
    try:
        puzzle = task.from_ground_truth(stored.ground_truth, stored.prompt)
    except ValueError as error:
        raise ValueError(f"{stored.source}, column ground_truth: {error}") from error
    return task.verify(puzzle, stored.response)
