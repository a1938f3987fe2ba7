"""How a run is stopped from outside: by a person's Ctrl-C, or by a scheduler that wants the machine back."""

from __future__ import annotations

import signal

from mtgrpo_env.agents.ranks import Ranks
from mtgrpo_env.signals import SignalHandler, exit_code_of


class StopRequest(SignalHandler):
    """Turns the first SIGINT or SIGTERM into a request to stop after this step; a later SIGINT interrupts at once.

    SIGTERM comes from a scheduler that wants the machine back, so stopping then is no failure. A second one changes
    nothing: launchers and schedulers both send it, and who cannot wait kills.

    Args:
        ranks: all stop if one of them was asked to.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._received: int | None = None  # by this process, perhaps while it asks the others
        self._agreed: int | None = None

    def is_agreed(self) -> bool:
        """Whether any rank was asked to stop; every rank must ask this equally often."""
        self._agreed = next((number for number in self._ranks.gather(self._received) if number is not None), None)
        return self._agreed is not None

    @property
    def exit_code(self) -> int:
        """Of a process that was stopped."""
        return exit_code_of(self._agreed)

    def on_signal(self, number: int) -> None:
        if self._received is None:
            self._received = number
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
