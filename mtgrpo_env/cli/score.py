"""`mtgrpo score`: score responses that were stored earlier, without running a policy."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mtgrpo_env.cli.printing import say
from mtgrpo_env.envs.answers import Extraction
from mtgrpo_env.envs.responses import read_responses, score
from mtgrpo_env.envs.row_rewards import RowScorers
from mtgrpo_env.metrics import average
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.text_env import Verdict
from mtgrpo_env.visible_text import one_line

_SAME_REWARD = 1e-6  # rewards closer than this differ by the digits they were stored with


@dataclass(frozen=True, kw_only=True)
class Config(RowOptions):
    """Score stored responses, in their order; where they hold an earlier reward, count how many have changed."""

    rows: str
    """A file whose rows have a response, a ground truth, and a task or data_source."""
    extraction: Extraction = "last-box"
    """How the answer is found: the last complete box, or what the paper's released code reads."""
    json: bool = False
    """Print one JSON object a row instead of a summary."""


def run(config: Config) -> int:
    """Score and print."""
    outcomes: Counter[tuple[str, str]] = Counter()
    changed: Counter[str] = Counter()
    valid: defaultdict[str, list[Verdict]] = defaultdict(list)
    scorers = RowScorers(config.rewards, correct_at=config.correct_at, extraction=config.extraction)
    for stored in read_responses(config.rows, columns=config.column_names):
        task, verdict = stored.row.task, score(stored, scorers.of(stored.row))
        outcomes[task, verdict.outcome] += 1
        valid[task] += [verdict] if verdict.valid else []
        changed[task] += stored.reward is not None and abs(stored.reward - verdict.reward) > _SAME_REWARD
        if config.json:
            fields = {"reward": verdict.reward, "is_success": verdict.is_success, "outcome": verdict.outcome}
            row = {"row": stored.row.source, "ground_truth": stored.row.ground_truth}
            print(json.dumps({**fields, **row}, default=repr))
    for (task, outcome), count in sorted(outcomes.items()):
        say(f"{one_line(task):12}{outcome:14}{count:8}", to_stderr=config.json)
    for task, count in sorted((+changed).items()):
        say(f"{one_line(task):12}{'other reward':14}{count:8}", to_stderr=config.json)
    for task, verdicts in sorted(valid.items()):
        say(f"{one_line(task):12}{_summary(verdicts)}", to_stderr=config.json)
    return 0


def _summary(verdicts: Sequence[Verdict]) -> str:
    """Of the responses that were scored."""
    if not verdicts:
        return f"{'accuracy':14}{'-':>8}  mean reward -"
    accuracy = average([verdict.is_success for verdict in verdicts])
    reward = average([verdict.reward for verdict in verdicts])
    return f"{'accuracy':14}{accuracy:8.1%}  mean reward {reward:.3f}"
