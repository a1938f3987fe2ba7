"""Methods by name are the compositions that the papers describe, and each of them trains."""

from __future__ import annotations

import numpy as np
import pytest

from mtgrpo_env.agents.methods import METHODS, Method, MethodConfig
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.task_weights import ImprovementAwareWeights, UniformWeights
from mtgrpo_env.types import TaskStats

COMPOSITIONS = {
    "grpo": (MultinomialSampler, UniformWeights, 0.2),
    "dapo": (DynamicSampler, UniformWeights, 0.28),
    "mt-grpo": (RatioPreservingSampler, ImprovementAwareWeights, 0.28),
}
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)


def made(name: str, *, seed: int = 0, reward_coef: float = 0.2, weight_lr: float = 0.025) -> Method:
    return METHODS[name](MethodConfig(3, 12, seed, reward_coef=reward_coef, weight_lr=weight_lr))


def test_every_method_is_tested_here() -> None:
    assert set(METHODS) == set(COMPOSITIONS)


@EVERY_METHOD
def test_a_method_is_the_composition_its_name_stands_for(name: str) -> None:
    method = made(name)
    assert (type(method.sampler), type(method.task_weights), method.clip_high) == COMPOSITIONS[name]
    assert method.sampler.num_tasks == method.task_weights.num_tasks == 3
    assert method.sampler.batch_size == 12


@EVERY_METHOD
def test_every_method_starts_with_uniform_weights_and_parts_of_its_own(name: str) -> None:
    method, other = made(name), made(name)
    np.testing.assert_allclose(method.task_weights.probabilities, np.full(3, 1 / 3))
    assert method.sampler is not other.sampler
    assert method.task_weights is not other.task_weights


@EVERY_METHOD
def test_the_seed_names_the_plans(name: str) -> None:
    z = np.full(3, 1 / 3)
    first, again, other = ([made(name, seed=seed).sampler.plan(z).propose() for _ in range(3)] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_only_mt_grpo_moves_its_weights_and_by_the_configs_numbers() -> None:
    stats = TaskStats(np.array([0.9, 0.5, 0.1]), np.zeros(3), np.zeros(3))
    moved: dict[str, np.ndarray] = {}
    for name in METHODS:
        weights = made(name, weight_lr=0.5).task_weights
        weights.update(stats)
        moved[name] = weights.probabilities
    np.testing.assert_allclose(moved["grpo"], np.full(3, 1 / 3))
    np.testing.assert_allclose(moved["dapo"], np.full(3, 1 / 3))
    assert moved["mt-grpo"][2] > 0.5 > moved["mt-grpo"][0]

    indifferent = made("mt-grpo", reward_coef=0.0, weight_lr=0.5).task_weights
    indifferent.update(stats)
    np.testing.assert_allclose(indifferent.probabilities, np.full(3, 1 / 3))


@EVERY_METHOD
def test_every_method_trains_a_table(name: str) -> None:
    method, suite = made(name), toy_suite(3)
    policy = TabularPolicy(3, num_observations=16, num_actions=4)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy), method.sampler, method.task_weights, group_size=8)
    problems = suite.held_out(30)
    before = agent.evaluate(problems).average
    agent.train(12)
    assert agent.evaluate(problems).average > before + 0.1
