"""AdamW's state as DeepSpeed keeps it: whole, as one vector cut into pieces, or cut parameter by parameter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import distributed

from mtgrpo_env.agents.neural.optimizer_state import ParameterState

_MOMENTS = ("exp_avg", "exp_avg_sq")


class WholeStates:
    """Stage 0: tensors of the parameters' shapes, on every rank.

    Args:
        engine: DeepSpeed's.
        adamw: the optimiser that it was given.
        trained: the model's parameters.
    """

    def __init__(self, engine: Any, adamw: torch.optim.AdamW, trained: Sequence[torch.nn.Parameter]) -> None:
        self._adamw = adamw
        self._is_bf16 = bool(engine.bfloat16_enabled())
        masters = [m for group in engine.optimizer.fp32_groups for m in group] if self._is_bf16 else trained
        self._master_of = dict(zip(trained, masters, strict=True))
        _start(adamw, masters)

    def gradient_norm(self) -> float | None:
        """Of the gradients that will be stepped on; None if DeepSpeed measures it itself."""
        if self._is_bf16:
            return None
        gradients = [parameter.grad for parameter in self._master_of if parameter.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def read(self, parameter: torch.nn.Parameter) -> ParameterState:
        """The state of a parameter, whole; all ranks take part."""
        master = self._master_of[parameter]
        state = self._adamw.state[master]
        return ParameterState(master.detach(), state["exp_avg"], state["exp_avg_sq"], int(state["step"]))

    def write(self, parameter: torch.nn.Parameter, state: ParameterState) -> None:
        """Replace the state of a parameter; all ranks are given the same."""
        self.write_weight(parameter, state.weight)
        own = self._adamw.state[self._master_of[parameter]]
        for moment in _MOMENTS:
            own[moment].copy_(getattr(state, moment))
        own["step"].fill_(state.steps)

    @torch.no_grad()
    def write_weight(self, parameter: torch.nn.Parameter, weight: torch.Tensor) -> None:
        """Replace the float32 copy of a parameter."""
        self._master_of[parameter].copy_(weight)

    def set_steps(self, steps: int) -> None:
        """Replace the number of steps taken, where parameters have it in common."""


class _SharedStates(ABC):
    """Stages 2 and 3: every rank has pieces of the state, which DeepSpeed puts together; see `WholeStates`."""

    def __init__(self, adamw: torch.optim.AdamW, pieces: Sequence[torch.Tensor]) -> None:
        self._adamw = adamw
        self._pieces = pieces
        _start(adamw, pieces)

    def gradient_norm(self) -> float | None:
        return None

    def read(self, parameter: torch.nn.Parameter) -> ParameterState:
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        weight: Any = safe_get_full_fp32_param(parameter)  # None only where ZeRO is off
        exp_avg, exp_avg_sq = (safe_get_full_optimizer_state(parameter, moment) for moment in _MOMENTS)
        steps = int(self._adamw.state[self._pieces[0]]["step"])
        return ParameterState(weight, exp_avg, exp_avg_sq, steps)  # pyright: ignore[reportArgumentType] - as above

    def write(self, parameter: torch.nn.Parameter, state: ParameterState) -> None:
        self.write_weight(parameter, state.weight)
        for moment in _MOMENTS:
            self._write_moment(parameter, getattr(state, moment), moment)

    def set_steps(self, steps: int) -> None:
        for piece in self._pieces:
            self._adamw.state[piece]["step"].fill_(steps)

    @abstractmethod
    def write_weight(self, parameter: torch.nn.Parameter, weight: torch.Tensor) -> None: ...

    @abstractmethod
    def _write_moment(self, parameter: torch.nn.Parameter, value: torch.Tensor, moment: str) -> None: ...


class FlatStates(_SharedStates):
    """Stage 2: all parameters as one vector, of which every rank has a piece."""

    def __init__(self, engine: Any, adamw: torch.optim.AdamW, trained: Sequence[torch.nn.Parameter]) -> None:
        super().__init__(adamw, engine.optimizer.single_partition_of_fp32_groups)
        engine.optimizer._lazy_init_hp_params_optimizer_state()  # else done after the first step

    def write_weight(self, parameter: torch.nn.Parameter, weight: torch.Tensor) -> None:
        from deepspeed.utils import safe_set_full_fp32_param

        safe_set_full_fp32_param(parameter, weight)

    def _write_moment(self, parameter: torch.nn.Parameter, value: torch.Tensor, moment: str) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state

        safe_set_full_optimizer_state(parameter, value, moment)


class PartitionedStates(_SharedStates):
    """Stage 3: of every parameter each rank has a piece, the last ones padded."""

    def __init__(self, engine: Any, adamw: torch.optim.AdamW, trained: Sequence[torch.nn.Parameter]) -> None:
        super().__init__(adamw, engine.optimizer.fp32_partitioned_groups_flat)

    def write_weight(self, parameter: torch.nn.Parameter, weight: torch.Tensor) -> None:
        from deepspeed.utils import safe_set_local_fp32_param

        safe_set_local_fp32_param(parameter, _own_piece(parameter, weight))

    def _write_moment(self, parameter: torch.nn.Parameter, value: torch.Tensor, moment: str) -> None:
        from deepspeed.utils import safe_set_local_optimizer_state

        safe_set_local_optimizer_state(parameter, _own_piece(parameter, value), moment)


def _start(adamw: torch.optim.AdamW, masters: Sequence[torch.Tensor]) -> None:
    """Make now the state that AdamW would make at its first step: there must be something to load into."""
    for master in masters:
        adamw.state[master] = {
            "step": torch.zeros((), device=master.device),
            "exp_avg": torch.zeros_like(master, requires_grad=False),
            "exp_avg_sq": torch.zeros_like(master, requires_grad=False),
        }


def _own_piece(parameter: Any, whole: torch.Tensor) -> torch.Tensor:
    """This rank's share of a parameter's values, padded with zeros as DeepSpeed pads it."""
    size = int(parameter.ds_tensor.numel())
    piece = torch.zeros(size, dtype=whole.dtype)
    own = whole.flatten()[distributed.get_rank() * size :][:size]
    piece[: len(own)] = own
    return piece
