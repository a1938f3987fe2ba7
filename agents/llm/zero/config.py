"""What ZeRO shares out among ranks, and how that is told to DeepSpeed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from mtgrpo_env.ranges import Range

Stage = Literal[0, 2, 3]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class ZeroConfig:
    """Where parameters, gradients and AdamW's state live.

    Attributes:
        stage: 0 keeps everything on every rank, 2 shares out gradients and optimiser state, 3 the parameters as well.
        precision: that the model computes in; AdamW steps in fp32 either way.
        offload_optimizer: keep the optimiser's state in the host's memory, and step there.
        offload_parameters: keep the shares of the parameters in the host's memory.
        bucket_elements: gradients are exchanged in pieces of about this many numbers; bounds the memory that takes.

    Raises:
        ValueError: if there is no such stage or precision, or the stage cannot offload what is asked for.
    """

    stage: Stage = 2
    precision: Precision = "bf16"
    offload_optimizer: bool = False
    offload_parameters: bool = False
    bucket_elements: int = 100_000_000

    def __post_init__(self) -> None:
        for name, allowed in (("stage", get_args(Stage)), ("precision", get_args(Precision))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}")
        for name, lowest in (("offload_optimizer", 2), ("offload_parameters", 3)):
            if getattr(self, name) and self.stage < lowest:
                raise ValueError(f"{name} needs stage {lowest} or above, got stage {self.stage}")
        Range(1).check("bucket_elements", self.bucket_elements)

    @property
    def dtype(self) -> torch.dtype:
        """Of the model's parameters."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16}[self.precision]


def deepspeed_config(config: ZeroConfig, *, max_grad_norm: float) -> dict[str, Any]:
    """DeepSpeed's own configuration.

    Batch sizes are said to be 1: the number of backward passes before a step is decided from step to step.
    """
    offload = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    zero = {
        "stage": config.stage,
        "reduce_bucket_size": config.bucket_elements,
        "allgather_bucket_size": config.bucket_elements,
        **({"offload_optimizer": offload} if config.offload_optimizer else {}),
        **({"offload_param": offload} if config.offload_parameters else {}),
    }
    # Stage 0 in bf16 knows no other type of gradients than its parameters'.
    sums = {"data_types": {"grad_accum_dtype": "fp32"}} if config.stage else {}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": max_grad_norm,
        "zero_optimization": zero,
        "zero_force_ds_cpu_optimizer": False,  # its own CPU optimiser is compiled on first use; torch's is not
        "bf16": {"enabled": config.precision == "bf16"},
        **sums,
    }
