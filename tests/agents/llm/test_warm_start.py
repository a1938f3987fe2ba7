"""The recipes of the warm-started models; that they can be built and trained is tested beside `tiny`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtgrpo_env.agents.llm.warm_start import (
    NINE_TASK_WARM_START,
    WARM_START,
    Lesson,
    WarmStart,
    warm_start_for,
    warm_started_model,
    warm_started_name,
)
from mtgrpo_env.envs.demonstrators import Demonstrators
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.named_tasks import SUITES


def test_the_three_task_start_is_the_one_that_the_results_were_made_from() -> None:
    """A regression lock: with another name, every run of `make train` starts from another model."""
    assert warm_started_name(SUITES["mini"], WARM_START, seed=0) == "start-a94e15e3"


def test_seeds_tasks_and_their_order_make_other_models() -> None:
    names = [(SUITES["mini"], 0), (SUITES["mini"], 1), (SUITES["mini"][::-1], 0), (SUITES["mini-nine"], 0)]
    assert len({warm_started_name(tasks, WARM_START, seed=seed) for tasks, seed in names}) == len(names)


def test_nine_tasks_have_a_warm_start_of_their_own() -> None:
    assert warm_start_for(SUITES["mini-nine"]) is NINE_TASK_WARM_START
    assert warm_start_for(SUITES["mini"]) is warm_start_for(("zebra-mini",)) is WARM_START


def test_the_habits_name_every_task_and_leave_the_harder_levels_to_fewer_careful_authors() -> None:
    for suite, warm_start in (("mini", WARM_START), ("mini-nine", NINE_TASK_WARM_START)):
        solve, habits = warm_start.lessons
        assert not solve.careful
        assert set(habits.careful) == set(SUITES[suite])
        Demonstrators(reason_suite(SUITES[suite]), habits.careful)  # refuses a share that is none
    for task in ("countdown", "zebra", "arc"):
        shares = [habits.careful[f"{task}-{level}"] for level in ("mini", "mini_medium", "mini_hard")]
        assert shares == sorted(shares, reverse=True)
        assert min(shares) > 0, "a skill that nobody ever shows cannot be brought out"


def test_a_rare_start_is_the_unequal_one_and_a_lesson_more() -> None:
    for suite in ("mini", "mini-nine"):
        usual, rare = (warm_start_for(SUITES[suite], start) for start in ("unequal", "rare"))
        assert rare.lessons[:-1] == usual.lessons
        habits, careful = usual.lessons[-1].careful, rare.lessons[-1].careful
        assert all((careful[task] < habits[task]) == task.startswith("arc") for task in habits)
    with pytest.raises(ValueError, match=r"start must be one of \['unequal', 'rare'\], got 'rarest'"):
        warm_start_for(SUITES["mini"], "rarest")


def test_a_model_is_the_same_whether_or_not_its_first_lessons_were_there(tmp_path: Path) -> None:
    suite = reason_suite(("zebra-mini",))
    first, second = Lesson("first", steps=3, lr=1e-3), Lesson("second", steps=2, lr=1e-3, careful={"zebra-mini": 0.5})
    whole, part = WarmStart((first, second), batch_size=4), WarmStart((first,), batch_size=4)
    at_once = warm_started_model(tmp_path / "one", suite, whole, seed=0)
    warm_started_model(tmp_path / "two", suite, part, seed=0)
    in_two_goes = warm_started_model(tmp_path / "two", suite, whole, seed=0)
    weights = [(start / "model.safetensors").read_bytes() for start in (at_once, in_two_goes)]
    assert weights[0] == weights[1]
    assert at_once.name == in_two_goes.name
    assert len(list((tmp_path / "one").iterdir())) == len(list((tmp_path / "two").iterdir())) == 2
