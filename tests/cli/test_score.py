"""`mtgrpo score`: verdicts in the order of the rows, alone on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RunCommand = Callable[..., Any]

GROUND_TRUTH = {"numbers": "3,5,7", "target": 22}
RESPONSES = {
    r"so \boxed{3*5+7}": {"reward": 1.0, "is_success": True, "outcome": "correct"},
    r"\boxed{3+5+7}": {"reward": 0.1, "is_success": False, "outcome": "wrong"},
    "I give up": {"reward": 0.0, "is_success": False, "outcome": "no_answer"},
}


def write_rows(folder: Path, *rows: object) -> Path:
    file = folder / "responses.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A response of each outcome to a Countdown puzzle, and a Zebra one."""
    countdown = [{"task": "countdown", "ground_truth": GROUND_TRUTH, "response": response} for response in RESPONSES]
    zebra = {"data_source": "zebra-easy-test", "ground_truth": {"target": "alice"}, "response": r"\boxed{Alice}"}
    return write_rows(tmp_path, *countdown, zebra)


def test_json_is_one_verdict_a_row_in_order_and_nothing_else(command: RunCommand, rows: Path) -> None:
    result = command("score", "--rows", rows, "--json")
    assert result.code == 0
    verdicts = [json.loads(line) for line in result.out.splitlines()]
    judged = [*RESPONSES.values(), {"reward": 1.0, "is_success": True, "outcome": "correct"}]
    truths = [GROUND_TRUTH] * 3 + [{"target": "alice"}]
    places = [{"row": f"responses.jsonl, row {n}", "ground_truth": truth} for n, truth in enumerate(truths, start=1)]
    assert verdicts == [{**verdict, **place} for verdict, place in zip(judged, places, strict=True)]


def test_without_json_outcomes_are_counted_for_each_task(command: RunCommand, rows: Path) -> None:
    result = command("score", "--rows", rows)
    assert (result.code, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()] == [
        ["countdown", "correct", "1"],
        ["countdown", "no_answer", "1"],
        ["countdown", "wrong", "1"],
        ["zebra", "correct", "1"],
        ["countdown", "accuracy", "33.3%", "mean", "reward", "0.367"],
        ["zebra", "accuracy", "100.0%", "mean", "reward", "1.000"],
    ]


def test_the_extraction_decides_what_counts_as_an_answer(command: RunCommand, rows: Path) -> None:
    result = command("score", "--rows", rows, "--json", "--extraction", "released")
    assert {json.loads(line)["outcome"] for line in result.out.splitlines()} == {"no_answer"}


def test_rewards_that_have_changed_since_are_counted(command: RunCommand, tmp_path: Path) -> None:
    rewards = (1.0, 1.0, 0.0)
    stored = [
        {"task": "countdown", "ground_truth": GROUND_TRUTH, "response": response, "reward": reward}
        for response, reward in zip(RESPONSES, rewards, strict=True)
    ]
    result = command("score", "--rows", write_rows(tmp_path, *stored))
    assert result.out.splitlines()[-2].split() == ["countdown", "other", "reward", "1"]


def test_another_verifier_scores_if_one_is_named(
    command: RunCommand, refused: Callable[..., str], rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lenient_verifier.py").write_text(
        "from mtgrpo_env.envs.countdown import Countdown\n"
        "class Lenient(Countdown):\n"
        "    def is_correct(self, puzzle, answer):\n"
        "        return '7' in answer\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    countdown = [json.loads(line) for line in rows.read_text().splitlines()[:3]]
    file = write_rows(tmp_path, *countdown)
    result = command("score", "--rows", file, "--json", "--reward", "lenient_verifier:Lenient")
    assert [json.loads(line)["is_success"] for line in result.out.splitlines()] == [True, True, False]
    assert "expected 'package.module:name'" in refused("score", "--rows", file, "--reward", "no_such_module:X")


@pytest.mark.parametrize("agent", ["oracle", "random"])
def test_rollouts_that_evaluate_saved_score_as_they_did_then(command: RunCommand, tmp_path: Path, agent: str) -> None:
    file = tmp_path / "rollouts.jsonl"
    suite = "countdown-easy,zebra-mini,arc-easy,guessing-easy"
    assert command("evaluate", "--agent", agent, "--suite", suite, "--problems", 6, "--save", file).code == 0
    stored = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(stored) == 24
    assert {row["provenance"]["task"] for row in stored} == {"Countdown", "Zebra", "Arc", "NumberGuessing"}
    assert [row["provenance"]["index"] for row in stored[:6]] == list(range(6))
    result = command("score", "--rows", file, "--json")
    verdicts = [json.loads(line) for line in result.out.splitlines()]
    named = ("reward", "is_success", "outcome", "ground_truth")
    assert [{name: verdict[name] for name in named} for verdict in verdicts] == [
        {name: row[name] for name in named} for row in stored
    ]
    assert "other reward" not in result.err
    assert any("responses" in row for row in stored) == (agent == "random")


def test_released_mode_gives_the_released_scores_row_by_row(command: RunCommand, paper_tasks: Path) -> None:
    file = paper_tasks / "released_scores.jsonl"
    result = command("score", "--rows", file, "--extraction", "released", "--json")
    assert result.code == 0
    ours = [json.loads(line)["reward"] for line in result.out.splitlines()]
    theirs = [json.loads(line)["released_score"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(ours) == 1940
    assert ours == theirs


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("{", "responses.jsonl, row 1: expected one JSON object, got a broken line"),
        ({"task": "chess", "ground_truth": {}, "response": ""}, "nothing scores the 1 rows of 'chess'"),
        ({"task": "countdown", "ground_truth": GROUND_TRUTH}, "row 1, column response: expected a str, got nothing"),
        ({"task": "countdown", "ground_truth": {"target": 3}, "response": ""}, "row 1, column ground_truth: "),
    ],
)
def test_a_malformed_row_is_refused_with_its_place(
    refused: Callable[..., str], tmp_path: Path, row: object, complaint: str
) -> None:
    assert complaint in refused("score", "--rows", write_rows(tmp_path, row))


def test_a_file_without_rows_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    file = write_rows(tmp_path)
    assert f"expected at least one row in {file}, got none" in refused("score", "--rows", file)


def test_verdicts_before_a_malformed_row_are_not_lost(command: RunCommand, tmp_path: Path) -> None:
    good = {"task": "countdown", "ground_truth": GROUND_TRUTH, "response": ""}
    result = command("score", "--json", "--rows", write_rows(tmp_path, good, "{"))
    assert (result.code, len(result.out.splitlines())) == (2, 1)
    assert "responses.jsonl, row 2" in result.err


@pytest.mark.parametrize("name", ["none.jsonl", "none.parquet", "none.csv"])
def test_a_file_that_is_missing_or_of_another_kind_is_refused_by_name(
    refused: Callable[..., str], tmp_path: Path, name: str
) -> None:
    assert name in refused("score", "--rows", tmp_path / name)
