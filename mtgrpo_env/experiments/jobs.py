"""Several `mtgrpo` commands at a time, each in a process of its own; POSIX only."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mtgrpo_env.folder_lock import FolderLock
from mtgrpo_env.signals import deferred


@dataclass(frozen=True, slots=True)
class Job:
    """A command to run.

    Attributes:
        name: for people.
        arguments: of `mtgrpo`.
        log: where its output is appended.
    """

    name: str
    arguments: tuple[str, ...]
    log: Path


class JobRunner:
    """Keeps up to `parallel` jobs going. Leaving its context stops those that are.

    Args:
        jobs: in the order in which they should start.
        parallel: at a time.
        may_start: whether a job may start beside those that are going on; one that may not is passed over for now.
        threads: of each process.
        lock: held; the processes share it, so that the folder stays locked while any of them lives.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        parallel: int,
        may_start: Callable[[Job, Sequence[Job]], bool],
        threads: int,
        lock: FolderLock,
    ) -> None:
        self.waiting = list(jobs)
        self._parallel = parallel
        self._may_start = may_start
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        self._lock = lock
        self._processes: dict[Job, subprocess.Popen[bytes]] = {}
        self._stopping: set[Job] = set()

    @property
    def running(self) -> list[Job]:
        """Jobs that are going on."""
        return list(self._processes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for process in self._processes.values():
                process.terminate()  # a training run then ends its step and saves
            for process in self._processes.values():
                process.wait()
        finally:  # a second interrupt does not wait
            with deferred():
                for process in self._processes.values():
                    process.kill()
                    process.wait()

    def poll(self) -> list[Job]:
        """Start what may start; give the jobs that have ended since the last call, well or badly."""
        ended = [job for job, process in self._processes.items() if process.poll() is not None]
        for job in ended:
            del self._processes[job]
        for job in list(self.waiting):
            if len(self._processes) < self._parallel and self._may_start(job, self.running):
                with deferred():  # or a process that has just been started would be lost
                    self.waiting.remove(job)
                    self._processes[job] = self._start(job)
        return ended

    def stop(self, job: Job) -> None:
        """Have a job that is going on end its step and save; it ends like others."""
        if job not in self._stopping:
            self._stopping.add(job)
            self._processes[job].terminate()

    def _start(self, job: Job) -> subprocess.Popen[bytes]:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            log.write(f"$ {shlex.join(['mtgrpo', *job.arguments])}\n".encode())
            log.flush()
            return subprocess.Popen(
                [sys.executable, "-m", "mtgrpo_env", *job.arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lock.fileno()],
                start_new_session=True,  # an interrupt from the terminal is for the parent, which passes it on
            )


def tail(log: Path, *, num_lines: int = 12) -> str:
    """The last lines of a log."""
    lines = log.read_text(errors="replace", encoding="utf-8").splitlines() if log.is_file() else []
    return "\n".join(lines[-num_lines:])
