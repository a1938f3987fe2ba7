"""How large rows may be as they unpack: one of them, what is read in one piece, and all that are held at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol, TypeVar

_DEFAULTS = {"ROW": 16 << 20, "PIECE": 1 << 30, "ROWS": 4 << 30}
_VARIABLE = "MTGRPO_MAX_{}_BYTES"
_PER_ROW = 500  # bytes that Python needs besides a row's texts
_PER_VALUE = 16
_MOST = 1 << 50


class Sized(Protocol):
    """A row whose size is known."""

    source: str
    size: int


SizedT = TypeVar("SizedT", bound=Sized)


def checked_size(what: str, size: int, where: str) -> int:
    """A number of bytes, once it is certain that it is not too large.

    Args:
        what: "ROW", "PIECE" of a file, or "ROWS" that are held.
        size: in bytes.
        where: it was met.

    Raises:
        ValueError: with what may be accepted, and how more is.
    """
    variable = _VARIABLE.format(what)
    most = _most(variable, _DEFAULTS[what])
    if size > most:
        kind = {"ROW": "a row", "PIECE": "a piece", "ROWS": "rows"}[what]
        raise ValueError(
            f"{where}: expected {kind} of at most {most:,} bytes, got {size:,}; {variable} sets another bound"
        )
    return size


def bounded_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines of a file, none of which is read further than a row may be.

    Raises:
        ValueError: on reaching one that is longer.
    """
    most = _most(_VARIABLE.format("ROW"), _DEFAULTS["ROW"])
    for number, line in enumerate(iter(lambda: file.readline(most + 1), b""), start=1):
        checked_size("ROW", len(line), f"{name}, line {number}")
        yield line


def bounded_rows(records: Iterable[SizedT]) -> Iterator[SizedT]:
    """The records, as long as they may be held together.

    Raises:
        ValueError: on reaching one that is too many.
    """
    total = 0
    for record in records:
        total = checked_size("ROWS", total + record.size + _PER_ROW, record.source)
        yield record


def size_of(value: Any) -> int:
    """Bytes that the texts and numbers in JSON's values take, about.

    >>> size_of({"prompt": "1+1?", "tags": [1, 2]})
    94
    """
    total, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        total += _PER_VALUE + (len(one) if isinstance(one, str | bytes) else 0)
        if isinstance(one, Mapping):
            waiting.extend(one.values())
            total += sum(len(str(name)) for name in one)
        elif isinstance(one, list | tuple):
            waiting.extend(one)
    return total


def _most(variable: str, default: int) -> int:
    given = os.environ.get(variable, "")
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and 0 < int(given[:20]) <= _MOST):
        raise ValueError(f"{variable} must be at least 1 and at most {_MOST:,} bytes, got {given!r:.80}")
    return int(given)
