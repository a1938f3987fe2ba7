"""Data-parallel ranks: each has an engine of its own, which waits for no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mtgrpo_env.agents.llm.serving.options import VLLMOptions


def test_ranks_generate_shares_of_different_size_and_equal_seeds_give_equal_tokens(
    options: VLLMOptions, tmp_path: Path
) -> None:
    worker = Path(__file__).with_name("rank_worker.py")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ran = subprocess.run([*launcher, worker, options.model, tmp_path], capture_output=True, text=True, timeout=250)
    assert ran.returncode == 0, ran.stderr[-3000:]
    one, three = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert [len(one), len(three)] == [1, 3]
    assert three[0] == one[0]
