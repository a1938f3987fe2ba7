"""The shared prompt: computed once per group, in generation and in training alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel

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
