"""How a run is stopped from outside: by a person's Ctrl-C, or by a scheduler that wants the machine back."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Self

from mtgrpo_env.agents.ranks import Ranks


class StopRequest:
    """Turns the first SIGINT or SIGTERM into a request to stop after this step; a second one interrupts at once.

    SIGTERM comes from a scheduler that wants the machine back, so stopping then is no failure.

    Args:
        ranks: all stop if one of them was asked to.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._received: int | None = None  # by this process, perhaps while it asks the others
        self._agreed: int | None = None

    def __enter__(self) -> Self:
        self._previous = [signal.signal(number, self._note) for number in self._SIGNALS]
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in zip(self._SIGNALS, self._previous, strict=True):
            signal.signal(number, handler)

    def is_agreed(self) -> bool:
        """Whether any rank was asked to stop; every rank must ask this equally often."""
        self._agreed = next((number for number in self._ranks.gather(self._received) if number is not None), None)
        return self._agreed is not None

    @property
    def exit_code(self) -> int:
        """Of a process that was stopped."""
        return 0 if self._agreed == signal.SIGTERM else 130

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise KeyboardInterrupt
        self._received = number
