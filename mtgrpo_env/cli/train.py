"""`mtgrpo train`: a run, from a starting model to a table, a figure and a checkpoint."""

from __future__ import annotations

import json
import signal
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import transformers
from rich.console import Console

from mtgrpo_env.agents.checkpoints import atomic_file, checkpoint_folder, keep_newest, newest_checkpoint
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.train_torch import TorchTrainEngine
from mtgrpo_env.agents.methods import Method, MethodConfig, named_method
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.losses import Objective, named_objective
from mtgrpo_env.agents.reports.figure import draw_run
from mtgrpo_env.agents.reports.history import RunHistory
from mtgrpo_env.agents.reports.scalars import ScalarWriter
from mtgrpo_env.cli.display import RunDisplay, result_table
from mtgrpo_env.cli.start import curriculum_for, starting_model
from mtgrpo_env.envs.mtreason import reason_suite, suite_tasks
from mtgrpo_env.envs.rows import read_rows, rows_suite
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.suite import TaskError, TaskSuite

_CONFIG_FILE = "config.json"
MAY_CHANGE = frozenset({"out", "steps", "eval_every", "checkpoint_every", "keep_checkpoints"})  # when a run goes on


@dataclass(frozen=True)
class Config:
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
    """mt-grpo, dapo, grpo, sec-dapo, sec-grpo, iwu-only, iwu-dapo, rps-only, no-acceptance, reg-1e-5, reg-5e-4,
    reg-1e-2, sequential-forward or sequential-backward; mt-grpo-0.9 is mt-grpo with that --reward-coef."""
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
    reward_coef: float = 0.2
    """Weight of the reward against the improvement in the task weights (λ)."""
    weight_lr: float = 0.025
    """Learning rate of the task weights (β)."""
    weight_optimizer: str = "adam"
    """Of the task weights' logits: adam, adamw or gradient-descent, with which λ decides how far they go."""
    max_new_tokens: int = 16
    """Longest response, in tokens."""
    temperature: float = 1.0
    """Of sampling, in training and evaluation."""
    tokens_per_forward: int = 16_384
    """Tokens in one training pass, padding included; lower it when memory runs out, no result changes."""
    eval_problems: int = 300
    """Held-out problems of each task."""
    eval_every: int = 10
    """Steps between evaluations."""
    checkpoint_every: int = 10
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    """Where the model runs."""
    seed: int = 0
    """Of everything."""


def run(config: Config) -> int:
    """Train, or go on training; 0 when done, 130 when interrupted, 1 when a task failed."""
    console = Console()
    transformers.utils.logging.disable_progress_bar()  # it would draw over ours
    _check(config)
    refuse_another_run(config)
    suite = _suite(config)
    if config.batch_size < suite.num_tasks:
        raise ValueError(f"batch_size must be at least the number of tasks, {suite.num_tasks}, got {config.batch_size}")
    start = config.model or _taught_model(config, suite, console)
    named = f"{config.method} on {', '.join(suite.names)}; starting model {start}; run {config.out}"
    console.print(named, soft_wrap=True)
    agent = build_agent(config, suite, str(start))
    _write_config(config)
    checkpoint = newest_checkpoint(config.out)
    if checkpoint is not None:
        agent.restore(checkpoint)
        done = agent.step >= config.steps
        console.print(f"all {config.steps} steps are done" if done else f"going on after step {agent.step}")
    history = RunHistory(config.out / "history.jsonl", last_step=agent.step if checkpoint else -1)
    return _Run(config, agent, history, console).train()


def _suite(config: Config) -> TaskSuite:
    if not config.rows:
        return reason_suite(suite_tasks(config.suite), seed=config.seed)
    if config.model is None:
        raise ValueError("rows need a --model: the tiny one is taught generated puzzles only")
    return rows_suite([row for path in config.rows for row in read_rows(path)], seed=config.seed)


def _taught_model(config: Config, suite: TaskSuite, console: Console) -> Path:
    curriculum = curriculum_for(suite.names, config.start)
    return starting_model(config.out.parent, suite, curriculum, seed=config.seed, console=console)


def build_agent(config: Config, suite: TaskSuite, start: str) -> MTGRPOAgent:
    """The agent that a config describes, at its first step."""
    method = build_method(config, suite)
    decoding = Decoding(config.max_new_tokens, config.temperature)
    policy = LanguageModelPolicy.from_pretrained(start, decoding=decoding, device=config.device, seed=config.seed)
    learner = LanguageModelLearner(
        policy,
        TorchTrainEngine(policy.model, lr=config.lr),
        objective=build_objective(config, method),
        reference=deepcopy(policy.model).requires_grad_(False) if config.kl_coef else None,
        num_minibatches=config.minibatches,
        tokens_per_forward=config.tokens_per_forward,
        seed=config.seed,
    )
    return method.agent(suite, policy, learner, group_size=config.group_size)


def build_objective(config: Config, method: Method) -> Objective:
    """What the config's learner maximises, with the clip of its method."""
    numbers = {"max_tokens": config.max_new_tokens, "clip_high": method.clip_high, "kl_coef": config.kl_coef}
    return named_objective(config.loss, **numbers)


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
        reward_coef=config.reward_coef,
        weight_lr=config.weight_lr,
        weight_optimizer=config.weight_optimizer,
        preset=config.preset,
        num_steps=config.steps,
        families=families,
        policy_lr=config.lr,
    )
    return named_method(config.method)(method_config)


class _Run:
    """One process's share of a run."""

    def __init__(self, config: Config, agent: MTGRPOAgent, history: RunHistory, console: Console) -> None:
        self.config, self.agent, self.history, self.console = config, agent, history, console
        self.names = agent.suite.names
        self.problems = agent.suite.held_out(config.eval_problems)
        self.scalars = ScalarWriter(config.out / "tensorboard", self.names, first_step=agent.step + 1)
        self.display = RunDisplay(console, self.names, step=agent.step, num_steps=config.steps)

    def train(self) -> int:
        with self.display, _StopRequest() as stop:
            try:
                if not self.history.of("evaluation"):
                    self._evaluate()
                while self.agent.step < self.config.steps and not stop.requested:
                    self._step(stop)
            except TaskError as error:
                if not checkpoint_folder(self.config.out, self.agent.step).is_dir():
                    self._save()  # one written right after the step is better: its streams have not moved on
                return self._failed(error)
            except FloatingPointError as error:
                return self._failed(error)
            finally:
                self.scalars.close()
        self._draw()
        self._print_result()
        if self.agent.step < self.config.steps:
            self.console.print(
                f"Stopped after step {self.agent.step} of {self.config.steps}; nothing is lost. "
                "The same command goes on from here."
            )
            return 130
        return 0

    def _failed(self, error: Exception) -> int:
        checkpoint = newest_checkpoint(self.config.out)
        kept = f"The newest checkpoint is {checkpoint}." if checkpoint else "There is no checkpoint yet."
        self.console.print(f"step {self.agent.step + 1} failed: {error}\n{kept}", markup=False, soft_wrap=True)
        return 1

    def _step(self, stop: _StopRequest) -> None:
        report = self.agent.train_step()
        self.history.add_step(report)
        self.scalars.add_step(report)
        self.display.show_step(report)
        is_last = report.step >= self.config.steps
        if is_last or report.step % self.config.eval_every == 0:
            self._evaluate()
            self._draw()
        if is_last or stop.requested or report.step % self.config.checkpoint_every == 0:
            self._save()

    def _evaluate(self) -> None:
        evaluation = self.agent.evaluate(self.problems)
        self.history.add_evaluation(self.agent.step, self.agent.rollouts, evaluation)
        self.scalars.add_evaluation(self.agent.step, evaluation)
        self.display.show_evaluation(self.agent.step, *self._first_and_latest())

    def _save(self) -> None:
        self.agent.save(checkpoint_folder(self.config.out, self.agent.step))
        keep_newest(self.config.out, self.config.keep_checkpoints)

    def _draw(self) -> None:
        title = f"{self.config.method}: step {self.agent.step}, {self.agent.rollouts:,} rollouts"
        draw_run(self.history, self.names, self.config.out / "progress.png", title=title)

    def _first_and_latest(self) -> tuple[Evaluation, Evaluation]:
        records = self.history.of("evaluation")
        zeros = np.zeros(len(self.names), dtype=np.int64)
        first, latest = (
            Evaluation(self.names, np.array(r["accuracies"], dtype=float), np.array(r["counts"]), zeros)
            for r in (records[0], records[-1])
        )
        return first, latest

    def _print_result(self) -> None:
        self.console.print(result_table(self.names, *self._first_and_latest(), rollouts=self.agent.rollouts))
        out = self.config.out
        lines = [f"figure {out / 'progress.png'}", f"scalars: tensorboard --logdir {out / 'tensorboard'}"]
        if checkpoint := newest_checkpoint(out):
            lines.append(f"model  {checkpoint}")
        self.console.print("\n".join(lines), soft_wrap=True)


class _StopRequest:
    """Turns the first SIGINT or SIGTERM into a wish to stop after this step; a second one has its way."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> _StopRequest:
        self.requested = False
        self._previous = [signal.signal(number, self._note) for number in self._SIGNALS]
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in zip(self._SIGNALS, self._previous, strict=True):
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def _check(config: Config) -> None:
    named_method(config.method)
    named_objective(config.loss, max_tokens=config.max_new_tokens, clip_high=0.28, kl_coef=config.kl_coef)
    MethodConfig(1, config.batch_size, preset=config.preset, weight_optimizer=config.weight_optimizer)
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
