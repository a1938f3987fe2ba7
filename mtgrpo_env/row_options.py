"""How rows of data files are read and scored, as options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """What rows need besides their file."""

    reward: tuple[str, ...] = ()
    """What scores the rows: "number", "package.module:function", or for one of several tasks "task=number"."""
    correct_at: float = 1.0
    """The least score of a reward function that counts as correct."""
    columns: tuple[str, ...] = ()
    """Columns that are called otherwise, such as "question=problem"."""
