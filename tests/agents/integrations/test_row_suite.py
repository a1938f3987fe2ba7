"""Rows as problems."""

from __future__ import annotations

import json

import pytest

from mtgrpo_env.agents.integrations.trl.row_suite import RowSuite
from mtgrpo_env.types import Group, Rollout

TASKS = ["b", "a", "b", "b", "a", "c"]


def drawn(suite: RowSuite, task_id: int, count: int) -> list[int]:
    return [suite.next_problem(task_id).seed for _ in range(count)]


def test_tasks_are_numbered_alphabetically_and_own_their_rows() -> None:
    suite = RowSuite(TASKS)
    assert suite.names == ("a", "b", "c")
    assert [set(drawn(suite, k, 6)) for k in range(3)] == [{1, 4}, {0, 2, 3}, {5}]


def test_all_rows_of_a_task_come_before_any_comes_again_in_another_order() -> None:
    suite = RowSuite(["only"] * 30)
    passes = [drawn(suite, 0, 30) for _ in range(3)]
    assert all(sorted(of_pass) == list(range(30)) for of_pass in passes)
    assert passes[0] != passes[1] != passes[2]


def test_without_a_shuffle_rows_come_as_they_stand() -> None:
    assert drawn(RowSuite(TASKS, shuffle=False), 1, 5) == [0, 2, 3, 0, 2]


def test_the_rows_of_a_task_do_not_depend_on_what_is_drawn_of_others() -> None:
    alone, among_others = RowSuite(TASKS), RowSuite(TASKS)
    drawn(among_others, 0, 5)
    assert drawn(alone, 1, 7) == drawn(among_others, 1, 7)


def test_solved_rows_come_less_often_which_a_saved_suite_remembers() -> None:
    def play(suite: RowSuite, count: int) -> list[int]:
        seen: list[int] = []
        for _ in range(count):
            problem = suite.next_problem(1)
            seen.append(problem.seed)
            suite.observe([Group(problem, (Rollout((), 1.0, problem.seed == 0),))])
        return seen

    suite, other = RowSuite(TASKS), RowSuite(TASKS, seed=1)
    seen = play(suite, 60)
    assert seen.count(0) < 0.5 * seen.count(2)
    assert suite.solved() == {"a": 0.0, "b": pytest.approx(1 / 3), "c": 0.0}
    other.load_state_dict(json.loads(json.dumps(suite.state_dict())))
    assert play(other, 30) == play(suite, 30)
    with pytest.raises(ValueError, match=r"the saved solved_floor is 0\.25, this one 1\.0"):
        RowSuite(TASKS, solved_floor=1.0).load_state_dict(suite.state_dict())


def test_a_state_from_before_solved_rows_were_kept_is_read() -> None:
    suite, other = RowSuite(TASKS), RowSuite(TASKS)
    drawn(suite, 1, 4)
    other.load_state_dict({name: value for name, value in suite.state_dict().items() if name != "lists"})
    assert drawn(other, 1, 9) == drawn(suite, 1, 9)


def test_seeds_give_other_orders() -> None:
    assert drawn(RowSuite(["t"] * 20, seed=1), 0, 20) != drawn(RowSuite(["t"] * 20, seed=2), 0, 20)


@pytest.mark.parametrize("before", [0, 1, 3, 8])
def test_a_saved_suite_goes_on_where_it_stood(before: int) -> None:
    suite, other = RowSuite(TASKS), RowSuite(TASKS)
    drawn(suite, 1, before)
    state = json.loads(json.dumps(suite.state_dict()))
    following = drawn(suite, 1, 9)
    drawn(other, 1, 2)  # another place in the pass
    other.load_state_dict(state)
    assert drawn(other, 1, 9) == following


@pytest.mark.parametrize("rows", [["a", "b"], ["a", "b", "b", "b"]])
def test_the_state_of_other_rows_is_refused(rows: list[str]) -> None:
    with pytest.raises(ValueError, match=r"rows with num_rows .*, these have \[1, 2\]"):
        RowSuite(["a", "b", "b"]).load_state_dict(RowSuite(rows).state_dict())


def test_the_state_of_other_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match="names"):
        RowSuite(["a", "b"]).load_state_dict(RowSuite(["a", "c"]).state_dict())


def test_the_state_of_rows_in_another_kind_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="shuffle True, these have False"):
        RowSuite(["a", "b"], shuffle=False).load_state_dict(RowSuite(["a", "b"]).state_dict())
