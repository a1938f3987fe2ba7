"""Paired differences: equal problems alone, intervals that hold, and what would count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mtgrpo_env.agents.reports.baseline import (
    Difference,
    PlayedProblems,
    check_baselines,
    difference_rows,
    differences,
    paired_differences,
    paired_means,
    read_baseline,
)
from mtgrpo_env.agents.reports.scores import posterior_means


def played(agent: str, *, source: str = "", rollouts: int = 1, **tasks: Sequence[int]) -> PlayedProblems:
    """An agent whose problem i of a task had so many correct rollouts."""
    outcomes = {task: {f"{task}{i}": (right, rollouts) for i, right in enumerate(of)} for task, of in tasks.items()}
    return PlayedProblems(agent, "suite", outcomes, source)


def test_a_difference_is_of_problems_that_both_played_and_says_what_was_left_out() -> None:
    new = played("new", arc=[1, 1, 1, 0], zebra=[1, 1])
    old = played("old", source="old.json", arc=[0, 1, 0], countdown=[1])
    difference = paired_differences(new, old)
    (arc,) = difference.tasks
    assert (arc.name, arc.problems, arc.own, arc.baseline) == ("arc", 3, 1.0, pytest.approx(1 / 3))
    assert difference.left_out == (3, 1)
    assert "3 problems that only the agent and 1 that only the baseline played" in difference.footnote
    with pytest.raises(ValueError, match=r"^old\.json: old played none of the problems that new played$"):
        paired_differences(played("new", zebra=[1]), old)


def test_the_worst_task_is_each_agents_own_and_the_task_that_fell_most_stands_first() -> None:
    new, old = played("new", a=[1, 0, 0, 0], b=[1, 1, 1, 1]), played("old", a=[1, 1, 1, 0], b=[1, 1, 0, 0])
    difference = paired_differences(new, old)
    assert (difference.worst.own, difference.worst.baseline, difference.worst.difference.mean) == (0.25, 0.5, -0.25)
    assert [task.name for task in difference.tasks] == ["a", "b"]
    assert difference.average.difference.mean == 0
    header, worst, average, *tasks = difference_rows(difference)
    assert header == ["task", "accuracy %", "baseline %", "difference", "counts from", "problems"]
    assert [row[0] for row in (worst, average, *tasks)] == ["worst task", "average", "a", "b"]
    assert worst[3].startswith("-25.0 [")


def test_rollouts_of_a_problem_are_averaged_before_problems_are_compared() -> None:
    difference = paired_differences(played("new", rollouts=4, a=[3, 1]), played("old", rollouts=2, a=[1, 0]))
    assert difference.average.difference.mean == pytest.approx(0.25)


@pytest.mark.parametrize("gained", [1, 4, 12, -12])
def test_a_difference_counts_exactly_from_the_size_that_is_shown(gained: int) -> None:
    old = [1] * 15 + [0] * 15
    new = [1] * (15 + gained) + [0] * (15 - gained)
    (task,) = paired_differences(played("new", a=new), played("old", a=old)).tasks
    assert task.counts == (abs(task.difference.mean) > task.least) == (abs(gained) == 12)
    assert 0 < task.least < 0.3


def test_equal_results_differ_by_nothing_and_leave_room_for_a_few_problems() -> None:
    difference = paired_differences(played("new", a=[1, 0] * 50), played("old", a=[1, 0] * 50))
    interval = difference.worst.difference
    assert (interval.mean, difference.worst.counts) == (0, False)
    assert -0.05 < interval.low < 0 < interval.high < 0.05


@pytest.mark.parametrize(
    "cells",  # shares of problems that neither, the second, the first and both solve
    [(0.4, 0.05, 0.15, 0.4), (0.25, 0.25, 0.25, 0.25), (0.8, 0.02, 0.03, 0.15), (0.02, 0.1, 0.03, 0.85)],
)
def test_intervals_of_differences_cover_the_truth_about_as_often_as_they_say(cells: tuple[float, ...]) -> None:
    rng, hits, trials = np.random.default_rng(0), 0, 200
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    for _ in range(trials):
        pairs = corners[rng.choice(4, size=40, p=cells)]
        draws = paired_means(pairs, rng)
        low, high = np.quantile(draws[:, 0] - draws[:, 1], [0.025, 0.975])
        hits += low <= cells[2] - cells[1] <= high
    assert hits / trials > 0.91  # of 200 trials at 95 %, fewer than 91 % have a chance below 1 %


def test_pairs_tell_more_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    old = (rng.random(300) < 0.5).astype(float)
    new = np.where(rng.random(300) < 0.1, 1.0, old)  # hard problems are hard for both
    draws = paired_means(np.stack([new, old], axis=1), rng)
    paired = np.std(draws[:, 0] - draws[:, 1])
    unpaired = np.std(posterior_means(new, rng) - posterior_means(old, rng))
    assert paired < 0.6 * unpaired


def test_a_file_with_an_agent_of_the_same_name_is_compared_with_that_agent_others_with_all() -> None:
    new = [played("mine", a=[1, 0]), played("other", a=[1, 1])]
    old = [played(name, source="old", a=[0, 0]) for name in ("mine", "random")]
    pairs = [(one.own.agent, one.baseline.agent) for one in differences(new, old)]
    assert pairs == [("mine", "mine"), ("other", "mine"), ("other", "random")]
    assert differences(new, [played("mine", source="old", b=[1])]) == []


def test_what_a_baseline_did_not_play_is_said_before_anything_is_played() -> None:
    baseline = [played("old", source="old.json", a=[0, 1, 1])]
    assert check_baselines(baseline, {"easy": {"a": {"a0", "a1"}}}) == []
    some = check_baselines(baseline, {"easy": {"a": {"a0", "a1", "x", "y"}}, "hard": {"z": {"z0"}}})
    assert some == [
        "easy: compared on the 2 of 4 problems that a baseline played too",
        "hard: no baseline played any of its problems, so nothing is compared",
    ]
    with pytest.raises(ValueError, match=r"old\.json: holds none of the problems of hard: .* equal problems"):
        check_baselines(baseline, {"hard": {"z": {"z0"}}})


def cell(**other: object) -> dict[str, object]:
    return {"agent": "old", "suite": "mini", "problems": {"a": {"k": "1/2"}}, **other}


def test_a_report_or_its_folder_is_read(tmp_path: Path) -> None:
    file = tmp_path / "benchmark.json"
    file.write_text(json.dumps({"cells": [cell()]}))
    assert read_baseline(tmp_path) == read_baseline(file)
    assert read_baseline(file) == [PlayedProblems("old", "mini", {"a": {"k": (1, 2)}}, str(file))]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "TypeError"),
        ("{", "JSONDecodeError"),
        ('{"cells": [{"agent": "a", "suite": "s"}]}', "KeyError: 'problems'"),
        (json.dumps({"cells": [cell(problems={"a": {"k": "3/2"}})]}), "correct/valid rollouts like 3/4, got '3/2'"),
        (json.dumps({"cells": [cell(problems={"a": {"k": "0/0"}})]}), "correct/valid rollouts like 3/4, got '0/0'"),
        (json.dumps({"cells": [cell(problems=7)]}), "AttributeError"),
        ('{"cells": []}', "expected a baseline in which an agent played, got none"),
    ],
)
def test_what_is_no_report_is_refused_by_its_name(text: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"old\.json: .*" + complaint):
        read_baseline(file)


def test_json_says_what_the_table_says() -> None:
    difference: Difference = paired_differences(played("new", a=[1, 1]), played("old", source="f", a=[0, 1]))
    found = json.loads(json.dumps(difference.to_json(), allow_nan=False))
    assert (found["agent"], found["baseline"], found["baseline_file"]) == ("new", "old", "f")
    assert found["tasks"]["a"]["difference"] == found["worst"]["difference"] == 0.5
    assert found["tasks"]["a"]["problems"] == 2
