"""Log-probabilities of chosen tokens, a few rows of the vocabulary at a time.

`log_softmax` in float32 makes two more tensors as large as the logits, and twice as large where those are in
half precision. Here nothing of that size is made but the gradient of the logits, in their own precision.
"""

from __future__ import annotations

from typing import Any

import torch

_CHUNK = 2**18  # logits in float32 at a time: 1 MiB, which stays in a core's cache


def chosen_log_probs(logits: torch.Tensor, tokens: torch.Tensor, temperature: float) -> torch.Tensor:
    """(...) float32 log-probabilities of `tokens` (...) under the softmax of `logits` (..., V) over `temperature`."""
    rows = logits.reshape(-1, logits.shape[-1])
    return _ChosenLogProbs.apply(rows, tokens.reshape(-1), 1 / temperature).view(tokens.shape)


class _ChosenLogProbs(torch.autograd.Function):
    """The same for (M, V) logits, which are all it keeps for the gradient 1{i chosen} - p_i."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, tokens: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.save_for_backward(logits, tokens)
        ctx.scale = scale
        chosen = [
            torch.log_softmax(logits[part].float() * scale, dim=-1).gather(1, tokens[part, None])
            for part in _parts(logits)
        ]
        return torch.cat(chosen).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        logits, tokens = ctx.saved_tensors
        weights = (grads[0] * ctx.scale)[:, None]  # (M, 1)
        gradient = torch.empty_like(logits)
        for part in _parts(logits):
            of_part = torch.softmax(logits[part].float() * ctx.scale, dim=-1).mul_(-weights[part])
            gradient[part] = of_part.scatter_add_(1, tokens[part, None], weights[part])
        return gradient, None, None


def _parts(logits: torch.Tensor) -> list[slice]:
    size = max(1, _CHUNK // logits.shape[1])
    return [slice(start, start + size) for start in range(0, len(logits), size)]
