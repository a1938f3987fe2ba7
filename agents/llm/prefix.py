"""Log-probabilities of completions: prompts once per group, and what they begin with in common once for them all."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from mtgrpo_env.agents.llm.architectures import PromptSharing, sharing_of
from mtgrpo_env.agents.llm.beginnings import split_prompts
from mtgrpo_env.agents.llm.data import PackedGroups, left_padded
from mtgrpo_env.agents.llm.length_classes import length_classes
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
        """The prefix of each of `rows`, repeats allowed."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        cache.batch_select_indices(rows)
        return Prefix(cache, self.mask[rows], self.next_logits[rows])


def prefill(model: PreTrainedModel, prompts: torch.Tensor, mask: torch.Tensor) -> Prefix:
    """Run the model over left-padded distinct prompts, (U, T_p); the prefix may have padding between their tokens."""
    cache = DynamicCache(config=model.config)
    split = None
    if len(prompts) > 1 and sharing_of(model.config) >= PromptSharing.JOINED:
        split = split_prompts(_tokens(prompts, mask))
    if split is None:
        return _read(model, cache, prompts, mask)
    beginnings, beginnings_mask = _padded(split.beginnings, prompts.device)
    _read(model, cache, beginnings, beginnings_mask)
    which = torch.as_tensor(split.which, device=prompts.device)
    cache.batch_select_indices(which)
    rests, rests_mask = _padded(split.rests, prompts.device)
    return _read(model, cache, rests, torch.cat([beginnings_mask[which], rests_mask], dim=1))


def completion_log_probs(model: PreTrainedModel, packed: PackedGroups, temperature: float) -> torch.Tensor:
    """(R, T) log-probability of every token of every completion; gradients flow through the shared prompts."""
    if sharing_of(model.config) == PromptSharing.UNPADDED:
        return row_log_probs(model, packed, temperature)
    prefix, width = prefill(model, packed.prompts, packed.prompt_mask), packed.tokens.shape[1]
    classes = [torch.as_tensor(rows, device=packed.tokens.device) for rows in length_classes(packed.lengths.tolist())]
    found = [_continuation_log_probs(model, prefix, packed, rows, temperature) for rows in classes]
    padded = torch.cat([pad(log_probs, (0, width - log_probs.shape[1])) for log_probs in found])
    return padded[torch.cat(classes).argsort()]


def _continuation_log_probs(
    model: PreTrainedModel, prefix: Prefix, packed: PackedGroups, rows: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Of some rows, (r,), the log-probabilities up to the longest of them."""
    length = max(1, int(packed.lengths[rows].max()))  # a response may be empty, where its prompt left no room
    tokens, mask = packed.tokens[rows, :length], packed.mask[rows, :length]
    prefix = prefix.select(packed.prompt_index[rows])
    log_probs = chosen_log_probs(prefix.next_logits[:, None], tokens[:, :1], temperature)
    seen = tokens[:, :-1]  # the last token is predicted, never read
    if not seen.shape[1]:
        return log_probs
    positions = prefix.lengths[:, None] + torch.arange(seen.shape[1], device=seen.device)
    attention = torch.cat([prefix.mask, mask[:, :-1].to(prefix.mask.dtype)], dim=1)
    output = model(seen, attention_mask=attention, position_ids=positions, past_key_values=prefix.cache)
    return torch.cat([log_probs, chosen_log_probs(output.logits, tokens[:, 1:], temperature)], dim=1)


def full_sequence_log_probs(model: PreTrainedModel, packed: PackedGroups, temperature: float) -> torch.Tensor:
    """What `completion_log_probs` computes, the prompt anew for every row: slower, but one pass without a cache.

    That is what activation checkpointing asks for, and ZeRO-3 to let go of parameters during the backward pass.
    """
    if sharing_of(model.config) == PromptSharing.UNPADDED:
        return row_log_probs(model, packed, temperature)
    tokens = torch.cat([packed.prompts[packed.prompt_index], packed.tokens], dim=1)  # (R, T_p + T)
    mask = torch.cat([packed.prompt_mask[packed.prompt_index], packed.mask.to(packed.prompt_mask.dtype)], dim=1)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    predicting = torch.arange(-packed.tokens.shape[1] - 1, -1, device=tokens.device)  # from the prompt's last token on
    with _recomputing(model):
        output = model(tokens, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=predicting)
    return chosen_log_probs(output.logits, packed.tokens, temperature)


def row_log_probs(model: PreTrainedModel, packed: PackedGroups, temperature: float) -> torch.Tensor:
    """What `completion_log_probs` computes, for any causal model: each row whole, with padding behind it alone.

    A row's tokens do not depend on what stands behind them. Rows predict at places of their own, so logits are made
    of all places from the end of the shortest prompt on.
    """
    prompt_lengths, padding = packed.prompt_lengths, packed.prompts.shape[1] - packed.prompt_lengths  # (R,)
    padded = torch.cat([packed.prompts[packed.prompt_index], packed.tokens], dim=1)  # (R, T_p + T)
    places = torch.arange(int((prompt_lengths + packed.lengths).max()), device=padded.device)
    tokens = padded.gather(1, (padding[:, None] + places).clamp(max=padded.shape[1] - 1))
    first = int(prompt_lengths.min()) - 1
    with _recomputing(model):
        output = model(tokens, use_cache=False, logits_to_keep=places[first:-1])
    behind = torch.arange(packed.tokens.shape[1], device=padded.device)
    predicting = (prompt_lengths[:, None] - 1 - first + behind).clamp(max=output.logits.shape[1] - 1)  # (R, T)
    logits = output.logits[torch.arange(len(tokens), device=padded.device)[:, None], predicting]
    return chosen_log_probs(logits, packed.tokens, temperature)


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Keep only the inputs of layers in `full_sequence_log_probs`, and compute the rest again when going backward."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the new name is not in the transformers that vLLM wants
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _read(model: PreTrainedModel, cache: DynamicCache, tokens: torch.Tensor, mask: torch.Tensor) -> Prefix:
    """Run the model over (R, t) tokens behind what the cache holds; (R, T) mask of both."""
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    output = model(
        tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
    )
    return Prefix(cache, mask, output.logits[:, -1])


def _tokens(prompts: torch.Tensor, mask: torch.Tensor) -> list[tuple[int, ...]]:
    """Left-padded prompts without their padding."""
    return [tuple(ids[-length:]) for ids, length in zip(prompts.tolist(), mask.sum(dim=1).tolist(), strict=True)]


def _padded(rows: Sequence[tuple[int, ...]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    ids, mask = left_padded(rows, pad_id=0)
    return torch.as_tensor(ids, device=device), torch.as_tensor(mask, device=device)


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
