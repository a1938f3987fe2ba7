"""TRL's own `GRPOTrainer` beside `MTGRPOTrainer`: the same rows, model, seeds, steps and learning rate.

    pip install --constraint constraints.txt --editable '.[trl]'
    python benchmarks/trl_trainer.py            # writes benchmarks/results/trl_trainer.md and .png

What a group is informative by is the same for all: an advantage that is not 0. Both sides are told how many of the
groups they train on are, and of which task.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from datasets import Dataset
from matplotlib.figure import Figure
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from mtgrpo_env.agents.integrations.trl import MTGRPOTrainer
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.warm_start import warm_start_for, warm_started_model
from mtgrpo_env.agents.reports.figure_style import color, write
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.evaluation import Evaluation, evaluate_policy
from mtgrpo_env.named_tasks import SUITES, read_tasks
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import FloatArray

REPORT = Path(__file__).parent / "results" / "trl_trainer.md"
RUNS = Path("runs/methods/mini")
GROUPS, GROUP_SIZE, MINIBATCHES, NEW_TOKENS = 32, 8, 4, 16
OPTIONS: Mapping[str, Any] = {
    "per_device_train_batch_size": GROUPS * GROUP_SIZE // MINIBATCHES,
    "steps_per_generation": MINIBATCHES,
    "gradient_accumulation_steps": 1,
    "num_generations": GROUP_SIZE,
    "max_completion_length": NEW_TOKENS,
    "lr_scheduler_type": "constant",
    "epsilon_high": 0.28,
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "save_strategy": "no",
    "logging_steps": 1,
    "report_to": [],
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}


@dataclass(frozen=True)
class Config:
    """How long, and how often."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Of the start model, the rows, the draws."""
    batches: int = 50
    """Generation batches; each is four optimiser steps."""
    lr: float = 4e-4
    """Learning rate of all sides."""
    rows: int = 3000
    """Of each task."""
    eval_problems: int = 200
    """Held-out problems of each task."""
    out: Path = REPORT
    """The report; the figure stands beside it."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run; arrays are (K,)."""

    shares: FloatArray  # of the informative groups that were trained on
    wanted: FloatArray  # as the task weights had it
    held_out: Evaluation
    rollouts: float  # generated for a batch
    seconds: float  # of a batch
    cpu_seconds: float


class CountingGRPOTrainer(GRPOTrainer):
    """TRL's own trainer, which also counts the informative groups of each task."""

    def __init__(self, *arguments: Any, names: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._names = list(names)
        self.counts = np.zeros(len(names))

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        informative = output["advantages"].view(-1, GROUP_SIZE).abs().amax(dim=1) > 1e-3
        for row, counts in zip(inputs[::GROUP_SIZE], informative.tolist(), strict=True):
            self.counts[self._names.index(row["task"])] += counts
        return output


def suite_rows(suite: TaskSuite, count: int) -> Dataset:
    """`count` problems of each task as rows: the prompt, the task, and what the reward function needs."""
    problems = [suite.next_problem(k) for _ in range(count) for k in range(suite.num_tasks)]
    opened = [(problem, suite.opening(problem)) for problem in problems]
    rows = [
        {"prompt": opening.prompt, "task": suite.names[p.task_id], "seed": str(p.seed), "split": suite.split}
        for p, opening in opened
        if opening is not None
    ]
    return Dataset.from_list(rows)


def suite_reward(suite: TaskSuite) -> Callable[..., list[float]]:
    """The verifiers of a suite as a reward function of TRL's."""

    def reward(
        completions: Sequence[str], task: Sequence[str], seed: Sequence[str], split: Sequence[str], **columns: Any
    ) -> list[float]:
        rewards: list[float] = []
        for completion, name, number, part in zip(completions, task, seed, split, strict=True):
            env = suite.envs(suite.names.index(name), 1)[0]
            env.reset(seed=int(number), options={"split": part})
            rewards.append(float(env.step(completion)[1]))
        return rewards

    return reward


def trl_grpo(names: Sequence[str], arguments: Mapping[str, Any]) -> CountingGRPOTrainer:
    """As TRL has it: rows as they come out of a shuffle."""
    return CountingGRPOTrainer(**arguments, names=names)


def mt_grpo(names: Sequence[str], arguments: Mapping[str, Any]) -> MTGRPOTrainer:
    """Nothing but another class."""
    return MTGRPOTrainer(**arguments)


def mt_grpo_without_replay(names: Sequence[str], arguments: Mapping[str, Any]) -> MTGRPOTrainer:
    """What a task lacks is generated, within a budget of three batches, and not kept for later ones."""
    seed = arguments["args"].seed
    return MTGRPOTrainer(**arguments, sampler=QuotaSampler(len(names), GROUPS, seed=seed))


def mt_grpo_at_equal_rollouts(names: Sequence[str], arguments: Mapping[str, Any]) -> MTGRPOTrainer:
    """As many groups generated as TRL's own: the ratio is made by loss weights alone."""
    seed = arguments["args"].seed
    sampler = QuotaSampler(len(names), GROUPS, max_generated=1.0, max_rounds=1, seed=seed)
    return MTGRPOTrainer(**arguments, sampler=sampler)


SIDES: Mapping[str, Callable[[Sequence[str], Mapping[str, Any]], CountingGRPOTrainer | MTGRPOTrainer]] = {
    "GRPOTrainer (TRL)": trl_grpo,
    "MTGRPOTrainer": mt_grpo,
    "MTGRPOTrainer, no replay": mt_grpo_without_replay,
    "MTGRPOTrainer, no refilling": mt_grpo_at_equal_rollouts,
}


def run(side: str, seed: int, config: Config) -> Result:
    """Train one side from the start model of a seed, and evaluate it."""
    suite = read_tasks("mini", seed=seed)
    data, source = suite_rows(suite, config.rows), start(seed)
    with tempfile.TemporaryDirectory() as folder:
        steps = config.batches * MINIBATCHES
        args = GRPOConfig(output_dir=folder, max_steps=steps, learning_rate=config.lr, seed=seed, **OPTIONS)
        arguments = {
            "model": AutoModelForCausalLM.from_pretrained(source),
            "reward_funcs": suite_reward(suite),
            "args": args,
            "train_dataset": data,
            "processing_class": AutoTokenizer.from_pretrained(source),
        }
        trainer = SIDES[side](sorted(suite.names), arguments)
        started = time.perf_counter(), time.process_time()
        trainer.train()
        seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    shares, wanted, rollouts = measured(trainer, sorted(suite.names))
    held_out = evaluated(source, trainer.model, seed, config)
    return Result(shares, wanted, held_out, rollouts, seconds / config.batches, cpu_seconds / config.batches)


def measured(
    trainer: CountingGRPOTrainer | MTGRPOTrainer, names: Sequence[str]
) -> tuple[FloatArray, FloatArray, float]:
    """(K,) realised shares and (K,) wanted ones, means over batches, and the rollouts generated for a batch."""
    if isinstance(trainer, CountingGRPOTrainer):
        return trainer.counts / trainer.counts.sum(), np.full(len(names), 1 / len(names)), float(GROUPS * GROUP_SIZE)
    logged = [entry for entry in trainer.state.log_history if "generated_groups" in entry]
    shares, wanted = (
        np.mean([[entry[f"{word}/{name}"] for name in names] for entry in logged], axis=0)
        for word in ("prompt_share", "task_weight")  # a quota sampler trains on informative groups alone
    )
    return shares, wanted, float(np.mean([entry["generated_groups"] for entry in logged])) * GROUP_SIZE


def evaluated(source: Path, trained: torch.nn.Module | None, seed: int, config: Config) -> Evaluation:
    """Accuracy on held-out problems, the same for all; of the start model if none was trained."""
    model, suite = AutoModelForCausalLM.from_pretrained(source), reason_suite(sorted(SUITES["mini"]))
    if trained is not None:
        model.load_state_dict(trained.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(source)
    policy = LanguageModelPolicy(model.eval(), tokenizer, decoding=Decoding(NEW_TOKENS), seed=seed)
    return evaluate_policy(suite, policy, suite.held_out(config.eval_problems))


def start(seed: int) -> Path:
    """The tiny model that was taught the three tasks unequally; made on first use."""
    suite = read_tasks("mini")
    return warm_started_model(RUNS / f"seed-{seed}", suite, warm_start_for(suite.names), seed=seed)


def report(results: Mapping[str, Sequence[Result]], before: Sequence[Evaluation], config: Config) -> str:
    """The page, in Markdown."""
    names = before[0].names
    columns = [f"share {name.split('-')[0]} (wanted)" for name in names]
    head = ["side", *columns, "worst task", "average", "rollouts a batch", "CPU seconds a batch", "seconds"]
    rows = [head, ["---"] * len(head)]
    rows.append(["start", *["–"] * len(names), *_scores(before), "–", "–", "–"])
    for side, runs in results.items():
        shares, wanted = (_of(runs, word).mean(axis=0) for word in ("shares", "wanted"))
        cells = [f"{share:.2f} ({weight:.2f})" for share, weight in zip(shares, wanted, strict=True)]
        times = [_spread(_of(runs, word).tolist(), 2) for word in ("cpu_seconds", "seconds")]
        scores = _scores([run.held_out for run in runs])
        rows.append([side, *cells, *scores, f"{_of(runs, 'rollouts').mean():.0f}", *times])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    worst = [f"{side} {np.mean([100 * run.held_out.worst for run in runs]):.1f} %" for side, runs in results.items()]
    versions = ", ".join(f"{name} {version(name)}" for name in ("trl", "transformers", "torch"))
    return (
        "# TRL's trainer beside ours\n\n"
        f"**The worst task at equal batches: {', '.join(worst)}; rollouts and seconds differ.**\n\n"
        f"`{' '.join(['python benchmarks/trl_trainer.py', *sys.argv[1:]])}`\n\n"
        f"{versions}; one thread, {os.cpu_count()} cores that others used too. The embedded model of 160,000 "
        f"parameters on three mini tasks, {config.rows} rows of each; {config.batches} batches of {GROUPS} groups of "
        f"{GROUP_SIZE}, {MINIBATCHES} optimiser steps each, learning rate {config.lr:g}, TRL's default loss; seeds "
        f"{list(config.seeds)}. Shares are of the "
        "informative groups that were trained on, as the loss weighs them, means over batches and seeds; "
        f"accuracy in per cent on {config.eval_problems} held-out problems a task, mean and extremes over seeds.\n\n"
        f"{table}\n\n![Shares and accuracies]({config.out.with_suffix('.png').name})\n"
    )


def draw(results: Mapping[str, Sequence[Result]], before: Sequence[Evaluation], file: Path) -> None:
    """Shares on the left, held-out accuracy by task on the right."""
    names, sides = before[0].names, list(results)
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    positions, width = np.arange(len(names)), 0.8 / (len(sides) + 1)
    start_accuracies = np.mean([evaluation.accuracies for evaluation in before], axis=0)
    right.bar(positions, 100 * start_accuracies, width, color="0.8", label="start")
    for i, side in enumerate(sides, start=1):
        accuracies = np.array([run.held_out.accuracies for run in results[side]])
        left.bar(positions + i * width, _of(results[side], "shares").mean(axis=0), width, color=color(i), label=side)
        left.plot(positions + i * width, _of(results[side], "wanted").mean(axis=0), "k_", markersize=14)
        right.bar(positions + i * width, 100 * accuracies.mean(axis=0), width, color=color(i), label=side)
        for of_seed in accuracies:
            right.plot(positions + i * width, 100 * of_seed, "k.", markersize=3)
    left.set_title("share of the informative groups trained on; dashes: wanted", fontsize=10)
    right.set_title("held-out accuracy, %; dots: seeds", fontsize=10)
    for axes in (left, right):
        axes.set_xticks(positions + width * len(sides) / 2, names)
    right.legend(fontsize=8)
    write(figure, file)


def _of(runs: Sequence[Result], name: str) -> FloatArray:
    """(seeds, ...) of all runs."""
    return np.array([getattr(run, name) for run in runs])


def _scores(evaluations: Sequence[Evaluation]) -> list[str]:
    return [_spread([100 * getattr(e, word) for e in evaluations], 1) for word in ("worst", "average")]


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def main(config: Config) -> None:
    """Run every side with every seed, in turn; write the report and the figure."""
    transformers_logging.disable_progress_bar()
    before = [evaluated(start(seed), None, seed, config) for seed in config.seeds]
    results: dict[str, list[Result]] = {side: [] for side in SIDES}
    for seed in config.seeds:
        for side in SIDES:
            results[side].append(result := run(side, seed, config))
            accuracies = (100 * result.held_out.accuracies).round(1).tolist()
            print(f"seed {seed}, {side}: {accuracies} %, {result.cpu_seconds:.2f} CPU seconds a batch", flush=True)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    config.out.write_text(report(results, before, config))
    draw(results, before, config.out.with_suffix(".png"))
    print(config.out.read_text())


if __name__ == "__main__":
    main(tyro.cli(Config))
