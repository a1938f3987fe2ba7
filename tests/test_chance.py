"""What a task comes to without thinking: guesses, constants by form, constants by place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from fakes import Guess, Sum

from mtgrpo_env.answer_places import answer_forms, places_of, tokens_of
from mtgrpo_env.chance import Chance, measure_chance
from mtgrpo_env.chat import ChatText, Message
from mtgrpo_env.envs.short_answers import KINDS
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.text_env import CORRECT, SCORER_ERROR, WRONG, TextEnv, Verdict

Numbers = tuple[int, ...]


class Asking(TextEnv[Numbers]):
    """Four numbers, and what `answer` makes of them is right."""

    def __init__(self, answer: Callable[[Numbers], str], show: Callable[[str], str] = str) -> None:
        super().__init__()
        self.answer, self.show = answer, show
        self.judged: list[tuple[Numbers, str]] = []

    def generate(self, rng: np.random.Generator) -> Numbers:
        return tuple(rng.integers(10, 10_000, size=4).tolist())

    def prompt(self, puzzle: Numbers) -> str:
        return self.show(f"Of {', '.join(map(str, puzzle))}?")

    def verify(self, puzzle: Numbers, response: str) -> Verdict:
        self.judged.append((puzzle, response))
        return CORRECT if response == self.answer(puzzle) else WRONG

    def oracle(self, puzzle: Numbers) -> str:
        return self.answer(puzzle)


def chance_of(make: Callable[[], Any], *, problems: int = 60, **options: Any) -> tuple[float, float, str]:
    """Guess, best constant and its name, of one task."""
    suite = TaskSuite([Task.from_text("asking", make)])
    found = measure_chance(suite, suite.held_out(problems), **options)
    return float(found.guess[0]), float(found.constant[0]), found.names[0]


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (lambda numbers: str(numbers[1]), "always number 2"),
        (lambda numbers: f"It is \\boxed{{{numbers[0]}}}.", "always number 1"),
        (lambda numbers: ", ".join(map(str, numbers)), "always numbers 1 to 4"),
        (lambda numbers: " ".join(map(str, numbers[::-1])), "always numbers 4 to 1"),
        (lambda numbers: f"({numbers[2]}, {numbers[1]})", "always numbers 3 to 2"),
        (lambda numbers: "even", "always even"),
        (lambda numbers: "Of", "always Of"),
    ],
)
def test_an_answer_that_needs_no_thought_is_found_and_named(answer: Callable[[Numbers], str], name: str) -> None:
    guess, constant, found = chance_of(partial(Asking, answer))
    assert math.isnan(guess)
    assert (constant, found) == (1.0, name)


def test_a_place_is_counted_from_the_end_where_prompts_differ_in_length() -> None:
    def show(text: str) -> str:
        return "1 " * (int(text.split()[1].rstrip(",")) % 7) + text

    _, constant, name = chance_of(partial(Asking, lambda numbers: str(numbers[3]), show))
    assert (constant, name) == (1.0, "always the last number")


def test_the_most_frequent_answer_has_its_share() -> None:
    _, constant, name = chance_of(partial(Asking, lambda numbers: "odd" if numbers[0] % 4 else "rare"), problems=400)
    assert name == "always odd"
    assert constant == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 400))


def test_a_sum_has_no_shortcut() -> None:
    assert chance_of(partial(Asking, lambda numbers: str(sum(numbers))))[1] == 0


def test_of_a_conversation_the_last_message_of_the_user_is_read() -> None:
    def show(text: str) -> str:
        turns = [Message("user", "7 8 9 " * (len(text) % 3)), Message("assistant", "5"), Message("user", text)]
        return ChatText(f"7 8 9 {text}", turns)

    assert chance_of(partial(Asking, lambda numbers: str(numbers[1]), show))[1:] == (1.0, "always number 2")


class Coin(Asking):
    """Guesses among two."""

    def __init__(self) -> None:
        super().__init__(lambda numbers: "even" if numbers[0] % 2 == 0 else "odd")

    def guess(self, puzzle: Numbers, rng: np.random.Generator) -> str:
        return ("even", "odd")[int(rng.integers(2))]


def test_guesses_are_drawn_several_times_and_from_their_own_seed() -> None:
    first, again, other = (chance_of(Coin, problems=200, seed=seed)[0] for seed in (0, 0, 1))
    assert first == again != other
    assert first == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 800))


class NoOracle(Asking):
    def __init__(self) -> None:
        super().__init__(lambda numbers: "")

    def oracle(self, puzzle: Numbers) -> str:
        raise ValueError("there is no answer")


class Failing(Asking):
    """Its scorer fails on half of the puzzles, and raises on some."""

    def __init__(self) -> None:
        super().__init__(lambda numbers: "yes")

    def verify(self, puzzle: Numbers, response: str) -> Verdict:
        if puzzle[0] % 10 == 0:
            raise OSError("no such server")
        return SCORER_ERROR if puzzle[0] % 2 else super().verify(puzzle, response)


def test_of_a_task_without_answers_nothing_is_known() -> None:
    guess, constant, name = chance_of(NoOracle)
    assert math.isnan(guess)
    assert math.isnan(constant)
    assert not name


def test_other_envs_than_text_have_no_chance() -> None:
    suite = TaskSuite([Task("guess", Guess), Task.from_text("sum", Sum)])
    found = measure_chance(suite, suite.held_out(5))
    assert np.isnan(found.best).tolist() == [True, False]


def test_failures_of_a_scorer_are_left_out() -> None:
    assert chance_of(Failing)[1:] == (1.0, "always yes")


def test_a_verifier_judges_few_responses_to_a_problem() -> None:
    suite = TaskSuite([Task.from_text("coin", Coin)])
    env: Coin = suite.envs(0, 1)[0].unwrapped  # pyright: ignore[reportAssignmentType]
    measure_chance(suite, suite.held_out(10), draws=2)
    assert len(env.judged) <= 10 * (2 + 3)


class Slow(Coin):
    def verify(self, puzzle: Numbers, response: str) -> Verdict:
        time.sleep(0.02)
        return super().verify(puzzle, response)


def test_a_slow_verifier_is_left_when_its_time_is_up() -> None:
    suite = TaskSuite([Task.from_text("slow", Slow)])
    env: Slow = suite.envs(0, 1)[0].unwrapped  # pyright: ignore[reportAssignmentType]
    found = measure_chance(suite, suite.held_out(300), seconds=0.1)
    assert len(env.judged) < 300
    assert np.isfinite(found.best).all()


def test_long_texts_are_read_from_their_ends() -> None:
    assert len(tokens_of("1 " * 10_000_000)) <= 10_000
    forms = list(answer_forms("1, " * 1_000_000))
    assert max(form.size for form, _ in forms) <= 64


def test_a_chance_is_the_better_of_guess_and_constant() -> None:
    chance = Chance(np.array([0.25, np.nan, np.nan]), np.array([0.2, 0.5, np.nan]), ("always 1", "always 2", ""))
    np.testing.assert_array_equal(chance.best, [0.25, 0.5, np.nan])
    assert np.isnan(Chance.unknown(2).best).all()


def test_every_place_of_an_answer_reads_it_again() -> None:
    tokens = ["4", "7", "4", "9", "7", "4"]
    for answer in (["4"], ["7", "4"], ["4", "7", "4"]):
        places = list(places_of(answer, tokens))
        assert places
        assert all(place.read(tokens, len(answer)) == answer for place in places)


@pytest.mark.parametrize("kind", KINDS)
def test_no_place_and_no_constant_beats_a_guess_at_short_answers(kind: str) -> None:
    suite = TaskSuite([f"short-{kind}"])
    problems = suite.held_out(600)
    found = measure_chance(suite, problems)
    allowed = max(0.0625, float(found.guess[0]))  # one product in sixteen is 12
    assert found.constant[0] <= allowed + 4 * math.sqrt(allowed * (1 - allowed) / len(problems))


def test_an_evaluation_shows_chance_beside_accuracy() -> None:
    counts = np.array([10, 10])
    evaluation = Evaluation(("a", "b"), np.array([0.5, 0.4]), counts, 0 * counts, counts)
    chance = Chance(np.array([0.25, np.nan]), np.array([0.2, 0.1]), ("always 1", "always 2"))
    header, first, second, *_ = evaluation.table(chance).splitlines()
    assert header.split() == ["task", "accuracy", "guess", "constant", "problems", "episodes", "invalid"]
    assert first.split()[:4] == ["b", "40.0%", "-", "10.0%"]
    assert second.split()[:4] == ["a", "50.0%", "25.0%", "20.0%"]
    assert len(header) == len(first) == len(second)
    assert "guess" not in str(evaluation)
