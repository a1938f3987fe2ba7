"""The simulation of rules for the task weights: what its regrets are made of."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.task_weights import UniformWeights
from mtgrpo_env.types import Group, Problem, Rollout


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    pytest.importorskip("matplotlib")
    return runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "weight_rules.py"), run_name="weight_rules")


def test_no_even_and_no_greedy_ratio_is_better_than_the_best_fixed_one(script: dict[str, Any]) -> None:
    """The greedy one ends as its mean ratio would: order does not matter to the end."""
    for seed in range(3):
        world = script["make_world"](3, seed)
        oracle = script["greedy"](world)
        best = script["best_fixed"](world, oracle.z.mean(0), np.random.default_rng(0))
        even = script["play"](world, UniformWeights(3), np.random.default_rng(0))
        assert (best >= world.measures(even.path) - 0.5).all(), "a batch of 32 in three parts is rounded"
        assert best[0] >= world.measures(oracle.path)[0] - 1e-9
        assert world.measures(oracle.path)[0] > world.measures(even.path)[0] + 5


def test_what_a_rule_sees_is_what_groups_of_rollouts_would_show(script: dict[str, Any]) -> None:
    """4,000 groups of 8: .02 are 7 standard errors of the accuracy. NaN of an absent task."""
    accuracies, groups, rng = np.array([0.3, 0.7, 0.5]), np.array([4000, 0, 4000]), np.random.default_rng(0)
    accuracy, pay = script["observe"](accuracies, groups, rng)
    np.testing.assert_allclose(accuracy, [0.3, np.nan, 0.5], atol=0.02)
    rewards = rng.binomial(1, 0.3, (4000, 8))
    made = [Group(Problem(0, 0), tuple(Rollout((), float(r), is_success=bool(r)) for r in row)) for row in rewards]
    by_groups = np.mean([np.abs(group_advantages(group)).mean() for group in made])
    assert pay[0] == pytest.approx(by_groups, abs=0.02)
    assert np.isnan(pay).tolist() == [False, True, False]
