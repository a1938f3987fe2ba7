"""Ranks that are threads of one process: a real exchange between real agents, without a launcher."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_SECONDS = 60  # after which ranks that do not meet are a failure and not a hang


class ThreadRanks:
    """One of W threads; what is gathered is pickled, as between processes."""

    def __init__(self, rank: int, size: int, meeting: threading.Barrier, table: list[bytes]) -> None:
        self.rank, self.size = rank, size
        self._meeting, self._table = meeting, table

    def gather(self, value: T) -> list[T]:
        self._table[self.rank] = pickle.dumps(value)
        self._meeting.wait(_SECONDS)
        values = [pickle.loads(item) for item in self._table]
        self._meeting.wait(_SECONDS)
        return values


def on_ranks(size: int, work: Callable[[ThreadRanks], R]) -> list[R | Exception]:
    """What `work` returns or raises on each of `size` ranks."""
    meeting, table = threading.Barrier(size), [b""] * size
    outcomes: list[R | Exception] = [RuntimeError("the thread did not end")] * size

    def run(rank: int) -> None:
        try:
            outcomes[rank] = work(ThreadRanks(rank, size, meeting, table))
        except Exception as error:
            outcomes[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def results_of(size: int, work: Callable[[ThreadRanks], R]) -> list[R]:
    """The same where nothing may be raised."""
    results: list[R] = []
    for outcome in on_ranks(size, work):
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results
