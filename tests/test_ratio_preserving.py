"""Algorithm 2."""

from __future__ import annotations

from typing import Any

import numpy as np
from fakes import World, drive, filtered_at, kept_tasks, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.samplers import BatchSampler, DynamicSampler, RatioPreservingSampler
from mtgrpo_env.types import FloatArray

UNIFORM = np.full(3, 1 / 3)


def learned(sampler: RatioPreservingSampler, rates: list[float]) -> RatioPreservingSampler:
    """The sampler as if it had long seen groups filtered at these rates."""
    sampler.filter_rates = np.minimum(rates, 1 - 1e-9)
    return sampler


@given(worlds())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_every_task_keeps_what_it_was_promised_or_all_that_was_accepted(
    world: World,
) -> None:
    """Oracle: kept_k = min(n_k, c_k) before filling up to B; everything if no more than B were accepted."""
    z, rates, batch_size, seed = world
    plan = RatioPreservingSampler(len(z), batch_size, seed=seed).plan(z)
    drive(plan, filtered_at(rates, seed))
    kept, promised = kept_tasks(plan), np.minimum(plan.targets, plan.accepted)
    assert (kept >= promised).all()
    assert (kept <= plan.accepted).all()
    if plan.accepted.sum() <= batch_size:
        np.testing.assert_array_equal(kept, plan.accepted)
    if not plan.deficits.any():
        np.testing.assert_array_equal(kept, plan.targets)


@given(worlds())
@settings(max_examples=100, derandomize=True, deadline=None)
def test_only_tasks_that_lack_groups_are_resampled_and_only_while_one_does(
    world: World,
) -> None:
    z, rates, batch_size, seed = world
    sampler = RatioPreservingSampler(len(z), batch_size, seed=seed, max_resamples=4)
    plan, informative = sampler.plan(z), filtered_at(rates, seed)
    while True:
        lacking = plan.deficits > 0
        proposal = plan.propose()
        if not proposal:
            break
        assert len(proposal) == sampler.round_size
        assert plan.rounds == 1 or lacking[proposal].all()
        plan.report(proposal, [informative(k) for k in proposal])
    assert plan.rounds == 5 or not plan.deficits.any()


def first_round_shares(sampler: RatioPreservingSampler, z: FloatArray, *, plans: int = 300) -> FloatArray:
    drawn = [k for _ in range(plans) for k in sampler.plan(z).propose()]
    return np.bincount(drawn, minlength=len(z)) / len(drawn)


def test_the_first_round_is_inflated_by_expected_acceptance() -> None:
    """Shares ∝ z / (1 - ρ) = .5 * 1, .5 * 4; 300 rounds of 48, standard error below .004, tolerance .015."""
    sampler = learned(RatioPreservingSampler(2, 16), [0.0, 0.75])
    np.testing.assert_allclose(first_round_shares(sampler, np.array([0.5, 0.5])), [0.2, 0.8], atol=0.015)


def test_inflation_is_capped() -> None:
    """A task that is always filtered counts five times, not a billion times; tolerance as above."""
    sampler = learned(RatioPreservingSampler(2, 16, max_inflation=5), [0.0, 1.0])
    np.testing.assert_allclose(first_round_shares(sampler, np.array([0.5, 0.5])), [1 / 6, 5 / 6], atol=0.015)
    flat = learned(RatioPreservingSampler(2, 16, max_inflation=1), [0.0, 1.0])
    np.testing.assert_allclose(first_round_shares(flat, np.array([0.5, 0.5])), [0.5, 0.5], atol=0.015)


def test_resampling_follows_deficits_times_inflation() -> None:
    """Targets of one B are met by task 0 alone, so tasks 1 and 2 lack; 200 rounds of 48, tolerance .03."""
    drawn, expected = np.zeros(3), np.zeros(3)
    sampler = learned(RatioPreservingSampler(3, 16), [0.0, 0.5, 0.75])
    for _ in range(200):
        plan = sampler.plan(UNIFORM)
        proposal = plan.propose()
        plan.report(proposal, [k == 0 for k in proposal])
        demand = plan.deficits * np.array([1, 2, 4])
        expected += demand / demand.sum()
        drawn += np.bincount(plan.propose(), minlength=3) / sampler.round_size
    np.testing.assert_allclose(drawn / 200, expected / 200, atol=0.03)


def test_filter_rates_are_a_moving_average_of_each_rounds_filtered_share() -> None:
    """Shares 3/4 then 1/4: ρ = .9 (.1 * .75) + .1 * .25; a task that was not drawn keeps its rate."""
    sampler = learned(RatioPreservingSampler(2, 4, oversampling=1, max_resamples=1), [0.0, 0.3])
    plan = sampler.plan(np.array([1.0, 0.0]))
    for informative in ([True, False, False, False], [True, True, True, False]):
        plan.report(plan.propose(), informative)
    assert plan.propose() == []
    sampler.update(plan)
    np.testing.assert_allclose(sampler.filter_rates, [0.9 * 0.075 + 0.025, 0.3], rtol=1e-12)


def test_a_round_of_one_group_of_a_task_counts() -> None:
    sampler = RatioPreservingSampler(1, 1, oversampling=1, max_resamples=0)
    plan = sampler.plan(np.ones(1))
    plan.report(plan.propose(), [False])
    sampler.update(plan)
    np.testing.assert_allclose(sampler.filter_rates, [0.1])


def test_a_rate_without_a_memory_stays_below_1_when_everything_was_filtered() -> None:
    sampler = RatioPreservingSampler(1, 1, oversampling=1, max_resamples=0, rate_decay=0)
    plan = sampler.plan(np.ones(1))
    plan.report(plan.propose(), [False])
    sampler.update(plan)
    assert 0.99 < sampler.filter_rates[0] < 1


@given(worlds(), st.sampled_from([0.0, 0.5, 0.9]))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_filter_rates_stay_below_1(world: World, rate_decay: float) -> None:
    z, rates, batch_size, seed = world
    sampler = RatioPreservingSampler(len(z), batch_size, seed=seed, rate_decay=rate_decay, max_resamples=2)
    for i in range(30):
        plan = sampler.plan(z)
        drive(plan, filtered_at(rates, seed + i))
        sampler.update(plan)
        assert ((sampler.filter_rates >= 0) & (sampler.filter_rates < 1)).all()


def realised_shares(sampler: BatchSampler[Any], z: FloatArray, rates: FloatArray) -> FloatArray:
    informative, shares = filtered_at(rates, 0), []
    for _ in range(200):
        plan = sampler.plan(z)
        drive(plan, informative)
        sampler.update(plan)
        kept = kept_tasks(plan)
        shares.append(kept / kept.sum())
    return np.mean(shares, axis=0)


def test_batches_hold_tasks_in_the_ratio_of_their_weights_although_filtering_is_uneven() -> None:
    """200 batches of 32, filter rates .9, .1, .5: mean shares within .02 of z."""
    z, rates = np.array([0.2, 0.5, 0.3]), np.array([0.9, 0.1, 0.5])
    np.testing.assert_allclose(realised_shares(RatioPreservingSampler(3, 32), z, rates), z, atol=0.02)


def test_dynamic_sampling_holds_tasks_in_the_ratio_of_weights_times_acceptance() -> None:
    """The known bias of DAPO: z (1 - ρ), normalised, within .02; here it starves the hard task."""
    z, rates = np.array([0.2, 0.5, 0.3]), np.array([0.9, 0.1, 0.5])
    shares = realised_shares(DynamicSampler(3, 32), z, rates)
    np.testing.assert_allclose(shares, z * (1 - rates) / (z @ (1 - rates)), atol=0.02)
    assert np.abs(shares - z).max() > 0.15
