"""One worker process of a `WorkerPool`, seen from both ends of its pipes: a JSON line each way for a request.

`WorkerHandle` is the parent's end; `serve` is what the process runs. Standard library only.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any

START_SECONDS = 120.0  # imports on a busy machine
_CHUNK = 1 << 16
_STDERR_TAIL = 2000
_MAX_REPLY = 1 << 24
_MAX_REASON = 500
_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "PYTHONHASHSEED": "0",  # the order of sets, and what follows from it, is the same in every run
}


class ScorerFailure(RuntimeError):
    """There is no result, and that says nothing about what was judged; the message says why."""


def failure(reason: str) -> str:
    """A reply that says why there is no result."""
    return json.dumps({"error": reason[:_MAX_REASON]})


class Job:
    """A request and, in the end, its reply."""

    __slots__ = ("attempts", "reply", "request")

    def __init__(self, request: str) -> None:
        self.request = request
        self.attempts = 0
        self.reply: str | None = None

    def result(self) -> Any:
        assert self.reply is not None
        reply = json.loads(self.reply)
        if "error" in reply:
            raise ScorerFailure(reply["error"])
        return reply["result"]


class WorkerHandle:
    """One process: starting until it says "ready", then idle or busy with one job."""

    def __init__(self, setup: str) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process; a pipe could fill up
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", __file__, setup],  # as a file: the package's own imports may not be needed
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
                env=os.environ | _ENVIRONMENT,
                start_new_session=True,  # an interrupt from the keyboard is for the parent to handle
            )
        except OSError:
            self._stderr.close()
            raise
        self.stdin, self.stdout = _non_blocking(self.process.stdin), _non_blocking(self.process.stdout)
        self.outbox = b""
        self.inbox = bytearray()
        self.ready = False
        self.job: Job | None = None
        self.last_words = ""
        self.deadline = time.monotonic() + START_SECONDS

    @property
    def idle(self) -> bool:
        return self.ready and self.job is None

    def start(self, job: Job, seconds: float) -> None:
        job.attempts += 1
        self.job, self.deadline = job, time.monotonic() + seconds
        self.outbox = job.request.encode() + b"\n"
        self.write()

    def write(self) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):  # a broken pipe shows as the end of stdout
            while self.outbox:
                self.outbox = self.outbox[os.write(self.stdin, self.outbox) :]

    def read(self) -> bytes | None:
        """A complete line, b"" for a part of one, or None once the worker is gone."""
        chunk = os.read(self.stdout, _CHUNK)
        self.inbox += chunk
        if not chunk:
            return None
        if not self.inbox.endswith(b"\n"):
            return b""
        line = bytes(self.inbox)
        self.inbox.clear()
        return line

    def end(self, *, patience: float = 0.0) -> int:
        """Kill the process unless it ends by itself within `patience` seconds; returns its exit code."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            _kill_with_children(self.process)
            code = self.process.wait()
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, end - _STDERR_TAIL))
        self.last_words = self._stderr.read().decode(errors="replace").strip()
        self._close_files()
        return code

    def abandon(self) -> None:
        """After a fork, in the child: let go of a process that is the parent's."""
        self._close_files()
        self.process.returncode = 0  # so that Popen does not warn that it still runs

    def _close_files(self) -> None:
        for file in (self.process.stdin, self.process.stdout, self._stderr):
            assert file is not None
            file.close()


def _kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """What the function has started shares the session of the worker."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def serve(*, path: list[str], function: str, seconds: float, memory_bytes: int) -> None:
    """Import the function, say "ready", then reply to requests until stdin ends.

    The pipes are moved out of the way first: what the function prints cannot be taken for a reply.

    Args:
        path: of the parent's imports.
        function: "package.module:name".
        seconds: after about twice as many a request kills this process, so that it ends without a parent too.
        memory_bytes: of address space, where the system can limit that.
    """
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)  # what an import prints belongs to its error message
    _limit_memory(memory_bytes)
    sys.path[:] = path
    module, _, name = function.partition(":")
    judge = getattr(importlib.import_module(module), name)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever the interpreter is busy with
    _send(replies, '"ready"')
    for request in requests:
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds + 1)
        reply = _reply(judge, json.loads(request))
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(replies, reply)


def _reply(judge: Callable[[Any], Any], request: Any) -> str:
    try:
        reply = json.dumps({"result": judge(request)})
    except BaseException as error:  # SystemExit too: a request must not end the worker
        return failure(f"{type(error).__name__}: {error}")
    return reply if len(reply) <= _MAX_REPLY else failure(f"the result has {len(reply)} characters, over {_MAX_REPLY}")


def _send(replies: Any, line: str) -> None:
    replies.write(line.encode() + b"\n")
    replies.flush()


def _limit_memory(memory_bytes: int) -> None:
    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):  # the system has no such limit
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _non_blocking(pipe: IO[bytes] | None) -> int:
    assert pipe is not None
    os.set_blocking(pipe.fileno(), False)
    return pipe.fileno()


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
