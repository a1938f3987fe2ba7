"""The main job over several seeds and methods: how much does the worst task gain, and at what cost?

    python benchmarks/main_job.py --seeds 0 1 2 --methods mt-grpo dapo grpo

Every run has its own folder and is continued if it was cut off. Writes a table and a figure
to benchmarks/results.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.figure import Figure

from mtgrpo_env.agents.reports.history import read_history
from mtgrpo_env.metrics import cost_to_threshold

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Config:
    """Which runs to make."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Each seed has its own starting model, problems and sampling."""
    methods: tuple[str, ...] = ("mt-grpo", "dapo", "grpo")
    """Methods compared, with equal steps."""
    runs: Path = Path("runs/main_job")
    """Where the runs are kept."""
    parallel: int = 1
    """Runs at a time, one thread each; runs of one seed share the starting model, so seeds run in parallel."""
    threshold: float = 0.5
    """Worst-task accuracy whose cost is reported."""
    steps: int = 60
    """Training steps of every run."""
    lr: float = 4e-4
    """Learning rate of every run."""
    eval_every: int = 5
    """Steps between evaluations, and so how finely costs are known."""


def main(config: Config) -> None:
    """Make the runs and report them."""
    with ThreadPoolExecutor(config.parallel) as pool:
        list(pool.map(lambda seed: [_run(config, method, seed) for method in config.methods], config.seeds))
    histories = {
        (m, s): read_history(_folder(config, m, s) / "history.jsonl") for m in config.methods for s in config.seeds
    }
    table = _table(config, histories)
    print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "main_job.md").write_text(f"`{' '.join(['python', *sys.argv])}`\n\n{table}\n")
    _draw(config, histories, RESULTS / "main_job.png")


def _folder(config: Config, method: str, seed: int) -> Path:
    return config.runs / f"seed-{seed}" / method


def _run(config: Config, method: str, seed: int) -> None:
    out = _folder(config, method, seed)
    chosen = {"method": method, "seed": seed, "out": out, "steps": config.steps, "lr": config.lr}
    options = {**chosen, "eval-every": config.eval_every}
    command = [sys.executable, "-m", "mtgrpo_env", "train"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)


def _table(config: Config, histories: Mapping[tuple[str, int], Sequence[Any]]) -> str:
    lines = [
        "| method | seed | start per task | end per task | worst, start | worst, end | average, start | average, end "
        f"| steps to {config.threshold:.0%} worst | rollouts to it | rollouts | train seconds |",
        "|---" * 12 + "|",
    ]
    for (method, seed), records in histories.items():
        evaluations = [record for record in records if record["kind"] == "evaluation"]
        steps = [record for record in records if record["kind"] == "step"]
        first, last = (np.array(evaluations[i]["accuracies"]) for i in (0, -1))
        worst = [min(record["accuracies"]) for record in evaluations]
        costs = [
            cost_to_threshold([record[cost] for record in evaluations], worst, config.threshold)
            for cost in ("step", "rollouts")
        ]
        seconds = sum(record["rollout_seconds"] + record["update_seconds"] for record in steps)
        cells = [method, str(seed), _shares(first), _shares(last)]
        cells += [f"{x:.3f}" for x in (first.min(), last.min(), first.mean(), last.mean())]
        cells += ["never" if np.isinf(cost) else f"{cost:,.0f}" for cost in costs]
        lines.append("| " + " | ".join([*cells, f"{evaluations[-1]['rollouts']:,}", f"{seconds:.0f}"]) + " |")
    return "\n".join(lines)


def _shares(accuracies: np.ndarray) -> str:
    return " / ".join(f"{accuracy:.2f}" for accuracy in accuracies)


def _draw(config: Config, histories: Mapping[tuple[str, int], Sequence[Any]], file: Path) -> None:
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    by_step, by_rollout = figure.subplots(1, 2, sharey=True)
    for i, method in enumerate(config.methods):
        for seed in config.seeds:
            evaluations = [record for record in histories[method, seed] if record["kind"] == "evaluation"]
            worst = [min(record["accuracies"]) for record in evaluations]
            label = method if seed == config.seeds[0] else None
            for axes, cost in ((by_step, "step"), (by_rollout, "rollouts")):
                axes.plot([record[cost] for record in evaluations], worst, color=f"C{i}", label=label)
    by_step.set(xlabel="training steps", ylabel="held-out accuracy of the worst task", ylim=(0, 1))
    by_rollout.set(xlabel="training rollouts generated")
    by_step.legend()
    figure.suptitle(f"Worst task, one line a seed ({json.dumps(list(config.seeds))})")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main(tyro.cli(Config))
