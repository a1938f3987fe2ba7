"""New weights for a running vLLM, inside its workers: vLLM mixes `WeightLoading` into each of them by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open


class _Worker(Protocol):
    """What is used of vLLM's worker."""

    def reload_weights(self, *, weights_iterator: Iterator[tuple[str, torch.Tensor]]) -> None: ...

    def get_model(self) -> Any: ...


class WeightLoading:
    """Methods for `collective_rpc`."""

    def load_pairs(self: _Worker, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Load whole parameters by their Hugging Face names; in the process of the caller only.

        vLLM keeps a layer's parameters until the last of them has come, and the source may free or reuse one
        when it is asked for the next, so each is copied.
        """
        self.reload_weights(weights_iterator=((name, tensor.detach().clone()) for name, tensor in weights))
        renew_output_head(self.get_model())

    def load_folder(self: _Worker, folder: str) -> None:
        """Load all safetensors files of a folder."""
        self.reload_weights(weights_iterator=_read(Path(folder)))
        renew_output_head(self.get_model())


def renew_output_head(model: Any) -> None:
    """Make the output head see the weights it shares with the embedding.

    On the CPU vLLM keeps a packed copy of every matrix. A reload packs a layer again when one of its own
    parameters came, and a tied head has none: it would go on with the old ones, and say nothing.
    """
    from vllm.model_executor.layers.vocab_parallel_embedding import (  # pyright: ignore[reportMissingImports]
        ParallelLMHead,
    )

    for module in model.modules():
        if isinstance(module, ParallelLMHead):
            module.quant_method.process_weights_after_loading(module)


def _read(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"expected safetensors files in {folder}, got none")
    for file in files:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                yield name, tensors.get_tensor(name)
