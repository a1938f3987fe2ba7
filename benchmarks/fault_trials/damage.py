"""Faults that files meet between two starts: flipped bits, cuts, losses, strangers' files, edits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fault_trials.outcomes import Bench, Outcome
from fault_trials.runs import STEPS
from mtgrpo_env.agents.run_folder import RunFolder

REACHED = STEPS - 2  # step of the newest checkpoint that is damaged; there are older ones
Damage = Callable[[Path, np.random.Generator], str]


def damages(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """Each kind of damage in turn."""
    for number in range(count):
        kind, damage, newest, has_history = _KINDS[number % len(_KINDS)]
        out = bench.folder / f"damage-{number + 1:02d}"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(bench.whole, out)
        shutil.rmtree(RunFolder(out).checkpoint(STEPS))  # as if it had been killed before
        outcome = Outcome(kind, damage(out, rng), ended="finished")
        outcome.finish(bench, out, newest=newest, recorded=STEPS, has_history=has_history)
        yield outcome


def _flip(out: Path, rng: np.random.Generator) -> str:
    file = _file_of(RunFolder(out).checkpoint(REACHED), rng)
    data = bytearray(file.read_bytes())
    place, bit = int(rng.integers(len(data))), int(rng.integers(8))
    data[place] ^= 1 << bit
    file.write_bytes(data)
    return f"bit {bit} of byte {place} of {file.name}"


def _cut(out: Path, rng: np.random.Generator) -> str:
    file = _file_of(RunFolder(out).checkpoint(REACHED), rng)
    size = int(rng.integers(file.stat().st_size))
    file.write_bytes(file.read_bytes()[:size])
    return f"{file.name} cut to {size} bytes"


def _lose(out: Path, rng: np.random.Generator) -> str:
    file = _file_of(RunFolder(out).checkpoint(REACHED), rng)
    file.unlink()
    return f"{file.name} deleted"


def _stray(out: Path, rng: np.random.Generator) -> str:
    folder = RunFolder(out)
    names = [
        folder.checkpoints / "step-000007.bak",
        folder.checkpoints / "step-7",
        folder.checkpoints / ".DS_Store",
        folder.checkpoints / "step-000099.bak",
        folder.tensorboard / "events.out.tfevents.x",
        folder.tensorboard / "events.out.tfevents.99999999999.x.1.0",
        folder.path / "notes \x1b[31m.txt",
    ]
    file = names[int(rng.integers(len(names)))]
    file.write_bytes(rng.bytes(64))
    return f"a file {file.name!r} of random bytes"


def _cut_history(out: Path, rng: np.random.Generator) -> str:
    file = RunFolder(out).history
    size = int(rng.integers(file.stat().st_size))
    file.write_bytes(file.read_bytes()[:size])
    return f"{file.name} cut to {size} bytes"


def _spoil_history(out: Path, rng: np.random.Generator) -> str:
    file = RunFolder(out).history
    data = bytearray(file.read_bytes())
    place = int(rng.integers(len(data)))
    data[place : place + 20] = rng.bytes(20)
    file.write_bytes(data)
    return f"20 random bytes at {place} of {file.name}"


def _lose_history(out: Path, rng: np.random.Generator) -> str:
    names = [RunFolder(out).history, RunFolder(out).samples, RunFolder(out).tensorboard]
    path = names[int(rng.integers(len(names)))]
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return f"{path.name} deleted"


def _file_of(folder: Path, rng: np.random.Generator) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    return files[int(rng.integers(len(files)))]


_KINDS: list[tuple[str, Damage, int, bool]] = [
    ("a bit flipped in the newest checkpoint", _flip, REACHED - 2, True),
    ("a file of the newest checkpoint cut", _cut, REACHED - 2, True),
    ("a file of the newest checkpoint deleted", _lose, REACHED - 2, True),
    ("a stranger's file among those of the run", _stray, REACHED, True),
    ("the history cut", _cut_history, REACHED, False),
    ("the history overwritten in one place", _spoil_history, REACHED, False),
    ("history, samples or events deleted", _lose_history, REACHED, False),
]
"""What is done, the step of the newest checkpoint that it leaves sound, and whether the history is left alone."""
