"""Attention in which the keys and values of a prompt are held, and read in each step, once for all its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from mtgrpo_env.agents.llm.prefix import Prefix

_SHARED = "shared_prefix"  # the name of our attention in transformers


@contextmanager
def shared_attention(model: PreTrainedModel) -> Iterator[None]:
    """The model attends as `SharedPrefix` asks."""
    before = model.config._attn_implementation
    model.config._attn_implementation = _SHARED
    try:
        yield
    finally:
        model.config._attn_implementation = before


class SharedPrefix:
    """Plain attention; the keys and values of a prompt are held, and read in each step, once for all its rows.

    Args:
        model: runs, with the attention that this module registers.
        prefix: of each prompt.
        rows: (R,) which prompt each row continues, in ascending order.
        max_tokens: a row has no room for more.

    Attributes:
        cache: keys and values of the rows' own tokens.
    """

    def __init__(self, model: PreTrainedModel, prefix: Prefix, rows: torch.Tensor, *, max_tokens: int) -> None:
        self._model = model
        self._prefix = prefix
        self._rows = rows
        self._positions = prefix.lengths[rows]
        layers = [_OwnTokens(*of_prompts, len(rows), max_tokens) for of_prompts in _keys_and_values(prefix.cache)]
        self.cache = Cache(layers=[*layers])
        self._prompts = _SharedPrompts(prefix, rows)

    @property
    def first_logits(self) -> torch.Tensor:
        return self._prefix.next_logits[self._rows]

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        output = self._model(
            tokens[:, None],
            position_ids=self._positions[:, None],
            past_key_values=self.cache,
            use_cache=True,
            prompts=self._prompts,
        )
        self._positions = self._positions + 1
        return output.logits[:, -1]

    def keep(self, rows: torch.Tensor) -> None:
        self.cache.batch_select_indices(rows)
        self._rows, self._positions = self._rows[rows], self._positions[rows]
        self._prompts = _SharedPrompts(self._prefix, self._rows)


class _OwnTokens(DynamicLayer):
    """Keys and values of R rows at the front of buffers; a new token is written behind the others, which stay."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, num_rows: int, max_tokens: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self._buffers = [
            of_prompts.new_empty(num_rows, of_prompts.shape[1], max_tokens, of_prompts.shape[3])
            for of_prompts in (keys, values)
        ]
        self._show(0)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.get_seq_length()
        stop = start + key_states.shape[2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:stop] = states
        return self._show(stop)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        length = self.get_seq_length()
        self._buffers = [buffer.index_select(0, indices) for buffer in self._buffers]
        self._show(length)

    def _show(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Let `keys` and `values`, which the base class reads, be the first `length` tokens."""
        self.keys, self.values = (buffer[:, :, :length] for buffer in self._buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return 0 if self.keys is None else self.keys.shape[2]


def _keys_and_values(cache: DynamicCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each layer, (P, heads, T_p, width)."""
    layers: list[tuple[torch.Tensor, torch.Tensor]] = []
    for layer in cache.layers:
        assert isinstance(layer, DynamicLayer)
        assert layer.keys is not None
        assert layer.values is not None
        layers.append((layer.keys, layer.values))
    return layers


class _SharedPrompts:
    """What R rows attend to of the P prompts they continue.

    Rows of one prompt stand together in a grid of P times S, S the most rows that a prompt has, so that they
    are one matrix to multiply with.

    Args:
        prefix: of at least these prompts.
        rows: (R,) which prompt each continues, in ascending order.
    """

    def __init__(self, prefix: Prefix, rows: torch.Tensor) -> None:
        used, which, counts = torch.unique_consecutive(rows, return_inverse=True, return_counts=True)
        everything = len(used) == len(prefix.mask)
        layers = _keys_and_values(prefix.cache)
        self.layers = layers if everything else [(keys[used], values[used]) for keys, values in layers]
        self._size = len(used), int(counts.max())  # P, S
        within = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[which]
        is_full = self._size[0] * self._size[1] == len(rows)
        self._places = None if is_full else which * self._size[1] + within  # (R,) in the grid
        padding = prefix.mask == 0
        self._bias = None  # (R, 1, 1, T_p)
        if padding.any():
            bias = torch.zeros_like(padding, dtype=prefix.next_logits.dtype).masked_fill(padding, -torch.inf)
            self._bias = bias[rows, None, None]

    def scores(self, layer: int, query: torch.Tensor) -> torch.Tensor:
        """(R, heads, G, T_p) of queries (R, heads, G, width)."""
        scores = self._product(query, self.layers[layer][0].transpose(2, 3))
        return scores if self._bias is None else scores + self._bias

    def mix(self, layer: int, weights: torch.Tensor) -> torch.Tensor:
        """(R, heads, G, width) values, mixed with weights (R, heads, G, T_p)."""
        return self._product(weights, self.layers[layer][1])

    def _product(self, rows: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
        """(R, heads, G, b) product of each row's (heads, G, a) with its prompt's (heads, a, b); those are (P, ...)."""
        _, heads, group, width = rows.shape
        if self._places is not None:
            grid = rows.new_zeros(self._size[0] * self._size[1], heads, group, width)
            rows = grid.index_copy_(0, self._places, rows)
        left = rows.reshape(*self._size, heads, group, width).transpose(1, 2).reshape(self._size[0], heads, -1, width)
        product = (left @ matrices).view(self._size[0], heads, self._size[1], group, -1)
        product = product.transpose(1, 2).reshape(len(rows), heads, group, -1)
        return product if self._places is None else product[self._places]


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,  # (R, heads of queries, 1, width)
    key: torch.Tensor,  # (R, heads, t, width) of the row's own tokens
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    prompts: _SharedPrompts,
    **kwargs: Any,  # what transformers passes to every kind of attention
) -> tuple[torch.Tensor, None]:
    """One new token of each row attends to the row's prompt and to its own tokens."""
    num_rows, num_heads, _, width = query.shape
    layer: int = module.layer_idx  # pyright: ignore[reportAssignmentType]
    query = (query * scaling).reshape(num_rows, key.shape[1], -1, width)  # heads that share a key are one matrix
    of_prompt = prompts.scores(layer, query)
    of_own = query @ key.transpose(2, 3)
    scores = torch.cat([of_prompt, of_own], dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    prompt_length = of_prompt.shape[-1]
    mixed = prompts.mix(layer, weights[..., :prompt_length]) + weights[..., prompt_length:] @ value
    return mixed.reshape(num_rows, 1, num_heads, width), None


AttentionInterface.register(_SHARED, _attend)
