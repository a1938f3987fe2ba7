"""Peak memory of a few steps of one side, in a process of its own: `python -m training.memory trl 1M`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from training import ours
from training.setting import SIZES, Size

STEPS = 3
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_megabytes(side: str, size: Size, *, threads: int) -> float:
    """Peak resident memory above what there was when all was built and nothing had run."""
    command = [sys.executable, "-m", "training.memory", side, size.name, str(threads)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def _trl(size: Size) -> Callable[[], object]:
    from training import theirs

    folder = tempfile.mkdtemp()
    return theirs.trainer(size, steps=STEPS, callbacks=[], folder=folder).train


def _ours(make: Callable[[Size], ours.MTGRPOAgent], size: Size) -> Callable[[], object]:
    return partial(make(size).train, STEPS)


SIDES: Mapping[str, Callable[[Size], Callable[[], object]]] = {
    "TRL GRPO": _trl,
    "GRPO": partial(_ours, ours.grpo),
    "MT-GRPO": partial(_ours, ours.mt_grpo),
}


def _resident(field: str) -> float:
    """A field of this process's status, in MB."""
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def main(side: str, size: str, threads: str) -> None:
    """Build one side, forget the peak so far, run it, print how far above it came."""
    torch.set_num_threads(int(threads))
    run = SIDES[side](SIZES[size])
    before = _resident("VmRSS")
    _RESET.write_text("5")  # the peak is measured from here on
    run()
    print(_resident("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
