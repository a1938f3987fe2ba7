"""Responses stored by an earlier run, to be scored again without the policy that gave them.

A line holds what `row_schema` says of a row, its prompt being optional, and `response` (or, of a conversation,
`responses`, one for each turn). Lines that this package writes also hold the verdict and the puzzle's provenance.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtgrpo_env.chat_columns import column_of
from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.records import Record, read_records
from mtgrpo_env.envs.row import PROMPT_COLUMNS, Row
from mtgrpo_env.envs.row_schema import row_of
from mtgrpo_env.envs.row_scorers import RowScorer
from mtgrpo_env.envs.rows import RowsEnv, ground_truth_of
from mtgrpo_env.rollout_records import plain, rollout_record
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import NO_ANSWER, Verdict
from mtgrpo_env.types import Group

_LOG = logging.getLogger(__name__)
_STORED = frozenset(
    {"step", "suite_task", "agent", "suite", "response", "responses", "actions", "seen", "ended", "reward", "score"}
    | {"trained_reward"}
)
"""What stands beside a stored row: a column of such a name would be taken for it."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response somebody generated earlier, with what it takes to score it.

    Attributes:
        row: the problem; its prompt is "" if unknown.
        responses: one for each turn.
        reward: what it earned then; None if unknown.
    """

    row: Row
    responses: tuple[str, ...]
    reward: float | None

    @property
    def response(self) -> str:
        """The last one."""
        return self.responses[-1]


def read_responses(source: str | Path, *, columns: Mapping[str, str] | None = None) -> Iterator[StoredResponse]:
    """Stored responses of a file, one at a time, however long the file is.

    Args:
        source: as of `read_rows`.
        columns: as of `read_rows`.

    Rows of envs without a ground truth (see `rollout_rows`) are passed over, which is logged.

    Raises:
        ValueError: on reaching a malformed row, naming file, row and column; or if there are no rows, or all are passed
            over.
        ImportError: if pyarrow or datasets is needed and not installed.
    """
    passed, count = 0, 0
    for position, record in enumerate(read_records(source)):
        if record.find("actions") is not None and record.find("response", "responses") is None:
            passed += 1
            continue
        count += 1
        if record.find(*PROMPT_COLUMNS) is None and "prompt" not in (columns or {}):
            record = replace(record, columns={**record.columns, "prompt": ""})
        yield StoredResponse(row_of(record, position, columns), _responses(record), _reward(record))
    if passed and not count:
        raise ValueError(f"{source}: expected responses, got actions in envs without a ground truth in all rows")
    if not count:
        raise ValueError(f"expected at least one row in {source}, got none")
    if passed:
        _LOG.warning("%s: passed over %d rollouts of envs that have no ground truth", source, passed)


def score(stored: StoredResponse, scorer: RowScorer) -> Verdict:
    """The verdict on a stored response; a conversation that goes on holds no answer yet.

    Raises:
        ValueError: naming file and row, if the scorer cannot read the ground truth.
    """
    verdict = scorer.reply(scorer.problem(stored.row), stored.responses)
    return verdict if isinstance(verdict, Verdict) else NO_ANSWER


def response_rows(suite: TaskSuite, group: Group) -> Iterator[dict[str, Any]]:
    """The group's rollouts as rows that `read_responses` reads back, with the columns that a reward of one's own takes.

    Raises:
        ValueError: if the task has no ground truth to store: it is neither a `BoxedTask` nor a `RowsEnv`.
    """
    problem = group.problem
    env = suite.envs(problem.task_id, 1)[0]
    prompt, info = env.reset(seed=problem.seed, options=dict(problem.options) or None)
    text_env = env.unwrapped
    if not isinstance(text_env, RowsEnv | BoxedTask):
        name = suite.names[problem.task_id]
        raise ValueError(f"only tasks with a ground truth can be stored; {name!r} is a {type(text_env).__name__}")
    task, ground_truth = ground_truth_of(text_env, text_env.puzzle)
    provenance = {**info["provenance"], "index": problem.index}
    is_for_own_reward = isinstance(text_env, RowsEnv) and ":" in text_env.scorer.name
    own = text_env.puzzle.row.columns if is_for_own_reward else {}
    columns = {name: plain(value) for name, value in own.items() if name not in _STORED}
    about = {**columns, "task": task, "level": provenance["level"], "split": provenance["split"]}
    for rollout in group.rollouts:
        responses = [step.action for step in rollout.steps]
        said = {"response": responses[0]} if len(responses) == 1 else {"responses": responses}
        judged = {"reward": rollout.reward, "is_success": rollout.is_success, "outcome": rollout.outcome}
        yield {
            **about,
            "prompt": column_of(prompt),
            "ground_truth": ground_truth or None,  # "" could not be read
            **said,
            **judged,
            "provenance": provenance,
        }


def rollout_rows(suite: TaskSuite, group: Group) -> Iterator[dict[str, Any]]:
    """The group's rollouts as rows, of any env: those of `response_rows` where the task has a ground truth.

    Elsewhere a row holds the problem, every action and its reward, and what the rollout came to: only the env itself
    could score it again, so `read_responses` passes it over.
    """
    problem = group.problem
    env = suite.envs(problem.task_id, 1)[0].unwrapped
    if isinstance(env, RowsEnv | BoxedTask):
        yield from response_rows(suite, group)
        return
    opening = suite.opening(problem)
    shown = {} if opening is None else {"prompt": column_of(opening.prompt)}
    for rollout in group.rollouts:
        about = {"task": suite.names[problem.task_id], "index": problem.index, "seed": problem.seed}
        yield {**about, "options": plain(problem.options), **shown, **rollout_record(rollout)}


def _responses(record: Record) -> tuple[str, ...]:
    many = record.find("responses")
    if many is None:
        response = record.text("response")
        if response is None:
            raise record.error("response", "a str", None)
        return (response,)
    if not isinstance(many, list) or not many or not all(isinstance(response, str) for response in many):
        raise record.error("responses", "a list of str, one for each turn", many)
    return tuple(many)


def _reward(record: Record) -> float | None:
    reward = record.find("reward", "score")
    if reward is None:
        return None
    if isinstance(reward, bool) or not isinstance(reward, int | float):
        raise record.error("reward or score", "a number", reward)
    return float(reward)
