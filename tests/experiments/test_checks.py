"""Checks of tasks and rows, the survey of tasks, and verifiers of stored responses, from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import Sum

from mtgrpo_env.envs.countdown import Countdown
from mtgrpo_env.envs.mtreason import REASON_TASKS, reason_suite
from mtgrpo_env.envs.row_scorers import VerifierScorer
from mtgrpo_env.envs.rows import RowsEnv, read_rows
from mtgrpo_env.experiments.row_checks import checked_rows, checked_task
from mtgrpo_env.experiments.task_survey import single_task_suites, summarise
from mtgrpo_env.task import Task
from mtgrpo_env.text_env import CORRECT, Verdict


class Credulous(Sum):
    """Takes every answer for right."""

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        return CORRECT


def test_a_task_that_keeps_its_promises_has_no_fault() -> None:
    check = checked_task(Task.from_id("CartPole-v1"), num_problems=2)
    assert (check.task, check.fault) == ("CartPole-v1", None)


def test_the_fault_of_a_task_says_which_promise_it_breaks() -> None:
    fault = checked_task(Task.from_class(Credulous), num_problems=2).fault
    assert fault is not None
    assert "accepts an empty response" in fault


def test_rows_whose_own_answer_is_not_right_are_found(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"task": "countdown", "prompt": "p", "ground_truth": {"numbers": "1,2,3", "target": 6}}\n'
        '{"task": "countdown", "prompt": "p", "ground_truth": {"numbers": "2,2", "target": 5}}\n'
    )
    rows = read_rows(file)
    assert list(checked_rows(RowsEnv(VerifierScorer(Countdown(), name="countdown"), rows)).unsolved) == rows[1:]


def test_a_row_that_is_too_large_to_be_solved_is_counted_and_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    numbers = [list(range(1, 4)), list(range(1, 14))]
    rows = [{"task": "countdown", "prompt": f"{n}", "ground_truth": {"numbers": n, "target": 6}} for n in numbers]
    file.write_text("\n".join(map(json.dumps, rows)))
    check = checked_rows(RowsEnv(VerifierScorer(Countdown(), name="countdown"), read_rows(file)))
    assert [row.source for row in check.unknown] == ["rows.jsonl, row 2"]
    assert (check.unsolved, check.faults) == ((), ())


def test_every_level_of_a_task_is_surveyed_alone() -> None:
    suites = list(single_task_suites(["arc"]))
    assert [suite.names for suite in suites] == [(f"arc-{level}",) for level in REASON_TASKS["arc"].LEVELS]
    with pytest.raises(ValueError, match=r"tasks must be among .*, got 'chess'"):
        list(single_task_suites(["chess"]))


def test_a_summary_is_of_guesses_oracles_and_speed() -> None:
    summary = summarise(reason_suite(["zebra-mini"]), 10)
    assert (summary.task, summary.oracle) == ("zebra-mini", 1.0)
    assert summary.guess < 1
    assert min(summary.prompt_characters, summary.puzzles_per_second, summary.verdicts_per_second) > 0
