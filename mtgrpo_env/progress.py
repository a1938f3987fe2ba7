"""Progress of long work, reported from where the work is done to a listener, if there is one.

A training step or an evaluation has stages (generating, learning), a stage has parts (rounds, minibatches, chunks), and
a part so many items:

>>> def show(stage: Stage) -> None:
...     print(stage.part, stage.done, stage.total)
>>> with progress_to(show), stage("learning", "passes", parts=1):
...     begin_part(2)
...     advance(1)
1 0 2
1 1 2
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

GENERATING, EVALUATING = "generating", "evaluating"
"""Names of stages whose time is known apart."""


@dataclass(slots=True)
class Stage:
    """Work that goes on.

    Attributes:
        name: what is done, such as "generating".
        items: what is counted, such as "responses".
        parts: of the stage; None where that shows only at the end.
        started: on the clock of `time.monotonic`, in seconds.
        part: the one that goes on, counted from 1; 0 before the first.
        done: items of that part.
        total: items of that part, so far as they are known.
        tokens: generated in the stage.
    """

    name: str
    items: str
    parts: int | None
    started: float
    part: int = 0
    done: int = 0
    total: int = 0
    tokens: int = 0

    @property
    def seconds(self) -> float:
        """Since the stage began."""
        return time.monotonic() - self.started

    @property
    def share(self) -> float:
        """Of the stage that is done, between 0 and 1; of its parts so far where their number is not known."""
        of_part = self.done / self.total if self.total else 0.0
        return (max(self.part - 1, 0) + of_part) / max(self.parts or self.part, 1)

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before anything is done."""
        return self.seconds * (1 / self.share - 1) if self.share > 0 else None

    def __str__(self) -> str:
        rate = f", {self.tokens / max(self.seconds, 1e-9):,.0f} tokens/s" if self.tokens else ""
        of = f" of {self.parts}" if self.parts else ""
        part = f"part {self.part}{of}, " if self.part > 1 or (self.parts or 1) > 1 else ""
        return f"{self.name}, {part}{self.done:,} of {self.total:,} {self.items}{rate}"


Listener = Callable[[Stage], None]
"""Called at every advance: many times a second, so it should look at the clock before it draws."""


@dataclass(slots=True)
class _Report:
    listener: Listener
    stage: Stage | None = None

    def notify(self) -> None:
        if self.stage is not None:
            self.listener(self.stage)


_REPORT: ContextVar[_Report | None] = ContextVar("report", default=None)


@contextmanager
def progress_to(listener: Listener) -> Iterator[None]:
    """Report all stages of the block, in this thread, to a listener."""
    token = _REPORT.set(_Report(listener))
    try:
        yield
    finally:
        _REPORT.reset(token)


@contextmanager
def stage(name: str, items: str, *, parts: int | None = None) -> Iterator[None]:
    """A stage goes on in the block; one around it goes on afterwards."""
    report = _REPORT.get()
    if report is None:
        yield
        return
    outer, report.stage = report.stage, Stage(name, items, parts, time.monotonic())
    try:
        yield
    finally:
        report.stage = outer


def begin_part(total: int) -> None:
    """The next part of the stage begins; it has `total` items so far as is known."""
    if (report := _REPORT.get()) is not None and report.stage is not None:
        report.stage.part += 1
        report.stage.done, report.stage.total = 0, total
        report.notify()


def advance(items: int = 0, *, tokens: int = 0, more: int = 0) -> None:
    """Count items that are done, tokens that were generated, and items that are to be done besides."""
    if (report := _REPORT.get()) is not None and report.stage is not None:
        report.stage.done += items
        report.stage.tokens += tokens
        report.stage.total += more
        report.notify()


def in_words(seconds: float) -> str:
    """A duration as one says it.

    >>> in_words(42), in_words(260), in_words(9000)
    ('42 s', '4 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
