"""Shares of a batch by prompts and by other amounts, and loss weights that make one the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from fakes import group_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.shares import absolute_advantage, count_groups, reweight_to_target_shares, share_weights, totals
from mtgrpo_env.types import Batch, FloatArray, Group, Problem

Entry = tuple[int, float, int]
BATCHES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0.5, 1.0, 2.0]), st.integers(1, 9)), min_size=1, max_size=12
)
"""Of each group its task, its loss weight, and its amount."""


def batch_of(groups: Sequence[Group], weights: Sequence[float], num_tasks: int = 4) -> Batch:
    none, nans = np.zeros(num_tasks, dtype=np.int64), np.full(num_tasks, np.nan)
    return Batch(
        groups=tuple(groups),
        loss_weights=np.array(weights, dtype=np.float64),
        task_weights=np.full(num_tasks, 1 / num_tasks),
        targets=none,
        accepted=none,
        generated=none,
        rewards=nans,
        accuracies=nans,
        mean_abs_advantages=nans,
        round_accuracies=nans[None],
        rounds=1,
        num_rollouts=0,
    )


def amounting(entries: Sequence[Entry]) -> Batch:
    """A batch of groups that carry their amount as the seed of their problem."""
    groups = [Group(Problem(task_id, seed=size), group_of([1, 0]).rollouts) for task_id, _, size in entries]
    return batch_of(groups, [weight for _, weight, _ in entries])


def size(group: Group) -> float:
    return float(group.problem.seed)


def shares(amounts: FloatArray) -> FloatArray:
    return amounts / amounts.sum()


# What a batch holds


def test_totals_count_each_group_by_its_amount_and_its_loss_weight() -> None:
    batch = amounting([(0, 1.0, 3), (2, 0.5, 4), (0, 2.0, 5), (2, 1.0, 1)])
    np.testing.assert_array_equal(totals(batch, size), [13.0, 0.0, 3.0, 0.0])
    np.testing.assert_array_equal(totals(batch, count_groups), [3.0, 0.0, 1.5, 0.0])


def test_an_empty_batch_holds_nothing_and_stays_empty() -> None:
    batch = batch_of([], [])
    np.testing.assert_array_equal(totals(batch, size), np.zeros(4))
    assert reweight_to_target_shares(batch, size).loss_weights.shape == (0,)


def test_the_absolute_advantage_by_hand() -> None:
    """Rewards 1, 0, 0, 0: mean .25, std √3/4, so |A| is √3 once and 1/√3 three times."""
    assert absolute_advantage(group_of([1.0, 0.0, 0.0, 0.0])) == pytest.approx(2 * np.sqrt(3))
    assert absolute_advantage(group_of([1.0, 0.0])) == pytest.approx(2)
    assert absolute_advantage(group_of([0.1, 0.1, 0.1])) == 0


def test_rollouts_whose_scorer_failed_do_not_count_in_the_absolute_advantage() -> None:
    assert absolute_advantage(group_of([1.0, 0.0, 9.0], valid=[True, True, False])) == pytest.approx(2)


# Weights that make the shares by amount what they are by prompts


@given(BATCHES)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_matched_shares_by_amount_are_the_shares_by_prompt_and_the_whole_stays_as_large(entries: list[Entry]) -> None:
    batch = amounting(entries)
    result = reweight_to_target_shares(batch, size, clip=1e9)
    np.testing.assert_allclose(shares(totals(result, size)), shares(totals(batch, count_groups)), rtol=1e-9)
    assert totals(result, size).sum() == pytest.approx(totals(batch, size).sum())
    assert result.groups == batch.groups


@given(BATCHES, st.sampled_from([1.0, 1.5, 3.0]))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_the_groups_of_a_task_change_by_one_factor_within_the_clip(entries: list[Entry], clip: float) -> None:
    batch = amounting(entries)
    factors = reweight_to_target_shares(batch, size, clip=clip).loss_weights / batch.loss_weights
    assert ((factors >= 1 / clip - 1e-12) & (factors <= clip + 1e-12)).all()
    for k in set(batch.task_ids.tolist()):
        np.testing.assert_allclose(factors[batch.task_ids == k], factors[batch.task_ids == k].mean(), rtol=1e-12)


def test_matched_weights_by_hand() -> None:
    """Tasks of 2 and 8 tokens share 5 and 5 of 10, at factors 2.5 and 5/8; a clip of 2 cuts the first alone."""
    batch = amounting([(0, 1.0, 2), (3, 1.0, 8)])
    np.testing.assert_allclose(reweight_to_target_shares(batch, size).loss_weights, [2.5, 0.625])
    np.testing.assert_allclose(reweight_to_target_shares(batch, size, clip=2.0).loss_weights, [2.0, 0.625])


def test_no_weight_changes_more_than_threefold_unless_it_is_allowed() -> None:
    """Tasks of 1 and 9 tokens share 5 and 5 of 10, at factors 5 and 5/9."""
    batch = amounting([(0, 1.0, 1), (3, 1.0, 9)])
    np.testing.assert_allclose(reweight_to_target_shares(batch, size).loss_weights, [3.0, 5 / 9])


@given(BATCHES)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_by_prompts_there_is_nothing_to_change(entries: list[Entry]) -> None:
    batch = amounting(entries)
    np.testing.assert_allclose(
        reweight_to_target_shares(batch, count_groups).loss_weights, batch.loss_weights, rtol=1e-12
    )


def test_a_task_without_any_amount_gets_finite_weights() -> None:
    batch = batch_of([group_of([0.0, 0.0], task_id=0), group_of([1.0, 0.0], task_id=1)], [1.0, 1.0])
    np.testing.assert_allclose(reweight_to_target_shares(batch, absolute_advantage, clip=3.0).loss_weights, [3.0, 0.5])


@pytest.mark.parametrize("clip", [0.5, 0.0, -1.0, float("nan")])
def test_a_clip_below_1_is_refused(clip: float) -> None:
    with pytest.raises(ValueError, match=rf"clip must be at least 1, got {clip}"):
        reweight_to_target_shares(amounting([(0, 1.0, 1)]), size, clip=clip)


# Weights for shares that are wanted


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=20),
    st.lists(st.floats(0.1, 10), min_size=4, max_size=4).map(np.array),
)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_the_tasks_there_are_count_in_the_ratio_wanted_and_a_group_counts_1_on_average(
    task_ids: list[int], wanted: FloatArray
) -> None:
    weights = share_weights(np.array(task_ids), wanted, clip=1e9)
    held = np.bincount(task_ids, weights=weights, minlength=4).astype(np.float64)
    present = np.where(np.bincount(task_ids, minlength=4) > 0, wanted, 0.0)
    np.testing.assert_allclose(shares(held), shares(present), rtol=1e-9)
    assert weights.mean() == pytest.approx(1)


def test_wanted_shares_are_followed_as_far_as_the_clip() -> None:
    """9 to 1 wanted where there are 2 and 2: 1.8 and .2, which a clip of 1.25 and one of 1 cut."""
    task_ids, wanted = np.array([1, 0, 1, 0]), np.array([9.0, 1.0])
    np.testing.assert_allclose(share_weights(task_ids, wanted, clip=10.0), [0.2, 1.8, 0.2, 1.8])
    np.testing.assert_allclose(share_weights(task_ids, wanted, clip=1.25), [0.8, 1.25, 0.8, 1.25])
    np.testing.assert_array_equal(share_weights(task_ids, wanted, clip=1.0), np.ones(4))


def test_no_groups_have_no_weights() -> None:
    assert share_weights(np.array([], dtype=np.int64), np.ones(3), clip=2.0).shape == (0,)
