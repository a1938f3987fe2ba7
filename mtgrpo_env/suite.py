"""Suites of tasks with leak-free streams of problems."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mtgrpo_env.task import AnyEnv, Task, TaskError
from mtgrpo_env.task_registry import DEFAULT_LEVEL, TaskSpec, tasks_of
from mtgrpo_env.text_env import Opening, TextEnv
from mtgrpo_env.types import SPLITS, Problem, Split, checked_split

_MAX_REPEATS = 100  # in a row, before a task's puzzles count as used up


class TaskSuite:
    """K tasks and, for each, a reproducible stream of problems.

    The i-th problem of a task depends on (seed, split, task name, i) and on nothing else: not on
    the other tasks, their order, or what was drawn from them. Text tasks keep the splits disjoint
    by the puzzles' keys, all others by their seeds. No puzzle of a text task comes twice in a stream
    before (nearly) all of them have come.

    Args:
        tasks: the K tasks: names, Gymnasium ids, classes and `Task`s in any mixture; see `TaskSpec`.
        split: where `next_problem` draws from.
        seed: names all the streams.
        level: of the tasks by name that name none.
        extraction: how an answer is found in a response to a task by name: "last-box" or "released".

    Raises:
        ValueError: if there is no task, two have one name, or one is unknown.

    >>> suite = TaskSuite(["countdown-easy", "CartPole-v1"])
    >>> suite
    TaskSuite(['countdown-easy', 'CartPole-v1'], split='train', seed=0)
    >>> len(suite), suite["CartPole-v1"]
    (2, Task('CartPole-v1', success_threshold=475.0))
    >>> suite.next_problem(0) == suite.next_problem(0)
    False
    """

    def __init__(
        self,
        tasks: TaskSpec | Iterable[TaskSpec],
        *,
        split: Split = "train",
        seed: int = 0,
        level: str = DEFAULT_LEVEL,
        extraction: str = "last-box",
    ) -> None:
        self.tasks = tasks_of(tasks, level=level, extraction=extraction)
        self.names = tuple(task.name for task in self.tasks)
        if not self.tasks:
            raise ValueError("a suite needs at least one task, got none")
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise ValueError(f"task names must be unique, got {repeated} more than once")
        self.split: Split = checked_split(split)
        self._pools: dict[int, list[AnyEnv]] = {}
        self._latest: tuple[Problem, Opening] | None = None  # who draws a problem is about to open it
        self.reseed(seed)

    @property
    def num_tasks(self) -> int:
        return len(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Task:
        if name not in self.names:
            raise ValueError(f"task must be one of {list(self.names)}, got {name!r}")
        return self.tasks[self.names.index(name)]

    def __repr__(self) -> str:
        return f"TaskSuite({list(self.names)}, split={self.split!r}, seed={self.seed})"

    def reseed(self, seed: int) -> None:
        """Start all streams anew, under another name."""
        self.seed = int(seed)
        self._cursors = [0] * self.num_tasks
        self._shown: list[set[int]] = [set() for _ in self.tasks]

    def next_problem(self, task_id: int) -> Problem:
        """The next problem of a task's stream.

        Raises:
            TaskError: if a text task cannot make its next puzzle.
        """
        problem, self._cursors[task_id] = self._next(task_id, self.split, self._cursors[task_id], self._shown[task_id])
        return problem

    def held_out(self, count: int, *, split: Split = "test") -> list[Problem]:
        """The first `count` problems of every task in `split`, task after task: always the same ones.

        Raises:
            TaskError: as in `next_problem`.
        """
        problems: list[Problem] = []
        for task_id in range(self.num_tasks):
            cursor, shown = 0, set[int]()
            for _ in range(count):
                problem, cursor = self._next(task_id, split, cursor, shown)
                problems.append(problem)
        return problems

    def _next(self, task_id: int, split: Split, cursor: int, shown: set[int]) -> tuple[Problem, int]:
        """The first problem from `cursor` on that was not `shown`, now counted as shown, and the cursor after it."""
        repeats = 0
        while True:
            problem = self._problem(task_id, split, cursor)
            opening = self.opening(problem)
            cursor += 1
            if opening is None:  # no puzzle that could come twice
                return problem, cursor
            identity = int(opening.provenance.hash, base=16)
            if identity in shown:
                repeats += 1
                if repeats < _MAX_REPEATS:
                    continue
                shown.clear()
            shown.add(identity)
            return problem, cursor

    def opening(self, problem: Problem) -> Opening | None:
        """How a problem starts, without touching any episode; None unless the task is a text task.

        Raises:
            TaskError: if the task cannot make the puzzle.
        """
        if self._latest is not None and self._latest[0] is problem:
            return self._latest[1]
        env = self.envs(problem.task_id, 1)[0].unwrapped
        if not isinstance(env, TextEnv):
            return None
        try:
            opening = env.opening(seed=problem.seed, options=problem.options)
        except Exception as error:
            raise TaskError.of(self.tasks[problem.task_id], problem, "reset", error) from error
        self._latest = (problem, opening)
        return opening

    def _problem(self, task_id: int, split: Split, index: int) -> Problem:
        task = self.tasks[task_id]
        stream = (SPLITS.index(split), zlib.crc32(task.name.encode()), index)
        words = np.random.SeedSequence(self.seed, spawn_key=stream).generate_state(2, np.uint32)
        seed = int(words[0]) << 31 | int(words[1]) >> 1  # 63 bits: some envs keep seeds in an int64
        return Problem(task_id, seed, dict(task.options.get(split, {})), index)

    def envs(self, task_id: int, count: int) -> list[AnyEnv]:
        """`count` envs of a task, made when first needed and used again ever after."""
        pool = self._pools.setdefault(task_id, [])
        while len(pool) < count:
            pool.append(self.tasks[task_id].make())
        return pool[:count]

    def close(self) -> None:
        """Close every env that was made."""
        for pool in self._pools.values():
            for env in pool:
                env.close()
        self._pools.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pools": {}, "_latest": None}

    def state_dict(self) -> dict[str, Any]:
        """Where each stream stands, and which puzzles it has shown."""
        return {
            "names": list(self.names),
            "split": self.split,
            "seed": self.seed,
            "cursors": list(self._cursors),
            "shown": [_packed(shown) for shown in self._shown],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the streams of a saved suite.

        Raises:
            ValueError: if the state was saved by a suite with other tasks or another split.
        """
        for own, word in ((list(self.names), "names"), (self.split, "split")):
            if state[word] != own:
                raise ValueError(f"the saved suite has {word} {state[word]!r}, this one has {own!r}")
        self.seed = int(state["seed"])
        self._cursors = [int(cursor) for cursor in state["cursors"]]
        self._shown = [_unpacked(shown) for shown in state["shown"]]


def _packed(shown: set[int]) -> str:
    return base64.b64encode(np.array(sorted(shown), dtype="<u8").tobytes()).decode()


def _unpacked(text: str) -> set[int]:
    return set(np.frombuffer(base64.b64decode(text), dtype="<u8").tolist())
