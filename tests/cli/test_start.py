"""The recipes of the embedded starting models; that they can be built and taught is tested beside `tiny`."""

from __future__ import annotations

from mtgrpo_env.cli.start import CURRICULUM, NINE_CURRICULUM, curriculum_for, starting_model_name
from mtgrpo_env.envs.demonstrators import Demonstrators
from mtgrpo_env.envs.mtreason import SUITES, reason_suite


def test_the_three_task_start_is_the_one_that_the_results_were_made_from() -> None:
    """A regression lock: with another name, every run of `make train` starts from another model."""
    assert starting_model_name(SUITES["mini"], seed=0) == "start-a94e15e3"


def test_seeds_tasks_and_their_order_make_other_models() -> None:
    names = [(SUITES["mini"], 0), (SUITES["mini"], 1), (SUITES["mini"][::-1], 0), (SUITES["mini-nine"], 0)]
    assert len({starting_model_name(tasks, seed=seed) for tasks, seed in names}) == len(names)


def test_nine_tasks_have_a_curriculum_of_their_own() -> None:
    assert curriculum_for(SUITES["mini-nine"]) is NINE_CURRICULUM
    assert curriculum_for(SUITES["mini"]) is curriculum_for(("zebra-mini",)) is CURRICULUM


def test_the_habits_name_every_task_and_leave_the_harder_levels_to_fewer_careful_authors() -> None:
    for suite, curriculum in (("mini", CURRICULUM), ("mini-nine", NINE_CURRICULUM)):
        solve, habits = curriculum.lessons
        assert not solve.careful
        assert set(habits.careful) == set(SUITES[suite])
        Demonstrators(reason_suite(SUITES[suite]), habits.careful)  # refuses a share that is none
    for task in ("countdown", "zebra", "arc"):
        shares = [habits.careful[f"{task}-{level}"] for level in ("mini", "mini_medium", "mini_hard")]
        assert shares == sorted(shares, reverse=True)
        assert min(shares) > 0, "a skill that nobody ever shows cannot be brought out"
