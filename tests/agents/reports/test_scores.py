"""Scores: what is averaged over what, how sure it is, and in which order it stands."""

from __future__ import annotations

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtgrpo_env.agents.reports.cell import Cell, cell_json
from mtgrpo_env.agents.reports.scores import Scorer, TokenUsage, TotalTokenUsage, pass_at_k, posterior_means
from mtgrpo_env.agents.reports.scores_table import benchmark_markdown
from mtgrpo_env.chance import TaskChance
from mtgrpo_env.types import Group, Problem, Rollout


def group(task_id: int, *correct: bool, valid: tuple[bool, ...] = ()) -> Group:
    pairs = zip(correct, valid or [True] * len(correct), strict=True)
    return Group(Problem(task_id, 0), tuple(Rollout((), float(right), right, known) for right, known in pairs))


def scorer_of(*groups: Group, tasks: int = 2) -> Scorer:
    scorer = Scorer([f"task{k}-easy" for k in range(tasks)])
    for played in groups:
        scorer.add(played)
    return scorer


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_correct_one(case: tuple[int, int, int]) -> None:
    correct, rollouts, k = case
    draws = list(combinations([True] * correct + [False] * (rollouts - correct), k))
    share = sum(any(draw) for draw in draws) / len(draws)
    assert pass_at_k(np.array([correct]), np.array([rollouts]), k)[0] == pytest.approx(share)


def test_accuracy_is_averaged_over_problems_however_many_rollouts_of_each_are_valid() -> None:
    groups = (group(0, True, True, valid=(True, False)), group(0, False, False), group(1, True))
    (first, _) = scorer_of(*groups).scores().tasks
    assert first.accuracy.mean == 0.5
    assert (first.problems, first.rollouts, first.invalid) == (2, 3, 1)
    assert first.reward == pytest.approx(1 / 3)


def test_pass_at_k_goes_as_far_as_every_problem_has_rollouts() -> None:
    many = group(0, *[True] * 6)
    assert list(scorer_of(many, group(0, *[False] * 6), tasks=1).scores().tasks[0].pass_at) == [2, 4, 6]
    cut = group(0, *[True] * 6, valid=(True, True, True, False, False, False))
    assert list(scorer_of(many, cut, tasks=1).scores().tasks[0].pass_at) == [2, 3]


def test_worst_and_average_are_of_the_tasks_that_were_played() -> None:
    scores = scorer_of(group(0, True), group(0, False), group(2, True), tasks=3).scores()
    assert [task.task for task in scores.tasks] == ["task0-easy", "task2-easy"]
    assert (scores.worst.mean, scores.average.mean) == (0.5, 0.75)


@pytest.mark.parametrize("chance", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("problems", [10, 40])
def test_intervals_cover_the_truth_near_the_edges_and_for_problems_of_different_difficulty(
    problems: int, chance: float
) -> None:
    """Eight rollouts each of problems that are nearly all solved or unsolved; 300 samples, so 3.8 % is three sigma."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        shares = rng.binomial(8, rng.beta(chance, 1 - chance, problems)) / 8
        low, high = np.quantile(posterior_means(shares, rng), [0.025, 0.975])
        covered += low <= chance <= high or shares.mean() in (0, 1)  # the exact ends go further
    assert covered / 300 > 0.95 - 0.038


@pytest.mark.parametrize(
    ("shares", "low", "high"),
    [
        ([1.0] * 4, 0.398, 1.0),
        ([1.0], 0.025, 1.0),
        ([0.0], 0.0, 0.975),
        ([1.0] * 300, 0.988, 1.0),
        ([1.0] * 99 + [0.0], 0.953, 0.998),
        ([1.0] * 3 + [0.0], 0.285, 0.97),
    ],
)
def test_a_few_problems_leave_room_however_often_they_were_played(shares: list[float], low: float, high: float) -> None:
    for rollouts in (1, 8):
        played = [group(0, *[share == 1] * rollouts) for share in shares]
        interval = scorer_of(*played, tasks=1).scores().tasks[0].accuracy
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.01)


def test_a_solved_task_of_few_problems_leaves_the_average_room_beside_one_of_many() -> None:
    scores = scorer_of(*[group(0, True)] * 4, *[group(1, True)] * 300).scores()
    assert scores.worst.low == pytest.approx(0.398, abs=0.001)
    assert scores.average.low == pytest.approx((1 + 0.398) / 2, abs=0.001)
    unsolved = scorer_of(*[group(0, False)] * 4, *[group(1, False)] * 300).scores()
    assert unsolved.worst.high == pytest.approx(0.0122, abs=0.001)  # the many bound the least of both


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        right = rng.random(60) < 0.3
        interval = scorer_of(*(group(0, bool(r)) for r in right), tasks=1).scores(seed=seed).tasks[0].accuracy
        covered += interval.low <= 0.3 <= interval.high
    assert 180 <= covered <= 199


def test_the_interval_of_the_worst_holds_its_mean_and_lies_below_that_of_the_average() -> None:
    rng = np.random.default_rng(1)
    groups = [group(k, bool(rng.random() < 0.5)) for k in range(4) for _ in range(50)]
    scores = scorer_of(*groups, tasks=4).scores()
    assert scores.worst.low <= scores.worst.mean <= scores.worst.high
    assert scores.worst.high < scores.average.high
    assert scores.worst.low < scores.tasks[0].accuracy.low + 0.02


@pytest.mark.parametrize("solved", [True, False])
def test_where_all_is_solved_or_none_the_interval_is_the_binomials_and_no_point(solved: bool) -> None:
    scores = scorer_of(*[group(0, solved)] * 30, tasks=1).scores()
    room = 1 - 0.025 ** (1 / 30)
    expected = (1 - room, 1.0) if solved else (0.0, room)
    for interval in (scores.tasks[0].accuracy, scores.worst, scores.average):
        assert (interval.low, interval.high) == pytest.approx(expected)


def test_equal_groups_and_seeds_give_equal_scores() -> None:
    groups = [group(0, i % 3 == 0) for i in range(20)]
    assert scorer_of(*groups).scores(seed=3) == scorer_of(*groups).scores(seed=3)


def test_a_task_whose_scorer_always_failed_is_named_and_counts_for_nothing() -> None:
    scores = scorer_of(group(0, False, valid=(False,)), group(1, True)).scores()
    assert [task.task for task in scores.tasks] == ["task0-easy", "task1-easy"]
    assert math.isnan(scores.tasks[0].accuracy.mean)
    assert scores.tasks[0].invalid == 1
    assert (scores.worst.mean, scores.average.mean) == (1.0, 1.0)


def test_where_every_scorer_failed_nothing_is_known() -> None:
    scores = scorer_of(group(0, True, valid=(False,))).scores()
    assert math.isnan(scores.worst.mean)
    assert math.isnan(scores.average.mean)
    report = cell_json(Cell("a", "s", "f", 1, 0.0, scores, {}))
    assert (report["worst"], report["worst_interval"]) == (None, [None, None])
    assert json.loads(json.dumps(report, allow_nan=False))["tasks"]["task0-easy"]["invalid"] == 1
    assert "| `a` | - | - |" in benchmark_markdown([Cell("a", "s", "f", 1, 0.0, scores, {})], command="")


def test_a_reward_that_is_not_finite_is_null_in_json() -> None:
    endless = Group(Problem(0, 0), (Rollout((), math.inf, False, valid=False),))
    task = cell_json(Cell("a", "s", "f", 1, 0.0, scorer_of(endless).scores(), {}))["tasks"]["task0-easy"]
    assert (task["reward"], task["accuracy"], task["invalid"]) == (None, None, 1)


def test_chance_stands_beside_accuracy() -> None:
    scores = scorer_of(group(0, True), group(1, False)).scores()
    chance = {
        "task0-easy": TaskChance(0.25, 0.2, "always 7"),
        "task1-easy": TaskChance(math.nan, 0.5, "always number 2"),
    }
    cell = Cell("a", "s", "f", 1, 0.0, scores, {}, chance)
    tasks = cell_json(cell)["tasks"]
    assert (tasks["task1-easy"]["guess"], tasks["task1-easy"]["constant"]) == (None, 0.5)
    assert tasks["task0-easy"]["constant_name"] == "always 7"
    text = benchmark_markdown([cell], command="")
    assert "| `a` | task1-easy | 0.0 [0.0, 97.5] ≈ | - | 50.0 |" in text
    assert "| `a` | 0.0 [0.0, 97.5] ≈ | 50.0" in text, "the worst task"
    assert "best constant: task0-easy always 7; task1-easy always number 2." in text


def test_a_level_is_what_the_task_says_and_no_part_of_a_name() -> None:
    cell = Cell("a", "s", "f", 1, 0.0, scorer_of(group(0, True), group(1, True)).scores(), {"task0-easy": "easy"})
    tasks = cell_json(cell)["tasks"]
    assert [(task["task"], task["level"]) for task in tasks.values()] == [("task0", "easy"), ("task1-easy", "")]


def test_tokens_are_added_up() -> None:
    scorer = scorer_of()
    scorer.add(group(0, True, False), [TokenUsage(10, 5), TokenUsage(10, 20, truncated=True)])
    scorer.add(group(0, False, False), [TokenUsage(0, 0, empty="refused"), TokenUsage(0, 0, empty="filtered")])
    assert scorer.scores().usage == TotalTokenUsage(4, 20, 25, 1, {"filtered": 1, "refused": 1})
    assert scorer_of(group(0, True)).scores().usage is None


def test_the_report_says_what_there_is_of_an_agent_that_could_not_play_a_suite() -> None:
    def cell(agent: str, suite: str) -> Cell:
        scores = scorer_of(group(0, True), group(1, False)).scores()
        return Cell(agent, suite, "0123456789ab", 1, 2.0, scores, {})

    text = benchmark_markdown([cell("a|b", "one"), cell("c", "one"), cell("c", "two")], command="mtgrpo evaluate")
    rows = [line for line in text.splitlines() if line.startswith(("| `a", "| `c`"))]
    assert rows[0].startswith(r"| `a\|b` | 0.0 [0.0, 97.5] | 50.0 [")
    assert rows[0].endswith("| - | - |")
    assert "## Tokens" not in text
    report = cell_json(cell("c", "two"))
    assert not any(isinstance(value, float) and math.isnan(value) for value in report.values())
    assert list(report["tasks"]) == ["task1-easy", "task0-easy"]
