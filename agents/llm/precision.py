"""What passes of a model compute in, where that is not the type that its parameters are kept in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import PackedGroups
from mtgrpo_env.agents.llm.learner import LogProbs

Autocast = Callable[[], AbstractContextManager[object]]
"""Entered around passes of a model between which its parameters do not move; `nullcontext` where all is one type."""


def bfloat16_autocast(device: torch.device) -> Autocast:
    """Matrices are multiplied in bfloat16; parameters, their gradients, norms, log-softmax and losses stay in float32.

    Within a context each weight that is trained is cast once; under `torch.inference_mode` torch casts it each time.

    Raises:
        ValueError: if the device does not compute in bfloat16.
    """
    if not has_bfloat16(device):
        raise ValueError(f"dtype bfloat16 needs a device that computes in it, got {device}, which does not")
    return partial(torch.autocast, device.type, dtype=torch.bfloat16)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies matrices in bfloat16 itself; others are slower with it than without."""
    if device.type == "cpu":
        return any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.amp.is_autocast_available(device.type)


def autocast_log_probs(log_probs: LogProbs, autocast: Autocast) -> LogProbs:
    """The same log-probabilities by passes within `autocast`; they are float32 either way."""

    def within(model: PreTrainedModel, packed: PackedGroups, temperature: float) -> torch.Tensor:
        with autocast():
            return log_probs(model, packed, temperature)

    return within
