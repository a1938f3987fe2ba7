"""The scripts of examples/cluster, run for real with commands that only note how they were called."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import tyro
from torch.distributed.run import get_args_parser

from mtgrpo_env.agents.config import RunConfig, TrainConfig
from mtgrpo_env.agents.llm.build import check_engines
from mtgrpo_env.cli.train import Config

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "examples" / "cluster").iterdir())
STUB = """#!/usr/bin/env bash
printf '%s\\0' "$(basename "$0")" "$@" >> "$CALLS/$(basename "$0")"
printf '\\n' >> "$CALLS/$(basename "$0")"
[ "$(basename "$0")" = scontrol ] && echo node-0
[ "$(basename "$0")" = srun ] && { printf '%s\\n' "$SRUN_SAYS" > "$OUT/job-7-0.log"; exit "$SRUN_EXITS"; }
exit 0
"""


@dataclass(frozen=True)
class Played:
    """What a script did: its exit code, and the calls of each command."""

    code: int
    calls: dict[str, list[list[str]]]


def play(script: str, folder: Path, *, says: str = "", exits: int = 0, arguments: tuple[str, ...] = ()) -> Played:
    commands, calls = folder / "commands", folder / "calls"
    for made in (commands, calls, folder / "out"):
        made.mkdir()
    for name in ("mtgrpo", "torchrun", "srun", "scontrol"):
        (commands / name).write_text(STUB)
        (commands / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node-[0-1]", "SLURM_JOB_NUM_NODES": "2"}
    answers = {"SRUN_SAYS": says, "SRUN_EXITS": str(exits), "CALLS": str(calls), "OUT": str(folder / "out")}
    environment = {**os.environ, **slurm, **answers, "PATH": f"{commands}:{os.environ['PATH']}"}
    line = ["bash", f"examples/cluster/{script}", *arguments]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "command not found" not in done.stderr
    noted = {path.name: path.read_text().splitlines() for path in calls.iterdir()}
    return Played(done.returncode, {name: [call.split("\0")[:-1] for call in lines] for name, lines in noted.items()})


def parsed(words: list[str]) -> Config:
    """What `mtgrpo train` would make of its part of a command line; fails if it does not know an option."""
    start = words.index("mtgrpo")
    assert words[start + 1] == "train"
    return tyro.cli(Config, args=words[start + 2 :])


def config_of(words: list[str]) -> RunConfig:
    """The run of that."""
    config = parsed(words).train_config.for_run()
    check_engines(config)
    return config


def launched_by_torchrun(words: list[str]) -> tuple[int, str, TrainConfig]:
    """Processes of a node, what is started, and the run; fails if torchrun does not know an option."""
    parsed = get_args_parser().parse_args(words[words.index("torchrun") + 1 :])
    assert parsed.no_python
    return int(parsed.nproc_per_node), parsed.training_script, config_of(parsed.training_script_args)


def the_papers(config: TrainConfig) -> bool:
    sizes = config.batch_size, config.group_size, config.steps, config.max_new_tokens, config.lr, config.reward_coef
    return config.tasks == ("medium",) and config.method == "mt-grpo" and sizes == (32, 72, 720, 4096, 1e-6, 0.2)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_read_the_script(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_one_gpu_trains_in_one_process_and_passes_further_options_on(tmp_path: Path) -> None:
    played = play("one_h200.sh", tmp_path, arguments=("--dry-run", "--seed", "3"))
    (call,) = played.calls["mtgrpo"]
    config = config_of(call)
    assert the_papers(config)
    assert (parsed(call).dry_run, config.seed, config.rollouts, config.engine) == (True, 3, "vllm", "deepspeed")


def test_eight_gpus_are_given_to_eight_processes(tmp_path: Path) -> None:
    (call,) = play("eight_gpus.sh", tmp_path).calls["torchrun"]
    processes, program, config = launched_by_torchrun(call)
    assert (processes, program) == (8, "bash")
    assert the_papers(config)
    assert config.zero_stage == 2


def test_a_process_sees_its_own_gpu_alone_and_calls_it_the_first() -> None:
    line = ["bash", "examples/cluster/one_gpu_each.sh", "python3", "-c"]
    code = "import os, json; print(json.dumps([os.environ[n] for n in ('CUDA_VISIBLE_DEVICES', 'LOCAL_RANK')]))"
    environment = {**os.environ, "LOCAL_RANK": "5"}
    done = subprocess.run([*line, code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["5", "0"]


@pytest.mark.parametrize(
    ("exits", "says", "code", "is_queued_again"),
    [
        (0, "all 720 steps are done", 0, False),
        (1, "Stopped after step 40 of 720; nothing is lost.", 0, True),
        (1, "mtgrpo train: stopped by SIGTERM", 0, True),
        (1, "could not save runs/x: No space left on device", 1, False),
    ],
)
def test_a_job_is_queued_again_if_its_run_was_stopped_and_not_if_it_is_done_or_failed(
    tmp_path: Path, exits: int, says: str, code: int, is_queued_again: bool
) -> None:
    played = play("two_nodes.slurm", tmp_path, exits=exits, says=says)
    assert played.code == code
    assert (["scontrol", "requeue", "7"] in played.calls["scontrol"]) == is_queued_again
    (call,) = played.calls["srun"]
    processes, _, config = launched_by_torchrun(call)
    assert processes == 8
    assert the_papers(config)


def test_slurm_asks_before_it_kills_and_torchrun_waits_less_than_slurm() -> None:
    text = (ROOT / "examples" / "cluster" / "two_nodes.slurm").read_text()
    assert "#SBATCH --signal=TERM@900\n" in text
    assert "#SBATCH --requeue\n" in text
    assert "--shutdown-timeout 840" in text
