"""Fuzz the verifiers: coverage-guided inputs, laws, and references that share no code with what is tested.

    python benchmarks/fuzz.py --verifier countdown --inputs 1000000

Exits with 1 on a finding, whose input is kept. Needs `pip install atheris`; the laws are in `fuzz_targets.py`.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import tyro
from rich.progress import Progress, TimeElapsedColumn

from mtgrpo_env.envs.mtreason import REASON_TASKS

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "fuzz.txt"
VERIFIERS = ("extraction", *REASON_TASKS)

_DONE = re.compile(r"DONE +cov: (\d+) ft: (\d+)")
_LONGEST_INPUT = 128  # bytes
_COLUMNS = ("verifier", "inputs", "per second", "coverage", "correct/found", "wrong", "no answer", "error", "findings")


@dataclass(frozen=True)
class Config:
    """What to fuzz, and for how long."""

    verifier: str = "all"
    """"extraction", one of the reasoning tasks, or "all", each in a process of its own."""
    inputs: int = 1_000_000
    """Inputs for each verifier."""
    seed: int = 1
    """Of the fuzzer."""
    timeout: int = 30
    """Seconds after which a single input counts as a hang."""
    out: Path = Path("runs/fuzz")
    """Where inputs with findings and the fuzzer's log are kept."""


def main(config: Config) -> int:
    """Fuzz, print and keep the results; the number of verifiers with findings."""
    if config.verifier not in ("all", *VERIFIERS):
        raise SystemExit(f"verifier must be 'all' or one of {list(VERIFIERS)}, got {config.verifier!r}")
    config.out.mkdir(parents=True, exist_ok=True)
    chosen = VERIFIERS if config.verifier == "all" else (config.verifier,)
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as progress:
        lines = {name: _fuzz(config, name, progress) for name in chosen}
    _write(lines)
    print(RESULTS.read_text())
    return min(sum(not line.endswith(" 0") for line in lines.values()), 1)


def _fuzz(config: Config, verifier: str, progress: Progress) -> str:
    """Fuzz one verifier and give its line of the results."""
    report, log = config.out / f"{verifier}.json", config.out / f"{verifier}.log"
    report.write_text(json.dumps({"inputs": 0, "outcomes": {}}))
    flags = [f"-seed={config.seed}", f"-timeout={config.timeout}", f"-max_len={_LONGEST_INPUT}", "-len_control=0"]
    command = [sys.executable, str(HERE / "fuzz_targets.py"), verifier, str(config.inputs), str(report), *flags]
    bar, start = progress.add_task(verifier, total=config.inputs), time.monotonic()
    with log.open("w") as stream:
        arguments = [*command, f"-artifact_prefix={config.out / verifier}-"]
        process = subprocess.Popen(arguments, stdout=stream, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(0.5)
            progress.update(bar, completed=_counts(report)[0])
    seconds, (inputs, outcomes) = time.monotonic() - start, _counts(report)
    progress.update(bar, completed=inputs)
    found, done = process.returncode != 0, _DONE.search(log.read_text(errors="replace"))
    if found:
        progress.console.print(f"{verifier}: exit code {process.returncode}, input kept in {config.out}; the log ends:")
        progress.console.print(log.read_text(errors="replace")[-3000:], markup=False)
    coverage = f"{done[1]}/{done[2]}" if done else "-"
    counts = [outcomes.get(name, 0) for name in ("wrong", "no_answer", "scorer_error")]
    paid = outcomes.get("correct", 0) + outcomes.get("found", 0)
    return _line([verifier, inputs, round(inputs / seconds), coverage, paid, *counts, int(found)])


def _counts(report: Path) -> tuple[int, dict[str, int]]:
    try:
        counts = json.loads(report.read_text())
    except json.JSONDecodeError:  # caught while it was being written
        return 0, {}
    return counts["inputs"], counts["outcomes"]


def _line(cells: list[object]) -> str:
    first, *others = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
    return f"{first:<12}" + "".join(f"{cell:>15}" for cell in others)


def _write(lines: dict[str, str]) -> None:
    """Replace these verifiers' lines in the results, and keep the others'."""
    kept: dict[str, str] = {}
    if RESULTS.exists():
        kept = {line.split()[0]: line for line in RESULTS.read_text().splitlines() if line.split()[:1]}
    known = [({**kept, **lines})[name] for name in VERIFIERS if name in kept or name in lines]
    heading = f"python benchmarks/fuzz.py, last run {date.today()}, Python {platform.python_version()}"
    note = "coverage: edges/features of mtgrpo_env.envs as the fuzzer counts them"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join([heading, note, "", _line(list(_COLUMNS)), *known]) + "\n")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config)))
