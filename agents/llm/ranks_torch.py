"""Ranks as torch.distributed has them."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")

_TIMEOUT = timedelta(minutes=60)  # a rank may roll out, or save, for that long while the others wait


class TorchRanks:
    """The processes of the default group, talking over the CPU, so that what is gathered claims no GPU memory.

    Raises:
        RuntimeError: if torch.distributed was not initialised.
    """

    def __init__(self) -> None:
        self._group = dist.new_group(backend="gloo", timeout=_TIMEOUT)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def gather(self, value: T) -> list[T]:
        values: list[T | None] = [None] * self.size
        dist.all_gather_object(values, value, group=self._group)
        return values  # pyright: ignore[reportReturnType]  # all have been filled in


def launched_ranks() -> int:
    """Processes that torchrun, or another launcher that speaks its environment variables, has started; 1 for none.

    >>> launched_ranks()
    1
    """
    return int(os.environ.get("WORLD_SIZE", "1"))
