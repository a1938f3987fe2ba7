"""What a signal makes of a command, whenever it comes: one line, and the exit code that its kind has."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from mtgrpo_env.signals import SignalHandler, StopSignals, Terminated, deferred

COMMAND = """
import os, signal, sys, time
from mtgrpo_env.signals import CommandSignals

def send(*names):
    for name in names:
        os.kill(os.getpid(), getattr(signal, "SIG" + name))

class Lost:
    def __init__(self, name):
        self.name = name
    def __del__(self):
        send(self.name)

def plainly(name):
    send(name)

def ended_already(name):
    return 0

def in_a_destructor(name):
    Lost(name)
    time.sleep(600)

def as_another_error(name):
    try:
        send(name)
    except KeyboardInterrupt as error:
        raise ImportError("initialization failed") from error

def while_it_cleans_up(name):
    try:
        send(name)
    finally:
        send(name)

signals = CommandSignals("mtgrpo try", owns_process=True)
name = sys.argv[2]
code = signals.run(lambda: globals()[sys.argv[1]](name) or 0)
send(name)  # Python is about to end
sys.exit(code)
"""


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    line = [sys.executable, "-c", COMMAND, *arguments]
    process = subprocess.run(line, env=environment, text=True, capture_output=True, check=False, timeout=60)
    return process.returncode, process.stderr


@pytest.mark.parametrize("when", ["plainly", "in_a_destructor", "as_another_error", "while_it_cleans_up"])
@pytest.mark.parametrize(("name", "code", "line"), [("TERM", 0, "stopped by SIGTERM"), ("INT", 130, "interrupted")])
def test_a_signal_ends_a_command_with_one_line_and_its_exit_code(
    environment: dict[str, str], when: str, name: str, code: int, line: str
) -> None:
    assert run(environment, when, name) == (code, f"mtgrpo try: {line}\n")


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_a_signal_after_the_command_changes_nothing(environment: dict[str, str], name: str) -> None:
    assert run(environment, "ended_already", name) == (0, "")


def test_the_first_sigterm_is_an_exception_and_every_sigint() -> None:
    with StopSignals() as stop:
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    assert stop.received == signal.SIGINT


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals(), deferred():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_deferred_signals_come_after_the_block_in_their_order() -> None:

    class Noted(SignalHandler):
        def __init__(self) -> None:
            self.received: list[int] = []

        def on_signal(self, number: int) -> None:
            self.received.append(number)

    sent = [signal.SIGTERM, signal.SIGINT]
    with Noted() as noted:
        with deferred():
            for number in sent:
                signal.raise_signal(number)
            assert not noted.received
        assert noted.received == sent
