"""Tasks by name: what a name stands for, and `register_task`, which gives a task its name.

The registry holds names of classes, "package.module:Class", so that nothing is imported before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import gymnasium as gym

from mtgrpo_env.named_objects import did_you_mean, named_class, named_object
from mtgrpo_env.row_options import HUB, ROW_FILES, RowOptions
from mtgrpo_env.task import AnyEnv, Task
from mtgrpo_env.text_env import TextEnv

TaskSpec = str | type[AnyEnv] | Task
"""One or several tasks. A string is one of these, or a list of them with commas between:

| string | tasks |
|---|---|
| `countdown-easy`, `countdown` | a registered task at a level, or at the default level |
| `mini`, `nine`, `short`, `control` | the tasks of a suite of `SUITES` |
| `CartPole-v1`, `MTReason/Zebra-v0`, `minigrid:MiniGrid-Empty-5x5-v0` | a Gymnasium id, with its module or without |
| `gym:CartPole-v1,Taxi-v4` | ids, which may name the module that registers them |
| `reasoning-gym:chain_sum,gcd` | data sets of reasoning-gym |
| `package.module:name` | a `TextEnv` or other Gymnasium class, or a function that makes a `TaskSuite` |
| `train.parquet`, `sums.jsonl`, `data/`, `hf:openai/gsm8k` | a task for each task and level in the rows of files, \
folders and data sets of the hub; those of one list are pooled |
"""

DEFAULT_LEVEL = "medium"
_VERSIONED = re.compile(r"-v\d+$")  # no name of Python ends so: "minigrid:MiniGrid-Empty-5x5-v0" is an id

_PAPER = ("countdown", "zebra", "arc")
_LEVELS = ("mini", "mini_medium", "mini_hard", "easy", "medium", "hard", "very_hard")

SUITES: Mapping[str, tuple[str, ...]] = {
    **{level: tuple(f"{name}-{level}" for name in _PAPER) for level in _LEVELS},
    "nine": tuple(f"{name}-{level}" for name in _PAPER for level in ("easy", "medium", "hard")),
    "mini-nine": tuple(f"{name}-{level}" for name in _PAPER for level in ("mini", "mini_medium", "mini_hard")),
    "short": tuple(f"short-{kind}" for kind in ("larger", "biggest", "letter", "product")),
    "control": ("mtgrpo_env.envs.gymnasium_tasks:control_suite",),
}
"""Named suites: the paper's three tasks at one level, its nine tasks in full and in mini size, four of short answers,
classic control. One that consists of levels of a single task may have that task's name."""

_TASKS: dict[str, str] = {}


def register_task(name: str, entry_point: str, *, alias_ids: Iterable[str] = ()) -> None:
    """Give a `TextEnv` its one name: in suites ("name-level"), in data rows, and as the id "MTReason/Name-v0".

    A class with `LEVELS` is made as `Class(level, extraction=..., render_mode="ansi")`, as every `BoxedTask` is;
    one without as `Class(render_mode="ansi")`.

    Args:
        name: lower case letters, digits and underscores.
        entry_point: "package.module:Class", imported when the task is first used.
        alias_ids: further Gymnasium ids of the same class.

    Raises:
        ValueError: if the name has other characters, or stands for another class or suite.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ValueError(f"name of a task must be lower case letters, digits and underscores, got {name!r}")
    is_suite_of_others = any(not task.startswith(f"{name}-") for task in SUITES.get(name, ()))
    if is_suite_of_others or _TASKS.get(name, entry_point) != entry_point:
        raise ValueError(f"name of a task must be new, got {name!r}, which is a suite or another task")
    if name in _TASKS:
        return
    _TASKS[name] = entry_point
    for env_id in (f"MTReason/{name.title().replace('_', '')}-v0", *alias_ids):
        gym.register(env_id, entry_point, vector_entry_point=f"mtgrpo_env.task_vectors:{name}")


def task_names() -> tuple[str, ...]:
    """The registered tasks, in order."""
    return tuple(_TASKS)


def is_registered(names: str) -> bool:
    """Whether a string names registered tasks, suites and ids only, so that it imports no code but theirs.

    >>> is_registered("countdown-easy, CartPole-v1"), is_registered("my_module:MyEnv")
    (True, False)
    """
    parts = [part.strip() for part in names.split(",")]
    known = [part.partition("-")[0] in _TASKS or part in SUITES or part in gym.registry for part in parts]
    return all(known) and ":" not in names  # "math-x:y" is a module


def task_class(name: str) -> type[TextEnv[Any]]:
    """The class of a registered task.

    Raises:
        ValueError: naming the registered tasks, if there is none of that name.
    """
    if name not in _TASKS:
        raise ValueError(f"task must be one of {list(_TASKS)}, got {name!r}")
    return named_class(_TASKS[name], TextEnv)


def tasks_of(
    specs: TaskSpec | Iterable[TaskSpec],
    *,
    level: str = DEFAULT_LEVEL,
    extraction: str = "last-box",
    row_options: RowOptions | None = None,
) -> tuple[Task, ...]:
    """The tasks that the specs stand for, in order.

    Args:
        specs: see `TaskSpec`.
        level: of the tasks by name that name none.
        extraction: how an answer is found in a response to a task by name: "last-box" or "released".
        row_options: how rows are read and scored.

    Raises:
        ValueError: naming what is known, if a spec stands for nothing; or if rows cannot be read or scored.
        ImportError: if a task's package is not installed.

    >>> tasks_of("countdown-mini, CartPole-v1")
    (Task('countdown-mini'), Task('CartPole-v1', success_threshold=475.0))
    """
    parts = list(_parts([specs] if isinstance(specs, str | type | Task) else specs))
    sources = list(dict.fromkeys(part for part in parts if isinstance(part, str) and is_rows(part)))
    tasks: list[Task] = []
    for part in parts:
        if isinstance(part, Task):
            tasks.append(part)
        elif isinstance(part, type):
            tasks.append(Task.from_class(part))
        elif part not in sources:
            tasks += _named(part, level, extraction)
        elif part == sources[0]:
            tasks += _rows_tasks(sources, extraction, row_options or RowOptions())
    return tuple(tasks)


def is_rows(spec: str) -> bool:
    """Whether a string is a file or folder of rows, or a data set on the hub, and no name of a task."""
    if spec.startswith(HUB) or spec.endswith(ROW_FILES):
        return True
    known = spec in SUITES or spec in gym.registry or spec.partition("-")[0] in _TASKS
    return bool(spec) and not known and Path(spec).is_dir()


def is_object_name(spec: object) -> bool:
    """Whether a spec is one string "package.module:name"."""
    if not isinstance(spec, str) or ":" not in spec or "," in spec:
        return False
    return _prefix(spec) not in (*_PREFIXES, HUB[:-1]) and _VERSIONED.search(spec) is None


def tasks_from(name: str) -> Collection[Task]:
    """The task of the class called "package.module:name", or the suite that the function of that name makes.

    Raises:
        ValueError: if it is neither.
    """
    found = named_object(name)
    if isinstance(found, type) and issubclass(found, gym.Env):
        return (Task.from_class(found),)
    made = found()
    if not (isinstance(made, Collection) and made and all(isinstance(task, Task) for task in made)):
        raise ValueError(f"{name} must make a TaskSuite, got {made!r:.80}")
    return made


def _parts(specs: Iterable[TaskSpec]) -> Iterator[TaskSpec]:
    """The specs, with lists in strings and named suites taken apart."""
    for spec in specs:
        if isinstance(spec, type | Task):
            yield spec
        elif not isinstance(spec, str):
            raise ValueError(f"a task must be a name, a class or a Task, got {spec!r:.80}")
        elif (prefix := _prefix(spec)) in _PREFIXES:
            yield from (f"{prefix}:{name.strip()}" for name in spec.partition(":")[2].split(","))
        elif "," in spec:
            yield from _parts(part.strip() for part in spec.split(","))
        else:
            yield from SUITES.get(spec, (spec,))


def _prefix(spec: str) -> str:
    return spec.partition(":")[0].strip() if ":" in spec else ""


def _named(name: str, level: str, extraction: str) -> Collection[Task]:
    if (prefix := _prefix(name)) in _PREFIXES:
        return (_PREFIXES[prefix](name.partition(":")[2]),)
    if is_object_name(name):
        return tasks_from(name)
    base, _, own_level = name.partition("-")
    if base in _TASKS:
        return (_registered(base, own_level or level, extraction),)
    if name in gym.registry or (":" in name and _VERSIONED.search(name)):
        return (Task.from_id(name),)
    raise ValueError(
        f"task must be one of {list(_TASKS)}, with or without a level as in 'arc-easy', "
        f"or a suite, one of {list(SUITES)}, or a registered Gymnasium id, 'gym:id', 'reasoning-gym:name', "
        f"'package.module:name', a file of rows, {', '.join(ROW_FILES)}, or a folder of them; got {name!r}"
        f"{did_you_mean(name, [*_TASKS, *SUITES])}"
    )


def _registered(name: str, level: str, extraction: str) -> Task:
    env_type = task_class(name)
    if not env_type.LEVELS:
        return Task.from_text(name, partial(env_type, render_mode="ansi"))
    if level not in env_type.LEVELS:
        near = did_you_mean(level, env_type.LEVELS)
        raise ValueError(f"level of task {name!r} must be one of {list(env_type.LEVELS)}, got {level!r}{near}")
    make = cast("Callable[..., AnyEnv]", env_type)  # by the contract of `register_task`
    return Task.from_text(f"{name}-{level}", partial(make, level, extraction=extraction, render_mode="ansi"))


def _reasoning_gym_task(name: str) -> Task:
    return named_object("mtgrpo_env.envs.reasoning_gym_tasks:reasoning_gym_task")(name)


def _rows_tasks(sources: Iterable[str], extraction: str, options: RowOptions) -> Collection[Task]:
    return named_object("mtgrpo_env.envs.rows:file_suite")(sources, options=options, extraction=extraction)


_PREFIXES: Mapping[str, Callable[[str], Task]] = {"gym": Task.from_id, "reasoning-gym": _reasoning_gym_task}

register_task("countdown", "mtgrpo_env.envs.countdown:Countdown")
register_task("zebra", "mtgrpo_env.envs.zebra:Zebra")
register_task("arc", "mtgrpo_env.envs.arc:Arc")
register_task("math", "mtgrpo_env.envs.mathematics:Mathematics", alias_ids=["MTReason/Mathematics-v0"])
register_task("science", "mtgrpo_env.envs.science:Science")
register_task("guessing", "mtgrpo_env.envs.number_guessing:NumberGuessing", alias_ids=["MTReason/NumberGuessing-v0"])
register_task("short", "mtgrpo_env.envs.short_answers:ShortAnswers")
