from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.advantages import centred_rewards, group_advantages
from mtgrpo_env.types import FloatArray, Group, Problem, Rollout

REWARDS = st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.5]), min_size=1, max_size=12)


def group(rewards: list[float], valid: list[bool] | None = None) -> Group:
    valid = valid or [True] * len(rewards)
    return Group(Problem(0, 0), tuple(Rollout((), r, r == 1, v) for r, v in zip(rewards, valid, strict=True)))


@settings(derandomize=True, deadline=None)
@given(REWARDS)
def test_advantages_have_mean_zero_and_variance_one_or_are_all_zero(rewards: list[float]) -> None:
    advantages = group_advantages(group(rewards))
    assert abs(advantages.mean()) < 1e-9
    assert np.isclose(advantages.std(), 0.0 if len(set(rewards)) == 1 else 1.0)


@settings(derandomize=True, deadline=None)
@given(REWARDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_scaling_and_shifting_rewards_changes_no_advantage(rewards: list[float], scale: float, shift: float) -> None:
    moved = [scale * reward + shift for reward in rewards]
    assert np.allclose(group_advantages(group(rewards)), group_advantages(group(moved)), atol=1e-6)


def test_a_failed_scorer_gives_no_advantage_and_does_not_move_the_others() -> None:
    with_failure = group_advantages(group([1.0, 0.0, 0.0, 0.0], valid=[True, True, True, False]))
    assert with_failure[3] == 0
    assert np.allclose(with_failure[:3], group_advantages(group([1.0, 0.0, 0.0])))


@pytest.mark.parametrize("advantages", [group_advantages, centred_rewards])
def test_a_group_whose_scorer_always_failed_has_no_advantage(advantages: Callable[[Group], FloatArray]) -> None:
    assert advantages(group([1.0, 0.0], valid=[False, False])).tolist() == [0.0, 0.0]


def test_centred_rewards_are_distances_from_the_mean_of_the_valid() -> None:
    centred = centred_rewards(group([1.0, 0.5, 0.0, 9.0], valid=[True, True, True, False]))
    np.testing.assert_allclose(centred, [0.5, 0.0, -0.5, 0.0])
