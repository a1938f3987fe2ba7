"""How rows of files are read and scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from mtgrpo_env.ranges import BILLION, Range

ROW_FILES = (".jsonl", ".json", ".parquet", ".csv")
"""Endings of files of rows."""

HUB = "hf:"
"""Before the id of a data set on the Hugging Face hub."""

COLUMNS = ("prompt", "answer", "task", "level", "split")
"""What columns of a row can be named."""


class MissingOptions(ValueError):
    """Something takes an option that was not given.

    Attributes:
        options: words of a command line that would do.
    """

    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """How rows of files are read and scored."""

    reward: Sequence[str] = ()
    """What scores responses to rows: exact, number, math, choice, the verifier of a task such as countdown, or a
    function of your own, "package.module:function" (with "worker:" before it, in processes that are killed when it
    hangs); "task=reward" is for the rows of one task. By default the verifier of the task that the rows name."""
    correct_at: Annotated[float, Range(-BILLION)] = 1.0
    """Reward of a function from which on a response counts as correct."""
    columns: Sequence[str] = ()
    """Columns of rows that have other names than those in docs/rows.md: "prompt=problem", "answer=solution",
    "task=subject", "level=", which reads none, or "split=part"."""

    def __post_init__(self) -> None:
        for name in ("reward", "columns"):
            object.__setattr__(self, name, listed(getattr(self, name)))

    @property
    def column_names(self) -> dict[str, str]:
        """The column of each thing that is named, by `COLUMNS`; "" for one that is not read.

        Raises:
            ValueError: if a part is no "name=column" of these names, or names one twice.
        """
        parts = _split(self.columns)
        for part in parts:
            if part.partition("=")[0] not in COLUMNS or "=" not in part:
                raise ValueError(f"columns must be like 'prompt=problem', with one of {list(COLUMNS)}, got {part!r}")
        return _by_name("columns", (part.partition("=") for part in parts))

    @property
    def rewards(self) -> dict[str, str]:
        """The reward of each task that is named, and under "" that of all others.

        Raises:
            ValueError: if two are given for the same.

        >>> RowOptions(reward=("number", "capitals=my_rewards:city")).rewards
        {'': 'number', 'capitals': 'my_rewards:city'}
        """
        return _by_name("reward", (part.rpartition("=") for part in _split(self.reward)))

    def check_used(self, tasks: Iterable[str]) -> None:
        """Make sure that every task with a reward of its own is there.

        Args:
            tasks: the names of all tasks, with their levels.

        Raises:
            ValueError: if a reward is given for another.
        """
        known = list(tasks)
        named = self.rewards.keys() - {""}
        if unknown := sorted(one for one in named if not any(f"{task}-".startswith(f"{one}-") for task in known)):
            raise ValueError(f"reward is given for the tasks {unknown}, but the tasks are {known}")


def listed(values: str | Iterable[str] | Mapping[str, str]) -> tuple[str, ...]:
    """Options as a list: one may stand alone, and named ones in a mapping.

    >>> listed({"sums": "number", "words": "my_rewards:backwards"})
    ('sums=number', 'words=my_rewards:backwards')
    """
    if isinstance(values, Mapping):
        return tuple(f"{name}={value}" if name else value for name, value in values.items())
    return (values,) if isinstance(values, str) else tuple(values)


def _split(values: Iterable[str]) -> list[str]:
    """The parts of a list, in which commas may stand as well."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _by_name(option: str, parts: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, _, value in parts:
        if found.setdefault(name, value) != value:
            of = f" of {name!r}" if name else ""
            raise ValueError(f"{option}{of} must be one, got {found[name]!r} and {value!r}")
    return found
