"""What training makes of rollouts that were cut off: kept, masked or penalised; filters and advantages agree on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from fakes import group_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.advantages import centred_rewards, group_advantages
from mtgrpo_env.filters import released_rewards_differ, rewards_differ, success_differs
from mtgrpo_env.truncation import CHANGES, mask_truncated, overlong_penalty, penalise_overlong
from mtgrpo_env.types import GeneratedText, Group, Rollout, Step

ROUNDING = 1e-9


@dataclass(frozen=True)
class Text:
    """Extras of a response that know of it what is asked."""

    num_tokens: int
    is_truncated: bool = False
    log_prob: float | None = None


def truncated(group: Group, *, which: list[bool]) -> Group:
    pairs = zip(group.rollouts, which, strict=True)
    return replace(group, rollouts=tuple(replace(rollout, is_truncated=cut) for rollout, cut in pairs))


@st.composite
def masked_groups(draw: st.DrawFn) -> Group:
    rewards = draw(st.lists(st.sampled_from([0.0, 0.1, 1.0]), max_size=6))
    flags = st.lists(st.booleans(), min_size=len(rewards), max_size=len(rewards))
    return mask_truncated(truncated(group_of(rewards, valid=draw(flags)), which=draw(flags)))


@given(masked_groups())
@settings(max_examples=200, derandomize=True, deadline=None)
def test_a_group_is_informative_only_if_an_advantage_that_is_learned_from_is_not_zero(group: Group) -> None:
    has_advantage = bool((np.abs(group_advantages(group)) > ROUNDING).any())
    assert rewards_differ(group) == has_advantage
    assert has_advantage or not success_differs(group)
    assert has_advantage == bool((np.abs(centred_rewards(group)) > ROUNDING).any())
    assert group.learnable.any() or not released_rewards_differ(group)
    assert not group_advantages(group)[~group.learnable].any()


def test_masked_rollouts_stay_in_the_baseline_of_the_others() -> None:
    group = truncated(group_of([1.0, 0.0, 0.0, 0.0]), which=[False, False, True, True])
    masked = mask_truncated(group)
    np.testing.assert_array_equal(group_advantages(masked)[:2], group_advantages(group)[:2])
    np.testing.assert_array_equal(group_advantages(masked)[2:], 0)
    np.testing.assert_array_equal(centred_rewards(masked), [0.75, -0.25, 0, 0])
    assert masked.rewards.tolist() == group.rewards.tolist()


def test_a_group_whose_only_wrong_rollouts_are_masked_still_teaches_by_the_right_ones() -> None:
    group = mask_truncated(truncated(group_of([1.0, 0.0]), which=[False, True]))
    assert success_differs(group)
    assert not success_differs(mask_truncated(truncated(group_of([1.0, 0.0]), which=[True, True])))


@given(tokens=st.integers(0, 200), limit=st.integers(1, 200))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_the_penalty_grows_from_0_to_1_over_the_last_fifth(tokens: int, limit: int) -> None:
    penalty = overlong_penalty(tokens, limit)
    assert 0 <= penalty <= 1
    assert penalty <= overlong_penalty(tokens + 1, limit)
    assert (penalty == 0) == (tokens <= 0.8 * limit + 1e-9) or penalty < 1e-9
    assert overlong_penalty(limit, limit) == pytest.approx(1)


def test_the_penalty_is_on_the_reward_and_leaves_success_as_it_is() -> None:
    def rollout(tokens: list[int], **facts: Any) -> Rollout:
        return Rollout(tuple(Step("", "", 0.0, Text(n)) for n in tokens), 1.0, is_success=True, **facts)

    rollouts = (rollout([90]), rollout([10, 100]), rollout([50, 50]), rollout([100], valid=False))
    group = penalise_overlong(Group(group_of([0.0]).problem, rollouts), max_new_tokens=100)
    np.testing.assert_allclose(group.rewards, [0.5, 0.0, 1.0, 1.0])  # the longest response counts; a failure is none
    assert group.successes.all()


def test_to_keep_changes_nothing_and_extras_that_know_nothing_are_not_penalised() -> None:
    group = truncated(group_of([1.0, 0.0]), which=[True, False])
    assert CHANGES["keep"](8)(group) is group
    assert CHANGES["penalty"](8)(group) == group
    assert not isinstance(("extra", 1), GeneratedText)
