"""Keys and values that grow in place: a new token is written behind the old ones, which stay where they are."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


def make_room(cache: DynamicCache, num_tokens: int) -> None:
    """Let `cache` take `num_tokens` more without moving what it holds.

    Layers with rules of their own about what they keep, as those of sliding windows, stay as they are.
    """
    for i, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer:
            cache.layers[i] = RoomyLayer(layer, num_tokens)


class RoomyLayer(DynamicLayer):
    """What a layer held, at the front of buffers with room for `num_tokens` more."""

    def __init__(self, layer: DynamicLayer, num_tokens: int) -> None:
        super().__init__()
        assert layer.keys is not None
        assert layer.values is not None
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True
        self._length = layer.keys.shape[-2]
        self._buffers = tuple(_with_room(old, num_tokens) for old in (layer.keys, layer.values))
        self._show()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start, self._length = self._length, self._length + key_states.shape[-2]
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., start : self._length, :] = new
        return self._show()

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        self._buffers = tuple(buffer.index_select(0, indices) for buffer in self._buffers)
        self._show()

    def _show(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Point `keys` and `values`, which the base class reads, at the filled part of the buffers."""
        self.keys, self.values = (buffer[..., : self._length, :] for buffer in self._buffers)
        return self.keys, self.values


def _with_room(old: torch.Tensor, num_tokens: int) -> torch.Tensor:
    *batch, length, width = old.shape  # (R, heads, T, width)
    buffer = old.new_empty(*batch, length + num_tokens, width)
    buffer[..., :length, :] = old
    return buffer
