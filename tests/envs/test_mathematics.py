"""Mathematics as a task: oracles and guesses, data rows, scorer errors, and early judging."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from math_pairs import HOSTILE

from mtgrpo_env.chat import Message
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.math_questions import MathPuzzle
from mtgrpo_env.envs.mathematics import Mathematics
from mtgrpo_env.envs.symbolic import grading
from mtgrpo_env.envs.worker_pool import WorkerPool
from mtgrpo_env.extras import MissingPackageError
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.paper_frame import framed
from mtgrpo_env.text_env import SCORER_ERROR

LEVELS = list(Mathematics.LEVELS)


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=100, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_oracle_is_correct_and_a_guess_is_judged(level: str, seed: int) -> None:
    task, rng = Mathematics(level), np.random.default_rng(seed)
    puzzle = task.generate(rng)
    assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct"
    assert task.verify(puzzle, f"So it is {task.oracle(puzzle)}.\n").outcome == "correct"
    assert task.verify(puzzle, task.guess(puzzle, rng)).outcome in ("correct", "wrong")
    assert task.verify(puzzle, puzzle.answer).outcome == "no_answer"


@pytest.mark.parametrize("level", LEVELS)
def test_repeating_the_question_is_no_answer(level: str) -> None:
    task, rng = Mathematics(level), np.random.default_rng(0)
    for _ in range(100):
        puzzle = task.generate(rng)
        words = puzzle.question.strip("M:?.").replace("Calculate ", "").replace("Differentiate ", "").split(" and ")
        for answer in (puzzle.question, words[0], words[0].partition(" with")[0], words[0].partition("=")[0]):
            assert task.verify(puzzle, boxed(answer)).outcome == "wrong", (puzzle, answer)


@pytest.mark.parametrize(
    ("question", "truth", "copied", "worked"),
    [
        ("Expand $(x+1)(x-1)$.", "x^2-1", "(x+1)(x - 1)", "x^2 - 1"),
        ("Factor $x^2 - 1$.", "(x-1)(x+1)", "x^2-1", "(x+1)(x-1)"),
        (r"Simplify $\frac{x^2-1}{x-1}$.", "x+1", r"\frac{x^2-1}{x-1}", "1+x"),
        (r"Compute $\frac12 + \frac13$.", r"\frac56", r"\frac12 + \frac13", "5/6"),
        (r"Rationalise $\frac{1}{\sqrt2}$.", r"\frac{\sqrt2}{2}", r"\frac{1}{\sqrt2}", r"\frac12\sqrt2"),
        (r"Compute $\sin 75^\circ$.", r"\frac{\sqrt6+\sqrt2}{4}", r"\sin(75^\circ)", r"\frac{\sqrt2+\sqrt6}{4}"),
        ("Simplify √288.", r"12\sqrt2", "sqrt(288.0)", "12*sqrt(2)"),
    ],
)
def test_copying_the_formula_is_no_answer(question: str, truth: str, copied: str, worked: str) -> None:
    task, puzzle = Mathematics("easy"), MathPuzzle(question, truth)
    assert task.verify(puzzle, boxed(copied)).outcome == "wrong"
    assert task.verify(puzzle, boxed(worked)).outcome == "correct"


def test_what_the_question_offers_may_be_the_answer() -> None:
    task = Mathematics("easy")
    assert task.verify(MathPuzzle("Is it $x^2$ or $x^3$, or 1/2?", "x^2"), boxed("x^{2}")).is_success
    assert task.verify(MathPuzzle("Is it 1/2 or 1/3?", "0.5"), boxed("1/2")).is_success
    assert task.verify(MathPuzzle("Is it Monday or Tuesday?", r"\text{Monday}"), boxed("Monday")).is_success


@pytest.mark.parametrize("level", LEVELS)
def test_guessing_scores_below_a_tenth(level: str) -> None:
    """On 300 puzzles of seed 0."""
    task, rng = Mathematics(level), np.random.default_rng(0)
    puzzles = [task.generate(rng) for _ in range(300)]
    assert np.mean([task.verify(puzzle, task.guess(puzzle, rng)).is_success for puzzle in puzzles]) < 0.1


@pytest.mark.parametrize("level", LEVELS)
def test_equal_seeds_generate_equal_puzzles_and_others_differ(level: str) -> None:
    task = Mathematics(level)
    first, again, other = (
        [task.generate(rng) for _ in range(20)] for rng in (np.random.default_rng(seed) for seed in (1, 1, 2))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("level", ["mini", "easy", "very_hard"])
def test_gymnasium_finds_nothing_to_complain_about(level: str) -> None:
    check_env(Mathematics(level, render_mode="ansi"), skip_render_check=True)


def test_the_splits_share_no_question() -> None:
    questions = {}
    for split in ("train", "test"):
        task = Mathematics("easy", split=split)
        task.reset(seed=0)
        questions[split] = {task.reset()[0] for _ in range(300)}
    assert not questions["train"] & questions["test"]
    assert min(map(len, questions.values())) > 250


def test_prompts_ask_for_a_box_except_in_the_compact_notation() -> None:
    puzzle = MathPuzzle("What is 1 + 1?", "2")
    assert "What is 1 + 1? Return the final answer in \\boxed{}" in Mathematics("easy").prompt(puzzle)
    assert Mathematics("mini").prompt(puzzle) == puzzle.question


@pytest.mark.parametrize(("truth", "near_miss"), [("7", "-7"), ("7", "6+1"), ("1/3", "0.333"), ("(1, 2)", "(2, 1)")])
def test_near_misses_are_wrong(truth: str, near_miss: str) -> None:
    task = Mathematics("easy")
    assert task.verify(MathPuzzle("?", truth), boxed(truth)).outcome == "correct"
    assert task.verify(MathPuzzle("?", truth), boxed(near_miss)).outcome == "wrong"


@pytest.mark.parametrize("answer", HOSTILE)
def test_hostile_answers_are_never_correct(answer: str) -> None:
    for truth in ("7", r"\sqrt7+x"):
        assert (
            not Mathematics("easy").verify(MathPuzzle("?", truth), boxed(answer)).is_success or answer == r"\boxed{7}"
        )


def test_a_scorer_without_a_result_is_an_error_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    with WorkerPool("judges:raises") as pool:
        monkeypatch.setattr(grading, "shared_pool", lambda _: pool)
        task = Mathematics("easy")
        verdict = task.verify(MathPuzzle("?", r"\sqrt2"), boxed(r"\sqrt3"))
        assert verdict == SCORER_ERROR
        assert not verdict.valid
        assert task.verify(MathPuzzle("?", r"\sqrt2"), "no box").outcome == "no_answer"


def test_judging_may_start_early() -> None:
    task, puzzle = Mathematics("easy"), MathPuzzle("?", r"\sqrt{45}")
    responses = [boxed(r"3\sqrt5"), boxed(r"5\sqrt3"), "no box", boxed("1+")]
    for response in responses:
        task.prefetch(puzzle, response)
    assert [task.verify(puzzle, response).outcome for response in responses] == [
        "correct",
        "wrong",
        "no_answer",
        "wrong",
    ]


@pytest.mark.parametrize("target", [r"\frac{1}{2}", " 0.5 ", 0.5])
def test_ground_truth_is_any_latex_or_a_number(target: Any) -> None:
    prompt = framed([Message("user", "Half of one?")])
    puzzle = Mathematics.from_ground_truth({"target": target}, prompt)
    assert puzzle.question == "Half of one?"
    assert Mathematics("easy").verify(puzzle, boxed("1/2")).is_success


def test_ground_truth_written_is_read_again() -> None:
    task = Mathematics("hard")
    puzzle = task.generate(np.random.default_rng(0))
    again = task.from_ground_truth(task.ground_truth(puzzle), task.prompt(puzzle))
    assert again.answer == puzzle.answer


@pytest.mark.parametrize(
    ("truth", "digits", "right", "wrong"),
    [
        (r"\pi", 3, ["3.14", "3.1416", r"\pi"], ["3.1", "3.15", "22/7"]),
        (r"\pi", None, [r"\pi"], ["3.14", "3.14159265358979"]),
        ("2/3", 2, ["0.67", "0.667", "2/3"], ["0.7", "0.66", "0.6"]),
    ],
)
def test_a_row_may_say_to_how_many_digits_an_answer_is_rounded(
    truth: str, digits: int | None, right: list[str], wrong: list[str]
) -> None:
    fields = {"target": truth} if digits is None else {"target": truth, "digits": digits}
    task, puzzle = Mathematics("easy"), Mathematics.from_ground_truth(fields, "How much is it?")
    assert task.ground_truth(puzzle) == fields
    for answer in right:
        assert task.verify(puzzle, boxed(answer)).outcome == "correct", answer
    for answer in wrong:
        assert task.verify(puzzle, boxed(answer)).outcome == "wrong", answer


@pytest.mark.parametrize("digits", [0, -1, 2.5, "3", True, float("nan"), 1000])
def test_digits_that_are_no_count_are_refused(digits: Any) -> None:
    with pytest.raises(ValueError, match="ground truth needs an int 'digits' of 1 to 100, or none, got"):
        Mathematics.from_ground_truth({"target": "1", "digits": digits}, "")


@pytest.mark.parametrize(
    ("truth", "response", "is_right"),
    [
        ("-4, 9", r"So $x=\boxed{-4}$ or $x=\boxed{9}$.", True),
        (r"\{-4, 9\}", r"The roots are \boxed{9} and \boxed{-4}.", True),
        (r"\pm 3", r"Hence \boxed{3} or \boxed{-3}.", True),
        ("(1, 2), (3, 4)", r"They are \boxed{(3,4)} and \boxed{(1,2)}.", True),
        ("-4, 9", r"So $x=\boxed{-4}$ or $x=\boxed{8}$.", False),
        ("-4, 9", r"So $x=\boxed{-4}$, $x=\boxed{9}$ or $x=\boxed{1}$.", False),
        ("9", r"So it is \boxed{-4} or \boxed{9}.", True),
        ("(1, 2)", r"So it is \boxed{1} and \boxed{2}.", False),
    ],
)
def test_each_of_several_values_may_have_a_box(truth: str, response: str, is_right: bool) -> None:
    assert Mathematics("easy").verify(MathPuzzle("Solve it.", truth), response).is_success == is_right


@pytest.mark.parametrize(
    "target", [None, "", "  ", True, [1], "nan", " NaN ", "-nan", "inf", "-inf", "None", "null", "NULL", "<NA>", "NaT"]
)
def test_malformed_ground_truth_is_refused(target: Any) -> None:
    with pytest.raises(ValueError, match="ground truth needs a text or a number as 'target', got"):
        Mathematics.from_ground_truth({"target": target}, "")


@pytest.mark.parametrize("target", [r"\infty", r"-\infty", "infinity", "n", "no", "none", r"\text{None}", r"n\cdot a"])
def test_infinity_and_words_are_truths(target: str) -> None:
    puzzle = Mathematics.from_ground_truth({"target": target}, "What is the limit?")
    assert Mathematics("easy").verify(puzzle, boxed(target)).outcome == "correct"


def test_without_its_extra_the_task_is_refused_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(MissingPackageError, match=r"the task 'math' needs mpmath: pip install '\.\[math\]'"):
        Mathematics("mini")
    with pytest.raises(MissingPackageError, match="the task 'math' needs mpmath"):
        read_tasks("countdown-mini,math-mini").held_out(1)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (r"So $x=\boxed{3}$ and $y=\boxed{2}$.", "correct"),
        (r"So $y=\boxed{2}$ and $x=\boxed{3}$.", "correct"),
        (r"$\boxed{x=3}$, $\boxed{y=2}$", "correct"),
        (r"It is \boxed{(3,2)}.", "correct"),
        (r"So $x=\boxed{2}$ and $y=\boxed{3}$.", "wrong"),
        (r"\boxed{3}, \boxed{2}", "wrong"),
    ],
)
def test_each_coordinate_of_a_point_may_have_a_box_with_its_name(response: str, outcome: str) -> None:
    task = Mathematics()
    assert task.verify(MathPuzzle("Solve it.", "(3,2)"), response).outcome == outcome


@pytest.mark.parametrize(
    ("truth", "response", "outcome"),
    [
        ("-4, 9", r"$x=\boxed{-4}$ or $x=\boxed{9}$", "correct"),
        ("-4, 9", r"$x_1=\boxed{-4}$, $x_2=\boxed{9}$", "correct"),
        ("x=-4, y=9", r"$y=\boxed{9}$ and $x=\boxed{-4}$", "correct"),
        ("-4, 9", r"$x=\boxed{-4}$, $y=\boxed{9}$", "wrong"),
        ("-4, 9", r"not $\boxed{-4}$, $\boxed{9}$", "wrong"),
        ("-4, 9", r"between $\boxed{-4}$ and $\boxed{9}$", "wrong"),
        ("-4, 9", r"$-\boxed{-4}$ and $\boxed{9}$", "wrong"),
        ("-4, 9", r"$2\cdot\boxed{-4}$, $\boxed{9}$", "wrong"),
        ("x=-4, y=9", r"$x=\boxed{9}$ and $y=\boxed{-4}$", "wrong"),
    ],
)
def test_several_boxes_are_the_values_only_where_they_list_them(truth: str, response: str, outcome: str) -> None:
    assert Mathematics().verify(MathPuzzle("Solve it.", truth), response).outcome == outcome
