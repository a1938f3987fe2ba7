"""A point of the grid that a comparison searches for each method's best: some options of a run, with their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_NO_FILE_NAME = re.compile(r"[^\w.@+-]")


@dataclass(frozen=True, slots=True)
class Point:
    """Values of options, the learning rate always among them.

    >>> point = Point.of(lr=4e-4, max_replayed=0.5)
    >>> str(point), point.folder, point == Point.of(lr=4e-4)
    ('lr 0.0004, max_replayed 0.5', 'lr-0.0004-max_replayed-0.5', False)
    """

    options: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, **options: Any) -> Self:
        """Of values by their options' names."""
        return cls(tuple(options.items()))

    @property
    def values(self) -> Mapping[str, Any]:
        """By the options' names."""
        return dict(self.options)

    @property
    def folder(self) -> str:
        """Part of a file name."""
        return "-".join(f"{name}-{_NO_FILE_NAME.sub('-', _in_full(value))}" for name, value in self.options)

    def __str__(self) -> str:
        return ", ".join(f"{name} {shown(value)}" for name, value in self.options)


def shown(value: Any) -> str:
    """A value for people.

    >>> shown(4e-4), shown(8), shown("reward")
    ('0.0004', '8', 'reward')
    """
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_full(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
