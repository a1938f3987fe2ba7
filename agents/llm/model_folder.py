"""How a policy's model stands in a checkpoint: whole, or as adapters for a starting model that stands elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.checkpoint_files import MERGED
from mtgrpo_env.agents.llm.adapters import save_adapters, saved_adapters
from mtgrpo_env.agents.llm.engines import Parameters
from mtgrpo_env.agents.llm.weights import folder_weights

_NAMED = 3  # of the weights that are amiss


def whole_model_of(source: str | Path, **options: Any) -> PreTrainedModel:
    """A model all of whose weights come from its files: transformers would draw what they lack at random, and go on.

    Raises:
        ValueError: naming the weights that are missing or have other shapes.
    """
    model, found = AutoModelForCausalLM.from_pretrained(
        source, output_loading_info=True, ignore_mismatched_sizes=True, **options
    )
    tied = model.all_tied_weights_keys  # stored once, under the name of the other
    missing = sorted(set(found["missing_keys"]) - set(tied))
    mismatched = [
        f"{name} ({list(stored)}, not {list(expected)})" for name, stored, expected in sorted(found["mismatched_keys"])
    ]
    for names, are in ((missing, "missing"), (mismatched, "of other shapes than its config says")):
        if names:
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            others = sorted(found["unexpected_keys"])
            instead = f"; its files have {others[0]}, which it does not know" if others and are == "missing" else ""
            raise ValueError(f"weights of the model are {are}: {', '.join(names[:_NAMED])}{more}{instead}")
    return model


class ModelFolder(Protocol):
    """Writes a model with its tokenizer, and reads it."""

    def save(self, folder: Path, *, is_writer: bool) -> None:
        """Called on every rank; one of them is the writer."""
        ...

    def load(self, folder: Path) -> None:
        """Set the parameters to what `save` wrote."""
        ...


class WholeModel:
    """A folder that `AutoModelForCausalLM.from_pretrained` loads by itself.

    Args:
        model: gives the config.
        parameters: its own, or what its checkpoint is made of.
        tokenizer: saved beside it.
    """

    def __init__(self, model: PreTrainedModel, parameters: Parameters, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.parameters = parameters
        self.tokenizer = tokenizer

    def save(self, folder: Path, *, is_writer: bool) -> None:
        weights = _gathered(self.parameters, is_writer=is_writer)
        if is_writer:
            self.model.save_pretrained(folder, state_dict=weights)
            self.tokenizer.save_pretrained(folder)

    def load(self, folder: Path) -> None:
        self.parameters.load_weights(folder_weights(folder))


class AdapterFolder:
    """A folder that peft loads, and transformers where peft is installed.

    Args:
        model: peft's.
        adapters: its trained parameters.
        tokenizer: saved beside them.
        merged: where the whole model is saved too, in a folder of the folder.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        adapters: Parameters,
        tokenizer: PreTrainedTokenizerBase,
        merged: WholeModel | None = None,
    ) -> None:
        self.model = model
        self.adapters = adapters
        self.tokenizer = tokenizer
        self.merged = merged

    def save(self, folder: Path, *, is_writer: bool) -> None:
        weights = _gathered(self.adapters, is_writer=is_writer)
        if is_writer:
            save_adapters(self.model, weights, folder)
            self.tokenizer.save_pretrained(folder)
        if self.merged is not None:
            self.merged.save(folder / MERGED, is_writer=is_writer)

    def load(self, folder: Path) -> None:
        self.adapters.load_weights(saved_adapters(folder).items())


def _gathered(parameters: Parameters, *, is_writer: bool) -> Mapping[str, torch.Tensor]:
    """All weights on the writer; the other ranks take part and keep none."""
    return {name: weight.cpu() for name, weight in parameters.weights() if is_writer}
