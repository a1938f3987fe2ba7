"""Quotas: unbiased rounding, rounds sized by what is lacking, a budget, and loss weights for what still lacks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fakes import World, drive, filtered_at, kept_tasks, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.plans import BatchSampler, systematic
from mtgrpo_env.quota_sampler import QuotaPlan, QuotaSampler, groups_to_generate, shared_out
from mtgrpo_env.samplers import RatioPreservingSampler
from mtgrpo_env.types import FloatArray, IntArray

Z, RATES = np.array([0.2, 0.5, 0.3]), np.array([0.8, 0.1, 0.5])
INFINITY = float("inf")


def knowing(sampler: QuotaSampler, acceptance: Sequence[float]) -> QuotaSampler:
    """The sampler as if it had seen a billion groups accepted at these rates."""
    sampler.acceptance.observe(np.full(sampler.num_tasks, 1e9), 1e9 * np.array(acceptance))
    return sampler


def unbounded(num_tasks: int, batch_size: int, **settings: Any) -> QuotaSampler:
    """A sampler that nothing but what tasks lack sets bounds to."""
    bounds = {"max_generated": INFINITY, "max_inflation": 1e6, "weight_clip": INFINITY}
    return QuotaSampler(num_tasks, batch_size, **{**bounds, **settings})


def report(plan: QuotaPlan, accepted: Sequence[int] | IntArray) -> IntArray:
    """Play one round in which the first groups of each task, this many, are informative; returns what it asked for."""
    proposal, left = plan.propose(), list(accepted)
    informative = []
    for task_id in proposal:
        informative.append(left[task_id] > 0)
        left[task_id] -= 1
    plan.report(proposal, informative)
    return np.bincount(proposal, minlength=plan.num_tasks)


def loss_shares(plan: QuotaPlan) -> FloatArray:
    """(K,) what the loss counts of each task."""
    selected, weights = plan.select()
    totals = np.bincount([plan.task_ids[i] for i in selected], weights=weights, minlength=plan.num_tasks)
    return totals / totals.sum()


# Systematic rounding


@given(worlds())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_rounding_keeps_the_sum_and_moves_no_count_by_as_much_as_1(world: World) -> None:
    z, _, batch_size, seed = world
    counts = systematic(np.random.default_rng(seed), batch_size * z)
    assert counts.sum() == batch_size
    assert (np.abs(counts - batch_size * z) < 1).all()
    assert (counts[z == 0] == 0).all()


@pytest.mark.parametrize("draw", [0.0, np.nextafter(1, 0)])
@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.7])
def test_rounding_keeps_the_sum_at_either_end_of_what_is_drawn(share: float, draw: float) -> None:
    class Drawn(np.random.Generator):
        def random(self, *_: Any, **__: Any) -> Any:
            return draw

    expected = np.full(30, share)
    assert systematic(Drawn(np.random.PCG64(0)), expected).sum() == round(30 * share)


def test_rounding_is_unbiased() -> None:
    """20,000 draws: standard error of a mean count at most .0036, tolerance .016."""
    rng, expected = np.random.default_rng(0), np.array([0.3, 2.7, 0.0, 0.05, 1.45, 3.5])
    mean = np.mean([systematic(rng, expected) for _ in range(20_000)], axis=0)
    np.testing.assert_allclose(mean, expected, atol=0.016)


@pytest.mark.parametrize("expected", [(0.5, 0.5, 0.5, 0.5), (0.3, 1.2, 0.9, 0.6)])
def test_relabelling_tasks_permutes_what_they_are_rounded_to(expected: tuple[float, ...]) -> None:
    """In distribution, jointly: 8000 draws each, standard error of a difference below .008, tolerance .035."""
    rng, names, draws = np.random.default_rng(1), [2, 0, 3, 1], 8000
    there = Counter(tuple(systematic(rng, np.array(expected))[names].tolist()) for _ in range(draws))
    here = Counter(tuple(systematic(rng, np.array(expected)[names]).tolist()) for _ in range(draws))
    assert max(abs(there[n] - here[n]) for n in there | here) / draws < 0.035


def test_any_two_of_four_equal_tasks_are_rounded_up_together() -> None:
    """Six pairs, 6000 draws: standard error .005, tolerance .022."""
    rng = np.random.default_rng(2)
    pairs = Counter(tuple(systematic(rng, np.full(4, 0.5)).tolist()) for _ in range(6000))
    np.testing.assert_allclose([count / 6000 for count in pairs.values()], [1 / 6] * 6, atol=0.022)


def test_ten_thousand_tasks_are_rounded_to_one_batch() -> None:
    z = np.random.default_rng(3).dirichlet(np.full(10_000, 0.1))
    counts = systematic(np.random.default_rng(4), 256 * z)
    assert counts.sum() == 256
    assert (np.abs(counts - 256 * z) < 1).all()


def test_rounding_what_does_not_sum_to_an_integer_takes_nothing_away() -> None:
    expected = np.array([3.3, 0.1])
    drawn = np.array([systematic(np.random.default_rng(seed), expected) for seed in range(200)])
    assert (drawn >= 0).all()
    assert (np.abs(drawn - expected) < 1).all()


# How many groups to generate


def least_that_suffice(wanted: int, acceptance: float, confidence: float) -> int:
    """The exact quantile, by adding up P(the last of `wanted` successes comes at trial m)."""
    trials = wanted
    arrival = reached = acceptance**wanted
    while reached < confidence - 1e-12:
        trials += 1
        arrival *= (trials - 1) / (trials - wanted) * (1 - acceptance)
        reached += arrival
    return trials


@pytest.mark.parametrize("acceptance", [0.2, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("confidence", [0.3, 0.5, 0.6, 0.8, 0.95])
def test_as_many_groups_are_generated_as_the_exact_quantile_asks_for_or_three_more_or_less(
    acceptance: float, confidence: float
) -> None:
    wanted = np.array([1, 2, 3, 5, 10, 32, 100])
    exact = [least_that_suffice(n, acceptance, confidence) for n in wanted.tolist()]
    counts = groups_to_generate(wanted, np.full(7, acceptance), confidence=confidence)
    np.testing.assert_allclose(counts, exact, atol=3)


@pytest.mark.parametrize("acceptance", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("confidence", [0.5, 0.6, 0.95])
def test_of_a_task_that_is_seldom_accepted_the_quantile_is_missed_by_less_than_a_third(
    acceptance: float, confidence: float
) -> None:
    wanted = np.array([1, 2, 5, 10, 32])
    exact = [least_that_suffice(n, acceptance, confidence) for n in wanted.tolist()]
    counts = groups_to_generate(wanted, np.full(5, acceptance), confidence=confidence)
    np.testing.assert_allclose(counts, exact, rtol=0.03 if confidence < 0.9 else 1 / 3, atol=2)


@given(
    wanted=st.lists(st.integers(0, 60), min_size=2, max_size=2).map(sorted),
    rates=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=2).map(sorted),
    confidences=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=2).map(sorted),
)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_more_is_generated_for_more_groups_at_more_confidence_and_lower_acceptance(
    wanted: list[int], rates: list[float], confidences: list[float]
) -> None:
    def count(n: int, rate: float, confidence: float) -> int:
        return int(groups_to_generate(np.array([n]), np.array([rate]), confidence=confidence)[0])

    middle = count(wanted[0], rates[1], confidences[0])
    assert middle >= wanted[0]
    assert (middle == 0) == (wanted[0] == 0)
    assert count(wanted[1], rates[1], confidences[0]) >= middle
    assert count(wanted[0], rates[0], confidences[0]) >= middle
    assert count(wanted[0], rates[1], confidences[1]) >= middle


# Laws of a plan


@given(worlds(), st.integers(1, 4), st.integers(1, 3), st.sampled_from([1.0, 2.0, 20.0]), st.lists(st.integers(0, 4)))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_a_plan_stays_within_its_budget_its_rounds_and_its_quotas(
    world: World, max_generated: int, max_rounds: int, max_inflation: float, offered: list[int]
) -> None:
    z, rates, batch_size, seed = world
    bounds: dict[str, Any] = {"max_generated": max_generated, "max_rounds": max_rounds, "max_inflation": max_inflation}
    plan = QuotaSampler(len(z), batch_size, seed=seed, **bounds).plan(z)
    plan.offer([k for k in offered if k < len(z)])
    while proposal := (lacking := plan.deficits, plan.propose())[1]:
        assert (np.bincount(proposal, minlength=len(z)) <= np.ceil(max_inflation * lacking)).all()
        plan.report(proposal, list(map(filtered_at(rates, seed + plan.rounds), proposal)))
    assert plan.rounds == len(plan.history) <= max_rounds
    assert plan.generated.sum() <= max_generated * batch_size
    assert (plan.generated[z == 0] == 0).all()
    np.testing.assert_array_equal(kept_tasks(plan), np.minimum(plan.targets, plan.accepted))
    assert all(plan.informative[i] for i in plan.select()[0])


@given(worlds(), st.sampled_from([1.0, 1.5, 4.0]))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_loss_weights_stay_within_the_clip(world: World, clip: float) -> None:
    z, rates, batch_size, seed = world
    plan = QuotaSampler(len(z), batch_size, seed=seed, weight_clip=clip, max_generated=1).plan(z)
    drive(plan, filtered_at(rates, seed))
    selected, weights = plan.select()
    assert weights.shape == (len(selected),)
    assert ((weights >= 1 / clip) & (weights <= clip)).all()


@given(st.lists(st.floats(1, 8), min_size=1, max_size=6), st.integers(0, 10**6))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_loss_weights_restore_the_ratio_whatever_was_accepted_of_each_task(sizes: list[float], seed: int) -> None:
    z, batch_size, rng = np.array(sizes) / sum(sizes), int(np.ceil(sum(sizes))), np.random.default_rng(seed)
    plan = unbounded(len(z), batch_size, seed=seed, max_rounds=1).plan(z)
    accepted = 1 + rng.integers(plan.targets)  # at least one of each, at most what is wanted
    report(plan, accepted)
    np.testing.assert_array_equal(kept_tasks(plan), accepted)
    np.testing.assert_allclose(loss_shares(plan), z, rtol=1e-9)
    assert plan.select()[1].mean() == pytest.approx(1)


def test_loss_weights_by_hand() -> None:
    """Wanted 6, 2; there are 2, 2: a group of the first counts 1.5, of the second 0.5; then clips that bind."""
    for clip, expected in ((3.0, {0: 1.5, 1: 0.5}), (1.2, {0: 1.2, 1: 1 / 1.2}), (1.0, {0: 1.0, 1: 1.0})):
        plan = QuotaSampler(2, 8, max_rounds=1, weight_clip=clip).plan(np.array([0.75, 0.25]))
        report(plan, [2, 2])
        selected, weights = plan.select()
        np.testing.assert_allclose(weights, [expected[plan.task_ids[i]] for i in selected])


def test_a_task_with_nothing_accepted_is_left_out_and_the_others_keep_their_ratio() -> None:
    plan = unbounded(3, 20, max_rounds=1).plan(np.array([0.5, 0.3, 0.2]))
    report(plan, [3, 6, 0])
    np.testing.assert_allclose(loss_shares(plan), [0.625, 0.375, 0.0])


def test_nothing_is_selected_if_nothing_is_ever_informative() -> None:
    sampler = QuotaSampler(3, 8)
    for _ in range(20):
        plan = sampler.plan(Z)
        drive(plan, lambda k: False)
        selected, weights = plan.select()
        assert plan.rounds in (1, 2)
        assert (selected, weights.shape) == ([], (0,))
        sampler.update(plan)


def test_loss_shares_are_the_task_weights_on_average_also_below_one_group_a_batch() -> None:
    """2000 batches of 16, B z = .25, .5, .75, 6, 8.5, all accepted: standard error below .0007, tolerance .003.

    Shares wanted are B z without bias, standard error .011, tolerance .05; for a task of at least one group, exactly.
    """
    expected = np.array([0.25, 0.5, 0.75, 6.0, 8.5])
    sampler, of_loss, wanted = knowing(QuotaSampler(5, 16), [1 - 1e-9] * 5), np.zeros(5), np.zeros(5)
    for _ in range(2000):
        plan = sampler.plan(expected / 16)
        drive(plan, lambda k: True)
        of_loss += loss_shares(plan) / 2000
        wanted += plan.shares / 2000
        np.testing.assert_allclose(plan.shares[3:], expected[3:])
    np.testing.assert_allclose(of_loss, expected / 16, atol=0.003)
    np.testing.assert_allclose(wanted, expected, atol=0.05)


# What a round asks for


def test_targets_are_b_z_on_average_and_never_further_than_a_group_from_it() -> None:
    """4000 plans of 16: standard error of a mean count below .008, tolerance .036."""
    sampler, expected = QuotaSampler(3, 16, seed=1), 16 * Z
    targets = np.array([sampler.plan(Z).targets for _ in range(4000)])
    assert (np.abs(targets - expected) < 1).all()
    assert (targets.sum(axis=1) == 16).all()
    np.testing.assert_allclose(targets.mean(axis=0), expected, atol=0.036)


def test_each_round_is_sized_by_what_is_lacking_and_by_the_acceptance_rates() -> None:
    acceptance = np.array([0.2, 0.9, 0.5])
    plan = knowing(unbounded(3, 20, confidence=0.8, max_rounds=3), acceptance.tolist()).plan(Z)
    for lacking, accepted in (([4, 10, 6], [1, 10, 6]), ([3, 0, 0], [1, 0, 0]), ([2, 0, 0], [2, 0, 0])):
        np.testing.assert_array_equal(plan.deficits, lacking)
        expected = groups_to_generate(np.array(lacking), acceptance, confidence=0.8)
        np.testing.assert_array_equal(report(plan, accepted), expected)
    assert plan.propose() == []


def test_a_round_fills_a_quota_with_the_confidence_asked_for() -> None:
    """One task, 20 wanted, acceptance .4, 2000 rounds: standard error .011, lattice and approximation .04."""
    sampler, informative = knowing(unbounded(1, 20, confidence=0.8, max_rounds=1), [0.4]), filtered_at([0.6], 0)
    filled = 0
    for _ in range(2000):
        plan = sampler.plan(np.ones(1))
        drive(plan, informative)
        filled += not plan.deficits.any()
    assert filled / 2000 == pytest.approx(0.8, abs=0.06)


def test_a_budget_that_does_not_suffice_is_dealt_out_in_the_ratio_of_the_targets() -> None:
    """At acceptance .05 and .1 both want far more than the 24 there are; then what is left of them, which is none."""
    plan = knowing(QuotaSampler(2, 8, max_generated=3), [0.05, 0.1]).plan(np.array([0.75, 0.25]))
    assert report(plan, [0, 0]).tolist() == [18, 6]
    assert plan.propose() == []


def test_a_rare_task_leaves_the_others_what_they_need() -> None:
    plan = knowing(QuotaSampler(3, 9, max_generated=2), [0.05, 0.8, 0.8]).plan(np.full(3, 1 / 3))
    needed = groups_to_generate(np.full(2, 3), np.full(2, 0.8), confidence=0.6).tolist()
    assert sum(needed) < 12, "the others must need less than their part"
    assert report(plan, [0, 0, 0]).tolist() == [18 - sum(needed), *needed]


@given(worlds(), st.floats(0, 60), st.integers(0, 10**6))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_a_budget_is_used_up_and_no_task_has_less_for_its_weight_than_one_that_could_give(
    world: World, budget: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights, wanted = (rng.integers(1, 20, len(world[0])) for _ in range(2))
    parts = shared_out(budget, wanted, weights)
    assert parts.sum() == pytest.approx(min(budget, wanted.sum()))
    assert ((parts >= 0) & (parts <= wanted + 1e-9)).all()
    lacking = parts < wanted - 1e-9
    if lacking.any():
        assert (parts[lacking] / weights[lacking]).min() >= (parts / weights).max() - 1e-9


def test_what_the_first_round_left_of_the_budget_is_the_second_rounds() -> None:
    plan = knowing(QuotaSampler(1, 8, max_generated=2), [0.8]).plan(np.ones(1))
    first = report(plan, [0])
    assert 8 <= first[0] < 16
    assert report(plan, [0])[0] == min(16 - first[0], first[0])


@pytest.mark.parametrize(("batch_size", "max_generated"), [(5, 1.5), (4, 1.1)])
def test_a_budget_that_is_no_whole_number_of_groups_is_kept(batch_size: int, max_generated: float) -> None:
    for seed in range(100):
        plan = QuotaSampler(3, batch_size, seed=seed, max_generated=max_generated).plan(np.full(3, 1 / 3))
        drive(plan, lambda k: False)
        assert plan.generated.sum() <= max_generated * batch_size


def test_an_inflation_without_a_bound_sets_none() -> None:
    plan = knowing(QuotaSampler(2, 8, max_inflation=INFINITY), [0.5, 0.5]).plan(np.array([1.0, 0.0]))
    np.testing.assert_array_equal(np.bincount(plan.propose(), minlength=2), [17, 0])


def test_a_solved_task_takes_no_more_than_its_inflation_allows() -> None:
    sampler = knowing(unbounded(2, 8, max_inflation=5), [1e-6, 1 - 1e-9])
    plan = sampler.plan(np.array([0.5, 0.5]))
    np.testing.assert_array_equal(report(plan, [0, 4]), [20, 4])
    np.testing.assert_array_equal(report(plan, [0, 0]), [20, 0])


def test_a_task_out_of_reach_takes_its_share_of_the_budget_and_no_more() -> None:
    """Two of 8 groups are 6 of 24; at an acceptance of .01 and 20 groups for each one wanted it were 40."""
    plan = knowing(QuotaSampler(2, 8, max_generated=3, max_rounds=1), [0.01, 0.99]).plan(np.array([0.25, 0.75]))
    assert report(plan, [0, 0])[0] == 6


def test_the_oldest_groups_of_a_task_are_kept() -> None:
    plan = knowing(unbounded(2, 4), [0.5, 0.5]).plan(np.array([0.5, 0.5]))
    plan.offer([1, 1, 1])
    proposal = plan.propose()
    assert set(proposal) == {0}
    plan.report(proposal, [i > 0 for i in range(len(proposal))])
    assert plan.select()[0] == [0, 1, 4, 5]


# Groups offered


def test_groups_offered_count_towards_the_quotas_and_are_neither_generated_nor_learned_from() -> None:
    sampler = QuotaSampler(3, 20)
    plan, untouched = sampler.plan(Z), QuotaSampler(3, 20)
    plan.offer([1] * 12 + [0] * 3)
    assert plan.replayed == 15
    np.testing.assert_array_equal(plan.deficits, [1, 0, 6])
    asked = report(plan, [1, 0, 6])
    assert asked[1] == 0
    np.testing.assert_array_equal(plan.generated, asked)
    np.testing.assert_array_equal(plan.history[0][0], asked)
    np.testing.assert_array_equal(plan.filtered, asked - [1, 0, 6])
    np.testing.assert_array_equal(plan.accepted, [4, 12, 6])
    np.testing.assert_array_equal(kept_tasks(plan), plan.targets)
    sampler.update(plan)
    untouched.acceptance.observe(asked, [1, 0, 6])
    np.testing.assert_array_equal(sampler.acceptance.estimates, untouched.acceptance.estimates)


def test_a_plan_whose_quotas_are_filled_by_what_is_offered_generates_nothing() -> None:
    sampler = QuotaSampler(2, 4)
    plan = sampler.plan(np.array([0.5, 0.5]))
    before = sampler.acceptance.estimates
    plan.offer([0, 1, 0, 1, 1])
    assert plan.propose() == []
    sampler.update(plan)
    assert (plan.rounds, plan.generated.sum(), plan.select()[0]) == (0, 0, [0, 1, 2, 3])
    np.testing.assert_array_equal(sampler.acceptance.estimates, before)


def test_groups_are_offered_once_and_before_the_first_round() -> None:
    late, twice = QuotaSampler(2, 4).plan(np.array([0.5, 0.5])), QuotaSampler(2, 4).plan(np.array([0.5, 0.5]))
    late.propose()
    twice.offer([0])
    for plan in (late, twice):
        with pytest.raises(AssertionError, match="groups are offered once, before any is proposed"):
            plan.offer([1])


# Over many batches


def batches(sampler: BatchSampler[Any], z: FloatArray, rates: Sequence[FloatArray]) -> tuple[IntArray, FloatArray]:
    """Groups generated and (K,) groups kept of each batch, given the share filtered of each task in it."""
    generated, kept = [], []
    for seed, of_batch in enumerate(rates):
        plan = sampler.plan(z)
        drive(plan, filtered_at(of_batch, seed))
        sampler.update(plan)
        generated.append(plan.generated.sum())
        kept.append(kept_tasks(plan))
    return np.array(generated), np.array(kept, dtype=np.float64)


def test_while_acceptance_drifts_less_is_generated_than_by_algorithm_2_and_batches_are_nearer_to_the_weights() -> None:
    """100 batches of 32, filter rates between .2 and .85 that rise and fall; one seed."""
    phases = np.linspace(0, 4 * np.pi, 100)[:, None] + np.array([0.0, 2.0, 4.0])
    rates = list(0.525 + 0.325 * np.sin(phases))
    quota, published = (batches(sampler(3, 32, seed=0), Z, rates) for sampler in (QuotaSampler, RatioPreservingSampler))
    distances = [np.abs(kept / kept.sum(axis=1, keepdims=True) - Z).sum(axis=1) / 2 for _, kept in (quota, published)]
    assert quota[0].sum() < 0.8 * published[0].sum()
    assert distances[0].mean() < 0.5 * distances[1].mean()


def test_acceptance_rates_are_learned() -> None:
    """150 batches of 32 at constant rates; about 50 groups count, so standard error below .07, tolerance .2."""
    sampler = QuotaSampler(3, 32, seed=0)
    batches(sampler, Z, [RATES] * 150)
    np.testing.assert_allclose(sampler.acceptance.estimates, 1 - RATES, atol=0.2)


def test_relabelling_tasks_permutes_what_is_kept_and_generated() -> None:
    """In distribution: 300 batches of 16 each, tolerance .03 on shares."""
    names = [2, 0, 1]
    shares = []
    for order in ([0, 1, 2], names):
        sampler, informative, total = QuotaSampler(3, 16), filtered_at(RATES[order], 0), np.zeros((2, 3))
        for _ in range(300):
            plan = sampler.plan(Z[order])
            drive(plan, informative)
            sampler.update(plan)
            total += [kept_tasks(plan), plan.generated]
        shares.append(total / total.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(shares[0][:, names], shares[1], atol=0.03)


@pytest.mark.parametrize("num_tasks", [1, 2, 100, 10_000])
def test_any_number_of_tasks_will_do(num_tasks: int) -> None:
    sampler, z = QuotaSampler(num_tasks, 64), np.random.default_rng(0).dirichlet(np.full(num_tasks, 0.5))
    for seed in range(3):
        plan = sampler.plan(z)
        drive(plan, filtered_at(np.full(num_tasks, 0.4), seed))
        sampler.update(plan)
        assert 32 < kept_tasks(plan).sum() <= 64
        assert ((sampler.acceptance.estimates > 0) & (sampler.acceptance.estimates < 1)).all()


# State and misuse


def test_a_restored_quota_sampler_draws_the_same_batches() -> None:
    def three_batches(sampler: QuotaSampler) -> list[Any]:
        drawn = []
        for seed in range(3):
            plan = sampler.plan(Z)
            drawn += [drive(plan, filtered_at(RATES, seed)), plan.targets.tolist(), plan.select()[0]]
            sampler.update(plan)
        return drawn

    sampler, restored = QuotaSampler(3, 8, seed=7), QuotaSampler(3, 8, seed=99)
    three_batches(sampler)
    saved = json.dumps(sampler.state_dict())
    drawn = three_batches(sampler)
    restored.load_state_dict(json.loads(saved))
    assert three_batches(restored) == drawn
    assert restored.state_dict() == sampler.state_dict()


def test_a_reseeded_quota_sampler_is_a_fresh_one() -> None:
    sampler = QuotaSampler(3, 8, seed=1)
    batches(sampler, Z, [RATES] * 3)
    sampler.reseed(5)
    assert sampler.state_dict() == QuotaSampler(3, 8, seed=5).state_dict()
    assert sampler.plan(Z).propose() == QuotaSampler(3, 8, seed=5).plan(Z).propose()


@pytest.mark.parametrize("name", ["max_generated", "max_rounds", "max_inflation", "weight_clip"])
@pytest.mark.parametrize("value", [0, 0.9, -1.0, float("nan")])
def test_bounds_below_1_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be at least 1, got {value}"):
        QuotaSampler(3, 8, **{name: value})


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, float("nan")])
def test_a_confidence_that_cannot_be_had_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match=f"confidence must be above 0 and below 1, got {confidence}"):
        QuotaSampler(3, 8, confidence=confidence)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8), "num_tasks must be at least 1, got 0"),
        ((3, 0), "batch_size must be at least 1, got 0"),
    ],
)
def test_a_quota_sampler_needs_a_task_and_a_group(arguments: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QuotaSampler(*arguments)


def test_a_memory_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match=r"memory must be above 0, got 0.0"):
        QuotaSampler(3, 8, memory=0.0)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.5], r"expected 3 task weights, got shape \(2,\)"),
        ([0.5, 0.6, -0.1], "non-negative and sum to 1, got .*-0.1"),
        ([np.nan, 0.5, 0.5], "sum to 1, got .*nan"),
    ],
)
def test_a_plan_for_weights_off_the_simplex_is_refused(probabilities: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QuotaSampler(3, 8).plan(np.array(probabilities))
