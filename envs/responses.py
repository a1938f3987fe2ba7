"""Responses stored by an earlier run, to be judged again without the policy that gave them.

A line holds what `row_schema` says of a row, and `response` (or, of a conversation, `responses`, one for
each turn). What this package writes also holds the verdict of the time and the puzzle's provenance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtgrpo_env.envs import row_schema
from mtgrpo_env.envs.answers import BoxedTask, Extraction
from mtgrpo_env.envs.records import Record, read_records
from mtgrpo_env.envs.row import GroundTruth
from mtgrpo_env.envs.row_scorers import as_fields
from mtgrpo_env.envs.rows import RowsEnv, ground_truth_of, task_type
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import NO_ANSWER, Verdict
from mtgrpo_env.types import Group


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response somebody generated earlier, with what it takes to judge it.

    Attributes:
        task: the name it is registered by.
        level: of the task; None if unknown.
        ground_truth: what the task's `from_ground_truth` reads.
        prompt: what the policy was shown; "" if unknown.
        responses: one for each turn.
        reward: what it earned then; None if unknown.
        source: the file's name and the row's number in it, from 1, for messages.
    """

    task: str
    level: str | None
    ground_truth: GroundTruth = field(hash=False)
    prompt: str
    responses: tuple[str, ...]
    reward: float | None
    source: str

    @property
    def response(self) -> str:
        """The last one."""
        return self.responses[-1]


def read_responses(path: str | Path) -> Iterator[StoredResponse]:
    """Stored responses of a `.jsonl` or `.parquet` file, one at a time, however long the file is.

    Raises:
        ValueError: on reaching a malformed row, naming file, row and column.
        ImportError: if the file is parquet and pyarrow is not installed.
    """
    for record in read_records(Path(path)):
        task, level, _ = row_schema.names(record)
        prompt = "" if record.find("prompt") is None else row_schema.prompt(record)
        truth = row_schema.ground_truth(record)
        yield StoredResponse(task, level, truth, prompt, _responses(record), _reward(record), record.source)


class Verifiers:
    """One verifier for each task and level among stored responses.

    Args:
        extraction: how the answer is found in a response.
        verifier: a class that judges instead of the tasks' own: another version of one, or yours.
    """

    def __init__(self, *, extraction: Extraction = "last-box", verifier: type[BoxedTask[Any]] | None = None) -> None:
        self._extraction: Extraction = extraction
        self._verifier = verifier
        self._made: dict[tuple[str, str | None], BoxedTask[Any]] = {}

    def of(self, stored: StoredResponse) -> BoxedTask[Any]:
        """The verifier of a response.

        Raises:
            ValueError: if there is no such task, naming file and row.
        """
        name = (stored.task, stored.level)
        if name not in self._made:
            own = task_type(stored.task, stored.source)
            env_type = self._verifier or own
            levels = [level for level in env_type.LEVELS if level == stored.level]
            self._made[name] = env_type(*levels, extraction=self._extraction)
        return self._made[name]


def judge(stored: StoredResponse, task: BoxedTask[Any]) -> Verdict:
    """What `task` says of a stored response; a conversation that goes on holds no answer yet.

    Raises:
        ValueError: naming file and row, if the task cannot read the ground truth.
    """
    try:
        puzzle = task.from_ground_truth(as_fields(stored.ground_truth), stored.prompt)
    except ValueError as error:
        raise ValueError(f"{stored.source}, column ground_truth: {error}") from error
    verdict = task.reply(puzzle, stored.responses)
    return verdict if isinstance(verdict, Verdict) else NO_ANSWER


def response_rows(suite: TaskSuite, group: Group) -> Iterator[dict[str, Any]]:
    """The group's rollouts as rows that `read_responses` reads back.

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
    about = {"task": task, "level": provenance["level"], "split": provenance["split"]}
    for rollout in group.rollouts:
        responses = [step.action for step in rollout.steps]
        said = {"response": responses[0]} if len(responses) == 1 else {"responses": responses}
        judged = {"reward": rollout.reward, "is_success": rollout.is_success, "outcome": rollout.outcome}
        yield {
            **about,
            "prompt": prompt,
            "ground_truth": ground_truth,
            **said,
            **judged,
            "provenance": provenance,
        }


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
