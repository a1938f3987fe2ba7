"""Rows of unequal lengths in a few classes of similar ones: what runs together is padded to its longest row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_PRICE = 1 / 8  # of a pass, as a share of what one pass of all rows would compute; each has to save that much
_MOST_ENDS = 32  # lengths at which a class may end


def length_classes(lengths: Sequence[int]) -> list[list[int]]:
    """The places of (R,) rows, class by class from short to long, so that little is computed for padding.

    >>> length_classes([3, 12, 3, 2, 3, 3])
    [[3, 0, 2, 4, 5], [1]]
    >>> length_classes([11, 12, 10])
    [[2, 0, 1]]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    widths = [lengths[row] for row in order]
    ends = [end for end in range(1, len(order)) if widths[end] > widths[end - 1]]
    ends = [*ends[:: len(ends) // _MOST_ENDS + 1], len(order)]
    price = _PRICE * len(order) * widths[-1]
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [0])}  # by end: the cost so far, and where classes end
    for end in ends:
        ways = ((cost + (end - start) * widths[end - 1] + price, cuts) for start, (cost, cuts) in best.items())
        cost, cuts = min(ways, key=lambda way: way[0])
        best[end] = cost, [*cuts, end]
    cuts = best[len(order)][1]
    return [order[start:end] for start, end in pairwise(cuts)]
