"""Raw rows of JSONL and parquet files, each of which can say where it stands when something is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtgrpo_env.extras import imports_for


def read_records(path: Path) -> Iterator[Record]:
    """The rows of a `.jsonl` or `.parquet` file, one at a time, however long the file is.

    Raises:
        ValueError: if the file has another ending, or on reaching a part of it that cannot be read.
        ImportError: if the file is parquet and pyarrow is not installed.
    """
    if path.suffix == ".jsonl":
        return _jsonl_records(path)
    if path.suffix == ".parquet":
        return _parquet_records(path)
    raise ValueError(f"{path.name}: expected a name that ends in .jsonl or .parquet")


@dataclass(frozen=True, slots=True)
class Record:
    """The columns of one row; `source` is the file's name and the row's number in it, from 1."""

    columns: Mapping[str, Any]
    source: str

    def find(self, *columns: str) -> Any:
        """The value of the first of these columns that is there; a dot leads into a nested one."""
        for column in columns:
            value: Any = self.columns
            for name in column.split("."):
                value = value.get(name) if isinstance(value, Mapping) else None
            if value is not None:
                return value
        return None

    def text(self, *columns: str) -> str | None:
        """`find` for a str; None if there is none.

        Raises:
            ValueError: if there is something else.
        """
        value = self.find(*columns)
        if value is not None and not isinstance(value, str):
            raise self.error(" or ".join(columns), "a str", value)
        return value

    def error(self, column: str, expected: str, got: Any) -> ValueError:
        """What to raise about a column."""
        described = "nothing" if got is None else f"{type(got).__name__} {got!r:.80}"
        return ValueError(f"{self.source}, column {column}: expected {expected}, got {described}")


def _jsonl_records(path: Path) -> Iterator[Record]:
    # Lines as bytes: a str's lines also end at U+2028, and a bad encoding would not be pinned to its row.
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            source = f"{path.name}, row {number}"
            try:
                columns = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{source}: expected one JSON object, got a broken line: {error}") from error
            if not isinstance(columns, Mapping):
                raise ValueError(f"{source}: expected one JSON object, got {type(columns).__name__} {columns!r:.80}")
            yield Record(columns, source)


def _parquet_records(path: Path) -> Iterator[Record]:
    with imports_for(f"reading {path.name}"):
        import pyarrow
        import pyarrow.parquet
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for columns in batch.to_pylist():
                    number += 1
                    yield Record(columns, f"{path.name}, row {number}")
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path.name}: expected a parquet file, got one that cannot be read: {error}") from error
