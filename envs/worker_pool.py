"""Judging in worker processes that can be killed: a function with a deadline for each call.

For scorers that cannot be trusted to end, such as computer algebra on a model's answer. There are no
threads: `submit` and `call` run the event loop, in this order: hand out requests, take replies, and
only then kill what is overdue. A reply that is already there counts, however late the parent looks.
Needs pipes that can be polled, so a POSIX system.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import selectors
import signal
import sys
import threading
import time
import weakref
from collections import OrderedDict, deque
from contextlib import suppress
from functools import cache
from typing import Any

from mtgrpo_env.envs.worker_process import START_SECONDS, Job, ScorerFailure, WorkerHandle, failure
from mtgrpo_env.ranges import Range

__all__ = ["ScorerFailure", "WorkerPool", "shared_pool"]

_LOG = logging.getLogger(__name__)
_MAX_FINISHED = 4096
_MAX_ATTEMPTS = 2  # whoever killed the first worker may not have meant this request
_MAX_FAILED_STARTS = 3
_PATIENCE = 1.0  # a process that closed its pipes is about to end


class WorkerPool:
    """Calls of one function in worker processes, each with a deadline of its own.

    The clock of a request starts when a worker that is ready gets it: time in the queue or in a worker's
    imports costs it nothing. A request past its deadline fails alone; those queued behind it do not notice.
    One whose worker dies otherwise is tried once more. A function that raises fails that request only.

    Outcomes are remembered, failures too: a hostile answer that ten rollouts give costs one deadline, not ten.
    After a fork the child's copy starts workers of its own and leaves the parent's alone.

    Args:
        function: "package.module:name" of a function from one JSON-able value to another.
        num_workers: how many processes at most; they start when there is work for them.
        seconds: a request may take.
        memory_bytes: of address space a worker may take, where the system can limit that.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self, function: str, *, num_workers: int = 2, seconds: float = 5.0, memory_bytes: int = 2 * 2**30
    ) -> None:
        if not all(function.partition(":")):
            raise ValueError(f"function must be like 'package.module:name', got {function!r}")
        Range(1).check("num_workers", num_workers)
        Range(0, above=True).check("seconds", seconds)
        self.function = function
        self.num_workers = num_workers
        self.seconds = seconds
        self.memory_bytes = memory_bytes
        self._lock = threading.RLock()
        self._reset()
        self._finished: OrderedDict[str, Job] = OrderedDict()  # least recently used first
        _pools.add(self)

    def _reset(self) -> None:
        self._workers: list[WorkerHandle] = []
        self._failed_starts = 0
        self._hangs_in_start = ""  # once it does, nobody waits for it again
        self._unfinished: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()

    def submit(self, request: Any) -> None:
        """Start early on a request that `call` will ask for; does not wait, and fails as little as that will."""
        with self._lock:
            self._job(json.dumps(request))
            with suppress(RuntimeError):  # workers that cannot start: `call` says so
                self._pump(wait=False)

    def call(self, request: Any) -> Any:
        """The function's result.

        Raises:
            ScorerFailure: if there is none: past the deadline, worker died, out of memory, function raised.
            RuntimeError: if the workers cannot start, with what they wrote to stderr.
        """
        with self._lock:
            job = self._job(json.dumps(request))
            while job.reply is None:
                self._pump(wait=True)
            return job.result()

    def close(self) -> None:
        """End the workers and forget what was not called for; the pool may be used again."""
        with self._lock:
            for worker in self._workers:
                worker.end()
            self._reset()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _job(self, request: str) -> Job:
        if request in self._finished:
            self._finished.move_to_end(request)
            return self._finished[request]
        if request not in self._unfinished:
            job = self._unfinished[request] = Job(request)
            self._waiting.append(job)
        return self._unfinished[request]

    def _pump(self, *, wait: bool) -> None:
        """One turn of the event loop."""
        self._hand_out()
        # Looked at before the replies are: what was overdue then, and has still not replied, is overdue.
        now = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                worker.write()
                selector.register(worker.stdout, selectors.EVENT_READ, worker)
                if worker.outbox:
                    selector.register(worker.stdin, selectors.EVENT_WRITE)
            nearest = min((worker.deadline for worker in self._workers if not worker.idle), default=now)
            events = selector.select(max(0.0, nearest - now) if wait else 0)
        for key, _ in events:
            if key.data is not None:
                self._take(key.data)
        for worker in [worker for worker in self._workers if not worker.idle and worker.deadline <= now]:
            self._lose(worker, overdue=True)
        self._hand_out()

    def _hand_out(self) -> None:
        """Give waiting jobs to idle workers; start workers while there are fewer than jobs."""
        if self._hangs_in_start:
            raise RuntimeError(self._hangs_in_start)
        while len(self._workers) < min(self.num_workers, len(self._unfinished)):
            try:
                self._workers.append(WorkerHandle(self._setup()))
            except OSError as error:  # no memory, or no more processes
                if not self._workers:
                    raise RuntimeError(f"a worker for {self.function!r} did not start: {error}") from error
                break  # those that there are go on
        for worker in self._workers:
            if worker.idle and self._waiting:
                worker.start(self._waiting.popleft(), self.seconds)

    def _take(self, worker: WorkerHandle) -> None:
        line = worker.read()
        if line is None:
            self._lose(worker, overdue=False)
        elif not line:
            worker.deadline = time.monotonic() + self.seconds  # a reply in parts: the function has returned
        elif worker.job is None:
            worker.ready, self._failed_starts = True, 0
        else:
            self._finish(worker.job, line.decode())
            worker.job = None

    def _finish(self, job: Job, reply: str) -> None:
        job.reply = reply
        del self._unfinished[job.request]
        self._finished[job.request] = job
        if len(self._finished) > _MAX_FINISHED:
            self._finished.popitem(last=False)

    def _lose(self, worker: WorkerHandle, *, overdue: bool) -> None:
        """A worker is past its deadline, or gone."""
        self._workers.remove(worker)
        code = worker.end(patience=0 if overdue else _PATIENCE)
        overdue = overdue or code == -signal.SIGALRM  # its own alarm: nobody looked for twice the time
        if not worker.ready:
            self._explain_start(worker, code, overdue=overdue)
        elif worker.job is None:
            return
        elif overdue:
            self._finish(worker.job, failure(f"no result within {self.seconds:g} s"))
        elif worker.job.attempts < _MAX_ATTEMPTS:
            self._waiting.appendleft(worker.job)
        else:
            self._finish(worker.job, failure(f"the worker died with exit code {code}, {_MAX_ATTEMPTS} times"))

    def _explain_start(self, worker: WorkerHandle, code: int, *, overdue: bool) -> None:
        self._failed_starts += 1
        killed = code < 0 and not overdue  # by somebody else
        if killed and self._failed_starts < _MAX_FAILED_STARTS:
            return
        self._failed_starts = 0
        why = f"within {START_SECONDS:g} s" if overdue else f"(exit code {code})"
        said = f"a worker for {self.function!r} did not start {why}:\n{worker.last_words}"
        if any(other.ready for other in self._workers):
            _LOG.warning("%s", said)  # the others go on
            return
        if overdue:
            self._hangs_in_start = said
        raise RuntimeError(said)

    def _setup(self) -> str:
        return json.dumps(
            {
                "path": [entry or os.getcwd() for entry in sys.path],
                "function": self.function,
                "seconds": self.seconds,
                "memory_bytes": self.memory_bytes,
            }
        )

    def abandon_workers(self) -> None:
        """In a forked child: the workers are the parent's; what they were working on starts again here."""
        for worker in self._workers:
            worker.abandon()
        jobs = [Job(request) for request in self._unfinished]
        self._lock = threading.RLock()  # another thread of the parent may have held it
        self._reset()
        self._unfinished = {job.request: job for job in jobs}
        self._waiting.extend(jobs)


@cache
def shared_pool(function: str) -> WorkerPool:
    """The pool of this process for a function, with default settings; closed at exit."""
    pool = WorkerPool(function)
    atexit.register(pool.close)
    return pool


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _abandon_all() -> None:
    for pool in _pools:
        pool.abandon_workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
