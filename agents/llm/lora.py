"""Low-rank adapters: few parameters are trained, and engines that generate are given whole weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.weights import NamedWeight, plain_weights
from mtgrpo_env.agents.options import ALL_LINEAR
from mtgrpo_env.ranges import Range

_ADAPTER = "default"  # the name peft gives the first
_FROZEN = ".base_layer."


def with_lora(
    model: PreTrainedModel,
    rank: int,
    *,
    alpha: int | None = None,
    targets: Sequence[str] = (ALL_LINEAR,),
    seed: int = 0,
) -> torch.nn.Module:
    """The model with an adapter of this rank beside each target layer; only the adapters require gradients.

    The adapters have the model's own type, which ZeRO asks of all parameters.

    Args:
        model: changed in place.
        rank: of the adapters.
        alpha: what they add is scaled by `alpha / rank`; by default twice the rank.
        targets: how the names of layers end; by default all linear ones but the output head.
        seed: of the adapters' first parameters, which must be the same on every rank.

    Raises:
        ValueError: if the rank is below 1, the weight of a target is tied to another, it is a part of a mixture of
            experts, or peft has no adapters for a target's kind of layer.
    """
    from peft import LoraConfig, get_peft_model

    Range(1).check("the rank of adapters", rank)
    names = ALL_LINEAR if ALL_LINEAR in targets else list(targets)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank if alpha is None else alpha, target_modules=names, task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        torch.manual_seed(seed)
        warnings.simplefilter("ignore", FutureWarning)  # peft calls transformers by deprecated names
        warnings.simplefilter("ignore", UserWarning)  # it warns of tied weights, which are refused below
        adapted = get_peft_model(model, config, autocast_adapter_dtype=False)
    _check_mergeable(model)
    return adapted.eval()


def merged_weights(model: torch.nn.Module) -> Iterator[NamedWeight]:
    """The weights of the checkpoint that the adapted model is equal to, W + scale * B A where there is an adapter.

    A rollout engine needs to know nothing of adapters, and a folder of these is a whole model.
    """
    base = _base_of(model)
    layers = dict(_adapted_layers(base))
    for weight in plain_weights(base):
        path, is_frozen, rest = weight.name.partition(_FROZEN)
        if is_frozen:
            adapter = [p for name, p in layers[path].named_parameters() if not name.startswith("base_layer.")]
            merge = partial(_merged, weight, layers[path]) if rest == "weight" else weight.compute
            yield NamedWeight(f"{path}.{rest}", (*weight.parameters, *adapter), merge)
        elif not any(weight.name.startswith(f"{layer}.") for layer in layers):
            yield weight


def _merged(weight: NamedWeight, layer: Any) -> torch.Tensor:
    return weight.compute() + layer.get_delta_weight(_ADAPTER)


def _base_of(model: torch.nn.Module) -> Any:
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        raise ValueError(f"expected a model with adapters, got a {type(model).__name__}")
    return model.get_base_model()


def _adapted_layers(base: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return ((path, module) for path, module in base.named_modules() if isinstance(module, LoraLayer))


def _check_mergeable(base: PreTrainedModel) -> None:
    from peft.tuners.lora.layer import ParamWrapper

    tied = {name.rpartition(".")[0] for pair in base.all_tied_weights_keys.items() for name in pair}
    for path, layer in _adapted_layers(base):
        if path in tied:
            raise ValueError(f"expected adapters beside layers with weights of their own, got {path}, which is tied")
        if isinstance(layer, ParamWrapper):
            raise ValueError(f"expected adapters beside linear layers, got {path}, a part of a mixture of experts")
