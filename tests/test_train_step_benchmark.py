"""The comparison with TRL still runs, and still compares the same computation; it is timed elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "train_step.py"


def test_one_step_of_each_side_gives_equal_losses_and_gradients(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    out = tmp_path / "table.md"
    options = ["--steps", "1", "--sizes", "160k", "--no-memory", "--out", str(out)]
    subprocess.run([sys.executable, SCRIPT, *options], check=True, capture_output=True)
    written = re.search(r"loss (\S+) ours, (\S+) TRL's; gradients differ by (\S+) of", out.read_text())
    assert written is not None
    our_loss, their_loss, gradient_error = map(float, written.groups())
    assert abs(our_loss) > 1e-3, "a loss of 0 would prove little"
    assert our_loss == pytest.approx(their_loss, abs=1e-5)
    assert gradient_error < 1e-4
