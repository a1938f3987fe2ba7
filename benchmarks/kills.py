"""Kill a run of two ranks at random moments, resume it, and compare what comes out with the run that nobody disturbed.

    python benchmarks/kills.py --kills 20

Each time a fresh run under torchrun and DeepSpeed is killed (kill -9) at a moment drawn from its whole length, start-up
and checkpoints included: one rank or everything at once. The same command then finishes it. Weights, moments of the
optimiser, task weights, generators, streams and the history must be equal to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from safetensors import safe_open

from mtgrpo_env.agents.run_folder import RunFolder

_TIMINGS = ("rollout_seconds", "update_seconds", "cpu_seconds")
_TARGETS = ("rank 0", "rank 1", "everything")


@dataclass(frozen=True)
class Config:
    """Kill and resume."""

    kills: int = 20
    """Runs that are killed, once each."""
    zero_stage: int = 2
    """Of DeepSpeed."""
    steps: int = 8
    """Training steps of the run, with a checkpoint after every second one."""
    model: str | None = None
    """Starting model; by default the one of `make train`, made here once."""
    seed: int = 0
    """Of the moments and of whom is killed."""
    out: Path = Path("runs/kills")
    """Folder of the runs."""
    report: Path = Path("benchmarks/results/kills.md")
    """The table."""


def main(config: Config) -> int:
    """Print and write the table; 1 if any run differs."""
    whole = config.out / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    finish(config, whole)  # teaches the starting model, if there is none
    shutil.rmtree(whole)
    seconds = finish(config, whole)
    rng = np.random.default_rng(config.seed)
    rows: list[str] = []
    for number in range(1, config.kills + 1):
        moment, target = rng.uniform(0, seconds), str(rng.choice(_TARGETS))
        out = config.out / f"kill-{number:02d}"
        shutil.rmtree(out, ignore_errors=True)
        reached = kill(config, out, after=moment, target=target)
        finish(config, out)
        same = digest(out) == digest(whole)
        rows.append(f"| {number} | {moment:.1f} s | {target} | {reached} | {'identical' if same else 'DIFFERENT'} |")
        print(rows[-1], flush=True)
        if same:
            shutil.rmtree(out)
    write_report(config, seconds, rows)
    return int(any("DIFFERENT" in row for row in rows))


def launch(config: Config, out: Path) -> subprocess.Popen[bytes]:
    """The run on two ranks, in a process group of its own."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    engine = ["--engine", "deepspeed", "--zero-stage", str(config.zero_stage), "--device", "cpu"]
    sizes = ["--steps", str(config.steps), "--batch-size", "6", "--group-size", "4", "--eval-problems", "8"]
    often = ["--eval-every", "4", "--checkpoint-every", "2"]
    model = ["--model", config.model] if config.model else []
    line = [*torchrun, "-m", "mtgrpo_env", "train", "--out", str(out), *engine, *sizes, *often, *model]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(line, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def finish(config: Config, out: Path) -> float:
    """Seconds until the run, or what is left of it, has ended well."""
    started = time.monotonic()
    if launch(config, out).wait():
        raise RuntimeError(f"the run did not end well: see {out.with_suffix('.log')}")
    return time.monotonic() - started


def kill(config: Config, out: Path, *, after: float, target: str) -> str:
    """Kill the run after so many seconds; says how far it had come."""
    process = launch(config, out)
    time.sleep(after)
    ranks = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    if target == "everything" or len(ranks) < 2:
        for pid in [process.pid, *ranks]:
            signal_if_there(pid)
    else:
        signal_if_there(ranks[int(target.removeprefix("rank "))])
    process.wait()
    for pid in ranks:
        wait_until_gone(pid)
    return progress(out)


def signal_if_there(pid: int) -> None:
    """Kill -9, unless it has just ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until_gone(pid: int) -> None:
    """Until the process can write no more."""
    while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z":
        time.sleep(0.05)


def progress(out: Path) -> str:
    """How far the run had come, and what it had left unfinished."""
    lines = (out / "history.jsonl").read_text().splitlines() if (out / "history.jsonl").is_file() else []
    checkpoint = RunFolder(out).newest_checkpoint
    saved = checkpoint.name if checkpoint else "no checkpoint"
    torn = [path.name for path in (out / "checkpoints").glob(".*")] if (out / "checkpoints").is_dir() else []
    steps = sum('"kind": "step"' in line for line in lines)
    return f"{steps} steps, {saved}{', one half written' if torn else ''}"


def digest(out: Path) -> str:
    """Of everything that the run is made of, but for what a clock decides."""
    checkpoint = RunFolder(out).newest_checkpoint
    assert checkpoint is not None
    found = hashlib.sha256()
    for file in sorted(checkpoint.iterdir()):
        if file.suffix == ".safetensors":
            with safe_open(file, framework="numpy") as tensors:
                for name in sorted(tensors.keys()):
                    found.update(name.encode() + tensors.get_tensor(name).tobytes())
        else:
            found.update(file.name.encode() + file.read_bytes())
    for line in (out / "history.jsonl").read_text().splitlines():
        record = {name: value for name, value in json.loads(line).items() if name not in _TIMINGS}
        found.update(json.dumps(record, sort_keys=True).encode())
    return found.hexdigest()


def write_report(config: Config, seconds: float, rows: list[str]) -> None:
    """The table as a file."""
    same = sum("identical" in row for row in rows)
    head = [
        "# Killed and resumed",
        "",
        f"`python benchmarks/kills.py --kills {config.kills} --zero-stage {config.zero_stage}`: {config.steps} steps "
        f"of MT-GRPO on two ranks, {seconds:.0f} s when nobody disturbs them. {same} of {len(rows)} are identical to "
        "that run: weights, moments, task weights, generators, streams and history, to the last bit.",
        "",
        "| kill | after | whom | it had reached | once resumed |",
        "|---|---|---|---|---|",
    ]
    config.report.write_text("\n".join([*head, *rows, ""]))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config)))
