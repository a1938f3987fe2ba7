from __future__ import annotations

from random import Random

import pytest
from fakes import group_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.filters import every_group, lenient, released_lenient, strict
from mtgrpo_env.types import Group

REWARDS = st.lists(st.sampled_from([0.0, 0.1, 1.0]), max_size=6)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    rewards = draw(REWARDS)
    return group_of(rewards, valid=draw(st.lists(st.booleans(), min_size=len(rewards), max_size=len(rewards))))


@given(groups())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_a_group_is_leniently_informative_exactly_when_an_advantage_is_not_zero(group: Group) -> None:
    assert lenient(group) == bool(group_advantages(group).any())


@given(groups())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_strict_keeps_no_group_that_lenient_drops_when_reward_shows_success(group: Group) -> None:
    assert lenient(group) or not strict(group)


@given(groups(), st.booleans())
@settings(max_examples=100, derandomize=True, deadline=None)
def test_an_invalid_rollout_never_decides(group: Group, is_success: bool) -> None:
    more = group_of([float(is_success)], valid=[False])
    with_invalid = Group(group.problem, group.rollouts + more.rollouts)
    assert strict(with_invalid) == strict(group)
    assert lenient(with_invalid) == lenient(group)


@given(groups(), st.randoms(use_true_random=False))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_the_order_of_rollouts_does_not_matter(group: Group, random: Random) -> None:
    shuffled = list(group.rollouts)
    random.shuffle(shuffled)
    assert strict(Group(group.problem, tuple(shuffled))) == strict(group)
    assert lenient(Group(group.problem, tuple(shuffled))) == lenient(group)


@pytest.mark.parametrize(
    ("rewards", "is_strict", "is_lenient"),
    [
        ([1.0, 0.0], True, True),
        ([1.0, 0.1], True, True),
        ([0.1, 0.0], False, True),
        ([1.0, 1.0], False, False),
        ([0.1, 0.1], False, False),  # the released code keeps this one although nothing can be learned from it
        ([0.0, 0.0], False, False),
        ([1.0], False, False),
        ([], False, False),
    ],
)
def test_the_two_rules_differ_on_partial_credit_alone(rewards: list[float], is_strict: bool, is_lenient: bool) -> None:
    group = group_of(rewards)
    assert (strict(group), lenient(group)) == (is_strict, is_lenient)


@given(groups())
@settings(max_examples=100, derandomize=True, deadline=None)
def test_the_released_lenient_rule_errs_on_equal_partial_rewards_alone(group: Group) -> None:
    rewards = group.rewards[group.valid]
    equal_partial = rewards.size > 0 and (rewards == 0.1).all()
    assert released_lenient(group) == (lenient(group) or equal_partial)


def test_returns_that_differ_by_rounding_alone_are_equal() -> None:
    group = group_of([0.1 + 0.2, 0.3])
    assert not group_advantages(group).any()
    assert not lenient(group)


def test_strict_looks_at_correctness_and_not_at_reward() -> None:
    assert strict(group_of([0.5, 0.5], successes=[True, False]))
    assert not strict(group_of([0.5, 0.7], successes=[True, True]))


def test_every_group_drops_nothing() -> None:
    assert every_group(group_of([0.0]))
