"""One of several ranks, started by torchrun: an engine of its own beside a group that trains; see `test_ranks`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch.distributed

from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
from mtgrpo_env.agents.llm.serving.options import VLLMOptions


def main(folder: str, out: str) -> None:
    """Generate a share that no other rank has the size of, and write it down."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    options = VLLMOptions(model=folder, dtype="float32", context=256, cache_bytes=64 << 20, eager=True)
    engine = VLLMRolloutEngine(options, end_ids=[1])
    drawn = dict(engine.generate([(5, 6, 7)], [1 + 2 * rank], Decoding(8), [4]))
    torch.distributed.barrier()
    Path(out, f"{rank}.json").write_text(json.dumps([drawn[row].tokens for row in sorted(drawn)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
