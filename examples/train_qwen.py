"""The paper's two experiments with Qwen2.5-3B, built from the public classes on one GPU.

    python examples/train_qwen.py --dry-run                              # builds all but the model, prints the plan
    python examples/train_qwen.py --experiment three --reward-coef 0.25  # 3 tasks, 32 prompts x 72 rollouts a step
    python examples/train_qwen.py --experiment nine --reward-coef 1.2    # 9 tasks, 256 prompts x 8 rollouts a step

`mtgrpo train` is the same with a live display. Here every part stands in the open, to be exchanged: another
suite, a sampler, an engine. Generation and training share one process and one device, in plain transformers
and torch in float32: the plan says how much memory that takes; with a shorter `--max-new-tokens` it fits a
device of 80 GB. The same command goes on with a run that was stopped.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mtgrpo_env.agents.checkpoints import checkpoint_folder, keep, newest_checkpoint, recover
from mtgrpo_env.agents.methods import METHODS, PRESETS, Method, MethodConfig
from mtgrpo_env.cli.dry_run import Plan, print_plan, prompt_tokens, sampled
from rich.console import Console
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, Qwen2Config

from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.memory import ModelSize, Setup
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.llm.train_torch import TorchTrainEngine
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.losses import Objective, sequence_mean
from mtgrpo_env.agents.reports.figure import draw_run
from mtgrpo_env.agents.reports.history import RunHistory
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.named_tasks import SUITES
from mtgrpo_env.suite import TaskSuite

QWEN = "Qwen/Qwen2.5-3B"
PUBLISHED = Qwen2Config(  # as its checkpoint says
    vocab_size=151_936,
    hidden_size=2048,
    intermediate_size=11_008,
    num_hidden_layers=36,
    num_attention_heads=16,
    num_key_value_heads=2,
    max_position_embeddings=32_768,
    tie_word_embeddings=True,
)
LEARNING_RATE = 1e-6
MINIBATCHES = 4  # optimiser steps for each batch
ROWS_AT_ONCE = 64  # completions generated together: bounded by the memory of their keys and values
TOKENS_PER_FORWARD = 4096  # trained on together: no result depends on it, the memory does
EVALUATE_EVERY, CHECKPOINT_EVERY = 20, 20


@dataclass(frozen=True)
class Experiment:
    """What the paper's experiments do not share; the filters, decays and round budgets are in the preset.

    Attributes:
        tasks: names of the K tasks.
        batch_size: B, prompts trained on in a step.
        group_size: N, rollouts of each.
        reward_coefs: the λ that the paper shows; a larger one leans towards the worst task.
    """

    tasks: tuple[str, ...]
    batch_size: int
    group_size: int
    reward_coefs: tuple[float, ...]


EXPERIMENTS = {
    "three": Experiment(SUITES["medium"], batch_size=32, group_size=72, reward_coefs=(0.2, 0.25)),
    "nine": Experiment(SUITES["nine"], batch_size=256, group_size=8, reward_coefs=(0.1, 0.3, 0.9, 1.2)),
}


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", choices=tuple(EXPERIMENTS), default="three")
    parser.add_argument("--method", choices=tuple(METHODS), default="mt-grpo")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="paper", help="whose parts the method is made of")
    parser.add_argument("--reward-coef", type=float, help="λ; by default the paper's smallest for the experiment")
    parser.add_argument("--model", default=QWEN)
    parser.add_argument("--steps", type=int, default=720, help="the paper's number for three tasks")
    parser.add_argument("--max-new-tokens", type=int, default=4096)
    parser.add_argument("--eval-problems", type=int, default=100, help="held-out problems of each task")
    parser.add_argument("--out", type=Path, default=Path("runs/qwen"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="build everything but the model, and print the plan")
    return parser.parse_args(arguments)


def build_method(args: argparse.Namespace, experiment: Experiment) -> Method:
    """Weights, sampler, filter and clip; Adam on the task weights moves them by β = 0.025."""
    config = MethodConfig(
        num_tasks=len(experiment.tasks),
        batch_size=experiment.batch_size,
        seed=args.seed,
        reward_coef=experiment.reward_coefs[0] if args.reward_coef is None else args.reward_coef,
        weight_lr=0.025,
        preset=args.preset,
        num_steps=args.steps,
        policy_lr=LEARNING_RATE,
    )
    return METHODS[args.method](config)


def build_agent(args: argparse.Namespace, experiment: Experiment, suite: TaskSuite, method: Method) -> MTGRPOAgent:
    """The model, what generates with it, what trains it, and the method around them."""
    torch.set_float32_matmul_precision("high")
    # Steps of 1e-6 are lost in bfloat16's eight bits: parameters are kept in float32.
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).to(args.device)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    engine = TransformersEngine(model, pad_id=pad_id, eos_id=tokenizer.eos_token_id, rows_at_once=ROWS_AT_ONCE)
    decoding = Decoding(args.max_new_tokens, temperature=1.0)
    policy = LanguageModelPolicy(model, tokenizer, decoding=decoding, engine=engine, seed=args.seed)
    learner = LanguageModelLearner(
        policy,
        TorchTrainEngine(model, lr=LEARNING_RATE),
        objective=Objective(sequence_mean, clip_low=0.2, clip_high=method.clip_high, kl_coef=0.0),
        num_minibatches=MINIBATCHES,
        tokens_per_forward=TOKENS_PER_FORWARD,
        seed=args.seed,
    )
    return method.agent(suite, policy, learner, group_size=experiment.group_size)


def train(args: argparse.Namespace, agent: MTGRPOAgent) -> None:
    """Train to the last step, from the newest checkpoint if there is one."""
    recover(args.out)
    checkpoint = newest_checkpoint(args.out)
    if checkpoint is not None:
        agent.restore(checkpoint)
    history = RunHistory(args.out / "history.jsonl", last_step=agent.step if checkpoint else -1)
    problems = agent.suite.held_out(args.eval_problems)
    if not history.of("evaluation"):
        history.add_evaluation(0, 0, agent.evaluate(problems))
    while agent.step < args.steps:
        report = agent.train_step()
        history.add_step(report)
        print(f"step {report.step}: z {np.round(report.probabilities, 3)}, {report.rollouts:,} rollouts", flush=True)
        is_last = report.step == args.steps
        if is_last or report.step % EVALUATE_EVERY == 0:
            result = agent.evaluate(problems)
            history.add_evaluation(agent.step, agent.rollouts, result)
            draw_run(history, agent.suite.names, args.out / "progress.png", title=f"{args.method}, {args.model}")
            print(f"  worst task {result.worst:.1%}, average {result.average:.1%}", flush=True)
        if is_last or report.step % CHECKPOINT_EVERY == 0:
            agent.save(checkpoint_folder(args.out, agent.step))
            keep(args.out, newest=2)


def plan_of(args: argparse.Namespace, experiment: Experiment, suite: TaskSuite) -> Plan:
    """What a run would do; the model's own files are not asked for, so prompts are counted in characters."""
    size = ModelSize.of(PUBLISHED if args.model == QWEN else AutoConfig.from_pretrained(args.model))
    lengths = prompt_tokens(suite, len)
    first_round = sampled(build_method(args, experiment), 1.0).groups.sum()
    setup = Setup(
        prompt_tokens=max(lengths),
        response_tokens=args.max_new_tokens,
        tokens_per_forward=TOKENS_PER_FORWARD,
        group_size=experiment.group_size,
        minibatch_groups=experiment.batch_size // MINIBATCHES,
        round_rollouts=int(first_round) * experiment.group_size,
        rows_at_once=ROWS_AT_ONCE,
    )
    return Plan(
        title=f"{args.model}: {args.method} ({args.preset}), {args.steps} steps, AdamW at {LEARNING_RATE:g}",
        make_method=lambda: build_method(args, experiment),
        suite=suite,
        group_size=experiment.group_size,
        size=size,
        setup=setup,
        prompt_tokens=lengths,
        max_ranks=1,
        checkpoints=f"checkpoints every {CHECKPOINT_EVERY} steps in {args.out / 'checkpoints'}",
        counted="characters",
    )


def main() -> None:
    """Plan or train."""
    args = parsed()
    experiment = EXPERIMENTS[args.experiment]
    suite = reason_suite(experiment.tasks, seed=args.seed)
    if args.dry_run:
        print_plan(plan_of(args, experiment, suite), Console())
    else:
        train(args, build_agent(args, experiment, suite, build_method(args, experiment)))


if __name__ == "__main__":
    main()
