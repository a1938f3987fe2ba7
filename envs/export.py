"""Any suite of tasks with ground truths as data rows, which verl and TRL load and `read_rows` reads back.

The columns are those of the paper's files (see `row_schema`), but the ground truth is JSON text that names its
task and level: the fields differ from task to task, and a column of a parquet file has one type.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mtgrpo_env.envs.fields import bare_question
from mtgrpo_env.envs.row import GroundTruth, Row
from mtgrpo_env.envs.row_schema import parsed_truth
from mtgrpo_env.envs.row_scorers import as_fields
from mtgrpo_env.envs.rows import RowsEnv, ground_truth_of
from mtgrpo_env.extras import imports_for
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Problem

_CHUNK = 4096  # rows in memory at a time

_Write = Callable[[list[dict[str, Any]]], None]


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


def export_rows(suite: TaskSuite, problems: Iterable[Problem]) -> Iterator[dict[str, Any]]:
    """A row for each problem, made as it is asked for.

    Raises:
        ValueError: naming the task, if it has no ground truth that another process could judge by.
    """
    for problem in problems:
        yield _row(suite, problem)


def write_rows(rows: Iterable[dict[str, Any]], path: Path) -> Exported:
    """Write rows to a `.parquet` or `.jsonl` file as they come, a few thousand in memory at a time.

    Raises:
        ValueError: if the name ends otherwise.
        ImportError: if the file is parquet and pyarrow is not installed.
    """
    if path.suffix not in _WRITERS:
        raise ValueError(f"expected a file name that ends in {' or '.join(_WRITERS)}, got {path.suffix!r}")
    digest, count, rows = _Digest(), 0, iter(rows)
    with _WRITERS[path.suffix](path) as write:
        while chunk := list(islice(rows, _CHUNK)):
            for row in chunk:
                digest.add(row["prompt"][0]["content"], parsed_truth(row["reward_model"]["ground_truth"]))
            write(chunk)
            count += len(chunk)
    return Exported(count, digest.text)


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

    def add(self, prompt: str, ground_truth: GroundTruth) -> None:
        self._hash.update(json.dumps([prompt, ground_truth], sort_keys=True).encode() + b"\n")

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


def _row(suite: TaskSuite, problem: Problem) -> dict[str, Any]:
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
    is_scored_elsewhere = isinstance(env, RowsEnv) and ":" in env.scorer.name  # by a function that gets what it got
    return {
        "data_source": f"{named}-{made.split}" if made.level else task,
        "prompt": [{"role": "user", "content": opening.prompt}],
        "ability": task,
        "reward_model": {
            "style": "rule",
            "ground_truth": _text(truth) if is_scored_elsewhere else _text({**as_fields(truth), "task": named}),
        },
        "extra_info": {
            "index": opening.puzzle.row.index if isinstance(env, RowsEnv) else problem.index,
            "split": made.split,
            "question": bare_question(opening.prompt),
            "version": made.version,
            "puzzle_seed": made.puzzle_seed,
            "hash": made.hash,
        },
    }


def _text(truth: GroundTruth) -> str:
    return truth if isinstance(truth, str) else json.dumps(truth)


@contextmanager
def _jsonl(path: Path) -> Iterator[_Write]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda rows: file.writelines(json.dumps(row) + "\n" for row in rows)


@contextmanager
def _parquet(path: Path) -> Iterator[_Write]:
    with imports_for(f"writing {path.name}"):
        import pyarrow
        import pyarrow.parquet
    text, whole = pyarrow.string(), pyarrow.int64()
    extra = {"index": whole, "split": text, "question": text, "version": whole, "puzzle_seed": whole, "hash": text}
    schema = pyarrow.schema(
        {
            "data_source": text,
            "prompt": pyarrow.list_(pyarrow.struct({"role": text, "content": text})),
            "ability": text,
            "reward_model": pyarrow.struct({"style": text, "ground_truth": text}),
            "extra_info": pyarrow.struct(extra),
        }
    )
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        yield lambda rows: writer.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema))


_WRITERS: Mapping[str, Callable[[Path], AbstractContextManager[_Write]]] = {".parquet": _parquet, ".jsonl": _jsonl}
