"""Any suite of tasks with ground truths as data rows, which verl and TRL load and `read_rows` reads back.

The columns are those of the paper's files (see `row_schema`), but the ground truth is JSON text that names its
task and level: the fields differ from task to task, and a column of a parquet file has one type.

Rows that a reward function of one's own scores keep their own columns, which the function may need.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from mtgrpo_env.chat import ChatFrame, Message, last_question, messages_of
from mtgrpo_env.chat_columns import plain_messages
from mtgrpo_env.envs.records import Record
from mtgrpo_env.envs.row import GroundTruth, Row
from mtgrpo_env.envs.row_schema import parsed_truth, prompt
from mtgrpo_env.envs.row_scorers import as_fields
from mtgrpo_env.envs.row_writers import EXPORTED, WRITERS
from mtgrpo_env.envs.rows import RowsEnv, ground_truth_of
from mtgrpo_env.paper_frame import paper_text
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Problem

PromptForm = Literal["chat", "paper"]

MessagesOf = Callable[[str, int], Sequence[Message]]
"""The messages of a row's prompt, from what the task shows and the task's id."""

_BARE = ChatFrame()
_CHUNK = 4096  # rows in memory at a time


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        rows: how many.
        content_hash: see `content_hash`.
    """

    rows: int
    content_hash: str


def fresh_problems(suite: TaskSuite, count: int) -> Iterator[Problem]:
    """The next `count` problems of every task's stream, the tasks taking turns, no problem twice.

    Raises:
        ValueError: on reaching the end of a task's different problems.
        TaskError: as in `TaskSuite.next_problem`.
    """
    for task_id, name in enumerate(suite.names):
        known = suite.num_problems(task_id)
        if known is not None and known < count:
            raise ValueError(f"task {name!r} has {known} {suite.split} problems, expected {count}")
    shown: list[set[int]] = [set() for _ in suite.tasks]
    for _ in range(count):
        for task_id, name in enumerate(suite.names):
            problem = suite.next_problem(task_id)
            opening = suite.opening(problem)
            if opening is not None:
                identity = int(opening.provenance.hash, base=16)
                if identity in shown[task_id]:
                    known = len(shown[task_id])
                    raise ValueError(f"task {name!r} has about {known} {suite.split} problems, expected {count}")
                shown[task_id].add(identity)
            yield problem


def export_rows(
    suite: TaskSuite, problems: Iterable[Problem], messages: MessagesOf = _BARE.messages
) -> Iterator[dict[str, Any]]:
    """A row for each problem, made as it is asked for; of a task of several turns with its first prompt.

    Args:
        suite: of the problems.
        problems: in the order of the rows.
        messages: of the prompts; see `PROMPTS`.

    Raises:
        ValueError: naming the task, if it has no ground truth that another process could judge by.
    """
    for problem in problems:
        yield _row(suite, problem, messages)


def paper_messages(frame: ChatFrame) -> MessagesOf:
    """Prompts as the paper's rows have them: one message of a user, which is a dialogue to go on with."""
    return lambda observation, task_id: [Message("user", paper_text(frame, observation, task_id))]


PROMPTS: Mapping[PromptForm, Callable[[ChatFrame], MessagesOf]] = {
    "chat": lambda frame: frame.messages,
    "paper": paper_messages,
}
"""Forms of the prompts of exported rows."""


def write_rows(rows: Iterable[dict[str, Any]], path: Path) -> Exported:
    """Write rows to a `.parquet` or `.jsonl` file as they come, a few thousand in memory at a time.

    Raises:
        ValueError: if the name ends otherwise, or naming the column that such a file cannot hold: in parquet, one
            whose values are not all of the type that the first few thousand have.
        ImportError: if the file is parquet and pyarrow is not installed.
    """
    if path.suffix not in WRITERS:
        raise ValueError(f"expected a file name that ends in {' or '.join(WRITERS)}, got {path.suffix!r}")
    digest, rows = _Digest(), iter(rows)

    def chunks() -> Iterator[list[dict[str, Any]]]:
        while chunk := list(islice(rows, _CHUNK)):
            for row in chunk:
                digest.add(prompt(Record(row, path.name)), parsed_truth(row["reward_model"]["ground_truth"] or ""))
            yield chunk

    WRITERS[path.suffix](chunks(), path)
    return Exported(digest.count, digest.text)


def content_hash(rows: Iterable[Row]) -> str:
    """What a problem set is: its prompts and ground truths in their order, as 16 hexadecimal digits.

    It is the same for a file and for the rows it was written from, whatever the format.
    """
    digest = _Digest()
    for row in rows:
        digest.add(row.prompt, row.ground_truth)
    return digest.text


class _Digest:
    """A hash that grows with the problems."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=8)
        self.count = 0

    def add(self, prompt: str, ground_truth: GroundTruth) -> None:
        self.count += 1
        messages = messages_of(prompt)
        asked = prompt if len(messages) == 1 else plain_messages(messages)
        self._hash.update(json.dumps([asked, ground_truth], sort_keys=True).encode() + b"\n")

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


def _row(suite: TaskSuite, problem: Problem, messages: MessagesOf) -> dict[str, Any]:
    opening = suite.opening(problem)
    name, env = suite.names[problem.task_id], suite.envs(problem.task_id, 1)[0].unwrapped
    if opening is None:
        raise ValueError(f"task {name!r} cannot be exported: a {type(env).__name__} shows no text")
    try:
        task, truth = ground_truth_of(env, opening.puzzle)
    except ValueError as error:
        raise ValueError(f"task {name!r} cannot be exported: {error}") from error
    made = opening.provenance
    named = f"{task}-{made.level}" if made.level else task
    exported = {
        "data_source": f"{named}-{made.split}" if made.level else task,
        "prompt": plain_messages(messages(opening.prompt, problem.task_id)),
        "ability": task,
        "reward_model": {"style": "rule", "ground_truth": _text({**as_fields(truth), "task": named})},
        "extra_info": {
            "index": opening.puzzle.row.index if isinstance(env, RowsEnv) else problem.index,
            "split": made.split,
            "question": last_question(opening.prompt),
            "version": made.version,
            "puzzle_seed": made.puzzle_seed,
            "hash": made.hash,
        },
    }
    is_for_own_reward = isinstance(env, RowsEnv) and ":" in env.scorer.name
    return _for_own_reward(exported, opening.puzzle.row) if is_for_own_reward else exported


def _for_own_reward(exported: dict[str, Any], row: Row) -> dict[str, Any]:
    """An exported row with all that a reward function of one's own was given here.

    Its columns are there twice: TRL passes the columns to the function, verl passes `extra_info` alone.
    """
    own = {name: value for name, value in row.columns.items() if name not in EXPORTED}
    info = row.columns.get("extra_info")
    about = {**exported["extra_info"], "question": row.question}
    for name, value in {**own, **(info if isinstance(info, Mapping) else {})}.items():
        if value is not None or name not in about:
            about[name] = value
    return {
        **exported,
        "data_source": row.columns.get("data_source") or exported["data_source"],
        "reward_model": {"style": "rule", "ground_truth": _text(row.ground_truth) or None},  # "" could not be read
        "extra_info": about,
        **own,
    }


def _text(truth: GroundTruth) -> str:
    return truth if isinstance(truth, str) else json.dumps(truth)
