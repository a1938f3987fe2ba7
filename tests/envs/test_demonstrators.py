"""The imitation corpus: careful as often as asked, of the train split alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.demonstrators import Demonstrators, shortcut
from mtgrpo_env.envs.mtreason import PAPER_TASKS, REASON_TASKS, reason_suite
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.text_env import CORRECT, WRONG, TextEnv, Verdict, split_of
from mtgrpo_env.types import Split


@dataclass(frozen=True, slots=True)
class Numbered:
    """A puzzle that says whose it is."""

    task: str
    number: int


@shortcut.register
def _(puzzle: Numbered) -> str:
    return f"careless {puzzle.number}"


class NumberEnv(TextEnv[Numbered]):
    """Prompts tell the task, responses tell the author."""

    def __init__(self, task: str) -> None:
        super().__init__(level=task)
        self.task = task

    def generate(self, rng: np.random.Generator) -> Numbered:
        return Numbered(self.task, int(rng.integers(10**6)))

    def prompt(self, puzzle: Numbered) -> str:
        return f"{puzzle.task} {puzzle.number}"

    def verify(self, puzzle: Numbered, response: str) -> Verdict:
        return CORRECT if response == self.oracle(puzzle) else WRONG

    def oracle(self, puzzle: Numbered) -> str:
        return f"careful {puzzle.number}"


def number_suite(*names: str, split: Split = "train") -> TaskSuite:
    return TaskSuite([Task.from_text(name, partial(NumberEnv, name)) for name in names], split=split)


def test_every_task_is_shown_equally_often_and_its_careful_author_as_often_as_asked() -> None:
    """1500 demonstrations a task, seed 0, tolerance 4 standard deviations."""
    shares = {"none": 0.0, "some": 0.3, "most": 0.8, "all": 1.0}
    demonstrate = Demonstrators(number_suite(*shares), shares)
    demonstrations = demonstrate(np.random.default_rng(0), 6000)
    authors = Counter((prompt.split()[0], response.split()[0]) for prompt, response in demonstrations)
    for task, share in shares.items():
        assert authors[task, "careful"] + authors[task, "careless"] == 1500
        assert abs(authors[task, "careful"] / 1500 - share) <= 4 * np.sqrt(share * (1 - share) / 1500)


def test_a_response_answers_the_prompt_beside_it() -> None:
    demonstrations = Demonstrators(number_suite("a"), {"a": 0.5})(np.random.default_rng(0), 100)
    assert all(prompt.split()[1] == response.split()[1] for prompt, response in demonstrations)
    assert len(set(demonstrations)) == 100


@pytest.mark.parametrize("split", ["train", "test"])
def test_only_the_train_split_is_shown_whatever_the_suite_plays(split: Split) -> None:
    demonstrate = Demonstrators(number_suite("a", "b", split=split), {"a": 0.5, "b": 0.5})
    prompts = [prompt for prompt, _ in demonstrate(np.random.default_rng(0), 500)]
    assert {split_of(prompt) for prompt in prompts} == {"train"}


def test_held_out_problems_of_the_mini_suite_are_never_shown() -> None:
    suite = reason_suite(level="mini")
    demonstrate = Demonstrators(suite, dict.fromkeys(suite.names, 1.0))
    shown = {prompt for prompt, _ in demonstrate(np.random.default_rng(0), 900)}
    for problem in suite.held_out(50):
        env = suite.envs(problem.task_id, 1)[0]
        assert env.reset(seed=problem.seed, options=dict(problem.options))[0] not in shown


def test_the_generator_names_the_corpus() -> None:
    demonstrate = Demonstrators(number_suite("a", "b"), {"a": 0.5, "b": 0.5})
    first, again, other = (demonstrate(np.random.default_rng(seed), 20) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("level", ["mini", "easy", "very_hard"])
@pytest.mark.parametrize("name", PAPER_TASKS)
def test_a_shortcut_is_well_formed_and_mostly_wrong_at_every_level(name: str, level: str) -> None:
    env: BoxedTask[object] = REASON_TASKS[name](level)
    puzzles = [env.draw(seed, {"split": "train"}) for seed in range(60)]
    outcomes = Counter(env.verify(puzzle, shortcut(puzzle)).outcome for puzzle in puzzles)
    assert set(outcomes) <= {"correct", "wrong"}
    assert outcomes["wrong"] > outcomes["correct"]


def test_a_puzzle_without_a_known_shortcut_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match="no shortcut is known for a str"):
        shortcut("a puzzle")


@pytest.mark.parametrize("careful", [{}, {"b": 0.5}, {"a": -0.1}, {"a": 1.1}, {"a": float("nan")}])
def test_a_share_that_is_missing_or_out_of_range_is_refused_with_the_tasks_name(careful: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"task 'a' must be in \[0, 1\], got"):
        Demonstrators(number_suite("a"), careful)


def test_a_task_without_text_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="task 'lock-0-length-1' is a LockEnv"):
        Demonstrators(toy_suite(1), {"lock-0-length-1": 0.5})
