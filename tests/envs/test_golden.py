"""Golden transcripts: prompts, oracle responses and verdicts change only when somebody means it.

After a change that is meant, `pytest tests/envs/test_golden.py --regenerate-golden` writes the files of
tests/golden anew; the change is then reviewed as a diff.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.envs.mtreason import REASON_TASKS
from mtgrpo_env.text_env import TextEnv, Verdict

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CASES = [(name, level) for name, task in REASON_TASKS.items() for level in task.LEVELS]
EPISODES = 2


def transcript(name: str, level: str) -> str:
    """The first episodes of a task at seed 0: what is shown, what the oracle and a guess say, and what they score."""
    task = REASON_TASKS[name](level)
    rng = np.random.default_rng(0)
    lines: list[str] = []
    for episode in range(EPISODES):
        prompt, info = task.reset(seed=0 if episode == 0 else None)
        lines += [f"== episode {episode}, puzzle {info['provenance']['hash']}", "-- prompt", prompt]
        lines += talk(task, "oracle", lambda: task.oracle(task.puzzle))
        lines += talk(task, "guess", lambda: task.guess(task.puzzle, rng))
    return "\n".join([*lines, ""])


def talk(task: TextEnv[Any], who: str, answer: Callable[[], str]) -> list[str]:
    """What is said until the verdict."""
    lines: list[str] = []
    responses: list[str] = []
    while True:
        responses.append(answer())
        told = task.reply(task.puzzle, responses)
        lines += [f"-- {who}", responses[-1]]
        if isinstance(told, Verdict):
            return [*lines, f"-- verdict: {told.outcome}, reward {told.reward}"]
        lines += ["-- reply", told]


@pytest.mark.parametrize(("name", "level"), CASES)
def test_a_task_plays_as_in_its_golden_transcript(name: str, level: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{name}_{level}.txt"
    if request.config.getoption("--regenerate-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(transcript(name, level), encoding="utf-8")
    assert transcript(name, level) == path.read_text(encoding="utf-8")


def test_every_golden_transcript_belongs_to_a_task() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {f"{name}_{level}" for name, level in CASES}
