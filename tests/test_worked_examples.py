"""Worked examples: the oracle's solutions of problems that are then not among those to solve."""

from __future__ import annotations

import numpy as np
import pytest

from mtgrpo_env.chat import ChatText, Message
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.text_env import CORRECT, TextEnv, Verdict
from mtgrpo_env.worked_examples import WorkedExamples, worked_examples


class Unsolved(TextEnv[int]):
    """A task that does not know its answers."""

    def generate(self, rng: np.random.Generator) -> int:
        return int(rng.integers(1000))

    def prompt(self, puzzle: int) -> str:
        return f"{puzzle}?"

    def verify(self, puzzle: int, response: str) -> Verdict:
        return CORRECT

    def oracle(self, puzzle: int) -> str:
        raise NotImplementedError("ask somebody else")


def test_each_task_is_shown_its_own_problems_with_right_answers() -> None:
    suite = read_tasks("short-larger,countdown-easy")
    examples = worked_examples(suite, 2)
    for task_id, turns in enumerate(examples.turns):
        assert [message.role for message in turns] == ["user", "assistant"] * 2
        env = suite.envs(task_id, 1)[0].unwrapped
        assert isinstance(env, TextEnv)
        problems = [p for p in suite.held_out(2, split="train") if p.task_id == task_id]
        openings = [opening for problem in problems if (opening := suite.opening(problem))]
        assert [message.content for message in turns[::2]] == [opening.prompt for opening in openings]
        answers = [message.content for message in turns[1::2]]
        assert all(env.verify(o.puzzle, answer).is_success for o, answer in zip(openings, answers, strict=True))


def test_none_are_made_of_nothing_and_show_nothing() -> None:
    assert worked_examples(read_tasks("short-larger"), 0) == WorkedExamples()
    suite = read_tasks("short-larger")
    opening = suite.opening(suite.held_out(1)[0])
    assert opening is not None
    assert not WorkedExamples().shows(0, opening)


def test_a_suite_may_leave_its_examples_out_of_training_and_evaluation() -> None:
    suite = read_tasks("short-product")
    examples = worked_examples(suite, 2)
    suite.leave_out(examples.shows)
    seen = [suite.next_problem(0) for _ in range(300)] + suite.held_out(50)
    hashes = {opening.provenance.hash for problem in seen if (opening := suite.opening(problem))}
    assert not hashes & examples.puzzles[0]
    assert len(hashes) > 100


def test_a_task_without_answers_or_with_too_few_problems_is_named() -> None:
    with pytest.raises(ValueError, match="examples need answers, and task 'mine' has none: ask somebody else"):
        worked_examples(TaskSuite([Task("mine", Unsolved)]), 1)
    with pytest.raises(ValueError, match=r"task 'short-product' has \d+ problems to train on, examples=5000 takes"):
        worked_examples(read_tasks("short-product"), 5000)
    with pytest.raises(ValueError, match="examples need text tasks, got 'CartPole-v1'"):
        worked_examples(read_tasks("gym:CartPole-v1"), 1)


def test_a_suite_that_leaves_all_out_says_so() -> None:
    suite = read_tasks("short-larger")
    suite.leave_out(lambda task_id, opening: True)
    with pytest.raises(ValueError, match="task 'short-larger': 1000 train problems in a row are left out"):
        suite.next_problem(0)


class Begun(Unsolved):
    """A task whose prompts begin the answer."""

    def prompt(self, puzzle: int) -> str:
        return ChatText(f"{puzzle}? It is", [Message("user", f"{puzzle}?"), Message("assistant", "It is")])

    def oracle(self, puzzle: int) -> str:
        return f" {puzzle}."


def test_an_answer_that_a_prompt_begins_is_one_turn_with_the_oracles() -> None:
    ((asked, said),) = worked_examples(TaskSuite([Task("begun", Begun)]), 1).turns
    assert (asked.role, said.role) == ("user", "assistant")
    assert said.content == f"It is {asked.content.removesuffix('?')}."
