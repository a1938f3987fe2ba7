"""Zebra: clues are needed and sufficient, near-misses and other names are wrong, and a guess scores one in houses."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.checker import check_task
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.zebra import Zebra, ZebraPuzzle, compact_question
from mtgrpo_env.envs.zebra_solver import Clue, is_unique
from mtgrpo_env.envs.zebra_words import PEOPLE, THEMES
from mtgrpo_env.suite import Task

LEVELS = list(Zebra.LEVELS)
PAPER_LEVELS = [level for level in LEVELS if not level.startswith("mini")]


@st.composite
def task_and_puzzle(draw: st.DrawFn) -> tuple[Zebra, ZebraPuzzle]:
    task = Zebra(draw(st.sampled_from(LEVELS)))
    return task, task.generate(np.random.default_rng(draw(st.integers(0, 2**32))))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_the_oracle_of_a_generated_puzzle_is_correct(drawn: tuple[Zebra, ZebraPuzzle]) -> None:
    task, puzzle = drawn
    assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct"


@pytest.mark.parametrize("level", LEVELS)
def test_no_clue_can_be_left_out_and_none_gives_the_answer_by_itself(level: str) -> None:
    task, rng = Zebra(level), np.random.default_rng(1)
    houses, properties = task.level.houses, task.level.properties
    for _ in range(5):
        puzzle = task.generate(rng)
        assert is_unique(puzzle.clues, houses=houses, properties=properties)
        for clue in puzzle.clues:
            others = [other for other in puzzle.clues if other is not clue]
            assert not is_unique(others, houses=houses, properties=properties)
            assert (clue.kind, clue.first[0], clue.second) != ("at", 0, 0) or (
                puzzle.properties[0][clue.first[1]] != puzzle.answer
            )


@pytest.mark.parametrize(
    "dress",
    ["%s.", r"\textbf{%s}", r"\mathbf{%s}.", "**%s**", "$%s$", r"\text{%s.}", r"\Large %s", r"{\bf %s}", r"\ %s\ "],
)
@pytest.mark.parametrize("level", ["mini", "easy"])
def test_a_name_counts_in_any_dress(level: str, dress: str) -> None:
    task = Zebra(level)
    puzzle = task.generate(np.random.default_rng(0))
    assert task.verify(puzzle, boxed(dress % puzzle.answer)).outcome == "correct"
    assert task.verify(puzzle, boxed(dress % puzzle.people[1])).outcome == "wrong"


@settings(max_examples=60, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_near_misses_are_wrong(drawn: tuple[Zebra, ZebraPuzzle]) -> None:
    task, puzzle = drawn
    answer = puzzle.answer
    near_misses = {
        "two names": f"{answer} {puzzle.people[1]}",
        "two names with a comma": f"{puzzle.people[1]}, {answer}",
        "the name twice": f"{answer} {answer}",
        "a prefix": f"{answer[:-1]}?",
        "a suffix": f"{answer}s",
        "in quotes": f"'{answer}'",
        "a sentence": f"it is {answer}",
        "the house": "1",
        "everybody": "".join(puzzle.people),
        "spaced out": f"_{answer}",
    }
    for name, near_miss in near_misses.items():
        assert task.verify(puzzle, boxed(near_miss)).outcome == "wrong", name
    for other in puzzle.people[1:]:
        assert task.verify(puzzle, boxed(other)).outcome == "wrong"
    assert task.verify(puzzle, answer).outcome == "no_answer"
    assert task.verify(puzzle, boxed("")).outcome == "no_answer"


@settings(max_examples=30, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_case_and_blanks_around_a_name_do_not_matter(drawn: tuple[Zebra, ZebraPuzzle]) -> None:
    task, puzzle = drawn
    for answer in (puzzle.answer.upper(), puzzle.answer.title(), f"  {puzzle.answer}\n"):
        assert task.verify(puzzle, f"So {boxed(answer)}, I think.").outcome == "correct"


@pytest.mark.parametrize("level", LEVELS)
def test_a_guess_scores_one_in_houses(level: str) -> None:
    """On 600 guesses at seed 0, within 0.06: three standard deviations for three houses."""
    task, rng = Zebra(level), np.random.default_rng(0)
    puzzles = [task.generate(rng) for _ in range(10)]
    verdicts = [task.verify(puzzle, task.guess(puzzle, rng)) for puzzle in puzzles for _ in range(60)]
    assert {verdict.outcome for verdict in verdicts} == {"correct", "wrong"}
    assert np.mean([verdict.is_success for verdict in verdicts]) == pytest.approx(1 / task.level.houses, abs=0.06)


@pytest.mark.parametrize("level", LEVELS)
def test_the_place_of_a_name_in_the_list_says_nothing_about_the_answer(level: str) -> None:
    """On 200 puzzles of seed 0 (40 of six houses), no place in the list has half of the answers."""
    task, rng = Zebra(level), np.random.default_rng(0)
    puzzles = [task.generate(rng) for _ in range(40 if level == "very_hard" else 200)]
    places = Counter(puzzle.properties[0].index(puzzle.answer) for puzzle in puzzles)
    assert len(places) == task.level.houses
    assert max(places.values()) < len(puzzles) / 2


def test_every_kind_of_clue_comes_up_at_every_level() -> None:
    for level in LEVELS:
        task, rng = Zebra(level), np.random.default_rng(0)
        kinds = {clue.kind for _ in range(20) for clue in task.generate(rng).clues}
        assert kinds == ({"at", "left", "next"} | ({"same"} if level in PAPER_LEVELS else set()))


def test_the_paper_levels_have_three_to_six_houses_and_as_many_properties() -> None:
    for level, houses in zip(PAPER_LEVELS, (3, 4, 5, 6), strict=True):
        puzzle = Zebra(level).generate(np.random.default_rng(0))
        assert [len(values) for values in puzzle.properties] == [houses] * houses
        assert sorted(puzzle.people) == sorted(puzzle.properties[0])


@pytest.mark.parametrize(("level", "houses"), [("mini", 5), ("mini_medium", 6), ("mini_hard", 7)])
def test_a_compact_prompt_says_how_many_houses_there_are_if_not_five(level: str, houses: int) -> None:
    task = Zebra(level)
    puzzle = task.generate(np.random.default_rng(0))
    assert len(puzzle.people) == houses
    assert task.prompt(puzzle).startswith("Z" if houses == 5 else f"Z{houses};")
    again = Zebra.from_ground_truth(task.ground_truth(puzzle), task.prompt(puzzle))
    assert again.properties == puzzle.properties


def test_mini_prompts_are_short_and_plenty() -> None:
    task, rng = Zebra("mini"), np.random.default_rng(0)
    puzzles = [task.generate(rng) for _ in range(8000)]
    prompts = {task.prompt(puzzle) for puzzle in puzzles}
    assert all(re.fullmatch(r"Z([a-e]([1-5]|[<~][a-e]);?)+:", prompt) and len(prompt) <= 30 for prompt in prompts)
    assert len(prompts) >= 5000


def test_words_and_phrases_name_one_value_only() -> None:
    for count in (
        Counter(word for theme in (PEOPLE, *THEMES) for word in theme.phrases),
        Counter(phrase.lower() for theme in (PEOPLE, *THEMES) for phrase in theme.phrases.values()),
        Counter(theme.heading for theme in (PEOPLE, *THEMES)),
    ):
        assert max(count.values()) == 1
    assert all(len(theme.phrases) >= 6 for theme in (PEOPLE, *THEMES))
    assert not any(" is " in phrase.removeprefix("the person who is ") for t in THEMES for phrase in t.phrases.values())


def test_the_key_forgets_the_order_of_clues_and_of_their_halves() -> None:
    properties = (("anna", "boris"), ("teal", "amber"))
    same, at = Clue("same", (0, 0), (1, 1)), Clue("at", (0, 1), 0)
    turned = Clue("same", (1, 1), (0, 0))
    task = Zebra("easy")
    keys = [
        task.key(ZebraPuzzle(question, ("boris", "anna"), properties, clues))
        for question, clues in [("one", (same, at)), ("two", (at, same)), ("three", (at, turned))]
    ]
    assert len(set(keys)) == 1
    assert task.key(ZebraPuzzle("four", ("anna", "boris"), properties, (same, Clue("at", (0, 0), 0)))) not in keys
    assert task.key(ZebraPuzzle("five", ("anna",))) == "five"


@pytest.mark.parametrize("level", LEVELS)
def test_equal_seeds_generate_equal_puzzles_and_others_differ(level: str) -> None:
    task = Zebra(level)
    first, again, other = (task.generate(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert hash(first) == hash(again)
    assert first != other
    assert pickle.loads(pickle.dumps(first)) == first


@pytest.mark.parametrize("level", ["mini", "easy", "medium"])
def test_the_env_keeps_its_promises(level: str) -> None:
    check_task(Task.from_text(f"zebra-{level}", partial(Zebra, level)), num_problems=10)


def test_the_splits_of_mini_share_no_key() -> None:
    keys = {}
    for split in ("train", "test"):
        task = Zebra("mini", split=split)
        keys[split] = {task.key(task.draw(seed, {})) for seed in range(300)}
    assert not keys["train"] & keys["test"]


def test_a_row_without_names_has_only_an_empty_guess() -> None:
    task = Zebra("easy")
    puzzle = Zebra.from_ground_truth({"target": "alice"}, "Who?")
    assert task.guess(puzzle, np.random.default_rng(0)) == boxed("")
    assert task.prompt(puzzle) == "Who?"
    assert task.verify(puzzle, boxed("Alice")).outcome == "correct"


def test_a_compact_row_is_read_back() -> None:
    task = Zebra("mini")
    question = compact_question([Clue("left", (0, 1), (0, 0)), Clue("at", (0, 2), 0)], ("abcde",))
    puzzle = Zebra.from_ground_truth({"target": "c"}, question)
    assert task.prompt(puzzle) == question == "Zb<a;c1:"
    guesses = {task.guess(puzzle, np.random.default_rng(seed)) for seed in range(60)}
    assert guesses == {boxed(name) for name in "abcde"}


@pytest.mark.parametrize("target", [None, "", "  ", 3, ["alice"]])
def test_a_malformed_target_is_refused(target: object) -> None:
    with pytest.raises(ValueError, match="needs a non-empty str 'target', got"):
        Zebra.from_ground_truth({"target": target}, "")
