"""Rules of one-dimensional ARC: what a row of coloured cells becomes, and on which rows that shows.

A row is a str of digits, one per cell: 0 is background, 1 to 9 are colours. A *run* is a longest
stretch of one colour, a *segment* a longest stretch without background.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mtgrpo_env.envs.dice import Dice

Row = str
Transform = Callable[[Row], Row]
Pieces = Callable[[Dice, int], list[str]]  # what to lay out on this many cells

COLOURS = "123456789"
MARKER = "5"
_UNMARKED = COLOURS.replace(MARKER, "")

_RUN = re.compile(r"([1-9])\1*")
_SEGMENT = re.compile(r"[1-9]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """A transformation of rows, and a source of rows on which it shows.

    Attributes:
        transform: total: any row gives a row of the same length.
        pieces: texts that `draw` lays out in order, at least one cell apart.
        room_left: cells that `draw` keeps free at the left end.
        room_right: cells that `draw` keeps free at the right end.
    """

    transform: Transform
    pieces: Pieces
    room_left: int = 0
    room_right: int = 0

    def draw(self, dice: Dice, length: int) -> Row:
        """A random row for the rule to work on; now and then it is a fixed point."""
        width = length - self.room_left - self.room_right
        return "0" * self.room_left + _spread(dice, width, self.pieces(dice, width)) + "0" * self.room_right


def _spread(dice: Dice, width: int, pieces: list[str]) -> Row:
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


# What rows are made of.


def _block(smallest: int = 1, colours: str = COLOURS) -> Pieces:
    """One run, of at most half of the row where that is possible."""
    return lambda dice, width: [dice.pick(colours) * dice.between(smallest, max(smallest, width // 2))]


def _runs(dice: Dice, width: int, smallest: int, colours: list[str]) -> list[str]:
    largest = max(smallest + 2, width // 8)
    return [colour * dice.between(smallest, largest) for colour in colours]


def _blocks(smallest: int = 1) -> Pieces:
    """Two or more runs, each of its own colour."""
    return lambda dice, width: _runs(dice, width, smallest, dice.shuffled(COLOURS)[: _several(dice, width)])


def _equal_blocks(smallest: int = 1, colours: str = COLOURS) -> Pieces:
    """Two or more runs, all of one colour."""
    return lambda dice, width: _runs(dice, width, smallest, [dice.pick(colours)] * _several(dice, width))


def _several(dice: Dice, width: int) -> int:
    return 2 + dice.below(1 + width // 8)


def _pattern(smallest: int = 2, share: int = 2, colours: str = COLOURS) -> Pieces:
    """One segment of mixed colours, of at most one `share`-th of the row where that is possible."""

    def pieces(dice: Dice, width: int) -> list[str]:
        size = dice.between(smallest, max(smallest, width // share))
        return ["".join([dice.pick(colours) for _ in range(size)])]

    return pieces


def _cells(dice: Dice, width: int) -> list[str]:
    """Single cells of mixed colours, about half of what the row holds."""
    return [dice.pick(COLOURS) for _ in range(2 + width // 4)]


def _pairs(dice: Dice, width: int) -> list[str]:
    """Gaps between two cells of one colour, each pair of its own colour."""
    largest = max(2, width // 4)
    return [c + "0" * dice.between(1, largest) + c for c in dice.shuffled(COLOURS)[: _several(dice, width) - 1]]


def _then_marker(pieces: Pieces) -> Pieces:
    return lambda dice, width: [*pieces(dice, width), MARKER]


def _reflection(dice: Dice, width: int) -> list[str]:
    """A pattern and the marker beside it, with room for the image."""
    size = dice.between(1, max(1, (width - 1) // 3))
    return ["".join([dice.pick(_UNMARKED) for _ in range(size)]) + MARKER + "0" * size]


def _noisy_segments(dice: Dice, width: int) -> list[str]:
    """Runs in which one cell has another colour."""
    segments = _runs(dice, width, 3, dice.shuffled(COLOURS)[: _several(dice, width)])
    noise = dice.pick(COLOURS)
    return [run[:spot] + noise + run[spot + 1 :] for run in segments for spot in [dice.below(len(run))]]


def _two_colours(dice: Dice, width: int) -> list[str]:
    pair = dice.shuffled(COLOURS)[:2]
    return _runs(dice, width, 1, pair + [dice.pick(pair) for _ in range(_several(dice, width) - 2)])


def _stamps(dice: Dice, width: int) -> list[str]:
    """A pattern at the left end, then markers with room to put it again."""
    (pattern,) = _pattern(2, 6, _UNMARKED)(dice, width)
    markers = [MARKER + "0" * (len(pattern) - 1)] * (_several(dice, width) - 1)
    return [pattern + "0" + _spread(dice, width - len(pattern) - 1, markers)]


def _at_left_wall(pieces: Pieces) -> Pieces:
    return lambda dice, width: ["".join(pieces(dice, width)).ljust(width, "0")]


# What happens to them.


def _moved_right(cells: int) -> Transform:
    return lambda row: ("0" * cells + row)[: len(row)]


def _moved_left(cells: int) -> Transform:
    return lambda row: row[cells:].ljust(len(row), "0")


def _to_left_wall(row: Row) -> Row:
    return row.lstrip("0").ljust(len(row), "0")


def _to_right_wall(row: Row) -> Row:
    return row.rstrip("0").rjust(len(row), "0")


def _fall_left(row: Row) -> Row:
    return row.replace("0", "").ljust(len(row), "0")


def _fall_right(row: Row) -> Row:
    return row.replace("0", "").rjust(len(row), "0")


def _mirror(row: Row) -> Row:
    return row[::-1]


def _each_run(change: Callable[[str], str]) -> Transform:
    return lambda row: _RUN.sub(lambda match: change(match[0]), row)


def _each_segment(change: Callable[[str], str]) -> Transform:
    return lambda row: _SEGMENT.sub(lambda match: change(match[0]), row)


def _replace(pattern: str, change: Callable[[re.Match[str]], str]) -> Transform:
    compiled = re.compile(pattern)
    return lambda row: compiled.sub(change, row)


def _hollow(run: str) -> str:
    return run[0] + "0" * (len(run) - 2) + run[-1] if len(run) > 2 else run


def _every_second(run: str) -> str:
    return "".join([cell if index % 2 == 0 else "0" for index, cell in enumerate(run)])


def _mark_middle(run: str) -> str:
    middle = len(run) // 2
    return run[:middle] + MARKER + run[middle + 1 :] if len(run) % 2 else run


def _majority(segment: str) -> str:
    return max(segment, key=segment.count) * len(segment)


def _longest(change_longest: Callable[[str], str], change_others: Callable[[str], str]) -> Transform:
    """Treat the longest runs, every one of them when several are, unlike the others."""

    def transform(row: Row) -> Row:
        longest = max(map(len, (match[0] for match in _RUN.finditer(row))), default=0)
        return _RUN.sub(lambda m: (change_longest if len(m[0]) == longest else change_others)(m[0]), row)

    return transform


def _same(run: str) -> str:
    return run


def _erase(run: str) -> str:
    return "0" * len(run)


def _paint(colour: str) -> Callable[[str], str]:
    return lambda run: colour * len(run)


def _reflect_at_marker(row: Row) -> Row:
    left, marker, right = row.partition(MARKER)
    return left + marker + left[::-1][: len(right)].ljust(len(right), "0") if marker else row


def _count_runs(row: Row) -> Row:
    runs = [match[0] for match in _RUN.finditer(row)]
    return (runs[0][0] * len(runs)).ljust(len(row), "0") if runs else row


def _sort_runs(row: Row) -> Row:
    runs = sorted((match[0] for match in _RUN.finditer(row)), key=len)
    return "0".join(runs)[: len(row)].ljust(len(row), "0")


def _sort_cells(row: Row) -> Row:
    return "".join(sorted(row, key=int))


def _swap_colours(row: Row) -> Row:
    """Exchange the first colour of the row and the next one."""
    rest = row.lstrip("0")
    other = rest.replace(rest[:1], "").lstrip("0")[:1] if rest else ""
    return row.translate(str.maketrans(rest[0] + other, other + rest[0])) if other else row


def _invert(row: Row) -> Row:
    colour = row.strip("0")[:1]
    return row.translate(str.maketrans("0" + colour, colour + "0")) if colour else row


def _take_first_colour(row: Row) -> Row:
    colour = row.lstrip("0")[:1]
    return _SEGMENT.sub(lambda match: colour * len(match[0]), row)


def _repeat_pattern(row: Row) -> Row:
    pattern = row.rstrip("0")
    return (pattern * len(row))[: len(row)] if pattern else row


def _double_cells(row: Row) -> Row:
    return "".join([cell + cell for cell in row])[: len(row)]


def _append_mirror(row: Row) -> Row:
    pattern = row.rstrip("0")
    return (pattern + pattern[::-1])[: len(row)].ljust(len(row), "0")


def _stamp_at_markers(row: Row) -> Row:
    pattern = row.partition("0")[0]
    return row.replace(MARKER + "0" * (len(pattern) - 1), pattern) if pattern else row


def _swap_halves(row: Row) -> Row:
    half = len(row) // 2
    return row[len(row) - half :] + row[half : len(row) - half] + row[:half]


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **{f"move_right_{n}": Rule(_moved_right(n), _block(), room_right=n) for n in (1, 2, 3)},
        **{f"move_left_{n}": Rule(_moved_left(n), _block(), room_left=n) for n in (1, 2, 3)},
        "to_left_wall": Rule(_to_left_wall, _pattern(), room_left=1),
        "to_right_wall": Rule(_to_right_wall, _pattern(), room_right=1),
        "fall_left": Rule(_fall_left, _cells),
        "fall_right": Rule(_fall_right, _cells),
        "mirror": Rule(_mirror, _pattern()),
        "mirror_in_place": Rule(_each_segment(_mirror), _pattern()),
        "hollow": Rule(_each_run(_hollow), _blocks(smallest=3)),
        "fill_pairs": Rule(_replace(r"([1-9])0+\1", lambda m: m[1] * len(m[0])), _pairs),
        "grow_right": Rule(_replace(r"([1-9])0+", lambda m: m[1] * len(m[0])), _blocks()),
        "grow_left": Rule(_replace(r"0+([1-9])", lambda m: m[1] * len(m[0])), _blocks()),
        "grow_to_marker": Rule(
            _replace(rf"([{_UNMARKED}])0+(?={MARKER})", lambda m: m[1] * len(m[0])),
            _then_marker(_block(colours=_UNMARKED)),
        ),
        "move_to_marker": Rule(
            _replace(rf"([{_UNMARKED}]+)(0+)(?={MARKER})", lambda m: m[2] + m[1]),
            _then_marker(_pattern(colours=_UNMARKED)),
        ),
        "reflect_at_marker": Rule(_reflect_at_marker, _reflection),
        "outline": Rule(_replace(rf"0(?=[{_UNMARKED}])|(?<=[{_UNMARKED}])0", lambda _: MARKER), _equal_blocks(colours=_UNMARKED)),
        "mark_middle": Rule(_each_run(_mark_middle), _blocks(smallest=2)),
        "every_second": Rule(_each_run(_every_second), _blocks(smallest=2)),
        "colour_by_length": Rule(_each_run(lambda run: str(min(len(run), 9)) * len(run)), _equal_blocks()),
        "colour_by_parity": Rule(_each_run(lambda run: "21"[len(run) % 2] * len(run)), _equal_blocks()),
        "colour_longest": Rule(_longest(_paint(MARKER), _same), _equal_blocks(colours=_UNMARKED)),
        "keep_longest": Rule(_longest(_same, _erase), _blocks()),
        "erase_longest": Rule(_longest(_erase, _same), _blocks()),
        "erase_single_cells": Rule(_each_run(lambda run: run if len(run) > 1 else "0"), _blocks()),
        "smooth": Rule(_each_segment(_majority), _noisy_segments),
        "take_first_colour": Rule(_take_first_colour, _blocks()),
        "swap_colours": Rule(_swap_colours, _two_colours),
        "invert": Rule(_invert, _equal_blocks()),
        "count_runs": Rule(_count_runs, _equal_blocks()),
        "sort_runs": Rule(_sort_runs, _blocks()),
        "sort_cells": Rule(_sort_cells, _pattern()),
        "swap_halves": Rule(_swap_halves, _pattern()),
        "repeat_pattern": Rule(_repeat_pattern, _at_left_wall(_pattern(share=3))),
        "append_mirror": Rule(_append_mirror, _at_left_wall(_pattern())),
        "double_cells": Rule(_double_cells, _at_left_wall(_pattern())),
        "stamp_at_markers": Rule(_stamp_at_markers, _stamps),
    }
)
