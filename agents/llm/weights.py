"""A model's weights under the names that its checkpoint has, each made of the parameters the model trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.engines import Weights
from mtgrpo_env.manifest import DamagedError


@dataclass(frozen=True, slots=True)
class NamedWeight:
    """One weight of a checkpoint.

    Attributes:
        name: Hugging Face's.
        parameters: it is made of; they must be whole when it is computed.
        compute: the weight; it may be a parameter itself, which the next step changes.
    """

    name: str
    parameters: tuple[torch.nn.Parameter, ...]
    compute: Callable[[], torch.Tensor]


WeightsOf = Callable[[torch.nn.Module], Iterator[NamedWeight]]
"""The weights of a model; tied ones once, under the name that is saved."""


def plain_weights(model: torch.nn.Module) -> Iterator[NamedWeight]:
    """A model without adapters: every parameter is a weight."""
    tied = model.all_tied_weights_keys if isinstance(model, PreTrainedModel) else {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name not in tied:
            yield NamedWeight(name, (parameter,), parameter.detach)


class ModelParameters:
    """The parameters of a model that is whole on this rank.

    Args:
        model: whose parameters.
        weights_of: how they make up the weights of its checkpoint.
    """

    def __init__(self, model: torch.nn.Module, weights_of: WeightsOf = plain_weights) -> None:
        self._model = model
        self._weights_of = weights_of

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        with torch.no_grad():
            for weight in self._weights_of(self._model):
                yield weight.name, weight.compute()

    def load_weights(self, weights: Weights) -> None:
        """Set the parameters of these names; a weight that is made of several, with an adapter, is no parameter.

        Raises:
            ValueError: naming those that are missing.
        """
        own = (weight for weight in self._weights_of(self._model) if len(weight.parameters) == 1)
        parameters = {weight.name: weight.parameters[0] for weight in own}
        with torch.no_grad():
            for name, weight in weights:
                if name in parameters:
                    parameters.pop(name).copy_(weight)
        if parameters:
            raise ValueError(f"expected weights for all parameters, got none for {sorted(parameters)[:3]}")


def folder_weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights in a checkpoint folder of safetensors files, read one at a time.

    Raises:
        FileNotFoundError: if there are none.
        DamagedError: naming a file that is none of those.
    """
    paths = sorted(Path(folder).glob("model*.safetensors"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no model: it has no model*.safetensors")
    for path in paths:
        try:
            opened = safe_open(path, framework="pt")
        except SafetensorError as error:
            raise DamagedError(f"{path} is damaged: expected safetensors: {error}") from None
        with opened as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, file.get_tensor(name)
