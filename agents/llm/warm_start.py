"""The warm-started model: tiny, built and trained by imitation here, kept as an ordinary checkpoint folder."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.model_folder import whole_model_of
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, imitate, tiny_model, tiny_tokenizer
from mtgrpo_env.files import atomic_folder, refuse_unwritable_folder
from mtgrpo_env.named_tasks import named_object
from mtgrpo_env.suite import TaskSuite

_DEMONSTRATORS = "mtgrpo_env.envs.demonstrators:Demonstrators"  # by name: agents import no tasks
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
class WarmStart:
    """First the skills, from careful authors alone; then the habits of a corpus whose authors differ by task.

    Attributes:
        lessons: phases, in order.
        batch_size: demonstrations in an optimiser step, of all tasks together.
    """

    lessons: tuple[Lesson, ...]
    batch_size: int


WARM_START = WarmStart(
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

NINE_TASK_WARM_START = WarmStart(
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
"""How far apart the tasks of the warm-started model are."""


def warm_start_for(names: Sequence[str], start: str = "unequal") -> WarmStart:
    """The warm start of a suite with tasks of these names.

    With the start "rare" one more lesson comes at the end, without any careful author of ARC: next to no
    group of it carries a gradient, and a sampler's filter rates differ as strongly as they can.

    Raises:
        ValueError: if there is no such start.
    """
    if start not in STARTS:
        raise ValueError(f"start must be one of {list(STARTS)}, got {start!r}")
    is_nine = set(names) == NINE_TASK_WARM_START.lessons[-1].careful.keys()
    warm_start = NINE_TASK_WARM_START if is_nine else WARM_START
    if start == "unequal":
        return warm_start
    habits = warm_start.lessons[-1]
    careful = {task: 0.0 if task.startswith("arc") else share for task, share in habits.careful.items()}
    rare = Lesson("unlearning ARC", steps=_RARE_STEPS, lr=habits.lr, careful=careful)
    return replace(warm_start, lessons=(*warm_start.lessons, rare))


def recipe_of(names: Sequence[str], warm_start: WarmStart, *, seed: int) -> dict[str, Any]:
    """Everything on which the model depends that a warm start makes for tasks of these names."""
    return {
        "version": _VERSION,
        "tasks": list(names),
        "size": asdict(TinyModelConfig()),
        "lessons": [asdict(lesson) for lesson in warm_start.lessons],
        "batch_size": warm_start.batch_size,
        "seed": seed,
    }


def warm_started_name(names: Sequence[str], warm_start: WarmStart, *, seed: int) -> str:
    """The name of the folder that keeps the model: another recipe has another name."""
    text = json.dumps(recipe_of(names, warm_start, seed=seed), sort_keys=True)
    return f"start-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


OnLessonStep = Callable[[Lesson, int, float], None]
"""Follows a warm start: called with the lesson, the number of its step that was taken, and the loss."""


def warm_started_model(
    folder: Path,
    suite: TaskSuite,
    warm_start: WarmStart,
    *,
    seed: int,
    on_step: OnLessonStep = lambda lesson, step, loss: None,
) -> Path:
    """The folder of the warm-started tiny model below `folder`, made on first use and found again ever after.

    The model is kept after every lesson, so warm starts that begin alike share what they have in common.

    Raises:
        ValueError: if a task's prompts are too long for the tiny model.
    """
    size, tokenizer = TinyModelConfig(), tiny_tokenizer()
    _check_fit(suite, size.context)
    parts = [replace(warm_start, lessons=warm_start.lessons[: n + 1]) for n in range(len(warm_start.lessons))]
    targets = [Path(folder) / warm_started_name(suite.names, part, seed=seed) for part in parts]
    done = max((n for n, target in enumerate(targets, start=1) if target.is_dir()), default=0)
    if done < len(targets):  # or it would show after the lesson
        refuse_unwritable_folder(Path(folder))
    model = whole_model_of(targets[done - 1]) if done else tiny_model(tokenizer, size, seed=seed)
    for number, (part, target) in enumerate(zip(parts[done:], targets[done:], strict=True), start=done):
        _imitate(model, tokenizer, suite, part, seed=seed + number, on_step=on_step)
        with atomic_folder(target) as unfinished, warnings.catch_warnings():
            model.save_pretrained(unfinished)
            tokenizer.save_pretrained(unfinished)
            recipe = recipe_of(suite.names, part, seed=seed)
            (unfinished / "recipe.json").write_text(json.dumps(recipe, indent=1), encoding="utf-8")
    return targets[-1]


def _imitate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    suite: TaskSuite,
    warm_start: WarmStart,
    *,
    seed: int,
    on_step: OnLessonStep,
) -> None:
    """The last lesson of a warm start."""
    lesson = warm_start.lessons[-1]
    careful = {task: lesson.careful.get(task, 1.0) for task in suite.names}
    imitate(
        model,
        tokenizer,
        named_object(_DEMONSTRATORS)(suite, careful),
        num_steps=lesson.steps,
        batch_size=warm_start.batch_size,
        lr=lesson.lr,
        seed=seed,
        progress=partial(on_step, lesson),
    )


def _check_fit(suite: TaskSuite, context: int) -> None:
    for problem in suite.held_out(1):
        prompt, _ = suite.envs(problem.task_id, 1)[0].reset(seed=problem.seed, options=dict(problem.options))
        if len(prompt) > context // 2:
            raise ValueError(
                f"the tiny model reads prompts of up to {context // 2} characters, those of task "
                f"{suite.names[problem.task_id]!r} have {len(prompt)}: choose the mini suite, or another model"
            )
