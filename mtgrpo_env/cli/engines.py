"""Which engines train and generate: their options, and what is built from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.engines import Decoding, Parameters, RolloutEngine, TrainEngine
from mtgrpo_env.agents.llm.lora import merged_weights, with_lora
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy, ModelParameters, load_model, load_tokenizer
from mtgrpo_env.agents.llm.prefix import checkpoint_activations, completion_log_probs, full_sequence_log_probs
from mtgrpo_env.agents.llm.ranks_torch import TorchRanks, launched_ranks
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.llm.weight_sync import CheckedEngine, trainer_log_probs
from mtgrpo_env.agents.llm.weights import WeightsOf, plain_weights
from mtgrpo_env.agents.llm.zero.config import Stage, ZeroConfig
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
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
    """While training, vLLM in this process keeps its memory (0), or moves its weights to the host (1)."""
    tokens_per_forward: int = 16_384
    """Tokens in one training pass, padding included; lower it when memory runs out, no result changes."""

    @property
    def log_probs(self) -> LogProbs:
        """How a model is run over completions in training: each prompt once, unless that would cost memory."""
        is_parted = self.engine == "deepspeed" and self.zero_stage == 3  # whole layers would be held between two passes
        return full_sequence_log_probs if self.activation_checkpointing or is_parted else completion_log_probs

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
    _one_of("vllm_sleep", options.vllm_sleep, (0, 1))
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
    from mtgrpo_env.agents.llm.zero.process_group import join_process_group

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
    model = _model(options, source)
    trained, weights_of = _trained(options, model, seed=seed)
    trainer, parameters = _trainer(options, trained, weights_of, lr=lr, device=device)
    tokenizer = load_tokenizer(source)
    policy = LanguageModelPolicy(model, tokenizer, decoding=decoding, parameters=parameters, ranks=ranks, seed=seed)
    if options.rollouts != "transformers":
        policy.engine = _checked_vllm(options, source, policy, probes)
    elif options.engine == "deepspeed":
        policy.engine = TransformersEngine(model, pad_id=policy.pad_id, eos_id=policy.eos_id, whole=trainer.gathered)
    return policy, trainer


def reference_of(options: EngineOptions, source: str, device: str) -> PreTrainedModel:
    """The starting model once more, whole and never trained."""
    model = load_model(source, dtype=options.zero.dtype)
    torch.nn.Module.to(model.requires_grad_(False), device)
    return model


def _model(options: EngineOptions, source: str) -> PreTrainedModel:
    dtype = options.zero.dtype
    if options.engine == "deepspeed":
        from mtgrpo_env.agents.llm.train_deepspeed import partitioned_loading

        with partitioned_loading(options.zero):
            model = load_model(source, dtype=dtype)
    else:
        model = load_model(source, dtype=dtype)
    if options.activation_checkpointing:
        checkpoint_activations(model)
    return model


def _trained(options: EngineOptions, model: PreTrainedModel, *, seed: int) -> tuple[torch.nn.Module, WeightsOf]:
    """The model, or the model around which adapters have been put: layer by layer, in the model itself."""
    if options.lora_rank:
        return with_lora(model, options.lora_rank, seed=seed), merged_weights
    return model, plain_weights


def _trainer(
    options: EngineOptions, model: torch.nn.Module, weights_of: WeightsOf, *, lr: float, device: str
) -> tuple[Any, Parameters]:
    if options.engine == "torch":
        model.to(device)
        return TorchTrainEngine(model, lr=lr), ModelParameters(model, weights_of)
    from mtgrpo_env.agents.llm.train_deepspeed import DeepSpeedTrainEngine

    engine = DeepSpeedTrainEngine(model, options.zero, lr=lr, weights_of=weights_of)
    return engine, engine


def _checked_vllm(
    options: EngineOptions, source: str, policy: LanguageModelPolicy, probes: Sequence[str]
) -> RolloutEngine:
    engine = _vllm_in_process(options, source, policy) if options.rollouts == "vllm" else _vllm_servers(options, policy)
    return CheckedEngine(
        engine,
        partial(
            trainer_log_probs,
            policy.model,
            temperature=policy.decoding.temperature,
            pad_id=policy.pad_id,
            log_probs=options.log_probs,
        ),
        [tuple(ids) for ids in policy.tokenizer(list(probes))["input_ids"]],
        tolerance=_TOLERANCES[options.dtype],
        decoding=Decoding(min(8, policy.decoding.max_new_tokens), policy.decoding.temperature),
        ranks=policy.ranks,
    )


def _vllm_in_process(options: EngineOptions, source: str, policy: LanguageModelPolicy) -> RolloutEngine:
    from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
    from mtgrpo_env.agents.llm.serving.options import VLLMOptions

    memory = VLLMOptions(model=source, dtype=options.dtype, memory_share=options.vllm_memory)
    level = options.vllm_sleep
    return VLLMRolloutEngine(memory, eos_id=policy.eos_id, sleep_level=level)  # pyright: ignore[reportArgumentType]


def _vllm_servers(options: EngineOptions, policy: LanguageModelPolicy) -> RolloutEngine:
    from mtgrpo_env.agents.llm.rollout_vllm_server import VLLMServerEngine
    from mtgrpo_env.agents.llm.serving.process import connected_server
    from mtgrpo_env.agents.llm.serving.weights import server_weight_sync

    servers = [connected_server(url) for url in _urls(options.rollouts)]
    return VLLMServerEngine(servers, eos_id=policy.eos_id, sync=server_weight_sync(servers), ranks=policy.ranks)


def _one_of(name: str, value: Any, known: Any) -> Any:
    if value not in known:
        raise ValueError(f"{name} must be one of {list(known)}, got {value!r}")
    return value


def _urls(rollouts: str) -> list[str]:
    urls = rollouts.split(",")
    return urls if all(url.startswith(("http://", "https://")) for url in urls) else []
