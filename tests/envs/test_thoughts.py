"""What a response only thinks is no answer, for every task with boxes and every built-in reward."""

from __future__ import annotations

import time

import pytest

from mtgrpo_env.envs.answer_rewards import choice, exact, number
from mtgrpo_env.envs.answers import last_box
from mtgrpo_env.envs.countdown import Countdown, CountdownPuzzle
from mtgrpo_env.envs.final_answers import final_answer, marked_answer
from mtgrpo_env.envs.mathematics import Mathematics, MathPuzzle
from mtgrpo_env.envs.science import Science, SciencePuzzle
from mtgrpo_env.envs.thoughts import without_thoughts

ONLY_THOUGHT = [
    r"<think>\boxed{7}</think> so it is 8",
    r"<think>\boxed{7}",
    r"<think>Perhaps \boxed{7}. Or",
    r"Perhaps \boxed{7}</think>",
    "<think>\n\\boxed{7}\n</think>\n\nIt is\neight.",
    r"<think>6</think><think>\boxed{7}</think>I do not know",
    r"<think>6</think><think>\boxed{7}",
    r"<thinking>\boxed{7}</thinking>",
    r"<think>\boxed{7}, </think>, <think> \boxed{7",
]

SAID = [
    r"\boxed{7}",
    r"<think>\boxed{8}</think>\boxed{7}",
    r"\boxed{8}</think>\boxed{7}",
    "<think>\nIs it \\boxed{8\n</think>\n\n\\boxed{7}",
    r"<think>8</think><think>9</think>\boxed{7}",
    r"I think \boxed{7}",
    r"<think></think>\boxed{7}<think>\boxed{8}",
    r"a < think \boxed{7}",
]


@pytest.mark.parametrize("response", ONLY_THOUGHT)
def test_a_box_in_thoughts_is_no_answer(response: str) -> None:
    assert last_box(response) is None
    assert last_box(response, count=2) is None
    assert Mathematics().verify(MathPuzzle("3+4", "7"), response).outcome == "no_answer"
    assert number(response, "7") == exact(response, "7") == 0.0


@pytest.mark.parametrize("response", SAID)
def test_a_box_outside_of_thoughts_is_the_answer(response: str) -> None:
    assert last_box(response) == "7" == final_answer(response) == marked_answer(response)
    assert Mathematics().verify(MathPuzzle("3+4", "7"), response).outcome == "correct"
    assert number(response, "7") == exact(response, "7") == 1.0


@pytest.mark.parametrize("thought", ["<think>{}", "<think>{}</think>", "{}</think>", "<think>{}</think> Hm."])
def test_thoughts_hold_no_answer_of_any_task(thought: str) -> None:
    puzzles = [
        (Countdown(), CountdownPuzzle((12, 6, 4), 8), "12/6*4"),
        (Science(), SciencePuzzle("Which is magnetic?", ("gold", "iron"), "B"), "B"),
    ]
    for task, puzzle, answer in puzzles:
        assert task.verify(puzzle, rf"\boxed{{{answer}}}").outcome == "correct"
        assert task.verify(puzzle, thought.format(rf"\boxed{{{answer}}}")).outcome == "no_answer"


def test_a_letter_only_thought_of_is_not_chosen() -> None:
    truth = {"target": "B", "choices": ["gold", "iron"]}
    assert choice("", "<think>Answer: B", truth) == choice("", "Answer: B</think>", truth) == 0.0
    assert choice("", "<think>Answer: A</think>B", truth) == 1.0


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<think></think>", "<think", "</thinking>x", "think"])
def test_a_megabyte_of_thoughts_is_read_in_linear_time(piece: str) -> None:
    start = time.process_time()
    without_thoughts(piece * (1_000_000 // len(piece)))
    assert time.process_time() - start < 1.0
