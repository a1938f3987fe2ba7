"""Names what does not return: code of one's own that runs in this process cannot be stopped, but it can be seen."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOG = logging.getLogger(__name__)


class SlowCalls:
    """Logs a call that takes long, once, while it goes on.

    Args:
        seconds: after which a call is long.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._running: dict[int, tuple[float, str]] = {}  # by thread: since when, and what
        self._process = 0

    @contextmanager
    def watched(self, what: str, advice: str = "") -> Iterator[None]:
        """Watch a call.

        Args:
            what: is called.
            advice: how to do better.
        """
        self._start()
        thread = threading.get_ident()
        self._running[thread] = time.monotonic(), f"{what} has not returned for {self._seconds:g} s{advice}"
        try:
            yield
        finally:
            self._running.pop(thread, None)

    def _start(self) -> None:
        """A thread does not survive a fork."""
        if self._process != os.getpid():
            self._process, self._running = os.getpid(), {}
            threading.Thread(target=self._watch, name="mtgrpo-slow-calls", daemon=True).start()

    def _watch(self) -> None:
        named: dict[int, float] = {}
        while True:
            time.sleep(self._seconds / 4)
            for thread, (since, message) in list(self._running.items()):
                if time.monotonic() - since > self._seconds and named.get(thread) != since:
                    named[thread] = since
                    _LOG.warning("%s", message)
