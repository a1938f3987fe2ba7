"""`mtgrpo score`: judge responses that were stored earlier, without running a policy."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mtgrpo_env.envs.answers import BoxedTask, Extraction
from mtgrpo_env.envs.responses import Verifiers, judge, read_responses
from mtgrpo_env.named_tasks import named_class

_SAME_REWARD = 1e-6  # rewards closer than this differ by the digits they were stored with


@dataclass(frozen=True)
class Config:
    """Score stored responses, in their order; where they hold an earlier reward, count how many have changed."""

    rows: Path
    """A .jsonl or .parquet file; each row has a response, a ground_truth, and a task or data_source."""
    extraction: Extraction = "last-box"
    """How the answer is found: the last complete box, or what the paper's released code reads."""
    verifier: str = ""
    """Judge by this class instead of the task's own, "package.module:Class": another version of it, or yours."""
    json: bool = False
    """Print one JSON object a row instead of a summary."""


def run(config: Config) -> int:
    """Score and print."""
    outcomes: Counter[tuple[str, str]] = Counter()
    changed: Counter[str] = Counter()
    verifier = named_class(config.verifier, BoxedTask) if config.verifier else None
    verifiers = Verifiers(extraction=config.extraction, verifier=verifier)
    for stored in read_responses(config.rows):
        verdict = judge(stored, verifiers.of(stored))
        outcomes[stored.task, verdict.outcome] += 1
        changed[stored.task] += stored.reward is not None and abs(stored.reward - verdict.reward) > _SAME_REWARD
        if config.json:
            fields = {"reward": verdict.reward, "is_success": verdict.is_success, "outcome": verdict.outcome}
            print(json.dumps(fields))
    out = sys.stderr if config.json else sys.stdout
    for (task, outcome), count in sorted(outcomes.items()):
        print(f"{task:12}{outcome:14}{count:8}", file=out)
    for task, count in sorted((+changed).items()):
        print(f"{task:12}{'other reward':14}{count:8}", file=out)
    return 0
