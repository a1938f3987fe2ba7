"""How much memory a run takes on each GPU, worked out before any weight is loaded.

The model's states follow from its number of parameters alone. With P parameters, of which Q are trained (all, or
the adapters), W ranks, and b bytes for a number of the model's type:

| trainer | parameters | gradients | optimiser |
|---|---|---|---|
| torch | bP | bQ | 2bQ: AdamW's two moments, in the parameters' type |
| ZeRO 0 | bP | bQ | 8Q, and 4Q more for the float32 copy of bfloat16 parameters |
| ZeRO 2 | bP | 4Q/W | 12Q/W: float32 copy and moments |
| ZeRO 3 | bP/W | 4Q/W | 12Q/W |

ZeRO 2 and 3 exchange gradients in buckets, and ZeRO 3 gathers parameters that are in use; both are bounded by
constants and counted as `buffers`. What is offloaded stands in `host` instead. Under bfloat16 autocast torch
keeps a copy of the parameters during a pass, counted as `buffers` and in generation, and b below is 2.

A training pass runs R rows of t new tokens, which see s tokens before and among them, through L layers of width h,
with a attention heads of width d and a feed-forward width f. For the backward pass a layer keeps

    R t (2 (4 + 2b) h    both norms: their input in float32, the normalised input, what the matrices read
         + 2 b a d       queries and what attention returns
         + 4 a           attention's normaliser, float32
         + 4 b f)        gate, up, the activated gate, and the product that the last matrix reads
    + 2 R s b a d        keys and values, repeated for every head
    + R t s b            the mask, which attention turns into numbers

The pass over the prompts has t = s, that over the completions continues it; recomputing layers, one pass runs over
both, L layers keep their input b R t h alone, and one at a time has all of the above. Logits are b R t V and their
gradient as much: `log_softmax` goes over them in pieces.

Generation with transformers holds keys and values, 2 b L k d for each token of each row with k key heads, and in
sampling the logits of all rows in three float32 copies. A vLLM engine in the process has a share of the device,
so what the device must have follows from what the rest needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from mtgrpo_env.agents.llm.architectures import PromptSharing, sharing_of
from mtgrpo_env.agents.options import ALL_LINEAR

_BUCKET = 100_000_000  # numbers in a gradient bucket, as our ZeRO configuration has it
_FEED_FORWARD = 4  # times the width, where a config does not say: GPT-2's, BLOOM's and MPT's
_LIVE = 1_000_000_000  # parameters that ZeRO 3 keeps gathered at most: DeepSpeed's default


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """What memory depends on of a decoder with attention in every layer.

    Attributes:
        parameters: P, tied ones counted once.
        trained: Q.
        layers: L.
        hidden: h.
        feed_forward: f.
        heads: a.
        key_heads: k.
        head_size: d.
        vocabulary: V.
    """

    parameters: int
    trained: int
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    key_heads: int
    head_size: int
    vocabulary: int

    @classmethod
    def of(cls, config: PretrainedConfig, *, lora_rank: int = 0, lora_targets: Sequence[str] = (ALL_LINEAR,)) -> Self:
        """The size of the model that a config describes; parameters are counted on a model without memory.

        Raises:
            ValueError: if the config does not have the numbers of a decoder with attention in every layer.
        """
        text = config.get_text_config(decoder=True)
        if sharing_of(config) == PromptSharing.UNPADDED:
            raise ValueError(f"expected a decoder with attention in every layer, got {type(text).__name__}")
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        own = sum(parameter.numel() for parameter in model.parameters())
        adapters = _adapters(model, lora_rank, lora_targets)
        given = text.to_dict()
        try:
            hidden, heads = text.hidden_size, text.num_attention_heads
            return cls(
                parameters=own + adapters,
                trained=adapters or own,
                layers=text.num_hidden_layers,
                hidden=hidden,
                feed_forward=given.get("intermediate_size") or _FEED_FORWARD * hidden,
                heads=heads,
                key_heads=given.get("num_key_value_heads") or heads,
                head_size=given.get("head_dim") or hidden // heads,
                vocabulary=text.vocab_size,
            )
        except AttributeError as error:
            raise ValueError(f"expected the config of a decoder, got {type(text).__name__}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What memory depends on of a run.

    Attributes:
        trainer: plain torch on one GPU, or DeepSpeed.
        ranks: W.
        zero_stage: of DeepSpeed.
        dtype: of the model's parameters.
        autocast: passes compute in bfloat16.
        offload: what DeepSpeed keeps in the host's memory.
        recomputes: layers keep their input alone and are run twice.
        has_reference: the starting model is kept too.
        prompt_tokens: of the longest prompt.
        response_tokens: of the longest response.
        tokens_per_forward: in one training pass.
        group_size: N.
        minibatch_groups: that an optimiser step is taken on, by all ranks together.
        round_rollouts: generated together by transformers, on all ranks; 0 if another engine generates.
        rows_at_once: that it generates on one rank.
        engine_share: of the GPU's memory, given to a rollout engine in this process.
        engine_sleeps: that engine gives it back while the model is trained.
    """

    trainer: Literal["torch", "deepspeed"] = "torch"
    ranks: int = 1
    zero_stage: int = 2
    dtype: torch.dtype = torch.float32
    autocast: bool = False
    offload: Literal["none", "optimizer", "all"] = "none"
    recomputes: bool = False
    has_reference: bool = False
    prompt_tokens: int
    response_tokens: int
    tokens_per_forward: int
    group_size: int
    minibatch_groups: int
    round_rollouts: int = 0
    rows_at_once: int = 1024
    engine_share: float = 0.0
    engine_sleeps: bool = False

    @property
    def micro_batch(self) -> tuple[int, int]:
        """Prompts and completions of the largest pass, at their longest; whole groups share their prompt."""
        share = math.ceil(self.minibatch_groups * self.group_size / self.ranks)
        group = self.prompt_tokens + self.group_size * self.response_tokens
        groups, rest = divmod(self.tokens_per_forward, group)
        more = max(0, rest - self.prompt_tokens) // self.response_tokens
        rows = max(1, min(share, groups * self.group_size + more))
        return math.ceil(rows / self.group_size), rows


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes on each GPU, and of the host for each.

    Attributes:
        parameters: of the model.
        reference: of the model that it is held near to.
        gradients: of what is trained.
        optimizer: its moments, and float32 copies.
        buffers: gradients under way and parameters gathered.
        activations: kept for the backward pass of the largest micro-batch.
        logits: of that micro-batch, with their gradient.
        generation: keys, values and sampling of transformers; not at the same time as the two before.
        rollout_engine: another engine's in this process, on the smallest GPU that has room for the rest.
        engine_sleeps: not at the same time as gradients, buffers, activations and logits either.
        host: what was offloaded.
    """

    parameters: int
    reference: int
    gradients: int
    optimizer: int
    buffers: int
    activations: int
    logits: int
    generation: int
    rollout_engine: int
    engine_sleeps: bool
    host: int

    @property
    def states(self) -> int:
        """What is there all the time."""
        return self.parameters + self.reference + self.optimizer

    @property
    def training(self) -> int:
        """What is there while a step is taken."""
        return self.gradients + self.buffers + self.activations + self.logits

    @property
    def total(self) -> int:
        """The most there is at a time, but for what an allocator loses between its pieces."""
        beside = 0 if self.engine_sleeps else self.rollout_engine
        return self.states + max(self.training + beside, self.generation, self.rollout_engine)


def estimate_memory(size: ModelSize, setup: Setup) -> MemoryEstimate:
    """By the formulas above."""
    states = _torch_states(size, setup) if setup.trainer == "torch" else _zero_states(size, setup)
    parameters, gradients, optimizer, buffers, host = states
    _, rows = setup.micro_batch
    estimate = MemoryEstimate(
        parameters=parameters,
        reference=_bytes(setup) * size.parameters if setup.has_reference else 0,
        gradients=gradients,
        optimizer=optimizer,
        buffers=buffers,
        activations=kept_bytes(size, setup) + recomputed_bytes(size, setup),
        logits=2 * _pass_bytes(setup) * rows * setup.response_tokens * size.vocabulary,
        generation=_generation_bytes(size, setup),
        rollout_engine=0,
        engine_sleeps=setup.engine_sleeps,
        host=host,
    )
    beside = estimate.states + (0 if setup.engine_sleeps else estimate.training)
    device = max(beside / (1 - setup.engine_share), estimate.states + estimate.training)
    return replace(estimate, rollout_engine=int(setup.engine_share * device))


def kept_bytes(size: ModelSize, setup: Setup) -> int:
    """Activations that the largest micro-batch keeps for its backward pass, logits apart."""
    prompts, rows = setup.micro_batch
    width = setup.prompt_tokens + setup.response_tokens
    last_norm = _norm_bytes(size, setup)
    if setup.recomputes:
        return rows * width * (size.layers * size.hidden * _bytes(setup) + last_norm)
    passes = (prompts, setup.prompt_tokens, setup.prompt_tokens), (rows, setup.response_tokens, width)
    return sum(size.layers * _layer_bytes(size, setup, *shape) + shape[0] * shape[1] * last_norm for shape in passes)


def recomputed_bytes(size: ModelSize, setup: Setup) -> int:
    """Activations of the one layer that is run again in the backward pass."""
    _, rows = setup.micro_batch
    width = setup.prompt_tokens + setup.response_tokens
    return _layer_bytes(size, setup, rows, width, width) if setup.recomputes else 0


def checkpoint_bytes(size: ModelSize, dtype: torch.dtype, *, is_whole: bool) -> int:
    """On disk: the whole model or what is trained of it, and of that a float32 copy and two moments."""
    return dtype.itemsize * (size.parameters if is_whole else size.trained) + 12 * size.trained


_States = tuple[int, int, int, int, int]
"""Parameters, gradients, optimiser, buffers, and the host's."""


def _torch_states(size: ModelSize, setup: Setup) -> _States:
    b = _bytes(setup)
    return b * size.parameters, b * size.trained, 2 * b * size.trained, _copy_bytes(size, setup), 0


def _zero_states(size: ModelSize, setup: Setup) -> _States:
    b, share = _bytes(setup), math.ceil(size.trained / setup.ranks)
    parameters = b * size.parameters
    if setup.zero_stage == 0:
        copies = 12 if b == 2 else 8
        return parameters, b * size.trained, copies * size.trained, 0, 0
    gradients, optimizer, buffers, host = 4 * share, 12 * share, b * min(_BUCKET, size.trained), 0
    if setup.zero_stage == 3:
        buffers += min(b * _LIVE, parameters)
        parameters = math.ceil(parameters / setup.ranks)
    if setup.offload != "none":
        gradients, optimizer, host = 0, 0, gradients + optimizer
    if setup.offload == "all":
        parameters, host = 0, host + parameters
    return parameters, gradients, optimizer, buffers, host


def _layer_bytes(size: ModelSize, setup: Setup, rows: int, new: int, seen: int) -> int:
    b, attention = _pass_bytes(setup), size.heads * size.head_size
    per_token = 2 * _norm_bytes(size, setup) + 2 * b * attention + 4 * size.heads + 4 * b * size.feed_forward
    return rows * (new * per_token + seen * 2 * b * attention + new * seen * b)


def _generation_bytes(size: ModelSize, setup: Setup) -> int:
    rows = min(setup.rows_at_once, math.ceil(setup.round_rollouts / setup.ranks))
    tokens = rows * (setup.prompt_tokens + setup.response_tokens)
    keys_and_values = (_bytes(setup) + _pass_bytes(setup)) * size.layers * size.key_heads * size.head_size
    return tokens * keys_and_values + rows * size.vocabulary * (_pass_bytes(setup) + 3 * 4) + _copy_bytes(size, setup)


def _copy_bytes(size: ModelSize, setup: Setup) -> int:
    """Of the parameters in bfloat16, while autocast runs."""
    return torch.bfloat16.itemsize * size.parameters if setup.autocast else 0


def _norm_bytes(size: ModelSize, setup: Setup) -> int:
    """Of a token: the input in float32, the normalised input, and what the matrices read."""
    return (4 + _bytes(setup) + _pass_bytes(setup)) * size.hidden


def _bytes(setup: Setup) -> int:
    return setup.dtype.itemsize


def _pass_bytes(setup: Setup) -> int:
    """b, of what matrices are multiplied in."""
    return torch.bfloat16.itemsize if setup.autocast else _bytes(setup)


def _adapters(model: PreTrainedModel, rank: int, targets: Sequence[str]) -> int:
    """Parameters of two matrices beside every linear layer but the output head, or beside those that are named."""
    linear = [(f".{name}", module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    if ALL_LINEAR in targets:
        chosen = [module for _, module in linear if module is not model.get_output_embeddings()]
    else:
        chosen = [module for name, module in linear if name.endswith(tuple(f".{target}" for target in targets))]
    return sum(rank * (layer.in_features + layer.out_features) for layer in chosen)
