"""Methods by name are the compositions that the papers describe, and each of them trains."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.agents.improvement import MinibatchImprovement, NoImprovement, StepImprovement, improvement_for
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.recipes import (
    DEFAULT_METHOD,
    RECIPES,
    Method,
    RunFacts,
    make_method,
    named_method,
    options_of,
)
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.filters import released_rewards_differ, rewards_differ, success_differs
from mtgrpo_env.logit_optimizers import Adam, AdamW, GradientDescent, LogitOptimizer
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.reward_estimates import AverageAccuracy, LatestReward
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
from mtgrpo_env.task_weights_literature import DUMPWeights, GDROWeights
from mtgrpo_env.types import TaskStats

PAPER = {
    "grpo": (UniformWeights, MultinomialSampler, 0.2),
    "dapo": (UniformWeights, DynamicSampler, 0.28),
    "sec-grpo": (SelfEvolvingWeights, MultinomialSampler, 0.2),
    "sec-dapo": (SelfEvolvingWeights, DynamicSampler, 0.28),
    "iwu-only": (ImprovementAwareWeights, MultinomialSampler, 0.28),
    "iwu-dapo": (ImprovementAwareWeights, DynamicSampler, 0.28),
    "rps-only": (UniformWeights, RatioPreservingSampler, 0.28),
    "no-acceptance": (ImprovementAwareWeights, RatioPreservingSampler, 0.28),
    "reg-1e-5": (RegularizedWeights, RatioPreservingSampler, 0.28),
    "reg-5e-4": (RegularizedWeights, RatioPreservingSampler, 0.28),
    "reg-1e-2": (RegularizedWeights, RatioPreservingSampler, 0.28),
    "sequential-forward": (SequentialWeights, DynamicSampler, 0.28),
    "sequential-backward": (SequentialWeights, DynamicSampler, 0.28),
    "mt-grpo": (ImprovementAwareWeights, RatioPreservingSampler, 0.28),
}
REPLACED: dict[type[Any], type[Any]] = {
    RatioPreservingSampler: ReleasedRatioPreservingSampler,
    DynamicSampler: ReleasedDynamicSampler,
    SelfEvolvingWeights: ForgettingSelfEvolvingWeights,
}
RELEASED = {
    f"{name}@released": (REPLACED.get(weights, weights), REPLACED.get(sampler, sampler), clip_high)
    for name, (weights, sampler, clip_high) in PAPER.items()
}
LITERATURE = {
    "gdro": (GDROWeights, MultinomialSampler, 0.2),
    "dump": (DUMPWeights, MultinomialSampler, 0.2),
}
OURS = {
    "quota-mt-grpo": (DisparityWeights, QuotaSampler, 0.28),
    "quota-iwu": (ImprovementAwareWeights, QuotaSampler, 0.28),
    "quota-only": (UniformWeights, QuotaSampler, 0.28),
    "one-round": (DisparityWeights, QuotaSampler, 0.28),
}
COMPOSITIONS = {**PAPER, **LITERATURE, **RELEASED, **OURS}
EVERY_METHOD = pytest.mark.parametrize("name", RECIPES)
OWN_RECIPES = """
from mtgrpo_env.agents.recipes import make_method

def own(facts, *, tolerance=0.1):
    return make_method("quota-mt-grpo", facts, tolerance=tolerance)

def wrong(facts):
    return "quota-mt-grpo"

NUMBER = 3
"""


def made(name: str, *, num_tasks: int = 3, seed: int = 0, policy_lr: float = 1e-6, **options: Any) -> Method:
    return make_method(name, RunFacts(num_tasks, 12, seed=seed, num_steps=30, policy_lr=policy_lr), **options)


def curriculum_of(method: Method) -> Curriculum:
    return method.curriculum(toy_suite(method.sampler.num_tasks))


def optimizer_of(method: Method) -> LogitOptimizer:
    rule: Any = method.task_weights
    return rule.optimizer


def test_every_method_is_tested_here() -> None:
    assert set(RECIPES) == set(COMPOSITIONS)
    assert DEFAULT_METHOD in OURS


@EVERY_METHOD
def test_a_method_is_the_composition_its_name_stands_for(name: str) -> None:
    method = made(name)
    assert (type(method.task_weights), type(method.sampler), method.clip_high) == COMPOSITIONS[name]
    assert method.sampler.num_tasks == method.task_weights.num_tasks == 3
    assert method.sampler.batch_size == 12


@EVERY_METHOD
def test_every_method_starts_with_equal_weights_and_parts_of_its_own(name: str) -> None:
    method, other = made(name), made(name)
    z = method.task_weights.probabilities
    np.testing.assert_allclose(z[z > 0], 1 / (z > 0).sum())
    assert (z > 0).sum() == (1 if name.startswith("sequential") else 3)
    for part in ("sampler", "task_weights", "reward_estimate"):
        assert getattr(curriculum_of(method), part) is not getattr(curriculum_of(other), part)


@EVERY_METHOD
def test_the_seed_names_the_plans(name: str) -> None:
    z = np.full(3, 1 / 3)
    first, again, other = (
        [sampler.plan(z).propose() for _ in range(3)]
        for sampler in (made(name, seed=seed).sampler for seed in (1, 1, 2))
    )
    assert first == again
    assert first != other


def test_the_paper_and_its_released_code_differ_in_the_optimizer_of_the_logits() -> None:
    for name, decay in (("no-acceptance", 1e-5), ("iwu-only", 1e-5), ("iwu-dapo", 1e-5), ("reg-1e-2", 1e-2)):
        for source, optimizer_type in (("", AdamW), ("@released", Adam)):
            optimizer: Any = optimizer_of(made(f"{name}{source}"))
            assert (type(optimizer), optimizer.lr, optimizer.l2) == (optimizer_type, 0.025, decay)


def test_our_weights_of_subroutine_1_have_the_optimizer_of_the_released_code() -> None:
    optimizer: Any = optimizer_of(made("quota-iwu"))
    assert (type(optimizer), optimizer.lr, optimizer.l2) == (Adam, 0.025, 1e-5)


@pytest.mark.parametrize(("name", "decay"), [("reg-1e-5", 1e-5), ("reg-5e-4", 5e-4), ("reg-1e-2", 1e-2)])
@pytest.mark.parametrize(("source", "reward_coef"), [("", 1.0), ("@released", 0.2)])
def test_a_regularised_method_has_the_decay_of_its_name_and_looks_at_rewards_alone(
    name: str, decay: float, source: str, reward_coef: float
) -> None:
    rule: Any = made(f"{name}{source}").task_weights
    assert rule.optimizer.l2 == decay
    assert rule.reward_coef == reward_coef
    assert not rule.uses_improvements


def test_only_the_released_rules_on_logits_look_at_minibatches_and_at_accuracies() -> None:
    rules_on_logits = {"mt-grpo", "iwu-only", "iwu-dapo", "no-acceptance", "reg-1e-5", "reg-5e-4", "reg-1e-2"}
    for name in RELEASED:
        method = made(name)
        if name.removesuffix("@released") in rules_on_logits:
            assert isinstance(method.improvement, partial)
            assert method.improvement.func is MinibatchImprovement
            assert isinstance(curriculum_of(method).reward_estimate, AverageAccuracy)
        else:
            assert isinstance(curriculum_of(method).reward_estimate, LatestReward)


@pytest.mark.parametrize("name", [*PAPER, *LITERATURE, *OURS])
def test_improvements_cost_a_pass_only_where_a_rule_looks_at_them(name: str) -> None:
    method = made(name)
    looks_at_them = type(method.task_weights) is ImprovementAwareWeights
    improvement = method.improvement or improvement_for(method.task_weights)
    assert improvement is (StepImprovement if looks_at_them else NoImprovement)


@EVERY_METHOD
def test_surplus_groups_are_replayed_where_quotas_leave_some(name: str) -> None:
    method = made(name)
    refills_by_quota = isinstance(method.sampler, QuotaSampler) and name != "one-round"
    assert isinstance(method.replay, ReplayBuffer if refills_by_quota else type(None))


def test_one_round_generates_no_more_than_a_batch() -> None:
    sampler = made("one-round").sampler
    plan = sampler.plan(np.full(3, 1 / 3))
    proposal = plan.propose()
    assert len(proposal) == 12
    plan.report(proposal, [k == 0 for k in proposal])
    assert plan.propose() == []


def test_the_numbers_of_the_papers_two_experiments() -> None:
    """Three tasks: clip .1, decay 1e-5, 10 resamples, success_differs. Nine: .2, 1e-4, 2 resamples, rewards_differ."""
    for num_tasks, clip, decay, resamples, group_filter in (
        (3, 0.1, 1e-5, 10, success_differs),
        (9, 0.2, 1e-4, 2, rewards_differ),
    ):
        method: Any = made("mt-grpo", num_tasks=num_tasks)
        assert method.task_weights.improvement_clip == clip
        assert method.task_weights.optimizer.l2 == decay
        assert (method.sampler.max_resamples, method.sampler.max_inflation) == (resamples, 5)
        assert method.group_filter is group_filter
        dapo: Any = made("dapo", num_tasks=num_tasks)
        assert dapo.sampler.max_rounds == 1 + resamples, "every method has the same budget"
        without: Any = made("no-acceptance", num_tasks=num_tasks)
        assert without.sampler.max_inflation == 1


def test_the_numbers_of_the_released_scripts() -> None:
    """Three tasks: not inflated, 10 rounds in all. Nine: inflated, 2 rounds, ratios from step 10, equal .1s kept."""
    three: Any = made("mt-grpo@released", policy_lr=2e-6)
    assert three.task_weights.improvement_clip == pytest.approx(0.2)
    assert (three.sampler.max_inflation, three.sampler.budget.max_rounds) == (1, 10)
    assert three.group_filter is success_differs
    nine: Any = made("mt-grpo@released", num_tasks=9)
    assert nine.task_weights.improvement_clip == pytest.approx(0.2)
    assert isinstance(nine.sampler, DelayedSampler)
    assert nine.sampler.first_step == 10
    late: Any = nine.sampler.late
    assert (late.max_inflation, late.budget.max_rounds) == (5, 2)
    assert isinstance(nine.sampler.early, ReleasedDynamicSampler)
    assert nine.group_filter is released_rewards_differ
    assert made("dapo@released", num_tasks=9).group_filter is released_rewards_differ


@pytest.mark.parametrize(
    "name", [*LITERATURE, *(f"{name}{at}" for name in ("grpo", "sec-grpo", "iwu-only") for at in ("", "@released"))]
)
def test_a_method_without_a_filter_trains_on_everything_it_generates(name: str) -> None:
    method = made(name)
    plan = method.sampler.plan(np.full(3, 1 / 3))
    proposal = plan.propose()
    plan.report(proposal, [False] * 12)
    assert plan.propose() == []
    assert plan.select()[0] == list(range(12))


def test_sequential_methods_train_their_families_in_the_two_orders() -> None:
    families = ((2, 0), (1,))
    for name, order in (("sequential-forward", [[0, 2], [1]]), ("sequential-backward", [[1], [0, 2]])):
        weights = make_method(name, RunFacts(3, 12, num_steps=4, families=families)).task_weights
        trained = []
        for _ in range(4):
            trained.append(np.flatnonzero(weights.probabilities).tolist())
            weights.update(TaskStats(np.zeros(3), np.zeros(3), np.zeros(3)))
        assert trained == [order[0]] * 2 + [order[1]] * 2


def test_a_number_after_the_name_is_lambda() -> None:
    for name, weights, sampler in (
        ("mt-grpo-0.9", ImprovementAwareWeights, RatioPreservingSampler),
        ("mt-grpo-0.9@released", ImprovementAwareWeights, ReleasedRatioPreservingSampler),
        ("quota-iwu-0.9", ImprovementAwareWeights, QuotaSampler),
        ("iwu-dapo-.9", ImprovementAwareWeights, DynamicSampler),
    ):
        method: Any = made(name)
        assert (type(method.task_weights), type(method.sampler)) == (weights, sampler)
        assert method.task_weights.reward_coef == 0.9
    assert optimizer_of(made("mt-grpo-0.9")).hyperparameters == optimizer_of(made("mt-grpo")).hyperparameters
    for name in RECIPES:
        assert named_method(name) is RECIPES[name]


def test_a_lambda_in_the_name_is_settled() -> None:
    with pytest.raises(ValueError, match=r"'mt-grpo-0.9' takes the options \['weight_lr'\], got reward_coef"):
        made("mt-grpo-0.9", reward_coef=0.2)
    assert options_of(named_method("mt-grpo-0.9@released")) == {"weight_lr"}


def test_the_options_are_the_recipes() -> None:
    weights: Any = made("quota-mt-grpo", tolerance=0.07).task_weights
    assert weights.tolerance == 0.07
    weights = made("mt-grpo", reward_coef=0.7).task_weights
    assert weights.reward_coef == 0.7


NO_METHODS = """
    ppo mt-grpo- mt-grpo-nan mt-grpo-inf mt-grpo-much mt-grpo--1 dapo-0.9 quota-mt-grpo-0.9 0.9
    mt-grpo@papre mt-grpo@paper quota-mt-grpo@released mt-grpo@released-0.9
"""


@pytest.mark.parametrize("name", ["", *NO_METHODS.split()])
def test_a_name_without_a_method_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"method must be one of \['quota-mt-grpo', 'mt-grpo', .* got '{name}'"):
        named_method(name)


@pytest.mark.parametrize(
    ("name", "optimizer"), [("adam", Adam), ("adamw", AdamW), ("gradient-descent", GradientDescent)]
)
def test_the_optimiser_of_our_logits_is_an_option(name: str, optimizer: type[LogitOptimizer]) -> None:
    made_optimizer: Any = optimizer_of(made("quota-iwu", weight_optimizer=name, weight_lr=0.3))
    assert made_optimizer.lr == 0.3
    assert type(made_optimizer) is optimizer


EVERY_OPTION = {
    "tolerance": 0.1,
    "reward_coef": 0.5,
    "weight_lr": 0.1,
    "weight_optimizer": "adamw",
    "max_replayed": 0.5,
}


@EVERY_METHOD
def test_an_option_that_a_recipe_does_not_take_is_refused_by_name(name: str) -> None:
    taken = options_of(RECIPES[name])
    assert taken <= EVERY_OPTION.keys()
    for option, value in EVERY_OPTION.items():
        if option in taken:
            made(name, **{option: value})
        else:
            with pytest.raises(ValueError, match=rf"method '{name}' takes .*, got {option}"):
                made(name, **{option: value})


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight_optimizer must be one of \['adam', .* got 'sgd'"):
        made("quota-iwu", weight_optimizer="sgd")
    for source in ("", "@released"):
        with pytest.raises(ValueError, match="sequential methods need num_steps"):
            make_method(f"sequential-forward{source}", RunFacts(3, 12))


def test_a_recipe_of_ones_own_is_found_by_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_recipes.py").write_text(OWN_RECIPES)
    monkeypatch.syspath_prepend(tmp_path)
    weights: Any = made("own_recipes:own").task_weights
    assert weights.tolerance == 0.1
    weights = made("own_recipes:own", tolerance=0.2).task_weights
    assert weights.tolerance == 0.2
    with pytest.raises(ValueError, match=r"'own_recipes:own' takes the options \['tolerance'\], got weight_lr"):
        made("own_recipes:own", weight_lr=0.1)
    with pytest.raises(ValueError, match="'own_recipes:wrong' must make a Method, got 'quota-mt-grpo'"):
        made("own_recipes:wrong")
    with pytest.raises(ValueError, match="'own_recipes:NUMBER' must be a function that makes a Method, got 3"):
        made("own_recipes:NUMBER")
    for missing in ("own_recipes:other", "no_such_module:own", ":own"):
        with pytest.raises(ValueError, match=r"expected 'package\.module:name', got"):
            made(missing)


def test_weights_move_by_the_options_where_the_method_moves_any() -> None:
    stats = TaskStats(np.array([0.9, 0.5, 0.1]), np.zeros(3), np.array([0.1, 0.5, 0.9]), np.full(3, 8))
    for name, recipe in RECIPES.items():
        options: dict[str, Any] = {"weight_lr": 0.5} if "weight_lr" in options_of(recipe) else {}
        weights = made(name, **options).task_weights
        for _ in range(4):
            weights.update(stats)
        z = weights.probabilities
        if isinstance(weights, UniformWeights):
            np.testing.assert_allclose(z, np.full(3, 1 / 3))
        elif not isinstance(weights, SequentialWeights):
            assert z[2] > 0.5 > z[0], name

    for name in ("iwu-only", "iwu-only@released", "quota-iwu"):
        indifferent = made(name, reward_coef=0.0, weight_lr=0.5).task_weights
        indifferent.update(stats)
        np.testing.assert_allclose(indifferent.probabilities, np.full(3, 1 / 3))


@EVERY_METHOD
def test_the_clip_of_a_method_reaches_the_learner_and_ones_own_stays(name: str) -> None:
    suite, policy = toy_suite(3), TabularPolicy(3, num_observations=16, num_actions=4)
    for own, expected in ((None, COMPOSITIONS[name][2]), (0.5, 0.5)):
        learner = TabularLearner(policy, clip_high=own)
        MTGRPOAgent(suite, policy, learner, method=made(name))
        assert learner.clip_high == expected


@EVERY_METHOD
def test_every_method_trains_a_table(name: str) -> None:
    method, suite = make_method(name, RunFacts(3, 12, num_steps=12)), toy_suite(3)
    policy = TabularPolicy(3, num_observations=16, num_actions=4)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy, lr=3.0), method=method)
    problems = suite.held_out(30)
    before = agent.evaluate(problems).average
    agent.train(12)
    assert agent.evaluate(problems).average > before + 0.1


def needs_heat(facts: RunFacts, *, heat: float) -> Method:
    raise AssertionError("never made")


@pytest.mark.parametrize("name", ["os:abort", f"{__name__}:needs_heat"])
def test_a_recipe_that_cannot_be_made_of_the_facts_is_refused_before_it_is_called(name: str) -> None:
    with pytest.raises(ValueError, match="must be made from RunFacts and its options"):
        make_method(name, RunFacts(2, 4))
