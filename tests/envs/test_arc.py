"""ARC-1D: rules do what their names say, puzzles have one reading, and anything but the exact row is wrong."""

from __future__ import annotations

import pickle
import re
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.chat import messages_of
from mtgrpo_env.checker import check_task
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.arc import Arc, ArcLevel, ArcPuzzle
from mtgrpo_env.envs.arc_rules import RULES
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.paper_frame import framed
from mtgrpo_env.suite import Task

LEVELS = list(Arc.LEVELS)

# One case of each rule, worked out by hand.
CASES = {
    "move_right_1": ("0044000000", "0004400000"),
    "move_right_2": ("0044000000", "0000440000"),
    "move_right_3": ("0044000000", "0000044000"),
    "move_left_1": ("0000770000", "0007700000"),
    "move_left_2": ("0000770000", "0077000000"),
    "move_left_3": ("0000770000", "0770000000"),
    "to_left_wall": ("0003120000", "3120000000"),
    "to_right_wall": ("0003120000", "0000000312"),
    "fall_left": ("0301002008", "3128000000"),
    "fall_right": ("0301002008", "0000003128"),
    "mirror": ("0312000000", "0000002130"),
    "mirror_in_place": ("0031200000", "0021300000"),
    "hollow": ("0333302220", "0300302020"),
    "fill_pairs": ("4000407070", "4444407770"),
    "grow_right": ("0200030000", "0222233333"),
    "grow_left": ("0002000300", "2222333300"),
    "grow_to_marker": ("0220000500", "0222222500"),
    "move_to_marker": ("0120000500", "0000012500"),
    "reflect_at_marker": ("0123500000", "0123532100"),
    "outline": ("0022000200", "0522505250"),
    "mark_middle": ("0333002222", "0353002222"),
    "every_second": ("0333302200", "0303002000"),
    "colour_by_length": ("0880800888", "0220100333"),
    "colour_by_parity": ("0880800888", "0220100111"),
    "colour_longest": ("0880888000", "0880555000"),
    "keep_longest": ("0110222000", "0000222000"),
    "erase_longest": ("0110222000", "0110000000"),
    "erase_single_cells": ("0110200333", "0110000333"),
    "smooth": ("0115100332", "0111100333"),
    "take_first_colour": ("0110200333", "0110100111"),
    "swap_colours": ("0110200111", "0220100222"),
    "invert": ("0880800088", "8008088800"),
    "count_runs": ("0880800088", "8880000000"),
    "sort_runs": ("0111203300", "2033011100"),
    "sort_cells": ("0031200000", "0000000123"),
    "swap_halves": ("0031200000", "0000000312"),
    "repeat_pattern": ("1200000000", "1212121212"),
    "append_mirror": ("1230000000", "1233210000"),
    "double_cells": ("1230000000", "1122330000"),
    "stamp_at_markers": ("1200500500", "1200120120"),
}
"""Rule: the row before and after."""


@st.composite
def task_and_puzzle(draw: st.DrawFn) -> tuple[Arc, ArcPuzzle]:
    task = Arc(draw(st.sampled_from(LEVELS)))
    return task, task.generate(np.random.default_rng(draw(st.integers(0, 2**32))))


def test_there_are_more_than_twenty_rules_and_each_has_a_case() -> None:
    assert len(RULES) > 20
    assert RULES.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_rule_does_what_its_name_says(name: str) -> None:
    before, after = CASES[name]
    assert RULES[name].transform(before) == after


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text("0123456789", max_size=40) | st.text("05", max_size=20) | st.text("0123", max_size=20))
def test_rules_turn_any_row_into_a_row_of_the_same_length(row: str) -> None:
    for name, rule in RULES.items():
        assert re.fullmatch(rf"[0-9]{{{len(row)}}}", rule.transform(row)), name


@pytest.mark.parametrize("length", [4, 6, 10, 40])
@pytest.mark.parametrize("name", RULES)
def test_rules_draw_rows_of_the_length_asked_for_and_mostly_change_them(name: str, length: int) -> None:
    rule, dice = RULES[name], Dice(np.random.default_rng(0))
    rows = [rule.draw(dice, length) for _ in range(100)]
    assert all(re.fullmatch(rf"[0-9]{{{length}}}", row) for row in rows)
    if length >= 10:
        assert sum(rule.transform(row) != row for row in rows) > 30
        assert len(set(rows)) > 30


@settings(max_examples=150, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_the_oracle_of_a_generated_puzzle_is_correct(drawn: tuple[Arc, ArcPuzzle]) -> None:
    task, puzzle = drawn
    assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct"


@settings(max_examples=150, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_generated_puzzles_show_changes_and_have_one_answer(drawn: tuple[Arc, ArcPuzzle]) -> None:
    task, puzzle = drawn
    rows = [*puzzle.examples, (puzzle.test, puzzle.answer)]
    assert len(puzzle.examples) == task.level.num_examples
    assert all(len(row) == task.level.length for pair in rows for row in pair)
    assert all(before != after for before, after in rows)
    assert len({before for before, _ in rows}) == len(rows)
    rules = [RULES[name].transform for name in task.level.rules]
    answers = {rule(puzzle.test) for rule in rules if all(rule(before) == after for before, after in puzzle.examples)}
    assert answers == {puzzle.answer}


def test_every_rule_of_a_level_comes_up() -> None:
    """In 1500 puzzles of seed 0, each rule explains at least ten of every level."""
    for level in ("mini", "easy"):
        task, rng = Arc(level), np.random.default_rng(0)
        counts: Counter[str] = Counter()
        for _ in range(1500):
            shown = task.generate(rng).examples
            counts.update(n for n in task.level.rules if all(RULES[n].transform(a) == b for a, b in shown))
        assert min(counts[name] for name in task.level.rules) >= 10, counts


def test_the_paper_levels_have_rows_of_ten_to_forty_cells_and_three_examples() -> None:
    levels = [Arc(name).level for name in ("easy", "medium", "hard", "very_hard")]
    assert [(level.length, level.num_examples, level.compact) for level in levels] == [
        (length, 3, False) for length in (10, 20, 30, 40)
    ]


def test_mini_prompts_are_short_and_plenty() -> None:
    task, rng = Arc("mini"), np.random.default_rng(0)
    prompts = {task.prompt(task.generate(rng)) for _ in range(3000)}
    assert all(re.fullmatch(r"A(\d{6}>\d{6},){2}\d{6}:", prompt) for prompt in prompts)
    assert len(prompts) > 2900


@pytest.mark.parametrize(
    "dress", ["%s.", r"\textbf{%s}", r"\mathbf{%s}.", "**%s**", "`%s`", "$%s$", r"\text{%s.}", r"\large %s"]
)
@pytest.mark.parametrize("blank", [" ", r"\ ", r"\,", "~", r"\quad "])
def test_a_row_counts_in_any_dress(dress: str, blank: str) -> None:
    for level in ("mini", "easy"):
        task = Arc(level)
        puzzle = task.generate(np.random.default_rng(0))
        row = task.level.write(puzzle.answer)
        assert task.verify(puzzle, boxed(dress % row.replace(" ", blank))).outcome == "correct"
        other = row[:-1] + ("1" if row[-1] == "0" else "0")
        assert task.verify(puzzle, boxed(dress % other.replace(" ", blank))).outcome == "wrong"


@settings(max_examples=100, derandomize=True, deadline=None)
@given(task_and_puzzle(), st.data())
def test_near_misses_are_wrong(drawn: tuple[Arc, ArcPuzzle], data: st.DataObject) -> None:
    task, puzzle = drawn
    row, write = puzzle.answer, task.level.write
    spot = data.draw(st.integers(0, len(row) - 1))
    near_misses = {
        "one cell off": write(row[:spot] + str((int(row[spot]) + 1) % 10) + row[spot + 1 :]),
        "a cell too many": write(row + "0"),
        "a cell too few": write(row[:-1]),
        "the row twice": write(row + row),
        "two rows": f"{write(row)}\n{write(row)}",
        "the input": write(puzzle.test),
        "the other notation": " ".join(row) if task.level.compact else row,
        "commas": ",".join(row),
        "brackets": f"[{write(row)}]",
        "a label": f"Output: {write(row)}",
        "full-width digits": write(row).translate({ord("0") + k: 0xFF10 + k for k in range(10)}),
    }
    for name, near_miss in near_misses.items():
        assert task.verify(puzzle, boxed(near_miss)).outcome == "wrong", name
    assert task.verify(puzzle, write(row)).outcome == "no_answer"
    assert task.verify(puzzle, boxed(" ")).outcome == "no_answer"


@settings(max_examples=50, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_blanks_around_cells_do_not_matter(drawn: tuple[Arc, ArcPuzzle]) -> None:
    task, puzzle = drawn
    spaced = task.level.write(puzzle.answer).replace(" ", " \n ")
    assert task.verify(puzzle, f"So: {boxed(f'  {spaced} ')}. Done.").outcome == "correct"


def test_long_answers_are_judged_in_no_time() -> None:
    task = Arc("very_hard")
    puzzle = task.generate(np.random.default_rng(0))
    for answer in ("0 " * 450_000, "0" * 900_000, "\x00" * 900_000, " " * 900_000 + "0", "\u2003" * 900_000):
        start = time.process_time()
        assert not task.verify(puzzle, boxed(answer)).is_success
        assert time.process_time() - start < 1.0


@pytest.mark.parametrize("level", LEVELS)
def test_a_guess_is_a_row_over_the_colours_shown_and_almost_never_right(level: str) -> None:
    """On 300 guesses at seed 0: fewer than 5 % are right even on six cells."""
    task, rng = Arc(level), np.random.default_rng(0)
    right = 0
    for _ in range(300):
        puzzle = task.generate(rng)
        guess = task.guess(puzzle, rng)
        cells = guess[len("\\boxed{") : -1].replace(" ", "")
        assert len(cells) == task.level.length
        assert set(cells) <= set("".join(before + after for before, after in puzzle.examples))
        right += task.verify(puzzle, guess).is_success
    assert right < 15


def test_the_key_forgets_the_order_of_the_examples() -> None:
    task = Arc("mini")
    one, other = ("001100", "000110"), ("020000", "002000")
    keys = {task.key(ArcPuzzle(examples, "333000", "033300")) for examples in ((one, other), (other, one))}
    assert len(keys) == 1
    assert task.key(ArcPuzzle((one, other), "033000", "003300")) not in keys
    assert task.key(Arc.from_ground_truth({"target": "1"}, "What?")) != task.key(
        Arc.from_ground_truth({"target": "1"}, "How?")
    )


@pytest.mark.parametrize("level", LEVELS)
def test_equal_seeds_generate_equal_puzzles_and_others_differ(level: str) -> None:
    task = Arc(level)
    first, again, other = (task.generate(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert hash(first) == hash(again)
    assert first != other
    assert pickle.loads(pickle.dumps(first)) == first


@pytest.mark.parametrize("level", LEVELS)
def test_the_env_keeps_its_promises(level: str) -> None:
    check_task(Task.from_text(f"arc-{level}", partial(Arc, level)), num_problems=10)


@pytest.mark.parametrize("level", ["mini", "easy"])
def test_the_splits_share_no_key(level: str) -> None:
    keys = {}
    for split in ("train", "test"):
        task = Arc(level, split=split)
        keys[split] = {task.key(task.draw(seed, {})) for seed in range(300)}
    assert not keys["train"] & keys["test"]
    assert min(map(len, keys.values())) > 250


def test_a_level_whose_rules_cannot_show_says_so() -> None:
    task = Arc("mini")
    task.level = ArcLevel(length=1, rules=("mirror",))
    with pytest.raises(RuntimeError, match=r"no unambiguous puzzle in 1000 draws for ArcLevel\(length=1"):
        task.generate(np.random.default_rng(0))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_a_generated_prompt_is_read_back(drawn: tuple[Arc, ArcPuzzle]) -> None:
    task, puzzle = drawn
    target = task.level.write(puzzle.answer)
    assert Arc.from_ground_truth({"target": target}, task.prompt(puzzle)) == puzzle


@pytest.mark.parametrize("question", ["", "What comes next?", "Input:  0 1\nOutput: 1 0", "A01>10:", "Input:\n0 1"])
def test_a_question_without_examples_is_kept_as_it_is(question: str) -> None:
    task = Arc("easy")
    puzzle = Arc.from_ground_truth({"target": "0 1"}, question)
    assert task.prompt(puzzle) == question
    assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct"
    assert task.guess(puzzle, np.random.default_rng(0)) == boxed("0 0")


@pytest.mark.parametrize("target", [None, "", " ", 10, ["0", "1"], "0 x", "0 -1", "1.0", "٠ ١"])
def test_a_malformed_target_is_refused(target: Any) -> None:
    with pytest.raises(ValueError, match=r"'target'.* got"):
        Arc.from_ground_truth({"target": target}, "")


def test_prompts_of_the_papers_rows_are_reproduced_to_the_letter(paper_tasks: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(paper_tasks / "arc_test.parquet").to_pylist()
    assert len(rows) >= 400
    for row in rows:
        task, prompt = Arc(row["data_source"].split("-")[1]), row["prompt"][0]["content"]
        for question in (row["extra_info"]["question"], prompt):
            puzzle = Arc.from_ground_truth(row["reward_model"]["ground_truth"], question)
            assert len(puzzle.examples) == 3
            assert {len(cells) for pair in puzzle.examples for cells in pair} == {task.level.length}
            assert framed(messages_of(task.prompt(puzzle))) == prompt
            assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct"


def test_a_row_of_a_million_cells_is_refused_with_the_accepted_range() -> None:
    with pytest.raises(ValueError, match="must be 1 to 10,000 digits, got 1,000,000"):
        Arc.from_ground_truth({"target": "0 1 " * 500_000}, "")
