"""Where a model runs."""

from __future__ import annotations

import torch

AUTO = "auto"


def device_of(name: str) -> torch.device:
    """The device of a name, such as "cuda", "cuda:1" or "cpu"; "auto" is the accelerator that is here, else the CPU.

    Raises:
        ValueError: naming the devices that torch finds, if there is no such one.

    >>> device_of("cpu")
    device(type='cpu')
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == AUTO:
        return accelerator or torch.device("cpu")
    here = ["cpu"]
    if accelerator is not None:
        here += [accelerator.type, *(f"{accelerator.type}:{i}" for i in range(torch.accelerator.device_count()))]
    if name not in here:
        raise ValueError(f"device must be {AUTO} or one that torch finds on this machine, {here}, got {name!r}")
    return torch.device(name)
