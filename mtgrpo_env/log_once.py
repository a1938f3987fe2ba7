"""Lines of a log that are worth writing once in a process, however often what they say is found."""

from __future__ import annotations

import logging
from collections.abc import Hashable

_MOST = 4096  # lines remembered; later ones are written every time
_written: set[tuple[str, Hashable]] = set()


def log_once(logger: logging.Logger, level: int, message: str, *, kind: Hashable = None) -> None:
    """Log a message, unless this logger has logged it before, or one of its kind where that is given."""
    key = (logger.name, message if kind is None else kind)
    if key in _written:
        return
    if len(_written) < _MOST:
        _written.add(key)
    logger.log(level, message)


def forget_written() -> None:
    """Log every line anew."""
    _written.clear()
