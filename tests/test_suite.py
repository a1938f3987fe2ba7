from __future__ import annotations

import json
import logging
import multiprocessing
import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Guess, Sum, guess_suite
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.toy import LockEnv, toy_suite
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.text_env import split_of
from mtgrpo_env.types import Problem, Split

NAMES = ["a", "b", "c", "d"]


def suite_of(names: Sequence[str], *, split: Split = "train", seed: int = 0) -> TaskSuite:
    return TaskSuite([Task(name, Guess) for name in names], split=split, seed=seed)


def seeds(suite: TaskSuite, name: str, count: int) -> list[int]:
    """The next problems of the task of that name."""
    return [suite.next_problem(suite.names.index(name)).seed for _ in range(count)]


# Streams


@given(st.permutations(NAMES), st.integers(1, 4), st.lists(st.integers(0, 3), max_size=20), st.integers(0, 2**40))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_a_stream_depends_on_no_other_task_nor_their_order_nor_what_was_drawn_from_them(
    order: list[str], count: int, drawn: list[int], seed: int
) -> None:
    alone = seeds(suite_of(["a"], seed=seed), "a", 5)
    others = [name for name in order if name != "a"][: count - 1]
    together = suite_of(sorted(["a", *others], key=order.index), seed=seed)
    for task_id in drawn:
        if task_id < together.num_tasks and together.names[task_id] != "a":
            together.next_problem(task_id)
    assert seeds(together, "a", 5) == alone


def test_adjacent_seeds_splits_and_tasks_share_no_problem() -> None:
    drawn = [
        problem_seed
        for seed in range(8)
        for split in ("train", "test")
        for name in NAMES
        for problem_seed in seeds(suite_of(NAMES, split=split, seed=seed), name, 50)
    ]
    assert len(set(drawn)) == len(drawn) == 8 * 2 * 4 * 50


class FewPuzzles(Sum):
    """24 puzzles, of which the split leaves about 21."""

    def generate(self, rng: np.random.Generator) -> tuple[int, int]:
        return int(rng.integers(4)), int(rng.integers(6))


WHOLE = [f"{a}+{b}=" for a in range(4) for b in range(6)]


def puzzles_of(suite: TaskSuite, problems: Sequence[Problem]) -> list[str]:
    env = suite.envs(0, 1)[0]
    return [env.reset(seed=problem.seed, options=dict(problem.options))[0] for problem in problems]


def test_no_puzzle_comes_twice_before_all_have_come() -> None:
    suite = TaskSuite([Task.from_text("few", FewPuzzles)])
    whole = [key for key in WHOLE if split_of(key) == "train"]
    first = puzzles_of(suite, [suite.next_problem(0) for _ in whole])
    second = puzzles_of(suite, [suite.next_problem(0) for _ in whole])
    assert sorted(first) == sorted(second) == sorted(whole)
    assert first != second


def test_held_out_puzzles_are_distinct_and_more_of_them_begin_with_the_same() -> None:
    suite = TaskSuite([Task.from_text("few", FewPuzzles)])
    few, more = (puzzles_of(suite, suite.held_out(count, split="train")) for count in (5, 12))
    assert len(set(more)) == 12
    assert more[:5] == few


def test_a_task_that_runs_out_of_puzzles_gives_each_once_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    suite = TaskSuite([Task.from_text("few-puzzles", FewPuzzles), Task.from_text("sum", Sum)])
    with caplog.at_level(logging.INFO):
        problems = suite.held_out(40)
    few = puzzles_of(suite, [problem for problem in problems if problem.task_id == 0])
    assert len(set(few)) == len(few) == len([key for key in WHOLE if split_of(key) == "test"])
    assert len(problems) - len(few) == 40
    assert caplog.messages == [
        f"task 'few-puzzles': {len(few)} distinct test problems, fewer than the 40 asked for: each is played once"
    ]


def test_a_restored_suite_remembers_what_it_has_shown() -> None:
    suite = TaskSuite([Task.from_text("few", FewPuzzles)])
    shown = [suite.next_problem(0) for _ in range(15)]
    state = json.loads(json.dumps(suite.state_dict()))
    rest = [suite.next_problem(0) for _ in range(10)]
    restored = TaskSuite([Task.from_text("few", FewPuzzles)])
    restored.load_state_dict(state)
    assert [restored.next_problem(0) for _ in range(10)] == rest
    assert not set(puzzles_of(suite, rest[:5])) & set(puzzles_of(suite, shown))


def test_a_task_that_cannot_make_its_next_puzzle_is_named() -> None:
    class Broken(Sum):
        def generate(self, rng: np.random.Generator) -> tuple[int, int]:
            raise ZeroDivisionError("no puzzle today")

    with pytest.raises(TaskError, match=r"task 'broken' raised in reset .*no puzzle today"):
        TaskSuite([Task.from_text("broken", Broken)]).next_problem(0)


def test_a_problem_that_cannot_be_made_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    class Fragile(Sum):
        def generate(self, rng: np.random.Generator) -> tuple[int, int]:
            puzzle = super().generate(rng)
            if puzzle[0] % 5 == 0:
                raise ZeroDivisionError("no such sum")
            return puzzle

    suite = TaskSuite([Task.from_text("fragile", Fragile)])
    problems = [suite.next_problem(0) for _ in range(50)]
    assert all(int(puzzle.partition("+")[0]) % 5 for puzzle in puzzles_of(suite, problems))
    (said,) = [record.getMessage() for record in caplog.records]
    assert "task 'fragile' raised in reset on the problem of seed" in said


def test_seeds_are_what_every_env_accepts() -> None:
    """Python ints that fit an int64 and are not negative."""
    for seed in seeds(suite_of(["a"]), "a", 200):
        assert type(seed) is int
        assert 0 <= seed < 2**63


def test_text_tasks_carry_the_split_as_an_option_and_others_do_not() -> None:
    suite = TaskSuite([Task.from_text("sum", Sum), Task("guess", Guess)], split="test")
    assert suite.next_problem(0).options == {"split": "test"}
    assert suite.next_problem(1).options == {}
    assert [problem.options for problem in suite.held_out(1, split="train")] == [{"split": "train"}, {}]


def test_no_puzzle_of_the_train_stream_is_held_out() -> None:
    suite = TaskSuite([Task.from_text("sum", Sum)])
    env = suite.envs(0, 1)[0]

    def prompts(problems: list[Problem]) -> set[str]:
        return {env.reset(seed=problem.seed, options=dict(problem.options))[0] for problem in problems}

    assert not prompts([suite.next_problem(0) for _ in range(300)]) & prompts(suite.held_out(300))


def test_held_out_problems_are_always_the_same_and_drawing_them_moves_nothing() -> None:
    suite = toy_suite(3, seed=4)
    first = suite.held_out(5)
    state = suite.state_dict()
    drawn = [suite.next_problem(0) for _ in range(7)]
    assert suite.held_out(5) == first
    assert suite.held_out(3, split="test") == [problem for i, problem in enumerate(first) if i % 5 < 3]
    assert [problem.task_id for problem in first] == [0] * 5 + [1] * 5 + [2] * 5
    suite.load_state_dict(state)
    assert [suite.next_problem(0) for _ in range(7)] == drawn
    assert suite.held_out(0) == []


def test_the_held_out_problems_of_train_are_its_streams_first() -> None:
    suite = toy_suite(2)
    assert suite.held_out(4, split="train") == [suite.next_problem(k) for k in (0, 0, 0, 0, 1, 1, 1, 1)]


def test_reseeding_starts_all_streams_anew() -> None:
    suite = suite_of(NAMES, seed=1)
    for task_id in (0, 0, 2):
        suite.next_problem(task_id)
    suite.reseed(2)
    assert suite.state_dict() == suite_of(NAMES, seed=2).state_dict()
    assert suite.next_problem(2) == suite_of(NAMES, seed=2).next_problem(2)


# State


def test_a_restored_suite_goes_on_with_the_same_problems() -> None:
    suite = suite_of(NAMES, seed=3)
    for task_id in (0, 1, 1, 3):
        suite.next_problem(task_id)
    saved = json.dumps(suite.state_dict())
    expected = [suite.next_problem(k) for k in (0, 1, 2, 3, 3)]
    restored = suite_of(NAMES, seed=9)
    restored.load_state_dict(json.loads(saved))
    assert [restored.next_problem(k) for k in (0, 1, 2, 3, 3)] == expected
    assert restored.state_dict() == suite.state_dict()


def test_saved_state_is_not_moved_by_later_draws() -> None:
    suite = suite_of(NAMES)
    saved = suite.state_dict()
    suite.next_problem(0)
    assert saved == suite_of(NAMES).state_dict()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (suite_of(["a", "x"]), r"the saved suite has names \['a', 'x'\], this one has \['a', 'b'\]"),
        (suite_of(["b", "a"]), r"the saved suite has names \['b', 'a'\]"),
        (suite_of(["a"]), r"the saved suite has names \['a'\]"),
        (suite_of(["a", "b"], split="test"), "the saved suite has split 'test', this one has 'train'"),
    ],
)
def test_the_state_of_another_suite_is_refused_by_what_differs(other: TaskSuite, message: str) -> None:
    suite = suite_of(["a", "b"])
    before = suite.state_dict()
    with pytest.raises(ValueError, match=message):
        suite.load_state_dict(other.state_dict())
    assert suite.state_dict() == before


def test_a_suite_with_open_envs_can_be_pickled_and_goes_on() -> None:
    suite = guess_suite([0.5, 0.1])
    suite.next_problem(0)
    suite.envs(0, 2)
    copy = pickle.loads(pickle.dumps(suite))
    assert copy.next_problem(0) == suite.next_problem(0)
    assert len(copy.envs(0, 1)) == 1


def test_a_spawned_worker_draws_the_same_problems() -> None:
    suite = toy_suite(2, seed=6)
    suite.envs(0, 1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(suite.held_out, (3,))
    assert there == suite.held_out(3)


# Envs


def test_envs_are_made_when_first_needed_and_used_again() -> None:
    made: list[Guess] = []

    def make() -> Guess:
        made.append(Guess())
        return made[-1]

    suite = TaskSuite([Task("guess", make), Task("other", Guess)])
    assert made == []
    assert suite.envs(0, 2) == made
    assert suite.envs(0, 1) == made[:1]
    assert suite.envs(0, 3) == made
    assert len(made) == 3


def test_closing_closes_every_env_and_makes_new_ones_when_asked_again() -> None:
    closed: list[gym.Env[int, int]] = []

    class Closing(LockEnv):
        def close(self) -> None:
            closed.append(self)

    suite = TaskSuite([Task("lock", Closing)])
    envs = list(suite.envs(0, 2))
    suite.close()
    assert closed == envs
    assert suite.envs(0, 1)[0] not in envs


def test_any_registered_env_is_a_task_under_its_id_or_a_name() -> None:
    task = Task.from_id("FrozenLake-v1", env_options={"is_slippery": False, "map_name": "8x8"})
    env = task.make()
    assert (task.name, task.success_threshold) == ("FrozenLake-v1", 1.0)
    assert env.observation_space == gym.spaces.Discrete(64)
    assert Task.from_id("CartPole-v1", name="pole").name == "pole"
    with pytest.raises(ValueError, match="expected a registered Gymnasium id, got 'NoSuchEnv-v0'"):
        Task.from_id("NoSuchEnv-v0")


def test_a_suite_is_a_readable_collection_of_its_tasks_by_name() -> None:
    own = Task("own", Guess, success_threshold=0.5)
    suite = TaskSuite(["countdown-easy", "CartPole-v1", Sum, own], split="test", seed=3)
    assert len(suite) == suite.num_tasks == 4
    assert list(suite) == list(suite.tasks)
    assert suite["own"] is own
    assert ("countdown-easy" in suite, "countdown" in suite) == (True, False)
    assert repr(suite) == "TaskSuite(['countdown-easy', 'CartPole-v1', 'Sum', 'own'], split='test', seed=3)"
    assert [repr(task) for task in suite][2:] == ["Task('Sum')", "Task('own', success_threshold=0.5)"]


def test_a_name_that_is_not_in_the_suite_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"task must be one of \['a', 'b'\], got 'c'"):
        suite_of(["a", "b"])["c"]


def test_a_text_env_by_its_id_keeps_its_splits_apart() -> None:
    task = Task.from_id("MTReason/Zebra-v0", env_options={"level": "mini"})
    assert task.options == Task.from_text("zebra", task.make).options
    assert TaskSuite([task]).next_problem(0).options == {"split": "train"}
    assert Task.from_id("CartPole-v1").options == {}


# Misuse


def test_a_suite_without_tasks_with_repeated_names_or_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one task, got none"):
        TaskSuite([])
    with pytest.raises(ValueError, match=r"task names must be unique, got \['a', 'b'\] more than once"):
        suite_of(["b", "a", "c", "a", "b"])
    with pytest.raises(ValueError, match=r"split must be one of \['train', 'test'\], got 'dev'"):
        suite_of(["a"], split="dev")  # pyright: ignore[reportArgumentType]


def test_a_task_that_is_not_in_the_suite_has_no_problems() -> None:
    with pytest.raises(IndexError):
        suite_of(["a"]).next_problem(1)


# Toy suites


def test_toy_tasks_are_named_by_place_and_length_and_share_their_spaces() -> None:
    suite = toy_suite(5)
    assert suite.names == tuple(f"lock-{k}-length-{length}" for k, length in enumerate([1, 2, 3, 4, 1]))
    envs = [suite.envs(k, 1)[0] for k in range(5)]
    assert len({str(env.observation_space) + str(env.action_space) for env in envs}) == 1


def test_a_lock_opens_to_its_code_alone() -> None:
    env = LockEnv(2, num_digits=3)
    rewards = {}
    for first in range(3):
        for second in range(3):
            env.reset(seed=1)
            assert env.step(first)[1:4] == (0.0, False, False)
            _, reward, terminated, _, info = env.step(second)
            assert terminated
            assert info["is_success"] == (reward == 1.0)
            rewards[first, second] = reward
    assert sorted(rewards.values()) == [0.0] * 6 + [0.1] * 2 + [1.0]
    (code,) = (digits for digits, reward in rewards.items() if reward == 1)
    assert all(digits[0] == code[0] for digits, reward in rewards.items() if reward == 0.1)


def test_a_lock_refuses_what_cannot_be_dialled() -> None:
    with pytest.raises(ValueError, match=r"length must be in 1..4, got 5"):
        LockEnv(5)
    env = LockEnv(1)
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must be in Discrete\(4\), got 4"):
        env.step(4)
    env.step(0)
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)


def test_tasks_pickle_with_their_partials() -> None:
    task = Task("lock", partial(LockEnv, 2), options={"train": {}}, success_threshold=0.5)
    assert pickle.loads(pickle.dumps(task)).make().length == 2


class FailsNowAndThen(Sum):
    """Twenty problems, of which one in five draws cannot be made."""

    def generate(self, rng: np.random.Generator) -> tuple[int, int]:
        return int(rng.integers(20)), 0

    def draw(self, puzzle_seed: int, options: Mapping[str, Any]) -> tuple[int, int]:
        if not puzzle_seed % 5:
            raise ZeroDivisionError("no such puzzle")
        return super().draw(puzzle_seed, options)


def test_failures_with_problems_that_can_be_made_between_them_are_not_in_a_row() -> None:
    suite = TaskSuite([Task.from_text("moody", FailsNowAndThen)])
    keys = {opening.puzzle for problem in suite.held_out(30, split="train") if (opening := suite.opening(problem))}
    assert 10 < len(keys) < 20
