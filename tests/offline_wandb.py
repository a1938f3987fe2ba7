"""Reads what wandb wrote offline: a log of its own messages, in the blocks of LevelDB."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEADER, _BLOCK = 7, 32768


def records_of(file: Path) -> Iterator[Any]:
    """wandb's messages, in order."""
    from wandb.proto import wandb_internal_pb2  # pyright: ignore[reportMissingImports]

    content, place, parts = file.read_bytes(), _HEADER, b""
    while place + _HEADER <= len(content):
        if (left := _BLOCK - place % _BLOCK) < _HEADER:  # of a block, filled up with nothing
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", content[place : place + _HEADER])
        place += _HEADER + size
        parts += content[place - size : place]
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Of the history, by their keys."""
    found = [record.history for record in records_of(file) if record.WhichOneof("record_type") == "history"]
    return [{".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row.item} for row in found]


def run_of(file: Path) -> Any:
    """The message that says which run it is, with its config."""
    return next(record.run for record in records_of(file) if record.WhichOneof("record_type") == "run")
