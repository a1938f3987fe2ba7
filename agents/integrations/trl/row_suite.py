"""The rows of a data set as streams of problems."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtgrpo_env.types import IntArray, Problem


class RowSuite:
    """Problems that are rows: a problem's `seed` is the index of its row. See `ProblemStream`.

    All rows of a task come before any comes again, each time in another order, whatever is drawn of other tasks.

    Args:
        task_of_row: the name of each row's task; the tasks are numbered in the order of the alphabet.
        shuffle: whether rows come in random order, or as they stand.
        seed: of the orders.

    >>> suite = RowSuite(["math", "code", "math"], shuffle=False)
    >>> suite.names
    ('code', 'math')
    >>> [suite.next_problem(1).seed for _ in range(3)]
    [0, 2, 0]
    """

    def __init__(self, task_of_row: Sequence[str], *, shuffle: bool = True, seed: int = 0) -> None:
        names, task_ids = np.unique(np.asarray(task_of_row, dtype=np.str_), return_inverse=True)
        self.names = tuple(map(str, names))
        self.shuffle = shuffle
        self._rows: list[IntArray] = [np.flatnonzero(task_ids == k) for k in range(len(names))]
        self.reseed(seed)

    @property
    def num_tasks(self) -> int:
        return len(self.names)

    @property
    def num_rows(self) -> list[int]:
        """Of each task."""
        return [len(rows) for rows in self._rows]

    def reseed(self, seed: int) -> None:
        """Start every stream anew, in other orders."""
        self.seed = int(seed)
        self._cursors = [0] * self.num_tasks
        self._passes: dict[int, tuple[int, IntArray]] = {}  # of each task, the pass it is in and the rows in its order

    def next_problem(self, task_id: int) -> Problem:
        """The next row of a task."""
        cursor = self._cursors[task_id]
        self._cursors[task_id] += 1
        number, place = divmod(cursor, len(self._rows[task_id]))
        return Problem(task_id, int(self._pass(task_id, number)[place]), index=cursor)

    def state_dict(self) -> dict[str, Any]:
        """Where each task's rows stand."""
        own = {"names": list(self.names), "num_rows": self.num_rows, "shuffle": self.shuffle}
        return {**own, "seed": self.seed, "cursors": list(self._cursors)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where saved rows stood.

        Raises:
            ValueError: if they were of other tasks, of other numbers, or in another kind of order.
        """
        for own, word in ((list(self.names), "names"), (self.num_rows, "num_rows"), (self.shuffle, "shuffle")):
            if state[word] != own:
                raise ValueError(f"the checkpoint is of rows with {word} {state[word]!r}, these have {own!r}")
        self.seed = int(state["seed"])
        self._cursors = [int(cursor) for cursor in state["cursors"]]
        self._passes = {}

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {count}" for name, count in zip(self.names, self.num_rows, strict=True))
        return f"RowSuite({counts}; shuffle={self.shuffle}, seed={self.seed})"

    def _pass(self, task_id: int, number: int) -> IntArray:
        if self._passes.get(task_id, (-1,))[0] != number:
            name = zlib.crc32(self.names[task_id].encode())
            rng = np.random.default_rng([self.seed, name, number])
            rows = self._rows[task_id]
            self._passes[task_id] = number, rng.permutation(rows) if self.shuffle else rows
        return self._passes[task_id][1]
