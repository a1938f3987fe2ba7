"""Files that are small and unpack to much, or whose rows are too large: refused at the bound, by name."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.envs.records import read_records
from mtgrpo_env.envs.rows import read_rows
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.row_options import RowOptions

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
ROW = {"prompt": "1+1?", "ground_truth": {"target": "2"}, "task": "sums"}
MIB = 1 << 20


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_bounds(**sizes: int | str) -> None:
        for what, size in sizes.items():
            monkeypatch.setenv(f"MTGRPO_MAX_{what}_BYTES", str(size))

    return set_bounds


def written(path: Path, prompts: list[str]) -> Path:
    """A file of rows, by the ending of its name."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({**ROW, "prompt": prompt}) + "\n" for prompt in prompts))
    elif path.suffix == ".json":
        path.write_text(json.dumps([{**ROW, "prompt": prompt} for prompt in prompts]))
    elif path.suffix == ".csv":
        path.write_text("prompt,answer,task\n" + "".join(f"{prompt},2,sums\n" for prompt in prompts))
    else:
        table = pyarrow.table({"prompt": prompts, "answer": ["2"] * len(prompts), "task": ["sums"] * len(prompts)})
        if path.suffix == ".parquet":
            parquet.write_table(table, path, compression="zstd")
        else:
            with pyarrow.ipc.new_stream(str(path), table.schema) as stream:
                stream.write_table(table)
    return path


ENDINGS = [".jsonl", ".json", ".csv", ".parquet", ".arrow"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_row_that_is_too_large_is_refused_by_name_and_a_knob_lets_it_in(
    tmp_path: Path, bounds: Callable[..., None], ending: str
) -> None:
    file = written(tmp_path / f"rows{ending}", ["1+1?", "a" * 50_000])
    bounds(ROW=40_000)
    with pytest.raises(
        ValueError, match=rf"rows{ending}, (row|line) [23]: expected a row of at most 40,000 bytes, got"
    ):
        list(read_records(file))
    bounds(ROW=80_000)
    assert len(list(read_records(file))) == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_more_rows_than_can_be_held_are_refused_and_can_still_be_streamed(
    tmp_path: Path, bounds: Callable[..., None], ending: str
) -> None:
    file = written(tmp_path / f"rows{ending}", ["1+1?"] * 200)
    bounds(ROWS=50_000)
    with pytest.raises(
        ValueError, match=r"expected rows of at most 50,000 bytes, got .*MTGRPO_MAX_ROWS_BYTES sets another"
    ):
        read_rows(file)
    assert len(list(read_records(file))) == 200


@pytest.mark.parametrize("ending", [".json", ".parquet", ".arrow"])
def test_a_piece_that_is_too_large_is_not_unpacked(tmp_path: Path, bounds: Callable[..., None], ending: str) -> None:
    file = written(tmp_path / f"rows{ending}", [str(i) * 5_000 for i in range(20)])
    bounds(PIECE=30_000)
    with pytest.raises(ValueError, match=r"rows.*: expected a piece of at most 30,000 bytes, got"):
        list(read_records(file))


def test_equal_values_of_a_small_file_are_unpacked_a_few_at_a_time(tmp_path: Path, bounds: Callable[..., None]) -> None:
    file = written(tmp_path / "rows.parquet", ["a" * 20_000] * 20_000)
    assert file.stat().st_size < MIB < 20_000 * 20_000
    bounds(ROWS=20 * MIB)
    before = pyarrow.default_memory_pool().max_memory()
    tracemalloc.start()
    with pytest.raises(ValueError, match="expected rows of at most"):
        read_rows(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * MIB
    assert pyarrow.default_memory_pool().max_memory() < before + 60 * MIB


def test_a_line_is_not_read_beyond_the_bound(tmp_path: Path, bounds: Callable[..., None]) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'"' + b"a" * (8 * MIB))
    bounds(ROW=1000)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"rows.jsonl, line 1: expected a row of at most 1,000 bytes, got 1,001"):
        list(read_records(file))
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_deeply_nested_rows_are_broken_ones(tmp_path: Path, text: str) -> None:
    for ending in (".jsonl", ".json"):
        file = tmp_path / f"rows{ending}"
        file.write_text(text)
        with pytest.raises(ValueError, match=r"expected .* got a broken"):
            list(read_records(file))


@pytest.mark.parametrize("value", ["0", "-1", "many", "1e9", "9" * 30])
def test_a_bound_must_be_a_number_of_bytes(tmp_path: Path, bounds: Callable[..., None], value: Any) -> None:
    bounds(ROW=value)
    with pytest.raises(ValueError, match=r"MTGRPO_MAX_ROW_BYTES must be at least 1 and at most .* bytes, got"):
        list(read_records(written(tmp_path / "rows.jsonl", ["1+1?"])))


@pytest.mark.parametrize("task", ["zebra", "countdown", "guessing"])
def test_an_answer_that_no_response_can_hold_is_refused_with_its_row(tmp_path: Path, task: str) -> None:
    row = {"prompt": "Who?", "ground_truth": {"target": "a" * 999_999}}
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(
        ValueError, match=r"rows\.jsonl, (row|line) 1, column ground_truth: .*at most 999,992 characters, got 999,999"
    ):
        read_tasks(str(file), row_options=RowOptions(reward=(task,)))
