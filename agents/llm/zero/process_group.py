"""One process, or several that a launcher started, find each other."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from torch import distributed

_TIMEOUT = timedelta(minutes=60)  # torch's own is shorter than some ranks may generate, or save, while others wait


def join_process_group() -> None:
    """Join the other processes of a `torchrun` or `deepspeed` launch, once; without a launcher, be alone.

    Each process of a machine takes the GPU of its local rank; without GPUs they talk through gloo.
    """
    if distributed.is_initialized():
        return
    os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed reads it
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "nccl"
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if "RANK" in os.environ:
        distributed.init_process_group(backend, timeout=_TIMEOUT)
    else:
        alone = distributed.HashStore()  # pyright: ignore[reportPrivateImportUsage] - documented as public
        distributed.init_process_group(backend, store=alone, rank=0, world_size=1, timeout=_TIMEOUT)
