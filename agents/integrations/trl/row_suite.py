"""The rows of a data set as streams of problems."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mtgrpo_env.problem_lists import SOLVED_FLOOR, ProblemList, checked_floor
from mtgrpo_env.types import Group, Problem


def content_of_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """How many rows there are, and a digest of all that they hold, in their order.

    >>> content_of_rows([{"prompt": "1+1?"}])
    '1 rows (digest 79d7f693a8fb5e8e)'
    """
    digest, count = hashlib.sha256(), 0
    for row in rows:
        count += 1
        text = json.dumps(dict(row), sort_keys=True, default=repr)
        digest.update(re.sub(r" at 0x[0-9a-f]+", "", text).encode() + b"\n")  # of an object, where it happens to lie
    return f"{count} rows (digest {digest.hexdigest()[:16]})"


class RowSuite:
    """Problems that are rows: a problem's `seed` is the index of its row. See `ObservingStream`.

    All rows of a task come before any comes again, each time in another order, whatever is drawn of other tasks; but
    rows that are solved come less often: see `ProblemList`.

    Args:
        task_of_row: the name of each row's task; the tasks are numbered in the order of the alphabet.
        shuffle: whether rows come in random order, or as they stand.
        seed: of the orders.
        solved_floor: the least share of the epochs in which a solved row is drawn; 1 draws all alike.

    >>> suite = RowSuite(["math", "code", "math"], shuffle=False)
    >>> suite.names
    ('code', 'math')
    >>> [suite.next_problem(1).seed for _ in range(3)]
    [0, 2, 0]
    """

    def __init__(
        self, task_of_row: Sequence[str], *, shuffle: bool = True, seed: int = 0, solved_floor: float = SOLVED_FLOOR
    ) -> None:
        names, task_ids = np.unique(np.asarray(task_of_row, dtype=np.str_), return_inverse=True)
        self.names = tuple(map(str, names))
        self.shuffle = shuffle
        self.solved_floor = checked_floor(solved_floor)
        self._rows = [np.flatnonzero(task_ids == k) for k in range(len(names))]
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
        self._lists = self._ordered(self.seed)

    def next_problem(self, task_id: int) -> Problem:
        """The next row of a task."""
        row, self._cursors[task_id] = self._lists[task_id].next(self._cursors[task_id])
        return Problem(task_id, row, index=self._cursors[task_id] - 1)

    def observe(self, groups: Sequence[Group]) -> None:
        """Find out which rows are solved."""
        for group in groups:
            self._lists[group.task_id].observe(group.problem.seed, group)

    def solved(self) -> dict[str, float]:
        """Of each task, the share of the rows whose latest group was all correct."""
        return {name: rows.solved for name, rows in zip(self.names, self._lists, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Where each task's rows stand, and which are solved."""
        own = {"names": list(self.names), "num_rows": self.num_rows, "shuffle": self.shuffle}
        lists = [rows.state_dict() for rows in self._lists]
        return {**own, "seed": self.seed, "cursors": list(self._cursors), "lists": lists}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where saved rows stood.

        Raises:
            ValueError: if they were of other tasks, of other numbers, in another kind of order, or of another floor.
        """
        for own, word in ((list(self.names), "names"), (self.num_rows, "num_rows"), (self.shuffle, "shuffle")):
            if state[word] != own:
                raise ValueError(f"the checkpoint is of rows with {word} {state[word]!r}, these have {own!r}")
        seed = int(state["seed"])
        lists = self._ordered(seed)
        for rows, saved in zip(lists, state.get("lists", ()), strict=False):  # earlier versions saved none
            rows.load_state_dict(saved)
        self.seed, self._lists = seed, lists
        self._cursors = [int(cursor) for cursor in state["cursors"]]

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {count}" for name, count in zip(self.names, self.num_rows, strict=True))
        return f"RowSuite({counts}; shuffle={self.shuffle}, seed={self.seed})"

    def _ordered(self, seed: int) -> list[ProblemList]:
        options = {"shuffle": self.shuffle, "solved_floor": self.solved_floor}
        streams = [(seed, zlib.crc32(name.encode())) for name in self.names]
        return [ProblemList(rows, stream=stream, **options) for rows, stream in zip(self._rows, streams, strict=True)]
