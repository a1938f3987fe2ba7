"""Lines of a log that are worth writing once in a process, however often what they say is found."""

from __future__ import annotations

import logging
from functools import lru_cache


@lru_cache(maxsize=4096)
def log_once(logger: logging.Logger, level: int, message: str) -> None:
    """Log a message, unless this logger has logged it before."""
    logger.log(level, message)
