"""Zebra as text: every question, read back, has one solution, by the solver and by brute force."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.chat import messages_of
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.zebra import Zebra
from mtgrpo_env.envs.zebra_solver import Board, Clue, ClueKind, Grid, Value, is_unique, solutions, tables
from mtgrpo_env.envs.zebra_words import PEOPLE, THEMES
from mtgrpo_env.paper_frame import framed

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
SPLITTERS: tuple[tuple[ClueKind, re.Pattern[str]], ...] = (
    ("next", re.compile(r" and (?=.* are next to each other$)")),
    ("left", re.compile(r" is directly left of ")),
    ("same", re.compile(r" is ")),
)


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
    for kind, splitter in SPLITTERS:
        for cut in splitter.finditer(sentence):
            first = resolve(sentence[: cut.start()])
            second = resolve(sentence[cut.end() :].removesuffix(" are next to each other"))
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


def brute_force(clues: list[Clue], houses: int, properties: int) -> list[Grid]:
    """All grids that fit the clues, by trying every permutation of one property after the other."""
    grids: list[Grid] = [()]
    for count in range(1, properties + 1):
        due = [clue for clue in clues if last_property(clue) == count - 1]
        longer = [(*grid, permutation) for grid in grids for permutation in itertools.permutations(range(houses))]
        grids = [grid for grid in longer if all(is_true(clue, grid) for clue in due)]
    return grids


def last_property(clue: Clue) -> int:
    return clue.first[0] if isinstance(clue.second, int) else max(clue.first[0], clue.second[0])


def is_true(clue: Clue, grid: Grid) -> bool:
    here = grid[clue.first[0]][clue.first[1]]
    there = clue.second if isinstance(clue.second, int) else grid[clue.second[0]][clue.second[1]]
    if clue.kind == "left":
        return here + 1 == there
    return abs(here - there) == 1 if clue.kind == "next" else here == there


def people_in_order(grid: Grid, names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: grid[0][names.index(name)])


@pytest.mark.parametrize(("level", "count"), [("easy", 60), ("medium", 8)])
def test_the_text_of_a_puzzle_has_one_solution_by_brute_force(level: str, count: int) -> None:
    task, rng = Zebra(level), np.random.default_rng(0)
    for _ in range(count):
        puzzle = task.generate(rng)
        properties = listed_properties(puzzle.question)
        clues = read_clues(puzzle.question, exact_phrases(properties))
        (grid,) = brute_force(clues, task.level.houses, task.level.properties)
        assert people_in_order(grid, properties[0]) == list(puzzle.people)
        assert clues == list(puzzle.clues)


def test_the_text_of_a_compact_puzzle_has_one_solution_by_brute_force() -> None:
    task, rng = Zebra("mini"), np.random.default_rng(0)
    for _ in range(100):
        puzzle = task.generate(rng)
        clues = [read_compact_clue(text) for text in puzzle.question[1:-1].split(";")]
        (grid,) = brute_force(clues, 5, 1)
        assert task.oracle(puzzle) == "".join(people_in_order(grid, list("abcde"))) + boxed(puzzle.answer)


def read_compact_clue(text: str) -> Clue:
    first = (0, "abcde".index(text[0]))
    if len(text) == 2:
        return Clue("at", first, int(text[1]) - 1)
    return Clue("left" if text[1] == "<" else "next", first, (0, "abcde".index(text[2])))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.data())
def test_the_solver_finds_what_brute_force_finds(data: st.DataObject) -> None:
    houses, properties = data.draw(st.sampled_from([(2, 3), (3, 1), (3, 2), (3, 3), (4, 2)]))
    value = st.tuples(st.integers(0, properties - 1), st.integers(0, houses - 1))
    placed = st.builds(partial(Clue, "at"), value, st.integers(0, houses - 1))
    linked = st.builds(Clue, st.sampled_from(["same", "left", "next"]), value, value)
    clues = data.draw(st.lists(placed | linked, max_size=6))
    expected = sorted(brute_force(clues, houses, properties))
    assert sorted(solutions(clues, houses=houses, properties=properties)) == expected
    assert is_unique(clues, houses=houses, properties=properties) == (len(expected) == 1)


def test_a_board_says_when_clues_contradict_each_other() -> None:
    board = Board(houses=3, properties=2)
    assert not board.apply([Clue("at", (0, 0), 2), Clue("left", (0, 0), (1, 0))])


@pytest.mark.parametrize("houses", [-1, 1, 8])
def test_too_few_or_too_many_houses_are_refused(houses: int) -> None:
    with pytest.raises(ValueError, match=rf"houses must be 2\.\.7, got {houses}"):
        tables(houses)


def test_prompts_of_the_papers_rows_are_given_back_and_their_names_are_read(paper_tasks: Path) -> None:
    for level, target, question, prompt in paper_rows(paper_tasks):
        for text in (question, prompt):
            puzzle = Zebra.from_ground_truth({"target": target}, text)
            assert framed(messages_of(Zebra(level).prompt(puzzle))) == prompt
            assert list(puzzle.properties[0]) == listed_properties(question)[0]


def test_every_row_of_the_paper_has_one_solution_with_the_paper_s_answer(paper_tasks: Path) -> None:
    for _, target, question, _ in paper_rows(paper_tasks):
        properties = listed_properties(question)
        clues = read_clues(question, paper_phrases(properties))
        (grid,) = solutions(clues, houses=len(properties[0]), properties=len(properties))
        assert people_in_order(grid, properties[0])[0] == target


@pytest.mark.parametrize("level", ["easy", "medium", "hard", "very_hard"])
def test_generated_questions_have_the_form_of_the_papers(level: str, paper_tasks: Path) -> None:
    ours = Zebra(level).generate(np.random.default_rng(0)).question
    forms = {form(question) for name, _, question, _ in paper_rows(paper_tasks) if name == level}
    assert forms == {form(ours)}


def form(question: str) -> str:
    """What is the same in all questions: the text around headings, values and clues."""
    text = re.sub(r"^ - [^:\n]+: [^\n]+$", " - H: V", question, flags=re.MULTILINE)
    return re.sub(r"(^\d+\. [^\n]+\.\n)+", "CLUES\n", text, flags=re.MULTILINE)


def paper_rows(folder: Path) -> list[tuple[str, str, str, str]]:
    """(level, target, question, prompt) of each row."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(folder / "zebra_test.parquet").to_pylist()
    assert len(rows) >= 400
    return [
        (
            row["data_source"].split("-")[1],
            row["reward_model"]["ground_truth"]["target"],
            row["extra_info"]["question"],
            row["prompt"][0]["content"],
        )
        for row in rows
    ]
