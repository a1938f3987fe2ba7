"""ZeRO shares out memory and changes nothing else: every stage trains, saves and restores as plain torch does.

DeepSpeed wants processes of its own, and several; they run `deepspeed_worker.py` without a compiler on their path.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.agents.llm.zero.config import ZeroConfig, deepspeed_config

pytest.importorskip("deepspeed", reason="the deepspeed extra is not installed")
pytest.importorskip("peft", reason="the deepspeed extra is not installed")

WORKER = Path(__file__).with_name("deepspeed_worker.py")
ROOT = WORKER.parents[3]
BIN = Path(sys.executable).parent
STAGES = ["0", "2", "3"]
TOLERANCE = 3e-5  # of parameters moved by 0.03
Found = dict[str, Any]

# Most of the time is spent importing, in ten processes; what they do takes seconds.
pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(sys.platform == "win32", reason="DeepSpeed runs on Linux")]


def run(launcher: Sequence[str], job: str, folder: Path) -> None:
    """Run a job to its end, with no program to be found but the shell's few that launchers need."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("sh", "env", "bash"):
        if (path := shutil.which(name)) and not (programs / name).exists():
            (programs / name).symlink_to(path)
    compiled = folder / "compiled"
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("CC", "CXX", "RANK", "WORLD_SIZE")},
        "PATH": str(programs),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TORCH_EXTENSIONS_DIR": str(compiled),
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [*launcher, str(WORKER), job, str(folder)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, f"{command} failed\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    assert not list(compiled.rglob("*.so")), "something was compiled"


def read(folder: Path, job: str, num_ranks: int) -> list[Found]:
    """What each rank found."""
    return [json.loads((folder / f"{job}-{rank}.json").read_text()) for rank in range(num_ranks)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two ranks under torchrun have trained and saved."""
    folder = tmp_path_factory.mktemp("two_ranks")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run(torchrun, "train,models", folder)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> list[Found]:
    return read(folder, "train", 2)


@pytest.fixture(scope="module")
def models(folder: Path) -> list[Found]:
    return read(folder, "models", 2)


@pytest.fixture(scope="module")
def restored(folder: Path) -> Found:
    """By one process that no launcher started."""
    run([sys.executable], "restore", folder)
    return read(folder, "restore", 1)[0]


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """By two ranks that DeepSpeed's launcher started."""
    folder = tmp_path_factory.mktemp("variants")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, str(BIN / "deepspeed"), "--num_gpus", "2", "--master_port", str(port)]
    run(launcher, "variants", folder)
    return read(folder, "variants", 2)[0]


@pytest.mark.parametrize("stage", STAGES)
def test_two_ranks_train_as_one_process_of_plain_torch_whatever_the_stage(trained: list[Found], stage: str) -> None:
    """The micro-batches before a step are of unequal number and shape, and a learner's measurements come between."""
    for found in trained:
        assert found[stage]["difference"] < TOLERANCE


@pytest.mark.parametrize("stage", STAGES)
def test_the_norm_is_that_of_the_gradients_summed_over_ranks_before_clipping(trained: list[Found], stage: str) -> None:
    for found in trained:
        assert min(found["expected_norms"]) > 1  # so that all were clipped
        assert found[stage]["norms"] == pytest.approx(found["expected_norms"], rel=1e-4)


@pytest.mark.parametrize("stage", STAGES)
def test_a_gradient_that_one_rank_has_spoilt_is_refused_on_all_and_changes_nothing(
    trained: list[Found], stage: str
) -> None:
    for found in trained:
        assert "the step was not taken" in found[stage]["refused"]["error"]
        assert found[stage]["refused"]["changed"] == 0


@pytest.mark.parametrize("stage", STAGES)
def test_a_restored_engine_goes_on_bit_for_bit(trained: list[Found], stage: str) -> None:
    for found in trained:
        assert found[stage]["resumed_difference"] == 0


@pytest.mark.parametrize("stage", STAGES)
def test_the_model_stays_in_evaluation_mode(trained: list[Found], stage: str) -> None:
    assert not any(found[stage]["training"] for found in trained)


@pytest.mark.parametrize("change", ["0-to-3", "2-to-0", "3-to-2", "3-to-0", "torch-to-2", "3-to-torch"])
def test_what_two_ranks_saved_one_process_goes_on_with_at_another_stage_or_in_plain_torch(
    restored: Found, change: str
) -> None:
    assert restored["size"] == 1
    assert restored[change] < TOLERANCE


@pytest.mark.parametrize("stage", STAGES)
def test_a_bf16_model_takes_its_steps_in_fp32(variants: Found, stage: str) -> None:
    found = variants[f"bf16-{stage}"]
    assert variants["size"] == 2
    assert found["dtypes"] == ["torch.bfloat16"]
    assert found["norms"] == pytest.approx(variants["expected_norms"], rel=0.05)
    assert found["mean_difference"] < found["mean_change"] / 10
    assert found["refused"]["changed"] == 0


@pytest.mark.parametrize("stage", ["2", "3"])
@pytest.mark.parametrize("variant", ["offload", "checkpointing"])
def test_saving_memory_in_other_ways_changes_no_result_either(variants: Found, variant: str, stage: str) -> None:
    assert variants[f"{variant}-{stage}"] < TOLERANCE


def test_a_model_is_loaded_in_shares(models: list[Found]) -> None:
    for found in models:
        assert found["loaded_whole"] == 0
        assert found["loaded_shares"] > 0
        assert found["loaded_difference"] == 0


def test_weights_are_those_of_the_checkpoint_tied_ones_once(models: list[Found]) -> None:
    for found in models:
        assert sorted(found["names"]) == found["saved_names"]


def test_ranks_generate_as_long_as_each_likes_and_then_train_on(models: list[Found]) -> None:
    assert [len(found["generated"]) for found in models] == [3, 8]
    for found in models:
        assert found["generated"] == found["expected_generated"]
        assert found["difference_after_generating"] < TOLERANCE


def test_weights_can_be_set(models: list[Found]) -> None:
    assert all(found["set_difference"] == 0 for found in models)


@pytest.mark.parametrize("stage", STAGES)
def test_adapters_train_alike_and_are_merged_into_whole_weights(models: list[Found], stage: str) -> None:
    for found in models:
        assert found["adapters_moved"] > 1e-3
        assert found[f"adapters-{stage}"] < TOLERANCE
        assert found[f"saved-adapters-{stage}"] < TOLERANCE
        assert found[f"loaded-adapters-{stage}"] < 1e-6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stage": 1}, r"stage must be one of \(0, 2, 3\), got 1"),
        ({"precision": "fp16"}, r"precision must be one of \('fp32', 'bf16'\), got 'fp16'"),
        ({"stage": 0, "offload_optimizer": True}, "offload_optimizer needs stage 2 or above, got stage 0"),
        ({"stage": 2, "offload_parameters": True}, "offload_parameters needs stage 3 or above, got stage 2"),
        ({"bucket_elements": 0}, "bucket_elements must be at least 1, got 0"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ZeroConfig(**fields)


def test_deepspeed_is_told_what_is_configured() -> None:
    config = deepspeed_config(ZeroConfig(3, "bf16", offload_optimizer=True), max_grad_norm=0.5)
    assert config["zero_optimization"]["stage"] == 3
    assert config["zero_optimization"]["offload_optimizer"]["device"] == "cpu"
    assert "offload_param" not in config["zero_optimization"]
    assert config["bf16"]["enabled"]
    assert config["gradient_clipping"] == 0.5
