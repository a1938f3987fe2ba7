"""Post-training a language model on several tasks, from a starting model to checkpoints and reports.

trainer = Trainer("Qwen/Qwen2.5-0.5B-Instruct", tasks=["countdown-easy", "zebra-easy"], out="runs/q")
trainer.train()                # resumes if the folder holds this run
print(trainer.evaluate())      # a table, worst task first
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from traceback import format_exception
from typing import Any, NoReturn

import numpy as np
from safetensors import SafetensorError

from mtgrpo_env.agents.callbacks import TrainerCallback, report_callbacks
from mtgrpo_env.agents.checkpoints import RunRecord
from mtgrpo_env.agents.config import RunConfig, TrainConfig
from mtgrpo_env.agents.display import Display
from mtgrpo_env.agents.llm.build import (
    build_agent,
    build_method,
    check_engines,
    check_packages,
    init_ranks,
    leave_ranks,
    start_of,
)
from mtgrpo_env.agents.llm.context import RunPrompts, run_prompts
from mtgrpo_env.agents.llm.engines import RolloutEngineError
from mtgrpo_env.agents.llm.plan import high_lr
from mtgrpo_env.agents.llm.resumption import Resumption, source_of
from mtgrpo_env.agents.llm.warm_start import Lesson, warm_start_for, warm_started_model
from mtgrpo_env.agents.llm.weight_sync import WeightSyncError
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.ranks import OneRank, RankError, Ranks, agreement, first_before_others
from mtgrpo_env.agents.reports.history import Record, RunHistory, nothing_learned
from mtgrpo_env.agents.reports.lost_records import to_save
from mtgrpo_env.agents.response_watch import ResponseWatch
from mtgrpo_env.agents.run_folder import RUN_FILE, RunFolder
from mtgrpo_env.agents.stop_request import StopRequest
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.named_tasks import TaskSpec, read_tasks
from mtgrpo_env.progress import Stage, progress_to
from mtgrpo_env.redaction import shown
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.task import TASK_FAULTS
from mtgrpo_env.text_env import TextEnv
from mtgrpo_env.types import Group, Problem

_EXPLAINED = (TaskError, ValueError, FloatingPointError, OSError, RolloutEngineError, WeightSyncError, RankError)
"""Errors whose message says enough; of any other the kind is needed too."""


_LOG = logging.getLogger(__name__)


class TrainingError(RuntimeError):
    """A run failed; says at which step, why, and which checkpoint is the newest."""


class SaveError(Exception):
    """A checkpoint could not be written; the older ones are as they were."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How training ended.

    Attributes:
        step: the last one done.
        num_steps: of the whole run.
        exit_code: of the process: 0 if done or stopped by SIGTERM, 130 if interrupted.
    """

    step: int
    num_steps: int
    exit_code: int

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.num_steps


class Trainer:
    """Trains a language model; resumes the run that its folder holds.

    Of several ranks all train, evaluate and save together; the first alone writes reports.

    Args:
        model: starting model, a folder or a hub id; by default the config's, which is a tiny one made on first use.
        tasks: by name, as classes, as tasks, or a suite; by default the config's.
        out: folder of the run; by default the config's.
        config: all other options.
        callbacks: watch the run; by default they write the reports of its folder and show its progress.

    Raises:
        ValueError: naming an option that cannot be used with the tasks or the model.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        tasks: TaskSpec | Iterable[TaskSpec] | TaskSuite | None = None,
        out: str | Path | None = None,
        config: TrainConfig | None = None,
        callbacks: Sequence[TrainerCallback] | None = None,
    ) -> None:
        config = TrainConfig() if config is None else config
        if not isinstance(config, TrainConfig):
            raise ValueError(f"config must be a TrainConfig, got {config!r:.80}")
        if tasks is not None and not isinstance(tasks, TaskSuite):
            tasks = list(tasks) if isinstance(tasks, Iterable) and not isinstance(tasks, str) else [tasks]
        given: dict[str, Any] = {"model": model and str(model), "out": out and Path(out)}
        if tasks is not None:
            given["tasks"] = _names_of(tasks)
        given = {name: value for name, value in given.items() if value is not None}
        self.config: RunConfig = replace(config, **given).for_run()
        check_engines(self.config)
        self.config.check_start()
        self.suite = read_tasks(
            self.config.tasks if tasks is None else tasks,
            seed=self.config.seed,
            row_options=self.config,
            solved_floor=self.config.solved_floor,
        )
        self.config.check_used(self.suite.names)
        self.folder = RunFolder(self.config.out)
        self.callbacks = [*report_callbacks(), ResponseWatch(), Display()] if callbacks is None else list(callbacks)
        self.ranks: Ranks = OneRank()
        self._agent: MTGRPOAgent | None = None
        self._history: RunHistory | None = None
        self._problems: list[Problem] | None = None
        self._prompts: RunPrompts | None = None
        self._saved_step = -1
        self._stage = "the start"  # which an error belongs to
        self._resumption: Resumption | None = None
        self._check()

    def __repr__(self) -> str:
        return f"Trainer({self.config.model!r}, tasks={list(self.suite.names)}, out={str(self.folder)!r})"

    @property
    def agent(self) -> MTGRPOAgent:
        """At the run's newest checkpoint, or at its first step; built on first use.

        Raises:
            ValueError: if the folder holds another run.
        """
        if self._agent is None:
            with self._folder_freed_on_error():
                self._agent = self._built()
        return self._agent

    @property
    def prompts(self) -> RunPrompts:
        """How they are written; found out on first use, since it takes the model's tokenizer.

        Raises:
            ValueError: if no problem of a task finds room in the model's context, or the prompt options do not fit.
            OSError: if the model's files cannot be read.
        """
        if self._prompts is None:
            known, config = self._resumption, self.config
            checkpoint = known.checkpoint if known else self.folder.newest_checkpoint
            if config.model is not None:
                config = replace(config, model=source_of(config, checkpoint))
            self._prompts = run_prompts(config, self.suite)
            if said := high_lr(self.config, self._prompts):
                _LOG.warning(said)
        return self._prompts

    @property
    def history(self) -> RunHistory:
        """Steps and evaluations of the run so far."""
        if self._history is None:
            has_checkpoint = self.folder.newest_checkpoint is not None
            last_step = self.agent.step if has_checkpoint else -1
            saved = self._resumption.saved if self._resumption else None
            self._own_folder()
            with first_before_others(self.ranks) as is_first:
                if is_first:
                    replace(self.config, accept_changes=()).write(self.folder.config)
                self._history = RunHistory(self.folder.history, last_step=last_step, saved=saved, writes=is_first)
        return self._history

    @property
    def problems(self) -> list[Problem]:
        """Held out for evaluation."""
        if self._problems is None:
            self._problems = self.suite.held_out(self.config.eval_problems)
        return self._problems

    @property
    def best_step(self) -> int:
        """The step whose worst task was best; 0 before any was evaluated."""
        best = self.history.best_evaluation()
        return best["step"] if best else 0

    @property
    def kept(self) -> str:
        """What there is to resume from, in a sentence."""
        newest = self.folder.newest_checkpoint
        return f"The newest checkpoint is {newest}." if newest else "There is no checkpoint yet."

    def check(self) -> None:
        """Refuse what would end the run later, before anything is built.

        Raises:
            MissingPackageError: naming an option whose package is not installed.
            ValueError, OSError: as in `prompts`, and if the run's folder cannot be written.
        """
        check_packages(self.config)
        if self.config.model is not None:
            start_of(self.config, self.config.model)
        self.folder.refuse_unwritable()
        _ = self.prompts

    def train(self) -> TrainResult:
        """Train to the last step, or until SIGINT or SIGTERM: then this step is finished and saved.

        Raises:
            TrainingError: if a step, an evaluation or a checkpoint failed.
            FolderInUseError: if another process trains in the folder.
            KeyboardInterrupt: at a SIGINT after the first signal.
        """
        with self._folder_freed_on_error():
            return self._train()

    def _train(self) -> TrainResult:
        _ = self.agent, self.history
        self._own_folder()
        self._saved_step = self.agent.step
        try:
            with StopRequest(self.ranks) as stop, ExitStack() as stack:
                for callback in self._active:
                    stack.callback(callback.close)
                    callback.on_start(self)
                stack.enter_context(progress_to(self._show_progress))
                self._take_steps(stop)
                self._stage = "the end of the run"
                for callback in self._active:
                    callback.on_end(self)
        except SaveError as error:
            self._fail(str(error), error)
        except TASK_FAULTS as error:  # whatever a policy, a verifier, an engine or a callback may raise
            self._fail(f"{self._stage} failed: {_said(error)}", error)
        is_finished = self.agent.step >= self.config.steps
        return TrainResult(self.agent.step, self.config.steps, 0 if is_finished else stop.exit_code)

    def is_evaluated_after(self, step: int) -> bool:
        """Whether the run is to be evaluated once it has taken so many steps."""
        return step >= self.config.steps or step % self.config.eval_every == 0

    def evaluate(self, problems: Sequence[Problem] | None = None) -> Evaluation:
        """Accuracy of every task on held-out problems, by default those of the run's evaluations."""
        return self._counted(self.agent.evaluate(self.problems if problems is None else problems))

    def evaluation_of(self, record: Record) -> Evaluation:
        """An evaluation of the history."""
        accuracies, zeros = np.array(record["accuracies"], dtype=float), np.zeros(self.suite.num_tasks, dtype=np.int64)
        played = np.array(record["counts"])  # one rollout of each problem
        invalid, left_out = (np.array(record.get(name, zeros)) for name in ("invalid", "left_out"))
        names = ("mean_lengths", "truncated_shares")
        numbers = {name: np.array(record[name], dtype=float) for name in names if name in record}
        counts = {"problems": played, "left_out": left_out}
        return Evaluation(self.suite.names, accuracies, played, invalid, **counts, **numbers)

    def close(self) -> None:
        """Close the envs, let others have the folder, and leave the other ranks."""
        self.suite.close()
        self.folder.lock.release()
        leave_ranks(self.ranks)

    def _own_folder(self) -> None:
        """Of several ranks the first holds the lock for all."""
        with agreement(self.ranks):
            if self.ranks.rank == 0:
                self.folder.lock.acquire()

    @contextmanager
    def _folder_freed_on_error(self) -> Iterator[None]:
        """What failed is resumed by another trainer, while a traceback may keep this one from being collected."""
        try:
            yield
        except BaseException:
            self.folder.lock.release()
            raise

    @property
    def _active(self) -> list[TrainerCallback]:
        return self.callbacks if self.ranks.rank == 0 else []

    def _check(self) -> None:
        for k, name in enumerate(self.suite.names):
            if not isinstance(env := self.suite.envs(k, 1)[0].unwrapped, TextEnv):
                raise ValueError(f"a language model needs text tasks, got {name!r}, a {type(env).__name__}")
        if self.suite.split != "train":
            raise ValueError(f"a suite is trained on its train split, got one of {self.suite.split!r}")
        if self.config.batch_size < (least := self.suite.num_tasks):
            raise ValueError(f"batch_size must be at least the number of tasks, {least}, got {self.config.batch_size}")
        if self.folder.path.exists() and not self.folder.path.is_dir():
            raise ValueError(f"out must be a folder, got the file {str(self.folder)!r}")
        build_method(self.config, self.suite)  # refuses by itself

    def _built(self) -> MTGRPOAgent:
        if not self.folder.path.exists():  # what is refused leaves no folder behind
            self.check()
        check_packages(self.config)
        self.folder.refuse_unwritable()
        self.ranks = init_ranks(self.config)
        self._own_folder()
        self._resumption = resumption = Resumption(self.folder, self.config, self.suite, self.ranks)
        with agreement(self.ranks):
            self.check()
        with first_before_others(self.ranks):
            source = resumption.source or str(self._warm_started())
        for callback in self._active:
            callback.on_build(self, source)
        agent = build_agent(self.config, self.suite, source, self.prompts, self.ranks)
        resumption.identify_model(source)
        if resumption.checkpoint is not None:
            agent.restore(resumption.checkpoint, is_checked=True)
        return agent

    def _warm_started(self) -> Path:
        def on_step(lesson: Lesson, step: int, loss: float) -> None:
            for callback in self._active:
                callback.on_lesson_step(self, lesson, step, loss)

        names, config = self.suite.names, self.config
        warm_start = warm_start_for(names, config.start)
        return warm_started_model(config.out.parent, self.suite, warm_start, seed=config.seed, on_step=on_step)

    def _take_steps(self, stop: StopRequest) -> None:
        try:
            if self._lacks_evaluation():  # the first, or one that failed
                self._evaluate()
            while self.agent.step < self.config.steps and not stop.is_agreed():
                self._step()
            self._save_unless_saved()
        except TASK_FAULTS as error:
            if self._is_worth_saving(error):
                with suppress(SaveError):  # of both the first error says what went wrong
                    self._save_unless_saved()  # one written right after the step is better: its streams have not moved
            raise

    def _is_worth_saving(self, error: BaseException) -> bool:
        """Whether policy and weights are those of a finished step; of several ranks all must come to one answer."""
        if self.agent.is_updating or isinstance(error, SaveError | FloatingPointError):
            return False
        return self.ranks.size == 1 or isinstance(error, TaskError)

    def _lacks_evaluation(self) -> bool:
        step = self.agent.step
        return self.is_evaluated_after(step) and all(record["step"] != step for record in self.history.of("evaluation"))

    def _show_training_group(self, group: Group) -> None:
        for callback in self._active:
            callback.on_training_group(self, group)

    def _show_progress(self, stage: Stage) -> None:
        for callback in self._active:
            callback.on_progress(self, stage)

    def _step(self) -> None:
        self._stage = f"step {self.agent.step + 1}"
        metrics = self.agent.train_step(on_group=self._show_training_group)
        self._stage = f"a callback of step {metrics.step}"
        self.history.add_step(metrics)
        for callback in self._active:
            callback.on_step(self, metrics)
        if self.is_evaluated_after(metrics.step):
            self._evaluate()
        if metrics.step % self.config.checkpoint_every == 0 or metrics.step == self.best_step:
            self._save()

    def _evaluate(self) -> None:
        def on_group(group: Group) -> None:
            for callback in self._active:
                callback.on_group(self, group)

        self._stage = f"the evaluation after step {self.agent.step}"
        evaluation = self._counted(self.agent.evaluate(self.problems, on_group=on_group))
        self.history.add_evaluation(self.agent.step, self.agent.rollouts, evaluation)
        for callback in self._active:
            callback.on_evaluation(self, evaluation)

    def _counted(self, evaluation: Evaluation) -> Evaluation:
        return replace(evaluation, left_out=self.prompts.count_left_out(self.suite.names))

    def _save_unless_saved(self) -> None:
        if self._saved_step != self.agent.step:
            self._save()

    def _save(self) -> None:
        checkpoint = self.folder.checkpoint(self.agent.step)
        try:
            self.agent.save(checkpoint, texts={RUN_FILE: self._record.text})
            if self.ranks.rank == 0:
                self.folder.prune_checkpoints(newest=self.config.keep_checkpoints, also={self.best_step})
                if self.config.keep_optimizer is not None:
                    self.folder.prune_optimizer_states(newest=self.config.keep_optimizer)
        except (OSError, RuntimeError, SafetensorError) as error:  # a full disk is all three, by who writes
            free = shutil.disk_usage(self.folder).free
            raise SaveError(f"could not save {checkpoint}, with {free / 1e9:.1f} GB free: {error}") from error
        self._saved_step = self.agent.step
        for callback in self._active:
            callback.on_save(self, checkpoint)

    @property
    def _record(self) -> RunRecord:
        records = self.history.records
        made = self._resumption.made_of if self._resumption else None
        return RunRecord(made, to_save(records), has_learned=nothing_learned(records) is None)

    def _fail(self, what: str, error: BaseException) -> NoReturn:
        what = shown(what)
        kept = self.kept
        with suppress(OSError), self.folder.failures.open("a", encoding="utf-8") as file:
            trace = shown("".join(format_exception(error)))
            file.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z} {what}\n{trace}")
            kept += f" The traceback is in {self.folder.failures}."
        raise TrainingError(f"{what}\n{kept}") from error


def _said(error: BaseException) -> str:
    """An error in a few words."""
    text = str(error).strip()
    if text and isinstance(error, _EXPLAINED):
        return text
    return f"{type(error).__name__}: {next(iter(text.splitlines()), 'no message')}"


def _names_of(tasks: Sequence[TaskSpec] | TaskSuite) -> tuple[str, ...]:
    """What a run's options record of its tasks, by which another run is told from it."""
    return tasks.names if isinstance(tasks, TaskSuite) else tuple(map(_name_of, tasks))


def _name_of(task: TaskSpec) -> str:
    if isinstance(task, Task):
        return task.name
    return f"{task.__module__}:{task.__qualname__}" if isinstance(task, type) else task
