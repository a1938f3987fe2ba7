"""Methods by points of a grid by seeds, at equal budgets, with intervals: each run is a process."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mtgrpo_env.agents.config import MAY_CHANGE, RunConfig, TrainConfig
from mtgrpo_env.agents.recipes import RunFacts, make_method
from mtgrpo_env.agents.reports.compared_runs import Clock, Settings
from mtgrpo_env.agents.reports.comparison import Comparison
from mtgrpo_env.agents.reports.comparison_report import write_report
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.experiments.compare_display import CompareDisplay
from mtgrpo_env.experiments.compare_plan import CompareOptions, PlannedRun, may_start, plan_runs
from mtgrpo_env.experiments.compare_tuning import compared, count_runs, halvings, reported, still_going, stopped_runs
from mtgrpo_env.experiments.jobs import Job, JobRunner, tail
from mtgrpo_env.folder_lock import FolderLock
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.safe_console import SafeConsole
from mtgrpo_env.signals import StopSignals, exit_code_of

_POLL_SECONDS = 0.2
_MAY_CHANGE = MAY_CHANGE - {"eval_every"}  # curves are compared point by point


@dataclass(frozen=True, slots=True)
class CompareResult:
    """What a comparison came to.

    Attributes:
        comparison: of the runs that are finished.
        num_runs: that were planned.
        stopped_by: the signal that stopped it, None if none did; the same call resumes it.
    """

    comparison: Comparison
    num_runs: int
    stopped_by: int | None

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped."""
        return self.stopped_by is not None

    @property
    def exit_code(self) -> int:
        """Of the process: 0 when done or stopped by SIGTERM, 130 when interrupted, 1 when a run is missing."""
        if self.stopped_by is not None:
            return exit_code_of(self.stopped_by)
        return 1 if self.comparison.missing else 0


def compare(
    config: TrainConfig,
    options: CompareOptions,
    *,
    method_options: Mapping[str, Any] | None = None,
    command: str = "",
    console: Console | None = None,
) -> CompareResult:
    """Make the runs that are missing in the folder of the comparison, and report on all of them.

    Args:
        config: of all runs but for method, grid, seed and folder; its `out` is the comparison's folder.
        options: what is compared.
        method_options: given to the methods that take them.
        command: what made the comparison, for the report; by default this call.
        console: where progress is shown; by default nowhere.

    Raises:
        ValueError: naming an option that no run could be made with, or a folder that holds another run.
    """
    console = console or SafeConsole(quiet=True)
    settings, planned = _checked_plan(config, options, method_options, command)
    with FolderLock(config.out).held(on_wait=console.print) as lock:
        stopped_by = _train_all(planned, settings, options, console, lock)
        comparison = compared(settings, planned)
        comparison.save(config.out)
        if stopped_by is None and comparison.runs:
            write_report(comparison, config.out, rng=_rng())
    return CompareResult(comparison, count_runs(settings, planned), stopped_by)


def plan_lines(
    config: TrainConfig, options: CompareOptions, *, method_options: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """What `compare` would do: every run that may be made, and how far it is; raises as `compare` does."""
    settings, planned = _checked_plan(config, options, method_options, "")
    planned = [replace(run, known=run.records) for run in planned]
    yield (
        f"{', '.join(settings.methods)} on {', '.join(settings.tasks)}; {settings.steps} steps a run, evaluated on "
        f"{settings.eval_problems} problems a task; {options.parallel} runs at a time"
    )
    of_tuning = [run for run in planned if run.config.seed in settings.tuning_seeds]
    if of_tuning:
        stopped = stopped_runs(settings, planned)
        yield "to choose each method's point:"
        for run in of_tuning:
            yield _state_line(run) + (", where its point was left behind" if run in stopped else "")
        yield "then each method's best point:"
        for seed, method in product(settings.seeds, settings.methods):
            own = [run for run in planned if (run.config.seed, run.config.method) == (seed, method)]
            begun = [_state_line(run) for run in own if run.folder.history.is_file()]
            yield from begun or [f"  {method}, seed {seed}: to be made"]
    else:
        yield from map(_state_line, planned)
    yield f"{count_runs(settings, planned)} runs, of which {len(compared(settings, planned).runs)} are finished"


def redraw(folder: Path, options: CompareOptions) -> None:
    """Write the report of a comparison again, at the thresholds and the horizon that are given now.

    Raises:
        ValueError: if no run reaches the horizon.
        FileNotFoundError: if the folder holds no comparison.
    """
    comparison = Comparison.load(folder)
    horizon = options.horizon_of(comparison.settings.steps)
    settings = replace(comparison.settings, thresholds=options.thresholds, horizon=horizon)
    write_report(Comparison(settings, comparison.runs), folder, rng=_rng())


def _checked_plan(
    config: TrainConfig, options: CompareOptions, method_options: Mapping[str, Any] | None, command: str
) -> tuple[Settings, list[PlannedRun]]:
    """What is compared, and every run that may be made; see `compare` for what is refused."""
    options.check()
    config = config.for_run()
    planned = plan_runs(config, options, method_options, seeds=(*options.tuning_seeds, *options.seeds))
    settings = _settings(config, options, planned, command or f"compare({config!r}, {options!r})")
    config.check_start()
    for run in planned:  # before any is made
        run.folder.refuse_another_run(run.config, may_change=_MAY_CHANGE)
    for run in {(run.config.method, run.point): run for run in planned}.values():
        _check_run(run.config, len(settings.tasks))
    if RunFolder(config.out).history.is_file():
        raise ValueError(f"out must be a folder of its own, got {config.out}, which holds a run")
    return settings, planned


def _state_line(run: PlannedRun) -> str:
    steps = [record["step"] for record in run.records]
    state = "finished" if run.is_finished else f"step {max(steps)} so far" if steps else "to be made"
    return f"  {run.name}: {state}"


def _check_run(config: RunConfig, num_tasks: int) -> None:
    """Have the trainer look at a run, and its method plan a batch: a mistake shows before any model is made.

    Raises:
        ValueError: if it cannot.
    """
    from mtgrpo_env.agents.trainer import Trainer  # here: to report a comparison takes no torch

    with closing(Trainer(config=config, callbacks=[])) as trainer:
        trainer.check()
    facts = RunFacts(num_tasks, config.batch_size, config.seed, num_steps=config.steps, policy_lr=config.lr)
    method = make_method(config.method, facts, **config.method_options)
    try:
        method.sampler.plan(method.task_weights.probabilities).propose()
    except Exception as error:  # whatever somebody's code raises
        raise ValueError(f"method {config.method!r} cannot plan a batch: {error!r}") from error


def _train_all(
    planned: Sequence[PlannedRun], settings: Settings, options: CompareOptions, console: Console, lock: FolderLock
) -> int | None:
    """Run what the choice of points takes, then the best of each method on the seeds that are reported.

    Gives the signal that stopped it, if one did.
    """
    for number, steps in enumerate((*settings.halve_at, settings.steps)):
        for said in halvings(settings, planned, up_to=number):
            console.print(said, soft_wrap=True)
        going = still_going(settings, planned, up_to=number)
        if stopped_by := _train_missing([run.stopped_at(steps) for run in going], options, console, lock):
            return stopped_by
    return _train_missing(reported(settings, planned), options, console, lock) if settings.tuning_seeds else None


def _train_missing(
    planned: Sequence[PlannedRun], options: CompareOptions, console: Console, lock: FolderLock
) -> int | None:
    """Run what is not finished; the signal that stopped it, if one did."""
    runs = {_job(run): run for run in planned if not run.is_finished}
    display = CompareDisplay(console, runs, total=len(planned), parallel=options.parallel)
    runner = JobRunner(
        list(runs),
        parallel=options.parallel,
        may_start=lambda job, running: may_start(runs[job], [runs[other] for other in running], planned),
        threads=options.threads,
        lock=lock,
    )
    with StopSignals() as stop:
        try:
            with display, runner:
                try:
                    _watch(runner, display, runs)
                except KeyboardInterrupt:
                    console.print("stopping every run after its step; another Ctrl-C kills them", soft_wrap=True)
                    raise
        except KeyboardInterrupt:
            return stop.received or signal.SIGINT
    return None


def _job(run: PlannedRun) -> Job:
    """The process of a run, whose options stand in its folder."""
    run.config.write(run.folder.config)
    return Job(run.name, ("train", "--config", str(run.folder.config)), run.folder.log)


def _watch(runner: JobRunner, display: CompareDisplay, runs: Mapping[Job, PlannedRun]) -> None:
    """Until no job is left."""
    while True:
        for job in runner.poll():
            display.show_end(job, error=None if runs[job].is_finished else tail(job.log))
        for job in runner.running:
            if not runs[job].goes_to_the_end and runs[job].is_finished:
                runner.stop(job)
        display.show_running(runner.running)
        if not runner.running:
            return
        time.sleep(_POLL_SECONDS)


def _settings(config: RunConfig, options: CompareOptions, planned: Sequence[PlannedRun], command: str) -> Settings:
    points = {method: [run.point for run in planned if run.config.method == method] for method in options.methods}
    return Settings(
        command=command,
        tasks=read_tasks(config.tasks, row_options=config).names,
        methods=options.methods,
        points={method: tuple(dict.fromkeys(of_method)) for method, of_method in points.items()},
        seeds=options.seeds,
        steps=config.steps,
        horizon=options.horizon_of(config.steps),
        thresholds=options.thresholds,
        eval_problems=config.eval_problems,
        parallel=options.parallel,
        clock=_clock(config),
        tuning_seeds=options.tuning_seeds,
        halve_at=options.halving_steps(config),
        choose_by=options.choose_by,
    )


def _clock(config: RunConfig) -> Clock:
    """The processor's own where it does the work, since runs side by side stretch each other."""
    from mtgrpo_env.agents.llm.devices import device_of  # here: to report a comparison takes no torch

    return "cpu" if device_of(config.device).type == "cpu" else "wall"


def _rng() -> np.random.Generator:
    """Resamples seeds, for intervals."""
    return np.random.default_rng(0)
