"""SIGINT and SIGTERM: a person's Ctrl-C, and a scheduler that wants the machine back."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 10.0


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def exit_code_of(number: int | None) -> int:
    """Of a process that a signal stopped: to make room for others is no failure."""
    return 0 if number == signal.SIGTERM else 130


class SignalHandler(ABC):
    """Handles both signals inside its context; in a thread other than the main one nothing changes."""

    _previous: Sequence[Any] = ()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = [signal.signal(number, self._handle) for number in STOP_SIGNALS]
        return self

    def __exit__(self, *exception: object) -> None:
        for number, before in zip(STOP_SIGNALS, self._previous, strict=False):
            signal.signal(number, signal.SIG_DFL if before is None else before)

    @abstractmethod
    def on_signal(self, number: int) -> None:
        """One has come."""

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.on_signal(number)


class _Noted(SignalHandler):
    def __init__(self) -> None:
        self.received: list[int] = []

    def on_signal(self, number: int) -> None:
        self.received.append(number)


@contextmanager
def deferred() -> Iterator[None]:
    """Signals that come inside the block are delivered after it."""
    noted = _Noted()
    try:
        with noted:
            yield
    finally:
        for number in noted.received:
            signal.raise_signal(number)


class StopSignals(SignalHandler):
    """Makes both signals exceptions inside its context: SIGTERM the first time, SIGINT every time.

    So a second Ctrl-C cuts short what the first one has begun, and a second SIGTERM, which launchers and schedulers
    often send, does nothing.

    Attributes:
        received: the signal that decides the exit code; None before one comes.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def on_signal(self, number: int) -> None:
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
        self.__enter__()
        try:
            self._run(command)
        except KeyboardInterrupt:  # another Ctrl-C while the first was dealt with
            self._stop()
        finally:
            if not self._owns_process:  # else signals are handled to the end
                self.__exit__()
        assert self._code is not None
        return self._code

    def _run(self, command: Callable[[], int]) -> None:
        try:
            self._code = command()
        except BaseException as error:  # a signal's exception may come out as another's, of an import say
            if self.received is None and not isinstance(error, KeyboardInterrupt):
                raise
            self._stop()

    def on_signal(self, number: int) -> None:
        if self._owns_process and self._code is not None:
            os._exit(self._code)
        if self._owns_process and self.received is None:
            timer = threading.Timer(_GRACE_SECONDS, self._leave)
            timer.daemon = True
            timer.start()
        super().on_signal(number)

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
