"""What a batch costs to generate, and how near it comes to the task weights: samplers alone, no rollouts.

    python benchmarks/samplers.py            # writes benchmarks/results/samplers.md and .png

Every sampler meets the same acceptance rates, which drift and which it does not know, in the same run. The bound is
Σ n_k / a_k with n = B z: what one who knew the rates would have to generate on average. The distance is the total
variation between z and what is kept, counted by groups and counted by loss weights.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.build import build_agent
from mtgrpo_env.agents.llm.context import run_prompts
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer
from mtgrpo_env.batch_metrics import shares
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.plans import BatchPlan, BatchSampler
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights
from mtgrpo_env.types import FloatArray, Group, Problem, TaskStats

RESULTS = Path(__file__).parent / "results"
BATCHES, WARM_UP = 300, 20
TRAINED_BATCH = 32
RARE = 0.02


@dataclass(frozen=True)
class Scene:
    """K tasks whose acceptance rates wander about a level of their own."""

    name: str
    num_tasks: int
    batch_size: int
    rare: bool = False

    def weights(self) -> FloatArray:
        """(K,) z, the same for every sampler."""
        return np.random.default_rng(self.num_tasks).dirichlet(np.full(self.num_tasks, 2.0))

    def acceptance(self, step: int) -> FloatArray:
        """(K,) at a step: levels from .1 to .9, waves of .1 that take some 125 batches."""
        rng = np.random.default_rng(self.num_tasks + 1)
        levels, phases = rng.uniform(0.1, 0.9, self.num_tasks), rng.uniform(0, 2 * np.pi, self.num_tasks)
        rates = np.clip(levels + 0.1 * np.sin(phases + step / 20), RARE, 0.98)
        if self.rare:
            rates[0] = RARE
        return rates


SCENES = (
    Scene("K = 3, B = 32", 3, 32),
    Scene("K = 9, B = 256", 9, 256),
    Scene("K = 100, B = 256", 100, 256),
    Scene("K = 3, B = 32, one task at .02", 3, 32, rare=True),
)
Make = Callable[[int, int], BatchSampler[Any]]


def without_limits(num_tasks: int, batch_size: int) -> QuotaSampler:
    """Quotas that are filled whatever it takes, as far as two rounds can."""
    return QuotaSampler(num_tasks, batch_size, max_generated=np.inf, max_inflation=np.inf)


DEFAULT = "quotas, budget 2 B, replay (default)"
SAMPLERS: Mapping[str, tuple[Make, bool]] = {
    "GRPO's multinomial": (MultinomialSampler, False),
    "DAPO's dynamic": (DynamicSampler, False),
    "Algorithm 2": (RatioPreservingSampler, False),
    "quotas": (without_limits, False),
    "quotas, replay": (without_limits, True),
    DEFAULT: (QuotaSampler.beside_replay, True),
    "one round of B": (lambda k, b: QuotaSampler(k, b, max_generated=1, max_rounds=1), False),
}
CLIPS = (1.0, 1.5, 2.0, 3.0, 10.0, 1e9)


@dataclass(frozen=True)
class Outcome:
    """Means over the batches of a scene."""

    over_bound: float
    rounds: float
    distance: float
    weighted_distance: float
    share: FloatArray  # (K,) mean share of the loss


def play(scene: Scene, sampler: BatchSampler[Any], replay: ReplayBuffer | None) -> Outcome:
    """Draw batches; what is informative is decided by a coin for each group."""
    rng, z = np.random.default_rng(1), scene.weights()
    generated = bound = rounds = 0.0
    by_groups, by_weights = [], []
    for step in range(WARM_UP + BATCHES):
        rates = scene.acceptance(step)
        plan = sampler.plan(z)
        groups = [] if replay is None else replay.offer(plan)
        groups = groups + _generate(plan, rates, rng)
        sampler.update(plan)
        selected, weights = plan.select()
        if replay is not None:
            replay.keep(plan, groups, selected)
        if step < WARM_UP:
            continue
        kept = [i for i in selected if plan.informative[i]]
        task_ids = [groups[i].task_id for i in kept]
        counted = dict(zip(selected, weights, strict=True))
        by_groups.append(_share(task_ids, np.ones(len(kept)), scene.num_tasks))
        by_weights.append(_share(task_ids, np.array([counted[i] for i in kept]), scene.num_tasks))
        generated += plan.generated.sum()
        bound += (scene.batch_size * z / rates).sum()
        rounds += plan.rounds
    return Outcome(
        generated / bound, rounds / BATCHES, _distance(by_groups, z), _distance(by_weights, z), np.mean(by_weights, 0)
    )


def _generate(plan: BatchPlan, rates: FloatArray, rng: np.random.Generator) -> list[Group]:
    groups: list[Group] = []
    while proposal := plan.propose():
        plan.report(proposal, (rng.random(len(proposal)) < rates[proposal]).tolist())
        groups += [Group(Problem(task_id, 0), ()) for task_id in proposal]
    return groups


def _share(task_ids: Sequence[int], weights: FloatArray, num_tasks: int) -> FloatArray:
    return shares(np.bincount(np.asarray(task_ids, dtype=np.int64), weights=weights, minlength=num_tasks))


def _distance(shares: Sequence[FloatArray], z: FloatArray) -> float:
    return float(0.5 * np.abs(np.array(shares) - z).sum(axis=1).mean())


def seconds_of_planning(num_tasks: int, make: Make, task_weights: TaskWeights, *, batches: int = 50) -> float:
    """CPU time of a sampler and a rule for the weights, for one batch."""
    z = np.random.default_rng(0).dirichlet(np.ones(num_tasks))
    stats = TaskStats(z / z.max(), np.zeros(num_tasks), np.zeros(num_tasks))
    sampler, rng = make(num_tasks, TRAINED_BATCH), np.random.default_rng(0)
    started = time.process_time()
    for _ in range(batches):
        plan = sampler.plan(z)
        while proposal := plan.propose():
            plan.report(proposal, (rng.random(len(proposal)) < 0.5).tolist())
        sampler.update(plan)
        plan.select()
        task_weights.update(stats)
        task_weights.probabilities.sum()
    return (time.process_time() - started) / batches


def seconds_of_a_step(*, steps: int = 5) -> float:
    """CPU time of the cheapest train step there is: plain GRPO, the embedded model of 160k parameters, one thread."""
    torch.set_num_threads(1)
    suite = read_tasks("mini", seed=0)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = tiny_tokenizer()
        tiny_model(tokenizer, TinyModelConfig(), seed=0).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        config = TrainConfig(method="grpo", batch_size=TRAINED_BATCH, device="cpu").for_run()
        agent = build_agent(config, suite, folder, run_prompts(config, suite))
    agent.train(1)
    started = time.process_time()
    agent.train(steps)
    return (time.process_time() - started) / steps


def overhead_table() -> list[list[str]]:
    """What planning costs beside the step that is planned."""
    step = seconds_of_a_step()
    table = []
    for k in (10, 100, 1_000, 10_000):
        ours = seconds_of_planning(k, QuotaSampler, DisparityWeights(k))
        paper = seconds_of_planning(k, RatioPreservingSampler, ImprovementAwareWeights(k))
        table.append([f"{k:,}", *(f"{1e3 * s:.2f} ({s / step:.2%})" for s in (ours, paper)), f"{1e3 * step:.0f}"])
    return table


def bias_table() -> list[list[str]]:
    """What each clip of the loss weights costs in bias and in variance, where the budget is tight."""
    table = []
    for clip in CLIPS:
        table.append([f"{clip:g}" if clip < 1e6 else "none"])
        for scene in SCENES[1:]:
            sampler = QuotaSampler(scene.num_tasks, scene.batch_size, max_generated=1, max_rounds=1, weight_clip=clip)
            found = play(scene, sampler, None)
            bias = 0.5 * np.abs(found.share - scene.weights()).sum()
            table[-1].append(f"{bias:.3f} / {found.weighted_distance:.3f}")
    return table


def draw(outcomes: Mapping[tuple[str, str], Outcome], file: Path) -> None:
    """Generation over the bound against distance from z, a panel for each scene."""
    figure = Figure(figsize=(15, 4), layout="constrained")
    row = figure.subplots(1, len(SCENES), sharex=True, sharey=True)
    for axes, scene in zip(row, SCENES, strict=True):
        for i, name in enumerate(SAMPLERS):
            found = outcomes[scene.name, name]
            axes.scatter(found.over_bound, found.weighted_distance, marker="osD^vP*"[i], s=60, label=name)
        axes.axvline(1, color="gray", linewidth=0.8)
        axes.set(title=scene.name, xlabel="groups generated / bound")
        axes.grid(alpha=0.3)
    row[0].set_ylabel("distance of the loss from z")
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(file, dpi=110)


def table_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows))


def conclusion(outcomes: Mapping[tuple[str, str], Outcome]) -> str:
    """The result in a sentence: cost and distance of three samplers, over all scenes."""

    def span(name: str, field: str, digits: int) -> str:
        values = [getattr(outcome, field) for (_, sampler), outcome in outcomes.items() if sampler == name]
        return f"{min(values):.{digits}f} to {max(values):.{digits}f}"

    names = {"Algorithm 2": "Algorithm 2", "quotas": "quotas", "our default": DEFAULT}
    costs = ", ".join(f"{short} {span(name, 'over_bound', 2)}" for short, name in names.items())
    distances = ", ".join(f"{short} {span(name, 'weighted_distance', 3)}" for short, name in names.items())
    return (
        f"**Generated groups as a multiple of the bound: {costs}. Distance of the loss from the task weights: "
        f"{distances}; with one task at .02 the default's budget is too small for it.**"
    )


def main() -> None:
    """Play every scene with every sampler; write the tables and the figure."""
    outcomes = {
        (scene.name, name): play(scene, make(scene.num_tasks, scene.batch_size), ReplayBuffer() if replays else None)
        for scene in SCENES
        for name, (make, replays) in SAMPLERS.items()
    }
    rows = [
        [scene, name, f"{o.over_bound:.2f}", f"{o.rounds:.2f}", f"{o.distance:.3f}", f"{o.weighted_distance:.3f}"]
        for (scene, name), o in outcomes.items()
    ]
    header = ["tasks", "sampler", "generated / bound", "rounds", "distance by groups", "distance by loss weight"]
    parts = [
        "# Samplers",
        conclusion(outcomes),
        f"`python benchmarks/samplers.py`: {BATCHES} batches after {WARM_UP}, acceptance rates drift and are unknown.",
        table_of(header, rows),
        "## What the clip of the loss weights costs",
        "One round of B, where the budget is tightest: distance of the mean share of the loss from z (bias) / mean "
        "distance of a batch's share. A clip of 1 weighs nothing.",
        table_of(["clip", *(scene.name for scene in SCENES[1:])], bias_table()),
        "## Overhead",
        f"CPU milliseconds of sampler and task weights for a batch of {TRAINED_BATCH}, and their share of the cheapest "
        "train step (GRPO, 160k parameters, N 8), measured in the same run.",
        table_of(["K", "quotas, disparity", "Algorithm 2, Subroutine 1", "train step"], overhead_table()),
        "![samplers](samplers.png)",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "samplers.md").write_text("\n\n".join(parts) + "\n")
    draw(outcomes, RESULTS / "samplers.png")
    Console().print((RESULTS / "samplers.md").read_text())


if __name__ == "__main__":
    main()
