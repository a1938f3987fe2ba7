"""Faults that meet a process: kills, signals, full disks, a second start."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fault_trials.outcomes import Bench, Outcome, state
from fault_trials.runs import STEPS, start, train

_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def kills_at_random_moments(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """SIGKILL anywhere between the first line and the last."""
    for out in _folders(bench, "kill", count):
        moment = rng.uniform(0, bench.seconds)
        outcome = Outcome("kill -9 at a random moment", f"after {moment:.1f} s")
        process = start(train(out, bench.model), out.with_suffix(".log"))
        time.sleep(moment)
        process.send(signal.SIGKILL)
        outcome.watch(process)
        outcome.finish(bench, out, **state(out))
        yield outcome


def kills_at_file_events(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """SIGKILL right before a file is opened, renamed, made or deleted: between any two steps of a save."""
    for out in _folders(bench, "event", count):
        number = int(rng.integers(1, bench.events))
        outcome = Outcome("kill -9 at a random event on a file", f"event {number} of {bench.events}")
        at_event = on_event(out, number, lambda: os.kill(os.getpid(), signal.SIGKILL))
        outcome.watch(start(train(out, bench.model), out.with_suffix(".log"), first=at_event))
        outcome.finish(bench, out, **state(out))
        yield outcome


def full_disks(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """From a random event on no file can grow beyond a random size."""
    for out in _folders(bench, "disk", count):
        number, size = int(rng.integers(1, bench.events)), int(10 ** rng.uniform(1, 5))
        outcome = Outcome("disk full from a random event on", f"{size} bytes a file from event {number}")

        def limit(size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        outcome.watch(start(train(out, bench.model), out.with_suffix(".log"), first=on_event(out, number, limit)))
        outcome.finish(bench, out, **state(out))
        yield outcome


def signals(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """SIGTERM or SIGINT, once or twice, anywhere between the first line and the last."""
    for out in _folders(bench, "signal", count):
        moment, number = rng.uniform(0, bench.seconds), signal.Signals(rng.choice([signal.SIGTERM, signal.SIGINT]))
        times = int(rng.integers(1, 3))
        outcome = Outcome(f"{number.name}, once or twice", f"{times} after {moment:.1f} s")
        process = start(train(out, bench.model), out.with_suffix(".log"))
        time.sleep(moment)
        for _ in range(times):
            process.send(number)
            time.sleep(rng.uniform(0, 0.2))
        outcome.watch(process, codes=[0, 130])
        outcome.finish(bench, out, **state(out))
        yield outcome


def second_starts(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """The same command once more while the first one is at work: it is refused, and the first one feels nothing."""
    for out in _folders(bench, "second", count):
        step = int(rng.integers(STEPS // 2))
        outcome = Outcome("a second start in the same folder", f"after step {step}")
        first = start(train(out, bench.model), out.with_suffix(".log"))
        while not (out / ".lock").exists() or state(out)["recorded"] < step:
            time.sleep(0.02)
        second = start(train(out, bench.model), out.with_suffix(".second.log"))
        outcome.watch(second, codes=[2])
        ended = outcome.ended
        outcome.watch(first, codes=[0])
        outcome.ended = f"{ended}, the first {outcome.ended}"
        outcome.finish(bench, out, **state(out))
        yield outcome


def on_event(out: Path, number: int, act: Callable[[], None]) -> Callable[[], None]:
    """What a process is to call first, so that it acts before the event of that number on the files of a run."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in _EVENTS and arguments and str(arguments[0]).startswith(str(out)):
            seen += 1
            if seen == number:
                act()

    return lambda: sys.addaudithook(hook)


def counted(out: Path, file: Path) -> Callable[[], None]:
    """What a process is to call first, so that it leaves the number of its events in a file."""
    seen = 0
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in _EVENTS and arguments and str(arguments[0]).startswith(str(out)):
            seen += 1
            os.pwrite(descriptor, str(seen).encode(), 0)

    return lambda: sys.addaudithook(hook)


def _folders(bench: Bench, name: str, count: int) -> Iterator[Path]:
    return (bench.folder / f"{name}-{number:02d}" for number in range(1, count + 1))
