"""The rows of a data set as a suite of problems."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtgrpo_env.suite import AnyEnv, Task, TaskSuite
from mtgrpo_env.types import IntArray, Problem


class RowSuite(TaskSuite):
    """Problems that are rows: a problem's `seed` is the index of its row. There are no envs.

    All rows of a task come before any comes again, each time in another order, whatever is drawn of other tasks.

    Args:
        task_of_row: the name of each row's task; the tasks are numbered in the order of the alphabet.
        shuffle: whether rows come in random order, or as they stand.
        seed: of the orders.
    """

    def __init__(self, task_of_row: Sequence[str], *, shuffle: bool = True, seed: int = 0) -> None:
        names, task_ids = np.unique(np.asarray(task_of_row, dtype=np.str_), return_inverse=True)
        self._rows: list[IntArray] = [np.flatnonzero(task_ids == k) for k in range(len(names))]
        self._shuffle = shuffle
        super().__init__([Task(str(name), _no_env) for name in names], seed=seed)

    def reseed(self, seed: int) -> None:
        super().reseed(seed)
        self._passes: dict[int, tuple[int, IntArray]] = {}  # of each task, the pass it is in and the rows in its order

    def next_problem(self, task_id: int) -> Problem:
        cursor = self._cursors[task_id]
        self._cursors[task_id] += 1
        number, place = divmod(cursor, len(self._rows[task_id]))
        return Problem(task_id, int(self._pass(task_id, number)[place]), index=cursor)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "num_rows": [len(rows) for rows in self._rows]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a saved suite stood.

        Raises:
            ValueError: if it was of other tasks, or of other numbers of rows.
        """
        own = [len(rows) for rows in self._rows]
        if state["names"] == list(self.names) and state["num_rows"] != own:
            raise ValueError(f"the checkpoint is of {state['num_rows']} rows of {list(self.names)}, here are {own}")
        super().load_state_dict(state)
        self._passes = {}

    def _pass(self, task_id: int, number: int) -> IntArray:
        if self._passes.get(task_id, (-1,))[0] != number:
            name = zlib.crc32(self.names[task_id].encode())
            rng = np.random.default_rng([self.seed, name, number])
            rows = self._rows[task_id]
            self._passes[task_id] = number, rng.permutation(rows) if self._shuffle else rows
        return self._passes[task_id][1]


def _no_env() -> AnyEnv:
    raise ValueError("expected problems of rows to be rolled out by a trainer: they have no envs")
