"""What to type for the same result: the command that options stand for."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from typing import Any


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
