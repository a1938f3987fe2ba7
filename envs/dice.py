"""Small random choices at the price of a list pop.

A scalar draw from a numpy generator costs about a microsecond; a puzzle of short strings needs
dozens. Dice draw a vector at a time and hand it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_VECTOR = 32


class Dice:
    """Random integers, picks and orders; everything comes from the one generator.

    >>> dice = Dice(np.random.default_rng(0))
    >>> sorted(dice.shuffled("abc")), dice.below(1), dice.pick("z")
    (['a', 'b', 'c'], 0, 'z')
    """

    __slots__ = ("_rng", "_waiting")

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._waiting: list[float] = []

    def below(self, end: int) -> int:
        """A uniform integer of 0..end-1; 0 when there is no choice."""
        if not self._waiting:
            self._waiting = self._rng.random(_VECTOR).tolist()
        return int(self._waiting.pop() * end)

    def between(self, low: int, high: int) -> int:
        """A uniform integer of low..high, both included."""
        return low + self.below(high - low + 1)

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All of the items, in random order."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order
