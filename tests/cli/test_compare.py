"""`mtgrpo compare`: one real comparison, interrupted, with a run that fails, finished, redrawn and grown."""

from __future__ import annotations

import _thread
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tyro
from training_runs import wait_until

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.reports.comparison_report import FIGURES
from mtgrpo_env.agents.reports.history import read_history
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.cli import compare, main
from mtgrpo_env.cli.command_lines import command_line
from mtgrpo_env.experiments import compare as experiment
from mtgrpo_env.experiments import compare_plan
from mtgrpo_env.experiments.compare_plan import CompareOptions, plan_runs

RunCommand = Callable[..., Any]

STEPS = 4
CLOCKED = ("seconds", "relative_change")


def compare_options(out: Path, model: Path, *options: object) -> list[object]:
    """Two methods and two seeds, four small steps each, evaluated before and after."""
    runs = ["--methods", "quota-mt-grpo", "grpo", "--seeds", 0, 1, "--lrs", 1e-3, "--parallel", 2, "--steps", STEPS]
    sizes = ["--batch-size", 4, "--group-size", 4, "--minibatches", 2, "--eval-problems", 8, "--eval-every", STEPS]
    often = ["--checkpoint-every", 2, "--thresholds", 0.2]
    rest = ["--suite", "zebra-mini,countdown-mini", "--device", "cpu", "--max-new-tokens", 16, *often]
    return ["compare", "--out", out, "--model", model, *runs, *sizes, *rest, *options]


def results_of(out: Path) -> list[dict[str, Any]]:
    """The tidy lines, without what a clock decides."""
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in CLOCKED} for line in lines]


@dataclass(frozen=True)
class Stage:
    """How a command ended, and what the comparison held then."""

    code: int
    text: str
    results: list[dict[str, Any]]


def run_here(out: Path, model: Path, text: io.StringIO) -> Stage:
    with contextlib.redirect_stdout(text):
        code = main([str(option) for option in compare_options(out, model)])
    return Stage(code, text.getvalue(), results_of(out))


def interrupt_once(is_time: Callable[[], bool]) -> threading.Thread:
    """Interrupts the main thread when it is time, or after two minutes."""

    def watch() -> None:
        deadline = time.monotonic() + 120
        while not is_time() and time.monotonic() < deadline:
            time.sleep(0.01)
        _thread.interrupt_main()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@dataclass(frozen=True)
class Life:
    """One comparison: something stood in the way of its first run, then it was interrupted, then finished."""

    out: Path
    interrupted: Stage
    finished: Stage


@pytest.fixture(scope="module")
def life(environment: dict[str, str], model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    out = tmp_path_factory.mktemp("comparison") / "compare"
    in_the_way = RunFolder(out / "seed-0" / "quota-mt-grpo-lr-0.001").history
    in_the_way.mkdir(parents=True)
    text = io.StringIO()

    def has_failed_and_another_goes_on() -> bool:
        histories = [file.read_text() for file in out.glob("seed-*/*/history.jsonl") if file.is_file()]
        return "failed" in text.getvalue() and any('"kind": "step"' in history for history in histories)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environment["PYTHONPATH"])
        thread = interrupt_once(has_failed_and_another_goes_on)
        interrupted = run_here(out, model_folder, text)
        thread.join()
        in_the_way.rmdir()
        yield Life(out, interrupted, run_here(out, model_folder, io.StringIO()))


@pytest.fixture
def out(life: Life) -> Path:
    return life.out


def test_a_run_that_fails_is_named_with_its_last_words_and_the_others_go_on(life: Life) -> None:
    assert "failed  quota-mt-grpo, lr 0.001, seed 0; the end of" in life.interrupted.text
    assert "\nmtgrpo train: " in life.interrupted.text
    assert "Traceback" not in life.interrupted.text
    assert len(list(life.out.glob("seed-0/grpo*/history.jsonl"))) == 1


def test_an_interrupt_stops_every_run_and_says_how_to_go_on(life: Life) -> None:
    assert life.interrupted.code == 130
    assert "of 4 runs finished. Run the same command to resume" in life.interrupted.text
    assert len(life.interrupted.results) < len(life.finished.results)


def test_the_same_command_makes_what_is_missing_and_reports_it_all(life: Life) -> None:
    assert life.finished.code == 0
    assert life.finished.text.count("done    ") >= 2
    assert re.search(r"done    .* rollouts, \d+ s$", life.finished.text, re.MULTILINE), "as durations of a run"
    names = [(line["method"], line["seed"], line["step"]) for line in life.finished.results]
    assert names == [(m, seed, step) for m in ("quota-mt-grpo", "grpo") for seed in (0, 1) for step in (0, STEPS)]
    assert all((life.out / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for name in FIGURES)
    report = (life.out / "results.md").read_text()
    assert "Missing" not in report
    assert f"`mtgrpo compare --out {life.out}" in report


def test_when_a_run_is_missing_the_exit_code_says_so_and_the_report_names_it(
    life: Life, model_folder: Path, tmp_path: Path, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "write_report", lambda comparison, folder, *, rng: None)
    shutil.copytree(life.out, tmp_path / "copy")
    history = tmp_path / "copy" / "seed-1" / "grpo-lr-0.001" / "history.jsonl"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:-1]))  # its last evaluation is lost
    monkeypatch.setattr(experiment, "_train_missing", lambda planned, options, console, lock: None)
    assert command(*compare_options(tmp_path / "copy", model_folder)).code == 1
    assert len(results_of(tmp_path / "copy")) == 3 * 2


def test_an_interrupted_run_ends_as_one_that_was_not(command: RunCommand, out: Path, tmp_path: Path) -> None:
    """Its log begins with the command that made it."""
    run = out / "seed-0" / "grpo-lr-0.001"
    arguments = shlex.split((run / "train.log").read_text().splitlines()[0].removeprefix("$ mtgrpo "))
    assert arguments[:2] == ["train", "--config"]
    assert command(*arguments, "--out", tmp_path / "alone").code == 0
    histories = [folder / "history.jsonl" for folder in (run, tmp_path / "alone")]
    interrupted, alone = ([json.loads(line) for line in file.read_text().splitlines()] for file in histories)
    timings = {"rollout_seconds", "update_seconds", "cpu_seconds"}
    assert [{k: v for k, v in r.items() if k not in timings} for r in interrupted] == [
        {k: v for k, v in r.items() if k not in timings} for r in alone
    ]
    worst = [line["worst"] for line in results_of(out) if (line["method"], line["seed"]) == ("grpo", 0)]
    assert worst == [min(record["accuracies"]) for record in alone if record["kind"] == "evaluation"]


def test_a_finished_comparison_runs_nothing_and_its_numbers_stay_as_they_are(
    command: RunCommand, model_folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "write_report", lambda comparison, folder, *, rng: None)
    files = [out / name for name in ("results.jsonl", "steps.jsonl", "compare.json")]
    before = [file.read_bytes() for file in files]
    result = command(*compare_options(out, model_folder))
    assert result.code == 0
    assert "done" not in result.out
    assert [file.read_bytes() for file in files] == before


def test_a_dry_run_says_which_runs_are_to_be_made_and_makes_none(
    command: RunCommand, out: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(compare_plan, "read_history", lambda file: read.append(file) or read_history(file))
    grown = command(*compare_options(out, model_folder, "--seeds", 0, 2, "--dry-run"))
    assert len(read) == len(set(read)) == 4, "each history once"
    assert (grown.code, grown.err) == (0, "")
    states = [line.strip() for line in grown.out.splitlines() if line.startswith("  ")]
    assert states == [
        "quota-mt-grpo, lr 0.001, seed 0: finished",
        "grpo, lr 0.001, seed 0: finished",
        "quota-mt-grpo, lr 0.001, seed 2: to be made",
        "grpo, lr 0.001, seed 2: to be made",
    ]
    assert grown.out.endswith("4 runs, of which 2 are finished\n")
    tuned = command(*compare_options(tmp_path / "tuned", model_folder, "--tuning-seeds", 5, "--lrs", 1, "--dry-run"))
    assert tuned.out.splitlines()[1:] == [
        "to choose each method's point:",
        "  quota-mt-grpo, lr 1, seed 5: to be made",
        "  grpo, lr 1, seed 5: to be made",
        "then each method's best point:",
        *(f"  {method}, seed {seed}: to be made" for seed in (0, 1) for method in ("quota-mt-grpo", "grpo")),
        "6 runs, of which 0 are finished",
    ]
    assert not (tmp_path / "tuned").exists()


def test_everything_is_drawn_again_without_the_runs(command: RunCommand, out: Path, tmp_path: Path) -> None:
    for name in ("results.jsonl", "steps.jsonl", "compare.json"):
        (tmp_path / name).write_bytes((out / name).read_bytes())
    redraw = ["compare", "--out", tmp_path, "--redraw", "--thresholds"]
    assert command(*redraw, 0.2).code == 0
    assert (tmp_path / "results.md").read_bytes() == (out / "results.md").read_bytes()
    assert all((tmp_path / name).read_bytes() == (out / name).read_bytes() for name in FIGURES)
    assert command(*redraw, 0.1, "--horizon", 2).code == 0
    report = (tmp_path / "results.md").read_text()
    assert "Cost of 10% on the worst task" in report
    assert "The horizon, chosen before the runs were made, is step 2;" in report


def test_other_options_in_the_same_folder_are_refused_by_name(
    refused: Callable[..., str], model_folder: Path, out: Path
) -> None:
    line = refused(*compare_options(out, model_folder, "--batch-size", 8, "--eval-every", 2))
    assert "(eval_every was 4, is 2; batch_size was 4, is 8)" in line
    assert "choose another folder" in line


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--methods", "mt-grpo", "ppo"), "method must be one of ['quota-mt-grpo', 'mt-grpo', "),
        (("--methods", "grpo", "grpo"), "methods must be at least one and all different, got ['grpo', 'grpo']"),
        (("--seeds", 1, 1), "seeds must be at least one and all different, got [1, 1]"),
        (("--lrs", 1e-3, 1e-3), "lrs must be at least one and all different"),
        (("--grid", "colour=red"), "grid: there is no option 'colour'"),
        (("--tuning-seeds", 0), "tuning_seeds must be other than seeds, which are reported: [0] are in both"),
        (("--tuning-seeds", 7, "--halve-at", 3), "halve_at must be multiples of eval_every, 4, below steps, 4, got 3"),
        (("--parallel", 0), "parallel must be at least 1 and at most 10,000, got 0"),
        (("--horizon", STEPS + 1), "horizon must be from 1 to 4, the last step, got 5"),
        (("--suite", "mniature"), "got 'mniature'"),
        (("--redraw",), "holds no comparison"),
    ],
)
def test_a_mistake_in_the_options_is_refused_before_any_run(
    refused: Callable[..., str], model_folder: Path, tmp_path: Path, options: tuple[object, ...], complaint: str
) -> None:
    assert complaint in refused(*compare_options(tmp_path / "new", model_folder, *options))
    assert not (tmp_path / "new").exists()


def test_hopeless_points_are_stopped_and_the_best_alone_is_run_on_the_reported_seeds(
    command: RunCommand, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "write_report", lambda comparison, folder, *, rng: None)
    out = tmp_path / "grid"
    grid = ["--methods", "grpo", "--lrs", 1e-3, 1e-7, "--grid", "max_grad_norm=1", "--tuning-seeds", 0, "--seeds", 1]
    line = compare_options(out, model_folder, *grid, "--halve-at", 2, "--eval-every", 2)
    made = command(*line)
    assert made.code == 0, made.err
    assert "grpo: after step 2 1 of 2 points go on: lr " in made.out
    runs = {folder: folder / "history.jsonl" for folder in sorted(out.glob("seed-*/*"))}
    ends = {folder.parent.name: [] for folder in runs}
    for folder, history in runs.items():
        evaluated = [json.loads(text) for text in history.read_text().splitlines() if '"evaluation"' in text]
        ends[folder.parent.name].append(evaluated[-1]["step"])
    assert sorted(ends["seed-0"]) == [2, STEPS]
    assert ends["seed-1"] == [STEPS]
    lines = results_of(out)
    assert [(line["seed"], line["step"]) for line in lines if line["seed"] == 1] == [(1, 0), (1, 2), (1, STEPS)]
    assert {line["options"]["max_grad_norm"] for line in lines} == {1.0}
    files = [out / name for name in ("results.jsonl", "steps.jsonl", "compare.json")]
    before = [file.read_bytes() for file in files]
    again = command(*line)
    assert (again.code, "done" in again.out) == (0, False)
    assert [file.read_bytes() for file in files] == before


def test_the_command_that_made_a_comparison_names_what_differs_from_the_defaults() -> None:
    given = ["--tasks", "a.jsonl", "b c.jsonl", "--model", "m", "--lrs", "2e-4", "8e-4", "--out", "o", "--redraw"]
    config = tyro.cli(compare.Config, args=given)
    line = ["--out", "o", "--tasks", "a.jsonl", "b c.jsonl", "--lrs", "0.0002", "0.0008", "--redraw", "--model", "m"]
    assert shlex.split(command_line("compare", config)) == ["mtgrpo", "compare", *line]


def test_runs_that_were_evaluated_at_other_steps_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    options = CompareOptions(methods=("grpo",), seeds=(0,))
    (planned,) = plan_runs(TrainConfig(out=tmp_path, eval_every=10).for_run(), options)
    planned.folder.checkpoint(1).mkdir(parents=True)
    planned.config.write(planned.folder.config)
    line = refused("compare", "--out", tmp_path, "--methods", "grpo", "--seeds", 0)
    assert "holds another run (eval_every was 10, is 5)" in line


def test_a_scheduler_s_signal_stops_every_run_and_is_no_failure(
    start_process: Callable[..., subprocess.Popen[str]], model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "compare"
    process = start_process(compare_options(out, model_folder, "--steps", 10_000))

    def training() -> list[Path]:
        return [file for file in out.glob("seed-*/*/history.jsonl") if '"kind": "step"' in file.read_text()]

    wait_until(process, lambda: len(training()) == 2)
    pids = [json.loads((file.parent / ".lock").read_text())["pid"] for file in training()]
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
    text, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "Stopped with 0 of 4 runs finished." in text
    assert all(RunFolder(file.parent).newest_checkpoint for file in training())
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not (out / ".lock").read_text()
