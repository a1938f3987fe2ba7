"""Countdown: every puzzle has a verified solution, near-misses and hostile answers are wrong, and nothing is slow."""

from __future__ import annotations

import json
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.chat import messages_of
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.arithmetic import evaluate
from mtgrpo_env.envs.countdown import Countdown, CountdownLevel, CountdownPuzzle
from mtgrpo_env.paper_frame import framed
from mtgrpo_env.text_env import NoKnownSolution, NoSolution

LEVELS = list(Countdown.LEVELS)

HOSTILE = [
    "44**19**35",
    "9**9**9**9",
    "99**99999999",
    "9999999!",
    "2**3**2",
    "10//3",
    "3.5*2",
    "100+1/99/98/97",
    "5!-20",
    "75+20+5+pi-pi",
    "__import__('os').system('true')",
    "100.0",
    "1e2",
    "0x64",
    "１00",
    "١٠٠",
    "100\x00",
    "100\ud800",
    "100==100",
    "100 # because",
    "lambda:100",
    "(100",
    "100)",
    "+100",
    "--100",
    "00100",
    "1 00",
    "10^2",
    "9" * 100_000,
    "(" * 500_000 + "100" + ")" * 500_000,
    "100" + "-0" * 400_000,
    "(" * 1_000_000,
    "100*" * 250_000,
    "1/" * 500_000,
    "\\boxed{" * 150_000,
    "\x00" * 1_000_000,
]


@st.composite
def task_and_puzzle(draw: st.DrawFn) -> tuple[Countdown, CountdownPuzzle]:
    task = Countdown(draw(st.sampled_from(LEVELS)))
    return task, task.generate(np.random.default_rng(draw(st.integers(0, 2**32))))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_the_oracle_of_a_generated_puzzle_is_correct(drawn: tuple[Countdown, CountdownPuzzle]) -> None:
    task, puzzle = drawn
    assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct"


@settings(max_examples=150, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_generated_puzzles_stay_within_their_level(drawn: tuple[Countdown, CountdownPuzzle]) -> None:
    task, puzzle = drawn
    low, high = task.level.number_range
    first, last = task.level.target_range
    assert len(puzzle.numbers) == task.level.count
    assert all(low <= number <= high for number in puzzle.numbers)
    assert first <= puzzle.target <= last


def test_the_paper_levels_have_three_to_six_numbers_up_to_100_and_targets_up_to_1000() -> None:
    levels = [Countdown(name).level for name in ("easy", "medium", "hard", "very_hard")]
    assert [(level.count, level.number_range, level.target_range) for level in levels] == [
        (count, (1, 100), (1, 1000)) for count in (3, 4, 5, 6)
    ]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(task_and_puzzle(), st.integers(0, 2**32))
def test_near_misses_are_wrong(drawn: tuple[Countdown, CountdownPuzzle], seed: int) -> None:
    task, puzzle = drawn
    answer = task.oracle(puzzle)[len("\\boxed{") : -1]
    number = puzzle.numbers[seed % len(puzzle.numbers)]
    near_misses = {
        "just the target": f"{puzzle.target}",
        "a number used twice": f"{answer}+{number}-{number}",
        "a number that was not given": f"{answer}+0",
        "a one that was not given": f"({answer})*1",
        "off by one": f"{answer}+1",
        "off by a tiny fraction": f"{answer}+1/999999999999999999",
        "an equation of another value": f"{answer}={puzzle.target + 1}",
        "the negative": f"0-({answer})",
        "a sign": f"-({answer})",
        "a word": f"{answer} of course",
    }
    for name, near_miss in near_misses.items():
        assert task.verify(puzzle, boxed(near_miss)).outcome == "wrong", name
    other = CountdownPuzzle(puzzle.numbers, puzzle.target + 1)
    assert task.verify(other, boxed(answer)).outcome == "wrong"
    assert task.verify(CountdownPuzzle((*puzzle.numbers, 1), puzzle.target), boxed(answer)).outcome == "wrong"
    assert task.verify(CountdownPuzzle(puzzle.numbers[1:], puzzle.target), boxed(answer)).outcome == "wrong"


def test_every_number_must_be_used_as_often_as_it_was_given() -> None:
    task, puzzle = Countdown("easy"), CountdownPuzzle((6, 6, 2), 18)
    assert task.is_correct(puzzle, "6+6*2")
    assert not task.is_correct(puzzle, "6+6+2+2+2")
    assert not task.is_correct(puzzle, "2*(6+2)+2")
    assert not task.is_correct(puzzle, "6+12")


def test_fractions_on_the_way_are_exact() -> None:
    task = Countdown("medium")
    assert task.is_correct(CountdownPuzzle((8, 3, 8, 3), 24), "8/(3-8/3)")
    assert not task.is_correct(CountdownPuzzle((100, 1, 99, 98, 97), 100), "100+1/99/98/97")


@pytest.mark.parametrize("numbers", [(100,), (3, 5, 2), (9, 9, 9, 9), (44, 19, 35), (75, 20, 5), (100, 1, 99, 98, 97)])
@pytest.mark.parametrize("target", [100, 9, 3, 7, 512])
def test_hostile_answers_are_never_correct_and_never_slow(numbers: tuple[int, ...], target: int) -> None:
    task = Countdown("easy")
    puzzle = CountdownPuzzle(numbers, target)
    for answer in HOSTILE:
        start = time.process_time()
        assert not task.verify(puzzle, boxed(answer)).is_success, ascii(answer[:40])
        assert not task.is_correct(puzzle, answer), ascii(answer[:40])
        assert time.process_time() - start < 2.0, ascii(answer[:40])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text("0123456789+-*/() ", max_size=40) | st.text(max_size=40))
def test_any_text_in_a_box_gets_a_verdict(answer: str) -> None:
    verdict = Countdown("mini").verify(CountdownPuzzle((3, 5, 7), 22), boxed(answer))
    assert verdict.outcome in ("correct", "wrong", "no_answer")


def test_a_guess_is_well_formed_and_uses_every_number() -> None:
    rng = np.random.default_rng(0)
    for level in LEVELS:
        task = Countdown(level)
        for _ in range(50):
            puzzle = task.generate(rng)
            guess = task.guess(puzzle, rng)
            assert task.verify(puzzle, guess).outcome in ("correct", "wrong")
            assert sorted(evaluate(guess[len("\\boxed{") : -1]).numbers) == sorted(puzzle.numbers)


@pytest.mark.parametrize("level", LEVELS)
def test_equal_seeds_generate_equal_puzzles_and_others_differ(level: str) -> None:
    task = Countdown(level)
    first, again, other = (
        [task.generate(rng) for _ in range(20)] for rng in (np.random.default_rng(seed) for seed in (1, 1, 2))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("level", LEVELS)
def test_targets_spread_over_their_range(level: str) -> None:
    """On 2000 puzzles of seed 0: no target takes 8 %, and each quarter of the range has 0.5 % or more."""
    task, rng = Countdown(level), np.random.default_rng(0)
    targets = np.array([task.generate(rng).target for _ in range(2000)])
    assert np.bincount(targets).max() < 0.08 * len(targets)
    quarters, _ = np.histogram(targets, bins=4, range=task.level.target_range)
    assert quarters.min() >= 0.005 * len(targets)


def test_solutions_of_generated_puzzles_need_every_operator() -> None:
    task, rng = Countdown("easy"), np.random.default_rng(0)
    answers = [task.oracle(task.generate(rng)) for _ in range(500)]
    for operator in "+-*/(":
        assert sum(operator in answer for answer in answers) > 25, operator


def test_the_key_and_the_compact_prompt_forget_the_order_of_the_numbers() -> None:
    task = Countdown("mini")
    puzzles = [CountdownPuzzle(order, 22) for order in permutations((3, 5, 7))]
    assert {task.key(puzzle) for puzzle in puzzles} == {"3,5,7=22"}
    assert {task.prompt(puzzle) for puzzle in puzzles} == {"C3,5,7=22:"}
    assert {task.oracle(puzzle) for puzzle in puzzles} == {"\\boxed{3*5+7}"}


def test_the_splits_of_mini_share_no_prompt_and_both_have_plenty() -> None:
    prompts = {}
    for split in ("train", "test"):
        task = Countdown("mini", split=split)
        task.reset(seed=0)
        prompts[split] = {task.reset()[0] for _ in range(400)}
    assert not prompts["train"] & prompts["test"]
    assert len(prompts["train"]) > 300
    assert len(prompts["test"]) > 100


def test_an_unsolvable_puzzle_has_no_oracle() -> None:
    with pytest.raises(NoSolution, match="expected a puzzle with a solution"):
        Countdown("easy").oracle(CountdownPuzzle((1, 1, 1), 900))


@pytest.mark.parametrize("numbers", ["8,73,96", " 8, 73 ,96", [8, 73, 96], (8, 73, 96), [8.0, 73, 96.0]])
def test_ground_truth_reads_numbers_as_text_or_as_a_list(numbers: Any) -> None:
    for target in (841, 841.0, np.int64(841)):
        puzzle = Countdown.from_ground_truth({"numbers": numbers, "target": target}, "")
        assert puzzle == CountdownPuzzle((8, 73, 96), 841)


@pytest.mark.parametrize(
    "numbers", [None, "", "8,", "8;73", "8,7.5", "8,-3", "٣,4", "1_0", 8, [], [8, "73"], [8, -1], [True, 2], [8.5], {}]
)
def test_malformed_numbers_are_refused_with_what_was_expected(numbers: Any) -> None:
    with pytest.raises(ValueError, match=r"needs 'numbers' like .* got"):
        Countdown.from_ground_truth({"numbers": numbers, "target": 841}, "")


@pytest.mark.parametrize("target", [None, "841", 841.5, float("nan"), True])
def test_a_target_that_is_no_int_is_refused(target: Any) -> None:
    with pytest.raises(ValueError, match="needs an int 'target', got"):
        Countdown.from_ground_truth({"numbers": "8,73,96", "target": target}, "")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("numbers", [1] * 101, "needs 1 to 100 'numbers', got 101"),
        ("numbers", ",".join("1" * 101), "needs 1 to 100 'numbers', got 101"),
        ("numbers", [10**19], r"from 0 to 10\^18, got"),
        ("target", 10**19, r"from -10\^18 to 10\^18, got"),
        ("target", 10**400, r"from -10\^18 to 10\^18, got 1\.000e\+400"),
        ("target", -(10**400), r"from -10\^18 to 10\^18, got -1\.000e\+400"),
    ],
)
def test_absurd_sizes_are_refused_with_the_accepted_range(field: str, value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Countdown.from_ground_truth({"numbers": "8,73,96", "target": 841, field: value}, "")


def test_a_row_beyond_the_search_has_no_known_solution_and_is_still_judged() -> None:
    puzzle = CountdownPuzzle(tuple(range(1, 14)), 91)
    with pytest.raises(NoKnownSolution, match="got 13"):
        Countdown("easy").oracle(puzzle)
    assert Countdown("easy").verify(puzzle, rf"\boxed{{{'+'.join(map(str, puzzle.numbers))}}}").is_success


def test_a_level_of_ones_own_generates_too() -> None:
    task = Countdown("mini")
    task.level = CountdownLevel(2, number_range=(2, 3), target_range=(4, 9))
    rng = np.random.default_rng(0)
    assert {task.generate(rng).target for _ in range(100)} == {4, 5, 6, 9}


def test_prompts_of_the_papers_rows_are_reproduced_to_the_letter(paper_tasks: Path) -> None:
    for level, ground_truth, prompt in _paper_rows(paper_tasks):
        asked = Countdown(level).prompt(Countdown.from_ground_truth(ground_truth, ""))
        assert framed(messages_of(asked)) == prompt


def test_every_row_of_the_paper_is_solved(paper_tasks: Path) -> None:
    for level, ground_truth, _ in _paper_rows(paper_tasks):
        task, puzzle = Countdown(level), Countdown.from_ground_truth(ground_truth, "")
        assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct", json.dumps(ground_truth)


def _paper_rows(folder: Path) -> list[tuple[str, dict[str, Any], str]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(folder / "countdown_test.parquet").to_pylist()
    assert len(rows) >= 400
    return [
        (row["data_source"].split("-")[1], row["reward_model"]["ground_truth"], row["prompt"][0]["content"])
        for row in rows
    ]
