"""The embedded starting model: tiny, built and taught here, kept as an ordinary checkpoint folder."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.checkpoints import atomic_folder
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, imitate, tiny_model, tiny_tokenizer
from mtgrpo_env.envs.demonstrators import Demonstrators
from mtgrpo_env.named_tasks import SUITES
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


@dataclass(frozen=True, slots=True)
class Curriculum:
    """First the skills, from careful authors alone; then the habits of a corpus whose authors differ by task.

    Attributes:
        lessons: phases, in order.
        batch_size: demonstrations in an optimiser step, of all tasks together.
    """

    lessons: tuple[Lesson, ...]
    batch_size: int


CURRICULUM = Curriculum(
    (
        Lesson("learning to solve", steps=2200, lr=6e-3),
        Lesson(
            "taking on habits",
            steps=300,
            lr=3e-4,
            careful={"countdown-mini": 0.75, "zebra-mini": 0.70, "arc-mini": 0.02},
        ),
    ),
    batch_size=96,
)
"""For a few mini tasks; a task it does not name takes on no habit."""

NINE_CURRICULUM = Curriculum(
    (
        Lesson("learning to solve", steps=1700, lr=6e-3),
        Lesson(
            "taking on habits",
            steps=300,
            lr=3e-4,
            careful={
                "countdown-mini": 0.75,
                "countdown-mini_medium": 0.60,
                "countdown-mini_hard": 0.40,
                "zebra-mini": 0.70,
                "zebra-mini_medium": 0.50,
                "zebra-mini_hard": 0.30,
                "arc-mini": 0.30,
                "arc-mini_medium": 0.10,
                "arc-mini_hard": 0.04,
            },
        ),
    ),
    batch_size=144,
)
"""For all nine mini tasks: the harder the level, the fewer careful authors, ARC's the fewest."""


_RARE_STEPS = 150
STARTS = ("unequal", "rare")
"""What `--start` may be: how far apart the tasks of the embedded model are."""


def curriculum_for(names: Sequence[str], start: str = "unequal") -> Curriculum:
    """The curriculum of a suite with tasks of these names.

    With the start "rare" one more lesson comes at the end, in which nobody is careful about ARC: next to no
    group of it carries a gradient, and a sampler's filter rates differ as strongly as they can.

    Raises:
        ValueError: if there is no such start.
    """
    curriculum = NINE_CURRICULUM if set(names) == set(SUITES["mini-nine"]) else CURRICULUM
    if start not in STARTS:
        raise ValueError(f"start must be one of {list(STARTS)}, got {start!r}")
    if start == "unequal":
        return curriculum
    habits = curriculum.lessons[-1]
    careful = {task: 0.0 if task.startswith("arc") else share for task, share in habits.careful.items()}
    rare = Lesson("unlearning ARC", steps=_RARE_STEPS, lr=habits.lr, careful=careful)
    return replace(curriculum, lessons=(*curriculum.lessons, rare))


def recipe_of(names: Sequence[str], curriculum: Curriculum, *, seed: int) -> dict[str, Any]:
    """Everything that the model depends on which a curriculum makes for tasks of these names."""
    return {
        "version": _VERSION,
        "tasks": list(names),
        "size": asdict(TinyModelConfig()),
        "lessons": [asdict(lesson) for lesson in curriculum.lessons],
        "batch_size": curriculum.batch_size,
        "seed": seed,
    }


def starting_model_name(names: Sequence[str], curriculum: Curriculum, *, seed: int) -> str:
    """The name of the folder that keeps it: another recipe has another name."""
    text = json.dumps(recipe_of(names, curriculum, seed=seed), sort_keys=True)
    return f"start-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def starting_model(folder: Path, suite: TaskSuite, curriculum: Curriculum, *, seed: int, console: Console) -> Path:
    """The folder of the taught tiny model, made on first use and found again ever after.

    The model is kept after every lesson, so curricula that begin alike share what they have in common.

    Raises:
        ValueError: if a task's prompts are too long for the tiny model.
    """
    size, tokenizer = TinyModelConfig(), tiny_tokenizer()
    _check_fit(suite, size.context)
    parts = [replace(curriculum, lessons=curriculum.lessons[: n + 1]) for n in range(len(curriculum.lessons))]
    targets = [Path(folder) / starting_model_name(suite.names, part, seed=seed) for part in parts]
    taught = max((n for n, target in enumerate(targets, start=1) if target.is_dir()), default=0)
    model = (
        AutoModelForCausalLM.from_pretrained(targets[taught - 1]) if taught else tiny_model(tokenizer, size, seed=seed)
    )
    for number, (part, target) in enumerate(zip(parts[taught:], targets[taught:], strict=True), start=taught):
        _teach(model, tokenizer, suite, part, seed=seed + number, console=console)
        with atomic_folder(target) as unfinished, warnings.catch_warnings():
            model.save_pretrained(unfinished)
            tokenizer.save_pretrained(unfinished)
            recipe = recipe_of(suite.names, part, seed=seed)
            (unfinished / "recipe.json").write_text(json.dumps(recipe, indent=1))
    return targets[-1]


def _teach(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    suite: TaskSuite,
    curriculum: Curriculum,
    *,
    seed: int,
    console: Console,
) -> None:
    """The last lesson of a curriculum."""
    lesson = curriculum.lessons[-1]
    careful = {task: lesson.careful.get(task, 1.0) for task in suite.names}
    with _LessonProgress(console, lesson) as progress:
        imitate(
            model,
            tokenizer,
            Demonstrators(suite, careful),
            num_steps=lesson.steps,
            batch_size=curriculum.batch_size,
            lr=lesson.lr,
            seed=seed,
            progress=progress.show,
        )


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
