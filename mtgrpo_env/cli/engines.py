"""Which engines train and generate: their options, and what is built from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.engines import Decoding, Parameters, RolloutEngine, TrainEngine
from mtgrpo_env.agents.llm.lora import merged_weights, with_lora
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy, ModelParameters, load_model, load_tokenizer, special_ids
from mtgrpo_env.agents.llm.prefix import checkpoint_activations, completion_log_probs, full_sequence_log_probs
from mtgrpo_env.agents.llm.ranks_torch import TorchRanks, launched_ranks
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.llm.train_torch import TorchTrainEngine
from mtgrpo_env.agents.llm.weights import WeightsOf, plain_weights
from mtgrpo_env.agents.llm.zero_config import Stage, ZeroConfig
from mtgrpo_env.agents.ranks import OneRank, Ranks

if TYPE_CHECKING:
    from mtgrpo_env.agents.llm.learner import LogProbs

_TRAINERS = ("torch", "deepspeed")
_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16"}
_OFFLOADS = ("none", "optimizer", "all")
_TOLERANCES = {"float32": 1e-3, "bfloat16": 0.3}  # of log-probabilities of one model in two engines


@dataclass(frozen=True)
class EngineOptions:
    """Who trains and who generates; no choice changes what is computed, but for rounding."""

    engine: str = "torch"
    """Who trains: torch, in this process alone, or deepspeed, in as many as torchrun or its own launcher started."""
    zero_stage: int = 2
    """What DeepSpeed shares out among GPUs: 0 nothing, 2 gradients and optimizer state, 3 parameters as well."""
    dtype: str = "float32"
    """Of the model: float32, or bfloat16 with DeepSpeed, which steps on a float32 copy."""
    offload: str = "none"
    """What DeepSpeed keeps in the host's memory: none, optimizer (ZeRO 2 and 3) or all (ZeRO 3)."""
    activation_checkpointing: bool = False
    """Compute activations twice instead of keeping them; every row then has its own copy of the prompt."""
    lora_rank: int = 0
    """Rank of adapters that are trained instead of the model; 0 trains the model."""
    rollouts: str = "transformers"
    """Who generates: transformers, with the model that is trained; vllm, in this process; or URLs of vLLM servers,
    separated by commas."""
    vllm_memory: float = 0.3
    """Share of the GPU's memory for vLLM in this process, its weights and its cache."""
    vllm_sleep: int = 0
    """While training, vLLM in this process keeps its memory (0), moves its weights to the host (1), drops them (2)."""
    tokens_per_forward: int = 16_384
    """Tokens in one training pass, padding included; lower it when memory runs out, no result changes."""

    @property
    def log_probs(self) -> LogProbs:
        """How a model is run over completions in training."""
        return full_sequence_log_probs if self.activation_checkpointing else completion_log_probs

    @property
    def zero(self) -> ZeroConfig:
        """For DeepSpeed."""
        return ZeroConfig(
            stage=_one_of("zero_stage", self.zero_stage, get_args(Stage)),
            precision=_PRECISIONS[_one_of("dtype", self.dtype, _PRECISIONS)],  # pyright: ignore[reportArgumentType]
            offload_optimizer=self.offload != "none",
            offload_parameters=self.offload == "all",
        )


ENGINE_FIELDS = frozenset(EngineOptions.__dataclass_fields__) - {"lora_rank", "dtype"}
"""Options with which a run may go on other than it began."""


def check_engines(options: EngineOptions) -> None:
    """Refuse what cannot work, before anything is built.

    Raises:
        ValueError: naming the option.
    """
    _one_of("engine", options.engine, _TRAINERS)
    _one_of("offload", options.offload, _OFFLOADS)
    _one_of("dtype", options.dtype, _PRECISIONS)
    _one_of("vllm_sleep", options.vllm_sleep, (0, 1, 2))
    if options.lora_rank < 0:
        raise ValueError(f"lora_rank must not be negative, got {options.lora_rank}")
    if not (options.rollouts in ("transformers", "vllm") or _urls(options.rollouts)):
        raise ValueError(f"rollouts must be transformers, vllm or http:// URLs, got {options.rollouts!r}")
    if options.engine == "deepspeed":
        _ = options.zero  # refuses by itself
    elif launched_ranks() > 1:
        raise ValueError(f"{launched_ranks()} processes need --engine deepspeed, got {options.engine!r}")
    elif options.dtype != "float32":
        raise ValueError("dtype bfloat16 needs --engine deepspeed: small steps are lost on bfloat16 parameters")
    elif options.offload != "none":
        raise ValueError(f"offload needs --engine deepspeed, got {options.offload!r}")


def joined_ranks(options: EngineOptions) -> Ranks:
    """The processes that train together, once they have found each other."""
    if options.engine == "torch":
        return OneRank()
    from mtgrpo_env.agents.llm.process_group import join_process_group

    join_process_group()
    return TorchRanks()


@contextmanager
def left_ranks(options: EngineOptions) -> Iterator[None]:
    """Leave the process group at the end, without which torch complains."""
    try:
        yield
    finally:
        if options.engine != "torch" and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def build_policy(
    options: EngineOptions,
    source: str,
    *,
    decoding: Decoding,
    lr: float,
    device: str,
    ranks: Ranks,
    probes: Sequence[str],
    seed: int,
) -> tuple[LanguageModelPolicy, TrainEngine]:
    """The policy that starts at a model, and the engine that trains it.

    Args:
        options: which engines.
        source: folder or hub id.
        decoding: how tokens are drawn.
        lr: learning rate.
        device: of the torch engine; DeepSpeed knows its own.
        ranks: as `joined_ranks` gave them.
        probes: prompts on which a vLLM engine is compared with the trainer after every update.
        seed: of the policy's generator, and of adapters.
    """
    tokenizer = load_tokenizer(source)
    model, weights_of = _model(options, source, seed=seed)
    trainer, parameters = _trainer(options, model, weights_of, lr=lr, device=device)
    pad_id, eos_id = special_ids(tokenizer)
    engine: RolloutEngine
    if options.rollouts == "transformers":
        whole = nullcontext if isinstance(trainer, TorchTrainEngine) else trainer.gathered
        engine = TransformersEngine(model, pad_id=pad_id, eos_id=eos_id, whole=whole)
    else:
        engine = _checked_vllm(
            options, source, model, tokenizer, probes=probes, decoding=decoding, ranks=ranks
        )
    policy = LanguageModelPolicy(
        model, tokenizer, decoding=decoding, engine=engine, parameters=parameters, ranks=ranks, seed=seed
    )
    return policy, trainer


def reference_of(options: EngineOptions, source: str, device: torch.device) -> PreTrainedModel:
    """The starting model once more, whole and never trained."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[_PRECISIONS[options.dtype]]
    return load_model(source, dtype=dtype).to(device).requires_grad_(False)


def _model(options: EngineOptions, source: str, *, seed: int) -> tuple[Any, WeightsOf]:
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[options.dtype]
    if options.engine == "deepspeed":
        from mtgrpo_env.agents.llm.train_deepspeed import partitioned_loading

        with partitioned_loading(options.zero):
            model = load_model(source, dtype=dtype)
    else:
        model = load_model(source, dtype=dtype)
    if options.activation_checkpointing:
        checkpoint_activations(model)
    if options.lora_rank:
        return with_lora(model, options.lora_rank, seed=seed), merged_weights
    return model, plain_weights


def _trainer(
    options: EngineOptions, model: Any, weights_of: WeightsOf, *, lr: float, device: str
) -> tuple[Any, Parameters]:
    if options.engine == "torch":
        model.to(device)
        return TorchTrainEngine(model, lr=lr), ModelParameters(model, weights_of)
    from mtgrpo_env.agents.llm.train_deepspeed import DeepSpeedTrainEngine

    engine = DeepSpeedTrainEngine(model, options.zero, lr=lr, weights_of=weights_of)
    return engine, engine


def _one_of(name: str, value: Any, known: Any) -> Any:
    if value not in known:
        raise ValueError(f"{name} must be one of {list(known)}, got {value!r}")
    return value


def _urls(rollouts: str) -> list[str]:
    urls = rollouts.split(",")
    return urls if all(url.startswith(("http://", "https://")) for url in urls) else []
