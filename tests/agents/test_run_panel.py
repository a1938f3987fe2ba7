"""What a log and a terminal show of a run while it goes on, and how long they say it will take."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

pytest.importorskip("rich")

from rich.console import Console

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.pace import Pace
from mtgrpo_env.agents.run_panel import RunPanel, response_text
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.progress import EVALUATING, GENERATING, Stage

NAMES = ("FrozenLake-v1",)
EVALUATION = Evaluation(NAMES, np.array([0.5]), np.array([10]), np.array([0]), np.array([10]))


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: float = 1000.0
    out: io.StringIO = field(default_factory=io.StringIO)

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("mtgrpo_env.progress.time", clock)
    monkeypatch.setattr("mtgrpo_env.agents.run_panel.time", clock)
    return clock


def stage_of(name: str, clock: Clock, *, parts: int | None = None, done: int = 0, total: int = 0) -> Stage:
    return Stage(name, "responses", parts, clock.now - 10, part=1, done=done, total=total, tokens=500)


def test_the_rest_of_a_run_is_its_steps_and_evaluations(clock: Clock) -> None:
    pace = Pace(steps=10, eval_every=4)
    generating = stage_of(GENERATING, clock, done=1, total=4)
    assert (pace.step_left(generating), pace.run_left(0, generating)) == (pytest.approx(30), None)
    assert pace.left_text(0, generating) == "left: 30 s of step 1"
    for seconds in (2, 4):
        pace.add_step(rollout_seconds=seconds * 5, update_seconds=seconds)
    pace.add_evaluation(100)
    # 8 steps of 15 + 3 s, and evaluations after 4, 8 and 10
    assert pace.run_left(2) == pytest.approx(8 * 18 + 300)
    # 10 of the 15 s of generation are over
    assert pace.step_left(generating) == pytest.approx(5 + 3)
    assert pace.run_left(2, generating) == pytest.approx(5 + 3 + 7 * 18 + 300)
    learning = stage_of("learning", clock, parts=2, done=1, total=2)
    assert pace.run_left(2, learning) == pytest.approx(30 + 7 * 18 + 300)
    evaluating = stage_of(EVALUATING, clock, parts=1, done=1, total=2)
    assert pace.run_left(4, evaluating) == pytest.approx(10 + 6 * 18 + 200)
    assert pace.left_text(10, evaluating) == "left: 10 s of the evaluation, 10 s of the run"


@pytest.mark.parametrize(
    ("steps", "every", "step", "evaluations"), [(10, 5, 5, 1), (10, 5, 10, 0), (11, 5, 10, 1), (3, 5, 0, 1)]
)
def test_evaluations_that_are_to_come_are_counted(steps: int, every: int, step: int, evaluations: int) -> None:
    pace = Pace(steps=steps, eval_every=every)
    pace.add_step(rollout_seconds=0, update_seconds=0)
    pace.add_evaluation(1)
    assert pace.run_left(step) == evaluations


def test_a_log_has_lines_of_long_steps_and_of_progress_within_very_long_ones(clock: Clock) -> None:
    console = Console(file=clock.out, width=200)
    panel = RunPanel(console, NAMES, Pace(steps=4, eval_every=2), step=0, num_steps=4)
    panel.show_stage(stage_of(EVALUATING, clock, parts=1, done=2, total=8))
    assert clock.lines == []
    clock.now += 61
    panel.show_stage(stage_of(EVALUATING, clock, parts=1, done=2, total=8))
    assert clock.lines == ["step    0  evaluating, 2 of 8 responses, 50 tokens/s; left: 30 s of the evaluation"]
    clock.now += 1
    panel.show_evaluation(0, EVALUATION, EVALUATION)
    clock.now += 61
    panel.show_stage(stage_of(GENERATING, clock, done=4, total=8))
    assert clock.lines[-1] == "step    1  generating, 4 of 8 responses, 50 tokens/s; left: 10 s of step 1"
    clock.now += 21
    panel.show_stage(stage_of(GENERATING, clock, done=6, total=8))
    assert len(clock.lines) == 3, "a step that ends soon says more"
    panel.show_step(replace(MTGRPOAgent(list(NAMES), policy="tabular", batch_size=2).train_step(), step=1))
    assert clock.lines[-1].startswith("step    1")
    assert len(clock.lines) == 4


def test_a_short_batch_is_seen_and_what_is_replayed_is_a_share_of_the_groups_wanted() -> None:
    whole = MTGRPOAgent(list(NAMES), policy="tabular", batch_size=4).train_step()
    short = replace(whole, targets=np.array([4]), kept=np.array([1]), replayed=1)
    assert response_text(short, None).startswith("  kept 1 of 4 groups")
    assert response_text(short, None).endswith("  replayed 25%")
    assert "kept" not in response_text(replace(short, kept=np.array([4])), None)


def test_a_terminal_shows_how_far_the_step_is_and_when_the_run_ends(clock: Clock) -> None:
    console = Console(file=clock.out, width=160, force_terminal=True)
    agent = MTGRPOAgent(list(NAMES), policy="tabular", batch_size=2, group_size=2)
    panel = RunPanel(console, NAMES, Pace(steps=4, eval_every=2), step=0, num_steps=4)
    panel.show_evaluation(0, EVALUATION, EVALUATION)
    panel.show_step(agent.train_step())
    panel.show_stage(stage_of(GENERATING, clock, done=4, total=8))
    console.print(panel._panel())
    panel.close()
    shown = clock.out.getvalue()
    assert "generating, 4 of 8 responses, 50 tokens/s; left: " in shown
    assert " of step 2, " in shown
    assert " left" in shown
    assert "FrozenLake-v1" in shown
