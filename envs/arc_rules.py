"""Rules of one-dimensional ARC: what a row of coloured cells becomes, and on which rows that shows.

See `arc_rows` for what rows, runs and segments are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mtgrpo_env.envs import arc_rows as rows
from mtgrpo_env.envs.arc_rows import MARKER, UNMARKED, Pieces, Row
from mtgrpo_env.envs.dice import Dice

Transform = Callable[[Row], Row]

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
        return "0" * self.room_left + rows.spread(dice, width, self.pieces(dice, width)) + "0" * self.room_right


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
        **{f"move_right_{n}": Rule(_moved_right(n), rows.block(), room_right=n) for n in (1, 2, 3)},
        **{f"move_left_{n}": Rule(_moved_left(n), rows.block(), room_left=n) for n in (1, 2, 3)},
        "to_left_wall": Rule(_to_left_wall, rows.pattern(), room_left=1),
        "to_right_wall": Rule(_to_right_wall, rows.pattern(), room_right=1),
        "fall_left": Rule(_fall_left, rows.scattered_cells),
        "fall_right": Rule(_fall_right, rows.scattered_cells),
        "mirror": Rule(_mirror, rows.pattern()),
        "mirror_in_place": Rule(_each_segment(_mirror), rows.pattern()),
        "hollow": Rule(_each_run(_hollow), rows.blocks(smallest=3)),
        "fill_pairs": Rule(_replace(r"([1-9])0+\1", lambda m: m[1] * len(m[0])), rows.pairs),
        "grow_right": Rule(_replace(r"([1-9])0+", lambda m: m[1] * len(m[0])), rows.blocks()),
        "grow_left": Rule(_replace(r"0+([1-9])", lambda m: m[1] * len(m[0])), rows.blocks()),
        "grow_to_marker": Rule(
            _replace(rf"([{UNMARKED}])0+(?={MARKER})", lambda m: m[1] * len(m[0])),
            rows.then_marker(rows.block(colours=UNMARKED)),
        ),
        "move_to_marker": Rule(
            _replace(rf"([{UNMARKED}]+)(0+)(?={MARKER})", lambda m: m[2] + m[1]),
            rows.then_marker(rows.pattern(colours=UNMARKED)),
        ),
        "reflect_at_marker": Rule(_reflect_at_marker, rows.pattern_and_mirror),
        "outline": Rule(
            _replace(rf"0(?=[{UNMARKED}])|(?<=[{UNMARKED}])0", lambda _: MARKER),
            rows.equal_blocks(colours=UNMARKED),
        ),
        "mark_middle": Rule(_each_run(_mark_middle), rows.blocks(smallest=2)),
        "every_second": Rule(_each_run(_every_second), rows.blocks(smallest=2)),
        "colour_by_length": Rule(_each_run(lambda run: str(min(len(run), 9)) * len(run)), rows.equal_blocks()),
        "colour_by_parity": Rule(_each_run(lambda run: "21"[len(run) % 2] * len(run)), rows.equal_blocks()),
        "colour_longest": Rule(_longest(_paint(MARKER), _same), rows.equal_blocks(colours=UNMARKED)),
        "keep_longest": Rule(_longest(_same, _erase), rows.blocks()),
        "erase_longest": Rule(_longest(_erase, _same), rows.blocks()),
        "erase_single_cells": Rule(_each_run(lambda run: run if len(run) > 1 else "0"), rows.blocks()),
        "smooth": Rule(_each_segment(_majority), rows.noisy_segments),
        "take_first_colour": Rule(_take_first_colour, rows.blocks()),
        "swap_colours": Rule(_swap_colours, rows.two_colours),
        "invert": Rule(_invert, rows.equal_blocks()),
        "count_runs": Rule(_count_runs, rows.equal_blocks()),
        "sort_runs": Rule(_sort_runs, rows.blocks()),
        "sort_cells": Rule(_sort_cells, rows.pattern()),
        "swap_halves": Rule(_swap_halves, rows.pattern()),
        "repeat_pattern": Rule(_repeat_pattern, rows.at_left_wall(rows.pattern(share=3))),
        "append_mirror": Rule(_append_mirror, rows.at_left_wall(rows.pattern())),
        "double_cells": Rule(_double_cells, rows.at_left_wall(rows.pattern())),
        "stamp_at_markers": Rule(_stamp_at_markers, rows.pattern_and_markers),
    }
)
