"""What vLLM is started with, the same in this process and as a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

_ON_CPU = {
    "block_size": 32,  # the smallest that caches prefixes there
    "enforce_eager": True,  # compiling takes a minute and a compiler
    "enable_chunked_prefill": False,  # a seeded request whose prompt is split ends vLLM: it rewinds the generator
}
_LOADER = "mtgrpo_env.agents.llm.serving.worker.WeightLoading"


@dataclass(frozen=True, slots=True, kw_only=True)
class VLLMOptions:
    """An engine's model and memory.

    Attributes:
        model: a checkpoint folder, or a name on the Hugging Face hub.
        context: longest prompt and completion together, in tokens; by default the model's.
        dtype: of the weights; choose the trainer's.
        memory_share: of the device's memory, for weights and cache together.
        cache_bytes: size of the cache of keys and values, instead of what `memory_share` leaves for it.
        tensor_parallel: GPUs that one copy of the model is split over.
        eager: no compiled graphs: a start in seconds, and slower generation on GPUs. On the CPU there are none anyway.
    """

    model: str
    context: int | None = None
    dtype: str = "auto"
    memory_share: float = 0.3
    cache_bytes: int | None = None
    tensor_parallel: int = 1
    eager: bool = False

    def arguments(self) -> dict[str, Any]:
        """For vLLM's `EngineArgs`."""
        arguments: dict[str, Any] = {
            "model": self.model,
            "dtype": self.dtype,
            "gpu_memory_utilization": self.memory_share,
            "tensor_parallel_size": self.tensor_parallel,
            "enforce_eager": self.eager,
            "enable_prefix_caching": True,
            "logprobs_mode": "processed_logprobs",  # of the distribution drawn from, after temperature
            "generation_config": "vllm",  # not the checkpoint's own top-p or penalties
            "worker_extension_cls": _LOADER,
        }
        if self.context is not None:
            arguments["max_model_len"] = self.context
        if self.cache_bytes is not None:
            arguments["kv_cache_memory_bytes"] = self.cache_bytes
        if not torch.cuda.is_available():
            arguments |= _ON_CPU
        return arguments

    def flags(self) -> list[str]:
        """For vLLM's command line.

        >>> VLLMOptions(model="m", eager=True).flags()[:8]
        ['--model', 'm', '--dtype', 'auto', '--gpu-memory-utilization', '0.3', '--tensor-parallel-size', '1']
        """
        flags: list[str] = []
        for name, value in self.arguments().items():
            flag = name.replace("_", "-")
            if isinstance(value, bool):
                flags.append(f"--{flag}" if value else f"--no-{flag}")
            else:
                flags += [f"--{flag}", str(value)]
        return flags
