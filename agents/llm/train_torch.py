"""Training in plain torch, one process."""

from __future__ import annotations

from pathlib import Path

import torch

_FILE = "optimizer.pt"


class TorchTrainEngine:
    """AdamW on a module, gradients clipped by their norm.

    Args:
        module: the module trained.
        lr: learning rate.
        weight_decay: decoupled.
        max_grad_norm: larger gradients are scaled down to this.
    """

    def __init__(
        self, module: torch.nn.Module, *, lr: float, weight_decay: float = 0.0, max_grad_norm: float = 1.0
    ) -> None:
        self.module = module
        self.max_grad_norm = max_grad_norm
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=weight_decay)

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        loss.backward()

    def step(self) -> float:
        """See `TrainEngine`.

        Raises:
            FloatingPointError: if the gradient is not finite; parameters are left as they were.
        """
        norm = float(torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.max_grad_norm))
        if norm != norm or norm == float("inf"):
            self.optimizer.zero_grad(set_to_none=True)
            raise FloatingPointError(f"the gradient norm is {norm}: the step was not taken")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def save(self, folder: Path) -> None:
        torch.save(self.optimizer.state_dict(), folder / _FILE)

    def load(self, folder: Path) -> None:
        self.optimizer.load_state_dict(torch.load(folder / _FILE, weights_only=True))
