"""`mtgrpo evaluate`: baselines and checkpoints, on suites and on rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.envs.mtreason import SUITES

RunCommand = Callable[..., Any]

ROWS: list[dict[str, Any]] = [
    {"data_source": "countdown-easy-test", "prompt": "3,5,7=22?", "ground_truth": {"numbers": "3,5,7", "target": 22}},
    {"data_source": "countdown-hard-test", "prompt": "1,2=3?", "ground_truth": {"numbers": "1,2", "target": 3}},
    {"data_source": "countdown-easy-test", "prompt": "4,6=24?", "ground_truth": {"numbers": "4,6", "target": 24}},
    {"task": "zebra", "prompt": "Who?", "ground_truth": {"target": "alice"}},
]


def write_rows(folder: Path, *rows: object) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def only_line(out: str) -> dict[str, Any]:
    """The report, if nothing else was printed."""
    (line,) = out.splitlines()
    return json.loads(line)


def tried(agent: str, *, count: int, accuracy: float) -> dict[str, Any]:
    """The report of an agent that is equally good at every mini task."""
    tasks = {name: {"accuracy": accuracy, "count": count} for name in SUITES["mini"]}
    return {"agent": agent, "worst": accuracy, "average": accuracy, "tasks": tasks}


def test_json_is_one_line_in_the_documented_format(command: RunCommand) -> None:
    result = command("evaluate", "--agent", "oracle", "--suite", "mini", "--problems", 20, "--json")
    assert (result.code, result.err) == (0, "")
    assert only_line(result.out) == tried("oracle", count=20, accuracy=1.0)


def test_a_baseline_needs_no_torch_and_a_process_of_its_own_prints_json_alone(environment: dict[str, str]) -> None:
    code = """
import sys
from mtgrpo_env.cli import main
code = main(["evaluate", "--agent", "oracle", "--problems", "3", "--json"])
assert not {"torch", "transformers"} & set(sys.modules)
sys.exit(code)
"""
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert only_line(done.stdout) == tried("oracle", count=3, accuracy=1.0)


def test_random_answers_are_sometimes_right_and_named_by_the_seed(command: RunCommand) -> None:
    arguments = ("evaluate", "--agent", "random", "--suite", "zebra-mini,countdown-mini", "--problems", 60, "--json")
    first, again, other = (only_line(command(*arguments, "--seed", seed).out) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert 0.05 < first["tasks"]["zebra-mini"]["accuracy"] < 0.6
    assert first["worst"] == min(task["accuracy"] for task in first["tasks"].values())
    assert first["average"] == pytest.approx(sum(task["accuracy"] for task in first["tasks"].values()) / 2)


def test_without_json_a_table_shows_every_task_the_worst_and_the_average(command: RunCommand) -> None:
    result = command("evaluate", "--agent", "oracle", "--problems", 2)
    assert (result.code, result.err) == (0, "")
    for name in (*SUITES["mini"], "worst task", "average"):
        (line,) = [line for line in result.out.splitlines() if name in line]
        assert "100.0%" in line


def test_rows_are_played_as_one_task_for_each_task_and_level(command: RunCommand, tmp_path: Path) -> None:
    result = command("evaluate", "--agent", "oracle", "--rows", write_rows(tmp_path, *ROWS), "--json")
    report = only_line(result.out)
    assert report["worst"] == 1.0
    assert {name: task["count"] for name, task in report["tasks"].items()} == {
        "countdown-easy": 2,
        "countdown-hard": 1,
        "zebra": 1,
    }


@pytest.mark.parametrize("name", ["countdown", "zebra", "arc"])
def test_the_oracle_solves_every_row_of_the_paper(command: RunCommand, paper_tasks: Path, name: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = paper_tasks / f"{name}_test.parquet"
    report = only_line(command("evaluate", "--agent", "oracle", "--rows", file, "--json").out)
    assert report["worst"] == report["average"] == 1.0
    assert sum(task["count"] for task in report["tasks"].values()) == parquet.read_metadata(file).num_rows
    assert all(task.startswith(f"{name}-") for task in report["tasks"])


def test_a_checkpoint_is_played_with_as_many_tokens_as_its_context_leaves(
    command: RunCommand, model_folder: Path
) -> None:
    arguments = ("evaluate", "--agent", model_folder, "--suite", "zebra-mini", "--json")
    result = command(*arguments, "--problems", 30, "--rollouts", 2)
    assert result.code == 0, result.err
    report = only_line(result.out)
    assert report["agent"] == str(model_folder)
    assert report["tasks"]["zebra-mini"]["count"] == 60
    assert 0 < report["tasks"]["zebra-mini"]["accuracy"] < 1
    assert only_line(command(*arguments, "--problems", 30, "--rollouts", 2).out) == report


def test_a_checkpoint_at_temperature_zero_does_not_depend_on_the_seed_of_sampling(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    rows = write_rows(tmp_path, *ROWS)
    greedy = ("--temperature", 0, "--max-new-tokens", 8)
    arguments = ("evaluate", "--agent", model_folder, "--rows", rows, "--json", *greedy)
    assert command(*arguments, "--seed", 1).out == command(*arguments, "--seed", 2).out != ""


def test_a_prompt_that_fills_the_context_is_refused(
    refused: Callable[..., str], model_folder: Path, tmp_path: Path
) -> None:
    row = {**ROWS[0], "prompt": "x" * 64}
    line = refused("evaluate", "--agent", model_folder, "--rows", write_rows(tmp_path, row))
    assert "a prompt of 64 tokens" in line
    assert "the model's context of 64 tokens" in line


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--suite", "mniature"), "suite must be one of ['mini', 'mini_medium'"),
        (("--suite", "zebra-enormous"), "level of task 'zebra' must be one of"),
        (("--suite", "zebra-easy,zebra-easy"), "task names must be unique"),
        (("--problems", "0"), "problems must be at least 1, got 0"),
        (("--rollouts", "0"), "rollouts must be at least 1, got 0"),
        (("--max-new-tokens", "0"), "max_new_tokens must be at least 1, got 0"),
        (("--rows", "none.jsonl"), "none.jsonl"),
        (("--rows", "none.csv"), "none.csv: expected a name that ends in .jsonl or .parquet"),
    ],
)
def test_a_mistake_in_the_options_is_refused_by_name(
    refused: Callable[..., str], options: tuple[str, ...], complaint: str
) -> None:
    assert complaint in refused("evaluate", "--agent", "oracle", *options)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([], "at least one row"),
        (["[1]"], "rows.jsonl, row 1: expected one JSON object"),
        ([ROWS[0], {**ROWS[0], "ground_truth": 3}], "rows.jsonl, row 2, column ground_truth: expected an object"),
        ([{**ROWS[0], "ground_truth": {"numbers": "1,x", "target": 3}}], "rows.jsonl, row 1, column ground_truth: "),
        ([{**ROWS[0], "data_source": "chess-easy-test"}], "rows.jsonl, row 1: task must be one of"),
        ([{**ROWS[0], "data_source": "countdown-silly-test"}], "level of Countdown must be one of"),
    ],
)
def test_a_malformed_row_is_refused_with_its_place(
    refused: Callable[..., str], tmp_path: Path, rows: list[object], complaint: str
) -> None:
    assert complaint in refused("evaluate", "--agent", "oracle", "--rows", write_rows(tmp_path, *rows))


@pytest.mark.parametrize("agent", ["orcale", "./none", "/none/such"])
def test_a_missing_checkpoint_is_refused(refused: Callable[..., str], agent: str) -> None:
    assert f"'{agent}'" in refused("evaluate", "--agent", agent, "--problems", 1)
