"""Zebra: the text of every puzzle has one solution, found again by brute force; near-misses and other names are wrong."""

from __future__ import annotations

import itertools
import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.checker import check_task
from mtgrpo_env.envs.answers import boxed, conversation
from mtgrpo_env.envs.zebra import Zebra, ZebraPuzzle, compact_question
from mtgrpo_env.envs.zebra_solver import Board, Clue, Grid, Value, is_unique, solutions, tables
from mtgrpo_env.envs.zebra_words import PEOPLE, THEMES
from mtgrpo_env.suite import Task

LEVELS = list(Zebra.LEVELS)
PAPER_LEVELS = [level for level in LEVELS if level != "mini"]
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
SPLITTERS = (
    ("next", re.compile(r" and (?=.* are next to each other$)"), re.compile(r" are next to each other$")),
    ("left", re.compile(r" is directly left of "), re.compile(r"$^")),
    ("same", re.compile(r" is "), re.compile(r"$^")),
)


@st.composite
def task_and_puzzle(draw: st.DrawFn) -> tuple[Zebra, ZebraPuzzle]:
    task = Zebra(draw(st.sampled_from(LEVELS)))
    return task, task.generate(np.random.default_rng(draw(st.integers(0, 2**32))))


# Reading a question back: nothing is taken from the puzzle but its text.


def listed_properties(question: str) -> list[list[str]]:
    return [line.split(": ")[1].split(", ") for line in question.split("\n\n")[0].split("\n")[1:]]


def read_clues(question: str, resolve: Callable[[str], Value | None]) -> list[Clue]:
    """The clues of a question in the paper's form; `resolve` finds the value that a phrase stands for."""
    lines = question.split("\n\n")[1].split("\n")
    return [read_clue(line.removeprefix(f"{n}. ").removesuffix("."), resolve) for n, line in enumerate(lines, start=1)]


def read_clue(sentence: str, resolve: Callable[[str], Value | None]) -> Clue:
    if found := re.fullmatch(r"(.*) is in the (\w+) house", sentence):
        value = resolve(found[1])
        assert value is not None, sentence
        return Clue("at", value, ORDINALS.index(found[2]))
    for kind, splitter, ending in SPLITTERS:
        for cut in splitter.finditer(sentence):
            first = resolve(sentence[: cut.start()])
            second = resolve(ending.sub("", sentence[cut.end() :]))
            if first is not None and second is not None:
                return Clue(kind, first, second)
    raise AssertionError(f"no clue in {sentence!r}")


def exact_phrases(properties: list[list[str]]) -> Callable[[str], Value | None]:
    """Finds the phrases that this project's generator writes."""
    phrases = {value: phrase for theme in (PEOPLE, *THEMES) for value, phrase in theme.phrases.items()}
    values = {
        phrases[word].lower(): (index, place)
        for index, words in enumerate(properties)
        for place, word in enumerate(words)
    }
    return lambda phrase: values.get(phrase.lower())


def paper_phrases(properties: list[list[str]]) -> Callable[[str], Value | None]:
    """Finds the paper's phrases: a bare name, else the longest value that the phrase contains."""

    def resolve(phrase: str) -> Value | None:
        text = phrase.lower()
        if text in properties[0]:
            return 0, properties[0].index(text)
        held = [
            (len(word), (index, place))
            for index, words in enumerate(properties[1:], start=1)
            for place, word in enumerate(words)
            if re.search(rf"\b{word[:-1] if word == 'roses' else word}", text)
        ]
        return max(held)[1] if held else None

    return resolve


def brute_force(clues: list[Clue], houses: int, properties: int) -> Iterator[Grid]:
    """All grids that fit, by trying every permutation of every property."""

    def fits(clue: Clue, grid: Grid) -> bool:
        here = grid[clue.first[0]][clue.first[1]]
        there = clue.second if isinstance(clue.second, int) else grid[clue.second[0]][clue.second[1]]
        return {"same": here == there, "at": here == there, "left": here + 1 == there, "next": abs(here - there) == 1}[
            clue.kind
        ]

    def settled(clue: Clue, count: int) -> bool:
        last = clue.first[0] if isinstance(clue.second, int) else max(clue.first[0], clue.second[0])
        return last == count - 1

    grids: list[Grid] = [()]
    for count in range(1, properties + 1):
        due = [clue for clue in clues if settled(clue, count)]
        grids = [
            grown
            for grid in grids
            for permutation in itertools.permutations(range(houses))
            if all(fits(clue, grown := (*grid, permutation)) for clue in due) or (not due and (grown := (*grid, permutation)))
        ]
    yield from grids
