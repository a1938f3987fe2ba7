"""Methods by name are the compositions that the papers describe, and each of them trains."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from mtgrpo_env.agents.methods import METHODS, PRESETS, Method, MethodConfig, named_method
from mtgrpo_env.agents.signals import AverageAccuracy, LatestReward, once_per_minibatch, once_per_step, unmeasured
from mtgrpo_env.carry_over import CarryOver

from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.filters import lenient, released_lenient, strict
from mtgrpo_env.logit_optimizers import Adam, AdamW, GradientDescent, LogitOptimizer
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.samplers_released import (
    DelayedSampler,
    ReleasedDynamicSampler,
    ReleasedRatioPreservingSampler,
)
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import (
    ForgettingSelfEvolvingWeights,
    RegularizedWeights,
    SelfEvolvingWeights,
    SequentialWeights,
)
from mtgrpo_env.types import TaskStats

COMPOSITIONS = {
    "grpo": (UniformWeights, MultinomialSampler, 0.2),
    "dapo": (UniformWeights, DynamicSampler, 0.28),
    "sec-grpo": (SelfEvolvingWeights, MultinomialSampler, 0.2),
    "sec-dapo": (SelfEvolvingWeights, DynamicSampler, 0.28),
    "iwu-only": (ImprovementAwareWeights, MultinomialSampler, 0.28),
    "iwu-dapo": (ImprovementAwareWeights, DynamicSampler, 0.28),
    "rps-only": (UniformWeights, QuotaSampler, 0.28),
    "one-round": (DisparityWeights, QuotaSampler, 0.28),
    "no-acceptance": (ImprovementAwareWeights, RatioPreservingSampler, 0.28),
    "reg-1e-5": (RegularizedWeights, QuotaSampler, 0.28),
    "reg-5e-4": (RegularizedWeights, QuotaSampler, 0.28),
    "reg-1e-2": (RegularizedWeights, QuotaSampler, 0.28),
    "sequential-forward": (SequentialWeights, DynamicSampler, 0.28),
    "sequential-backward": (SequentialWeights, DynamicSampler, 0.28),
    "mt-grpo": (DisparityWeights, QuotaSampler, 0.28),
}
PAPER: dict[type[Any], type[Any]] = {
    DisparityWeights: ImprovementAwareWeights,
    QuotaSampler: RatioPreservingSampler,
}
RELEASED: dict[type[Any], type[Any]] = {
    DisparityWeights: ImprovementAwareWeights,
    QuotaSampler: ReleasedRatioPreservingSampler,
    RatioPreservingSampler: ReleasedRatioPreservingSampler,
    DynamicSampler: ReleasedDynamicSampler,
    SelfEvolvingWeights: ForgettingSelfEvolvingWeights,
}
REPLACED = {"default": {}, "paper": PAPER, "released": RELEASED}
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)
EVERY_PRESET = pytest.mark.parametrize("preset", PRESETS)


def made(name: str, preset: str = "default", *, num_tasks: int = 3, **numbers: Any) -> Method:
    return METHODS[name](MethodConfig(num_tasks, 12, preset=preset, num_steps=30, **numbers))


def optimizer_of(method: Method) -> LogitOptimizer:
    rule: Any = method.task_weights
    return rule._rule.optimizer if isinstance(rule, RegularizedWeights) else rule.optimizer


def test_every_method_is_tested_here() -> None:
    assert set(METHODS) == set(COMPOSITIONS)


@EVERY_PRESET
@EVERY_METHOD
def test_a_method_is_the_composition_its_name_stands_for(name: str, preset: str) -> None:
    method = made(name, preset)
    weights, sampler, clip_high = COMPOSITIONS[name]
    replaced: dict[type[Any], type[Any]] = REPLACED[preset]
    weights = replaced.get(weights, weights)
    sampler = sampler if name == "one-round" else replaced.get(sampler, sampler)
    assert (type(method.task_weights), type(method.sampler), method.clip_high) == (weights, sampler, clip_high)
    assert method.sampler.num_tasks == method.task_weights.num_tasks == 3
    assert method.sampler.batch_size == 12


@EVERY_PRESET
@EVERY_METHOD
def test_every_method_starts_with_equal_weights_and_parts_of_its_own(name: str, preset: str) -> None:
    method, other = made(name, preset), made(name, preset)
    z = method.task_weights.probabilities
    np.testing.assert_allclose(z[z > 0], 1 / (z > 0).sum())
    assert (z > 0).sum() == (1 if name.startswith("sequential") else 3)
    for part in ("sampler", "task_weights", "reward_estimate"):
        assert getattr(method, part) is not getattr(other, part)


@EVERY_PRESET
@EVERY_METHOD
def test_the_seed_names_the_plans(name: str, preset: str) -> None:
    z = np.full(3, 1 / 3)
    first, again, other = (
        [sampler.plan(z).propose() for _ in range(3)]
        for sampler in (made(name, preset, seed=seed).sampler for seed in (1, 1, 2))
    )
    assert first == again
    assert first != other


def test_the_paper_and_its_released_code_differ_in_the_optimizer_of_the_logits() -> None:
    for name, decay in (("no-acceptance", 1e-5), ("iwu-only", 1e-5), ("iwu-dapo", 1e-5), ("reg-1e-2", 1e-2)):
        for preset, optimizer_type in (("default", Adam), ("paper", AdamW), ("released", Adam)):
            optimizer: Any = optimizer_of(made(name, preset))
            assert (type(optimizer), optimizer.lr, optimizer.l2) == (optimizer_type, 0.025, decay)


@pytest.mark.parametrize(("name", "decay"), [("reg-1e-5", 1e-5), ("reg-5e-4", 5e-4), ("reg-1e-2", 1e-2)])
@EVERY_PRESET
def test_a_regularised_method_has_the_decay_of_its_name_and_looks_at_rewards_alone(
    name: str, decay: float, preset: str
) -> None:
    method = made(name, preset)
    optimizer: Any = optimizer_of(method)
    rule: Any = method.task_weights
    assert optimizer.l2 == decay
    assert rule._rule.reward_coef == (0.2 if preset == "released" else 1.0)


def test_only_the_released_rules_on_logits_are_told_of_minibatches_and_of_accuracies() -> None:
    rules_on_logits = {"mt-grpo", "one-round", "iwu-only", "iwu-dapo", "no-acceptance"}
    rules_on_logits |= {"reg-1e-5", "reg-5e-4", "reg-1e-2"}
    for name in METHODS:
        method = made(name, "released")
        if name in rules_on_logits:
            assert isinstance(method.improve, partial)
            assert method.improve.func is once_per_minibatch
            assert isinstance(method.reward_estimate, AverageAccuracy)
        else:
            assert isinstance(method.reward_estimate, LatestReward)


@EVERY_METHOD
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_improvements_cost_a_pass_only_where_a_rule_looks_at_them(name: str, preset: str) -> None:
    method = made(name, preset)
    looks_at_them = isinstance(method.task_weights, ImprovementAwareWeights)
    assert method.improve is (once_per_step if looks_at_them else unmeasured)


@EVERY_PRESET
def test_surplus_groups_are_carried_over_where_quotas_leave_some(preset: str) -> None:
    for name in METHODS:
        method = made(name, preset)
        refills_by_quota = isinstance(method.sampler, QuotaSampler) and name != "one-round"
        assert isinstance(method.carry_over, CarryOver if refills_by_quota else type(None))


def test_one_round_generates_no_more_than_a_batch() -> None:
    sampler = made("one-round").sampler
    plan = sampler.plan(np.full(3, 1 / 3))
    proposal = plan.propose()
    assert len(proposal) == 12
    plan.report(proposal, [k == 0 for k in proposal])
    assert plan.propose() == []


def test_the_numbers_of_the_papers_two_experiments() -> None:
    """Three tasks: clip .1, decay 1e-5, 10 resamples, strict. Nine: .2, 1e-4, 2 resamples, lenient."""
    for num_tasks, clip, decay, resamples, group_filter in ((3, 0.1, 1e-5, 10, strict), (9, 0.2, 1e-4, 2, lenient)):
        method: Any = made("mt-grpo", "paper", num_tasks=num_tasks)
        assert method.task_weights.improvement_clip == clip
        assert method.task_weights.optimizer.l2 == decay
        assert (method.sampler.max_resamples, method.sampler.max_inflation) == (resamples, 5)
        assert method.group_filter is group_filter
        dapo: Any = made("dapo", "paper", num_tasks=num_tasks)
        assert dapo.sampler.max_rounds == 1 + resamples, "every method has the same budget"
        without: Any = made("no-acceptance", "paper", num_tasks=num_tasks)
        assert without.sampler.max_inflation == 1


def test_the_numbers_of_the_released_scripts() -> None:
    """Three tasks: not inflated, 10 rounds in all. Nine: inflated, 2 rounds, ratios from step 10, equal .1s kept."""
    three: Any = made("mt-grpo", "released", policy_lr=2e-6)
    assert three.task_weights.improvement_clip == pytest.approx(0.2)
    assert (three.sampler.max_inflation, three.sampler.budget.max_rounds) == (1, 10)
    assert three.group_filter is strict
    nine: Any = made("mt-grpo", "released", num_tasks=9)
    assert nine.task_weights.improvement_clip == pytest.approx(0.2)
    assert isinstance(nine.sampler, DelayedSampler)
    assert nine.sampler.first_step == 10
    late: Any = nine.sampler.late
    assert (late.max_inflation, late.budget.max_rounds) == (5, 2)
    assert isinstance(nine.sampler.early, ReleasedDynamicSampler)
    assert nine.group_filter is released_lenient
    assert made("dapo", "released", num_tasks=9).group_filter is released_lenient


@EVERY_PRESET
@pytest.mark.parametrize("name", ["grpo", "sec-grpo", "iwu-only"])
def test_a_method_without_a_filter_trains_on_everything_it_generates(name: str, preset: str) -> None:
    method = made(name, preset)
    plan = method.sampler.plan(np.full(3, 1 / 3))
    proposal = plan.propose()
    plan.report(proposal, [False] * 12)
    assert plan.propose() == []
    assert plan.select()[0] == list(range(12))


def test_sequential_methods_train_their_families_in_the_two_orders() -> None:
    families = ((2, 0), (1,))
    for name, order in (("sequential-forward", [[0, 2], [1]]), ("sequential-backward", [[1], [0, 2]])):
        weights = METHODS[name](MethodConfig(3, 12, num_steps=4, families=families)).task_weights
        trained = []
        for _ in range(4):
            trained.append(np.flatnonzero(weights.probabilities).tolist())
            weights.update(TaskStats(np.zeros(3), np.zeros(3), np.zeros(3)))
        assert trained == [order[0]] * 2 + [order[1]] * 2


def test_a_number_after_the_name_is_lambda() -> None:
    weights: Any = named_method("mt-grpo-0.9")(MethodConfig(3, 12, reward_coef=0.2)).task_weights
    assert (type(weights), weights.reward_coef) == (ImprovementAwareWeights, 0.9)
    assert isinstance(named_method("mt-grpo-0.9")(MethodConfig(3, 12)).sampler, QuotaSampler)
    assert named_method("mt-grpo") is METHODS["mt-grpo"]
    assert named_method("reg-1e-2") is METHODS["reg-1e-2"]


def test_a_preset_after_the_name_is_taken_instead_of_the_configs() -> None:
    for name, sampler in (
        ("mt-grpo@paper", RatioPreservingSampler),
        ("mt-grpo-0.9@released", ReleasedRatioPreservingSampler),
        ("mt-grpo@default", QuotaSampler),
    ):
        for preset in PRESETS:
            assert type(named_method(name)(MethodConfig(3, 12, preset=preset)).sampler) is sampler
    with pytest.raises(ValueError, match=r"preset of a method must be one of .* got 'mt-grpo@papre'"):
        named_method("mt-grpo@papre")


def test_the_tolerance_is_the_configs() -> None:
    weights: Any = made("mt-grpo", tolerance=0.07).task_weights
    assert weights.tolerance == 0.07


@pytest.mark.parametrize("name", ["ppo", "mt-grpo-", "mt-grpo-nan", "mt-grpo-much", "dapo-0.9", "0.9"])
def test_a_name_without_a_method_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"method must be one of \['mt-grpo', .* got '{name}'"):
        named_method(name)


@pytest.mark.parametrize(
    ("name", "optimizer"), [("adam", Adam), ("adamw", AdamW), ("gradient-descent", GradientDescent)]
)
def test_the_optimiser_of_the_logits_is_the_configs(name: str, optimizer: type[LogitOptimizer]) -> None:
    assert type(optimizer_of(made("iwu-only", weight_optimizer=name))) is optimizer


def test_what_cannot_be_built_is_refused() -> None:
    config = MethodConfig(3, 12)
    with pytest.raises(ValueError, match=r"weight_optimizer must be one of \['adam', .* got 'sgd'"):
        METHODS["mt-grpo"](replace(config, weight_optimizer="sgd"))
    with pytest.raises(ValueError, match="preset 'paper' has its own weight_optimizer, got 'gradient-descent'"):
        METHODS["mt-grpo"](replace(config, preset="paper", weight_optimizer="gradient-descent"))
    with pytest.raises(ValueError, match="sequential methods need num_steps"):
        METHODS["sequential-forward"](config)
    with pytest.raises(ValueError, match=r"preset must be one of \['default', 'paper', 'released'\], got 'papre'"):
        METHODS["grpo"](replace(config, preset="papre"))


@EVERY_PRESET
def test_weights_move_by_the_configs_numbers_where_the_method_moves_any(preset: str) -> None:
    stats = TaskStats(np.array([0.9, 0.5, 0.1]), np.zeros(3), np.array([0.1, 0.5, 0.9]))
    moved: dict[str, np.ndarray] = {}
    for name in METHODS:
        weights = made(name, preset, weight_lr=0.5).task_weights
        weights.update(stats)
        moved[name] = weights.probabilities
    for name in ("grpo", "dapo", "rps-only"):
        np.testing.assert_allclose(moved[name], np.full(3, 1 / 3))
    assert moved["mt-grpo"][2] > 0.5 > moved["mt-grpo"][0]
    for name in (
        "iwu-only",
        "iwu-dapo",
        "no-acceptance",
        "reg-1e-5",
        "reg-5e-4",
        "reg-1e-2",
        "sec-grpo",
        "sec-dapo",
    ):
        assert moved[name][2] > 0.5 > moved[name][0]

    indifferent = made("iwu-only", preset, reward_coef=0.0, weight_lr=0.5).task_weights
    indifferent.update(stats)
    np.testing.assert_allclose(indifferent.probabilities, np.full(3, 1 / 3))


@EVERY_PRESET
@EVERY_METHOD
def test_every_method_trains_a_table(name: str, preset: str) -> None:
    method, suite = METHODS[name](MethodConfig(3, 12, preset=preset, num_steps=12)), toy_suite(3)
    policy = TabularPolicy(3, num_observations=16, num_actions=4)
    agent = method.agent(suite, policy, TabularLearner(policy, lr=3.0, clip_high=method.clip_high))
    problems = suite.held_out(30)
    before = agent.evaluate(problems).average
    agent.train(12)
    assert agent.evaluate(problems).average > before + 0.1
