"""What watches a training run, and the reports that every run writes into its folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtgrpo_env.agents.reports.figure import draw_run
from mtgrpo_env.agents.reports.samples import ENDED, SEEN, TRAINED_REWARD, RolloutSample, SampleFile
from mtgrpo_env.agents.reports.scalars import Scalars
from mtgrpo_env.agents.reports.task_table import task_rows
from mtgrpo_env.agents.trackers.reporting import Trackers, tracked_run
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.chance import measure_chance
from mtgrpo_env.chat_columns import column_of
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.named_tasks import named_object
from mtgrpo_env.progress import Stage
from mtgrpo_env.task import TaskError
from mtgrpo_env.types import Group

if TYPE_CHECKING:
    from mtgrpo_env.agents.llm.warm_start import Lesson
    from mtgrpo_env.agents.trainer import Trainer

_RESPONSE_ROWS = "mtgrpo_env.envs.responses:response_rows"  # by name: agents import no tasks


class TrainerCallback:
    """Watches a run; override what you need. Of several ranks only the first has callbacks."""

    def on_lesson_step(self, trainer: Trainer, lesson: Lesson, step: int, loss: float) -> None:
        """A step of the tiny model's warm start was taken."""

    def on_build(self, trainer: Trainer, source: str) -> None:
        """The agent is about to be built from the model at `source`, a folder or a hub id."""

    def on_start(self, trainer: Trainer) -> None:
        """Training is about to start, or to be resumed at `trainer.agent.step`."""

    def on_progress(self, trainer: Trainer, stage: Stage) -> None:
        """Progress within a step or an evaluation; called many times a second, with one object for each stage."""

    def on_step(self, trainer: Trainer, metrics: TrainMetrics) -> None:
        """A training step was taken."""

    def on_group(self, trainer: Trainer, group: Group) -> None:
        """A held-out problem was played, in an evaluation that belongs to the run."""

    def on_training_group(self, trainer: Trainer, group: Group) -> None:
        """A group was generated for the step that goes on."""

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        """The policy was evaluated at `trainer.agent.step`, and the history holds it."""

    def on_save(self, trainer: Trainer, checkpoint: Path) -> None:
        """A checkpoint was written."""

    def on_end(self, trainer: Trainer) -> None:
        """All steps are done, or the run was stopped; not called after a failure."""

    def closing_lines(self, trainer: Trainer) -> Sequence[str]:
        """What the display says at the end of what the callback has made, such as where it is."""
        return ()

    def close(self) -> None:
        """Training was left, well or not."""


class Tracking(TrainerCallback):
    """Scalars of every step and evaluation, and in the end a table of the tasks, in the trackers of `report_to`."""

    def __init__(self) -> None:
        self._trackers: Trackers | None = None
        self._scalars = Scalars(())

    def on_start(self, trainer: Trainer) -> None:
        self._scalars = Scalars(trainer.suite.names)
        config, first_step = trainer.config, trainer.agent.step + 1
        run = tracked_run(config, trainer.folder, self._scalars.names, first_step=first_step)
        self._trackers = Trackers(config.report_to, run)

    def on_step(self, trainer: Trainer, metrics: TrainMetrics) -> None:
        assert self._trackers is not None
        self._trackers.log(self._scalars.of_step(metrics), metrics.step)

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        assert self._trackers is not None
        self._trackers.log(self._scalars.of_evaluation(evaluation), trainer.agent.step)

    def on_end(self, trainer: Trainer) -> None:
        assert self._trackers is not None
        self._trackers.log_table(task_rows(self._scalars.names, trainer.history.records), trainer.agent.step)

    def closing_lines(self, trainer: Trainer) -> Sequence[str]:
        return self._trackers.places if self._trackers else ()

    def close(self) -> None:
        if self._trackers is not None:
            self._trackers.close()


class Samples(TrainerCallback):
    """A few rollouts of every task from each evaluation, and from the training step before it, to be read."""

    def __init__(self) -> None:
        self._held_out: SampleFile | None = None
        self._trained: SampleFile | None = None
        self._sample = RolloutSample()

    def on_start(self, trainer: Trainer) -> None:
        evaluated = {record["step"] for record in trainer.history.of("evaluation")}
        folder, names = trainer.folder, trainer.suite.names

        def make_rows(group: Group) -> Iterable[Mapping[str, Any]]:
            return _rows(trainer, group)

        self._held_out = SampleFile(folder.samples, names, make_rows, steps=evaluated)

        def make_training_rows(group: Group) -> Iterable[Mapping[str, Any]]:
            """With the reward that was trained on, None where nothing was learned; see `truncation`."""
            changed = trainer.agent.change(group).rollouts
            learned = ({TRAINED_REWARD: one.reward if one.is_learnable else None} for one in changed)
            return [{**row, **more} for row, more in zip(_rows(trainer, group), learned, strict=True)]

        steps = range(trainer.agent.step + 1)
        self._trained = SampleFile(folder.training_samples, names, make_training_rows, steps=steps)

    def on_group(self, trainer: Trainer, group: Group) -> None:
        self._sample.add(group)

    def on_training_group(self, trainer: Trainer, group: Group) -> None:
        self._sample.add(group)

    def on_step(self, trainer: Trainer, metrics: TrainMetrics) -> None:
        if metrics.step == 1 or trainer.is_evaluated_after(metrics.step):
            self._keep(self._trained, metrics.step)
        self._sample = RolloutSample()

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        self._keep(self._held_out, trainer.agent.step)
        self._sample = RolloutSample()

    def _keep(self, file: SampleFile | None, step: int) -> None:
        assert file is not None
        file.add(step, self._sample)


class TaskChances(TrainerCallback):
    """What the held-out problems come to without thinking, measured once, when the run starts."""

    def on_start(self, trainer: Trainer) -> None:
        if trainer.history.of("chance"):
            return
        with suppress(TaskError):  # of a task that cannot make its problems: the evaluation that follows says so
            trainer.history.add_chance(measure_chance(trainer.suite, trainer.problems))


class ProgressFigure(TrainerCallback):
    """One picture of the run: accuracies, task weights, shares, filter rates."""

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        if trainer.agent.step:
            self._draw(trainer)

    def on_end(self, trainer: Trainer) -> None:
        self._draw(trainer)

    def _draw(self, trainer: Trainer) -> None:
        title = f"{trainer.config.method}: step {trainer.agent.step}, {trainer.agent.rollouts:,} rollouts"
        draw_run(trainer.history, trainer.suite.names, trainer.folder.figure, title=title)


def report_callbacks() -> list[TrainerCallback]:
    """The reports that a run's folder holds beside the history, new ones for each trainer."""
    return [Tracking(), TaskChances(), Samples(), ProgressFigure()]


def _rows(trainer: Trainer, group: Group) -> Iterable[Mapping[str, Any]]:
    """A row of each rollout, with what passed between the task and the model in each turn."""
    decode = trainer.agent.policy.tokenizer.decode
    for row, rollout in zip(_scorable_rows(trainer, group), group.rollouts, strict=True):
        completions = [step.extras for step in rollout.steps]
        seen = [decode(completion.prompt) for completion in completions]
        yield {**row, SEEN: seen, ENDED: [completion.finish_reason for completion in completions]}


def _scorable_rows(trainer: Trainer, group: Group) -> Iterable[Mapping[str, Any]]:
    """Rows that can be scored again, or at least read if the task has no ground truth to store."""
    try:
        return list(named_object(_RESPONSE_ROWS)(trainer.suite, group))
    except ValueError:
        opening = trainer.suite.opening(group.problem)
        assert opening is not None, "language models are trained on text tasks"
        return [
            {
                "prompt": column_of(opening.prompt),
                "responses": [step.action for step in rollout.steps],
                "reward": rollout.reward,
                "is_success": rollout.is_success,
                "outcome": rollout.outcome,
            }
            for rollout in group.rollouts
        ]
