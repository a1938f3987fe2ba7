r"""Zebra puzzles: who lives in house 1, from clues about who lives where (the paper's second task).

The paper's levels have 3, 4, 5 or 6 houses and as many properties. `mini` is ours: five houses, only
people to place and a short notation, within reach of a model with a few hundred thousand parameters.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask, boxed
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.fields import text_field
from mtgrpo_env.envs.zebra_solver import Board, Clue, ClueKind, Grid, Value, is_unique
from mtgrpo_env.envs.zebra_words import PEOPLE, THEMES, Theme
from mtgrpo_env.paper_frame import question_of

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
# How often each kind is tried; what is left of them after pruning is mixed about as in the paper's rows.
_KIND_WEIGHTS: Mapping[ClueKind, int] = {"same": 14, "at": 3, "left": 3, "next": 3}
_KINDS: tuple[ClueKind, ...] = tuple(kind for kind, weight in _KIND_WEIGHTS.items() for _ in range(weight))
_PLACING: tuple[ClueKind, ...] = ("at", "left", "next")  # the kinds that say something where people are all there is
_COMPACT_NAMES = "abcdefg"
_COMPACT_HOUSES = 5  # the number that the compact notation leaves unsaid
_COMPACT_SIGNS: Mapping[ClueKind, str] = {"left": "<", "next": "~"}
_COMPACT = re.compile(r"Z(?:([67]);)?[a-g1-7<~;]+:")
_NAMES_LINE = re.compile(rf"^ - {PEOPLE.heading}: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ZebraPuzzle:
    """Clues that settle who lives where.

    Attributes:
        question: the puzzle as text.
        people: who lives in each house, the answer first; of a data row, only the answer is known.
        properties: the values of each property as listed, names first; of a data row, only names can be known.
        clues: about the values of `properties`, by index; of a data row, none.
    """

    question: str
    people: tuple[str, ...]
    properties: tuple[tuple[str, ...], ...] = ()
    clues: tuple[Clue, ...] = ()

    @property
    def answer(self) -> str:
        return self.people[0]


@dataclass(frozen=True, slots=True)
class ZebraLevel:
    """What puzzles of a level look like; the compact notation has five to seven houses and people only."""

    houses: int
    properties: int
    compact: bool = False


class Zebra(BoxedTask[ZebraPuzzle]):
    r"""Name the person in house 1.

    The clues have exactly one solution, none can be left out, and none gives the answer by itself.
    In the compact notation `a` to `e` are people: `a<b` means directly left, `b~c` next to each other, `d2` in
    house 2.

    >>> puzzle = ZebraPuzzle(question="Zb3;a<c;d5;c<b:", people=("a", "c", "b", "e", "d"))
    >>> zebra = Zebra("mini")
    >>> zebra.prompt(puzzle), zebra.oracle(puzzle)
    ('Zb3;a<c;d5;c<b:', 'acbed\\boxed{a}')
    """

    LEVELS: ClassVar[Mapping[str, Hashable]] = MappingProxyType(
        {
            "mini": ZebraLevel(houses=5, properties=1, compact=True),
            "mini_medium": ZebraLevel(houses=6, properties=1, compact=True),
            "mini_hard": ZebraLevel(houses=7, properties=1, compact=True),
            "easy": ZebraLevel(houses=3, properties=3),
            "medium": ZebraLevel(houses=4, properties=4),
            "hard": ZebraLevel(houses=5, properties=5),
            "very_hard": ZebraLevel(houses=6, properties=6),
        }
    )
    level: ZebraLevel

    def generate(self, rng: np.random.Generator) -> ZebraPuzzle:
        dice, houses = Dice(rng), self.level.houses
        grid: Grid = tuple(tuple(dice.shuffled(range(houses))) for _ in range(self.level.properties))
        clues = draw_clues(dice, grid)
        if self.level.compact:
            properties = (tuple(_COMPACT_NAMES[:houses]),)
            question = compact_question(clues, properties)
        else:
            themes = (PEOPLE, *dice.shuffled(THEMES)[: self.level.properties - 1])
            properties = tuple(tuple(dice.shuffled(tuple(theme.phrases))[:houses]) for theme in themes)
            clues = [_turned(clue) if dice.below(2) else clue for clue in clues]
            question = paper_question(clues, properties, themes)
        people = tuple(properties[0][grid[0].index(house)] for house in range(houses))
        return ZebraPuzzle(question, people, properties, tuple(clues))

    def prompt(self, puzzle: ZebraPuzzle) -> str:
        return puzzle.question

    def is_correct(self, puzzle: ZebraPuzzle, answer: str) -> bool:
        name = puzzle.answer.lower()
        return answer.lower() == name or self.bare(answer).lower() == name

    def oracle(self, puzzle: ZebraPuzzle) -> str:
        """The answer; in the compact notation after everybody in order, which is what has to be worked out."""
        return ("".join(puzzle.people) if self.level.compact else "") + boxed(puzzle.answer)

    def guess(self, puzzle: ZebraPuzzle, rng: np.random.Generator) -> str:
        """One of the people; an empty answer where the question does not list them."""
        names = puzzle.properties[0] if puzzle.properties else ("",)
        return boxed(names[rng.integers(len(names))])

    def key(self, puzzle: ZebraPuzzle) -> str:
        """The question without the order in which values and clues are given, or the halves of a clue."""
        if not puzzle.clues:
            return puzzle.question
        listed = sorted(",".join(sorted(values)) for values in puzzle.properties)
        stated = sorted(",".join(_words(_canonical(clue), puzzle.properties)) for clue in puzzle.clues)
        return "|".join((*listed, *stated))

    def ground_truth(self, puzzle: ZebraPuzzle) -> dict[str, Any]:
        return {"target": puzzle.answer}

    @classmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> ZebraPuzzle:
        """The puzzle behind a data row: `{"target": "alice"}`; the names are read from the question.

        Raises:
            ValueError: if the target is missing or empty.
        """
        people, question = (text_field(ground_truth, "target"),), question_of(question)
        if compact := _COMPACT.fullmatch(question):
            houses = int(compact[1] or _COMPACT_HOUSES)
            return ZebraPuzzle(question, people, (tuple(_COMPACT_NAMES[:houses]),))
        listed = _NAMES_LINE.search(question)
        return ZebraPuzzle(question, people, (tuple(listed[1].split(", ")),) if listed else ())


def draw_clues(dice: Dice, grid: Grid) -> list[Clue]:
    """Clues that only this grid fits, of which none can be spared and none places the person in house 1."""
    houses, properties = len(grid[0]), len(grid)
    residents = [[values.index(house) for house in range(houses)] for values in grid]
    giveaway = Clue("at", (0, residents[0][0]), 0)
    board = Board(houses=houses, properties=properties)
    clues: list[Clue] = []
    while not board.solved():
        clue, before = _true_clue(dice, residents), board.states.copy()
        if clue == giveaway:
            continue
        board.apply([clue])
        if board.states != before:
            clues.append(clue)
            board.apply(clues)
    for clue in dice.shuffled(clues):
        others = [other for other in clues if other is not clue]
        if is_unique(others, houses=houses, properties=properties):
            clues = others
    return dice.shuffled(clues)


def _true_clue(dice: Dice, residents: list[list[int]]) -> Clue:
    houses = len(residents[0])
    kind = dice.pick(_KINDS if len(residents) > 1 else _PLACING)
    p, q = dice.below(len(residents)), dice.below(len(residents))
    if kind == "at":
        house = dice.below(houses)
        return Clue("at", (p, residents[p][house]), house)
    if kind == "same":
        house, q = dice.below(houses), (p + 1 + dice.below(len(residents) - 1)) % len(residents)
        return _canonical(Clue("same", (p, residents[p][house]), (q, residents[q][house])))
    house = dice.below(houses - 1)
    return _canonical(Clue(kind, (p, residents[p][house]), (q, residents[q][house + 1])))


def _turned(clue: Clue) -> Clue:
    """The same statement the other way round, if it can be."""
    if isinstance(clue.second, int) or clue.kind == "left":
        return clue
    return Clue(clue.kind, clue.second, clue.first)


def _canonical(clue: Clue) -> Clue:
    return min(clue, _turned(clue), key=lambda c: c.first)


def _words(clue: Clue, properties: Sequence[Sequence[str]]) -> tuple[ClueKind, str, str]:
    first, second = clue.first, clue.second
    there = str(second + 1) if isinstance(second, int) else properties[second[0]][second[1]]
    return clue.kind, properties[first[0]][first[1]], there


def compact_question(clues: Sequence[Clue], properties: Sequence[Sequence[str]]) -> str:
    """A prompt of some twenty characters; the number of houses is said if it is not five.

    >>> compact_question([Clue("left", (0, 0), (0, 1)), Clue("at", (0, 2), 1)], ("abcde",))
    'Za<b;c2:'
    """
    houses = len(properties[0])
    worded = (_words(clue, properties) for clue in clues)
    stated = [first + _COMPACT_SIGNS.get(kind, "") + second for kind, first, second in worded]
    return f"Z{';'.join(stated if houses == _COMPACT_HOUSES else [str(houses), *stated])}:"


def paper_question(clues: Sequence[Clue], properties: Sequence[Sequence[str]], themes: Sequence[Theme]) -> str:
    """The puzzle in the form of the paper's rows."""
    houses = len(properties[0])
    listed = "".join(f" - {t.heading}: {', '.join(values)}\n" for t, values in zip(themes, properties, strict=True))

    def phrase(value: Value) -> str:
        return themes[value[0]].phrases[properties[value[0]][value[1]]]

    def sentence(clue: Clue) -> str:
        first = phrase(clue.first)
        subject = first[0].upper() + first[1:]
        if isinstance(clue.second, int):
            return f"{subject} is in the {_ORDINALS[clue.second]} house."
        second = phrase(clue.second)
        if clue.kind == "next":
            return f"{subject} and {second} are next to each other."
        return f"{subject} is {'directly left of ' if clue.kind == 'left' else ''}{second}."

    stated = "".join(f"{number}. {sentence(clue)}\n" for number, clue in enumerate(clues, start=1))
    return (
        f"This is a logic puzzle. There are {houses} houses (numbered 1 on the left, {houses} on the right), from the "
        "perspective of someone standing across the street from them. Each has a different person in them. They have "
        f"different characteristics:\n{listed}\n{stated}\nWhat is Name of the person who lives in House 1? Provide "
        "only the name of the person as your final answer and put in in \\boxed{}, for example: \\boxed{Alice}."
    )
