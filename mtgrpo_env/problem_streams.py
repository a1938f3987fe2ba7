"""Streams of problems: what a curriculum draws from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import Group, Problem


class ProblemStream(Protocol):
    """Where problems come from; a `TaskSuite` is one, and so are the rows of a data set."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the K tasks."""
        ...

    def next_problem(self, task_id: int) -> Problem:
        """The next problem of a task."""
        ...

    def reseed(self, seed: int) -> None:
        """Start every stream anew."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Where each stream stands."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""
        ...


@runtime_checkable
class ObservingStream(ProblemStream, Protocol):
    """A stream that draws problems by what came of them."""

    def observe(self, groups: Sequence[Group]) -> None:
        """Learn from all groups that were generated for a batch, those that were filtered too."""
        ...

    def solved(self) -> dict[str, float]:
        """Of tasks with a fixed list of problems, by name: the share whose latest group was all correct."""
        ...


class NumberedProblems(Stateful):
    """Problems of tasks known by name only: the i-th of a task has the seed i, for the trainer to look up.

    Args:
        names: of the K tasks.

    Raises:
        ValueError: unless these are different strings, one at least.

    >>> NumberedProblems(["math", "code"]).next_problem(1)
    Problem(task_id=1, seed=0, options={}, index=0)
    """

    hyperparameter_names = ("names",)
    state_names = ("cursors",)

    def __init__(self, names: Sequence[str]) -> None:
        are_strings = not isinstance(names, str) and all(isinstance(name, str) for name in names)
        if not (are_strings and names and len(set(names)) == len(names)):
            raise ValueError(f"expected a list of different names of tasks, or a TaskSuite, got {names!r:.80}")
        self.names = tuple(names)
        self.reseed(0)

    def next_problem(self, task_id: int) -> Problem:
        cursor = int(self.cursors[task_id])
        self.cursors[task_id] += 1
        return Problem(task_id, cursor, index=cursor)

    def reseed(self, seed: int) -> None:
        self.cursors = np.zeros(len(self.names), dtype=np.int64)
