"""One token after the other for many rows; the prompts they continue are computed first, once each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.architectures import PromptSharing, sharing_of, takes
from mtgrpo_env.agents.llm.prefix import Prefix, prefill
from mtgrpo_env.agents.llm.shared_prefix import SharedPrefix, shared_attention


class Decoder(Protocol):
    """Continues rows, all of them by one token at a time."""

    @property
    def first_logits(self) -> torch.Tensor:
        """(R, V) of the token after the prompt of each row."""
        ...

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token to each row, (R,); the logits (R, V) of the next."""
        ...

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these, which are in their order."""
        ...


@contextmanager
def decoder_of(
    model: PreTrainedModel, prompts: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor, *, max_tokens: int
) -> Iterator[Decoder]:
    """Continue left-padded distinct prompts, (P, T_p), in (R,) ascending `rows` that name one each.

    No row is continued by more than `max_tokens`.
    """
    sharing = sharing_of(model.config)
    if sharing == PromptSharing.UNPADDED:
        yield RowsByLength(model, prompts, mask, rows)
    elif sharing < PromptSharing.IN_PLACE:
        yield RepeatedPrefix(model, prefill(model, prompts, mask), rows)
    else:
        prefix = prefill(model, prompts, mask)
        with shared_attention(model):
            yield SharedPrefix(model, prefix, rows, max_tokens=max_tokens)


class RepeatedPrefix:
    """Any model whose tokens have keys and values; those of the prompt are repeated for every row.

    Args:
        model: runs.
        prefix: of each prompt; consumed.
        rows: (R,) which prompt each row continues.
    """

    def __init__(self, model: PreTrainedModel, prefix: Prefix, rows: torch.Tensor) -> None:
        self._model = model
        self._rows, self._logits_of_prompts = rows, prefix.next_logits
        selected = prefix.select(rows)
        self._cache, self._mask, self._positions = selected.cache, selected.mask, selected.lengths

    @property
    def first_logits(self) -> torch.Tensor:
        return self._logits_of_prompts[self._rows]

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        output = self._model(
            tokens[:, None],
            attention_mask=self._mask,
            position_ids=self._positions[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        self._positions = self._positions + 1
        return output.logits[:, -1]

    def keep(self, rows: torch.Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._rows, self._mask, self._positions = self._rows[rows], self._mask[rows], self._positions[rows]


class UnpaddedRows:
    """Any causal model that returns a cache, whatever that holds; prompts of one length, without padding.

    Args:
        model: runs.
        prompts: (P, T_p) token ids.
        rows: (R,) which prompt each row continues.
    """

    def __init__(self, model: PreTrainedModel, prompts: torch.Tensor, rows: torch.Tensor) -> None:
        self._model = model
        self._cache_name = "past_key_values" if takes(model, "past_key_values") else "cache_params"
        self._takes_positions = takes(model, "position_ids")
        self._rows = rows
        self._length = 0
        self._cache: Any = None
        self._logits_of_prompts = self._read(prompts)
        self._cache.reorder_cache(rows)

    @property
    def first_logits(self) -> torch.Tensor:
        return self._logits_of_prompts[self._rows]

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._read(tokens[:, None])

    def keep(self, rows: torch.Tensor) -> None:
        self._cache.reorder_cache(rows)
        self._rows = self._rows[rows]

    def _read(self, tokens: torch.Tensor) -> torch.Tensor:
        """The logits (R, V) behind (R, t) tokens, which follow those that the cache has seen."""
        positions = torch.arange(self._length, self._length + tokens.shape[1], device=tokens.device)
        options = {"position_ids": positions.expand(len(tokens), -1)} if self._takes_positions else {}
        output = self._model(tokens, **{self._cache_name: self._cache}, use_cache=True, logits_to_keep=1, **options)
        self._cache = output[self._cache_name]
        self._length += tokens.shape[1]
        return output.logits[:, -1]


class RowsByLength:
    """Rows whose prompts have several lengths, those of each length continued together as `UnpaddedRows`.

    Args:
        model: runs.
        prompts: (P, T_p) token ids, left-padded.
        mask: (P, T_p).
        rows: (R,) which prompt each row continues.
    """

    def __init__(self, model: PreTrainedModel, prompts: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor) -> None:
        lengths = mask.sum(dim=1)[rows]  # (R,)
        self._parts: list[tuple[UnpaddedRows, torch.Tensor]] = []  # with the places of its rows among all
        for length in torch.unique(lengths).tolist():
            places = torch.nonzero(lengths == length).squeeze(1)
            used, which = torch.unique(rows[places], return_inverse=True)
            self._parts.append((UnpaddedRows(model, prompts[used, -length:], which), places))

    @property
    def first_logits(self) -> torch.Tensor:
        return self._together([part.first_logits for part, _ in self._parts])

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._together([part.step(tokens[places]) for part, places in self._parts])

    def keep(self, rows: torch.Tensor) -> None:
        parts, self._parts = self._parts, []
        for part, places in parts:
            kept = torch.nonzero(torch.isin(places, rows)).squeeze(1)
            if len(kept):
                part.keep(kept)
                self._parts.append((part, torch.searchsorted(rows, places[kept])))

    def _together(self, logits: list[torch.Tensor]) -> torch.Tensor:
        """The logits of all parts, in the order of all rows."""
        places = torch.cat([places for _, places in self._parts])
        return torch.cat(logits)[places.argsort()]
