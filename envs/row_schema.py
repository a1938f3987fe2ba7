"""The columns of a data row: which task, level and split it is of, what it asks, and what is right.

A row has a `data_source` like `countdown-very_hard-test` (or a plain `task`), a `prompt` (text or chat
messages) and a `ground_truth`, alone or inside `reward_model`. All else, `extra_info` included, is optional.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mtgrpo_env.envs.records import Record
from mtgrpo_env.envs.row import GroundTruth, Row
from mtgrpo_env.envs.science import sciknoweval_row


def row_of(record: Record, position: int) -> Row:
    """The problem in a record of a file.

    Raises:
        ValueError: naming file, row and column, what was expected there and what was found.
    """
    if record.find("answerKey") is not None:
        record = _from_sciknoweval(record)
    task, level, split = names(record)
    text = prompt(record)
    index = record.find("extra_info.index", "index")
    if index is None:
        index = position
    elif isinstance(index, bool) or not isinstance(index, int):
        raise record.error("extra_info.index or index", "an int", index)
    return Row(
        task=task,
        level=level,
        split=split,
        prompt=text,
        ground_truth=ground_truth(record),
        index=index,
        question=record.text("extra_info.question", "question") or text,
        source=record.source,
        columns=record.columns,
    )


def names(record: Record) -> tuple[str, str | None, str | None]:
    """Task, level and split: each from its own column, else from `data_source`.

    Raises:
        ValueError: naming file, row and column, if there is no task.
    """
    named, data_source = record.text("task"), record.text("data_source")
    task, level, split = named or "", None, None
    parts = data_source.rsplit("-", 2) if data_source else []
    if len(parts) == 3 and all(parts):
        task, level, split = parts
    elif not named:
        raise record.error("data_source", "'<task>-<level>-<split>', or a column task", data_source)
    return named or task, record.text("level") or level, record.text("split", "extra_info.split") or split


def ground_truth(record: Record) -> GroundTruth:
    """What the task's `from_ground_truth` reads, given as an object or as its JSON text.

    Raises:
        ValueError: naming file, row and column, if there is none.
    """
    found = record.find("reward_model.ground_truth", "ground_truth")
    truth = _parsed(found) if isinstance(found, str) else found
    if not isinstance(truth, Mapping):
        raise record.error("ground_truth", "an object such as {'target': ...}, or its JSON", found)
    return truth


def prompt(record: Record) -> str:
    """The prompt as one text; chat messages are joined by blank lines.

    Raises:
        ValueError: naming file, row and column, if it is neither.
    """
    found = record.find("prompt")
    if isinstance(found, str):
        return found
    if not isinstance(found, list) or not found:
        raise record.error("prompt", "a str or a list of chat messages", found)
    contents: list[str] = []
    for position, message in enumerate(found):
        content = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(content, str):
            raise record.error(f"prompt[{position}]", "a chat message with a str 'content'", message)
        contents.append(content)
    return "\n\n".join(contents)


def _from_sciknoweval(record: Record) -> Record:
    try:
        return Record(sciknoweval_row(record.columns), record.source)
    except ValueError as error:
        raise ValueError(f"{record.source}: {error}") from error


def _parsed(text: str) -> Any:
    """What a text is the JSON of; None if it is of nothing."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
