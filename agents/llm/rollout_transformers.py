"""Generation with a transformers model in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import Completion, left_padded
from mtgrpo_env.agents.llm.decoding import decoder_of
from mtgrpo_env.agents.llm.engines import Decoding, Weights

_WORTH_DROPPING = 0.9  # rows held that still run; dropping the others copies what these have cached
_BELOW_ONE = 1 - 1e-6  # rounding must not carry a chance to the end, where tokens of no probability may be


class TransformersEngine:
    """Batched sampling with the model that is being trained: nothing to synchronise.

    Each prompt is computed once; finished rows leave the batch, some at a time.

    Args:
        model: a causal language model.
        pad_id: token id of padding.
        eos_id: token id that ends a completion.
        rows_at_once: completions generated in one batch; bounds the memory.
        whole: entered while the model generates, where its parameters are elsewhere partitioned.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        pad_id: int,
        eos_id: int,
        rows_at_once: int = 1024,
        whole: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.model = model
        self.pad_id = pad_id
        self.eos_id = eos_id
        self.rows_at_once = rows_at_once
        self.whole = whole

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        uniforms = [
            np.random.default_rng(seed).random((count, decoding.max_new_tokens), dtype=np.float32)
            for seed, count in zip(seeds, counts, strict=True)
        ]
        rows = np.repeat(np.arange(len(prompts)), counts)
        for start in range(0, len(rows), self.rows_at_once):
            part = rows[start : start + self.rows_at_once]
            first, last = int(part[0]), int(part[-1])
            offset = start - int(np.sum(counts[:first]))
            draws = np.concatenate(uniforms[first : last + 1])[offset : offset + len(part)]
            chances = torch.as_tensor(draws, device=self.model.device)
            wanted, which = list(prompts[first : last + 1]), torch.as_tensor(part - first)
            yield from enumerate(self._generate(wanted, which, decoding.temperature, chances), start)

    def load_weights(self, weights: Weights) -> None:
        """Nothing: the model that generates is the one that is trained."""

    def generating(self) -> AbstractContextManager[object]:
        return self.whole()

    @torch.inference_mode()
    def _generate(
        self, prompts: list[tuple[int, ...]], rows: torch.Tensor, temperature: float, chances: torch.Tensor
    ) -> list[Completion]:
        """A completion for each of `rows`, (R,) indices of prompts; (R, T) `chances` in [0, 1) decide its tokens."""
        device = self.model.device
        rows = rows.to(device)
        ids, mask = (torch.as_tensor(array, device=device) for array in left_padded(prompts, self.pad_id))
        limit = chances.shape[1]
        tokens = torch.full(chances.shape, self.pad_id, device=device)
        log_probs = torch.zeros(tokens.shape, device=device)
        lengths = torch.zeros(len(rows), dtype=torch.long, device=device)
        held = torch.arange(len(rows), device=device)
        running = torch.ones(len(rows), dtype=torch.bool, device=device)
        with decoder_of(self.model, ids, mask, rows, max_tokens=limit) as decoder:
            logits = decoder.first_logits
            for t in range(limit):
                chosen, chosen_log_probs = _draw(logits, temperature, chances[held, t])
                tokens[held, t], log_probs[held, t] = chosen, chosen_log_probs
                lengths[held] += running
                running &= chosen != self.eos_id
                num_running = int(running.sum())
                if not num_running or t + 1 == limit:
                    break
                if num_running <= _WORTH_DROPPING * len(held):
                    kept = torch.nonzero(running).squeeze(1)
                    decoder.keep(kept)
                    held, running, chosen = held[kept], running[kept], chosen[kept]
                logits = decoder.step(chosen)
        return _completions(prompts, rows, tokens, log_probs, lengths)


def _draw(logits: torch.Tensor, temperature: float, chances: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(R,) tokens and their log-probabilities: each is where the cumulated probabilities pass the row's chance."""
    log_probs = torch.log_softmax(logits.float() / (temperature or 1.0), dim=-1)
    if temperature == 0:
        chosen = log_probs.argmax(dim=-1)
    else:
        cumulated = log_probs.exp().cumsum(dim=-1)
        passed = chances[:, None] * cumulated[:, -1:] * _BELOW_ONE
        chosen = torch.searchsorted(cumulated, passed, right=True).squeeze(1)
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
