"""Warnings about responses that cannot teach anything: the fault, its share, a sample and what to change."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.response_warnings import response_warnings, shown
from mtgrpo_env.agents.trainer import Trainer
from mtgrpo_env.types import Group, Problem, Rollout, Step

CONFIG = TrainConfig(max_new_tokens=24)
NAMES = ("sums", "words")


def group(response: str, *, task_id: int = 0, seed: int = 0, outcome: str = "wrong", cut: bool = False) -> Group:
    step = Step(f"What is {seed} + 1?", response, 0.0)
    rollout = Rollout((step,), 0.0, is_success=False, outcome=outcome, is_truncated=cut)
    return Group(Problem(task_id, seed), (rollout,))


def warnings_of(*groups: Group) -> list[str]:
    return list(response_warnings(CONFIG, NAMES, groups))


def test_responses_that_are_cut_off_want_more_tokens() -> None:
    (warning,) = warnings_of(*(group("To get 6", cut=i < 3, outcome="no_answer", seed=i) for i in range(4)))
    assert warning.startswith("responses are cut off (3 of 4 in sums), such as 'To get 6' to 'What is 0 + 1?': ")
    assert "--max-new-tokens (24)" in warning


def test_a_task_is_named_by_the_first_of_its_faults_and_others_by_theirs() -> None:
    groups = [group(" ", outcome="no_answer", seed=i) for i in range(3)]
    groups += [group(f"It is {i}", task_id=1, outcome="no_answer", seed=i) for i in range(3)]
    empty, without = warnings_of(*groups)
    assert "empty (3 of 3 in sums)" in empty
    assert "--prompt chat" in empty
    assert "without an answer (3 of 3 in words), such as 'It is 0'" in without
    assert "--examples 2" in without


def test_empty_responses_to_a_chat_want_room_behind_the_reasoning() -> None:
    groups = [group("", outcome="no_answer", seed=i) for i in range(3)]
    (warning,) = response_warnings(replace(CONFIG, prompt="chat"), NAMES, groups)
    assert "empty (3 of 3 in sums)" in warning
    assert "raise --max-new-tokens (24)" in warning
    assert "--prompt" not in warning


def test_the_same_response_to_every_problem_is_named_where_there_are_enough_problems() -> None:
    assert warnings_of(*(group("7", seed=i) for i in range(3))) == []
    (warning,) = warnings_of(*(group("7", seed=i) for i in range(4)))
    assert "equal (4 of 4 in sums), such as '7'" in warning
    assert "--temperature (1)" in warning
    assert warnings_of(*(group(str(i % 2), seed=i) for i in range(4))) == []


def test_half_of_the_responses_are_not_most_of_them() -> None:
    assert warnings_of(*(group(str(i), seed=i, cut=i < 2) for i in range(4))) == []


@pytest.mark.parametrize("text", ["\x1b[31mred\r\n", "\u202egnp.exe", "\ud800", "\x00\x9b"])
def test_what_would_steer_a_terminal_is_escaped(text: str) -> None:
    assert shown(text).isascii()
    assert shown(text).isprintable()


def test_a_long_text_is_shortened_to_its_beginning_or_its_end() -> None:
    assert shown("a" * 200 + "b" * 200) == f"{'a' * 160!r}…"
    assert shown("a" * 200 + "b" * 200, end=True) == f"…{'b' * 160!r}"


def test_a_run_warns_at_its_first_evaluation_and_says_that_it_learned_nothing(
    model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fresh model answers nothing that counts, least of all in two tokens."""
    sizes: dict[str, Any] = {"steps": 2, "batch_size": 2, "group_size": 2, "minibatches": 1, "max_new_tokens": 2}
    evaluations: dict[str, Any] = {"eval_problems": 4, "eval_every": 1}
    tasks = ("countdown-mini", "zebra-mini")
    config = TrainConfig(**sizes, **evaluations, tasks=tasks, out=tmp_path / "run", device="cpu")
    with caplog.at_level(logging.WARNING, "mtgrpo_env"):
        result = Trainer(model_folder, config=config).train()
    warnings = [record.getMessage() for record in caplog.records]
    assert sum(warning.startswith("responses are ") for warning in warnings) == 1
    text = capsys.readouterr().out
    assert result.exit_code == 0
    assert "No model is the best: no group of 2 steps was informative" in text
    assert "\nbest " not in text
    assert re.search(r"step    2 .* length \d\.\d  cut off \d+%  entropy \d\.\d\d  unanimous \d+%", text)
