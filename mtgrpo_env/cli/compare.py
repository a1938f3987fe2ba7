"""`mtgrpo compare`: methods by learning rates by seeds, at equal budgets, with intervals."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO

import numpy as np
import tyro
from rich.console import Console

from mtgrpo_env.agents.methods import named_method
from mtgrpo_env.agents.reports.comparison import Comparison, Run, Settings, run_of_history
from mtgrpo_env.agents.reports.comparison_report import REPORT, write_report
from mtgrpo_env.agents.reports.history import read_history
from mtgrpo_env.cli import train
from mtgrpo_env.envs.rows import read_rows, rows_suite
from mtgrpo_env.experiments.compare_display import CompareDisplay
from mtgrpo_env.experiments.jobs import Job, JobRunner, sole_use, tail, terminated_like_interrupted
from mtgrpo_env.named_tasks import read_tasks

_POLL_SECONDS = 0.2
_MAY_CHANGE = train.MAY_CHANGE - {"eval_every"}  # curves are compared point by point
_HISTORY = "history.jsonl"  # of a run's folder


@dataclass(frozen=True)
class Config(train.Config):
    """Train by several methods, learning rates and seeds, and compare them at equal steps, rollouts and seconds.

    Every other option is one of `mtgrpo train` and is the same for all runs. The same command goes on with a
    comparison that was stopped, and grows one that is asked for more.
    """

    out: Path = Path("runs/compare")
    """Folder of the comparison: the runs, results.md, figures, and the numbers behind them."""
    method: tyro.conf.Suppress[str] = "mt-grpo"
    seed: tyro.conf.Suppress[int] = 0
    dry_run: tyro.conf.Suppress[bool] = False
    methods: tuple[str, ...] = ("mt-grpo", "dapo", "grpo")
    """Methods compared; the first is set against each of the others."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each has its own starting model, problems and sampling, the same for all methods."""
    lrs: tuple[float, ...] = ()
    """Learning rates that every method tries, to be judged at its best one; by default --lr alone."""
    parallel: int = 1
    """Runs at a time."""
    threads: int = 1
    """Threads of each run; results are the same to the bit only for the same number."""
    thresholds: tuple[float, ...] = (0.5,)
    """Worst-task accuracies whose cost is reported."""
    horizon: int | None = None
    """Steps after which methods are compared, to be chosen before they are run; by default --steps, the end. What runs
    do between the two is reported as their tail."""
    eval_every: int = 5
    """Steps between evaluations, and so how finely costs are known."""
    redraw: bool = False
    """Only write results.md and the figures again, from the numbers in --out, for these --thresholds and this
    --horizon; needs no run."""

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates of every method."""
        return self.lrs or (self.lr,)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a comparison."""

    method: str
    lr: float
    seed: int
    config: train.Config

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.method}, lr {self.lr:g}, seed {self.seed}"

    @property
    def is_finished(self) -> bool:
        """Whether it was evaluated at the horizon."""
        history = read_history(self.config.out / _HISTORY)
        return any(record["kind"] == "evaluation" and record["step"] >= self.config.steps for record in history)

    @property
    def log(self) -> Path:
        """What the process says."""
        return self.config.out / "train.log"


def run(config: Config) -> int:
    """Make what is missing and report; 0 when done, 130 when interrupted, 1 when a run failed."""
    console = Console()
    rng = np.random.default_rng(0)  # resamples seeds, for intervals
    if config.redraw:
        write_report(_asked_again(Comparison.load(config.out), config), config.out, rng=rng)
        console.print(f"report {config.out / REPORT}", soft_wrap=True)
        return 0
    settings = _settings(config)
    planned = plan(config)
    for planned_run in planned:  # before any is made
        train.refuse_another_run(planned_run.config, may_change=_MAY_CHANGE)
    with sole_use(config.out, say=console.print) as lock:
        finished_all = _train_missing(config, planned, console, lock)
    comparison = Comparison(settings, _finished_runs(planned))
    comparison.save(config.out)
    if not finished_all:
        console.print(
            f"Stopped with {len(comparison.runs)} of {len(planned)} runs finished; nothing is lost. "
            "The same command goes on from here; --redraw reports what there is.",
            soft_wrap=True,
        )
        return 130
    if comparison.runs:
        write_report(comparison, config.out, rng=rng)
        console.print(f"report {config.out / REPORT}", soft_wrap=True)
    return 1 if comparison.missing else 0


def plan(config: Config) -> list[PlannedRun]:
    """Every run of the comparison, seed by seed, so that the first results already compare all methods."""
    shared = {field.name: getattr(config, field.name) for field in fields(train.Config)}
    return [
        PlannedRun(method, lr, seed, replace(train.Config(**shared), method=method, lr=lr, seed=seed, out=out))
        for seed in config.seeds
        for lr in config.rates
        for method in config.methods
        # Runs in one folder share its starting model, which depends on the seed.
        for out in (config.out / f"seed-{seed}" / f"{method}-lr-{lr:g}",)
    ]


def may_start(run: PlannedRun, running: Sequence[PlannedRun], planned: Sequence[PlannedRun]) -> bool:
    """Whether a run may go beside others: of a seed one alone, until it has made the starting model they share."""
    has_start = run.config.model is not None or any(
        (other.config.out / _HISTORY).is_file() for other in planned if other.seed == run.seed
    )
    return has_start or all(other.seed != run.seed for other in running)


def command_line(config: train.Config) -> tuple[str, ...]:
    """The `mtgrpo` command that a config stands for, with the options that differ from their defaults."""
    command = "compare" if isinstance(config, Config) else "train"
    return command, *(part for field in fields(config) for part in _option(config, field.name, field.default))


def _option(config: train.Config, name: str, default: object) -> Iterator[str]:
    value, flag = getattr(config, name), name.replace("_", "-")
    if value == default:
        return
    if isinstance(value, bool):
        yield f"--{flag}" if value else f"--no-{flag}"
        return
    yield f"--{flag}"
    yield from map(str, value) if isinstance(value, tuple) else [str(value)]


def _train_missing(config: Config, planned: Sequence[PlannedRun], console: Console, lock: IO[str]) -> bool:
    """Run what is not finished; False if that was interrupted."""
    missing = {Job(run.name, command_line(run.config), run.log): run for run in planned if not run.is_finished}
    display = CompareDisplay(console, missing, total=len(planned), parallel=config.parallel)
    runner = JobRunner(
        list(missing),
        parallel=config.parallel,
        may_start=lambda job, running: may_start(missing[job], [missing[other] for other in running], planned),
        threads=config.threads,
        lock=lock,
    )
    try:
        with terminated_like_interrupted(), display, runner:
            try:
                _watch(runner, display, missing)
            except KeyboardInterrupt:
                console.print("stopping every run after its step; another interrupt kills them", soft_wrap=True)
                raise
    except KeyboardInterrupt:
        return False
    return True


def _watch(runner: JobRunner, display: CompareDisplay, runs: Mapping[Job, PlannedRun]) -> None:
    """Until no job is left."""
    while True:
        for job in runner.poll():
            display.show_end(job, error=None if runs[job].is_finished else tail(job.log))
        display.show_running(runner.running)
        if not runner.running:
            return
        time.sleep(_POLL_SECONDS)


def _finished_runs(planned: Sequence[PlannedRun]) -> Iterator[Run]:
    for run in planned:
        if run.is_finished:
            records = read_history(run.config.out / _HISTORY)
            yield run_of_history(records, method=run.method, lr=run.lr, seed=run.seed, num_steps=run.config.steps)


def _settings(config: Config) -> Settings:
    """The settings of the report.

    Raises:
        ValueError: naming an option that no run could be made with.
    """
    for name, values in {"methods": config.methods, "seeds": config.seeds, "lrs": config.rates}.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name} must be at least one and all different, got {list(values)}")
    for name in ("parallel", "threads", "steps"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(config, name)}")
    for method in config.methods:
        named_method(method)
    return Settings(
        command=shlex.join(["mtgrpo", *command_line(config)]),
        tasks=_task_names(config),
        methods=config.methods,
        lrs=config.rates,
        seeds=config.seeds,
        steps=config.steps,
        horizon=_horizon(config, config.steps),
        thresholds=config.thresholds,
        eval_problems=config.eval_problems,
        parallel=config.parallel,
    )


def _asked_again(comparison: Comparison, config: Config) -> Comparison:
    """The same runs, to be reported at the thresholds and the horizon that are asked for now."""
    horizon = _horizon(config, comparison.settings.steps)
    settings = replace(comparison.settings, thresholds=config.thresholds, horizon=horizon)
    return Comparison(settings, comparison.runs)


def _horizon(config: Config, steps: int) -> int:
    """Of the report on runs of so many steps."""
    horizon = steps if config.horizon is None else config.horizon
    if not 1 <= horizon <= steps:
        raise ValueError(f"horizon must be from 1 to {steps}, the last step, got {horizon}")
    return horizon


def _task_names(config: Config) -> tuple[str, ...]:
    if not config.rows:
        return read_tasks(config.suite).names
    return rows_suite([row for path in config.rows for row in read_rows(path)], seed=0).names
