"""A bound on the memory of this process, for the time that a program of others runs in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATM = Path("/proc/self/statm")


@contextmanager
def address_space(more: int) -> Iterator[None]:
    """Inside, on Linux, allocations that add up to more than so many bytes raise MemoryError.

    Args:
        more: bytes beyond what the process has now.
    """
    if not _STATM.is_file():
        yield
        return
    import resource

    used = int(_STATM.read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bounds = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([used + more, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
