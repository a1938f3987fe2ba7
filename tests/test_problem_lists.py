"""Fixed lists of problems: epochs that miss nothing, solved problems less often, a state that says what it is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import Sum
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.problem_lists import ProblemList
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.types import Group, Problem, Rollout, Split


class Sums(Sum):
    """The sums i + i for the first few i; every fifth is held out."""

    option_names = frozenset({"split", "index"})
    size = 20

    def indices(self, split: Split) -> Sequence[int]:
        return [i for i in range(self.size) if (i % 5 == 0) == (split == "test")]

    def draw(self, puzzle_seed: int, options: Mapping[str, Any]) -> tuple[int, int]:
        return options["index"], options["index"]


class MoreSums(Sums):
    size = 21


def suite_of(env: type[Sums] = Sums, **options: Any) -> TaskSuite:
    return TaskSuite([Task.from_text("listed", env), Task.from_text("drawn", Sum)], **options)


def group(problem: Problem, *correct: bool | None) -> Group:
    """None where the scorer failed."""
    return Group(problem, tuple(Rollout((), float(bool(c)), bool(c), valid=c is not None) for c in correct))


def drawn(problems: ProblemList, epochs: int, solved: set[int]) -> list[Counter[int]]:
    """The places that come in each epoch, while some are always solved and the others never."""
    seen = [Counter[int]() for _ in range(epochs)]
    cursor = 0
    while True:
        place, cursor = problems.next(cursor)
        if (epoch := (cursor - 1) // len(problems)) >= epochs:
            return seen
        seen[epoch][place] += 1
        problems.observe(place, group(Problem(0, 0), place in solved, place in solved))


@given(st.integers(1, 30), st.integers(0, 2**40), st.booleans())
@settings(max_examples=40, derandomize=True, deadline=None)
def test_every_epoch_holds_every_problem_once(size: int, seed: int, shuffle: bool) -> None:
    problems = ProblemList(range(100, 100 + size), stream=[seed], shuffle=shuffle)
    cursor, places = 0, []
    for _ in range(3 * size):
        place, cursor = problems.next(cursor)
        places.append(place)
    assert [sorted(places[i : i + size]) for i in range(0, 3 * size, size)] == [list(range(100, 100 + size))] * 3
    assert shuffle or places[:size] == places[size : 2 * size] == sorted(places[:size])


def test_epochs_and_streams_have_orders_of_their_own() -> None:
    one, other = (ProblemList(range(50), stream=[seed]) for seed in (1, 2))
    orders = [[problems.place(e * 50 + i) for i in range(50)] for problems in (one, other) for e in range(2)]
    assert len({tuple(order) for order in orders}) == 4


@given(st.integers(2, 25), st.integers(0, 99), st.sampled_from([1.0, 0.6, 0.5, 0.25, 0.1]), st.data())
@settings(max_examples=40, derandomize=True, deadline=None)
def test_a_solved_problem_comes_less_often_but_at_least_at_the_floor(
    size: int, seed: int, floor: float, data: st.DataObject
) -> None:
    solved = data.draw(st.sets(st.integers(0, size - 1), max_size=size - 1))
    seen = drawn(ProblemList(range(size), stream=[seed], solved_floor=floor), 60, solved)
    longest = 2 ** int(np.log2(1 / floor))
    for place in range(size):
        counts = [of_epoch[place] for of_epoch in seen]
        assert set(counts) <= {0, 1}
        if place not in solved:
            assert all(counts)
            continue
        gaps = np.diff(np.flatnonzero(counts), prepend=-1)
        assert gaps.max() <= longest
        assert set(gaps[5:].tolist()) == {longest}


def test_solved_problems_are_spread_evenly_over_the_epochs() -> None:
    seen = drawn(ProblemList(range(400), stream=[0]), 40, set(range(200)))
    per_epoch = [sum(count for place, count in of_epoch.items() if place < 200) for of_epoch in seen[10:]]
    assert 30 < min(per_epoch) <= max(per_epoch) < 70  # about a quarter of 200


def test_a_list_that_is_solved_throughout_is_drawn_alike() -> None:
    seen = drawn(ProblemList(range(12), stream=[0]), 30, set(range(12)))
    assert all(of_epoch == dict.fromkeys(range(12), 1) for of_epoch in seen[6:])


@pytest.mark.parametrize(
    ("correct", "share"),
    [((True, True), 1.0), ((True, False), 0.0), ((True, None), 0.5), ((None, None), 0.5), ((False, None), 0.0)],
)
def test_a_rollout_that_is_not_valid_says_nothing(correct: tuple[bool | None, ...], share: float) -> None:
    """Half of the list was solved before."""
    problems = ProblemList([0, 1], stream=[0])
    problems.observe(0, group(Problem(0, 0), True))
    for place in (0, 1):
        problems.observe(place, group(Problem(0, 0), *correct))
    assert problems.solved == share


def test_one_wrong_response_and_a_problem_comes_in_every_epoch_again() -> None:
    problems = ProblemList(range(8), stream=[0])
    for _ in range(5):
        problems.observe(3, group(Problem(0, 0), True))
    problems.observe(3, group(Problem(0, 0), True, False))
    assert all(of_epoch[3] == 1 for of_epoch in drawn(problems, 5, set()))


@pytest.mark.parametrize("floor", [0.0, -1.0, 1.5, float("nan")])
def test_a_floor_that_would_starve_a_problem_or_is_no_share_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match="solved_floor must be above 0 and at most 1, got"):
        suite_of(solved_floor=floor)


def test_a_list_without_problems_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one problem, got none"):
        ProblemList([], stream=[0])


# In a suite


def test_a_task_with_a_fixed_list_shows_all_of_a_split_in_every_epoch() -> None:
    suite = suite_of()
    assert (suite.num_problems(0), suite.num_problems(0, "test"), suite.num_problems(1)) == (16, 4, None)
    train = sorted(Sums().indices("train"))
    for _ in range(2):
        problems = [suite.next_problem(0) for _ in range(16)]
        assert sorted(problem.options["index"] for problem in problems) == train
        assert all(problem.options["split"] == "train" for problem in problems)
    assert [problem.options["index"] for problem in suite.held_out(9)[:4]] != [0, 5, 10, 15]
    assert sorted(problem.options["index"] for problem in suite.held_out(9)[:4]) == [0, 5, 10, 15]
    assert len(suite.held_out(9)) == 4 + 9


def test_a_stream_of_a_fixed_list_depends_on_no_other_task_and_on_the_seed() -> None:
    alone = TaskSuite([Task.from_text("listed", Sums)], seed=3)
    together, other = suite_of(seed=3), suite_of(seed=4)
    for _ in range(5):
        together.next_problem(1)
    streams = [[suite.next_problem(0).seed for _ in range(32)] for suite in (alone, together, other)]
    assert streams[0] == streams[1] != streams[2]


def trained(suite: TaskSuite, steps: int, seed: int = 0) -> tuple[Curriculum, list[Problem]]:
    """A curriculum after some steps of a policy that solves even sums always and odd ones half of the time."""
    curriculum, seen = Curriculum(suite, batch_size=6, seed=seed), list[Problem]()
    play(curriculum, seen, steps)
    return curriculum, seen


def play(curriculum: Curriculum, seen: list[Problem], steps: int) -> None:
    def roll_out(problems: Sequence[Problem]) -> list[Group]:
        seen.extend(problems)
        return [group(p, True, p.options.get("index", 1) % 2 == 0, True) for p in problems]

    for _ in range(steps):
        curriculum.update(curriculum.draw(roll_out))


def test_solved_problems_are_drawn_less_by_a_curriculum_which_says_how_many_there_are() -> None:
    curriculum, seen = trained(suite_of(), 60)
    counts = Counter(problem.seed % 2 for problem in seen[100:] if problem.task_id == 0)
    assert counts[0] < 0.4 * counts[1]
    assert curriculum.metrics()["solved/listed"] == 0.5
    assert "solved/drawn" not in curriculum.metrics()


def test_a_driver_that_plays_episode_by_episode_finds_out_what_is_solved_too() -> None:
    env = MultiTaskEnv(Curriculum(suite_of(), batch_size=4), group_size=2)
    env.reset(seed=0, options={"task_weights": [1, 0]})
    for _ in range(200):
        observation, info = env.reset()
        number = int(observation.partition("+")[0])
        env.step(str(2 * number) if number % 2 == 0 or info["rollout"] == 0 else "no")
    assert env.suite.solved() == {"listed": 0.5}


def test_with_a_floor_of_one_all_are_drawn_alike() -> None:
    _, seen = trained(suite_of(solved_floor=1.0), 60)
    counts = Counter(problem.seed for problem in seen if problem.task_id == 0)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("steps", [0, 1, 25])
def test_a_restored_curriculum_draws_the_same_problems(steps: int, tmp_path: Path) -> None:
    curriculum, _ = trained(suite_of(), steps)
    curriculum.save(tmp_path)
    expected, drawn_again = list[Problem](), list[Problem]()
    play(curriculum, expected, 15)
    restored, _ = trained(suite_of(seed=5), 7)
    restored.load(tmp_path)
    play(restored, drawn_again, 15)
    assert drawn_again == expected


def test_reseeding_forgets_what_was_solved() -> None:
    suite = suite_of()
    trained(suite, 20)
    suite.reseed(0)
    assert suite.state_dict() == suite_of().state_dict()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            suite_of(MoreSums),
            r"had 16 train and 4 test problems \(\w{16}\) when .* it has 16 train and 5 test",
        ),
        (suite_of(solved_floor=0.5), "the saved solved_floor is 0.25, this one 0.5"),
        (
            TaskSuite([Task.from_text("listed", Sum), Task.from_text("drawn", Sum)]),
            "had 16 train and 4 test problems .* it has no fixed list of them",
        ),
    ],
)
def test_the_state_of_other_problems_or_another_floor_is_refused_and_nothing_moves(
    other: TaskSuite, message: str
) -> None:
    suite, before = suite_of(), other.state_dict()
    suite.next_problem(0)
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(suite.state_dict())
    assert other.state_dict() == before


def test_a_state_from_before_there_were_lists_is_read() -> None:
    suite = suite_of()
    state = {name: value for name, value in suite.state_dict().items() if name != "fixed"}
    suite.load_state_dict(state)
    assert suite.next_problem(1) == suite_of().next_problem(1)


def test_a_split_without_a_problem_is_refused_by_name() -> None:
    class One(Sums):
        size = 1

    suite = TaskSuite([Task.from_text("one", One)])
    assert len(suite.held_out(5)) == 1
    with pytest.raises(
        ValueError, match="task 'one' has no train problems: it takes two distinct ones to hold one out"
    ):
        suite.next_problem(0)
