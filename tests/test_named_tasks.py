"""One reader for tasks by name, level, id, class, function and rows, alone and mixed."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Guess, Sum

from mtgrpo_env import task_registry
from mtgrpo_env.checker import check_task
from mtgrpo_env.envs.gymnasium_tasks import control_suite
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.named_tasks import SUITES, TaskSpec, read_tasks, register_task, task_class, task_names
from mtgrpo_env.problem_sets import named_problem_set, rows_problem_set
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task import SUCCESS_THRESHOLDS, Task
from mtgrpo_env.text_env import TextEnv

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    {"data_source": "countdown-easy-train", "prompt": "p", "ground_truth": {"numbers": "1,2,3", "target": 6}},
    {"data_source": "countdown-easy-train", "prompt": "q", "ground_truth": {"numbers": "2,2", "target": 4}},
    {"data_source": "countdown-mini-train", "prompt": "r", "ground_truth": {"numbers": "7,8", "target": 15}},
]


def two_locks() -> TaskSuite:
    return toy_suite(2, seed=7, split="test")


def a_list() -> list[Task]:
    return list(toy_suite(2))


@pytest.fixture
def registry() -> Iterator[None]:
    """Tasks and ids that a test registers are gone after it."""
    tasks, ids = dict(task_registry._TASKS), dict(gym.registry)
    yield
    task_registry._TASKS.clear()
    task_registry._TASKS.update(tasks)
    gym.registry.clear()
    gym.registry.update(ids)


def write_rows(file: Path, *rows: dict[str, Any]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


# What a name stands for


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("countdown-easy", ["countdown-easy"]),
        ("arc", ["arc-medium"]),
        ("mini", ["countdown-mini", "zebra-mini", "arc-mini"]),
        ("mini, guessing-hard", ["countdown-mini", "zebra-mini", "arc-mini", "guessing-hard"]),
        ("CartPole-v1", ["CartPole-v1"]),
        ("MTReason/Zebra-v0", ["MTReason/Zebra-v0"]),
        ("gym:CartPole-v1, Taxi-v4", ["CartPole-v1", "Taxi-v4"]),
        ("countdown-mini,gym:Taxi-v4", ["countdown-mini", "Taxi-v4"]),
        ("mtgrpo_env.envs.arc:Arc", ["Arc"]),
        ("mtgrpo_env.envs.toy:toy_suite", toy_suite(3).names),
        (
            ["arc-easy", Sum, Guess, Task("own", Guess), "CartPole-v1"],
            ["arc-easy", "Sum", "Guess", "own", "CartPole-v1"],
        ),
        (["mini", "mtgrpo_env.envs.toy:toy_suite"], [*SUITES["mini"], *toy_suite(3).names]),
        (Sum, ["Sum"]),
        (Task("own", Guess), ["own"]),
        ("control", control_suite().names),
    ],
)
def test_a_spec_stands_for_its_tasks(spec: TaskSpec | list[TaskSpec], names: list[str]) -> None:
    suite = read_tasks(spec)
    assert list(suite.names) == list(names)
    assert TaskSuite(spec).names == suite.names
    assert suite.next_problem(0) == suite.held_out(1, split="train")[0]


def test_tasks_by_name_have_the_streams_that_they_always_had() -> None:
    """A regression lock: published numbers are of these problems."""
    assert named_problem_set("zebra-mini,arc-mini", count=4).fingerprint() == "f6dccf788b92"
    assert named_problem_set("mini", count=3, seed=2).fingerprint() == "5850d72ac069"  # Countdown is of version 2
    assert named_problem_set("control", count=3).fingerprint() == "b58086b3d01a"
    assert named_problem_set("gym:CartPole-v1,CliffWalking-v1,Pendulum-v1", count=3).fingerprint() == "8f24c0ec842b"
    assert named_problem_set("mtgrpo_env.envs.toy:toy_suite", count=3, seed=5).fingerprint() == "1d75cf1715ed"


def test_split_seed_level_and_extraction_reach_the_tasks() -> None:
    suite = read_tasks(["zebra", "arc-mini"], split="test", seed=3, level="easy", extraction="released")
    assert repr(suite) == "TaskSuite(['zebra-easy', 'arc-mini'], split='test', seed=3)"
    assert suite.next_problem(0) == reason_suite(["zebra-easy"], split="test", seed=3).next_problem(0)
    env: Any = suite.envs(0, 1)[0]
    assert env.extract.__name__ == "released_box"


def test_a_suite_is_returned_as_it_is_and_so_is_one_that_a_function_makes() -> None:
    suite = toy_suite(2)
    assert read_tasks(suite) is suite
    made = read_tasks(f"{__name__}:two_locks", seed=1)
    assert (made.names, made.seed, made.split) == (suite.names, 7, "test")
    one_of_several = read_tasks([f"{__name__}:two_locks", "CartPole-v1"], seed=1)
    assert (len(one_of_several), one_of_several.seed, one_of_several.split) == (3, 1, "train")
    assert read_tasks(f"{__name__}:a_list", seed=1).seed == 1


def test_text_tasks_by_id_and_by_class_have_splits_that_share_no_puzzle() -> None:
    for spec in ("MTReason/Zebra-v0", "mtgrpo_env.envs.arc:Arc", Sum):
        (task,) = read_tasks(spec)
        assert task.options == {"train": {"split": "train"}, "test": {"split": "test"}}
        check_task(task, num_problems=5)


def test_ids_have_one_threshold_and_one_limit_of_steps_wherever_they_are_named() -> None:
    for suite in (TaskSuite(["CliffWalking-v1"]), read_tasks("gym:CliffWalking-v1"), read_tasks("CliffWalking-v1")):
        (task,) = suite
        assert task.success_threshold == SUCCESS_THRESHOLDS["CliffWalking-v1"]
        env = task.make()
        assert env.spec is not None
        assert env.spec.max_episode_steps == 200


# Rows


def test_the_rows_of_one_list_are_pooled(tmp_path: Path) -> None:
    first, second = write_rows(tmp_path / "a.jsonl", *ROWS[:1]), write_rows(tmp_path / "b.jsonl", *ROWS[1:])
    suite = read_tasks([first, "zebra-mini", second])
    assert suite.names == ("countdown-easy", "countdown-mini", "zebra-mini")
    env: Any = suite.envs(0, 1)[0]
    assert len(env.puzzles) == 2


def test_a_problem_set_of_rows_holds_every_row_in_order(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    write_rows(file, *ROWS)
    problems = rows_problem_set(file)
    assert (problems.name, problems.suite.names) == (str(file), ("countdown-easy", "countdown-mini"))
    assert [(problem.task_id, problem.index) for problem in problems.problems] == [(0, 0), (0, 1), (1, 0)]
    assert problems.levels() == {"countdown-easy": "easy", "countdown-mini": "mini"}


# One name per task


class Named(Sum):
    """A task of one's own without levels."""


class Graded(Sum):
    """One with levels, as `BoxedTask` has them."""

    LEVELS = {"low": 1, "high": 2}

    def __init__(self, level: str = "low", *, extraction: str = "last-box", **options: Any) -> None:
        super().__init__(level=self.LEVELS[level], **options)


@pytest.mark.usefixtures("registry")
def test_a_task_of_ones_own_takes_one_line() -> None:
    register_task("own_sum", f"{__name__}:Named")
    register_task("own_sum", f"{__name__}:Named")  # again, as a module that is imported anew does
    assert read_tasks("own_sum,arc-mini").names == ("own_sum", "arc-mini")
    assert type(gym.make("MTReason/OwnSum-v0").unwrapped).__name__ == "Named"
    prompts, _ = gym.make_vec("MTReason/OwnSum-v0", num_envs=4, group_size=2).reset(seed=0)
    assert len(set(prompts)) == 2


@pytest.mark.usefixtures("registry")
def test_a_task_with_levels_is_named_with_one() -> None:
    register_task("graded", f"{__name__}:Graded")
    assert read_tasks(["graded-high"]).names == ("graded-high",)
    with pytest.raises(ValueError, match=r"level of task 'graded' must be one of \['low', 'high'\], got 'medium'"):
        read_tasks("graded")


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Own", "lower case letters, digits and underscores, got 'Own'"),
        ("own-task", "got 'own-task'"),
        ("mini", "must be new, got 'mini'"),
        ("arc", "must be new, got 'arc'"),
    ],
)
def test_a_name_that_cannot_be_told_from_others_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_task(name, f"{__name__}:Named")


def test_every_registered_task_is_a_text_env_of_its_class() -> None:
    assert all(issubclass(task_class(name), TextEnv) for name in task_names())
    with pytest.raises(ValueError, match=r"task must be one of \['countdown', .*got 'chess'"):
        task_class("chess")


# Mistakes


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mniature", r"task must be one of \['countdown', .*\['mini', .*'gym:id'.*\.parquet, .*; got 'mniature'"),
        ("countdwon-easy", r"task must be one of .*got 'countdwon-easy'"),
        ("zebra-enormous", r"level of task 'zebra' must be one of \['mini', .*got 'enormous'"),
        ("zebra-easy,zebra-easy", r"task names must be unique, got \['zebra-easy'\]"),
        ("gym:CartPole-v99", "expected a registered Gymnasium id, got 'CartPole-v99'"),
        ("gym:", "expected a registered Gymnasium id, got ''"),
        ("nowhere:suite", "expected 'package.module:name', got 'nowhere:suite'"),
        ("builtins:dict", "builtins:dict must make a TaskSuite, got {}"),
        ("", "task must be one of .*got ''"),
        ([], "at least one task"),
        ([dict], "a class must be a Gymnasium env to be a task, got dict"),
        ("none.jsonl,arc", "none.jsonl"),
    ],
)
def test_a_mistake_is_named_with_what_is_known(spec: Any, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_tasks(spec)


def test_what_is_no_task_at_all_is_named() -> None:
    with pytest.raises(ValueError, match="a task must be a name, a class or a Task, got 3"):
        read_tasks([3])  # pyright: ignore[reportArgumentType]


def test_a_problem_set_needs_problems() -> None:
    with pytest.raises(ValueError, match="problems must be at least 1, got 0"):
        named_problem_set("mini", count=0)


# Cost


def test_a_task_is_imported_when_it_is_named() -> None:
    code = (
        "import sys; from mtgrpo_env.named_tasks import read_tasks; read_tasks('CartPole-v1');"
        "before = [name for name in sys.modules if name.startswith('mtgrpo_env.envs')];"
        "read_tasks('zebra-easy');"
        "print(before, *(f'mtgrpo_env.envs.{name}' in sys.modules for name in ('zebra', 'arc')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.split() == ["[]", "True", "False"]


def test_a_problem_stream_survives_pickling_of_the_suite() -> None:
    suite = read_tasks(["arc-mini", "CartPole-v1", Sum])
    copy = pickle.loads(pickle.dumps(suite))
    drawn = [[own.next_problem(k) for k in range(3)] for own in (suite, copy)]
    assert drawn[0] == drawn[1]
    assert np.array_equal(copy.envs(1, 1)[0].reset(seed=1)[0], suite.envs(1, 1)[0].reset(seed=1)[0])


def test_an_id_may_name_its_module_without_a_prefix() -> None:
    assert read_tasks("mtgrpo_env:MTReason/Zebra-v0").names == ("mtgrpo_env:MTReason/Zebra-v0",)
    with pytest.raises(ValueError, match="expected a registered Gymnasium id, got 'nowhere:Mine-v0'"):
        read_tasks("nowhere:Mine-v0")
