from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fakes import Guess, ScriptedPolicy, Sum, guess_suite

from mtgrpo_env import evaluation
from mtgrpo_env.evaluation import evaluate_answers, evaluate_policy, guess, oracle
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.text_env import SCORER_ERROR, Verdict
from mtgrpo_env.types import Group

ZEROS = ScriptedPolicy(lambda observation, task_id, place: 0)


class FailingScorer(Sum):
    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        return SCORER_ERROR


def sums(*envs: Any) -> TaskSuite:
    return TaskSuite([Task.from_text(f"sum-{k}", env) for k, env in enumerate(envs or (Sum,))])


def test_accuracies_are_the_share_of_correct_episodes_of_each_task() -> None:
    suite = guess_suite([0.9, 0.1, 0.5])
    problems = suite.held_out(40)
    result = evaluate_policy(suite, ZEROS, problems)
    correct = [group.rollouts[0].is_success for group in rollout_groups(suite, ZEROS, problems, 1)]
    np.testing.assert_allclose(result.accuracies, np.reshape(correct, (3, 40)).mean(axis=1))
    assert result.names == suite.names
    assert result.counts.tolist() == [40, 40, 40]
    assert result.invalid.tolist() == [0, 0, 0]
    assert result.worst == result.accuracies.min() == result.accuracies[1]
    assert result.average == pytest.approx(result.accuracies.mean())


def test_the_order_of_problems_and_of_tasks_does_not_matter() -> None:
    suite = guess_suite([0.9, 0.1])
    problems = suite.held_out(30)
    one, other = evaluate_policy(suite, ZEROS, problems), evaluate_policy(suite, ZEROS, problems[::-1])
    np.testing.assert_array_equal(one.accuracies, other.accuracies)


def test_a_task_without_problems_is_not_a_number_and_not_the_worst() -> None:
    suite = guess_suite([1.0, 0.0, 0.0])
    result = evaluate_policy(suite, ZEROS, [p for p in suite.held_out(5) if p.task_id != 2])
    np.testing.assert_array_equal(result.accuracies, [1.0, 0.0, np.nan])
    assert result.counts.tolist() == [5, 5, 0]
    assert (result.worst, result.average) == (0.0, 0.5)


def test_several_rollouts_of_a_problem_all_count() -> None:
    suite = guess_suite([0.5])
    policy = ScriptedPolicy(lambda observation, task_id, place: place % 2)
    result = evaluate_policy(suite, policy, suite.held_out(50), rollouts_per_problem=2)
    assert result.counts.tolist() == [100]


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_policy_is_told_whether_to_be_deterministic(deterministic: bool) -> None:
    suite, policy = guess_suite([0.5]), ScriptedPolicy(lambda observation, task_id, place: 0)
    evaluate_policy(suite, policy, suite.held_out(2), deterministic=deterministic)
    assert policy.deterministic == [deterministic]


def test_a_long_list_is_played_in_parts_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    suite, policy = guess_suite([0.5, 0.5]), ScriptedPolicy(lambda observation, task_id, place: 0)
    whole = evaluate_policy(suite, policy, suite.held_out(10), rollouts_per_problem=2)
    monkeypatch.setattr(evaluation, "MOST_EPISODES", 7)
    policy.calls.clear()
    heard: list[Group] = []
    parts = evaluate_policy(suite, policy, suite.held_out(10), rollouts_per_problem=2, on_group=heard.append)
    assert {len(observations) for observations, _ in policy.calls} == {6, 4}
    assert [group.problem for group in heard] == suite.held_out(10)
    assert {len(group.rollouts) for group in heard} == {2}
    np.testing.assert_array_equal(parts.accuracies, whole.accuracies)


def test_evaluation_draws_nothing_from_the_problem_streams() -> None:
    suite = guess_suite([0.5])
    before = suite.state_dict()
    evaluate_policy(suite, ZEROS, suite.held_out(3))
    assert suite.state_dict() == before


def test_the_oracle_is_always_right_and_a_guess_hardly_ever() -> None:
    suite = sums()
    assert evaluate_answers(suite, oracle, suite.held_out(20)).accuracies.tolist() == [1.0]
    assert evaluate_answers(suite, guess, suite.held_out(200)).accuracies[0] < 0.05


def test_guesses_come_from_the_seed_and_every_answer_is_passed_on() -> None:
    def remembered(env: Any, puzzle: Any, rng: np.random.Generator) -> str:
        answers.append(guess(env, puzzle, rng))
        return answers[-1]

    suite, heard = sums(), []
    drawn = []
    for seed in (1, 1, 2):
        answers: list[str] = []
        evaluate_answers(suite, remembered, suite.held_out(5), seed=seed, on_group=heard.append)
        drawn.append(answers)
    assert drawn[0] == drawn[1] != drawn[2]
    assert [group.rollouts[0].steps[0].action for group in heard] == [answer for part in drawn for answer in part]


@pytest.mark.parametrize("by_policy", [True, False])
def test_episodes_whose_scorer_failed_are_counted_apart(by_policy: bool) -> None:
    suite = sums(Sum, FailingScorer)
    if by_policy:
        policy = ScriptedPolicy(lambda observation, task_id, place: str(sum(map(int, observation[:-1].split("+")))))
        result = evaluate_policy(suite, policy, suite.held_out(4))
    else:
        result = evaluate_answers(suite, oracle, suite.held_out(4))
    assert result.counts.tolist() == [4, 0]
    assert result.invalid.tolist() == [0, 4]
    np.testing.assert_array_equal(result.accuracies, [1.0, np.nan])
    assert (result.worst, result.average) == (1.0, 1.0)


def test_without_any_valid_episode_there_is_no_number_and_no_crash() -> None:
    suite = sums(FailingScorer)
    for result in (evaluate_answers(suite, oracle, suite.held_out(4)), evaluate_policy(suite, ZEROS, [])):
        assert np.isnan([result.worst, result.average]).all()
        assert result.counts.tolist() == [0]


def test_answers_made_from_the_puzzle_need_a_text_task() -> None:
    suite = TaskSuite([Task("guess", Guess)])
    with pytest.raises(ValueError, match="need text tasks; task 'guess' is a Guess"):
        evaluate_answers(suite, oracle, suite.held_out(1))


def test_a_puzzle_without_an_answer_is_shown() -> None:
    class Unsolvable(Sum):
        def oracle(self, puzzle: tuple[int, int]) -> str:
            raise ArithmeticError("no solution")

    suite = sums(Unsolvable)
    with pytest.raises(
        TaskError, match=r"task 'sum-0' has no answer for '\d+\+\d+=': ArithmeticError\('no solution'\)"
    ):
        evaluate_answers(suite, oracle, suite.held_out(1))


def test_at_least_one_rollout_of_a_problem_is_needed() -> None:
    suite = guess_suite([0.5])
    with pytest.raises(ValueError, match="group_size must be at least 1, got 0"):
        evaluate_policy(suite, ZEROS, suite.held_out(1), rollouts_per_problem=0)
