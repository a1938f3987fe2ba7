"""Solving zebra puzzles: houses in a row, and properties of which every house has one value each.

The state of a property is the set of its arrangements, the ways to deal its values to the houses, as
the bits of one integer: bit k stands for the k-th permutation. That no two houses share a value is
thus built in; clues are propagated between the sets of houses that the arrangements leave to values.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

ClueKind = Literal["same", "at", "left", "next"]
Value = tuple[int, int]  # a property and one of its values, both by index
Grid = tuple[tuple[int, ...], ...]  # per property: the house of each value, counted from 0
Arrangements = int  # a set of permutations, as bits
Houses = int  # a set of houses, as bits

_Link = tuple[int, int, int, int, list[Houses], list[Houses]]  # two values of two properties, and the clue's reach

_MAX_HOUSES = 7
_CACHED_DOMAINS = 1 << 15


class Clue(NamedTuple):
    """A statement about where values live.

    Kinds: `first` lives in the `same` house as `second`; `at` house number `second`, counted from 0;
    directly `left` of it; or `next` to it on either side.
    """

    kind: ClueKind
    first: Value
    second: Value | int


@dataclass(frozen=True, slots=True)
class Tables:
    """What can be known of a number of houses before any clue.

    Attributes:
        permutations: `permutations[k][value]` is a house.
        at: `at[value][house]`: the arrangements that put the value there.
        within: `within[value][houses]`: those that put it in one of these houses.
        reach: per kind, by the houses left to one value, those left to the other: forth and back.
        pairs: `pairs[kind][first][second]`: the arrangements in which a clue within one property holds.
    """

    permutations: tuple[tuple[int, ...], ...]
    at: list[list[Arrangements]]
    within: list[list[Arrangements]]
    reach: Mapping[ClueKind, tuple[list[Houses], list[Houses]]]
    pairs: Mapping[ClueKind, list[list[Arrangements]]]


@functools.cache
def tables(houses: int) -> Tables:
    """The tables for a number of houses.

    Raises:
        ValueError: if there are fewer than 2 or more than 7 houses; arrangements grow as the factorial.
    """
    if not 2 <= houses <= _MAX_HOUSES:
        raise ValueError(f"houses must be 2..{_MAX_HOUSES}, got {houses}")
    each = range(houses)
    permutations = tuple(itertools.permutations(each))
    at = [[_bits(p[value] == house for p in permutations) for house in each] for value in each]
    subsets = range(1 << houses)
    within = [[_bits(subset >> p[value] & 1 for p in permutations) for subset in subsets] for value in each]
    right = [subset << 1 & (1 << houses) - 1 for subset in subsets]
    left = [subset >> 1 for subset in subsets]
    beside = [a | b for a, b in zip(left, right, strict=True)]
    return Tables(
        permutations,
        at,
        within,
        reach={"same": (list(subsets), list(subsets)), "left": (right, left), "next": (beside, beside)},
        pairs={
            "same": [[_bits(u == v for _ in permutations) for v in each] for u in each],
            "left": [[_bits(p[v] - p[u] == 1 for p in permutations) for v in each] for u in each],
            "next": [[_bits(abs(p[v] - p[u]) == 1 for p in permutations) for v in each] for u in each],
        },
    )


def _bits(flags: Iterable[bool | int]) -> int:
    return sum(1 << k for k, flag in enumerate(flags) if flag)


@functools.lru_cache(maxsize=_CACHED_DOMAINS)
def _domains(houses: int, arrangements: Arrangements) -> tuple[Houses, ...]:
    """Per value of a property: the houses in which some arrangement puts it."""
    return tuple(
        [sum([1 << house for house, mask in enumerate(row) if mask & arrangements]) for row in tables(houses).at]
    )


class Board:
    """What is still possible: an arrangement set per property, narrowed clue by clue.

    >>> board = Board(houses=3, properties=1)
    >>> board.apply([Clue("left", (0, 0), (0, 1)), Clue("at", (0, 2), 0)])
    True
    >>> board.solved(), board.grid()
    (True, ((1, 2, 0),))
    """

    __slots__ = ("_houses", "_tables", "domains", "states")

    def __init__(self, *, houses: int, properties: int) -> None:
        self._houses = houses
        self._tables = tables(houses)
        everything = (1 << len(self._tables.permutations)) - 1
        self.states: list[Arrangements] = [everything] * properties
        self.domains: list[tuple[Houses, ...]] = [_domains(houses, everything)] * properties

    def copy(self) -> Board:
        """An independent board in the same state."""
        twin = Board.__new__(Board)
        twin._houses, twin._tables = self._houses, self._tables
        twin.states, twin.domains = self.states.copy(), self.domains.copy()
        return twin

    def restrict(self, index: int, allowed: Arrangements) -> bool:
        """Keep only the allowed arrangements of a property; False when none is left."""
        state = self.states[index] & allowed
        if state != self.states[index]:
            self.states[index] = state
            self.domains[index] = _domains(self._houses, state)
        return state != 0

    def apply(self, clues: Iterable[Clue]) -> bool:
        """Narrow by the clues until they say nothing new; False when they contradict each other."""
        links: list[_Link] = []
        for kind, (index, value), second in clues:
            if isinstance(second, int):
                possible = self.restrict(index, self._tables.at[value][second])
            elif second[0] == index:
                possible = self.restrict(index, self._tables.pairs[kind][value][second[1]])
            else:
                possible = True
                links.append((index, value, *second, *self._tables.reach[kind]))
            if not possible:
                return False
        return self._propagate(links)

    def _propagate(self, links: Sequence[_Link]) -> bool:
        domains, within = self.domains, self._tables.within
        changed = True
        while changed:
            changed = False
            for p, u, q, v, forth, back in links:
                first, second = domains[p][u], domains[q][v]
                kept_second = second & forth[first]
                kept_first = first & back[kept_second]
                if kept_second != second:
                    changed = True
                    if not self.restrict(q, within[v][kept_second]):
                        return False
                if kept_first != first:
                    changed = True
                    if not self.restrict(p, within[u][kept_first]):
                        return False
        return True

    def solved(self) -> bool:
        """Whether one arrangement is left of every property."""
        return all(state & (state - 1) == 0 for state in self.states)

    def grid(self) -> Grid:
        """The solution; call it on a solved board."""
        assert self.solved()
        return tuple(self._tables.permutations[state.bit_length() - 1] for state in self.states)

    def branches(self) -> Iterator[Board]:
        """Boards that each settle the most settled open property, in every way that is left."""
        index = min((i for i, s in enumerate(self.states) if s & (s - 1)), key=lambda i: self.states[i].bit_count())
        state = self.states[index]
        while state:
            lowest = state & -state
            state ^= lowest
            branch = self.copy()
            branch.restrict(index, lowest)
            yield branch


def solutions(clues: Sequence[Clue], *, houses: int, properties: int) -> Iterator[Grid]:
    """Every grid of which all clues are true, found lazily."""
    return _search(Board(houses=houses, properties=properties), clues)


def _search(board: Board, clues: Sequence[Clue]) -> Iterator[Grid]:
    if not board.apply(clues):
        return
    if board.solved():
        yield board.grid()
        return
    for branch in board.branches():
        yield from _search(branch, clues)


def is_unique(clues: Sequence[Clue], *, houses: int, properties: int) -> bool:
    """Whether exactly one grid fits the clues."""
    return len(list(itertools.islice(solutions(clues, houses=houses, properties=properties), 2))) == 1
