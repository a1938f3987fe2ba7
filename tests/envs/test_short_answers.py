"""Short answers: each kind accepts its answer and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from mtgrpo_env import TaskSuite
from mtgrpo_env.envs.short_answers import KINDS, ShortAnswers, ShortQuestion

SORT = ShortQuestion("sort", "Sort these numbers from the smallest to the largest: 58, 12, 91.", "12, 58, 91", ())
LARGER = ShortQuestion("larger", "Which number is larger, 347 or 892?", "892", ("347", "892"))
DAY = ShortQuestion("weekday", "Today is Monday. Which day is it in 1 day?", "Tuesday", ())
KNOWN = {
    "larger": lambda question: max(
        int(word) for word in question.replace(",", " ").rstrip("?").split() if word.isdigit()
    ),
    "product": lambda question: np.prod([int(word) for word in question.rstrip("?.").split() if word.isdigit()]),
    "count": lambda question: question.count(",") + 1,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_ends_with_the_form_of_its_answer(kind: str) -> None:
    task, rng = ShortAnswers(kind), np.random.default_rng(0)
    for _ in range(100):
        puzzle = task.generate(rng)
        assert task.prompt(puzzle) == f"{puzzle.question} {KINDS[kind].demand}"
        assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct"
        assert task.verify(puzzle, task.guess(puzzle, rng)).outcome in ("correct", "wrong")
        assert task.verify(puzzle, task.prompt(puzzle)).outcome == "no_answer"


@pytest.mark.parametrize("kind", KNOWN)
def test_the_answer_is_what_the_question_asks_for(kind: str) -> None:
    task, rng = ShortAnswers(kind), np.random.default_rng(1)
    for _ in range(100):
        puzzle = task.generate(rng)
        assert puzzle.answer == str(KNOWN[kind](puzzle.question))


@pytest.mark.parametrize(
    ("puzzle", "response", "outcome"),
    [
        (LARGER, "892", "correct"),
        (LARGER, " 892.\n", "correct"),
        (LARGER, r"\boxed{892}", "correct"),
        (LARGER, r"$\boxed{892}$.", "correct"),
        (LARGER, r"\fbox{892}", "correct"),
        (LARGER, "347", "wrong"),
        (LARGER, "0892", "no_answer"),
        (LARGER, "892..", "no_answer"),
        (LARGER, "+892", "no_answer"),
        (LARGER, "892.0", "no_answer"),
        (LARGER, "347 or 892", "no_answer"),
        (LARGER, "347, 892", "no_answer"),
        (LARGER, "The larger number is 892.", "no_answer"),
        (LARGER, r"It is \boxed{892}", "no_answer"),
        (LARGER, r"\boxed{892", "no_answer"),
        (LARGER, r"\boxed{347} \boxed{892}", "no_answer"),
        (LARGER, "٨٩٢", "no_answer"),
        (SORT, "12, 58, 91", "correct"),
        (SORT, "12,58,91", "correct"),
        (SORT, "12 58 91", "correct"),
        (SORT, "58, 12, 91", "wrong"),
        (SORT, "12, 58", "wrong"),
        (SORT, "12, 58, 91, 91", "wrong"),
        (SORT, "12 < 58 < 91", "no_answer"),
        (SORT, "125891", "no_answer"),
        (DAY, "tuesday", "correct"),
        (DAY, "Monday", "wrong"),
        (DAY, "Monday Tuesday", "no_answer"),
        (DAY, "Tuesday " * 1000, "no_answer"),
    ],
)
def test_the_answer_is_accepted_and_nothing_else(puzzle: ShortQuestion, response: str, outcome: str) -> None:
    assert ShortAnswers().verify(puzzle, response).outcome == outcome


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_a_question_is_judged_like_the_question(kind: str) -> None:
    task = ShortAnswers(kind)
    puzzle = task.generate(np.random.default_rng(3))
    assert ShortAnswers.from_ground_truth(task.ground_truth(puzzle), task.prompt(puzzle)) == puzzle


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({"kind": "rhyme", "answer": "5"}, "'kind' among .*'rhyme'"),
        ({"kind": "larger", "answer": "five"}, "'answer' of the form of 'larger', got 'five'"),
        ({"kind": "larger", "answer": 5}, "'answer' of the form of 'larger', got 5"),
        ({"kind": "larger", "answer": "5", "choices": [5]}, "'choices' that are strings"),
    ],
)
def test_a_malformed_ground_truth_is_named(truth: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShortAnswers.from_ground_truth(truth, "")


def test_the_order_of_what_is_listed_makes_no_other_puzzle() -> None:
    other = ShortQuestion("larger", "Which number is larger, 892 or 347?", "892", ("892", "347"))
    assert ShortAnswers("larger").key(other) == ShortAnswers("larger").key(LARGER)


def test_the_suite_has_four_tasks_and_enough_that_is_held_out() -> None:
    suite = TaskSuite("short")
    assert suite.names == ("short-larger", "short-biggest", "short-letter", "short-product")
    counts = np.bincount([problem.task_id for problem in suite.held_out(100)])
    assert counts[:3].tolist() == [100] * 3
    assert 50 <= counts[3] <= 100  # there are 512 products in eight wordings
