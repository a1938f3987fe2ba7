"""Data rows as tasks: the paper's files read whole, rows shown verbatim, errors that say where."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from mtgrpo_env.chat import messages_of
from mtgrpo_env.envs.countdown import Countdown
from mtgrpo_env.envs.mtreason import PAPER_TASKS, REASON_TASKS
from mtgrpo_env.envs.records import read_records
from mtgrpo_env.envs.responses import read_responses
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_scorers import VerifierScorer
from mtgrpo_env.envs.rows import RowsEnv, read_rows, rows_suite, shared_problems
from mtgrpo_env.paper_frame import framed

COUNTDOWN_ROW: dict[str, Any] = {
    "data_source": "countdown-very_hard-test",
    "prompt": [{"role": "user", "content": "Reach 24 by 8, 3, 8, 3."}],
    "ability": "math",
    "reward_model": {"ground_truth": {"numbers": "8,3,8,3", "target": 24}, "style": "rule"},
    "extra_info": {"difficulty": 4, "index": 798, "question": "24?", "split": "test"},
}
ASKED = [{"role": "user", "content": "1+1?"}]
RESPONSE: dict[str, Any] = {"task": "zebra", "ground_truth": {"target": "alice"}, "response": r"\boxed{Alice}"}


def write_jsonl(folder: Path, *lines: Any) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def with_column(column: str, value: Any) -> dict[str, Any]:
    """The Countdown row with one (nested) column changed."""
    row = json.loads(json.dumps(COUNTDOWN_ROW))
    *parents, name = column.split(".")
    inner = row
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    return row


@pytest.mark.parametrize("name", PAPER_TASKS)
def test_every_row_of_the_paper_is_shown_without_its_frame_and_its_oracle_is_correct(
    name: str, paper_tasks: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = paper_tasks / f"{name}_test.parquet"
    env = RowsEnv(VerifierScorer(REASON_TASKS[name](), name=name), read_rows(path))
    raw = parquet.read_table(path).to_pylist()
    assert len(env.puzzles) == len(raw) >= 400
    for position, columns in enumerate(raw):
        prompt, _ = env.reset(options={"index": position})
        assert framed(messages_of(prompt)) == columns["prompt"][0]["content"]
        row = env.puzzle.row
        assert f"{row.task}-{row.level}-{row.split}" == columns["data_source"]
        assert row.ground_truth == columns["reward_model"]["ground_truth"]
        assert (row.index, row.question) == (columns["extra_info"]["index"], columns["extra_info"]["question"])
        *_, info = env.step(env.oracle(env.puzzle))
        assert info["outcome"] == "correct"


@pytest.mark.parametrize(("name", "low", "high"), [("countdown", 0.0, 0.05), ("zebra", 0.18, 0.34), ("arc", 0.0, 0.4)])
def test_a_guess_on_the_papers_rows_is_well_formed_and_scores_what_chance_does(
    name: str, low: float, high: float, paper_tasks: Path
) -> None:
    """Zebra has 3 to 6 people in equal shares, so 24 % at random; 400 rows and seed 0."""
    pytest.importorskip("pyarrow")
    env = RowsEnv(VerifierScorer(REASON_TASKS[name](), name=name), read_rows(paper_tasks / f"{name}_test.parquet"))
    rng = np.random.default_rng(0)
    verdicts = [env.verify(puzzle, env.guess(puzzle, rng)) for puzzle in env.puzzles]
    assert {verdict.outcome for verdict in verdicts} <= {"correct", "wrong"}
    assert low <= np.mean([verdict.is_success for verdict in verdicts]) <= high


def test_a_row_in_the_papers_layout_is_read_from_jsonl(tmp_path: Path) -> None:
    assert read_rows(write_jsonl(tmp_path, COUNTDOWN_ROW)) == [
        Row(
            task="countdown",
            level="very_hard",
            split="test",
            prompt="Reach 24 by 8, 3, 8, 3.",
            ground_truth={"numbers": "8,3,8,3", "target": 24},
            index=798,
            question="24?",
            source="rows.jsonl, row 1",
        )
    ]


def test_a_row_in_the_papers_layout_reads_the_same_from_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([COUNTDOWN_ROW] * 3), tmp_path / "rows.parquet")
    rows = read_rows(tmp_path / "rows.parquet")
    assert [row.source for row in rows] == [f"rows.parquet, row {number}" for number in (1, 2, 3)]
    (expected,) = read_rows(write_jsonl(tmp_path, COUNTDOWN_ROW))
    assert (rows[0].prompt, rows[0].ground_truth, rows[0].level) == (
        expected.prompt,
        expected.ground_truth,
        expected.level,
    )


def test_a_plain_row_needs_a_task_a_prompt_and_a_ground_truth_only(tmp_path: Path) -> None:
    plain = {"task": "arc", "prompt": "?", "ground_truth": {"target": "0 1"}}
    first, second = read_rows(write_jsonl(tmp_path, plain, "\n", plain))
    assert (first.task, first.level, first.split, first.prompt, first.question) == ("arc", None, None, "?", "?")
    assert (first.index, second.index) == (0, 1)
    assert (first.source, second.source) == ("rows.jsonl, row 1", "rows.jsonl, row 3")


def test_columns_of_their_own_go_before_the_parts_of_the_data_source(tmp_path: Path) -> None:
    row = {**COUNTDOWN_ROW, "task": "mine", "level": "odd", "split": "val"}
    (read,) = read_rows(write_jsonl(tmp_path, row))
    assert (read.task, read.level, read.split) == ("mine", "odd", "val")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (with_column("data_source", 3), "column data_source: expected a str, got int 3"),
        (with_column("data_source", "a\nb"), r"column data_source: expected at most 100 characters .* got str 'a\\nb'"),
        (
            with_column("prompt", None),
            "column prompt: expected the prompt, got nothing",
        ),
        (with_column("prompt", []), r"column prompt: expected a str or a list of chat messages, got list \[\]"),
        (with_column("prompt", {"role": "user"}), "column prompt: expected a str or a list .* got dict"),
        (with_column("prompt", ["hi"]), r"column prompt\[0\]: expected a chat message .* got str 'hi'"),
        (
            with_column("prompt", [{"role": "user", "content": None}]),
            r"column prompt\[0\]: expected a chat message with a str 'content', or parts that are texts",
        ),
        (
            with_column("prompt", [{"role": "tool", "content": "4"}]),
            r"column prompt\[0\]: expected a chat message with a role system, .* got dict {'role': 'tool'",
        ),
        (
            with_column("prompt", [*ASKED, {"content": "4"}]),
            r"column prompt\[1\]: expected a chat message with a role system, .* got dict {'content'",
        ),
        (
            with_column("prompt", [{"role": "user", "content": " "}]),
            r"column prompt\[0\]: expected a chat message that says something, got dict",
        ),
        (
            with_column("prompt", [{"role": "system", "content": "Add."}]),
            "column prompt: expected chat messages with one of a user, got list",
        ),
        (
            with_column("prompt", [*ASKED, {"role": "assistant", "content": "half \ud83d"}]),
            "column prompt: expected a text that can be encoded as UTF-8, got ChatText",
        ),
        (
            with_column("reward_model.ground_truth", {"target": ["half \ud83d"]}),
            "column answer: expected a text that can be encoded as UTF-8, got dict",
        ),
        (with_column("extra_info.index", "7"), "column extra_info.index: expected an int, got str '7'"),
        (with_column("extra_info.index", True), "column extra_info.index: expected an int, got bool True"),
        (with_column("extra_info.question", 7), "column extra_info.question or question: expected a str, got int 7"),
        (with_column("extra_info.split", 7), "column split or extra_info.split: expected a str, got int 7"),
        ([1, 2], r"expected one JSON object, got list \[1, 2\]"),
        ("{broken\n", "expected one JSON object, got a broken line: "),
        ("[" * 200_000 + "\n", "expected one JSON object, got a broken line: "),
    ],
)
def test_a_malformed_row_is_refused_naming_file_row_and_column(tmp_path: Path, row: Any, message: str) -> None:
    path = write_jsonl(tmp_path, COUNTDOWN_ROW, row)
    with pytest.raises(ValueError, match=rf"^rows\.jsonl, row 2(: |, ){message}"):
        read_rows(path)


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(COUNTDOWN_ROW).encode() + b'\n{"task": "\xff"}\n')
    with pytest.raises(ValueError, match=r"^rows\.jsonl, row 2: expected one JSON object"):
        read_rows(path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"rows\.txt: expected a name that ends in \.jsonl, \.json, \.parquet, \.csv"):
        read_rows(tmp_path / "rows.txt")


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "rows.parquet").write_text("not parquet at all")
    with pytest.raises(ValueError, match=r"rows\.parquet: expected a parquet file"):
        read_rows(tmp_path / "rows.parquet")


def test_without_pyarrow_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "rows.parquet").write_bytes(b"")
    with pytest.raises(ImportError, match=r"reading rows\.parquet needs pyarrow: pip install '\.\[rows\]'"):
        read_rows(tmp_path / "rows.parquet")


@pytest.fixture
def env(tmp_path: Path) -> RowsEnv:
    rows = [with_column("extra_info.index", index) for index in range(10, 15)]
    return RowsEnv(VerifierScorer(Countdown(), name="countdown"), read_rows(write_jsonl(tmp_path, *rows)))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gymnasium_accepts_the_env(env: RowsEnv) -> None:
    check_env(env, skip_render_check=True)


def test_an_index_picks_a_row_and_a_seed_picks_one_repeatably(env: RowsEnv) -> None:
    env.reset(options={"index": np.int64(3)})
    assert env.puzzle.row.index == 13
    drawn = []
    for _ in range(2):
        env.reset(seed=5)
        drawn.append([env.reset() and env.puzzle.row.index for _ in range(40)])
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == set(range(10, 15))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": 5}, "must be within 0..4, got 5"),
        ({"index": -1}, "must be within 0..4, got -1"),
        ({"index": "1"}, "must be an int, got '1'"),
        ({"index": 1.0}, "must be an int, got 1.0"),
        ({"level": "easy"}, r"options must be among \['index', 'split'\], got \['level'\]"),
        ({"split": "train"}, "none of the 5 rows belongs to the train split"),
        ({"split": "dev"}, r"split must be one of \['train', 'test'\], got 'dev'"),
    ],
)
def test_an_option_that_names_no_row_is_refused(env: RowsEnv, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        env.reset(seed=0, options=options)


def test_rows_keep_the_wrapped_tasks_extraction(tmp_path: Path) -> None:
    rows = read_rows(write_jsonl(tmp_path, COUNTDOWN_ROW))
    response = "\\boxed{8/(3-8/3)}\n"
    outcomes = {}
    for extraction in ("last-box", "released"):
        env = RowsEnv(VerifierScorer(Countdown(extraction=extraction), name="countdown"), rows)
        env.reset(seed=0)
        outcomes[extraction] = env.step(response)[-1]["outcome"]
    assert outcomes == {"last-box": "correct", "released": "no_answer"}


def test_an_env_refuses_no_rows_and_a_malformed_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one row, got none"):
        RowsEnv(VerifierScorer(Countdown(), name="countdown"), [])
    bad = with_column("reward_model.ground_truth", {"numbers": "8,3"})
    with pytest.raises(ValueError, match=r"rows\.jsonl, row 2, column ground_truth: .*int 'target', got None"):
        RowsEnv(VerifierScorer(Countdown(), name="countdown"), read_rows(write_jsonl(tmp_path, COUNTDOWN_ROW, bad)))


def plain_row(numbers: str, target: int, **columns: Any) -> dict[str, Any]:
    return {"task": "countdown", "prompt": "p", "ground_truth": {"numbers": numbers, "target": target}, **columns}


def test_rows_that_name_a_split_are_drawn_in_it_alone_and_others_by_their_key(tmp_path: Path) -> None:
    named = [plain_row(f"{i},1", i + 1, split=split) for i, split in enumerate(["train", "test", "validation"] * 4)]
    unnamed = [plain_row(f"{i},99", i + 99) for i in range(200)]
    rows = read_rows(write_jsonl(tmp_path, *named, *unnamed))
    env = RowsEnv(VerifierScorer(Countdown(), name="countdown"), rows)
    drawn: dict[str, set[int]] = {"train": set(), "test": set()}
    for split, seen in drawn.items():
        for seed in range(1500):
            env.reset(seed=seed, options={"split": split})
            seen.add(env.puzzle.row.index)
    assert not drawn["train"] & drawn["test"]
    assert drawn["train"] | drawn["test"] == set(range(212))
    assert {i for i in drawn["train"] if i < 12} == {0, 3, 6, 9}
    assert 5 < len([i for i in drawn["test"] if i >= 12]) < 60


def test_a_suite_of_rows_has_a_task_for_each_level_and_shows_every_row_once_an_epoch(tmp_path: Path) -> None:
    easy = [plain_row(f"{i},1", i + 1, level="easy", split="train" if i else "test") for i in range(10)]
    hard = [plain_row(f"{i},2", i + 2, level="hard", split="train" if i else "test") for i in range(6)]
    suite = rows_suite(read_rows(write_jsonl(tmp_path, *hard, *easy)))
    assert suite.names == ("countdown-hard", "countdown-easy")
    for task_id, count in ((0, 5), (1, 9)):
        env = suite.envs(task_id, 1)[0]
        shown: list[int] = []
        for _ in range(count):
            problem = suite.next_problem(task_id)
            _, info = env.reset(seed=problem.seed, options=dict(problem.options))
            shown.append(env.unwrapped.puzzle.row.index)  # pyright: ignore[reportAttributeAccessIssue]
            assert info["provenance"]["task"] == suite.names[task_id]
        assert len(set(shown)) == count


def test_problems_shared_by_two_files_are_found_however_they_are_worded(tmp_path: Path) -> None:
    first = read_rows(write_jsonl(tmp_path, plain_row("1,2,3", 6), plain_row("4,5,6", 15)))
    second = read_rows(
        write_jsonl(tmp_path, plain_row("7,8", 15), {**plain_row("3,1,2", 6), "prompt": "Another wording"})
    )
    assert [(a.source, b.source) for a, b in shared_problems(first, second)] == [
        ("rows.jsonl, row 1", "rows.jsonl, row 2")
    ]


def test_stored_responses_are_read_one_at_a_time(tmp_path: Path) -> None:
    named = {"data_source": "zebra-hard-test", "prompt": "Who?", "ground_truth": {"target": "bob"}, "response": ""}
    stream = read_responses(write_jsonl(tmp_path, RESPONSE, named, {**RESPONSE, "response": None}))
    first, second = next(stream), next(stream)
    assert (first.row.task, first.row.level, first.row.prompt, first.response) == ("zebra", None, "", r"\boxed{Alice}")
    assert (second.row.task, second.row.level, second.row.prompt, second.response) == ("zebra", "hard", "Who?", "")
    with pytest.raises(ValueError, match=r"^rows\.jsonl, row 3, column response: expected a str, got nothing"):
        next(stream)


def test_lone_surrogates_in_a_stored_response_survive(tmp_path: Path) -> None:
    (stored,) = read_responses(write_jsonl(tmp_path, {**RESPONSE, "response": "\ud800 \\boxed{alice}"}))
    assert stored.response == "\ud800 \\boxed{alice}"


def test_a_line_separator_inside_a_string_does_not_end_the_row(tmp_path: Path) -> None:
    line = json.dumps({**RESPONSE, "response": "a\u2028b"}, ensure_ascii=False) + "\n"
    (record,) = read_records(write_jsonl(tmp_path, line))
    assert record.find("response") == "a\u2028b"
