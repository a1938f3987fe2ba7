"""Small runs of `mtgrpo train`, and what they left behind."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.run_folder import RunFolder

FULL_DISK = """
import resource, sys
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.cli import main

save = MTGRPOAgent.save

def save_on_a_full_disk(agent, folder, **options):
    if agent.step == 4 and agent.ranks.rank == int(sys.argv[2]):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
    save(agent, folder, **options)

MTGRPOAgent.save = save_on_a_full_disk
sys.exit(main(sys.argv[3:]))
"""
"""Python that runs `mtgrpo`, given how large a file may be when step 4 is saved, and the rank of which that holds."""

TASKS = ("zebra-mini", "countdown-mini")
STEPS = 7
TIMINGS = ("rollout_seconds", "update_seconds", "cpu_seconds")


def train(out: Path, model: Path, *options: object) -> list[object]:
    """A run of seven small steps, evaluated after 0, 3, 6 and 7, with a checkpoint after 2, 4, 6 and 7."""
    sizes = ["--steps", STEPS, "--batch-size", 4, "--group-size", 4, "--minibatches", 2, "--eval-problems", 8]
    often = ["--eval-every", 3, "--checkpoint-every", 2]
    rest = ["--suite", ",".join(TASKS), "--lr", 1e-3, "--max-new-tokens", 16, "--device", "cpu"]
    return ["train", "--out", out, "--model", model, *sizes, *often, *rest, *options]


def history_of(out: Path) -> list[dict[str, Any]]:
    """The records of a run, without what a clock decides."""
    records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name not in TIMINGS} for record in records]


def records_of(out: Path) -> list[dict[str, Any]]:
    """Records so far; the file may be growing."""
    file = out / "history.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def steps_of(out: Path) -> list[int]:
    """Steps recorded so far."""
    return [record["step"] for record in records_of(out) if record["kind"] == "step"]


def state_of(out: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, Any]]:
    """Weights, optimiser state and agent state of the newest checkpoint."""
    checkpoint = RunFolder(out).newest_checkpoint
    assert checkpoint is not None
    policy = LanguageModelPolicy.from_pretrained(checkpoint, decoding=Decoding())
    optimizer = {name: t for file in checkpoint.glob("optimizer-*.safetensors") for name, t in load_file(file).items()}
    agent = {name: json.loads((checkpoint / name).read_text()) for name in ("agent.json", "policy_rng.json")}
    return policy.model.state_dict(), optimizer, agent


def assert_same_run(out: Path, reference: Path) -> None:
    """Equal to the last bit: weights, moments, generators, streams, and history but for timings."""
    (weights, moments, agent), (weights_, moments_, agent_) = state_of(out), state_of(reference)
    torch.testing.assert_close(weights, weights_, rtol=0, atol=0)
    torch.testing.assert_close(moments, moments_, rtol=0, atol=0)
    assert agent == agent_
    assert history_of(out) == history_of(reference)


def wait_until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Until it holds; fails if the process ends before."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "not within two minutes"
        time.sleep(0.01)


def wait_for_step(process: subprocess.Popen[str], out: Path, step: int) -> None:
    """Until the process has recorded that step."""
    wait_until(process, lambda: step in steps_of(out))
