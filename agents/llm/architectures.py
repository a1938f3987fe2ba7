"""Kinds of causal language models: how much of the work on prompts their rows can share, and what cannot be run.

Nothing here needs weights: a config is enough, so that a plan refuses what a run would.
"""

from __future__ import annotations

import inspect
import sys
from enum import IntEnum
from typing import Any

from transformers import DynamicCache, PretrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

PLAIN_ATTENTION = frozenset({"llama", "qwen2", "qwen3"})
"""Architectures whose attention is a softmax over scaled products and nothing else."""

ANY_PADDING = PLAIN_ATTENTION | {
    *("cohere", "gemma", "glm", "glm4", "gpt2", "gpt_neox", "granite", "helium", "mistral", "mixtral", "nemotron"),
    *("olmo", "olmo2", "olmoe", "phi", "phi3", "qwen2_moe", "qwen3_moe", "smollm3", "stablelm", "starcoder2"),
}
"""Architectures that take the position of each token as given, and attend to all that is not masked."""

UNBOUNDED = sys.maxsize
"""The context of a model that has no limit of its own."""

_CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len", "context_length", "seq_length", "n_ctx")
_ENCODERS = {
    *MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    *MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    "bert-generation",
}
_OWN_STATES = {
    "minimax": "its cache is of a class of its own",
    "recurrent_gemma": "it keeps its state in its layers instead of a cache",
}


class PromptSharing(IntEnum):
    """What rows share of the work on prompts. Each kind of model also allows what those before it do."""

    UNPADDED = 0
    """A recurrent state takes in all that a row reads: only rows of one length run together, without padding."""
    PADDED = 1
    """Each token has keys and values, and padding before a prompt is masked."""
    JOINED = 2
    """Padding is masked wherever it stands, so what prompts begin with in common can be computed once."""
    IN_PLACE = 3
    """Attention can be computed by our own function, which reads a prompt's keys once for all its rows."""


def sharing_of(config: PretrainedConfig) -> PromptSharing:
    """What a model with this config allows."""
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    if not kinds <= {DynamicLayer, DynamicSlidingWindowLayer} or not _takes(config, "past_key_values"):
        return PromptSharing.UNPADDED
    if DynamicSlidingWindowLayer in kinds or config.model_type not in ANY_PADDING:
        return PromptSharing.PADDED
    return PromptSharing.IN_PLACE if config.model_type in PLAIN_ATTENTION else PromptSharing.JOINED


def check_architecture(config: PretrainedConfig) -> None:
    """Refuse a model whose log-probabilities would be wrong, or that cannot be made.

    Raises:
        ValueError: naming the model's type and the reason.
    """
    pad, size = map(config.get_text_config().to_dict().get, ("pad_token_id", "vocab_size"))
    if isinstance(pad, int) and isinstance(size, int) and pad >= size:
        raise ValueError(f"pad_token_id in config.json must be below vocab_size, {size:,}, got {pad}")
    reason = _unusable(config)
    if reason:
        raise ValueError(
            f"expected a causal language model that computes each token from those before it and returns a cache, "
            f"got {config.model_type!r}: {reason}; choose a model of another type"
        )


def context_of(config: PretrainedConfig) -> int:
    """Tokens of prompt and completion together, at most; `UNBOUNDED` where the config names no limit."""
    fields = config.get_text_config(decoder=True)
    named = fields.to_dict()
    limits = [int(named[name]) for name in _CONTEXTS if named.get(name) is not None]
    rope = named.get("rope_parameters") or {}
    if rope.get("rope_type") == "longrope":  # beyond, the positions of a row depend on the longest beside it
        limits.insert(0, int(rope.get("original_max_position_embeddings") or min(limits)))
    return limits[0] if limits else UNBOUNDED


def takes(model: PreTrainedModel, argument: str) -> bool:
    """Whether a model's `forward` has an argument of this name."""
    return argument in inspect.signature(type(model).forward).parameters


def _takes(config: PretrainedConfig, argument: str) -> bool:
    kind: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return argument in inspect.signature(kind.forward).parameters


def _unusable(config: PretrainedConfig) -> str:
    """Why a model cannot be run; "" if it can."""
    if config.model_type in _ENCODERS:
        return "it is an encoder, or has one"
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return "transformers has no causal language model of this type"
    if not _takes(config, "logits_to_keep") or not (
        _takes(config, "past_key_values") or _takes(config, "cache_params")
    ):
        return "it cannot go on from a cache"
    if config.get_text_config(decoder=True).to_dict().get("use_bidirectional_attention"):
        return "its tokens attend to those behind them"
    return _OWN_STATES.get(config.model_type, "")
