"""Ranges of numbers, declared beside the options that they hold for."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

BILLION = 10**9
"""More than any count of steps, rows, tokens or seconds can be meant to be."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `least` to `most`, finite ones alone.

    Attributes:
        least: the smallest.
        most: the largest.
        above: whether `least` itself is outside.
        below: whether `most` itself is outside.

    >>> print(Range(0, 1, above=True))
    above 0 and at most 1
    """

    least: float = 0
    most: float = BILLION
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        low = value > self.least if self.above else value >= self.least
        return low and (value < self.most if self.below else value <= self.most)

    def __str__(self) -> str:
        least, most = (f"{end:,}" for end in (self.least, self.most))
        return f"{'above' if self.above else 'at least'} {least} and {'below' if self.below else 'at most'} {most}"

    def check(self, name: str, value: float) -> None:
        """Refuse a number that is outside, and NaN.

        Raises:
            ValueError: with the name, the range and the number.
        """
        if value not in self:
            is_high = value > self.least or self.most < BILLION  # else the largest number is not what is wrong
            expected = f"{self}" if is_high else f"{self}".partition(" and ")[0]
            raise ValueError(f"{name} must be {expected}, got {value}")


Count = Annotated[int, Range(1)]
"""Of things of which there must be one."""
CountOrNone = Annotated[int, Range(0)]
"""Of things of which there may be none."""
Seed = Annotated[int, Range(0, 2**63 - 1)]
"""Of random numbers."""
Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
"""Of a whole."""
COLDEST = Range(1e-6)
"""Temperatures but for 0: logits over less may overflow."""
PositiveShare = Annotated[float, Range(0, 1, above=True)]


def check_ranges(options: Any) -> None:
    """Refuse what no option of this dataclass may be, in lists and in groups of options as well.

    Raises:
        ValueError: with the option's name, its range and what was given.
    """
    for group in vars(options).values():
        if is_dataclass(group):
            check_ranges(group)
    for name, within in ranges_of(type(options)).items():
        value = getattr(options, name)
        for one in value if isinstance(value, list | tuple) else (value,):
            if one is not None:
                within.check(name, one)


@cache
def ranges_of(options: type[Any]) -> dict[str, Range]:
    """The range of every number among the fields of a dataclass, by its name."""
    hints = get_type_hints(options, include_extras=True)
    found = {field.name: next(_ranges(hints[field.name]), None) for field in fields(options)}
    return {name: within for name, within in found.items() if within is not None}


def _ranges(hint: Any) -> Iterator[Range]:
    if get_origin(hint) is Annotated:
        yield from (part for part in hint.__metadata__ if isinstance(part, Range))
        yield from _ranges(hint.__origin__)
    elif get_origin(hint) in (Union, types.UnionType, tuple):
        for part in get_args(hint):
            yield from _ranges(part)
