"""`mtgrpo check`: tasks by id or by name, rows of files, and leaks between files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RunCommand = Callable[..., Any]

BROKEN_TASK = """
from mtgrpo_env import TextEnv, Verdict

class Yes(TextEnv[int]):
    def generate(self, rng):
        return int(rng.integers(1000))

    def prompt(self, puzzle):
        return f"Is {puzzle} a number?"

    def verify(self, puzzle, response):
        is_right = bool(response.strip())
        return Verdict(float(is_right), is_right, "correct" if is_right else "no_answer")

    def oracle(self, puzzle):
        return "yes"
"""


def write_rows(path: Path, *puzzles: tuple[str, int]) -> Path:
    rows = [
        {"task": "countdown", "prompt": "p", "ground_truth": {"numbers": numbers, "target": target}}
        for numbers, target in puzzles
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_good_tasks_are_named_and_the_exit_code_is_zero(command: RunCommand) -> None:
    names = ["MTReason/Countdown-v0", "CartPole-v1", "mtgrpo_env.envs.arc:Arc"]
    result = command("check", "--tasks", *names, "--problems", 3)
    assert result.code == 0
    assert result.out.splitlines() == [f"ok    {name}" for name in (*names[:2], "Arc")]


def test_a_fault_is_printed_and_the_exit_code_is_one(
    command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_task.py").write_text(BROKEN_TASK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    result = command("check", "--tasks", "broken_task:Yes", "--problems", 3)
    assert result.code == 1
    assert "FAULT task 'Yes' accepts the prompt repeated, 'Is " in result.out


def test_files_that_share_a_problem_leak(command: RunCommand, tmp_path: Path) -> None:
    first = write_rows(tmp_path / "first.jsonl", ("1,2,3", 6), ("4,5,6", 15))
    second = write_rows(tmp_path / "second.jsonl", ("3,2,1", 6))
    third = write_rows(tmp_path / "third.jsonl", ("7,8", 15))
    result = command("check", "--rows", first, second, third)
    assert result.code == 1
    assert "LEAK  first.jsonl and second.jsonl share 1 problems:\n      first.jsonl, row 1 = second.jsonl, row 1" in (
        result.out
    )
    assert "ok    second.jsonl and third.jsonl share no problem" in result.out
    assert command("check", "--rows", first, third).code == 0


def test_a_copy_whose_rows_name_no_task_leaks_and_files_of_one_name_are_told_apart(
    command: RunCommand, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("a.jsonl", "b.jsonl", "folder/a.jsonl")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text('{"prompt": "30 + 42?", "answer": "72"}\n')
    result = command("check", "--rows", *files, "--reward", "number")
    assert result.code == 1
    assert "LEAK  a.jsonl and b.jsonl share 1 problems:\n      a.jsonl, row 1 = b.jsonl, row 1\n" in result.out
    first, last = files[0], files[-1]
    expected = f"LEAK  {first} and {last} share 1 problems:\n      {first}, row 1 = {last}, row 1"
    assert expected in result.out.replace("\\\n", "")


def test_a_row_without_a_right_answer_is_a_fault(command: RunCommand, tmp_path: Path) -> None:
    result = command("check", "--rows", write_rows(tmp_path / "rows.jsonl", ("1,2,3", 6), ("2,2", 5)))
    assert result.code == 1
    assert "FAULT rows.jsonl: 1 of 2 rows" in result.out
    assert "rows.jsonl, row 2" in result.out


def test_all_refused_rows_are_counted_the_first_of_them_named_and_the_others_checked(
    command: RunCommand, tmp_path: Path
) -> None:
    good, absurd = [("1,2,3", 6), ("4,5,6", 15)], [("1;2", 3)] * 6 + [(",".join("1" * 101), 101)]
    file = write_rows(tmp_path / "rows.jsonl", *good, *absurd)
    with file.open("a") as lines:
        lines.write('{"task": "countdown", "ground_truth": {"numbers": "1,2", "target": 3}}\n')
    result = command("check", "--rows", file)
    assert result.code == 1
    assert result.err.startswith("mtgrpo check: rows.jsonl, row 10: expected the prompt in a column prompt")
    lines = result.out.splitlines()
    assert lines[0] == "FAULT rows.jsonl: 8 of 10 rows are refused, which ends every other command:"
    assert lines[1].startswith("      rows.jsonl, row 10: expected the prompt in a column prompt")
    assert lines[2].startswith("      rows.jsonl, row 3, column ground_truth: ground truth needs 'numbers' like")
    assert lines[6] == "      and 3 more"
    assert lines[7].startswith("ok    rows.jsonl: 2 rows, each scored as correct with its own answer")


def test_a_row_of_twelve_numbers_or_more_is_named_and_no_fault(command: RunCommand, tmp_path: Path) -> None:
    thirteen = ",".join(map(str, range(1, 14)))
    result = command("check", "--rows", write_rows(tmp_path / "rows.jsonl", ("1,2,3", 6), (thirteen, 91)))
    assert result.code == 0
    assert "note  rows.jsonl: 1 of 2 rows have no known solution, and none was tried:\n      rows.jsonl, row 2" in (
        result.out
    )


OWN_REWARDS = """
def city(completion, ground_truth, **columns):
    return float(completion.strip().rstrip(".").split()[-1:] == [ground_truth["target"]])

def sloppy(completion, ground_truth):
    return {"score": float(ground_truth["target"] in completion)}
"""


@pytest.fixture
def capitals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of rows, beside a module of rewards."""
    (tmp_path / "my_rewards.py").write_text(OWN_REWARDS)
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)  # another test's
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    pairs = {"Italy": "Rome", "Peru": "Lima", "Spain": "Madrid", "Mali": "Bamako"}
    rows = [
        {"task": "capitals", "prompt": f"Capital of {country}?", "ground_truth": {"target": city}}
        for country, city in pairs.items()
    ]
    path = tmp_path / "capitals.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_reward_of_ones_own_is_played_against_the_rows(command: RunCommand, capitals: Path) -> None:
    result = command("check", "--rows", capitals, "--reward", "my_rewards:sloppy")
    assert result.code == 1
    assert "FAULT capitals.jsonl, row 1: my_rewards:sloppy scores the right answer in a list as correct" in result.out
    good = command("check", "--rows", capitals, "--reward", "capitals=exact")
    assert good.code == 0, good.out
    (line,) = good.out.splitlines()
    assert line.startswith("ok    capitals.jsonl: 4 rows, each scored as correct with its own answer; exact takes ")


def test_a_right_answer_in_other_dress_is_a_note_and_no_fault(command: RunCommand, capitals: Path) -> None:
    result = command("check", "--rows", capitals, "--reward", "my_rewards:city")
    assert result.code == 0
    assert "note  capitals.jsonl, row 1: my_rewards:city does not score the right answer X as correct" in result.out


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("my_rewards:cty", "expected 'package.module:name', got 'my_rewards:cty'"),
        ("numbr", "did you mean 'number'?"),
        ("number", "capitals.jsonl, row 1, column ground_truth: expected a ground truth that is a number, got 'Rome'"),
    ],
)
def test_a_reward_that_cannot_score_the_rows_is_refused(
    refused: Callable[..., str], capitals: Path, reward: str, message: str
) -> None:
    assert message in refused("check", "--rows", capitals, "--reward", reward)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected --tasks or --rows, got neither"),
        (
            ("--tasks", "NoSuchEnv-v0"),
            "or a registered Gymnasium id, 'gym:id', 'reasoning-gym:name'",
        ),
        (("--tasks", "no_such_module:Env"), "expected 'package.module:name', got 'no_such_module:Env'"),
    ],
)
def test_what_cannot_be_checked_is_refused(refused: Callable[..., str], arguments: Any, message: str) -> None:
    assert message in refused("check", *arguments)


def test_the_papers_rows_have_right_answers_and_share_nothing(command: RunCommand, paper_tasks: Path) -> None:
    result = command("check", "--rows", *sorted(paper_tasks.glob("*.parquet")))
    assert result.code == 0, result.out
