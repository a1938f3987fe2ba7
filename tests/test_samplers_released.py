"""Dynamic sampling and Algorithm 2 as released, and one sampler taking over from another."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fakes import World, drive, filtered_at, kept_tasks, worlds
from hypothesis import given, settings

from mtgrpo_env.samplers import DynamicSampler, RatioPreservingSampler
from mtgrpo_env.samplers_released import (
    DelayedSampler,
    ReleasedDynamicSampler,
    ReleasedRatioPreservingSampler,
    RoundBudget,
)

UNIFORM = np.full(3, 1 / 3)
BOTH = pytest.mark.parametrize("sampler_type", [ReleasedDynamicSampler, ReleasedRatioPreservingSampler])


@BOTH
@given(world=worlds())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_a_plan_ends_and_selects_different_informative_groups_in_order(sampler_type: Any, world: World) -> None:
    z, rates, batch_size, seed = world
    plan = sampler_type(len(z), batch_size, seed=seed, budget=RoundBudget(3, hard_cap=7)).plan(z)
    rounds = drive(plan, filtered_at(rates, seed))
    assert 1 <= len(rounds) <= 7
    assert all(len(tasks) == 3 * batch_size for tasks in rounds)
    selected, weights = plan.select()
    assert selected == sorted(set(selected))
    assert all(plan.informative[i] for i in selected)
    np.testing.assert_array_equal(weights, np.ones(len(selected)))


@BOTH
def test_the_budget_counts_the_first_round_but_none_in_which_nothing_was_accepted(sampler_type: Any) -> None:
    """Rounds 1, 3 and 4 are empty; of a budget of 2, rounds 2 and 5 are counted, with one group each."""
    plan = sampler_type(3, 8, budget=RoundBudget(2)).plan(UNIFORM)
    for accepted in (0, 1, 0, 0, 1):
        proposal = plan.propose()
        plan.report(proposal, [i < accepted for i in range(len(proposal))])
    assert plan.propose() == []
    assert plan.rounds == 5
    assert len(plan.select()[0]) == 2


@BOTH
def test_a_plan_ends_once_exactly_b_groups_are_informative(sampler_type: Any) -> None:
    plan = sampler_type(1, 4).plan(np.ones(1))
    plan.report(plan.propose(), [i < 4 for i in range(12)])
    assert plan.propose() == []


@BOTH
def test_a_seed_decides_the_draws_and_an_oversampling_their_number(sampler_type: Any) -> None:
    one, same, other = (sampler_type(3, 8, seed=seed, oversampling=2).plan(UNIFORM).propose() for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 16


def test_a_reseeded_delayed_sampler_begins_with_the_early_one() -> None:
    early, late = DynamicSampler(3, 8), RatioPreservingSampler(3, 8)
    sampler = DelayedSampler(early, late, first_step=2)
    for _ in range(2):
        kinds = [type(sampler.plan(UNIFORM)).__name__ for _ in range(3)]
        assert kinds == ["DynamicPlan", "RatioPreservingPlan", "RatioPreservingPlan"]
        sampler.reseed(1)


@BOTH
def test_a_plan_for_which_nothing_is_ever_informative_ends_at_the_hard_cap(sampler_type: Any) -> None:
    plan = sampler_type(3, 4, budget=RoundBudget(2, hard_cap=9)).plan(UNIFORM)
    assert len(drive(plan, lambda k: False)) == 9
    assert plan.select()[0] == []


@given(worlds())
@settings(max_examples=80, derandomize=True, deadline=None)
def test_targets_are_the_rounded_thirds_of_the_first_round_and_bound_what_is_kept(world: World) -> None:
    z, rates, batch_size, seed = world
    plan = ReleasedRatioPreservingSampler(len(z), batch_size, seed=seed, budget=RoundBudget(3, 6)).plan(z)
    rounds = drive(plan, filtered_at(rates, seed))
    np.testing.assert_array_equal(plan.targets, np.round(np.bincount(rounds[0], minlength=len(z)) / 3))
    kept = kept_tasks(plan)
    if plan.accepted.sum() <= batch_size:
        np.testing.assert_array_equal(kept, plan.accepted)
    else:
        np.testing.assert_array_equal(kept, np.minimum(plan.targets, plan.accepted))


def test_targets_miss_the_batch_size_in_about_a_fifth_of_the_plans() -> None:
    """2,000 plans, three tasks, B = 32: standard error .01, tolerance .06."""
    sampler = ReleasedRatioPreservingSampler(3, 32)
    missed = np.mean([sampler.plan(UNIFORM).targets.sum() != 32 for _ in range(2000)])
    assert abs(missed - 0.22) < 0.06


def test_deficits_steer_only_once_a_batch_is_accepted() -> None:
    """Task 0 alone is informative. It is resampled with the others until B are accepted, then never again."""
    plan = ReleasedRatioPreservingSampler(3, 24, seed=1).plan(UNIFORM)
    seen: list[tuple[int, bool]] = []
    while proposal := plan.propose():
        seen.append((int(plan.accepted.sum()), 0 in proposal))
        plan.report(proposal, [k == 0 and i % 3 == 0 for i, k in enumerate(proposal)])
    assert {drawn for accepted, drawn in seen if accepted < 24} == {True}
    assert {drawn for accepted, drawn in seen if accepted >= 24} == {False}
    assert len(seen) > 5


def test_the_first_round_is_inflated_only_if_asked_for() -> None:
    """Shares ∝ .5 * 1, .5 * 4 if inflated, else equal; 200 rounds of 48, tolerance .02."""
    for max_inflation, share in ((1.0, 0.5), (5.0, 0.8)):
        sampler = ReleasedRatioPreservingSampler(2, 16, max_inflation=max_inflation)
        sampler.filter_rates = np.array([0.0, 0.75])
        drawn = [k for _ in range(200) for k in sampler.plan(np.array([0.5, 0.5])).propose()]
        assert abs(np.mean(drawn) - share) < 0.02


def delayed(seed: int = 0) -> DelayedSampler:
    return DelayedSampler(DynamicSampler(3, 8, seed=seed), RatioPreservingSampler(3, 8, seed=seed + 1), first_step=3)


def test_a_delayed_sampler_takes_over_at_its_step_and_has_learned_before() -> None:
    sampler, own = delayed(), []
    for _ in range(4):
        plan = sampler.plan(UNIFORM)
        drive(plan, filtered_at([0.0, 0.5, 0.9], 0))
        sampler.update(plan)
        own.append((type(plan).__name__, bool(sampler.late.filter_rates.any())))  # pyright: ignore[reportAttributeAccessIssue]
    assert own == [("DynamicPlan", True)] * 2 + [("RatioPreservingPlan", True)] * 2


def test_a_restored_delayed_sampler_goes_on_as_the_saved_one() -> None:
    sampler, other = delayed(), delayed(seed=9)
    for _ in range(2):
        plan = sampler.plan(UNIFORM)
        drive(plan, filtered_at([0.0, 0.5, 0.9], 0))
        sampler.update(plan)
    other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    for _ in range(3):
        assert sampler.plan(UNIFORM).propose() == other.plan(UNIFORM).propose()
    sampler.reseed(5)
    other.reseed(5)
    assert sampler.state_dict() == other.state_dict()
    assert type(sampler.plan(UNIFORM)).__name__ == "DynamicPlan"


def test_samplers_of_different_batches_cannot_follow_each_other() -> None:
    with pytest.raises(ValueError, match="3 tasks, 8 groups and 3, 9"):
        DelayedSampler(DynamicSampler(3, 8), RatioPreservingSampler(3, 9), first_step=2)


@BOTH
def test_a_restored_sampler_draws_the_same(sampler_type: Any) -> None:
    sampler, other = sampler_type(3, 8, seed=0), sampler_type(3, 8, seed=1)
    plan = sampler.plan(UNIFORM)
    drive(plan, filtered_at([0.2, 0.5, 0.9], 0))
    sampler.update(plan)
    other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert sampler.plan(UNIFORM).propose() == other.plan(UNIFORM).propose()


@pytest.mark.parametrize(("max_rounds", "hard_cap"), [(0, 10), (11, 10)])
def test_a_budget_that_can_never_be_spent_is_refused(max_rounds: int, hard_cap: int) -> None:
    with pytest.raises(ValueError, match=f"got {max_rounds} and {hard_cap}"):
        RoundBudget(max_rounds, hard_cap=hard_cap)
