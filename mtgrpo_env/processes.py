"""Which process is at work, as far as this host can see."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SLACK = 1.0  # seconds: the clocks of processes and of files are coarse


def was_at_work(pid: int, *, at: float) -> bool:
    """Whether the process of this number lives on this host, and did so at a time in seconds since the epoch.

    Numbers are given again: a process that began later is another one. Where the system does not say when it began, one
    that lives is taken for the same.

    >>> was_at_work(os.getpid(), at=time.time()), was_at_work(os.getpid(), at=0.0)
    (True, False)
    """
    if os.name == "nt":  # a question by signal would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is somebody else's
        pass
    try:
        state, *numbers = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(numbers[18]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):  # not Linux, or it has ended meanwhile
        return True
    return state not in "ZX" and began <= at + _SLACK  # a dead one may wait to be collected
