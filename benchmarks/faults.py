"""Hurt runs in every way we know, let the same command finish them, and compare with the run that nobody disturbed.

    python benchmarks/faults.py                    # some 250 faults
    python benchmarks/faults.py --scale .1         # a tenth of each

Kills, signals, full disks, second starts, damaged files, servers, rows and workers; one process, two ranks, TRL's
trainer. What must never come of any: a wrong result in silence, a loss beyond the last checkpoint, a hang, a traceback.
Where a run can be finished, weights, moments of the optimiser, task weights, generators, streams and the history must
be equal to the last bit.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: bits depend on the number of threads

import numpy as np
import tyro
from fault_trials import damage, launched, outside, processes
from fault_trials.outcomes import Bench, Outcome, table
from fault_trials.runs import make_model, start, train

Trials = Callable[[Bench, np.random.Generator, int], Iterator[Outcome]]
TRIALS: Mapping[str, tuple[Trials, int]] = {
    "kills": (processes.kills_at_random_moments, 30),
    "events": (processes.kills_at_file_events, 30),
    "signals": (processes.signals, 30),
    "disks": (processes.full_disks, 20),
    "starts": (processes.second_starts, 8),
    "damage": (damage.damages, 63),
    "workers": (outside.workers, 5),
    "servers": (outside.servers, 2 * len(outside.FAULTS)),
    "rows": (outside.rows, 40),
    "ranks": (launched.two_ranks, 6),
    "trl": (launched.trl, 5),
}
"""Faults by the name of their kind, and how many of each there are."""


@dataclass(frozen=True)
class Config:
    """Hurt and finish."""

    only: tuple[str, ...] = tuple(TRIALS)
    """Kinds of faults."""
    scale: float = 1.0
    """Share of the faults of each kind, at least one."""
    seed: int = 0
    """Of moments, places and sizes."""
    out: Path = Path("runs/faults")
    """Folder of the runs, emptied first; those that something was amiss with are kept."""
    report: Path = Path("benchmarks/results/faults.md")
    """The table."""


def main(config: Config) -> int:
    """Print and write the table; 1 if anything was amiss."""
    bench = prepare(config.out.resolve())
    outcomes: list[Outcome] = []
    started = time.monotonic()
    for name in config.only:
        trials, count = TRIALS[name]
        rng = np.random.default_rng([config.seed, list(TRIALS).index(name)])
        for outcome in trials(bench, rng, max(1, round(config.scale * count))):
            outcomes.append(outcome)
            amiss = "; ".join(outcome.faults) or "well"
            print(f"{len(outcomes)}. {outcome.kind}, {outcome.detail}: {outcome.ended}; {amiss}", flush=True)
    lines = table(outcomes)
    print("\n".join(lines))
    config.report.write_text("\n".join([*heading(config, outcomes, time.monotonic() - started), *lines, ""]))
    return int(any(outcome.faults for outcome in outcomes))


def prepare(folder: Path) -> Bench:
    """A starting model, and a run of it that nobody disturbs."""
    launched.clear(folder)
    model, whole, events = folder / "model", folder / "whole", folder / "events.txt"
    make_model(model)
    began = time.monotonic()
    code = start(train(whole, model), folder / "whole.log", first=processes.counted(whole, events)).wait()
    if code != 0:
        raise RuntimeError(f"a run that nobody disturbed did not end well: see {folder / 'whole.log'}")
    return Bench(folder, model, whole, time.monotonic() - began, int(events.read_text()))


def heading(config: Config, outcomes: list[Outcome], seconds: float) -> list[str]:
    """What was done, and what came of it."""
    amiss = [outcome for outcome in outcomes if outcome.faults]
    told = [f"- {outcome.kind}, {outcome.detail}: {'; '.join(outcome.faults)}" for outcome in amiss]
    command = "python benchmarks/faults.py" + (f" --scale {config.scale:g}" if config.scale != 1 else "")
    return [
        "# Fault injection",
        "",
        f"**{len(outcomes) - len(amiss)} of {len(outcomes)} faults had the expected result and no other.** The same "
        "command finished every run that can be finished; weights, moments, task weights, generators, streams and "
        "history then equal those of an undisturbed run, bit for bit.",
        "",
        f"`{command}`: {seconds / 60:.0f} minutes, Python {platform.python_version()} on {platform.system()}.",
        "",
        *told,
        *([""] if told else []),
    ]


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config)))
