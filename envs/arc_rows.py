"""What the rows of one-dimensional ARC are made of.

A row is a str of digits, one per cell: 0 is background, 1 to 9 are colours. A *run* is a longest
stretch of one colour, a *segment* a longest stretch without background. Pieces are runs and patterns
that fit on a number of cells; `spread` lays them out.
"""

from __future__ import annotations

from collections.abc import Callable

from mtgrpo_env.envs.dice import Dice

Row = str
Pieces = Callable[[Dice, int], list[str]]  # what to lay out on this many cells

COLOURS = "123456789"
MARKER = "5"  # the colour with a meaning of its own, in rules that need one
UNMARKED = COLOURS.replace(MARKER, "")


def spread(dice: Dice, width: int, pieces: list[str]) -> Row:
    """Lay out pieces in order with random gaps; those that no longer fit are left off."""
    free = width - len(pieces[0])
    kept = 1
    while kept < len(pieces) and free > len(pieces[kept]):
        free -= len(pieces[kept]) + 1
        kept += 1
    shifts = sorted([dice.below(free + 1) for _ in range(kept)])
    row = "0" * shifts[0] + pieces[0]
    for index in range(1, kept):
        row += "0" * (1 + shifts[index] - shifts[index - 1]) + pieces[index]
    return row[:width].ljust(width, "0")


def block(smallest: int = 1, colours: str = COLOURS) -> Pieces:
    """One run, of at most half of the row where that is possible."""
    return lambda dice, width: [dice.pick(colours) * dice.between(smallest, max(smallest, width // 2))]


def _runs(dice: Dice, width: int, smallest: int, colours: list[str]) -> list[str]:
    largest = max(smallest + 2, width // 8)
    return [colour * dice.between(smallest, largest) for colour in colours]


def blocks(smallest: int = 1) -> Pieces:
    """Two or more runs, each of its own colour."""
    return lambda dice, width: _runs(dice, width, smallest, dice.shuffled(COLOURS)[: _several(dice, width)])


def equal_blocks(smallest: int = 1, colours: str = COLOURS) -> Pieces:
    """Two or more runs, all of one colour."""
    return lambda dice, width: _runs(dice, width, smallest, [dice.pick(colours)] * _several(dice, width))


def _several(dice: Dice, width: int) -> int:
    return 2 + dice.below(1 + width // 8)


def pattern(smallest: int = 2, share: int = 2, colours: str = COLOURS) -> Pieces:
    """One segment of mixed colours, of at most one `share`-th of the row where that is possible."""

    def pieces(dice: Dice, width: int) -> list[str]:
        size = dice.between(smallest, max(smallest, width // share))
        return ["".join([dice.pick(colours) for _ in range(size)])]

    return pieces


def scattered_cells(dice: Dice, width: int) -> list[str]:
    """Single cells of mixed colours, about half of what the row holds."""
    return [dice.pick(COLOURS) for _ in range(2 + width // 4)]


def pairs(dice: Dice, width: int) -> list[str]:
    """Gaps between two cells of one colour, each pair of its own colour."""
    largest = max(2, width // 4)
    return [c + "0" * dice.between(1, largest) + c for c in dice.shuffled(COLOURS)[: _several(dice, width) - 1]]


def then_marker(pieces: Pieces) -> Pieces:
    """The same, and a marker further right."""
    return lambda dice, width: [*pieces(dice, width), MARKER]


def pattern_and_mirror(dice: Dice, width: int) -> list[str]:
    """A pattern and the marker beside it, with room for the image."""
    size = dice.between(1, max(1, (width - 1) // 3))
    return ["".join([dice.pick(UNMARKED) for _ in range(size)]) + MARKER + "0" * size]


def noisy_segments(dice: Dice, width: int) -> list[str]:
    """Runs in which one cell has another colour."""
    segments = _runs(dice, width, 3, dice.shuffled(COLOURS)[: _several(dice, width)])
    noise = dice.pick(COLOURS)
    return [run[:spot] + noise + run[spot + 1 :] for run in segments for spot in [dice.below(len(run))]]


def two_colours(dice: Dice, width: int) -> list[str]:
    """Two or more runs of two colours."""
    pair = dice.shuffled(COLOURS)[:2]
    return _runs(dice, width, 1, pair + [dice.pick(pair) for _ in range(_several(dice, width) - 2)])


def pattern_and_markers(dice: Dice, width: int) -> list[str]:
    """A pattern at the left end, then markers with room to put it again."""
    (stamp,) = pattern(2, 6, UNMARKED)(dice, width)
    markers = [MARKER + "0" * (len(stamp) - 1)] * (_several(dice, width) - 1)
    return [stamp + "0" + spread(dice, width - len(stamp) - 1, markers)]


def at_left_wall(pieces: Pieces) -> Pieces:
    """The same, but starting at the left end."""
    return lambda dice, width: ["".join(pieces(dice, width)).ljust(width, "0")]
