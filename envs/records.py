"""Raw rows of files and data sets, each of which can say where it stands when something is wrong with it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtgrpo_env.envs.fields import read_json
from mtgrpo_env.envs.row_bounds import bounded_lines, checked_size, size_of
from mtgrpo_env.extras import imports_for
from mtgrpo_env.row_options import HUB

_SPLITS = ("train", "training", "test", "validation", "valid", "val", "dev", "eval")
_SPLIT_IN_NAME = re.compile(rf"(?:^|(.*?)[-_.])({'|'.join(_SPLITS)})(?:[-_.]\d+-of-\d+)?", re.IGNORECASE)
_NUMBERS = re.compile(r"[-_.]?\d+(?:-of-\d+)?$")
_NAMELESS = ("", "data", "part", "shard", "rows")  # names of files that say nothing of a task
_BATCH = 256  # rows of a parquet file that are unpacked at a time


@dataclass(frozen=True, slots=True)
class Record:
    """The columns of one row, and where it stands.

    Attributes:
        columns: by their names.
        source: the file's name and the row's number in it, from 1.
        task: what the file's name says of the rows that name no task.
        split: what the file's name says of the rows that name no split; None if nothing.
        size: of its columns in bytes, about.
    """

    columns: Mapping[str, Any]
    source: str
    task: str = ""
    split: str | None = None
    size: int = 0

    def find(self, *columns: str) -> Any:
        """The value of the first of these columns that is there; a dot leads into a nested one."""
        for column in columns:
            value: Any = self.columns
            for name in [column] if column in self.columns else column.split("."):
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


def read_records(source: str | Path) -> Iterator[Record]:
    """The rows of a file, of all files in a folder, or of a data set on the hub, one at a time.

    Args:
        source: a `.jsonl`, `.json`, `.parquet` or `.csv` file; a folder of such files, which are tasks by their names
            if these differ in more than splits and numbers, or one that `datasets` saved; or "hf:owner/name" or
            "hf:owner/name:config".

    Raises:
        ValueError: if there is nothing to be read, or on reaching a part that cannot be read.
        FileNotFoundError: if there is no such file.
        ImportError: if pyarrow or datasets is needed and not installed.
    """
    if str(source).startswith(HUB):
        return _hub_records(str(source).removeprefix(HUB))
    path = Path(source)
    if path.is_dir():
        return _folder_records(path)
    return _file_records(path)


def _file_records(path: Path) -> Iterator[Record]:
    if path.suffix not in _READERS:
        raise ValueError(f"{path.name}: expected a name that ends in {', '.join(_READERS)}, or a folder of such files")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    task, split = _names_of(path)
    return _numbered(_READERS[path.suffix](path), path.name, task, split)


def _folder_records(folder: Path) -> Iterator[Record]:
    files = sorted(f for f in folder.rglob("*") if f.suffix in _READERS and not f.name.startswith(("cache-", ".")))
    files = [f for f in files if f.name not in _OF_DATASETS]
    if not files:
        raise ValueError(f"{folder}: expected a folder with files that end in {', '.join(_READERS)}, found none")
    labels = {file: _label(file, folder) for file in files}
    are_tasks = len(set(labels.values())) > 1  # else they are parts of one
    for file in files:
        task = labels[file] if are_tasks and labels[file] else folder.resolve().name
        split = _names_of(file)[1] or next(filter(None, map(_split_named, file.relative_to(folder).parts[:-1])), None)
        yield from _numbered(_READERS[file.suffix](file), str(file.relative_to(folder)), task, split)


def _label(file: Path, folder: Path) -> str:
    """What tells a file from those of other tasks: its name without split and number, else its folder's."""
    match = _SPLIT_IN_NAME.fullmatch(file.stem)
    name = _NUMBERS.sub("", (match[1] or "") if match else file.stem)
    if name in _NAMELESS:
        parents = file.relative_to(folder).parts[:-1]
        return next((part for part in reversed(parents) if not _split_named(part)), "")
    return name


def _hub_records(spec: str) -> Iterator[Record]:
    with imports_for(f"reading {HUB}{spec}"):
        import datasets
    name, _, config = spec.partition(":")
    try:
        found: Any = datasets.load_dataset(name, config or None)
    except Exception as error:  # of many kinds: no network, no such data set, a config to be chosen
        raise ValueError(f"{HUB}{spec}: expected a data set on the hub, got an error: {error}") from error
    for split, rows in found.items():
        yield from _numbered(iter(rows), f"{name}, {split}", name, split)


def _numbered(rows: Iterator[Any], name: str, task: str, split: str | None) -> Iterator[Record]:
    for number, columns in enumerate(rows, start=1):
        if columns is None:  # an empty line
            continue
        source = f"{name}, row {number}"
        if isinstance(columns, Mapping) and None in columns:
            raise ValueError(f"{source}: expected as many values as there are columns, got {columns[None]!r:.80} more")
        if isinstance(columns, _Broken):
            raise ValueError(f"{source}: expected one JSON object, got a broken line: {columns.error}")
        if not isinstance(columns, Mapping):
            raise ValueError(f"{source}: expected one JSON object, got {type(columns).__name__} {columns!r:.80}")
        yield Record(columns, source, task, split, checked_size("ROW", size_of(columns), source))


def _names_of(file: Path) -> tuple[str, str | None]:
    """Task and split in a file's name: "sums_train.jsonl", or "sums/train.jsonl"."""
    match = _SPLIT_IN_NAME.fullmatch(file.stem)
    if match is None:
        return file.stem, None
    return match[1] or file.resolve().parent.name, match[2].lower()


def _split_named(folder: str) -> str | None:
    return folder.lower() if folder.lower() in _SPLITS else None


@dataclass(frozen=True, slots=True)
class _Broken:
    """A line that is no JSON."""

    error: Exception


def _jsonl_rows(path: Path) -> Iterator[Any]:
    # Lines as bytes: a str's lines also end at U+2028, and a bad encoding would not be pinned to its row.
    with path.open("rb") as file:
        for line in bounded_lines(file, path.name):
            try:
                yield read_json(line) if line.strip() else None
            except (ValueError, RecursionError) as error:
                yield _Broken(error)


def _json_rows(path: Path) -> Iterator[Any]:
    checked_size("PIECE", path.stat().st_size, f"{path.name}, one JSON value where .jsonl would hold many")
    try:
        rows = read_json(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name}: expected a JSON list of objects, got a broken file: {error}") from error
    if not isinstance(rows, list):
        raise ValueError(f"{path.name}: expected a JSON list of objects, got {type(rows).__name__} {rows!r:.80}")
    yield from rows


def _csv_rows(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        lines = (
            line.decode("utf-8-sig" if not i else "utf-8") for i, line in enumerate(bounded_lines(file, path.name))
        )
        try:
            yield from csv.DictReader(lines, strict=True)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path.name}: expected CSV with a line of column names, got {error}") from error


def _parquet_rows(path: Path) -> Iterator[Any]:
    pyarrow = _pyarrow(path)
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for i in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(i)
                for column in map(group.column, range(group.num_columns)):
                    where = f"{path.name}, column {column.path_in_schema}"
                    checked_size("PIECE", column.total_uncompressed_size, where)
            for batch in file.iter_batches(_BATCH):  # few: a value that stands once in the file is repeated in its rows
                checked_size("PIECE", batch.nbytes, path.name)
                yield from _batch_rows(batch)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path.name}: expected a parquet file, got one that cannot be read: {error}") from error


def _arrow_rows(path: Path) -> Iterator[Any]:
    """What `Dataset.save_to_disk` writes."""
    pyarrow = _pyarrow(path)
    try:
        with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as batches:
            for batch in batches:
                checked_size("PIECE", batch.nbytes, path.name)
                for start in range(0, len(batch), _BATCH):
                    yield from _batch_rows(batch.slice(start, _BATCH))
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path.name}: expected an arrow stream, got one that cannot be read: {error}") from error


def _batch_rows(batch: Any) -> Iterator[Any]:
    """Rows whose numbers of half and single precision have the digits of that precision: 0.1 is no 0.10000000149."""
    fields = [(field.name, field.type) for field in batch.schema]
    for row in batch.to_pylist():
        yield {name: _shortest(row[name], kind) for name, kind in fields}


def _shortest(value: Any, kind: Any) -> Any:
    if isinstance(value, float):
        precision = _PRECISIONS.get(str(kind), float)
        return float(str(precision(value)))
    if isinstance(value, dict):
        return {field.name: _shortest(value[field.name], field.type) for field in kind}
    if isinstance(value, list) and str(kind).startswith(_LISTS):
        return [_shortest(item, kind.value_type) for item in value]
    return value


def _pyarrow(path: Path) -> Any:
    with imports_for(f"reading {path.name}"):
        import pyarrow.parquet

        return pyarrow


_PRECISIONS: Mapping[str, Callable[[float], Any]] = {"halffloat": np.float16, "float": np.float32}
_LISTS = ("list<", "large_list<", "fixed_size_list<")
_OF_DATASETS = frozenset({"dataset_info.json", "dataset_dict.json", "state.json"})
_READERS: Mapping[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": _jsonl_rows,
    ".json": _json_rows,
    ".parquet": _parquet_rows,
    ".csv": _csv_rows,
    ".arrow": _arrow_rows,
}
