"""`mtgrpo train`: a run, from a starting model to a table, a figure and a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from rich.console import Console

from mtgrpo_env.agents.checkpoints import atomic_file, newest_checkpoint, recover
from mtgrpo_env.agents.llm.data import num_tokens
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.methods import Method, MethodConfig, named_method
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.losses import Objective, named_importance, named_objective
from mtgrpo_env.agents.ranks import Ranks, first_before_others
from mtgrpo_env.agents.reports.history import RunHistory
from mtgrpo_env.cli.dry_run import memory_of, plan_of, print_plan
from mtgrpo_env.cli.engines import (
    ENGINE_FIELDS,
    EngineOptions,
    build_policy,
    check_engines,
    joined_ranks,
    left_ranks,
    reference_of,
)
from mtgrpo_env.cli.run import Run
from mtgrpo_env.cli.start import curriculum_for, starting_model
from mtgrpo_env.envs.rows import read_rows, rows_suite
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.shares import Amount, absolute_advantage, prompt
from mtgrpo_env.suite import TaskSuite

SHARED_BY: Mapping[str, Amount] = {"prompts": prompt, "tokens": num_tokens, "advantages": absolute_advantage}
_CONFIG_FILE = "config.json"
_HOW_OFTEN = {"dry_run", "out", "steps", "eval_every", "checkpoint_every", "keep_checkpoints"}
MAY_CHANGE = frozenset({"device", *_HOW_OFTEN, *ENGINE_FIELDS})  # when a run goes on


@dataclass(frozen=True)
class Config(EngineOptions):
    """Post-train a language model on several tasks. The same command goes on with a run that was stopped."""

    out: Path = Path("runs/main")
    """Folder of the run: checkpoints, history, TensorBoard events, figure."""
    suite: str = "mini"
    """A named suite (mini, mini-nine, easy, medium, hard, very_hard, nine) or tasks like "countdown-easy,arc-hard"."""
    rows: tuple[Path, ...] = ()
    """Files of rows to train on instead, .parquet or .jsonl: those marked train; the others are held out."""
    model: str | None = None
    """Starting model, a folder or a hub id; by default a tiny one, built and taught here once."""
    start: str = "unequal"
    """What the tiny model is taught: unequal, some tasks much better than others, or rare, one next to never."""
    method: str = "mt-grpo"
    """mt-grpo, dapo, grpo, sec-dapo, sec-grpo, iwu-only, iwu-dapo, rps-only, one-round, no-acceptance, reg-1e-5,
    reg-5e-4, reg-1e-2, sequential-forward or sequential-backward. mt-grpo-0.9 has the paper's task weights with that
    --reward-coef; mt-grpo@paper has parts of another --preset."""
    preset: str = "default"
    """Whose parts the method is composed of: default (our choice), paper or released (the paper's public code)."""
    steps: int = 60
    """Training steps; a run may go on for more, unless its method shares them out (the sequential ones)."""
    batch_size: int = 32
    """Groups in a batch (B)."""
    group_size: int = 8
    """Rollouts of a problem (N)."""
    minibatches: int = 4
    """Optimiser steps for each batch."""
    lr: float = 4e-4
    """Learning rate of the model."""
    loss: str = "sequence-mean"
    """How tokens are averaged, or whose objective it is: sequence-mean, token-mean, group-mean, dr-grpo or gspo."""
    kl_coef: float = 0.0
    """Weight of the divergence from the starting model (β); above 0 that model is kept in memory too."""
    importance: str = "none"
    """Correct for what the engine that generates computes otherwise than the one that trains: none, token or sequence,
    which is by what ratios are taken. Costs a pass over every batch."""
    importance_cap: float = 2.0
    """Largest weight of that correction."""
    tolerance: float = 0.0
    """How far a task's accuracy may be below the average before it is given more of the batch; 0.05 are five points."""
    share_by: str = "prompts"
    """What a task's share of the loss is counted by: prompts, tokens (for --loss token-mean) or advantages."""
    reward_coef: float = 0.2
    """Weight of the reward against the improvement (λ), where the task weights are the paper's."""
    weight_lr: float = 0.025
    """Learning rate of the paper's task weights (β)."""
    weight_optimizer: str = "adam"
    """Of the logits of those: adam, adamw or gradient-descent, with which λ decides how far they go."""
    max_new_tokens: int = 16
    """Longest response, in tokens."""
    temperature: float = 1.0
    """Of sampling, in training and evaluation."""
    eval_problems: int = 300
    """Held-out problems of each task."""
    eval_every: int = 10
    """Steps between evaluations."""
    checkpoint_every: int = 10
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept; the one whose worst task was best is kept beside them."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    """Where the model runs."""
    seed: int = 0
    """Of everything."""
    dry_run: bool = False
    """Say what would be done and how much memory it takes; build no model and train nothing."""


def run(config: Config) -> int:
    """Train, or go on training; 0 when done or told to stop, 130 when interrupted, 1 when something failed."""
    transformers.utils.logging.disable_progress_bar()  # it would draw over ours
    _check(config)
    if config.dry_run:
        suite = _suite(config)
        print_plan(plan_of(config, suite, lambda: build_method(config, suite)), Console())
        return 0
    with left_ranks(config):
        return _train(config, joined_ranks(config))


def _train(config: Config, ranks: Ranks) -> int:
    """What every rank does; the first alone writes and speaks."""
    console = Console(quiet=ranks.rank > 0)
    with first_before_others(ranks) as is_first:
        if is_first:
            recover(config.out)
        refuse_another_run(config)
        suite = _suite(config)
        start = config.model or _taught_model(config, suite, console)
    among = f" on {ranks.size} ranks" if ranks.size > 1 else ""
    named = f"{config.method} on {', '.join(suite.names)}; starting model {start}; run {config.out}{among}"
    console.print(named, soft_wrap=True)
    if ranks.rank == 0:
        method = build_method(config, suite)
        console.print(memory_of(config, suite, method, str(start), ranks=ranks.size), soft_wrap=True)
    agent = build_agent(config, suite, str(start), ranks)
    checkpoint = newest_checkpoint(config.out)
    if checkpoint is not None:
        agent.restore(checkpoint)
        done = agent.step >= config.steps
        console.print(f"all {config.steps} steps are done" if done else f"going on after step {agent.step}")
    with first_before_others(ranks) as is_first:
        if is_first:
            _write_config(config)
        history = RunHistory(config.out / "history.jsonl", last_step=agent.step if checkpoint else -1, writes=is_first)
    return Run(config, agent, history, console).train()


def _suite(config: Config) -> TaskSuite:
    if config.rows and config.model is None:
        raise ValueError("rows need a --model: the tiny one is taught generated puzzles only")
    if config.rows:
        suite = rows_suite([row for path in config.rows for row in read_rows(path)], seed=config.seed)
    else:
        suite = read_tasks(config.suite, seed=config.seed)
    if config.batch_size < suite.num_tasks:
        raise ValueError(f"batch_size must be at least the number of tasks, {suite.num_tasks}, got {config.batch_size}")
    return suite


def _taught_model(config: Config, suite: TaskSuite, console: Console) -> Path:
    curriculum = curriculum_for(suite.names, config.start)
    return starting_model(config.out.parent, suite, curriculum, seed=config.seed, console=console)


def build_agent(config: Config, suite: TaskSuite, start: str, ranks: Ranks) -> MTGRPOAgent:
    """The agent that a config describes, at its first step; each rank has one."""
    method = build_method(config, suite)
    policy, engine = build_policy(
        config,
        start,
        decoding=Decoding(config.max_new_tokens, config.temperature),
        lr=config.lr,
        device=config.device,
        ranks=ranks,
        probes=[opening.prompt for opening in map(suite.opening, suite.held_out(1)) if opening is not None],
        seed=config.seed,
    )
    learner = LanguageModelLearner(
        policy,
        engine,
        objective=build_objective(config, method),
        reference=reference_of(config, start, str(policy.model.device)) if config.kl_coef else None,
        num_minibatches=config.minibatches,
        tokens_per_forward=config.tokens_per_forward,
        log_probs=config.log_probs,
        seed=config.seed,
    )
    share_by = SHARED_BY[config.share_by]
    return method.agent(suite, policy, learner, group_size=config.group_size, share_by=share_by, ranks=ranks)


def build_objective(config: Config, method: Method) -> Objective:
    """What the config's learner maximises, with the clip of its method."""
    numbers = {"max_tokens": config.max_new_tokens, "clip_high": method.clip_high, "kl_coef": config.kl_coef}
    importance = named_importance(config.importance, config.importance_cap)
    return replace(named_objective(config.loss, **numbers), importance=importance)


def build_method(config: Config, suite: TaskSuite) -> Method:
    """The method that a config names, for a suite.

    Tasks of one kind, "zebra-easy" and "zebra-hard", are a family to the methods that train family by family.
    """
    kinds = [name.partition("-")[0] for name in suite.names]
    families = tuple(tuple(k for k, own in enumerate(kinds) if own == kind) for kind in dict.fromkeys(kinds))
    method_config = MethodConfig(
        suite.num_tasks,
        config.batch_size,
        config.seed,
        tolerance=config.tolerance,
        reward_coef=config.reward_coef,
        weight_lr=config.weight_lr,
        weight_optimizer=config.weight_optimizer,
        preset=config.preset,
        num_steps=config.steps,
        families=families,
        policy_lr=config.lr,
    )
    return named_method(config.method)(method_config)


def _check(config: Config) -> None:
    named_method(config.method)
    named_objective(config.loss, max_tokens=config.max_new_tokens, clip_high=0.28, kl_coef=config.kl_coef)
    named_importance(config.importance, config.importance_cap)
    if config.share_by not in SHARED_BY:
        raise ValueError(f"share_by must be one of {list(SHARED_BY)}, got {config.share_by!r}")
    MethodConfig(1, config.batch_size, preset=config.preset, weight_optimizer=config.weight_optimizer)
    check_engines(config)
    sizes = ("batch_size", "group_size", "minibatches", "max_new_tokens", "tokens_per_forward")
    for name in (*sizes, "eval_problems", "eval_every", "checkpoint_every", "keep_checkpoints"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(config, name)}")


def refuse_another_run(config: Config, *, may_change: frozenset[str] = MAY_CHANGE) -> None:
    """Make sure that a folder that holds a run holds this one; without a checkpoint there is nothing to lose.

    Raises:
        ValueError: naming the fields that differ.
    """
    file = config.out / _CONFIG_FILE
    if not file.is_file() or newest_checkpoint(config.out) is None:
        return
    saved, own = _as_json(Config()) | json.loads(file.read_text()), _as_json(config)  # what is new had its default
    fixed = own.keys() - (may_change - {"steps"} if config.method.startswith("sequential") else may_change)
    differing = [name for name in own if name in fixed and saved[name] != own[name]]
    if differing:
        lines = [f"{name} was {saved[name]!r}, is {own[name]!r}" for name in differing]
        raise ValueError(f"{config.out} holds another run ({'; '.join(lines)}): choose another --out")


def _write_config(config: Config) -> None:
    config.out.mkdir(parents=True, exist_ok=True)
    with atomic_file(config.out / _CONFIG_FILE) as unfinished:  # a kill must not leave half a config
        unfinished.write_text(json.dumps(_as_json(config), indent=1))


def _as_json(config: Config) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(config), default=str))
