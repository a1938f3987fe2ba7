"""Generation with a transformers model in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import Completion, left_padded
from mtgrpo_env.agents.llm.prefix import prefill


@dataclass(frozen=True, slots=True)
class Decoding:
    """How tokens are drawn.

    Attributes:
        max_new_tokens: a completion is cut off here.
        temperature: of the softmax; 0 takes the likeliest token.
    """

    max_new_tokens: int = 16
    temperature: float = 1.0


class RolloutEngine(Protocol):
    """Generates completions of tokenised prompts."""

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, rng: np.random.Generator
    ) -> list[Completion]:
        """`counts[i]` completions of `prompts[i]`, prompt after prompt; all randomness comes from `rng`."""
        ...


class TransformersEngine:
    """Batched sampling with the model that is being trained: nothing to synchronise.

    Each prompt is computed once and its keys and values repeated; finished rows leave the batch.

    Args:
        model: a causal language model.
        pad_id: token id of padding.
        eos_id: token id that ends a completion.
        rows_at_once: completions generated in one batch; bounds the memory.
    """

    def __init__(self, model: PreTrainedModel, *, pad_id: int, eos_id: int, rows_at_once: int = 1024) -> None:
        self.model = model
        self.pad_id = pad_id
        self.eos_id = eos_id
        self.rows_at_once = rows_at_once

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, rng: np.random.Generator
    ) -> list[Completion]:
        generator = torch.Generator(self.model.device).manual_seed(int(rng.integers(2**62)))
        rows = np.repeat(np.arange(len(prompts)), counts)
        completions: list[Completion] = []
        for start in range(0, len(rows), self.rows_at_once):
            part = rows[start : start + self.rows_at_once]
            first = int(part[0])
            wanted = list(prompts[first : int(part[-1]) + 1])
            completions += self._generate(wanted, torch.as_tensor(part - first), decoding, generator)
        return completions

    @torch.inference_mode()
    def _generate(
        self, prompts: list[tuple[int, ...]], rows: torch.Tensor, decoding: Decoding, generator: torch.Generator
    ) -> list[Completion]:
        device = self.model.device
        rows = rows.to(device)
        ids, mask = (torch.as_tensor(array, device=device) for array in left_padded(prompts, self.pad_id))
        prefix = prefill(self.model, ids, mask).select(rows)
        cache, mask, logits, positions = prefix.cache, prefix.mask, prefix.next_logits, prefix.lengths
        tokens = torch.full((len(rows), decoding.max_new_tokens), self.pad_id, device=device)
        log_probs = torch.zeros(tokens.shape, device=device)
        lengths = torch.zeros(len(rows), dtype=torch.long, device=device)
        alive = torch.arange(len(rows), device=device)
        for t in range(decoding.max_new_tokens):
            chosen, chosen_log_probs = _draw(logits, decoding.temperature, generator)
            tokens[alive, t], log_probs[alive, t], lengths[alive] = chosen, chosen_log_probs, t + 1
            running = torch.nonzero(chosen != self.eos_id).squeeze(1)
            if not len(running) or t + 1 == decoding.max_new_tokens:
                break
            if len(running) < len(alive):
                cache.batch_select_indices(running)
                alive, mask, positions, chosen = alive[running], mask[running], positions[running], chosen[running]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            output = self.model(
                chosen[:, None],
                attention_mask=mask,
                position_ids=positions[:, None],
                past_key_values=cache,
                use_cache=True,
            )
            logits, positions = output.logits[:, -1], positions + 1
        return _completions(prompts, rows, tokens, log_probs, lengths)


def _draw(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    log_probs = torch.log_softmax(logits.float() / (temperature or 1.0), dim=-1)
    if temperature == 0:
        chosen = log_probs.argmax(dim=-1)
    else:
        chosen = torch.multinomial(log_probs.exp(), 1, generator=generator).squeeze(1)
    return chosen, log_probs.gather(1, chosen[:, None]).squeeze(1)


def _completions(
    prompts: list[tuple[int, ...]],
    rows: torch.Tensor,
    tokens: torch.Tensor,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
) -> list[Completion]:
    columns = zip(rows.tolist(), tokens.tolist(), log_probs.tolist(), lengths.tolist(), strict=True)
    return [Completion(prompts[row], tuple(ids[:n]), tuple(values[:n])) for row, ids, values, n in columns]
