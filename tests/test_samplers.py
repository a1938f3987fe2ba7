from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import World, drive, filtered_at, kept_tasks, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.samplers import (
    BatchSampler,
    DynamicSampler,
    MultinomialSampler,
    RatioPreservingPlan,
    RatioPreservingSampler,
    checked_probabilities,
    shuffled_tasks,
)

SAMPLERS = [MultinomialSampler, DynamicSampler, RatioPreservingSampler]
UNIFORM = np.full(3, 1 / 3)


# Laws of every sampler


@pytest.mark.parametrize("sampler_type", SAMPLERS)
@given(world=worlds())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_counts_add_up(sampler_type: Callable[..., BatchSampler[Any]], world: World) -> None:
    z, rates, batch_size, seed = world
    plan = sampler_type(len(z), batch_size, seed=seed).plan(z)
    assert plan.targets.sum() == batch_size
    rounds = drive(plan, filtered_at(rates, seed))
    proposed = [k for tasks in rounds for k in tasks]
    assert plan.rounds == len(rounds) == len(plan.history)
    np.testing.assert_array_equal(plan.generated, np.bincount(proposed, minlength=len(z)))
    np.testing.assert_array_equal(plan.generated, sum(generated for generated, _ in plan.history))
    filtered = sum(filtered for _, filtered in plan.history)
    np.testing.assert_array_equal(plan.accepted, plan.generated - filtered)
    assert (plan.generated[z == 0] == 0).all()
    assert plan.propose() == []


@pytest.mark.parametrize("sampler_type", SAMPLERS)
@given(world=worlds())
@settings(max_examples=60, derandomize=True, deadline=None)
def test_at_most_b_different_groups_are_selected_in_order_and_with_weight_1(
    sampler_type: Callable[..., BatchSampler[Any]], world: World
) -> None:
    z, rates, batch_size, seed = world
    plan = sampler_type(len(z), batch_size, seed=seed).plan(z)
    drive(plan, filtered_at(rates, seed))
    selected, weights = plan.select()
    assert selected == sorted(set(selected))
    assert len(selected) <= batch_size
    assert all(0 <= i < plan.generated.sum() for i in selected)
    np.testing.assert_array_equal(weights, np.ones(len(selected)))
    if sampler_type is not MultinomialSampler:
        assert all(plan._informative[i] for i in selected)
        assert len(selected) == min(batch_size, plan.accepted.sum())


@pytest.mark.parametrize("sampler_type", [DynamicSampler, RatioPreservingSampler])
def test_a_plan_ends_and_selects_nothing_if_nothing_is_ever_informative(sampler_type: Any) -> None:
    sampler = sampler_type(3, 8)
    plan = sampler.plan(UNIFORM)
    drive(plan, lambda k: False)
    assert 0 < plan.rounds <= 11
    assert plan.select()[0] == []
    assert plan.select()[1].shape == (0,)
    sampler.update(plan)
    drive(sampler.plan(UNIFORM), lambda k: False)


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_targets_are_b_z_on_average(sampler_type: Any) -> None:
    """4000 plans of 16: standard error of a mean count below .032, tolerance .12."""
    z = np.array([0.2, 0.5, 0.3])
    sampler = sampler_type(3, 16, seed=1)
    mean = np.mean([sampler.plan(z).targets for _ in range(4000)], axis=0)
    np.testing.assert_allclose(mean, 16 * z, atol=0.12)


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_relabelling_tasks_permutes_what_is_kept(sampler_type: Any) -> None:
    """In distribution: 300 batches of 16 each, tolerance .03 on shares."""
    z, rates, names = np.array([0.2, 0.5, 0.3]), np.array([0.8, 0.0, 0.4]), [2, 0, 1]
    shares = []
    for order in ([0, 1, 2], names):
        sampler, informative = sampler_type(3, 16, seed=0), filtered_at(rates[order], 0)
        total = np.zeros(3)
        for _ in range(300):
            plan = sampler.plan(z[order])
            drive(plan, informative)
            sampler.update(plan)
            total += kept_tasks(plan)
        shares.append(total / total.sum())
    np.testing.assert_allclose(shares[0][names], shares[1], atol=0.03)


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_a_report_may_come_in_parts(sampler_type: Any) -> None:
    whole, parts = sampler_type(3, 8, seed=4).plan(UNIFORM), sampler_type(3, 8, seed=4).plan(UNIFORM)
    drive(whole, lambda k: k != 1)
    while proposal := parts.propose():
        for task_id in proposal:
            parts.report([task_id], [task_id != 1])
    assert len(parts.history) == len(whole.history)
    np.testing.assert_array_equal(np.array(parts.history), np.array(whole.history))
    assert parts.select()[0] == whole.select()[0]


# State


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_a_restored_sampler_draws_the_same_batches(sampler_type: Any) -> None:
    def three_batches(sampler: BatchSampler[Any]) -> list[Any]:
        drawn = []
        for seed in range(3):
            plan = sampler.plan(np.array([0.2, 0.5, 0.3]))
            drawn += [drive(plan, filtered_at([0.9, 0.1, 0.5], seed)), plan.targets.tolist(), plan.select()[0]]
            sampler.update(plan)
        return drawn

    sampler = sampler_type(3, 8, seed=7)
    three_batches(sampler)
    saved = json.dumps(sampler.state_dict())
    drawn = three_batches(sampler)
    restored = sampler_type(3, 8, seed=99)
    restored.load_state_dict(json.loads(saved))
    assert three_batches(restored) == drawn
    assert restored.state_dict() == sampler.state_dict()


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_a_reseeded_sampler_is_a_fresh_one(sampler_type: Any) -> None:
    sampler = sampler_type(3, 8, seed=1)
    plan = sampler.plan(UNIFORM)
    drive(plan, filtered_at([0.9, 0.1, 0.5], 0))
    sampler.update(plan)
    sampler.reseed(5)
    assert sampler.state_dict() == sampler_type(3, 8, seed=5).state_dict()
    assert sampler.plan(UNIFORM).propose() == sampler_type(3, 8, seed=5).plan(UNIFORM).propose()


# GRPO and DAPO


def test_grpo_generates_the_targets_in_one_round_and_keeps_everything() -> None:
    plan = MultinomialSampler(3, 16).plan(UNIFORM)
    assert len(drive(plan, lambda k: False)) == 1
    np.testing.assert_array_equal(plan.generated, plan.targets)
    assert plan.select()[0] == list(range(16))


def test_dapo_takes_the_first_b_informative_groups() -> None:
    plan = DynamicSampler(2, 4, oversampling=3).plan(np.array([0.5, 0.5]))
    proposal = plan.propose()
    assert len(proposal) == 12
    plan.report(proposal, [i in (1, 4, 5, 7, 8, 11) for i in range(12)])
    assert plan.propose() == []
    assert plan.select()[0] == [1, 4, 5, 7]


def test_dapo_asks_for_no_more_once_exactly_b_are_informative() -> None:
    plan = DynamicSampler(2, 4).plan(np.array([0.5, 0.5]))
    plan.report(plan.propose(), [i < 4 for i in range(12)])
    assert plan.propose() == []


def test_dapo_refills_with_whole_rounds_until_b_are_informative_or_the_budget_is_spent() -> None:
    plan = DynamicSampler(2, 4, oversampling=1, max_rounds=3).plan(np.array([0.5, 0.5]))
    for kept in (1, 2):
        proposal = plan.propose()
        assert len(proposal) == 4
        plan.report(proposal, [i < kept for i in range(4)])
    proposal = plan.propose()
    plan.report(proposal, [False] * 4)
    assert plan.propose() == []
    assert (plan.rounds, plan.select()[0]) == (3, [0, 4, 5])


# Misuse


def test_a_plan_wants_all_reports_before_it_proposes_more() -> None:
    plan = RatioPreservingSampler(2, 4).plan(np.array([0.5, 0.5]))
    proposal = plan.propose()
    plan.report(proposal[:5], [True] * 5)
    with pytest.raises(RuntimeError, match="report the 7 groups still outstanding"):
        plan.propose()


def test_a_plan_takes_no_more_reports_than_it_proposed() -> None:
    plan: RatioPreservingPlan = RatioPreservingSampler(2, 4).plan(np.array([0.5, 0.5]))
    with pytest.raises(AssertionError, match="more groups reported than proposed"):
        plan.report([0], [True])


@pytest.mark.parametrize("sampler_type", SAMPLERS)
@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.5], r"expected 3 task weights, got shape \(2,\)"),
        ([[0.2, 0.5, 0.3]], r"expected 3 task weights, got shape \(1, 3\)"),
        (1.0, r"expected 3 task weights, got shape \(\)"),
        ([0.5, 0.6, -0.1], "non-negative and sum to 1, got .*-0.1.* with sum 1"),
        ([0.5, 0.5, 0.5], "sum to 1, got .* with sum 1.5"),
        ([0.0, 0.0, 0.0], "sum to 1, got .* with sum 0"),
        ([np.nan, 0.5, 0.5], "sum to 1, got .*nan"),
        ([np.inf, 0.0, 0.0], "sum to 1, got .*inf"),
    ],
)
def test_task_weights_off_the_simplex_are_refused(sampler_type: Any, probabilities: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler_type(3, 8).plan(np.array(probabilities))


def test_weights_that_miss_the_simplex_by_rounding_are_put_on_it() -> None:
    assert checked_probabilities(np.array([0.1] * 10) * (1 + 1e-7), 10).sum() == pytest.approx(1, abs=1e-15)
    assert checked_probabilities(np.full(49, 1 / 49, dtype=np.float32), 49).sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("sampler_type", "least"),
    [
        (MultinomialSampler, {}),
        (DynamicSampler, {"oversampling": 1, "max_rounds": 1}),
        (RatioPreservingSampler, {"oversampling": 1, "max_inflation": 1, "max_resamples": 0, "rate_decay": 0}),
        (QuotaSampler, dict.fromkeys(("max_generated", "max_rounds", "max_inflation", "weight_clip"), 1)),
    ],
)
def test_the_least_of_every_setting_is_a_batch_of_one_group(sampler_type: Any, least: dict[str, int]) -> None:
    plan = sampler_type(1, 1, **least).plan(np.ones(1))
    plan.report(plan.propose(), [True])
    assert plan.propose() == []
    assert plan.select()[0] == [0]


@pytest.mark.parametrize("sampler_type", SAMPLERS)
@pytest.mark.parametrize(("sizes", "name"), [((0, 8), "num_tasks"), ((3, 0), "batch_size"), ((3, -1), "batch_size")])
def test_sizes_below_1_are_refused(sampler_type: Any, sizes: tuple[int, int], name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got"):
        sampler_type(*sizes)


@pytest.mark.parametrize(
    ("sampler_type", "setting"),
    [
        (DynamicSampler, {"oversampling": 0.5}),
        (DynamicSampler, {"max_rounds": 0}),
        (RatioPreservingSampler, {"oversampling": 0.5}),
        (RatioPreservingSampler, {"max_inflation": 0.9}),
        (RatioPreservingSampler, {"rate_decay": 1.0}),
        (RatioPreservingSampler, {"rate_decay": -0.1}),
    ],
)
def test_settings_out_of_range_are_refused_by_name(sampler_type: Any, setting: dict[str, float]) -> None:
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=rf"{name} must be .*, got {value}"):
        sampler_type(3, 8, **setting)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 100))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_shuffling_keeps_the_counts(counts: list[int], seed: int) -> None:
    tasks = shuffled_tasks(np.random.default_rng(seed), np.array(counts))
    assert sorted(tasks) == [k for k, count in enumerate(counts) for _ in range(count)]
