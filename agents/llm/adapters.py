"""Folders of adapters, as peft writes and reads them: what they were trained beside, and the model that they make."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from transformers.utils.peft_utils import find_adapter_config_file

from mtgrpo_env.agents.checkpoint_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MERGED
from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.weights import NamedWeight
from mtgrpo_env.extras import imports_for

_NAME = re.compile(r"\.default(?=\.|$)")  # of the adapter, which no file has


def checkpoint_kind(config: TrainConfig) -> str:
    """What the checkpoints of a run hold, in words."""
    if not config.lora_rank:
        return "the whole model"
    alpha = 2 * config.lora_rank if config.lora_alpha is None else config.lora_alpha
    adapters = f"adapters of rank {config.lora_rank} and alpha {alpha} beside {' '.join(config.lora_targets)}"
    if config.save_merged:
        return f"{adapters}, and the whole model in the folder {MERGED}"
    return f"{adapters} for {config.model or 'the tiny model'}, without the model itself (--save-merged adds it)"


def base_of(source: str | Path) -> str | None:
    """The model that adapters in a folder or on the hub were trained beside; None of a source that is a whole model.

    Raises:
        FileNotFoundError: if it was a folder, and is gone.
        ValueError: if they do not name it.
    """
    if find_adapter_config_file(str(source)) is None:
        return None
    with imports_for(f"the adapters in {str(source)!r}"):
        from peft import PeftConfig
    base = PeftConfig.from_pretrained(str(source)).base_model_name_or_path
    if not base:
        raise ValueError(f"the adapters in {str(source)!r} do not say which model they were trained beside")
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise FileNotFoundError(
            f"the adapters in {str(source)!r} were trained beside the model in {base!r}, which is not there: name its "
            f"folder in {ADAPTER_CONFIG}, as base_model_name_or_path"
        )
    return base


def sources_of(source: str) -> list[str]:
    """A source and, of adapters, the models beneath them: all that is read to load it. Raises as `base_of` does."""
    base = base_of(source)
    return [source] if base is None else [source, *sources_of(base)]


def whole_model(source: str) -> str:
    """A source that an engine can read which knows no adapters: itself, or the merged model in it.

    Raises:
        ValueError: if it holds adapters alone.
    """
    merged = Path(source) / MERGED
    if merged.is_dir():
        return str(merged)
    if (base := base_of(source)) is not None:
        raise ValueError(
            f"{source!r} holds adapters for {base!r}, where a whole model is needed: save it merged (--save-merged, or "
            "peft's merge_and_unload)"
        )
    return source


def with_adapters(base: PreTrainedModel, source: str | Path) -> PreTrainedModel:
    """The whole model that adapters make of the one they were trained beside."""
    from peft import PeftModel

    adapted: Any = PeftModel.from_pretrained(base, str(source), autocast_adapter_dtype=False)
    return adapted.merge_and_unload().requires_grad_(True)


def adapter_weights(model: torch.nn.Module) -> Iterator[NamedWeight]:
    """The adapters of a model by the names that a file has."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield NamedWeight(_NAME.sub("", name), (parameter,), parameter.detach)


def save_adapters(model: Any, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write a folder that `PeftModel.from_pretrained` loads.

    Args:
        model: peft's.
        weights: its adapters, by the names of `adapter_weights`.
        folder: must exist.
    """
    config = copy.copy(model.peft_config["default"])
    config.inference_mode = True
    config.target_modules = sorted(config.target_modules)  # a set has no order that lasts
    base = model.get_base_model().name_or_path
    config.base_model_name_or_path = str(Path(base).resolve()) if Path(base).is_dir() else base
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, folder / ADAPTER_WEIGHTS, {"format": "pt"}
    )
    config.save_pretrained(str(folder))


def saved_adapters(folder: Path) -> Mapping[str, torch.Tensor]:
    """What `save_adapters` wrote.

    Raises:
        FileNotFoundError: if there are none.
    """
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise FileNotFoundError(f"{folder} holds no adapters: it has no {ADAPTER_WEIGHTS}")
    return load_file(folder / ADAPTER_WEIGHTS)
