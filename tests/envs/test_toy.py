"""Locks: what a random player opens, and suites of any number of them."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.checker import check_task
from mtgrpo_env.envs.toy import LockEnv, graded_suite


def share_that_opens(lock: LockEnv) -> float:
    """Of all codes, those that open the lock of seed 0."""
    return float(np.mean([opens(lock, code) for code in product(range(lock.num_digits), repeat=lock.length)]))


def opens(lock: LockEnv, code: tuple[int, ...]) -> bool:
    lock.reset(seed=0)
    return [lock.step(digit) for digit in code][-1][4]["is_success"]


@settings(max_examples=30, derandomize=True, deadline=None)
@given(
    length=st.integers(1, 3), num_digits=st.integers(1, 6), tolerance=st.integers(1, 6), code_seed=st.integers(0, 99)
)
def test_a_random_code_opens_as_often_as_length_and_tolerance_say(
    length: int, num_digits: int, tolerance: int, code_seed: int
) -> None:
    tolerance = min(tolerance, num_digits)
    lock = LockEnv(length, num_digits=num_digits, tolerance=tolerance, code_seed=code_seed)
    assert share_that_opens(lock) == pytest.approx((tolerance / num_digits) ** length)


def test_a_wrong_code_that_begins_right_is_paid_a_little() -> None:
    lock = LockEnv(2, num_digits=4, num_locks=1, code_seed=0)
    paid = []
    for code in product(range(4), repeat=2):
        lock.reset(seed=0)
        paid.append([lock.step(digit) for digit in code][-1][1])
    assert sorted(paid) == [0.0] * 12 + [0.1] * 3 + [1.0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"length": 5}, r"length must be in 1..4, got 5"), ({"tolerance": 9}, r"tolerance must be in 1..4, got 9")],
)
def test_a_lock_that_cannot_be_is_refused(options: dict[str, int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LockEnv(**options)


@pytest.mark.parametrize("digit", [-1, 4, 1.5, "1", None])
def test_what_is_no_digit_is_refused(digit: object) -> None:
    lock = LockEnv(2)
    lock.reset(seed=0)
    with pytest.raises(ValueError, match="action must be in Discrete"):
        lock.step(digit)  # pyright: ignore[reportArgumentType]


def test_a_numpy_integer_is_a_digit() -> None:
    lock = LockEnv(1)
    lock.reset(seed=0)
    assert lock.step(np.int64(2))[2]  # pyright: ignore[reportArgumentType]


def test_every_graded_lock_passes_the_check_and_shares_its_spaces() -> None:
    suite = graded_suite(60)
    for task in suite.tasks[:12]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*shows the same first observation for every seed")
            check_task(task, num_problems=3)
    envs = [suite.envs(k, 1)[0] for k in range(suite.num_tasks)]
    assert {str(env.action_space) for env in envs} == {"Discrete(8)"}
    # Locks of fewer codes have fewer observations, and the table's 16 rows hold them all.
    assert {int(env.observation_space.n) for env in envs} == {4, 8, 16}  # pyright: ignore[reportAttributeAccessIssue]


def test_graded_locks_spread_evenly_over_difficulties_and_numbers_of_codes() -> None:
    suite = graded_suite(60)
    locks: list[LockEnv] = [suite.envs(k, 1)[0] for k in range(60)]  # pyright: ignore[reportAssignmentType]
    grades = [(lock.length, lock.tolerance) for lock in locks]
    assert {grades.count(grade) for grade in grades} == {5}
    chances = [(lock.tolerance / 8) ** lock.length for lock in locks]
    assert (max(chances), min(chances)) == (1 / 2, 1 / 64)
    for grade in set(grades):
        assert {lock.num_locks for lock, own in zip(locks, grades, strict=True) if own == grade} == {1, 2, 4}


@pytest.mark.parametrize("num_tasks", [1, 10, 1000])
def test_any_number_of_tasks_makes_a_suite_whose_first_tasks_are_those_of_a_smaller_one(num_tasks: int) -> None:
    suite = graded_suite(num_tasks)
    assert suite.num_tasks == num_tasks
    assert suite.names[:1] == graded_suite(1).names
    assert suite.next_problem(0) == graded_suite(1).next_problem(0)


def test_ten_graded_locks_are_learned_in_the_ratio_of_their_difficulty() -> None:
    """Our default method, seed 0, 25 steps: the average rises from about .2 to above .45."""
    suite = graded_suite(10)
    policy = TabularPolicy(suite.num_tasks, num_observations=16, num_actions=8)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy, lr=4.0))
    problems = suite.held_out(20)
    before = agent.evaluate(problems, rollouts_per_problem=4)
    agent.train(25)
    after = agent.evaluate(problems, rollouts_per_problem=4)
    assert before.average < 0.25
    assert after.average > before.average + 0.2
