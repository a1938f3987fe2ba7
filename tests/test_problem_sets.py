"""Problem sets: equal fingerprints mean equal problems, judged alike; and a policy that draws actions at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtgrpo_env.envs.gymnasium_tasks import gymnasium_tasks
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.envs.zebra import Zebra
from mtgrpo_env.evaluation import RandomActions, evaluate_answers, evaluate_policy, guess
from mtgrpo_env.problem_sets import ProblemSet, plays_text
from mtgrpo_env.suite import TaskSuite


def problem_set(*names: str, seed: int = 0, count: int = 4, judged_by: str = "") -> ProblemSet:
    suite = reason_suite(names, seed=seed)
    return ProblemSet("text", suite, tuple(suite.held_out(count)), judged_by=judged_by)


def test_the_fingerprint_is_of_the_problems_and_not_of_what_was_drawn_before() -> None:
    own = problem_set("zebra-mini", "arc-mini")
    other = problem_set("zebra-mini", "arc-mini")
    other.suite.next_problem(0)
    assert own.fingerprint() == other.fingerprint() == replace(own, name="another").fingerprint()


def test_the_fingerprint_is_known_to_people() -> None:
    """A regression lock: numbers that were published with it are of these very problems."""
    assert problem_set("zebra-mini", "arc-mini").fingerprint() == "8cceac9dccba"


@pytest.mark.parametrize(
    "other",
    [
        problem_set("zebra-mini", "arc-mini", seed=1),
        problem_set("arc-mini", "zebra-mini"),
        problem_set("zebra-mini", "arc-mini", count=3),
        problem_set("zebra-mini", "arc-mini", judged_by="released"),
        problem_set("zebra-mini", "arc-mini_medium"),
    ],
)
def test_other_problems_or_another_judge_have_another_fingerprint(other: ProblemSet) -> None:
    assert other.fingerprint() != problem_set("zebra-mini", "arc-mini").fingerprint()


def test_another_version_of_a_verifier_has_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = problem_set("zebra-mini").fingerprint()
    monkeypatch.setattr(Zebra, "version", Zebra.version + 1)
    assert problem_set("zebra-mini").fingerprint() != before


def test_envs_without_text_have_fingerprints_by_their_seeds() -> None:
    def fingerprint(seed: int) -> str:
        suite = toy_suite(2, seed=seed)
        return ProblemSet("locks", suite, tuple(suite.held_out(3))).fingerprint()

    assert fingerprint(0) == fingerprint(0) != fingerprint(1)


def test_text_is_told_from_other_envs() -> None:
    suite = TaskSuite([*gymnasium_tasks(["Taxi-v4"]), *reason_suite(["zebra-mini"]).tasks])
    assert [plays_text(suite, k) for k in range(2)] == [False, True]


def test_random_actions_are_of_each_tasks_own_space_and_named_by_the_seed() -> None:
    suite = TaskSuite(gymnasium_tasks(["CartPole-v1", "Pendulum-v1", "Taxi-v4"]))

    def drawn(seed: int) -> list[object]:
        actions, _ = RandomActions(suite, seed=seed).act([None] * 6, [0, 1, 2] * 2)
        for k, action in zip([0, 1, 2] * 2, actions, strict=True):
            assert suite.envs(k, 1)[0].action_space.contains(action)
        return [np.asarray(action).tolist() for action in actions]

    assert drawn(0) == drawn(0) != drawn(1)


def test_random_actions_leave_the_envs_own_spaces_alone() -> None:
    suite = TaskSuite(gymnasium_tasks(["Taxi-v4"]))
    space = suite.envs(0, 1)[0].action_space
    space.seed(7)
    expected = [space.sample() for _ in range(5)]
    space.seed(7)
    evaluate_policy(suite, RandomActions(suite), suite.held_out(2))
    assert [space.sample() for _ in range(5)] == expected


def test_guesses_may_be_made_several_times_of_each_problem() -> None:
    suite = reason_suite(["zebra-mini"])
    evaluation = evaluate_answers(suite, guess, suite.held_out(5), rollouts_per_problem=8)
    assert evaluation.counts.tolist() == [40]
    assert 0 < evaluation.worst < 1
