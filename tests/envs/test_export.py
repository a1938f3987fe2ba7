"""Suites as rows: read back to the same problems, judged alike, loaded by others, complete or refused."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.export import content_hash, export_rows, fresh_problems, write_rows
from mtgrpo_env.envs.gymnasium_tasks import control_suite
from mtgrpo_env.envs.mtreason import REASON_TASKS, reason_suite
from mtgrpo_env.envs.reward import compute_score, trl_reward
from mtgrpo_env.envs.row_scorers import as_fields
from mtgrpo_env.envs.rows import Row, RowsEnv, read_rows, rows_problems, rows_suite, shared_problems
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import Verdict
from mtgrpo_env.types import Split

ALL_TASKS = [f"{name}-{level}" for name, task in REASON_TASKS.items() for level in task.LEVELS]
EASY = [name for name, task in REASON_TASKS.items() if "easy" in task.LEVELS]
ONE_LEVEL = tuple(f"{name}-easy" for name in EASY)
FORMATS = (".jsonl", ".parquet")
# Nothing reads clues back from their wording, so the key of such a row is its question as it is written.
KEYED_BY_WORDING = ("zebra", "math-easy", "math-medium", "math-hard", "math-very_hard")


def suite_of(*names: str, split: Split = "train") -> TaskSuite:
    return reason_suite(names, split=split)


def backwards(completion: str, word: str) -> float:
    return float(completion == word[::-1])


def needs_most(completion: str, prompt: str, ground_truth: Any, question: str, word: str, level: int) -> float:
    return len(completion) + len(prompt) + 10 * len(str(ground_truth)) + 100 * len(question) + 1e3 * level + len(word)


def in_verls_form(data_source: str, solution_str: str, ground_truth: str, extra_info: dict[str, Any]) -> float:
    said = [data_source, solution_str, ground_truth, extra_info["question"], extra_info["word"]]
    return float(sum(len(text) * 10**i for i, text in enumerate(said)))


WORDS = [{"question": f"Turn {word} around.", "word": word} for word in ("abc", "de", "fghi")]
OWN_ROWS = {
    "a function of a column": (backwards, WORDS),
    "what the row says of itself": (
        needs_most,
        [{**row, "level": i, "answer": i, "maybe": [None, i], "index": 7} for i, row in enumerate(WORDS)],
    ),
    "a chat": (backwards, [{"prompt": [{"role": "user", "content": row["question"]}], **row} for row in WORDS]),
    "verl's own columns": (
        in_verls_form,
        [
            {
                "data_source": "owner/words-2",
                "task": "turned",
                "prompt": [{"role": "user", "content": f"{row['question']} Be brief."}],
                "reward_model": {"style": "rule", "ground_truth": row["word"][::-1]},
                "extra_info": {"index": i, **row},
            }
            for i, row in enumerate(WORDS)
        ],
    ),
}


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def scores(rows: list[Row], reward: Any) -> list[float]:
    """Of some responses to each row."""
    suite = rows_suite(rows, reward=reward)
    given: list[float] = []
    for problem in rows_problems(suite, rows):
        env, opening = suite.envs(problem.task_id, 1)[0], suite.opening(problem)
        assert isinstance(env, RowsEnv)
        assert opening is not None
        verdicts = [env.reply(opening.puzzle, [text]) for text in ("cba", "ed", "", "something")]
        given += [verdict.reward for verdict in verdicts if isinstance(verdict, Verdict) and verdict.valid]
    return given


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
        spoiled = right.replace("{", "{1") if "{" in right else f"x{right}"
        answers = [right, f"{right}.", f"{right}\nDone.", spoiled, task.guess(made.puzzle, rng), ""]
        for answer in answers:
            assert env.reply(shown.puzzle, [answer]) == task.reply(made.puzzle, [answer]), answer
        assert env.verify(shown.puzzle, right).outcome == "correct"
        assert not env.verify(shown.puzzle, spoiled).is_success
        if not name.startswith(KEYED_BY_WORDING):
            assert env.key(shown.puzzle) == task.key(made.puzzle)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.usefixtures("need_pyarrow")
def test_tasks_of_every_kind_share_a_file_in_turn(suffix: str, tmp_path: Path) -> None:
    rows = read_rows(exported(tmp_path / f"rows{suffix}", suite_of(*ONE_LEVEL), 3))
    assert [row.task for row in rows] == EASY * 3
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


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", OWN_ROWS)
@pytest.mark.usefixtures("need_pyarrow")
def test_rows_scored_by_a_function_keep_what_it_needs(kind: str, suffix: str, tmp_path: Path) -> None:
    reward, own = OWN_ROWS[kind]
    before = read_rows(written(tmp_path / "words.jsonl", *own))
    suite = rows_suite(before, reward=reward)
    out = tmp_path / f"out{suffix}"
    said = write_rows(export_rows(suite, rows_problems(suite, before)), out)
    after = read_rows(out)
    assert [(row.name, row.prompt, row.ground_truth, row.question, row.index) for row in after] == [
        (row.name, row.prompt, row.ground_truth, row.question, row.index) for row in before
    ]
    expected = scores(before, reward)
    assert len(expected) == 4 * len(own)
    assert scores(after, reward) == expected
    assert said.content_hash == content_hash(after)
    again = rows_suite(after, reward=reward)
    assert list(export_rows(again, rows_problems(again, after))) == [row.columns for row in after]

    of_verl = [
        compute_score(
            row.columns["data_source"],
            text,
            row.columns["reward_model"]["ground_truth"],
            row.columns["extra_info"],
            reward=reward,
        )["score"]
        for row in after
        for text in ("cba", "ed", "", "something")
    ]
    assert of_verl == expected
    columns = {name: [row.columns[name] for row in after] for name in after[0].columns if name != "prompt"}
    prompts = [row.columns["prompt"] for row in after]
    of_trl = trl_reward(prompts, [[{"role": "assistant", "content": "ed"}]] * len(after), **columns, reward=reward)
    assert of_trl == expected[1::4]


def test_a_function_of_trls_form_is_given_the_exported_columns(tmp_path: Path) -> None:
    def of_batch(completions: list[Any], word: list[str], **columns: Any) -> list[float]:
        return [backwards(chat[0]["content"], of_row) for chat, of_row in zip(completions, word, strict=True)]

    rows = read_rows(written(tmp_path / "words.jsonl", *WORDS))
    suite = rows_suite(rows, reward=backwards)
    exported = list(export_rows(suite, rows_problems(suite, rows)))
    columns = {name: [row[name] for row in exported] for name in exported[0]}
    completions = [[{"role": "assistant", "content": "cba"}]] * 3
    assert trl_reward(columns.pop("prompt"), completions, **columns, reward=of_batch) == [1.0, 0.0, 0.0]
    assert of_batch(completions, **columns) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.usefixtures("need_pyarrow")
def test_rows_of_a_function_share_a_file_with_those_of_a_verifier(suffix: str, tmp_path: Path) -> None:
    sums = [{"task": "sums", "question": f"{i}+1?", "answer": i + 1} for i in range(3)]
    rewards = {"turned": backwards, "sums": "number"}
    rows = read_rows(written(tmp_path / "all.jsonl", *({"task": "turned", **row} for row in WORDS), *sums))
    suite = rows_suite(rows, reward=rewards)
    write_rows(export_rows(suite, rows_problems(suite, rows)), tmp_path / f"out{suffix}")
    after = read_rows(tmp_path / f"out{suffix}")
    assert scores(after, rewards) == scores(rows, rewards)
    assert [row.columns.get("word") for row in after] == ["abc", "de", "fghi", None, None, None]


@pytest.mark.parametrize(
    ("first", "last", "complaint"),
    [
        ({"word": "abc"}, {"word": 7}, "column word: expected string, as in the first rows, got int64: write .jsonl"),
        ({"word": 7}, {"word": 7.5}, "column word: expected int64, as in the first rows, got double"),
        ({"word": None}, {"word": "abc"}, "column word: expected null, as in the first rows, got string"),
        ({}, {"word": "abc"}, "column word: expected no such column, as in the first rows, got string"),
        ({"word": {"a": 1}}, {"word": {"b": 1}}, "column word: expected struct<a: int64>, as in the first rows, got"),
        ({"extra_info": {"a": 1}}, {"extra_info": {"a": "x"}}, r"column extra_info.a: expected int64, as in"),
    ],
)
@pytest.mark.usefixtures("need_pyarrow")
def test_a_column_of_another_type_than_the_first_rows_show_is_refused_in_parquet(
    first: dict[str, Any], last: dict[str, Any], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtgrpo_env.envs.export._CHUNK", 2)
    rows = [
        {**row_of(index), **own, "extra_info": {"index": index, **own.get("extra_info", {})}}
        for index, own in enumerate([first, first, last])
    ]
    with pytest.raises(ValueError, match=complaint):
        write_rows(rows, tmp_path / "rows.parquet")
    assert write_rows(rows, tmp_path / "rows.jsonl").rows == 3
    assert write_rows([*rows[:2], {**rows[0], "extra_info": {}}], tmp_path / "rows.parquet").rows == 3


@pytest.mark.parametrize(
    ("values", "suffix", "complaint"),
    [
        (["x", 1], ".parquet", r"column word: expected values of one type, got an error: .*: write \.jsonl"),
        ([2**70], ".parquet", r"column word: expected values of one type, .* too large"),
        ([{}], ".parquet", r"expected rows that parquet can hold, .* 'word' .*: write \.jsonl"),
        ([b"x"], ".jsonl", r"column word: expected what JSON can hold, got an error: .* bytes .*: write \.parquet"),
    ],
)
@pytest.mark.usefixtures("need_pyarrow")
def test_a_value_that_a_file_cannot_hold_is_refused_by_its_column(
    values: list[Any], suffix: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=complaint):
        write_rows([{**row_of(0), "word": value} for value in values], tmp_path / f"rows{suffix}")


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


def row_of(index: int) -> dict[str, Any]:
    """A row as it is exported."""
    about = {"index": index, "split": "train", "question": f"{index}" * 200, "version": 1}
    return {
        "data_source": "countdown-easy-train",
        "prompt": [{"role": "user", "content": f"{index}"}],
        "ability": "countdown",
        "reward_model": {"style": "rule", "ground_truth": "{}"},
        "extra_info": {**about, "puzzle_seed": index, "hash": ""},
    }


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.usefixtures("need_pyarrow")
def test_rows_are_written_as_they_come(suffix: str, tmp_path: Path) -> None:
    """20,000 rows would take 40 MB at once."""
    rows = map(row_of, range(20_000))
    write_rows([], tmp_path / f"empty{suffix}")
    tracemalloc.start()
    try:
        assert write_rows(rows, tmp_path / f"rows{suffix}").rows == 20_000
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
