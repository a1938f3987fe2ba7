"""Rows as problems: which are held out, which are one problem, and what is said of it."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.countdown import Countdown
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_scorers import VerifierScorer
from mtgrpo_env.envs.row_table import RowTable, split_by_key
from mtgrpo_env.envs.rows import RowsEnv, rows_problems, rows_suite
from mtgrpo_env.envs.rows_env import distinct_problems
from mtgrpo_env.log_once import forget_written
from mtgrpo_env.text_env import split_of

SCORER = VerifierScorer(Countdown(), name="countdown")


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    """As in a new process."""
    forget_written()


def row(number: int, split: str | None = None, *, target: int = 5, level: str = "easy", source: int = 1) -> Row:
    return Row(
        task="countdown",
        level=level,
        split=split,
        prompt=f"Reach {target} by {number}.",
        ground_truth={"numbers": f"{number},1000", "target": target},
        index=number,
        question="",
        source=f"rows.jsonl, row {source}",
    )


def table_of(marks: Sequence[tuple[int, str | None]]) -> RowTable:
    return RowTable(SCORER, [row(number, mark, source=place) for place, (number, mark) in enumerate(marks, start=1)])


def numbers(table: RowTable, split: Any) -> set[int]:
    return {table.puzzles[place].row.index for place in table.indices[split]}


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([None, "train", "test", "dev"])), min_size=1, max_size=30)
)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_every_problem_is_in_one_split_and_neither_is_empty_unless_the_rows_mark_it_so(
    marks: list[tuple[int, str | None]],
) -> None:
    table = table_of(marks)
    train, test = numbers(table, "train"), numbers(table, "test")
    assert train | test == {number for number, _ in marks}
    assert not train & test
    assert all(len(set(table.indices[split])) == len(table.indices[split]) for split in ("train", "test"))
    held_out = {number for number, mark in marks if mark in ("test", "dev")}
    assert table.is_marked == (bool(held_out) and any(mark == "train" for _, mark in marks))
    if table.is_marked:
        assert held_out <= test
        assert {number for number, mark in marks if mark == "train"} - held_out <= train
    elif len(train | test) > 1:
        assert train
        assert test


@pytest.mark.parametrize("mark", [None, "train", "test"])
def test_rows_of_one_mark_or_none_are_split_by_key_and_stay_there_when_rows_are_added(mark: str | None) -> None:
    before, after = (table_of([(number, mark) for number in range(size)]) for size in (100, 160))
    assert numbers(before, "test") == numbers(after, "test") & set(range(100))
    assert numbers(before, "test") == {i for i, key in enumerate(before.keys) if split_of(key) == "test"}
    assert 4 < len(numbers(before, "test")) < 25


@given(st.sets(st.text(), min_size=2, max_size=40))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_no_split_by_key_leaves_a_side_empty(keys: set[str]) -> None:
    splits = split_by_key(keys)
    assert set(splits.values()) == {"train", "test"}
    assert splits == split_by_key(sorted(keys, reverse=True))


def test_where_the_keys_hold_out_none_the_eighth_part_of_the_smallest_hashes_is() -> None:
    keys = [key for key in map(str, range(60)) if split_of(key) == "train"][:24]
    assert list(split_by_key(keys).values()).count("test") == 3
    keys = [key for key in map(str, range(200)) if split_of(key) == "test"][:4]
    assert list(split_by_key(keys).values()).count("test") == 1


def test_a_problem_that_is_marked_both_ways_is_held_out_and_the_rows_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    marks = [(1, "train"), (2, "train"), (3, "test"), (2, "validation"), (4, "train"), (2, "train")]
    with caplog.at_level(logging.INFO):
        table = table_of(marks)
        assert len(caplog.records) == 1  # a split is said when it is used
        assert (numbers(table, "train"), numbers(table, "test")) == ({1, 4}, {2, 3})
    assert [(one.source, other.source) for one, other in table.leaks] == [("rows.jsonl, row 2", "rows.jsonl, row 4")]
    warned, said = caplog.records
    assert said.message == (
        "task 'countdown-easy': 6 rows, 4 distinct problems: 2 to train on, 2 held out, split as the rows are marked"
    )
    assert warned.levelno == logging.WARNING
    assert (
        "1 problems are marked both for training and for another split, and are held out: rows.jsonl, row 2 and "
        in (warned.message)
    )


def test_a_table_is_made_once_for_all_envs_of_a_suite_and_what_it_holds_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [row(number, level="medium") for number in range(30)]
    with caplog.at_level(logging.INFO):
        envs = [env.unwrapped for _ in range(2) for env in rows_suite(rows).envs(0, 3)]
        assert all(env.indices("train") for env in envs if isinstance(env, RowsEnv))
    tables = {id(env.table) for env in envs if isinstance(env, RowsEnv)}
    assert len(tables) == 2  # one a suite
    assert [record.message.partition(":")[0] for record in caplog.records] == ["task 'countdown-medium'"]
    assert isinstance(envs[0], RowsEnv)
    assert envs[0].split_sizes == {"train": len(envs[0].indices("train")), "test": len(envs[0].indices("test"))}
    assert sum(envs[0].split_sizes.values()) == 30


def test_a_single_problem_is_trained_on_or_where_its_mark_says() -> None:
    assert [numbers(table_of([(1, mark)] * 2), "train") for mark in (None, "train", "test")] == [{1}, {1}, set()]
    suite = rows_suite([row(1), row(1)])
    assert [suite.next_problem(0).options["index"] for _ in range(3)] == [0, 0, 0]
    with pytest.raises(ValueError, match="has no test problems: it takes two distinct ones to hold one out"):
        suite.held_out(10)


def test_held_out_rows_are_distinct_and_fewer_than_asked_for_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    rows = [row(number, "test" if number < 4 else "train", level="hard") for number in range(20)] * 2
    suite = rows_suite(rows)
    with caplog.at_level(logging.INFO, logger="mtgrpo_env.suite"):
        problems = [suite.held_out(300), suite.held_out(300)]
    assert problems[0] == problems[1]
    assert sorted(problem.options["index"] for problem in problems[0]) == [0, 1, 2, 3]
    said = [record.message for record in caplog.records if record.name == "mtgrpo_env.suite"]
    assert said == [
        "task 'countdown-hard': 4 distinct test problems, fewer than the 300 asked for: each is played once"
    ]


def test_a_row_of_the_other_split_is_not_shown_for_this_one() -> None:
    env = RowsEnv(SCORER, [row(1, "train"), row(2, "test", source=2)])
    assert env.reset(options={"index": 1, "split": "test"})[1]["provenance"]["split"] == "test"
    with pytest.raises(ValueError, match=r"rows\.jsonl, row 2 is of the test split, expected one of train"):
        env.reset(options={"index": 1, "split": "train"})


def test_the_provenance_of_a_row_without_a_chosen_split_has_its_mark() -> None:
    env = RowsEnv(SCORER, [row(number, "test") for number in range(30)])
    assert {env.reset(options={"index": i})[1]["provenance"]["split"] for i in range(30)} == {"test"}
    drawn = env.indices("train")[0]
    assert env.reset(options={"index": drawn, "split": "train"})[1]["provenance"]["split"] == "train"


def test_rows_of_one_problem_and_truth_are_played_once_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    rows = [row(1), row(2), row(1), row(1, target=6), row(1, level="hard"), row(1, level="hard")]
    suite = rows_suite(rows)
    with caplog.at_level(logging.INFO, logger="mtgrpo_env.envs.rows_env"):
        kept = distinct_problems(suite, rows_problems(suite, rows))
    assert [(suite.names[p.task_id], p.options["index"]) for p in kept] == [
        ("countdown-easy", 0),
        ("countdown-easy", 1),
        ("countdown-easy", 3),
        ("countdown-hard", 0),
    ]
    assert "2 of 6 rows repeat another row's problem and ground truth" in caplog.text


def test_a_suite_of_rows_can_be_pickled_and_draws_on() -> None:
    suite = rows_suite([row(number) for number in range(20)])
    suite.next_problem(0)
    copy = pickle.loads(pickle.dumps(suite))
    assert [copy.next_problem(0) for _ in range(30)] == [suite.next_problem(0) for _ in range(30)]
