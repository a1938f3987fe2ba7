"""Training with DeepSpeed's ZeRO: parameters, gradients and optimiser state shared out among ranks."""

from __future__ import annotations

import copy
import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

import torch
from torch import distributed

from mtgrpo_env.agents.llm.engines import Weights
from mtgrpo_env.agents.llm.weights import WeightsOf, plain_weights
from mtgrpo_env.agents.llm.zero.config import ZeroConfig, deepspeed_config
from mtgrpo_env.agents.llm.zero.process_group import join_process_group
from mtgrpo_env.agents.llm.zero.states import FlatStates, PartitionedStates, WholeStates
from mtgrpo_env.agents.neural.optimizer_state import StateReader, StateWriter
from mtgrpo_env.agents.neural.train_torch import BETAS, adamw

_TESTED = "0.19.8"


class DeepSpeedTrainEngine:
    """AdamW on a model under ZeRO, with the semantics of `TorchTrainEngine`.

    Call the model as ever: ZeRO's hooks live on its modules. Every rank must make the same calls of it while
    stage 3 has taken it apart; inside `gathered()` ranks are free.

    Args:
        model: trained in place; those of its parameters that require gradients.
        config: what is shared out, and the precision.
        lr: learning rate; may be set anew before any step, on every rank alike.
        betas: of the means of gradients and of their squares.
        weight_decay: decoupled.
        max_grad_norm: larger gradients are scaled down to this.
        weights_of: how the model's parameters make up the weights of its checkpoint.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        config: ZeroConfig,
        *,
        lr: float,
        betas: tuple[float, float] = BETAS,
        weight_decay: float = 0.0,
        max_grad_norm: float = 1.0,
        weights_of: WeightsOf = plain_weights,
    ) -> None:
        deepspeed = _prepared_deepspeed()
        self.model = model
        self.config = config
        self._weights_of = weights_of
        self._trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        # Without a rate until then: in bf16 at stage 0 DeepSpeed takes a step to begin with, which would decay weights.
        self._adamw = adamw(self._trained.values(), lr=0.0, betas=betas, weight_decay=weight_decay)
        self._engine, *_ = deepspeed.initialize(
            model=_Passage(model), optimizer=self._adamw, config=deepspeed_config(config, max_grad_norm=max_grad_norm)
        )
        states = {0: WholeStates, 2: FlatStates, 3: PartitionedStates}[config.stage]
        self._states = states(self._engine, self._adamw, list(self._trained.values()))
        self.lr = lr

    @property
    def lr(self) -> float:
        return self._adamw.param_groups[0]["lr"]

    @lr.setter
    def lr(self, lr: float) -> None:
        for group in self._adamw.param_groups:  # DeepSpeed steps with this optimiser, whatever it puts around it
            group["lr"] = lr

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        """See `TrainEngine`; every rank must call it equally often before a step."""
        self._engine.set_gradient_accumulation_boundary(is_last)
        self._engine.backward(self._engine(loss * distributed.get_world_size()))  # DeepSpeed takes the mean over ranks

    def step(self) -> float:
        """See `TrainEngine`.

        Raises:
            FloatingPointError: if the gradient is not finite, on every rank; parameters are left as they were.
        """
        assert self._engine.is_gradient_accumulation_boundary(), "the backward pass before a step must be the last"
        norm = self._states.gradient_norm()
        if norm is None or math.isfinite(norm):
            self._engine.step()
            if norm is None:
                norm = float(self._engine.get_global_grad_norm())
            if self._engine.was_step_applied():
                return norm
        self._engine.zero_grad()
        raise FloatingPointError(f"the gradient norm is {norm}: the step was not taken")

    def parameters_by(self, weights_of: WeightsOf) -> Self:
        """The parameters of the same engine as other weights."""
        other = copy.copy(self)
        other._weights_of = weights_of
        return other

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Each by its Hugging Face name, whole until the next is asked for; every rank must take them all."""
        for weight in self._weights_of(self.model):
            with self._whole(weight.parameters), torch.no_grad():
                yield weight.name, weight.compute()

    def load_weights(self, weights: Weights) -> None:
        """Set the weights that are trained; the others, and names that are not the model's, are left alone.

        Raises:
            ValueError: naming those that are missing.
        """
        trained = {id(parameter) for parameter in self._trained.values()}
        wanted = {w.name: w.parameters[0] for w in self._weights_of(self.model) if id(w.parameters[0]) in trained}
        for name, weight in weights:
            if name in wanted:
                parameter = wanted.pop(name)
                self._states.write_weight(parameter, weight.float())
                self._set(parameter, weight)
        if wanted:
            raise ValueError(f"expected weights for all trained parameters, got none for {sorted(wanted)[:3]}")

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """The whole model in every rank's memory, without ZeRO's hooks: ranks may generate as long as each likes."""
        if self.config.stage < 3:
            yield
            return
        from deepspeed.runtime.zero import unwrap_model_for_generation

        raised: BaseException | None = None
        with unwrap_model_for_generation(self._engine):  # an error that came this far would cost the model its hooks
            try:
                yield
            except BaseException as error:
                raised = error
        if raised is not None:
            raise raised

    def save(self, folder: Path) -> None:
        """Write the optimiser's state into `folder`, which all ranks see; they take turns at the parameters."""
        rank, size = distributed.get_rank(), distributed.get_world_size()
        try:
            with StateWriter(folder, rank) as writer:
                for i, (name, parameter) in enumerate(self._trained.items()):
                    state = self._states.read(parameter)  # all ranks take part, one keeps it
                    if i % size == rank:
                        writer.add(name, state)
        finally:
            distributed.barrier()

    def load(self, folder: Path) -> None:
        """Read what an engine of any kind, stage and number of ranks saved; sets the trained parameters as well."""
        reader = StateReader(folder, self._trained)
        self._states.set_steps(reader.most_steps)
        for name, parameter in self._trained.items():
            state = reader.shaped(name, getattr(parameter, "ds_shape", parameter.shape))
            self._states.write(parameter, state)
            self._set(parameter, state.weight)

    def _set(self, parameter: torch.nn.Parameter, value: torch.Tensor) -> None:
        """Give a parameter of the model, whole or not, another value; rank 0's counts."""
        with self._whole([parameter], modifier_rank=0), torch.no_grad():
            parameter.copy_(value)

    def _whole(
        self, parameters: Sequence[torch.nn.Parameter], modifier_rank: int | None = None
    ) -> AbstractContextManager[object]:
        if self.config.stage < 3:
            return nullcontext()
        from deepspeed.runtime.zero import GatheredParameters

        return GatheredParameters(list(parameters), modifier_rank=modifier_rank)


@contextmanager
def partitioned_loading(config: ZeroConfig) -> Iterator[None]:
    """Models loaded by `from_pretrained` in this block come in shares, if the stage shares out parameters.

    Rank 0 reads the files, the others receive; none but rank 0 ever holds more than its share and one module.
    """
    if config.stage < 3:
        yield
        return
    _prepared_deepspeed()
    from transformers.integrations.deepspeed import HfDeepSpeedConfig, unset_hf_deepspeed_config

    in_force = HfDeepSpeedConfig(deepspeed_config(config, max_grad_norm=1.0))  # as long as it is referred to
    try:
        yield
    finally:
        unset_hf_deepspeed_config()
        del in_force


class _Passage(torch.nn.Module):
    """What DeepSpeed is told to train: a loss computed elsewhere passes through it, on which DeepSpeed prepares itself.

    The model stands below it, so that it can be called directly, as often as a loss needs.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, loss: torch.Tensor) -> torch.Tensor:
        return loss


def _prepared_deepspeed() -> Any:
    """The module, told which machine it is on, in a process that has joined its peers."""
    join_process_group()
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    # It calls collectives by names that torch has deprecated, thousands of times.
    warnings.filterwarnings("ignore", r"`torch\.distributed\.\w+` is deprecated", FutureWarning)
    if os.environ["DS_ACCELERATOR"] == "cpu":
        _do_not_compile(deepspeed)
    return deepspeed


def _do_not_compile(deepspeed: Any) -> None:
    """Keep DeepSpeed from compiling its shared-memory collectives, which takes minutes and a compiler; gloo will do."""
    available = deepspeed.ops.__compatible_ops__
    if "deepspeed_shm_comm" not in available:
        raise RuntimeError(
            f"expected deepspeed {_TESTED}, got {deepspeed.__version__}: it names its operators otherwise"
        )
    available["deepspeed_shm_comm"] = False
