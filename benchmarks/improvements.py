"""The improvement I_k: what it costs to measure, and how far cheaper estimates are from the exact one.

    python benchmarks/improvements.py            # writes benchmarks/results/improvements.md

A language model is trained by the paper's MT-GRPO. At every step each signal is measured beside the others, by a copy
of the learner that takes the same update; the time of a copy that measures nothing is what the update costs alone.
Times are CPU seconds of this process, one thread.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from mtgrpo_env.agents.base import Learner
from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.improvement import (
    ImprovementSignal,
    MakeImprovementSignal,
    NoImprovement,
    SampledImprovement,
    StepImprovement,
    TrendImprovement,
)
from mtgrpo_env.agents.llm.build import build_agent
from mtgrpo_env.agents.llm.context import run_prompts
from mtgrpo_env.agents.llm.warm_start import warm_start_for, warm_started_model
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.curriculum import GenerateGroups
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.types import Batch, FloatArray

REPORT = Path(__file__).parent / "results" / "improvements.md"
RUNS = Path("runs/methods/mini")
SIGNALS: Mapping[str, MakeImprovementSignal] = {
    "none": NoImprovement,
    "exact: a pass over the batch": StepImprovement,
    "a pass over 4 groups of each task": partial(SampledImprovement, groups_per_task=4),
    "a pass over 1 group of each task": partial(SampledImprovement, groups_per_task=1),
    "the trend of the passes of training": TrendImprovement,
}
EXACT = "exact: a pass over the batch"


class Bench:
    """Measures with every signal, each on a copy of the learner, and continues with the exact one."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {name: [] for name in SIGNALS}
        self.values: dict[str, list[FloatArray]] = {name: [] for name in SIGNALS}
        self.present: list[NDArray[np.bool_]] = []

    def __call__(self, learner: Learner, batch: Batch) -> ImprovementSignal:
        for name, observe in SIGNALS.items():
            twin = copy.deepcopy(learner)
            started = time.process_time()
            signal = observe(twin, batch)
            twin.update(batch, signal.on_minibatch)
            (improvement,) = signal.end()
            self.seconds[name].append(time.process_time() - started)
            self.values[name].append(improvement)
        self.present.append(batch.kept > 0)
        return StepImprovement(learner, batch)


def trained(bench: Bench, *, steps: int, seed: int) -> tuple[MTGRPOAgent, float]:
    """The agent after its training, and the mean CPU seconds of generating a batch."""
    config = TrainConfig(method="mt-grpo", seed=seed, device="cpu").for_run()
    suite = read_tasks(config.tasks, seed=seed)
    folder = RUNS / f"seed-{seed}"
    start = warm_started_model(folder, suite, warm_start_for(suite.names), seed=seed)
    agent = build_agent(config, suite, str(start), run_prompts(config, suite))
    agent.improvement = bench
    draw, spent = agent.curriculum.draw, list[float]()

    def timed(roll_out: GenerateGroups) -> Batch:
        started = time.process_time()
        batch = draw(roll_out)
        spent.append(time.process_time() - started)
        return batch

    agent.curriculum.draw = timed
    for _ in track(range(steps), description="steps"):
        agent.train_step()
    return agent, float(np.mean(spent))


def rows(bench: Bench, generation: float) -> Sequence[Sequence[str]]:
    """A line of the table for each signal."""
    present = np.array(bench.present)
    exact = np.array(bench.values[EXACT])[present]
    spread = np.array([values[kept].std() for values, kept in zip(bench.values[EXACT], present, strict=True)])
    alone = np.mean(bench.seconds["none"])
    table = []
    for name in SIGNALS:
        found = np.array(bench.values[name])[present]
        extra = float(np.mean(bench.seconds[name]) - alone)
        cells = [name, f"{1e3 * extra:.1f}", f"{extra / alone:.1%}", f"{extra / (alone + generation):.1%}"]
        if name == "none":
            cells += ["-", "-", "-"]
        else:
            error = float(np.sqrt(np.mean((found - exact) ** 2)))
            cells += [f"{np.corrcoef(found, exact)[0, 1]:.2f}", f"{error:.4f}", f"{error / spread.mean():.2f}"]
        table.append(cells)
    return table


def main() -> None:
    """Train, measure, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench, generation = Bench(), []
    for seed in args.seeds:
        generation.append(trained(bench, steps=args.steps, seed=seed)[1])
    table = rows(bench, float(np.mean(generation)))
    header = ["signal", "extra ms", "of the update", "of the step", "correlation", "error (rms)", "error / spread"]
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *table)]
    exact = np.array(bench.values[EXACT])[np.array(bench.present)]
    REPORT.parent.mkdir(exist_ok=True)
    cheaper = sorted(float(cells[-1]) for cells in table[2:])
    REPORT.write_text(
        f"# The improvement signal\n\n**The exact signal costs {table[1][3]} of a step. The error of every cheaper one "
        f"is {cheaper[0]:.1f} to {cheaper[-1]:.1f} times the spread between tasks.**\n\n"
        f"`python benchmarks/improvements.py --steps {args.steps} --seeds {' '.join(map(str, args.seeds))}`\n\n"
        f"Three mini tasks, 160k parameters, B 32, N 8, 4 minibatches; mean |I| {np.abs(exact).mean():.4f}. The "
        "error is against the exact signal, over steps and tasks; the spread is the exact signal's standard deviation "
        "between the tasks of a step, the input of the task weights.\n\n" + "\n".join(lines) + "\n"
    )
    Console().print(REPORT.read_text())


if __name__ == "__main__":
    main()
