"""Suites of tasks with leak-free streams of problems."""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mtgrpo_env.log_once import log_once
from mtgrpo_env.problem_lists import SOLVED_FLOOR, FixedTasks
from mtgrpo_env.task import TASK_FAULTS, AnyEnv, Task, TaskError
from mtgrpo_env.task_registry import DEFAULT_LEVEL, TaskSpec, tasks_of
from mtgrpo_env.text_env import Opening, TextEnv
from mtgrpo_env.types import SPLITS, Group, Problem, Split, checked_split

_LOG = logging.getLogger(__name__)
_MAX_REPEATS = 100  # in a row, before a task's puzzles count as used up
_MAX_LEFT_OUT = 1000  # in a row, before a task counts as having no other problems
_MAX_FAILED = 8  # problems in a row that cannot be made or judged, before their task counts as broken

LeftOut = Callable[[int, Opening], bool]
"""Whether a text problem of a task takes no part."""


class TaskSuite:
    """K tasks and, for each, a reproducible stream of problems.

    The i-th problem of a task depends on (seed, split, task name, i) and on nothing else: not on
    the other tasks, their order, or what was drawn from them. Text tasks keep the splits disjoint
    by the puzzles' keys, all others by their seeds. No puzzle of a text task comes twice in a stream
    before (nearly) all of them have come.

    A task with a fixed list of puzzles (`TextEnv.indices`), such as the rows of a file, shows all of them
    in every epoch, but those that are solved less often: see `ProblemList`.

    Args:
        tasks: the K tasks: names, Gymnasium ids, classes and `Task`s in any mixture; see `TaskSpec`.
        split: where `next_problem` draws from.
        seed: names all the streams.
        level: of the tasks by name that name none.
        extraction: how an answer is found in a response to a task by name: "last-box" or "released".
        solved_floor: the least share of the epochs in which a solved problem of a fixed list is drawn; 1 draws
            all alike.

    Raises:
        ValueError: if there is no task, two have one name, one is unknown, or the floor is not above 0 and at most 1.

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
        solved_floor: float = SOLVED_FLOOR,
    ) -> None:
        self.tasks = tasks_of(tasks, level=level, extraction=extraction)
        self.names = tuple(task.name for task in self.tasks)
        if not self.tasks:
            raise ValueError("a suite needs at least one task, got none")
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise ValueError(f"task names must be unique, got {repeated} more than once")
        self.split: Split = checked_split(split)
        self.solved_floor = solved_floor
        self._pools: dict[int, list[AnyEnv]] = {}
        self._failed_in_a_row = [0] * len(self.tasks)
        self.first_unmade: dict[int, TaskError] = {}  # of each task: its first problem left out since it raised
        self._latest: tuple[Problem, Opening] | None = None  # who draws a problem is about to open it
        self._is_left_out: LeftOut = no_problem
        self._accepts_changed_lists = False
        self._contents: dict[int, str] = {}  # an env's list never changes
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
        self._fixed = self._fixed_tasks(self.seed)

    def leave_out(self, is_left_out: LeftOut) -> None:
        """Start all streams anew without the text problems of which this is true, in training and held out alike."""
        self._is_left_out = is_left_out
        self.reseed(self.seed)

    def next_problem(self, task_id: int) -> Problem:
        """The next problem of a task's stream.

        Raises:
            TaskError: if a text task cannot make any of its next eight puzzles.
            ValueError: if a task has no problem of this split, or none but those left out.
        """
        cursor = self._cursors[task_id]
        if problems := self._fixed.problems(task_id, self.split):
            place, self._cursors[task_id] = problems.next(cursor)
            return self._fixed.problem(task_id, self.split, place, self._cursors[task_id] - 1)
        shown = self._shown[task_id]
        problem, identity, self._cursors[task_id] = self._next(task_id, self.split, cursor, shown)
        if identity in shown:
            came = f"about {len(shown)} {self.split} problems have come"
            log_once(_LOG, logging.INFO, f"task {self.names[task_id]!r}: all of {came}: they come again")
            shown.clear()
        if identity is not None:
            shown.add(identity)
        return problem

    def held_out(self, count: int, *, split: Split = "test") -> list[Problem]:
        """The first `count` problems of every task in `split`, task after task: always the same ones, none twice.

        A task that has fewer gives those that it has, and that is logged.

        Raises:
            TaskError, ValueError: as in `next_problem`.
        """
        return [problem for task_id in range(self.num_tasks) for problem in self._held_out(task_id, count, split)]

    def glimpse(self, count: int, *, most: int = 20_000) -> list[Problem]:
        """Problems of every task, for a look at their prompts: of a fixed list the first, of others `count` held out.

        Args:
            count: of each task without a fixed list.
            most: of each other.

        Raises:
            TaskError: as in `next_problem`.
        """
        seen: list[Problem] = []
        for task_id in range(self.num_tasks):
            listed = self._fixed.every_problem(task_id)
            seen += self._held_out(task_id, count, "test") if listed is None else listed[:most]
        return seen

    def num_problems(self, task_id: int, split: Split | None = None) -> int | None:
        """Of a task with a fixed list of problems, how many a split has, by default the suite's; else None.

        Raises:
            ValueError: if that is none.
        """
        problems = self._fixed.problems(task_id, split or self.split)
        return len(problems) if problems else None

    def count_failure(self, task_id: int, *, is_failed: bool) -> bool:
        """Note whether a task's env raised on all rollouts of a problem; true once it did on too many in a row."""
        self._failed_in_a_row[task_id] = self._failed_in_a_row[task_id] + 1 if is_failed else 0
        return self._failed_in_a_row[task_id] >= _MAX_FAILED

    def observe(self, groups: Iterable[Group]) -> None:
        """Find out which problems of fixed lists are solved, from all groups that were generated."""
        self._fixed.observe(groups, self.split)

    def contents(self) -> dict[str, str]:
        """Of each task with a fixed list of problems, by name: how many there are, and a digest of all they hold.

        Raises:
            ValueError: if a list has no problem of a split.
        """
        return {task.name: found for k, task in enumerate(self.tasks) if (found := self._fixed.content(k)) is not None}

    def solved(self) -> dict[str, float]:
        """Of each task with a fixed list of problems: the share whose latest group was all correct."""
        return self._fixed.solved(self.split)

    def _held_out(self, task_id: int, count: int, split: Split) -> list[Problem]:
        if problems := self._fixed.problems(task_id, split):
            places = [problems.place(cursor) for cursor in range(min(count, len(problems)))]
            found = [self._fixed.problem(task_id, split, place, cursor) for cursor, place in enumerate(places)]
        else:
            found = self._fresh(task_id, count, split)
        if len(found) < count and split == "test":
            has = f"task {self.names[task_id]!r}: {len(found)} distinct {split} problems"
            log_once(_LOG, logging.INFO, f"{has}, fewer than the {count} asked for: each is played once")
        return found

    def _fresh(self, task_id: int, count: int, split: Split) -> list[Problem]:
        """The first problems of a stream, up to the end of its different ones."""
        found: list[Problem] = []
        cursor, shown = 0, set[int]()
        while len(found) < count:
            problem, identity, cursor = self._next(task_id, split, cursor, shown)
            if identity in shown:
                break
            found.append(problem)
            if identity is not None:
                shown.add(identity)
        return found

    def _next(self, task_id: int, split: Split, cursor: int, shown: Collection[int]) -> tuple[Problem, int | None, int]:
        """The first problem from `cursor` on that is not `shown`, or the last of too many that are.

        With it come its identity, None where there is no puzzle that could come twice, and the cursor after it.
        """
        left_out, repeats, failed = 0, 0, 0
        while True:
            problem = self._problem(task_id, split, cursor)
            cursor += 1
            try:
                opening = self.opening(problem)
                failed = 0
            except TaskError as error:
                failed += 1
                if failed == _MAX_FAILED:
                    raise
                if self.first_unmade.setdefault(task_id, error) is error:
                    _LOG.warning("left out, as others of its task that cannot be made will be: %s", error)
                continue
            if opening is not None and self._is_left_out(task_id, opening):
                left_out += 1
                if left_out == _MAX_LEFT_OUT:
                    name = self.names[task_id]
                    raise ValueError(f"task {name!r}: {left_out} {split} problems in a row are left out, all that came")
                continue
            identity = None if opening is None else int(opening.provenance.hash, base=16)
            repeats += 1
            if identity not in shown or repeats == _MAX_REPEATS:
                return problem, identity, cursor

    def opening(self, problem: Problem) -> Opening | None:
        """How a problem starts, without touching any episode; None unless the task is a text task.

        Raises:
            TaskError: if the task cannot make the puzzle.
        """
        if self._latest is not None and self._latest[0] is problem:
            return self._latest[1]
        env = self._text_env(problem.task_id)
        if env is None:
            return None
        try:
            opening = env.opening(seed=problem.seed, options=problem.options)
        except TASK_FAULTS as error:
            raise TaskError.of(self.tasks[problem.task_id], problem, "reset", error) from error
        self._latest = (problem, opening)
        return opening

    def _fixed_tasks(self, seed: int) -> FixedTasks:
        return FixedTasks(
            self.tasks,
            self._text_env,
            seed=seed,
            solved_floor=self.solved_floor,
            is_left_out=self._is_left_out,
            contents=self._contents,
        )

    def _text_env(self, task_id: int) -> TextEnv[Any] | None:
        env = self.envs(task_id, 1)[0].unwrapped
        return env if isinstance(env, TextEnv) else None

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
            "fixed": self._fixed.state_dict(self.split),
        }

    def accept_changed_lists(self) -> None:
        """Let a saved state be continued with other fixed lists of problems, of which nothing is known then."""
        self._accepts_changed_lists = True

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the streams of a saved suite.

        Raises:
            ValueError: if the state was saved by a suite with other tasks or another split, or the fixed list of
                problems of a task has changed since.
        """
        for own, word in ((list(self.names), "names"), (self.split, "split")):
            if state[word] != own:
                raise ValueError(f"the saved suite has {word} {state[word]!r}, this one has {own!r}")
        fixed = self._fixed_tasks(int(state["seed"]))
        saved = state.get("fixed", {})  # earlier versions had none
        fixed.load_state_dict(fixed.unchanged(saved) if self._accepts_changed_lists else saved, self.split)
        self.seed, self._fixed = fixed.seed, fixed
        self._cursors = [int(cursor) for cursor in state["cursors"]]
        self._shown = [_unpacked(shown) for shown in state["shown"]]


def no_problem(task_id: int, opening: Opening) -> bool:
    """Leave no problem out."""
    return False


def _packed(shown: set[int]) -> str:
    return base64.b64encode(np.array(sorted(shown), dtype="<u8").tobytes()).decode()


def _unpacked(text: str) -> set[int]:
    return set(np.frombuffer(base64.b64decode(text), dtype="<u8").tolist())
