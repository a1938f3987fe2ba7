"""Progress of long work, as a listener gets it."""

from __future__ import annotations

import pytest

from mtgrpo_env.evaluation import RandomActions, evaluate_policy
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.progress import Stage, advance, begin_part, progress_to, stage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("mtgrpo_env.progress.time.monotonic", lambda: now[0])
    return now


def test_without_a_listener_nothing_is_counted() -> None:
    with stage("learning", "passes"):
        begin_part(3)
        advance(1)
    reported: list[str] = []
    with progress_to(lambda stage: reported.append(str(stage))):
        advance(1)  # no stage goes on
    assert reported == []


def test_a_stage_knows_its_share_and_how_long_the_rest_takes(clock: list[float]) -> None:
    reported: list[tuple[str, float, float | None]] = []

    def listener(stage: Stage) -> None:
        reported.append((str(stage), stage.share, stage.seconds_left))

    with progress_to(listener), stage("learning", "passes", parts=2):
        begin_part(4)
        clock[0] += 2
        advance(1, tokens=100)
        begin_part(2)
        clock[0] += 1
        advance(1)
    assert reported == [
        ("learning, part 1 of 2, 0 of 4 passes", 0.0, None),
        ("learning, part 1 of 2, 1 of 4 passes, 50 tokens/s", 0.125, pytest.approx(14)),
        ("learning, part 2 of 2, 0 of 2 passes, 50 tokens/s", 0.5, pytest.approx(2)),
        ("learning, part 2 of 2, 1 of 2 passes, 33 tokens/s", 0.75, pytest.approx(1)),
    ]


def test_a_stage_of_unknown_parts_is_judged_by_those_so_far() -> None:
    shares: list[float] = []
    with progress_to(lambda stage: shares.append(stage.share)), stage("generating", "responses"):
        begin_part(2)
        advance(2)
        begin_part(2)
        advance(more=2)
    assert shares == [0.0, 1.0, 0.5, 0.5]


def test_the_stage_around_another_goes_on_after_it() -> None:
    names: list[str] = []
    with progress_to(lambda stage: names.append(stage.name)), stage("outer", "items"):
        with stage("inner", "items"):
            begin_part(1)
        begin_part(1)
    assert names == ["inner", "outer"]


def test_an_evaluation_counts_the_responses_of_all_turns() -> None:
    suite = read_tasks(["FrozenLake-v1"])
    reported: list[tuple[int, int, int]] = []
    with progress_to(lambda stage: reported.append((stage.part, stage.done, stage.total))):
        evaluate_policy(suite, RandomActions(suite), suite.held_out(3), rollouts_per_problem=2)
    assert reported[0] == (1, 0, 6)
    part, done, total = reported[-1]
    assert (part, done) == (1, total)
    assert total > 6
