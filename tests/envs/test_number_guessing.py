"""A task of several turns: hints are true, halving always gets there, and each turn must hold a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.checker import check_task
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.number_guessing import HiddenNumber, NumberGuessing
from mtgrpo_env.evaluation import evaluate_answers, guess, oracle
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.suite import Task, TaskSuite

HIDDEN = HiddenNumber(low=101, high=115, number=104, guesses=4)
LEVELS = sorted(NumberGuessing.LEVELS)


class Halver:
    """Reads the hints of the long notation, and halves what is left of the range."""

    def act(
        self, observations: Sequence[str], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[str], list[None]]:
        return [self.answer(observation) for observation in observations], [None] * len(observations)

    def answer(self, conversation: str) -> str:
        low, high = map(int, re.findall(r"from (\d+) to (\d+)", conversation)[0])
        low = max([low, *(int(n) + 1 for n in re.findall(r"higher than (\d+)", conversation))])
        high = min([high, *(int(n) - 1 for n in re.findall(r"lower than (\d+)", conversation))])
        return f"I try the middle: {boxed(str((low + high) // 2))}."


def suite_of(level: str) -> TaskSuite:
    return TaskSuite([Task.from_text("guessing", lambda: NumberGuessing(level))])


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_passes_the_check(level: str) -> None:
    check_task(Task.from_text("guessing", lambda: NumberGuessing(level)), num_problems=5)


@pytest.mark.parametrize("level", ["easy", "medium", "hard", "very_hard"])
def test_halving_finds_every_number_in_the_guesses_given_and_not_always_in_fewer(level: str) -> None:
    suite = suite_of(level)
    groups = rollout_groups(suite, Halver(), suite.held_out(60), 1)
    turns = [len(group.rollouts[0].steps) for group in groups]
    assert all(group.rollouts[0].is_success for group in groups)
    assert max(turns) == NumberGuessing(level).level.guesses > min(turns)


def test_wrong_guesses_are_met_with_true_hints_until_they_are_used_up() -> None:
    task = NumberGuessing()
    guesses = [boxed(str(number)) for number in (110, 102, 103, 105)]
    replies = [task.reply(HIDDEN, guesses[: turn + 1]) for turn in range(4)]
    assert replies[0] == "My number is lower than 110. Guesses left: 3."
    assert replies[1] == "My number is higher than 102. Guesses left: 2."
    assert getattr(replies[3], "outcome", None) == "wrong"


def test_the_right_number_ends_the_episode_at_once() -> None:
    verdict = NumberGuessing().reply(HIDDEN, [boxed("110"), "It must be \\boxed{104}, I think."])
    assert getattr(verdict, "outcome", None) == "correct"


@pytest.mark.parametrize("response", ["104", "", "\\boxed{}", "\\boxed{104"])
def test_a_turn_without_a_guess_ends_the_episode_without_an_answer(response: str) -> None:
    verdict = NumberGuessing().reply(HIDDEN, [response])
    assert getattr(verdict, "outcome", None) == "no_answer"


@pytest.mark.parametrize("answer", ["104.0", "1O4", "１０４", "-104", "100+4", "1" * 50, "104 or 105", "abc"])
def test_what_is_no_whole_number_is_a_wasted_guess(answer: str) -> None:
    reply = NumberGuessing().reply(HIDDEN, [boxed(answer)])
    assert reply == "That is not a whole number. Guesses left: 3."


@given(st.text(max_size=40))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_any_text_in_the_box_is_met_with_something(text: str) -> None:
    for level in LEVELS:
        reply = NumberGuessing(level).reply(HIDDEN, [boxed(text)])
        assert isinstance(reply, str) or reply.outcome in ("correct", "no_answer")


def test_the_score_of_deaf_guessing_falls_with_the_level_and_the_oracle_knows() -> None:
    scores: list[float] = []
    for level in ("easy", "medium", "hard", "very_hard"):
        suite = suite_of(level)
        problems = suite.held_out(300)
        assert evaluate_answers(suite, oracle, problems).average == 1.0
        scores.append(evaluate_answers(suite, guess, problems).average)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1 - (14 / 15) ** 4, abs=0.08)


def test_groups_of_conversations_are_one_problem_with_returns_and_advantages() -> None:
    suite = suite_of("easy")
    rng = np.random.default_rng(0)

    class Guesser(Halver):
        def answer(self, conversation: str) -> str:
            return super().answer(conversation) if rng.random() < 0.7 else boxed("0")

    groups = rollout_groups(suite, Guesser(), suite.held_out(20), 6)
    lengths = {len(rollout.steps) for group in groups for rollout in group.rollouts}
    assert len(lengths) > 2
    for group in groups:
        assert len({rollout.steps[0].observation for rollout in group.rollouts}) == 1
        assert set(group.rewards) <= {0.1, 1.0}
        assert abs(group_advantages(group).sum()) < 1e-9


@pytest.mark.parametrize("level", LEVELS)
def test_a_ground_truth_gives_the_puzzle_back(level: str) -> None:
    task = NumberGuessing(level)
    puzzle = task.generate(np.random.default_rng(1))
    assert NumberGuessing.from_ground_truth(task.ground_truth(puzzle), task.prompt(puzzle)) == puzzle


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": None}, "int 'low' of at least 0, got None"),
        ({"number": "7"}, "int 'number' of at least 0, got '7'"),
        ({"guesses": True}, "int 'guesses' of at least 0, got True"),
        ({"number": 99}, "'number' within 'low'..'high'"),
    ],
)
def test_a_malformed_ground_truth_is_refused_by_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NumberGuessing.from_ground_truth({"low": 1, "high": 15, "number": 7, "guesses": 4, **change}, "")
