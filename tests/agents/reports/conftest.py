"""Metrics of steps and evaluations of any number of tasks, without a run behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.evaluation import Evaluation


@pytest.fixture
def make_report() -> Callable[..., TrainMetrics]:
    """Makes the metrics of `step` on K tasks; keyword arguments replace its fields."""

    def make(step: int, num_tasks: int = 3, **fields: Any) -> TrainMetrics:
        ones = np.ones(num_tasks)
        counts = np.arange(1, num_tasks + 1)
        values: dict[str, Any] = {
            "step": step,
            "probabilities": ones / num_tasks,
            "targets": counts,
            "kept": counts[::-1].copy(),
            "accepted": counts,
            "generated": 4 * counts,
            "rewards": ones / 2,
            "accuracies": ones / 4,
            "improvements": -ones / 8,
            "loss_weights": ones,
            "actions": 10 * counts,
            "abs_advantages": 3.0 * counts,
            "rounds": 2,
            "replayed": 1,
            "rollouts": 96,
            "rollout_seconds": 0.5,
            "update_seconds": 0.25,
            "cpu_seconds": 1.0,
            "learner": {"loss": -0.125, "gradient_norm": 2.0},
        }
        return TrainMetrics(**{**values, **fields})

    return make


@pytest.fixture
def make_evaluation() -> Callable[..., Evaluation]:
    """Makes an evaluation from accuracies; NaN for a task that was not played."""

    def make(*accuracies: float) -> Evaluation:
        values = np.array(accuracies)
        counts = np.where(np.isnan(values), 0, 50)
        return Evaluation(tuple(f"task-{k}" for k in range(len(values))), values, counts, np.zeros_like(counts), counts)

    return make
