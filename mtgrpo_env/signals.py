"""SIGINT and SIGTERM: a person's Ctrl-C, and a scheduler that wants the machine back."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 10.0

Handler = Callable[[int, FrameType | None], object]


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def exit_code_of(number: int | None) -> int:
    """Of a process that a signal stopped: to make room for others is no failure."""
    return 0 if number == signal.SIGTERM else 130


@contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Both signals go to the handler inside the block; in a thread other than the main one nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = [signal.signal(number, handler) for number in STOP_SIGNALS]
    try:
        yield
    finally:
        for number, before in zip(STOP_SIGNALS, previous, strict=True):
            signal.signal(number, signal.SIG_DFL if before is None else before)


@contextmanager
def deferred() -> Iterator[None]:
    """Signals that come inside the block are delivered after it."""
    received: list[int] = []
    try:
        with handled_by(lambda number, frame: received.append(number)):
            yield
    finally:
        for number in received:
            signal.raise_signal(number)


class StopSignals:
    """Makes both signals exceptions inside its context: SIGTERM the first time, SIGINT every time.

    So a second Ctrl-C cuts short what the first one has begun, and a second SIGTERM, which launchers and schedulers
    often send, does nothing.

    Attributes:
        received: the signal that decides the exit code; None before one comes.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> Self:
        self._handled = handled_by(self._on_signal)
        self._handled.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._handled.__exit__(None, None, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and self.received is not None:
            return
        self.received = number
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


class CommandSignals(StopSignals):
    """The same for a command, of which a signal leaves one line and the exit code.

    Args:
        name: of the command.
        owns_process: whether nothing comes after the command. Then it ends even where an exception is lost, in a
            destructor say, and signals that come while Python ends change nothing.
    """

    def __init__(self, name: str, *, owns_process: bool) -> None:
        super().__init__()
        self._name = name
        self._owns_process = owns_process
        self._code: int | None = None  # once the command has ended
        self._is_said = False
        if owns_process:
            atexit.register(_ignore)  # first, so that it comes last
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._on_unraisable

    def run(self, command: Callable[[], int]) -> int:
        """The exit code of the command, or of the signal that stopped it."""
        with ExitStack() as stack:
            stack.enter_context(self)
            try:
                self._run(command)
            except KeyboardInterrupt:  # another Ctrl-C while the first was dealt with
                self._stop()
            if self._owns_process:  # signals are handled to the end
                stack.pop_all()
        assert self._code is not None
        return self._code

    def _run(self, command: Callable[[], int]) -> None:
        try:
            self._code = command()
        except BaseException as error:  # a signal's exception may come out as another's, of an import say
            if self.received is None and not isinstance(error, KeyboardInterrupt):
                raise
            self._stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._owns_process and self._code is not None:
            os._exit(self._code)
        if self._owns_process and self.received is None:
            timer = threading.Timer(_GRACE_SECONDS, self._leave)
            timer.daemon = True
            timer.start()
        super()._on_signal(number, frame)

    def _on_unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            self._leave()
        self._unraisable(lost)

    def _leave(self) -> None:
        self._say()
        os._exit(exit_code_of(self.received))

    def _stop(self) -> None:
        self._say()
        self._code = exit_code_of(self.received)

    def _say(self) -> None:
        if not self._is_said:
            self._is_said = True
            how = "stopped by SIGTERM" if self.received == signal.SIGTERM else "interrupted"
            with suppress(OSError, RuntimeError):  # the reader is gone, or a signal fell into a line
                sys.stderr.write(f"{self._name}: {how}\n")
                sys.stderr.flush()


def _ignore() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
