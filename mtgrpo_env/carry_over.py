"""Informative groups that a batch had no room for, kept for the next ones."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from mtgrpo_env.plans import BatchPlan
from mtgrpo_env.types import Group

_FILE = "carry_over.pkl"


class CarryOver:
    """Surplus groups, oldest first; each is offered to the next batches until it is used or too old.

    A group brings the log-probabilities it was drawn with, so the importance ratio of the objective is right
    whatever the policy has become since.

    Args:
        max_age: batches for which a group is offered; the step after the one that made it is the first.

    Raises:
        ValueError: if `max_age` is below 1.
    """

    def __init__(self, max_age: int = 2) -> None:
        if max_age < 1:
            raise ValueError(f"max_age must be at least 1, got {max_age}")
        self.max_age = max_age
        self._groups: list[tuple[int, Group]] = []  # with the batches it was offered to

    def __len__(self) -> int:
        return len(self._groups)

    def offer(self, plan: BatchPlan) -> list[Group]:
        """The groups at hand, once the plan knows of them."""
        groups = [group for _, group in self._groups]
        plan.offer([group.task_id for group in groups])
        return groups

    def keep(self, plan: BatchPlan, groups: Sequence[Group], selected: Sequence[int]) -> None:
        """Of the groups of a finished plan, those offered first, keep what is informative, unused and young."""
        ages = [age + 1 for age, _ in self._groups] + [0] * (len(groups) - len(self._groups))
        used = set(selected)
        self._groups = [
            (age, group)
            for i, (age, group) in enumerate(zip(ages, groups, strict=True))
            if plan.informative[i] and i not in used and age < self.max_age
        ]

    def save(self, folder: Path) -> None:
        """Write the groups into `folder`.

        Raises:
            ValueError: if their observations, actions or extras are not plain data, which could not be read back.
        """
        data = pickle.dumps(self._groups)
        _plain(data)
        (folder / _FILE).write_bytes(data)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self._groups = _plain((folder / _FILE).read_bytes())


def _plain(data: bytes) -> Any:
    """What was pickled, if it is made of numbers, text, arrays and this package's own records alone."""
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"carried groups must be plain data: {error}") from error


class _PlainUnpickler(pickle.Unpickler):
    """Reads records and arrays, and runs nothing else: a checkpoint is data."""

    _NUMPY = frozenset({"ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer"})

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        package = module_name.partition(".")[0]
        is_array = package == "numpy" and global_name in self._NUMPY
        found = super().find_class(module_name, global_name) if is_array or package == __package__ else None
        if is_array or (isinstance(found, type) and is_dataclass(found)):
            return found
        raise pickle.UnpicklingError(f"expected numbers, text, arrays and records, got {module_name}.{global_name}")
