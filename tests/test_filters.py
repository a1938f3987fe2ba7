from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from fakes import group_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.filters import every_group, released_rewards_differ, rewards_differ, success_differs
from mtgrpo_env.types import Group, Problem

REWARDS = st.lists(st.sampled_from([0.0, 0.1, 1.0]), max_size=6)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    rewards = draw(REWARDS)
    return group_of(rewards, valid=draw(st.lists(st.booleans(), min_size=len(rewards), max_size=len(rewards))))


@given(groups())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_a_group_is_informative_by_reward_exactly_when_an_advantage_is_not_zero(group: Group) -> None:
    assert rewards_differ(group) == bool(group_advantages(group).any())


@given(groups())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_success_differs_keeps_no_group_that_rewards_differ_drops_when_reward_shows_success(group: Group) -> None:
    assert rewards_differ(group) or not success_differs(group)


@given(groups(), st.booleans())
@settings(max_examples=100, derandomize=True, deadline=None)
def test_an_invalid_rollout_never_decides(group: Group, is_success: bool) -> None:
    more = group_of([float(is_success)], valid=[False])
    with_invalid = Group(group.problem, group.rollouts + more.rollouts)
    assert success_differs(with_invalid) == success_differs(group)
    assert rewards_differ(with_invalid) == rewards_differ(group)


@given(groups(), st.randoms(use_true_random=False))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_the_order_of_rollouts_does_not_matter(group: Group, random: Random) -> None:
    shuffled = list(group.rollouts)
    random.shuffle(shuffled)
    assert success_differs(Group(group.problem, tuple(shuffled))) == success_differs(group)
    assert rewards_differ(Group(group.problem, tuple(shuffled))) == rewards_differ(group)


@pytest.mark.parametrize(
    ("rewards", "by_success", "by_reward"),
    [
        ([1.0, 0.0], True, True),
        ([1.0, 0.1], True, True),
        ([1.0, 0.5, 0.0], True, True),  # one of the three has the mean reward
        ([0.1, 0.0], False, True),
        ([1.0, 1.0], False, False),
        ([0.1, 0.1], False, False),  # the released code keeps this one although nothing can be learned from it
        ([0.0, 0.0], False, False),
        ([1.0], False, False),
        ([], False, False),
    ],
)
def test_the_two_rules_differ_on_partial_credit_alone(rewards: list[float], by_success: bool, by_reward: bool) -> None:
    group = group_of(rewards)
    assert (success_differs(group), rewards_differ(group)) == (by_success, by_reward)


@given(groups())
@settings(max_examples=100, derandomize=True, deadline=None)
def test_the_released_rule_errs_on_equal_partial_rewards_alone(group: Group) -> None:
    rewards = group.rewards[group.valid]
    equal_partial = rewards.size > 0 and (rewards == 0.1).all()
    assert released_rewards_differ(group) == (rewards_differ(group) or equal_partial)


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_a_group_is_filtered_if_all_that_may_be_learned_from_has_the_mean_reward(shift: float) -> None:
    low, middle, high = group_of([shift, shift + 0.5, shift + 1.0], successes=[False, False, True]).rollouts
    group = Group(Problem(0, 0), (replace(low, is_masked=True), middle, replace(high, is_masked=True)))
    assert not group_advantages(group).any()
    assert not rewards_differ(group)
    assert not success_differs(group)


def test_returns_that_differ_by_rounding_alone_are_equal() -> None:
    group = group_of([0.1 + 0.2, 0.3])
    assert not group_advantages(group).any()
    assert not rewards_differ(group)


def test_success_differs_wants_right_and_wrong_rollouts_whose_rewards_differ() -> None:
    assert success_differs(group_of([0.5, 0.7], successes=[True, False]))
    assert not success_differs(group_of([0.5, 0.5], successes=[True, False]))  # no advantage, no gradient
    assert not success_differs(group_of([0.5, 0.7], successes=[True, True]))


def test_every_group_drops_nothing() -> None:
    assert every_group(group_of([0.0]))
