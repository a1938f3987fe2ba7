"""Informative groups that a batch had no room for, kept for the next ones."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
        data = _dumped(self._groups)
        _loaded(data)  # what cannot be read back is better known now
        (folder / _FILE).write_bytes(data)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            ValueError: if the file is damaged, or holds anything but numbers, text, arrays and records.
        """
        self._groups = _loaded((folder / _FILE).read_bytes())


def _dumped(value: Any) -> bytes:
    file = io.BytesIO()
    try:
        _PlainPickler(file).dump(value)
    except (pickle.PickleError, AttributeError, TypeError) as error:
        raise ValueError(f"carried groups must be plain data: {error}") from error
    return file.getvalue()


def _loaded(data: bytes) -> Any:
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except Exception as error:  # damaged data can raise anything
        raise ValueError(f"carried groups must be plain data: {error}") from error


class _PlainPickler(pickle.Pickler):
    """Writes arrays as their bytes, so that reading them calls nothing of numpy's."""

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, np.ndarray | np.generic):
            return None
        array = np.ascontiguousarray(obj)
        return (array.dtype.str, obj.shape, array.tobytes(), isinstance(obj, np.generic))


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, text, arrays and this package's own records, and runs nothing: a checkpoint is data."""

    def persistent_load(self, pid: Any) -> Any:
        kind, shape, data, is_scalar = pid
        dtype = np.dtype(kind)
        if dtype.hasobject:
            raise pickle.UnpicklingError("expected an array of numbers or text, got one of objects")
        array = np.frombuffer(data, dtype).reshape(shape).copy()
        return array[()] if is_scalar else array

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        # Looked up, not imported: importing a module runs it.
        found = getattr(sys.modules.get(module_name), global_name, None)
        is_ours = module_name.partition(".")[0] == __package__
        if is_ours and isinstance(found, type) and is_dataclass(found) and found.__module__ == module_name:
            return found
        raise pickle.UnpicklingError(f"expected numbers, text, arrays and records, got {module_name}.{global_name}")
