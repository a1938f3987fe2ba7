"""A run as it goes on: steps, evaluations, checkpoints, and how it ends."""

from __future__ import annotations

import shutil
import signal
from contextlib import closing, nullcontext
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Self

import numpy as np
from rich.console import Console
from safetensors import SafetensorError

from mtgrpo_env.agents.checkpoints import checkpoint_folder, keep, newest_checkpoint
from mtgrpo_env.agents.llm.engines import RolloutEngineError
from mtgrpo_env.agents.llm.weight_sync import WeightSyncError
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.ranks import RankError, Ranks
from mtgrpo_env.agents.reports.figure import draw_run
from mtgrpo_env.agents.reports.history import Record, RunHistory
from mtgrpo_env.agents.reports.samples import RolloutSample, SampleFile
from mtgrpo_env.agents.reports.scalars import ScalarWriter
from mtgrpo_env.cli.display import RunDisplay, result_table
from mtgrpo_env.envs.responses import response_rows
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.suite import TaskError

if TYPE_CHECKING:
    from mtgrpo_env.cli.train import Config

_FAILURES = (TaskError, FloatingPointError, OSError, RolloutEngineError, WeightSyncError, RankError)


class Run:
    """What a process does of a run, from the step that the agent is at to the last.

    Of several ranks all train, evaluate and save together; the first alone writes reports, and may speak.

    Args:
        config: of the run.
        agent: at a step that was saved, or at its first.
        history: up to that step.
        console: for people.
    """

    def __init__(self, config: Config, agent: MTGRPOAgent, history: RunHistory, console: Console) -> None:
        self.config, self.agent, self.history, self.console = config, agent, history, console
        self.names = agent.suite.names
        self.problems = agent.suite.held_out(config.eval_problems)
        self.is_first = agent.ranks.rank == 0
        events = config.out / "tensorboard"
        self.scalars = ScalarWriter(events, self.names, first_step=agent.step + 1) if self.is_first else None
        self.samples = self._sample_file() if self.is_first else None
        self.display = RunDisplay(console, self.names, step=agent.step, num_steps=config.steps)
        self._saved_step = agent.step

    def train(self) -> int:
        """To the end, or until somebody asks to stop; an exit status."""
        try:
            scalars = closing(self.scalars) if self.scalars else nullcontext()
            with self.display, scalars, StopRequest(self.agent.ranks) as stop:
                self._take_steps(stop)
            self._draw()
        except SaveError as error:
            return self._failed(str(error))
        except _FAILURES as error:
            return self._failed(f"step {self.agent.step + 1} failed: {error}")
        self._print_result()
        if self.agent.step < self.config.steps:
            self.console.print(
                f"Stopped after step {self.agent.step} of {self.config.steps}; nothing is lost. "
                "The same command goes on from here."
            )
            return stop.exit_code
        return 0

    def _take_steps(self, stop: StopRequest) -> None:
        try:
            if not self.history.of("evaluation"):
                self._evaluate()
            while self.agent.step < self.config.steps and not stop.is_agreed():
                self._step()
            self._save_unless_saved()
        except TaskError:
            self._save_unless_saved()  # one written right after the step is better: its streams have not moved on
            raise

    def _failed(self, what: str) -> int:
        checkpoint = newest_checkpoint(self.config.out)
        kept = f"The newest checkpoint is {checkpoint}." if checkpoint else "There is no checkpoint yet."
        self.console.print(f"{what}\n{kept}", markup=False, soft_wrap=True)
        return 1

    def _step(self) -> None:
        report = self.agent.train_step()
        self.history.add_step(report)
        if self.scalars:
            self.scalars.add_step(report)
        self.display.show_step(report)
        if report.step >= self.config.steps or report.step % self.config.eval_every == 0:
            self._evaluate()
            self._draw()
        if report.step % self.config.checkpoint_every == 0 or report.step == self._best_step:
            self._save()

    def _evaluate(self) -> None:
        sample = RolloutSample()
        evaluation = self.agent.evaluate(self.problems, on_group=sample.add)
        self.history.add_evaluation(self.agent.step, self.agent.rollouts, evaluation)
        if self.samples:
            self.samples.add(self.agent.step, sample)
        if self.scalars:
            self.scalars.add_evaluation(self.agent.step, evaluation)
        self.display.show_evaluation(self.agent.step, *self._first_and_latest())

    def _sample_file(self) -> SampleFile:
        evaluated = {record["step"] for record in self.history.of("evaluation")}
        rows = partial(response_rows, self.agent.suite)
        return SampleFile(self.config.out / "samples.jsonl", self.names, rows, steps=evaluated)

    def _save_unless_saved(self) -> None:
        if self._saved_step != self.agent.step:
            self._save()

    def _save(self) -> None:
        folder = checkpoint_folder(self.config.out, self.agent.step)
        try:
            self.agent.save(folder)
            if self.is_first:
                keep(self.config.out, newest=self.config.keep_checkpoints, also={self._best_step})
        except (OSError, RuntimeError, SafetensorError) as error:  # a full disk is all three, by who writes
            free = shutil.disk_usage(self.config.out).free
            raise SaveError(f"could not save {folder}, with {free / 1e9:.1f} GB free: {error}") from error
        self._saved_step = self.agent.step

    @property
    def _best_step(self) -> int:
        """The step whose worst task was best; 0 before any was evaluated."""
        best = self.history.best_evaluation()
        return best["step"] if best else 0

    def _draw(self) -> None:
        if not self.is_first:
            return
        title = f"{self.config.method}: step {self.agent.step}, {self.agent.rollouts:,} rollouts"
        draw_run(self.history, self.names, self.config.out / "progress.png", title=title)

    def _first_and_latest(self) -> tuple[Evaluation, Evaluation]:
        records = self.history.of("evaluation")
        return self._evaluation_of(records[0]), self._evaluation_of(records[-1])

    def _evaluation_of(self, record: Record) -> Evaluation:
        accuracies, zeros = np.array(record["accuracies"], dtype=float), np.zeros(len(self.names), dtype=np.int64)
        return Evaluation(self.names, accuracies, np.array(record["counts"]), zeros)

    def _print_result(self) -> None:
        self.console.print(result_table(self.names, *self._first_and_latest(), rollouts=self.agent.rollouts))
        out = self.config.out
        lines = [f"figure {out / 'progress.png'}", f"scalars: tensorboard --logdir {out / 'tensorboard'}"]
        lines.append(f"page: mtgrpo report {out}")
        if checkpoint := newest_checkpoint(out):
            lines.append(f"model  {checkpoint}")
        best, checkpoint = self.history.best_evaluation(), checkpoint_folder(out, self._best_step)
        if best and checkpoint.is_dir():
            evaluation = self._evaluation_of(best)
            lines.append(f"best   {checkpoint} (worst task {evaluation.worst:.1%}, average {evaluation.average:.1%})")
        self.console.print("\n".join(lines), soft_wrap=True)


class SaveError(Exception):
    """A checkpoint could not be written; the older ones are as they were."""


class StopRequest:
    """Turns the first SIGINT or SIGTERM into a wish to stop after this step; a second one has its way.

    SIGTERM comes from a scheduler that wants the machine back, so stopping then is no failure.

    Args:
        ranks: all stop if one of them was asked to.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._received: int | None = None  # by this process, perhaps while it asks the others
        self._agreed: int | None = None

    def __enter__(self) -> Self:
        self._previous = [signal.signal(number, self._note) for number in self._SIGNALS]
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in zip(self._SIGNALS, self._previous, strict=True):
            signal.signal(number, handler)

    def is_agreed(self) -> bool:
        """Whether any rank was asked to stop; every rank must ask this equally often."""
        self._agreed = next((number for number in self._ranks.gather(self._received) if number is not None), None)
        return self._agreed is not None

    @property
    def exit_code(self) -> int:
        """Of a process that was stopped."""
        return 0 if self._agreed == signal.SIGTERM else 130

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise KeyboardInterrupt
        self._received = number
