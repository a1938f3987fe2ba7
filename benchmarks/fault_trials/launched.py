"""Kills of runs that a launcher started on two ranks, and of TRL's trainer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from fault_trials.outcomes import Bench, Outcome, state
from fault_trials.outside import children
from fault_trials.runs import digest, train

_PATIENCE = 600.0
_TRL = Path(__file__).with_name("trl_run.py")


def two_ranks(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """Kill -9 one rank, or all at once, of a run under torchrun and DeepSpeed."""
    whole = bench.folder / "ranks-whole"
    seconds = _finished(_ranks(bench, whole), whole.with_suffix(".log"))
    for number in range(1, count + 1):
        out, moment = bench.folder / f"ranks-{number:02d}", rng.uniform(0.2, 1) * seconds
        target = str(rng.choice(["rank 0", "rank 1", "everything"]))
        outcome = Outcome("kill -9 of a rank of two, or of both", f"{target} after {moment:.1f} s")
        yield _killed_and_finished(outcome, _ranks(bench, out), out, moment, target, whole=whole)


def trl(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """Kill -9 a run of TRL's trainer with our curriculum; what it leaves is compared with a run left alone."""
    whole = bench.folder / "trl-whole"
    seconds = _finished([sys.executable, str(_TRL), str(whole)], whole.with_suffix(".log"))
    for number in range(1, count + 1):
        out, moment = bench.folder / f"trl-{number:02d}", rng.uniform(0.4, 1) * seconds
        outcome = Outcome("kill -9 of TRL's trainer with our curriculum", f"after {moment:.1f} s")
        line = [sys.executable, str(_TRL), str(out)]
        log = out.with_suffix(".log")
        process = _launched(line, log)
        time.sleep(moment)
        _kill(process, "everything")
        outcome.ended = "killed" if process.wait() else "exit 0"
        _finished(line, log)
        if (out / "digest.txt").read_text() != (whole / "digest.txt").read_text():
            outcome.faults.append("wrong result")
        if "Traceback" in log.read_text("utf-8", "replace"):
            outcome.faults.append("traceback")
        yield outcome


def _killed_and_finished(
    outcome: Outcome, line: Sequence[str], out: Path, moment: float, target: str, *, whole: Path
) -> Outcome:
    log = out.with_suffix(".log")
    process = _launched(line, log)
    time.sleep(moment)
    _kill(process, target)
    outcome.ended = f"exit {process.wait()}"
    left = state(out)
    _finished(line, log)
    outcome.steps_again = max(0, left["recorded"] - left["newest"])
    if digest(out) != digest(whole):
        outcome.faults.append("wrong result")
    return outcome


def _ranks(bench: Bench, out: Path) -> list[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    engine = ["--engine", "deepspeed", "--zero-stage", "2"]
    return [*torchrun, "-m", "mtgrpo_env", *train(out, bench.model, *engine)]


def _launched(line: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(line, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)


def _finished(line: Sequence[str], log: Path) -> float:
    """Seconds until a command has ended well."""
    started = time.monotonic()
    process = _launched(line, log)
    try:
        code = process.wait(_PATIENCE)
    finally:
        _kill(process, "everything")
    if code:
        raise RuntimeError(f"a run that nobody disturbed did not end well: see {log}")
    return time.monotonic() - started


def _kill(process: subprocess.Popen[bytes], target: str) -> None:
    ranks = children(process.pid)
    chosen = [process.pid, *ranks] if target == "everything" or len(ranks) < 2 else [ranks[int(target[-1])]]
    for pid in chosen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if target == "everything":
        process.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in ranks):
            time.sleep(0.05)


def clear(folder: Path) -> None:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
