"""How a run stops: signals that come while ranks agree are neither lost nor taken for second ones."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mtgrpo_env.agents.ranks import OneRank
from mtgrpo_env.agents.stop_request import StopRequest


class SignalledWhileGathering:
    """One rank, sent a signal once it has told its value."""

    rank, size = 0, 1

    def gather(self, value: Any) -> list[Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        return [value]


class AnotherWasSignalled:
    """Two ranks, the other of which was told to stop."""

    rank, size = 0, 2

    def gather(self, value: Any) -> list[Any]:
        return [value, signal.SIGTERM]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_scheduler_s_signal_is_no_failure_and_a_person_s_is(number: int, code: int) -> None:
    with StopRequest(OneRank()) as stop:
        assert not stop.is_agreed()
        os.kill(os.getpid(), number)
        assert stop.is_agreed()
    assert stop.exit_code == code


def test_a_signal_that_comes_while_ranks_agree_counts_the_next_time() -> None:
    with StopRequest(SignalledWhileGathering()) as stop:
        assert not stop.is_agreed()
        stop._ranks = OneRank()
        assert stop.is_agreed()
    assert stop.exit_code == 0


def test_a_rank_s_own_signal_after_another_s_does_not_interrupt_what_both_do_now() -> None:
    """A launcher signals its processes one after the other, and by then they may be saving."""
    with StopRequest(AnotherWasSignalled()) as stop:
        assert stop.is_agreed()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_second_sigterm_changes_nothing_and_a_ctrl_c_after_it_interrupts() -> None:
    with StopRequest(OneRank()) as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_agreed()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert stop.exit_code == 0


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    """Only the main thread can handle them, and a run may be trained in another."""
    before = signal.getsignal(signal.SIGTERM)

    def train() -> object:
        with StopRequest(OneRank()) as stop:
            return stop.is_agreed(), signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(train).result() == (False, before)
