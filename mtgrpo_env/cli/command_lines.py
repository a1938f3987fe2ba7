"""Command lines: with repeated lists as one, and what to type for the same result."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

_LISTS = frozenset({"--agent", "--columns", "--grid", "--reward", "--rows", "--stop", "--suite", "--tasks"})
"""Options whose values add up; of all others the last mention counts."""


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments, with all values of a list behind its first mention: else those of the last alone would count.

    >>> joined(["--reward", "sums=number", "--out", "x", "--reward=words=exact"])
    ['--reward', 'sums=number', 'words=exact', '--out', 'x']
    """
    parts: list[list[str]] = [[]]  # an option and its values each
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not argument.startswith("--"):
            parts[-1].append(argument)
        elif name in _LISTS:
            parts.append([name, value] if equals else [name])
        else:
            parts.append([argument])
    merged: dict[str | int, list[str]] = {}
    for place, part in enumerate(parts):
        merged.setdefault(part[0] if part and part[0] in _LISTS else place, part[:1]).extend(part[1:])
    return [argument for part in merged.values() for argument in part]


def command_line(command: str, options: object, *, leave_out: Collection[str] = ()) -> str:
    """The `mtgrpo` command of these options; what is at its default is left out."""
    return shlex.join(["mtgrpo", command, *_words(options, leave_out)])


def _words(options: Any, leave_out: Collection[str]) -> Iterator[str]:
    own = type(options).__annotations__  # before what it inherits
    for field in sorted(fields(options), key=lambda field: field.name not in own):
        value, flag = getattr(options, field.name), field.name.replace("_", "-")
        if is_dataclass(value):
            yield from _words(value, leave_out)
        elif value != field.default and field.name not in leave_out:
            if isinstance(value, bool):
                yield f"--{flag}" if value else f"--no-{flag}"
                continue
            yield f"--{flag}"
            yield from map(str, value if isinstance(value, tuple) else (value,))
