"""What is said of an agent that failed: a line, with the place where it happened if that is code of one's own."""

from __future__ import annotations

import traceback
from pathlib import Path


class AgentError(ValueError):
    """An agent failed while it played; raised from its own error."""


def is_ours(error: BaseException) -> bool:
    """Whether this package raised it for a person to read, rather than code of one's own or of another package."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    is_from_here = last is not None and str(last.tb_frame.f_globals.get("__name__")).startswith("mtgrpo_env.")
    return is_from_here and isinstance(error, ValueError | OSError | ImportError)


def reason_of(error: BaseException) -> str:
    """The error in a line."""
    text = next(iter(str(error).strip().splitlines()), "")
    if is_ours(error):
        return text
    (place,) = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}, line {place.lineno})"
