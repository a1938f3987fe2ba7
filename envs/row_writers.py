"""Exported rows as files: `.jsonl`, and `.parquet`, where every column has one type."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtgrpo_env.extras import imports_for

Record = Mapping[str, Any]
"""A row to write, by its columns."""

EXPORTED = ("data_source", "prompt", "ability", "reward_model", "extra_info")
"""Columns that every exported row has; those beside them are the row's own."""


def write_jsonl(chunks: Iterable[Sequence[Record]], path: Path) -> None:
    """Write rows as lines of JSON.

    Raises:
        ValueError: naming the column, if JSON cannot hold what is in it.
    """
    with path.open("w", encoding="utf-8") as file:
        for rows in chunks:
            file.writelines(map(_line, rows))


def write_parquet(chunks: Iterable[Sequence[Record]], path: Path) -> None:
    """Write rows as parquet; what is a row's own has the types that the first chunk shows.

    Raises:
        ImportError: if pyarrow is not installed.
        ValueError: naming the column, if its values are of several types, or of one that parquet cannot hold.
    """
    with imports_for(f"writing {path.name}"):
        import pyarrow
        import pyarrow.parquet
    chunks = iter(chunks)
    rows = next(chunks, [])
    types = _types(rows)
    schema = _schema(types)
    try:
        writer = pyarrow.parquet.ParquetWriter(path, schema)
    except pyarrow.ArrowException as error:  # it names the column
        raise ValueError(f"expected rows that parquet can hold, got an error: {error}: {_INSTEAD}") from error
    with writer:
        while rows:
            writer.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema))
            rows = next(chunks, [])
            _check(_types(rows), known=types)


WRITERS: Mapping[str, Callable[[Iterable[Sequence[Record]], Path], None]] = {
    ".parquet": write_parquet,
    ".jsonl": write_jsonl,
}
"""By the ending of the file."""

_INSTEAD = "write .jsonl, which has no types"


def _line(row: Record) -> str:
    try:
        return json.dumps(row) + "\n"
    except (TypeError, ValueError, RecursionError):
        for name, value in row.items():
            _check_json(name, value)
        raise


def _check_json(name: str, value: Any) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"column {name}: expected what JSON can hold, got an error: {error}: write .parquet"
        ) from error


def _types(rows: Sequence[Record]) -> dict[tuple[str, ...], Any]:
    """The type of each own column and of each field of `extra_info`, by its path."""
    paths = dict.fromkeys((name,) for row in rows for name in row if name not in EXPORTED)
    fields = dict.fromkeys(("extra_info", name) for row in rows for name in row["extra_info"])
    own = {path: _type(path, [row.get(path[0]) for row in rows]) for path in paths}
    return own | {path: _type(path, [row["extra_info"].get(path[1]) for row in rows]) for path in fields}


def _type(path: tuple[str, ...], values: Sequence[Any]) -> Any:
    import pyarrow

    try:
        return pyarrow.array(values).type
    except (pyarrow.ArrowException, ValueError, OverflowError) as error:
        column = ".".join(path)
        raise ValueError(f"column {column}: expected values of one type, got an error: {error}: {_INSTEAD}") from error


def _check(types: Mapping[tuple[str, ...], Any], *, known: Mapping[tuple[str, ...], Any]) -> None:
    """Make sure that rows fit the first ones: Arrow drops columns and fields that it does not know."""
    for path, found in types.items():
        expected = known.get(path)
        if expected is None or not _fits(found, expected):
            first = "no such column" if expected is None else str(expected)
            raise ValueError(
                f"column {'.'.join(path)}: expected {first}, as in the first rows, got {found}: {_INSTEAD}"
            )


def _fits(found: Any, expected: Any) -> bool:
    import pyarrow

    schemas = [pyarrow.schema({"": one}) for one in (expected, found)]
    try:
        return pyarrow.unify_schemas(schemas, promote_options="permissive").field(0).type == expected
    except pyarrow.ArrowException:
        return False


def _schema(types: Mapping[tuple[str, ...], Any]) -> Any:
    import pyarrow

    text, whole = pyarrow.string(), pyarrow.int64()
    extra = {"index": whole, "split": text, "question": text, "version": whole, "puzzle_seed": whole, "hash": text}
    own: dict[str, Any] = {}
    for path, found in types.items():
        if len(path) == 1:
            own[path[0]] = found
        elif path[1] not in extra or not pyarrow.types.is_null(found):
            extra[path[1]] = found
    return pyarrow.schema(
        {
            "data_source": text,
            "prompt": pyarrow.list_(pyarrow.struct({"role": text, "content": text})),
            "ability": text,
            "reward_model": pyarrow.struct({"style": text, "ground_truth": text}),
            "extra_info": pyarrow.struct(extra),
            **own,
        }
    )
