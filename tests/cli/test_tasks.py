"""`mtgrpo tasks`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from mtgrpo_env.envs.mtreason import REASON_TASKS


def test_every_task_and_level_is_listed_with_its_guess_and_oracle(command: Callable[..., Any]) -> None:
    result = command("tasks", "--problems", 2)
    assert (result.code, result.err) == (0, "")
    rows = re.findall(r"([a-z_]+-[a-z_]+) +\S +(\d+) +\S +(\d+)% +\S +(\d+)% +\S +[\d,]+ +\S +[\d,]+ ", result.out)
    names = [f"{task}-{level}" for task, env_type in REASON_TASKS.items() for level in env_type.LEVELS]
    assert [name for name, *_ in rows] == names
    assert {oracle for *_, oracle in rows} == {"100"}


def test_json_is_one_object_for_each_level_of_the_tasks_asked_for(command: Callable[..., Any]) -> None:
    result = command("tasks", "--tasks", "arc", "guessing", "--problems", 20, "--json")
    summaries = [json.loads(line) for line in result.out.splitlines()]
    names = [f"{task}-{level}" for task in ("arc", "guessing") for level in REASON_TASKS[task].LEVELS]
    assert [summary["task"] for summary in summaries] == names
    assert all(summary["oracle"] == 1 > summary["guess"] for summary in summaries)
    assert all(summary["puzzles_per_second"] > 0 < summary["verdicts_per_second"] for summary in summaries)


def test_an_unknown_task_is_refused(refused: Callable[..., str]) -> None:
    assert "tasks must be among ['countdown'" in refused("tasks", "--tasks", "chess")


def test_no_problems_are_refused(refused: Callable[..., str]) -> None:
    assert "problems must be at least 1, got 0" in refused("tasks", "--problems", 0)
