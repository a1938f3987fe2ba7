"""The embedded starting model: tiny, built and taught here, kept as an ordinary checkpoint folder."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mtgrpo_env.agents.checkpoints import atomic_folder
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, imitate, tiny_model, tiny_tokenizer
from mtgrpo_env.envs.demonstrators import Demonstrators
from mtgrpo_env.suite import TaskSuite

_VERSION = 1  # of the recipe below: raise it when the same numbers would give another model


@dataclass(frozen=True, slots=True)
class Lesson:
    """One phase of imitation.

    Attributes:
        title: what is being learned.
        steps: optimiser steps.
        lr: peak learning rate.
        careful: share of careful authors for each task; 1 for a task not named.
    """

    title: str
    steps: int
    lr: float
    careful: Mapping[str, float] = field(default_factory=dict)


LESSONS = (
    Lesson("learning to solve", steps=2200, lr=6e-3),
    Lesson(
        "taking on habits", steps=300, lr=3e-4, careful={"countdown-mini": 0.75, "zebra-mini": 0.70, "arc-mini": 0.02}
    ),
)
"""First the skills, from careful authors alone; then the habits of a corpus whose authors differ by task."""


def starting_model(folder: Path, suite: TaskSuite, *, seed: int, console: Console, batch_size: int = 96) -> Path:
    """The folder of the taught tiny model, made on first use and found again ever after.

    Raises:
        ValueError: if a task's prompts are too long for the tiny model.
    """
    size = TinyModelConfig()
    recipe = {
        "version": _VERSION,
        "tasks": list(suite.names),
        "size": asdict(size),
        "lessons": [asdict(lesson) for lesson in LESSONS],
        "batch_size": batch_size,
        "seed": seed,
    }
    name = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]
    target = Path(folder) / f"start-{name}"
    if target.is_dir():
        return target
    _check_fit(suite, size.context)
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer, size, seed=seed)
    for number, lesson in enumerate(LESSONS):
        careful = {task: lesson.careful.get(task, 1.0) for task in suite.names}
        with _LessonProgress(console, lesson) as progress:
            imitate(
                model,
                tokenizer,
                Demonstrators(suite, careful),
                num_steps=lesson.steps,
                batch_size=batch_size,
                lr=lesson.lr,
                seed=seed + number,
                progress=progress.show,
            )
    with atomic_folder(target) as unfinished, warnings.catch_warnings():
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        (unfinished / "recipe.json").write_text(json.dumps(recipe, indent=1))
    return target


class _LessonProgress:
    """A bar on a terminal, ten lines elsewhere."""

    def __init__(self, console: Console, lesson: Lesson) -> None:
        self._title = f"warm start: {lesson.title}"
        self._steps = lesson.steps
        columns = (TextColumn(self._title), BarColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(self._title, total=lesson.steps, loss=float("nan"))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def show(self, step: int, loss: float) -> None:
        """A step was taken."""
        self._bar.update(self._task, completed=step, loss=loss)
        if not self._bar.console.is_terminal and step % max(1, self._steps // 10) == 0:
            self._bar.console.print(f"{self._title}: step {step} of {self._steps}, loss {loss:.3f}", soft_wrap=True)


def _check_fit(suite: TaskSuite, context: int) -> None:
    for problem in suite.held_out(1):
        prompt, _ = suite.envs(problem.task_id, 1)[0].reset(seed=problem.seed, options=dict(problem.options))
        if len(prompt) > context // 2:
            raise ValueError(
                f"the embedded model reads prompts of up to {context // 2} characters, those of task "
                f"{suite.names[problem.task_id]!r} have {len(prompt)}: choose the mini suite, or a model with --model"
            )
