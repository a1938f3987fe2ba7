"""Suites as rows: read back to the same problems, judged alike, loaded by others, complete or refused."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.export import content_hash, export_rows, fresh_problems, write_rows
from mtgrpo_env.envs.gymnasium_tasks import control_suite
from mtgrpo_env.envs.mtreason import REASON_TASKS, reason_suite
from mtgrpo_env.envs.row_scorers import as_fields
from mtgrpo_env.envs.rows import RowsEnv, read_rows, rows_problems, rows_suite, shared_problems
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Split

ALL_TASKS = [f"{name}-{level}" for name, task in REASON_TASKS.items() for level in task.LEVELS]
ONE_LEVEL = tuple(f"{name}-easy" for name in REASON_TASKS)
FORMATS = (".jsonl", ".parquet")
# Nothing reads clues back from their wording, so the key of such a row is its question as it is written.
KEYED_BY_WORDING = ("zebra", "math-easy", "math-medium", "math-hard", "math-very_hard")


def suite_of(*names: str, split: Split = "train") -> TaskSuite:
    return reason_suite(names, split=split)


def exported(path: Path, suite: TaskSuite, count: int) -> Path:
    write_rows(export_rows(suite, fresh_problems(suite, count)), path)
    return path


@pytest.fixture
def need_pyarrow() -> None:
    pytest.importorskip("pyarrow")


@pytest.mark.parametrize("name", ALL_TASKS)
def test_a_row_read_back_asks_the_same_and_is_judged_alike(name: str, tmp_path: Path) -> None:
    suite = suite_of(name)
    problems = list(fresh_problems(suite, 5))
    write_rows(export_rows(suite, problems), tmp_path / "rows.jsonl")
    rows = read_rows(tmp_path / "rows.jsonl")
    read = rows_suite(rows)
    assert read.names == (name,)
    (task,), (env,) = suite.envs(0, 1), read.envs(0, 1)
    assert isinstance(task, BoxedTask)
    assert isinstance(env, RowsEnv)
    rng = np.random.default_rng(0)
    for problem, again in zip(problems, rows_problems(read, rows), strict=True):
        made, shown = suite.opening(problem), read.opening(again)
        assert made is not None
        assert shown is not None
        assert made.prompt == shown.prompt
        right = task.oracle(made.puzzle)
        answers = [right, f"{right}.", f"{right}\nDone.", right.replace("{", "{1"), task.guess(made.puzzle, rng), ""]
        for answer in answers:
            assert env.reply(shown.puzzle, [answer]) == task.reply(made.puzzle, [answer]), answer
        assert env.verify(shown.puzzle, right).outcome == "correct"
        assert not env.verify(shown.puzzle, right.replace("{", "{1")).is_success
        if not name.startswith(KEYED_BY_WORDING):
            assert env.key(shown.puzzle) == task.key(made.puzzle)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.usefixtures("need_pyarrow")
def test_tasks_of_every_kind_share_a_file_in_turn(suffix: str, tmp_path: Path) -> None:
    rows = read_rows(exported(tmp_path / f"rows{suffix}", suite_of(*ONE_LEVEL), 3))
    assert [row.task for row in rows] == list(REASON_TASKS) * 3
    assert {(row.level, row.split) for row in rows} == {("easy", "train")}


@pytest.mark.usefixtures("need_pyarrow")
def test_both_formats_hold_the_same_rows_and_have_the_hash_of_what_is_read_back(tmp_path: Path) -> None:
    paths = [exported(tmp_path / f"rows{suffix}", suite_of("countdown-easy", "zebra-mini"), 4) for suffix in FORMATS]
    first, second = (read_rows(path) for path in paths)
    assert [(row.prompt, row.ground_truth, row.index) for row in first] == [
        (row.prompt, row.ground_truth, row.index) for row in second
    ]
    suite = suite_of("countdown-easy", "zebra-mini")
    said = write_rows(export_rows(suite, fresh_problems(suite, 4)), tmp_path / "again.jsonl")
    assert said.content_hash == content_hash(first) == content_hash(second)
    assert said.rows == len(first) == 8


def test_the_hash_knows_the_prompts_the_ground_truths_and_their_order(tmp_path: Path) -> None:
    path = exported(tmp_path / "rows.jsonl", suite_of("countdown-mini"), 3)
    rows = read_rows(path)
    lines = path.read_text("utf-8").splitlines()
    for changed in (
        lines[::-1],
        lines[:2],
        [lines[0].replace("C", "D", 1), *lines[1:]],
        [lines[0].replace(str(as_fields(rows[0].ground_truth)["target"]), "61"), *lines[1:]],
    ):
        path.write_text("\n".join(changed), "utf-8")
        assert content_hash(read_rows(path)) != content_hash(rows)
    reordered = [
        replace(row, ground_truth=dict(sorted(as_fields(row.ground_truth).items(), reverse=True))) for row in rows
    ]
    assert content_hash(reordered) == content_hash(rows)


def test_what_is_exported_depends_on_the_seed_alone(tmp_path: Path) -> None:
    def of_seed(seed: int) -> str:
        suite = reason_suite(["arc-mini"], seed=seed)
        return write_rows(export_rows(suite, fresh_problems(suite, 5)), tmp_path / "rows.jsonl").content_hash

    assert of_seed(1) == of_seed(1) != of_seed(2)


@pytest.mark.parametrize("name", ["countdown-mini", "arc-easy", "zebra-easy", "science-easy", "math-easy"])
def test_train_and_test_share_no_problem(name: str, tmp_path: Path) -> None:
    train = exported(tmp_path / "train.jsonl", suite_of(name), 200)
    test = exported(tmp_path / "test.jsonl", suite_of(name, split="test"), 100)
    assert not shared_problems(read_rows(train), read_rows(test))
    lines = [path.read_text("utf-8").splitlines() for path in (train, test)]
    hashes = [{json.loads(line)["extra_info"]["hash"] for line in of_file} for of_file in lines]
    assert [len(of_file) for of_file in hashes] == [200, 100]
    assert not hashes[0] & hashes[1]


def test_a_row_says_what_made_it(tmp_path: Path) -> None:
    suite = suite_of("countdown-easy", split="test")
    (row,) = export_rows(suite, fresh_problems(suite, 1))
    assert row["data_source"] == "countdown-easy-test"
    about = row["extra_info"]
    (task,) = suite.envs(0, 1)
    assert isinstance(task, BoxedTask)
    again = task.draw(about["puzzle_seed"], {"split": about["split"]})
    assert json.loads(row["reward_model"]["ground_truth"]) == {"task": "countdown-easy", **task.ground_truth(again)}
    assert row["prompt"] == [{"role": "user", "content": task.prompt(again)}]
    assert about["question"] in task.prompt(again)
    assert about["version"] == task.version


def test_the_papers_rows_are_written_again_in_one_file(paper_tasks: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    before = [row for path in sorted(paper_tasks.glob("*.parquet")) for row in read_rows(path)[:25]]
    suite = rows_suite(before)
    write_rows(export_rows(suite, rows_problems(suite, before)), tmp_path / "rows.parquet")
    after = read_rows(tmp_path / "rows.parquet")
    for one, other in zip(before, after, strict=True):
        assert (one.task, one.level, one.split, one.prompt) == (other.task, other.level, other.split, other.prompt)
        assert {"task": one.name, **as_fields(one.ground_truth)} == other.ground_truth
        assert one.index == other.index
    assert len(shared_problems(before, after)) == len(before)


def test_rows_are_exported_to_the_last_and_more_is_an_error_that_says_how_many_there_are(
    tmp_path: Path,
) -> None:
    rows = [{"task": "arc", "level": "easy", "prompt": f"{i}?", "ground_truth": {"target": f"{i}"}} for i in range(30)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *rows]), "utf-8")
    suite = rows_suite(read_rows(tmp_path / "rows.jsonl"))
    known = suite.num_problems(0)
    assert known is not None
    exported = list(export_rows(suite, fresh_problems(suite, known)))
    assert len({row["prompt"][0]["content"] for row in exported}) == known < 30
    with pytest.raises(ValueError, match=f"task 'arc-easy' has {known} train problems, expected 40"):
        next(fresh_problems(suite, 40))


def test_a_stream_that_runs_out_of_problems_is_an_error_that_says_how_many_there_are() -> None:
    with pytest.raises(ValueError, match=r"task 'guessing-mini' has about \d+ train problems, expected 2000"):
        list(fresh_problems(suite_of("guessing-mini"), 2000))


@pytest.mark.parametrize("suite", [toy_suite(1), control_suite()], ids=["toy", "control"])
def test_a_task_that_is_no_text_is_named_and_refused(suite: TaskSuite) -> None:
    with pytest.raises(ValueError, match=f"task '{suite.names[0]}' cannot be exported: a .* shows no text"):
        list(export_rows(suite, fresh_problems(suite, 1)))


def test_a_task_without_a_ground_truth_is_named_and_refused() -> None:
    pytest.importorskip("reasoning_gym")
    from mtgrpo_env.envs.reasoning_gym_tasks import reasoning_gym_task

    suite = TaskSuite([reasoning_gym_task("basic_arithmetic")])
    with pytest.raises(ValueError, match=r"'reasoning_gym/basic_arithmetic' cannot be exported: .* no ground truth"):
        list(export_rows(suite, fresh_problems(suite, 1)))


def test_a_row_without_a_level_is_exported_under_its_task_alone(tmp_path: Path) -> None:
    row = {"task": "zebra", "prompt": "Who?", "ground_truth": {"target": "alice"}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), "utf-8")
    rows = read_rows(tmp_path / "rows.jsonl")
    suite = rows_suite(rows)
    (exported,) = export_rows(suite, rows_problems(suite, rows))
    assert exported["data_source"] == "zebra"
    assert json.loads(exported["reward_model"]["ground_truth"]) == {"target": "alice", "task": "zebra"}


@pytest.mark.parametrize("text", ["", " "])
def test_a_ground_truth_that_is_text_must_not_be_empty(text: str, tmp_path: Path) -> None:
    row = {"task": "zebra", "prompt": "Who?", "ground_truth": text}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), "utf-8")
    with pytest.raises(
        ValueError, match=r"rows.jsonl, row 1, column ground_truth: expected a text, a number or an object"
    ):
        read_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize("text", ["{", "[1]", "null", "[" * 100_000])
def test_a_text_that_is_no_json_object_is_taken_as_it_is(text: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": "Who?", "ground_truth": text}), "utf-8")
    assert read_rows(tmp_path / "rows.jsonl")[0].ground_truth == text


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.parquet or \.jsonl, got '\.csv'"):
        write_rows([], tmp_path / "rows.csv")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.usefixtures("need_pyarrow")
def test_rows_are_written_as_they_come(suffix: str, tmp_path: Path) -> None:
    """20,000 rows would take 40 MB at once."""

    def many() -> Iterator[dict[str, Any]]:
        for index in range(20_000):
            about = {"index": index, "split": "train", "question": f"{index}" * 200, "version": 1}
            yield {
                "data_source": "countdown-easy-train",
                "prompt": [{"role": "user", "content": f"{index}"}],
                "ability": "countdown",
                "reward_model": {"style": "rule", "ground_truth": "{}"},
                "extra_info": {**about, "puzzle_seed": index, "hash": ""},
            }

    write_rows([], tmp_path / f"empty{suffix}")
    tracemalloc.start()
    try:
        assert write_rows(many(), tmp_path / f"rows{suffix}").rows == 20_000
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("kind", "suffix"), [("json", ".jsonl"), ("parquet", ".parquet")])
def test_datasets_loads_a_file_and_joins_files_of_different_tasks(
    kind: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As verl does: it loads each file by itself and concatenates them, which needs one type for each column."""
    datasets = pytest.importorskip("datasets")
    names = ("countdown-easy", "zebra-mini", "science-easy", "guessing-easy")
    files = [exported(tmp_path / f"{name}{suffix}", suite_of(name), 3) for name in names]
    loaded = [
        datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
        for file in files
    ]
    joined = datasets.concatenate_datasets(loaded)
    assert len(joined) == 12
    for example, row in zip(joined, [row for file in files for row in read_rows(file)], strict=True):
        assert example["prompt"] == [{"role": "user", "content": row.prompt}]
        assert json.loads(example["reward_model"]["ground_truth"]) == row.ground_truth
        assert example["data_source"] == f"{row.task}-{row.level}-{row.split}"
        assert example["extra_info"]["index"] == row.index
