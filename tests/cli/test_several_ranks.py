"""`mtgrpo train` on two ranks, real processes under torchrun and DeepSpeed: the run of one, through kills too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from training_runs import FULL_DISK, STEPS, assert_same_run, history_of, state_of, steps_of, train, wait_until

from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.cli import main

pytest.importorskip("deepspeed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the ranks of a launcher from /proc")

Launch = Callable[..., subprocess.Popen[str]]
_SECONDS = 240


@pytest.fixture(scope="module")
def launch(environment: dict[str, str]) -> Iterator[Launch]:
    """Starts `mtgrpo ...` on two ranks; kills what is left at the end."""
    launched: list[subprocess.Popen[str]] = []

    def start(
        arguments: Sequence[object], program: Sequence[str] = (sys.executable, "-m", "mtgrpo_env")
    ) -> subprocess.Popen[str]:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        line = [*torchrun, "--no-python", *program, *map(str, arguments)]
        process = subprocess.Popen(
            line,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        launched.append(process)
        return process

    yield start
    for process in launched:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def on_two_ranks(out: Path, model: Path, stage: int, *options: object) -> list[object]:
    return train(out, model, "--engine", "deepspeed", "--zero-stage", stage, *options)


def finish(process: subprocess.Popen[str]) -> str:
    """What it printed, once it has ended well."""
    printed, _ = process.communicate(timeout=_SECONDS)
    assert process.returncode == 0, printed
    return printed


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of the ranks that a launcher has started."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def alone(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run by plain torch in one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    assert main([str(argument) for argument in train(out, model_folder)]) == 0
    return out


@pytest.fixture(scope="module")
def together(model_folder: Path, launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The run on two ranks at a ZeRO stage, made once."""
    made: dict[int, Path] = {}

    def run(stage: int) -> Path:
        if stage not in made:
            made[stage] = tmp_path_factory.mktemp("together") / "run"
            printed = finish(launch(on_two_ranks(made[stage], model_folder, stage)))
            assert printed.count("worst task") == 2, f"one rank speaks, in its table and of the best step: {printed}"
        return made[stage]

    return run


def assert_near(out: Path, reference: Path) -> None:
    """The same plan, and losses, gradients and weights that differ by rounding."""
    for ours, theirs in zip(history_of(out), history_of(reference), strict=True):
        for name in ("step", "targets", "kept", "accepted", "generated", "rewards", "accuracies", "actions"):
            assert ours.get(name) == theirs.get(name), name
        for name in ("probabilities", "improvements"):
            np.testing.assert_allclose(ours.get(name, []), theirs.get(name, []), atol=1e-5)
        assert ours.get("learner", {}) == pytest.approx(theirs.get("learner", {}), rel=1e-3, abs=1e-5)
    (weights, moments, _), (weights_, moments_, _) = state_of(out), state_of(reference)
    torch.testing.assert_close(weights, weights_, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(moments, moments_, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_two_ranks_make_the_run_of_one(together: Callable[[int], Path], alone: Path, stage: int) -> None:
    assert_near(together(stage), alone)


def test_a_signal_to_one_rank_stops_all_after_a_checkpoint_and_one_process_goes_on(
    model_folder: Path, launch: Launch, alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = launch(on_two_ranks(out, model_folder, 2))
    wait_until(process, lambda: 2 in steps_of(out))
    os.kill(ranks_of(process)[1], signal.SIGTERM)
    assert "nothing is lost" in finish(process)
    checkpoint = RunFolder(out).newest_checkpoint
    assert checkpoint is not None
    assert 2 <= int(checkpoint.name.removeprefix("step-")) < STEPS
    assert main([str(argument) for argument in train(out, model_folder)]) == 0
    assert_near(out, alone)


def test_a_rank_that_is_killed_ends_the_others_and_the_same_command_finishes_the_run_bit_for_bit(
    model_folder: Path, launch: Launch, together: Callable[[int], Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    start = partial(launch, on_two_ranks(out, model_folder, 3))
    process = start()
    wait_until(process, lambda: 3 in steps_of(out))
    os.kill(ranks_of(process)[0], signal.SIGKILL)
    printed, _ = process.communicate(timeout=_SECONDS)
    assert process.returncode != 0
    assert "SIGKILL" in printed or "Signal 9" in printed
    finish(start())
    assert_same_run(out, together(3))


def test_a_disk_that_is_full_for_one_rank_ends_all_with_a_message_and_loses_nothing(
    model_folder: Path, launch: Launch, together: Callable[[int], Path], tmp_path: Path
) -> None:
    """Rank 1 cannot write its share of the optimiser's state, which the ranks take turns at."""
    out = tmp_path / "run"
    arguments = on_two_ranks(out, model_folder, 2)
    printed, _ = launch(arguments, [sys.executable, "-c", FULL_DISK, "2000", "1"]).communicate(timeout=_SECONDS)
    assert f"could not save {out / 'checkpoints' / 'step-000004'}" in printed
    assert f"The newest checkpoint is {RunFolder(out).newest_checkpoint}" in printed
    assert "step-000004" not in {path.name.strip(".") for path in (out / "checkpoints").iterdir()}
    finish(launch(arguments))
    assert_same_run(out, together(2))


def test_several_processes_without_an_engine_for_them_are_refused(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, model_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    message = refused(*train(tmp_path / "run", model_folder))
    assert message == "mtgrpo train: 2 processes need --engine deepspeed, got 'torch'"
