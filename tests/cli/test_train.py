"""`mtgrpo train`: what a run leaves behind, and that a stopped one is finished bit for bit by the same command."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import (
    FULL_DISK,
    STEPS,
    TASKS,
    assert_same_run,
    history_of,
    records_of,
    state_of,
    steps_of,
    train,
    wait_for_step,
    wait_until,
)

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.build import build_method
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.agents.trainer import Trainer
from mtgrpo_env.cli import main
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.folder_lock import FolderInUseError
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.task_weights_baselines import SequentialWeights

RunCommand = Callable[..., Any]
StartProcess = Callable[[Sequence[object]], subprocess.Popen[str]]


@pytest.fixture(scope="module")
def finished(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main([str(argument) for argument in train(out, model_folder)]) == 0
    return out


def test_the_history_holds_every_step_and_evaluation(finished: Path) -> None:
    records = history_of(finished)
    evaluated = [record for record in records if record["kind"] == "evaluation"]
    steps = [record for record in records if record["kind"] == "step"]
    assert [record["step"] for record in evaluated] == [0, 3, 6, 7]
    assert [record["step"] for record in steps] == list(range(1, STEPS + 1))
    assert evaluated[-1]["rollouts"] == sum(record["rollouts"] for record in steps)
    assert all(record["counts"] == [8, 8] for record in evaluated)
    assert sum(sum(record["kept"]) for record in steps) > STEPS, "a run that trains on nothing proves nothing"


def test_the_task_weights_have_moved_and_stay_on_the_simplex(finished: Path) -> None:
    weights = [record["probabilities"] for record in history_of(finished) if record["kind"] == "step"]
    assert weights[0] == [0.5, 0.5]
    assert all(sum(z) == pytest.approx(1) for z in weights)
    assert weights[-1][0] < 0.5 < weights[-1][1], "Countdown is the worse task here"


def test_a_run_whose_starting_model_was_moved_away_is_finished_bit_for_bit(
    command: RunCommand, finished: Path, tmp_path: Path
) -> None:
    out, moved = shutil.copytree(finished, tmp_path / "run"), tmp_path / "moved-away"
    shutil.rmtree(RunFolder(out).checkpoint(STEPS))
    for options in (["--dry-run"], []):
        result = command(*train(out, moved, *options))
        assert result.code == 0, result.err
    assert "going on after step 6" in result.out
    assert "memory: about" in result.out
    assert_same_run(out, finished)


def test_the_figure_is_a_picture(finished: Path) -> None:
    assert (finished / "progress.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_tensorboard_shows_the_run(finished: Path) -> None:
    events = EventAccumulator(str(finished / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("accuracy/worst_task")] == [0, 3, 6, 7]
    assert [event.step for event in events.Scalars("task_weight/zebra-mini")] == list(range(1, STEPS + 1))


def checkpoints_of(out: Path) -> list[int]:
    """Steps of the checkpoints; fails if anything else lies beside them."""
    return sorted(int(path.name.removeprefix("step-")) for path in (out / "checkpoints").iterdir())


def best_evaluation_of(out: Path) -> dict[str, Any]:
    """The first one after training whose worst task was better than all others'."""
    evaluated = [record for record in history_of(out) if record["kind"] == "evaluation" and record["step"]]
    return max(evaluated, key=lambda record: (min(record["accuracies"]), -record["step"]))


def test_the_newest_checkpoints_and_the_best_are_kept_and_the_last_is_a_trained_model(
    finished: Path, model_folder: Path
) -> None:
    assert checkpoints_of(finished) == sorted({best_evaluation_of(finished)["step"], 6, 7})
    before = LanguageModelPolicy.from_pretrained(model_folder, decoding=Decoding()).model.state_dict()
    after, _, _ = state_of(finished)
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.isfinite(parameter).all() for parameter in after.values())


def test_a_trained_checkpoint_can_be_evaluated(command: RunCommand, finished: Path, tmp_path: Path) -> None:
    agent = RunFolder(finished).newest_checkpoint
    kept = ("--cache", tmp_path / "replies.sqlite")
    result = command("evaluate", "--agent", agent, "--suite", "zebra-mini", "--problems", 5, "--json", *kept)
    assert result.code == 0, result.err
    assert json.loads(result.out)["tasks"]["zebra-mini"]["rollouts"] == 5


def test_a_finished_run_is_said_to_be_done_and_stays_as_it_is(
    command: RunCommand, finished: Path, model_folder: Path
) -> None:
    def contents() -> dict[Path, bytes]:
        files = [path for path in finished.rglob("*") if path.is_file() and "tensorboard" not in path.parts]
        return {path: path.read_bytes() for path in files}

    before = contents()
    result = command(*train(finished, model_folder))
    assert result.code == 0
    assert f"all {STEPS} steps are done" in result.out
    assert "worst task" in result.out
    assert contents() == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--lr", 2e-3), "lr was 0.001, is 0.002"),
        (("--seed", 1), "seed was 0, is 1"),
        (("--group-size", 8, "--method", "grpo"), "method was 'quota-mt-grpo', is 'grpo'; group_size was 4, is 8"),
    ],
)
def test_another_run_in_the_same_folder_is_refused_by_the_fields_that_differ(
    refused: Callable[..., str], finished: Path, model_folder: Path, options: tuple[object, ...], complaint: str
) -> None:
    before = history_of(finished)
    line = refused(*train(finished, model_folder, *options))
    assert complaint in line
    assert str(finished) in line
    assert history_of(finished) == before


def test_the_checkpoint_of_the_best_worst_task_is_written_at_its_evaluation_and_kept_while_it_is_the_best(
    command: RunCommand, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No checkpoint is due before the last step; the accuracies are scripted, since they depend on every rounding."""
    accuracies = {0: (0.9, 0.9), 1: (0.1, 0.9), 2: (0.3, 0.2), 3: (0.2, 1.0), 4: (0.5, 0.4), 5: (0.0, 1.0)}
    best_steps = {1: 1, 2: 2, 3: 2, 4: 4, 5: 4}

    def scripted(agent: MTGRPOAgent, problems: object, on_group: object) -> Evaluation:
        counts = np.array([8, 8])
        return Evaluation(agent.suite.names, np.array(accuracies[agent.step]), counts, np.zeros_like(counts), counts)

    monkeypatch.setattr(MTGRPOAgent, "evaluate", scripted)
    out = tmp_path / "run"
    options = ("--checkpoint-every", 100, "--keep-checkpoints", 1, "--eval-every", 1)
    for steps, best in best_steps.items():
        result = command(*train(out, model_folder, *options, "--steps", steps))
        assert result.code == 0, result.err
        assert checkpoints_of(out) == sorted({best, steps})
        (line,) = [line for line in result.out.splitlines() if line.startswith("best ")]
        worst, average = min(accuracies[best]), sum(accuracies[best]) / 2
        assert str(out / "checkpoints" / f"step-{best:06d}") in line
        assert f"worst task {worst:.1%}, average {average:.1%}" in line


def test_a_finished_run_goes_on_when_more_steps_are_asked_for(
    command: RunCommand, finished: Path, model_folder: Path, tmp_path: Path
) -> None:
    """The folder of a run may be moved, and `steps` may grow."""
    out = tmp_path / "moved"
    shutil.copytree(finished, out)
    result = command(*train(out, model_folder, "--steps", STEPS + 1))
    assert result.code == 0
    assert f"going on after step {STEPS}" in result.out
    assert steps_of(out) == list(range(1, STEPS + 2))


def test_an_interrupt_ends_the_step_saves_and_the_same_command_finishes_the_same_run(
    command: RunCommand, start_process: StartProcess, finished: Path, model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start_process(train(out, model_folder))
    wait_for_step(process, out, 2)
    process.send_signal(signal.SIGINT)
    text, err = process.communicate(timeout=60)
    stopped = steps_of(out)[-1]
    assert 2 <= stopped < STEPS, "the interrupt must fall into the run"
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"Stopped after step {stopped} of {STEPS}" in text
    assert RunFolder(out).newest_checkpoint == out / "checkpoints" / f"step-{stopped:06d}"

    result = command(*train(out, model_folder))
    assert result.code == 0
    assert f"going on after step {stopped}" in result.out
    assert_same_run(out, finished)


def test_a_scheduler_that_wants_the_machine_back_gets_a_checkpoint_and_no_failure(
    command: RunCommand, start_process: StartProcess, finished: Path, model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start_process(train(out, model_folder, "--checkpoint-every", 100))
    wait_for_step(process, out, 1)
    process.send_signal(signal.SIGTERM)
    text, err = process.communicate(timeout=60)
    stopped = steps_of(out)[-1]
    assert stopped < STEPS, "the signal must fall into the run"
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert f"Stopped after step {stopped} of {STEPS}" in text
    assert RunFolder(out).newest_checkpoint == out / "checkpoints" / f"step-{stopped:06d}"
    assert command(*train(out, model_folder)).code == 0
    assert_same_run(out, finished)


def test_a_ctrl_c_after_a_signal_does_not_wait_for_the_step_and_a_second_sigterm_does(
    start_process: StartProcess, model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start_process(train(out, model_folder, "--batch-size", 32, "--group-size", 1024))
    wait_until(process, lambda: bool(records_of(out)))  # it was evaluated, and begins a step of 100,000 rollouts
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(number)
    said, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "mtgrpo train: interrupted\n")
    assert said.endswith("There is no checkpoint yet. Run the same command to resume.\n")
    assert not steps_of(out)


@pytest.mark.parametrize(
    ("numbers", "code", "said"),
    [
        ((signal.SIGTERM,), 0, "stopped by SIGTERM"),
        ((signal.SIGTERM, signal.SIGTERM), 0, "stopped by SIGTERM"),
        ((signal.SIGINT,), 130, "interrupted"),
    ],
)
@pytest.mark.parametrize("moment", ["torch is imported", "a model is warm-started"])
def test_a_signal_before_the_first_step_ends_at_once_with_one_line(
    start_process: StartProcess, tmp_path: Path, moment: str, numbers: Sequence[int], code: int, said: str
) -> None:
    process = start_process(["train", "--out", tmp_path / "run", "--device", "cpu"])
    maps = Path(f"/proc/{process.pid}/maps")

    def is_the_moment() -> bool:
        if moment == "a model is warm-started":
            return (tmp_path / "run" / ".lock").is_file()
        return "libtorch" in maps.read_text() if maps.is_file() else True

    wait_until(process, is_the_moment)
    time.sleep(0.5)
    for number in numbers:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, f"mtgrpo train: {said}\n")
    assert not list(tmp_path.glob("start-*"))
    assert not list(tmp_path.glob(".start-*"))
    assert not (tmp_path / "run" / "history.jsonl").exists()


def test_a_second_start_is_refused_by_the_name_of_the_first_and_changes_nothing(
    start_process: StartProcess, refused: Callable[..., str], model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start_process(train(out, model_folder))
    wait_for_step(process, out, 2)
    process.send_signal(signal.SIGSTOP)
    being_written = out / "checkpoints" / f".step-000009.unfinished-{process.pid}@{socket.gethostname()}"
    being_written.mkdir(parents=True)

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    before = contents()
    line = refused(*train(out, model_folder, "--steps", 50, "--keep-checkpoints", 1))
    assert f"{out} is in use by process {process.pid} on {socket.gethostname()} (mtgrpo_env train, since " in line
    assert contents() == before
    assert being_written.is_dir()
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_folder_that_cannot_be_written_is_named_before_a_model_is_sought(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "checkpoints").symlink_to(tmp_path / "unmounted")
    assert "unmounted, which is not there" in refused("train", "--out", tmp_path, "--model", "no/such-model")
    if sys.platform == "linux":  # takes no files, not even root's
        assert "/sys/run cannot be written: " in refused("train", "--out", "/sys/run", "--model", "no/such-model")


def test_a_trainer_has_its_folder_from_when_it_is_built_until_it_is_closed(model_folder: Path, tmp_path: Path) -> None:
    config = TrainConfig(tasks=TASKS, max_new_tokens=16, device="cpu")
    one, other = (Trainer(model_folder, out=tmp_path / "run", config=config, callbacks=[]) for _ in range(2))
    assert one.history.records == []
    with pytest.raises(FolderInUseError, match="this one: close what holds it first"):
        _ = other.history
    one.close()
    assert other.history.records == []
    other.close()


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is POSIX's")
@pytest.mark.parametrize("limit", [500, 8_000, 40_000])
def test_a_full_disk_ends_the_run_with_the_old_checkpoint_and_the_same_command_finishes_it(
    command: RunCommand, environment: dict[str, str], finished: Path, model_folder: Path, tmp_path: Path, limit: int
) -> None:
    """The system refuses to write more than `limit` bytes into a file: of a text, of the weights, of the moments."""
    out = tmp_path / "run"
    line = [sys.executable, "-c", FULL_DISK, str(limit), "0", *map(str, train(out, model_folder))]
    process = subprocess.run(line, env=environment, text=True, capture_output=True, check=False)
    assert process.returncode == 1, process
    assert "Traceback" not in process.stderr
    assert f"could not save {out / 'checkpoints' / 'step-000004'}, with " in process.stdout
    assert checkpoints_of(out) == sorted({2, best_evaluation_of(out)["step"]})
    assert f"The newest checkpoint is {RunFolder(out).newest_checkpoint}" in process.stdout
    assert command(*train(out, model_folder)).code == 0
    assert_same_run(out, finished)


def test_a_killed_run_is_finished_from_its_last_checkpoint_to_the_same_end(
    command: RunCommand, start_process: StartProcess, finished: Path, model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start_process(train(out, model_folder))
    wait_for_step(process, out, 3)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    checkpoint = RunFolder(out).newest_checkpoint
    assert checkpoint is not None, "step 2 was saved"

    with (out / "history.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')  # as if the kill had fallen into a write
    result = command(*train(out, model_folder))
    assert result.code == 0
    assert f"going on after step {int(checkpoint.name[-6:])}" in result.out
    assert_same_run(out, finished)
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("step/rounds")] == list(range(1, STEPS + 1))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--batch-size", 1, "--minibatches", 1), "batch_size must be at least the number of tasks, 2, got 1"),
        (("--batch-size", 0), "batch_size must be at least 1, got 0"),
        (("--eval-every", 0), "eval_every must be at least 1, got 0"),
        (("--method", "ppo"), "method must be one of ['quota-mt-grpo', 'mt-grpo', 'grpo', 'dapo'"),
        (("--method", "dapo", "--tolerance", 0.1), "tolerance is no option of the method 'dapo'"),
        (("--loss", "mean"), "invalid choice 'mean' for argument '--loss'"),
        (("--kl-coef", -1), "kl_coef must be at least 0, got -1.0"),
        (("--weight-optimizer", "sgd"), "invalid choice 'sgd'"),
        (("--suite", "mniature"), "got 'mniature'"),
        (("--model", "./none"), "'./none'"),
        (("--suite", "zebra-easy,arc-easy", "--eval-problems", 1), "task 'zebra-easy': the shortest of 8 prompts has"),
    ],
)
def test_a_mistake_in_the_options_is_refused_and_the_folder_stays_free_for_the_corrected_command(
    command: RunCommand, model_folder: Path, tmp_path: Path, options: tuple[object, ...], complaint: str
) -> None:
    result = command(*train(tmp_path / "run", model_folder, *options))
    assert result.code == 2
    assert complaint in result.err
    assert "Traceback" not in result.err
    corrected = command(*train(tmp_path / "run", model_folder, "--steps", 0, "--eval-problems", 1))
    assert corrected.code == 0, corrected.err


def test_a_run_on_rows_trains_on_those_marked_so_and_holds_out_the_others(
    command: RunCommand, refused: Callable[..., str], model_folder: Path, tmp_path: Path
) -> None:
    puzzles = tmp_path / "puzzles.jsonl"
    for task in TASKS:
        command("evaluate", "--agent", "oracle", "--suite", task, "--problems", 40, "--save", puzzles)
        rows = [
            json.loads(line) | {"split": "train" if i % 4 else "test"}
            for i, line in enumerate(puzzles.read_text().splitlines())
        ]
        (tmp_path / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [tmp_path / f"{task}.jsonl" for task in TASKS]
    out = tmp_path / "run"
    assert command(*train(out, model_folder, "--rows", *files, "--steps", 2)).code == 0
    (step, *_) = [record for record in history_of(out) if record["kind"] == "step"]
    assert sum(step["generated"]) > 0
    assert "rows need a model (" in refused("train", "--out", tmp_path / "other", "--rows", *files)


def test_without_a_model_tasks_too_long_for_the_embedded_one_are_refused_at_once(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    line = refused("train", "--out", tmp_path / "run", "--suite", "easy")
    assert "choose the mini suite, or another model" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "clip_high"), [("sec-dapo@released", 0.28), ("reg-1e-2", 0.28), ("grpo", 0.2), ("quota-iwu", 0.28)]
)
def test_any_method_trains_a_language_model_with_its_clip(
    command: RunCommand, model_folder: Path, tmp_path: Path, method: str, clip_high: float
) -> None:
    out = tmp_path / "run"
    learner = Trainer(
        model_folder, out=out, config=TrainConfig(method=method, tasks=TASKS, max_new_tokens=16)
    ).agent.learner
    assert isinstance(learner, LanguageModelLearner)
    assert learner.clip_high == clip_high
    result = command(*train(out, model_folder, "--method", method, "--steps", 1))
    assert result.code == 0, result.err
    assert steps_of(out) == [1]


def test_a_run_held_near_its_start_goes_on_to_the_same_result(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    """The reference is the starting model, not the checkpoint that the run goes on from."""
    options = ("--loss", "gspo", "--kl-coef", 0.5, "--lr", 1e-2)
    for out, goes in {"at once": (2,), "in two goes": (1, 2)}.items():
        for steps in goes:
            assert command(*train(tmp_path / out, model_folder, *options, "--steps", steps)).code == 0
    at_once, in_two_goes = (tmp_path / out / "checkpoints" / "step-000002" for out in ("at once", "in two goes"))
    assert (at_once / "model.safetensors").read_bytes() == (in_two_goes / "model.safetensors").read_bytes()


def test_the_sequential_methods_take_tasks_of_one_kind_together_and_share_out_the_steps() -> None:
    suite = read_tasks("mini-nine")
    weights = build_method(TrainConfig(method="sequential-backward", steps=3).for_run(), suite).task_weights
    assert isinstance(weights, SequentialWeights)
    assert weights.groups == ((6, 7, 8), (3, 4, 5), (0, 1, 2))


def test_a_sequential_run_cannot_be_given_other_steps(
    command: RunCommand, refused: Callable[..., str], model_folder: Path, tmp_path: Path
) -> None:
    """They decide which task comes when."""
    run = train(tmp_path / "run", model_folder, "--method", "sequential-forward", "--steps", 2)
    assert command(*run).code == 0
    assert "steps was 2, is 4" in refused(*run, "--steps", 4)
