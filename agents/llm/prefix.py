"""Log-probabilities of completions, the prompt computed once per group: in generation and in training alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from mtgrpo_env.agents.llm.data import PackedGroups
from mtgrpo_env.agents.llm.log_probs import chosen_log_probs


@dataclass(frozen=True, slots=True)
class Prefix:
    """Keys and values of a stack of prompts, and what the model expects next."""

    cache: DynamicCache
    mask: torch.Tensor  # (R, T_p)
    next_logits: torch.Tensor  # (R, V) of the first token after the prompt

    @property
    def lengths(self) -> torch.Tensor:
        """(R,) real tokens of each prompt."""
        return self.mask.sum(dim=1)

    def select(self, rows: torch.Tensor) -> Prefix:
        """The prefix of each of `rows`, repeats allowed; consumes this one's cache."""
        self.cache.batch_select_indices(rows)
        return Prefix(self.cache, self.mask[rows], self.next_logits[rows])


def prefill(model: PreTrainedModel, prompts: torch.Tensor, mask: torch.Tensor) -> Prefix:
    """Run the model over left-padded prompts, (U, T_p)."""
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    output = model(
        prompts, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
    )
    return Prefix(cache, mask, output.logits[:, -1])


def completion_log_probs(model: PreTrainedModel, packed: PackedGroups, temperature: float) -> torch.Tensor:
    """(R, T) log-probability of every token of every completion; gradients flow through the shared prompts."""
    prefix = prefill(model, packed.prompts, packed.prompt_mask).select(packed.prompt_index)
    log_probs = chosen_log_probs(prefix.next_logits[:, None], packed.tokens[:, :1], temperature)
    seen = packed.tokens[:, :-1]  # the last token is predicted, never read
    if not seen.shape[1]:
        return log_probs
    positions = prefix.lengths[:, None] + torch.arange(seen.shape[1], device=seen.device)
    attention = torch.cat([prefix.mask, packed.mask[:, :-1].to(prefix.mask.dtype)], dim=1)
    output = model(seen, attention_mask=attention, position_ids=positions, past_key_values=prefix.cache)
    return torch.cat([log_probs, chosen_log_probs(output.logits, packed.tokens[:, 1:], temperature)], dim=1)


def full_sequence_log_probs(model: PreTrainedModel, packed: PackedGroups, temperature: float) -> torch.Tensor:
    """What `completion_log_probs` computes, the prompt anew for every row: slower, but one pass without a cache.

    That is what activation checkpointing asks for, and ZeRO-3 to let go of parameters during the backward pass.
    """
    tokens = torch.cat([packed.prompts[packed.prompt_index], packed.tokens], dim=1)  # (R, T_p + T)
    mask = torch.cat([packed.prompt_mask[packed.prompt_index], packed.mask.to(packed.prompt_mask.dtype)], dim=1)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    predicting = torch.arange(-packed.tokens.shape[1] - 1, -1, device=tokens.device)  # from the prompt's last token on
    with _recomputing(model):
        output = model(tokens, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=predicting)
    return chosen_log_probs(output.logits, packed.tokens, temperature)


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Keep only the inputs of layers in `full_sequence_log_probs`, and compute the rest again when going backward."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the new name is not in the transformers that vLLM wants
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


@contextmanager
def _recomputing(model: torch.nn.Module) -> Iterator[None]:
    """Layers that checkpoint do so only in training mode; they alone enter it, so that nothing drops out."""
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer) and m.gradient_checkpointing]
    modes = [layer.training for layer in layers]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.training = mode
