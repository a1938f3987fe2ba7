"""Comparisons without runs behind them: histories that a formula wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtgrpo_env.agents.reports.compared_runs import Run, Settings, run_of_history
from mtgrpo_env.agents.reports.comparison import Comparison
from mtgrpo_env.agents.reports.points import Point

TASKS = ("countdown-mini", "zebra-mini", "arc-mini")


def make_settings(**changed: Any) -> Settings:
    lrs = changed.pop("lrs", (2e-4, 4e-4))
    methods = changed.get("methods", ("mt-grpo", "dapo", "grpo"))
    values: dict[str, Any] = {
        "command": "mtgrpo compare --suite mini",
        "tasks": TASKS,
        "methods": methods,
        "points": {method: tuple(Point.of(lr=lr) for lr in lrs) for method in methods},
        "seeds": (0, 1, 2),
        "steps": 20,
        "horizon": 20,
        "thresholds": (0.5,),
        "eval_problems": 100,
        "parallel": 2,
    }
    return Settings(**{**values, **changed})


def make_history(settings: Settings, method: str, point: Point, seed: int, *, recorded: bool = True) -> list[Any]:
    """Records as `mtgrpo train` writes them; `recorded` says whether tokens and advantages are among them."""
    rank, num_tasks = settings.methods.index(method), len(settings.tasks)
    place = settings.points[method].index(point)
    rng = np.random.default_rng([rank, place, seed])
    start = np.linspace(0.4, 0.02, num_tasks)
    speed = (1 + place) / (5 + rank) * (0.8 + 0.4 * rng.random())
    rollouts_of_a_step = 8 * 96 // (1 + rank)

    def evaluation(step: int) -> dict[str, Any]:
        accuracies = np.clip(start + (0.8 - start) * (1 - np.exp(-speed * step / 4)), 0, 1)
        values = {"accuracies": accuracies.tolist(), "counts": [settings.eval_problems] * num_tasks}
        if recorded:
            values |= {"mean_lengths": [12.0 + step] * num_tasks, "truncated_shares": [0.04] * num_tasks}
        return {"kind": "evaluation", "step": step, "rollouts": step * rollouts_of_a_step, **values}

    records = [evaluation(0)]
    for step in range(1, settings.steps + 1):
        z = rng.dirichlet(np.linspace(3, 20, num_tasks))
        kept = rng.multinomial(32, z)
        generated = rng.multinomial(96, z)
        informative = np.clip(start + 0.5 * step / settings.steps, 0, 1)
        record: dict[str, Any] = {
            "kind": "step",
            "step": step,
            "probabilities": z.tolist(),
            "targets": kept.tolist(),
            "kept": kept.tolist(),
            "generated": generated.tolist(),
            "accepted": rng.binomial(generated, informative).tolist(),
            "rounds": 3 - rank % 3,
            "rollouts": rollouts_of_a_step,
            "rollout_seconds": 0.5 / (1 + rank),
            "update_seconds": 0.5,
            "cpu_seconds": 3.0,
        }
        if recorded:
            record |= {"actions": (90 * kept).tolist(), "abs_advantages": (kept * rng.random(num_tasks)).tolist()}
            rollouts = 8 * generated
            record |= {"responses": rollouts.tolist(), "lengths": (12 * rollouts).tolist()}
            record |= {"truncated": (rollouts // 4).tolist(), "unanimous": (generated // 2).tolist()}
            record |= {"surprisals": (6.0 * rollouts).tolist(), "scored_tokens": (12 * rollouts).tolist()}
        records.append(record)
        if step % 5 == 0 or step == settings.steps:
            records.append(evaluation(step))
    return records


def make_run(settings: Settings, method: str, point: Point, seed: int, *, recorded: bool = True) -> Run:
    history = make_history(settings, method, point, seed, recorded=recorded)
    return run_of_history(history, method=method, point=point, seed=seed, num_steps=settings.steps)


def make_comparison(
    *, missing: Sequence[tuple[str, Point, int]] = (), recorded: bool = True, **changed: Any
) -> Comparison:
    """All the runs that the settings name but those missing."""
    settings = make_settings(**changed)
    seeds = (*settings.tuning_seeds, *settings.seeds)
    names = [(m, point, seed) for m in settings.methods for point in settings.points[m] for seed in seeds]
    return Comparison(settings, [make_run(settings, *n, recorded=recorded) for n in names if n not in missing])
