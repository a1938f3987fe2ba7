"""Tasks with a fixed list of problems, such as the rows of a file: drawn epoch by epoch, solved ones less often."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mtgrpo_env.ranges import Range
from mtgrpo_env.task import Task
from mtgrpo_env.text_env import Opening, TextEnv, hash_of
from mtgrpo_env.types import SPLITS, Group, IntArray, Problem, Split

SOLVED_FLOOR = 0.25
"""The least share of the epochs in which a solved problem is drawn, where nobody says otherwise.

One group that is all correct is weak evidence: of 8 rollouts that are right nine times out of ten, 43 % of the groups
are. So a problem is dropped by halves, and not below a quarter: what is forgotten is found within four epochs.
"""


class ProblemList:
    """A fixed list of problems, in seeded orders: all come in an epoch, once each, but for those that are solved.

    A problem whose latest group was all correct comes in every second epoch, after two such groups in a row in every
    fourth, and so on down to the floor; one wrong response, and it comes in every epoch again. A list that is solved
    throughout is drawn alike: what counts is how often a problem was solved beyond the least solved one.

    Nothing of this is left to chance: no problem waits longer than 1 / `solved_floor` epochs, about half of those that
    come in every second epoch come in each, and there is no generator to save.

    Args:
        places: of the problems, all different.
        stream: numbers that name the orders.
        shuffle: whether the problems come in random order, or as they stand.
        solved_floor: the least share of the epochs in which a problem comes; it is met by the next power of a half
            above it, and 1 draws all alike.

    Raises:
        ValueError: if there is no problem, or the floor is not above 0 and at most 1.

    >>> problems = ProblemList([5, 6, 7], stream=[1])
    >>> [problems.place(cursor) for cursor in range(6)]
    [5, 6, 7, 7, 5, 6]
    """

    def __init__(
        self,
        places: Sequence[int] | IntArray,
        *,
        stream: Sequence[int],
        shuffle: bool = True,
        solved_floor: float = SOLVED_FLOOR,
    ) -> None:
        if not len(places):
            raise ValueError("expected at least one problem, got none")
        self.places = np.asarray(places, dtype=np.int64)  # (P,)
        self.solved_floor = checked_floor(solved_floor)
        self._most_halvings = min(int(-math.log2(solved_floor)), 255)
        self._stream, self._shuffle = tuple(stream), shuffle
        self._index_of = {place: i for i, place in enumerate(self.places.tolist())}
        self._streaks = np.zeros(len(places), dtype=np.uint8)  # (P,) groups in a row that were all correct
        self._epoch, self._order = -1, self._order_of(0)
        self._turns = np.argsort(self._order)  # (P,) spreads the solved problems evenly over the epochs

    def __len__(self) -> int:
        return len(self.places)

    def place(self, cursor: int) -> int:
        """The place of the problem at `cursor`, counted from the start of the first epoch."""
        return int(self.places[self._index(cursor)])

    def next(self, cursor: int) -> tuple[int, int]:
        """The place of the first problem from `cursor` on whose turn it is, and the cursor after it."""
        least = self._streaks.min()
        while True:
            i, epoch = self._index(cursor), cursor // len(self)
            halvings = min(int(self._streaks[i] - least), self._most_halvings)
            cursor += 1
            if (epoch + int(self._turns[i])) % 2**halvings == 0:
                return int(self.places[i]), cursor

    def observe(self, place: int, group: Group) -> None:
        """A group of the problem at `place` was generated; rollouts that are not valid say nothing."""
        i = self._index_of[place]
        if not group.successes[group.valid].all():
            self._streaks[i] = 0
        elif group.valid.all():
            self._streaks[i] = min(int(self._streaks[i]) + 1, max(1, self._most_halvings))

    @property
    def solved(self) -> float:
        """The share of the problems whose latest group was all correct."""
        return float((self._streaks > 0).mean())

    def state_dict(self) -> dict[str, Any]:
        """Which problems are solved; a byte each."""
        return {"solved_floor": self.solved_floor, "streaks": base64.b64encode(self._streaks.tobytes()).decode()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue with the problems solved that were.

        Raises:
            ValueError: if the state is of another number of problems, or of another floor.
        """
        if state["solved_floor"] != self.solved_floor:
            raise ValueError(f"the saved solved_floor is {state['solved_floor']}, this one {self.solved_floor}")
        streaks = np.frombuffer(base64.b64decode(state["streaks"]), dtype=np.uint8)
        if len(streaks) != len(self):
            raise ValueError(f"the saved list has {len(streaks)} problems, this one {len(self)}")
        self._streaks = streaks.copy()

    def _index(self, cursor: int) -> int:
        epoch, turn = divmod(cursor, len(self))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._order_of(epoch)
        return int(self._order[turn])

    def _order_of(self, epoch: int) -> IntArray:
        """(P,) indices of the problems."""
        as_is = np.arange(len(self))
        return np.random.default_rng([*self._stream, epoch]).permutation(as_is) if self._shuffle else as_is


def checked_floor(solved_floor: float) -> float:
    """`solved_floor`, once it is certain that it is a share above 0.

    Raises:
        ValueError: if it is not.
    """
    Range(0, 1, above=True).check("solved_floor", solved_floor)
    return solved_floor


class FixedTasks:
    """Those tasks of a suite that have a fixed list of problems (`TextEnv.indices`).

    Args:
        tasks: of the suite.
        env_of: a task's env, if it is a `TextEnv`; else None.
        seed: of the orders.
        solved_floor: as of `ProblemList`.
        is_left_out: whether a task's problem that starts like this takes no part.
        contents: of the tasks' lists, as far as they are known already; see `content`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        env_of: Callable[[int], TextEnv[Any] | None],
        *,
        seed: int,
        solved_floor: float,
        is_left_out: Callable[[int, Opening], bool],
        contents: dict[int, str],
    ) -> None:
        self._tasks, self._env_of, self._is_left_out = tasks, env_of, is_left_out
        self.seed, self.solved_floor = seed, checked_floor(solved_floor)
        self._lists: dict[tuple[int, Split], ProblemList | None] = {}
        self._contents = contents

    def problems(self, task_id: int, split: Split) -> ProblemList | None:
        """The problems of a task; None if it has no fixed list of them.

        Raises:
            ValueError: if it has one, and none of it is of the split.
        """
        if (task_id, split) not in self._lists:
            self._lists[task_id, split] = self._ordered(task_id, split)
        return self._lists[task_id, split]

    def problem(self, task_id: int, split: Split, place: int, index: int) -> Problem:
        """The problem at a place of a list, as one that was drawn at `index` of its stream."""
        return Problem(task_id, place, {**self._tasks[task_id].options.get(split, {}), "index": place}, index)

    def every_problem(self, task_id: int) -> list[Problem] | None:
        """All problems of a task, to train on and held out; None if it has no fixed list of them."""
        env = self._env_of(task_id)
        places = {split: None if env is None else env.indices(split) for split in SPLITS}
        if places["train"] is None:
            return None
        return [self.problem(task_id, split, place, 0) for split in SPLITS for place in places[split] or ()]

    def observe(self, groups: Iterable[Group], split: Split) -> None:
        """Find out which problems are solved."""
        for group in groups:
            if problems := self.problems(group.task_id, split):
                problems.observe(group.problem.options["index"], group)

    def solved(self, split: Split) -> dict[str, float]:
        """Of each task that was drawn from, by name: the share of the problems whose latest group was all correct."""
        return {name: problems.solved for name, _, problems in self._drawn(split)}

    def state_dict(self, split: Split) -> dict[str, Any]:
        """Which problems are solved, by the names of the tasks that were drawn from."""
        drawn = self._drawn(split)
        return {name: {"content": self.content(k), **problems.state_dict()} for name, k, problems in drawn}

    def unchanged(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """A saved state without the tasks whose problems have changed since."""
        own = {task.name: self.content(k) for k, task in enumerate(self._tasks)}
        return {name: saved for name, saved in state.items() if own.get(name) == saved["content"]}

    def content(self, task_id: int) -> str | None:
        """What the lists of a task hold, held-out problems too, for a comparison with what a state was saved of.

        None of a task without a fixed list.
        """
        env, problems = self._env_of(task_id), self.every_problem(task_id)
        if env is None or problems is None:
            return None
        if task_id not in self._contents:
            openings = [env.opening(seed=p.seed, options=p.options) for p in problems]
            hashes = [hash_of(env.content(opening.puzzle)) for opening in openings]
            numbers = " and ".join(f"{len(env.indices(split) or ())} {split}" for split in SPLITS)
            self._contents[task_id] = f"{numbers} problems ({hash_of(''.join(hashes))})"
        return self._contents[task_id]

    def load_state_dict(self, state: Mapping[str, Any], split: Split) -> None:
        """Continue with the problems solved that were.

        Raises:
            ValueError: if the problems of a task have changed since the state was saved, or the floor has.
        """
        names = [task.name for task in self._tasks]
        for name, saved in state.items():
            problems = self.problems(task_id := names.index(name), split)
            if problems is None or self.content(task_id) != saved["content"]:
                has = self.content(task_id) or "no fixed list of them"
                raise ValueError(
                    f"task {name!r} had {saved['content']} when the state was saved, it has {has}: continue with the "
                    "problems of then, or start anew"
                )
            problems.load_state_dict(saved)

    def _ordered(self, task_id: int, split: Split) -> ProblemList | None:
        env, name = self._env_of(task_id), self._tasks[task_id].name
        places = None if env is None else env.indices(split)
        if places is None:
            return None
        if not len(places):
            raise ValueError(f"task {name!r} has no {split} problems: it takes two distinct ones to hold one out")
        kept = [place for place in places if not self._leaves_out(task_id, split, place)]
        if not kept:
            raise ValueError(f"task {name!r}: all of its {len(places)} {split} problems are left out")
        stream = (self.seed, zlib.crc32(name.encode()), SPLITS.index(split))
        return ProblemList(kept, stream=stream, solved_floor=self.solved_floor)

    def _leaves_out(self, task_id: int, split: Split, place: int) -> bool:
        env, problem = self._env_of(task_id), self.problem(task_id, split, place, 0)
        assert env is not None, "the task has a fixed list"
        return self._is_left_out(task_id, env.opening(seed=problem.seed, options=problem.options))

    def _drawn(self, split: Split) -> list[tuple[str, int, ProblemList]]:
        lists = self._lists.items()
        return [(self._tasks[k].name, k, problems) for (k, of), problems in lists if problems and of == split]
