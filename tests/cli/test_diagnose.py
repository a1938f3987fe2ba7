"""`mtgrpo diagnose`: text, JSON and a figure of a run's folder, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import write_run, write_samples
from training_runs import train

from mtgrpo_env.cli import main
from mtgrpo_env.experiments.run_pages import run_of_folder

RunCommand = Callable[..., Any]
Refused = Callable[..., str]


def test_a_bad_run_is_told_in_text_in_json_and_in_a_figure(command: RunCommand, tmp_path: Path) -> None:
    run, figure = write_run(tmp_path / "run"), tmp_path / "figures" / "found.png"
    history = (run / "history.jsonl").read_text().splitlines()
    records = [
        record | {"truncated": record["responses"]} if "responses" in record else record
        for record in map(json.loads, history)
    ]
    (run / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    told = command("diagnose", run, "--figure", figure)
    assert told.code == 1
    assert told.out.startswith(f"{run}: step 20 of 20, 5 evaluations, 3 tasks\n1. responses have grown")
    assert figure.read_bytes().startswith(b"\x89PNG")
    parsed = json.loads(command("diagnose", run, "--json").out)
    assert parsed["findings"][0]["chart"] == "Responses"
    assert "truncated" in parsed["findings"][0]["options"]


def test_tasks_of_a_run_without_a_checkpoint_have_the_names_of_its_samples(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tasks=["my_tasks:Sums", "my_tasks:Words", "sums.jsonl"])
    assert run_of_folder(run).tasks == ("task 0", "task 1", "task 2")
    for name in ("Sums", "Words", "sums"):
        write_samples(run, ["x"], suite_task=name)
    assert run_of_folder(run).tasks == ("Sums", "Words", "sums")


def test_a_folder_without_a_run_or_without_a_step_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert "is no run: expected config.yaml and history.jsonl" in refused("diagnose", tmp_path)
    run = write_run(tmp_path / "run")
    first, *_ = (run / "history.jsonl").read_text().splitlines()
    (run / "history.jsonl").write_text(first + "\n")
    assert "without a training step" in refused("diagnose", run)


def test_a_real_run_is_read_and_left_as_it_was(command: RunCommand, model_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main([str(argument) for argument in train(run, model_folder)]) == 0
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    told = command("diagnose", run)
    assert told.out.startswith(f"{run}: step 7 of 7, 4 evaluations, 2 tasks\n")
    assert "(worth a look)" in told.out  # eight problems a task show nothing
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize("name", ["history.jsonl", "config.yaml"])
def test_a_broken_file_is_named(name: str, refused: Refused, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / name).write_text("{\nno: [json\n}\n")
    assert name in refused("diagnose", run)
