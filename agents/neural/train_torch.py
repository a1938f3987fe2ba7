"""Training in plain torch, one process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from mtgrpo_env.agents.neural.optimizer_state import ParameterState, StateReader, StateWriter

BETAS = (0.9, 0.999)
"""AdamW's own: how much of their past the mean gradient and the mean square keep."""

_FUSED = frozenset({"cpu", "cuda"})  # devices on which torch takes a whole step of AdamW in one kernel


def adamw(
    parameters: Iterable[torch.nn.Parameter], *, lr: float, betas: tuple[float, float], weight_decay: float
) -> torch.optim.AdamW:
    """AdamW, fused where torch has that: a sixth of the time of the default, the same but for rounding."""
    parameters = list(parameters)
    is_fused = all(parameter.device.type in _FUSED for parameter in parameters)
    return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=is_fused)


class TorchTrainEngine:
    """AdamW on a module, gradients clipped by their norm.

    Args:
        module: the module trained.
        lr: learning rate; may be set anew before any step.
        betas: of the means of gradients and of their squares.
        weight_decay: decoupled; a step shrinks every trained parameter by `lr` times this.
        max_grad_norm: larger gradients are scaled down to this.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        lr: float,
        betas: tuple[float, float] = BETAS,
        weight_decay: float = 0.0,
        max_grad_norm: float = 1.0,
    ) -> None:
        self.module = module
        self.max_grad_norm = max_grad_norm
        self.optimizer = adamw(module.parameters(), lr=lr, betas=betas, weight_decay=weight_decay)

    @property
    def lr(self) -> float:
        return self.optimizer.param_groups[0]["lr"]

    @lr.setter
    def lr(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr

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
        with StateWriter(folder, rank=0) as writer:
            for name, parameter in self._trained():
                writer.add(name, self._state_of(parameter))

    def load(self, folder: Path) -> None:
        """Read what an engine of any kind saved; sets the trained parameters as well."""
        reader = StateReader(folder, (name for name, _ in self._trained()))
        for name, parameter in self._trained():
            saved = reader.shaped(name, parameter.shape)
            with torch.no_grad():
                parameter.copy_(saved.weight)
            self.optimizer.state[parameter] = {
                "step": torch.tensor(float(saved.steps), device=parameter.device),
                "exp_avg": saved.exp_avg.to(parameter),
                "exp_avg_sq": saved.exp_avg_sq.to(parameter),
            }

    def _trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        return ((name, parameter) for name, parameter in self.module.named_parameters() if parameter.requires_grad)

    def _state_of(self, parameter: torch.nn.Parameter) -> ParameterState:
        if parameter not in self.optimizer.state:  # it had no gradient so far
            zeros = torch.zeros_like(parameter)
            return ParameterState(parameter.detach(), zeros, zeros, 0)
        state = self.optimizer.state[parameter]
        return ParameterState(parameter.detach(), state["exp_avg"], state["exp_avg_sq"], int(state["step"]))
