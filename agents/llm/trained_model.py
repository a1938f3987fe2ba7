"""The model that a run trains: from its source to an engine that trains it and the folders that hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.config import RunConfig
from mtgrpo_env.agents.llm.adapters import adapter_weights
from mtgrpo_env.agents.llm.devices import device_of
from mtgrpo_env.agents.llm.engines import Parameters
from mtgrpo_env.agents.llm.lora import merged_weights, with_lora
from mtgrpo_env.agents.llm.model_folder import AdapterFolder, ModelFolder, WholeModel
from mtgrpo_env.agents.llm.policy import load_model
from mtgrpo_env.agents.llm.prefix import checkpoint_activations
from mtgrpo_env.agents.llm.weights import ModelParameters, WeightsOf, plain_weights
from mtgrpo_env.agents.llm.zero.config import ZeroConfig
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model in training.

    Attributes:
        model: called in training; adapters stand in it, layer by layer.
        engine: takes the optimiser steps.
        parameters: whole weights, adapters merged into them, for what generates.
        stored: how a checkpoint holds it.
    """

    model: PreTrainedModel
    engine: Any
    parameters: Parameters
    stored: ModelFolder


def trained_model(config: RunConfig, source: str, tokenizer: PreTrainedTokenizerBase) -> TrainedModel:
    """The starting model, or adapters beside it, with the engine that trains what is to be trained."""
    model = _model(config, source)
    if not config.lora_rank:
        engine, parameters = _trainer(config, model, plain_weights)
        return TrainedModel(model, engine, parameters, WholeModel(model, parameters, tokenizer))
    targets, alpha = config.lora_targets, config.lora_alpha
    adapted = with_lora(model, config.lora_rank, alpha=alpha, targets=targets, seed=config.seed)
    engine, parameters = _trainer(config, adapted, merged_weights)
    is_torch = config.engine == "torch"
    adapters = ModelParameters(adapted, adapter_weights) if is_torch else engine.parameters_by(adapter_weights)
    merged = WholeModel(model, parameters, tokenizer) if config.save_merged else None
    return TrainedModel(model, engine, parameters, AdapterFolder(adapted, adapters, tokenizer, merged))


def zero_of(config: RunConfig) -> ZeroConfig:
    """How DeepSpeed partitions what it trains, and the type of the parameters, which is float32 in plain torch."""
    return ZeroConfig(
        stage=config.zero_stage,
        precision="bf16" if config.dtype == "bfloat16" and not config.is_autocast else "fp32",
        offload_optimizer=config.offload != "none",
        offload_parameters=config.offload == "all",
    )


def reference_model(config: RunConfig, source: str, device: str) -> PreTrainedModel:
    """The starting model once more, whole and never trained."""
    model = load_model(source, dtype=zero_of(config).dtype)
    torch.nn.Module.to(model.requires_grad_(False), device)
    return model


def _model(config: RunConfig, source: str) -> PreTrainedModel:
    dtype = zero_of(config).dtype
    if config.engine == "deepspeed":
        from mtgrpo_env.agents.llm.train_deepspeed import partitioned_loading

        with partitioned_loading(zero_of(config)):
            model = load_model(source, dtype=dtype)
    else:
        model = load_model(source, dtype=dtype)
    if config.activation_checkpointing:
        checkpoint_activations(model)
    return model


def _trainer(config: RunConfig, model: torch.nn.Module, weights_of: WeightsOf) -> tuple[Any, Parameters]:
    lr, betas = config.lr, (config.adam_beta1, config.adam_beta2)
    decay, norm = config.weight_decay, config.max_grad_norm
    if config.engine == "torch":
        model.to(device_of(config.device))  # DeepSpeed finds its own
        engine = TorchTrainEngine(model, lr=lr, betas=betas, weight_decay=decay, max_grad_norm=norm)
        return engine, ModelParameters(model, weights_of)
    from mtgrpo_env.agents.llm.train_deepspeed import DeepSpeedTrainEngine

    engine = DeepSpeedTrainEngine(
        model, zero_of(config), lr=lr, betas=betas, weight_decay=decay, max_grad_norm=norm, weights_of=weights_of
    )
    return engine, engine
