"""`mtgrpo tasks`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mtgrpo_env.envs.mtreason import REASON_TASKS


def test_every_task_and_level_is_listed_with_its_guess_and_oracle(command: Callable[..., Any]) -> None:
    result = command("tasks", "--problems", 2)
    assert (result.code, result.err) == (0, "")
    rows = re.findall(r"([a-z_]+-[a-z_]+) +\S +(\d+) +\S +(\d+)% +\S +(\d+)%", result.out)
    names = [f"{task}-{level}" for task, env_type in REASON_TASKS.items() for level in env_type.LEVELS]
    assert [name for name, *_ in rows] == names
    assert len(rows) == 15
    assert {oracle for *_, oracle in rows} == {"100"}


def test_no_problems_are_refused(refused: Callable[..., str]) -> None:
    assert "problems must be at least 1, got 0" in refused("tasks", "--problems", 0)
