"""The estimate against real tensors: states to the byte, activations within a few per cent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, GPT2Config, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from mtgrpo_env.agents.llm.data import Completion, PackedGroups, pack
from mtgrpo_env.agents.llm.lora import with_lora
from mtgrpo_env.agents.llm.memory import ModelSize, Setup, estimate_memory, kept_bytes, recomputed_bytes
from mtgrpo_env.agents.llm.micro_batches import micro_batches
from mtgrpo_env.agents.llm.prefix import checkpoint_activations, completion_log_probs, full_sequence_log_probs
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
from mtgrpo_env.types import Group, Problem, Rollout, Step

SMALL = Qwen2Config(
    vocab_size=100,
    hidden_size=32,
    intermediate_size=96,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    tie_word_embeddings=True,
)
QWEN_3B = Qwen2Config(
    vocab_size=151_936,
    hidden_size=2048,
    intermediate_size=11_008,
    num_hidden_layers=36,
    num_attention_heads=16,
    num_key_value_heads=2,
    tie_word_embeddings=True,
)
PLAN = Setup(prompt_tokens=40, response_tokens=20, tokens_per_forward=400, group_size=8, minibatch_groups=2)


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    """Of the memory behind them, that of two tensors counted once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def packed_groups(num_groups: int, group_size: int, prompt_tokens: int, response_tokens: int) -> PackedGroups:
    """Groups of completions at their longest, but for the first prompt, which is shorter and padded."""
    groups: list[Group] = []
    for i in range(num_groups):
        prompt = (3 + i,) + (9,) * (prompt_tokens - 1 - 2 * (i == 0))
        extras = Completion(prompt, (5,) * response_tokens, (0.0,) * response_tokens)
        rollouts = tuple(Rollout((Step("", "", 1.0, extras),), 1.0, True) for _ in range(group_size))
        groups.append(Group(Problem(0, i), rollouts))
    return pack(groups, np.ones(num_groups), 0)


def really_kept(model: PreTrainedModel, packed: PackedGroups, *, recomputes: bool) -> int:
    """What autograd keeps of a training pass, parameters apart."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in parameters:
            kept.append(tensor)
        return tensor

    run = full_sequence_log_probs if recomputes else completion_log_probs
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run(model, packed, 1.0)
    return bytes_of(kept)


def test_the_parameters_of_a_published_model_are_counted_without_building_it() -> None:
    """Embeddings, then per layer queries, keys and values with biases, output, three matrices, two norms; a norm."""
    h, f, keys = 2048, 11_008, 2 * 128
    layer = (h * h + h) + 2 * (h * keys + keys) + h * h + 3 * h * f + 2 * h
    assert ModelSize.of(QWEN_3B).parameters == 151_936 * h + 36 * layer + h == 3_085_938_688


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
@pytest.mark.parametrize("lora_rank", [0, 4])
def test_states_of_plain_torch_are_those_of_the_real_tensors_to_the_byte(lora_rank: int) -> None:
    model = Qwen2ForCausalLM(SMALL)
    trained = with_lora(model, lora_rank) if lora_rank else model
    engine = TorchTrainEngine(trained, lr=1e-3)
    loss = model(torch.tensor([[3, 4, 5]])).logits.square().sum()
    engine.backward(loss, is_last=True)
    gradients = bytes_of(p.grad for p in trained.parameters() if p.grad is not None)
    engine.step()
    moments = (state[name] for state in engine.optimizer.state.values() for name in ("exp_avg", "exp_avg_sq"))
    estimate = estimate_memory(ModelSize.of(SMALL, lora_rank=lora_rank), PLAN)
    assert estimate.gradients == gradients
    assert estimate.optimizer == bytes_of(moments)
    assert estimate.parameters == bytes_of(trained.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recomputes", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 10, 40), (2, 8, 40, 20), (3, 4, 5, 50)])
def test_activations_are_what_autograd_keeps_within_fifteen_per_cent(
    dtype: torch.dtype, recomputes: bool, shape: tuple[int, int, int, int]
) -> None:
    num_groups, group_size, prompt_tokens, response_tokens = shape
    model = Qwen2ForCausalLM._from_config(SMALL, dtype=dtype).eval()
    setup = Setup(
        dtype=dtype,
        recomputes=recomputes,
        prompt_tokens=prompt_tokens,
        response_tokens=response_tokens,
        tokens_per_forward=num_groups * (prompt_tokens + group_size * response_tokens),
        group_size=group_size,
        minibatch_groups=num_groups,
    )
    if recomputes:
        checkpoint_activations(model)
    logits = num_groups * group_size * response_tokens * SMALL.vocab_size * dtype.itemsize
    kept = really_kept(model, packed_groups(*shape), recomputes=recomputes) - logits
    assert kept_bytes(ModelSize.of(SMALL), setup) == pytest.approx(kept, rel=0.15)


def test_activations_of_autocast_are_what_autograd_keeps_within_fifteen_per_cent() -> None:
    """Beside them there is a copy of the matrices in bfloat16, which autograd keeps too."""
    model = Qwen2ForCausalLM(SMALL).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        kept = really_kept(model, packed_groups(2, 8, 40, 20), recomputes=False)
    matrices = [m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear)]
    logits = 16 * 20 * SMALL.vocab_size
    kept -= 2 * (sum(matrices) + logits)
    assert kept_bytes(ModelSize.of(SMALL), replace(PLAN, autocast=True)) == pytest.approx(kept, rel=0.15)


def test_recomputing_adds_what_one_layer_would_have_kept() -> None:
    size, setup = ModelSize.of(SMALL), replace(PLAN, prompt_tokens=1, group_size=1)
    layer = replace(size, layers=1)
    at_once = kept_bytes(layer, setup) - kept_bytes(replace(size, layers=0), setup)
    assert recomputed_bytes(size, setup) == 0
    assert recomputed_bytes(size, replace(setup, recomputes=True)) == pytest.approx(at_once, rel=0.05)


@pytest.mark.parametrize("tokens", [1, 59, 60, 200, 201, 399, 400, 5000])
@pytest.mark.parametrize("ranks", [1, 3])
def test_the_largest_micro_batch_is_the_one_that_a_learner_makes(tokens: int, ranks: int) -> None:
    packed = packed_groups(4, 8, 40, 20)
    setup = replace(PLAN, tokens_per_forward=tokens, minibatch_groups=4, ranks=ranks)
    passes = [p for rank in range(ranks) for p in micro_batches(packed, tokens=tokens, rank=rank, size=ranks)]
    largest = max(len(of_pass.rows) for of_pass in passes)
    assert setup.micro_batch[1] == largest
    assert setup.micro_batch[0] <= max(len(packed.rows(p.rows).prompts) for p in passes)


def test_zero_shares_out_what_its_stage_says() -> None:
    """By the table of the ZeRO paper, with sums of gradients in float32."""
    size = ModelSize.of(QWEN_3B)
    p = size.parameters

    def states(stage: int, ranks: int, dtype: torch.dtype = torch.bfloat16, **more: str) -> tuple[float, ...]:
        setup = replace(PLAN, trainer="deepspeed", zero_stage=stage, ranks=ranks, dtype=dtype, **more)
        estimate = estimate_memory(size, setup)
        parts = estimate.parameters, estimate.gradients, estimate.optimizer, estimate.host
        return tuple(round(part / p, 2) for part in parts)

    assert states(0, 8) == (2, 2, 12, 0)
    assert states(0, 8, torch.float32) == (4, 4, 8, 0)
    assert states(2, 1) == (2, 4, 12, 0)
    assert states(2, 8) == (2, 0.5, 1.5, 0)
    assert states(2, 8, offload="optimizer") == (2, 0, 0, 2)
    assert states(3, 8) == (0.25, 0.5, 1.5, 0)
    assert states(3, 8, offload="all") == (0, 0, 0, 2.25)


def test_the_total_is_of_what_there_is_at_a_time() -> None:
    size = ModelSize.of(SMALL)
    training = estimate_memory(size, PLAN)
    a_few, many = (estimate_memory(size, replace(PLAN, round_rollouts=rows)) for rows in (1, 1000))
    assert 0 < a_few.generation < training.activations
    assert a_few.total == training.total
    assert many.total == many.parameters + many.optimizer + many.generation > training.total
    with_reference = estimate_memory(size, replace(PLAN, has_reference=True))
    assert with_reference.total == training.total + training.parameters


@pytest.mark.parametrize("sleeps", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.8])
def test_a_gpu_of_the_total_has_room_for_the_engine_s_share_and_all_that_is_there_beside_it(
    sleeps: bool, share: float
) -> None:
    estimate = estimate_memory(ModelSize.of(SMALL), replace(PLAN, engine_share=share, engine_sleeps=sleeps))
    assert estimate.rollout_engine == pytest.approx(share * estimate.total, abs=1)
    assert estimate.states + estimate.rollout_engine <= estimate.total
    assert estimate.states + estimate.training + (0 if sleeps else estimate.rollout_engine) <= estimate.total


def test_names_and_defaults_of_other_decoders_are_understood() -> None:
    size = ModelSize.of(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=10))
    assert (size.layers, size.hidden, size.feed_forward, size.key_heads, size.head_size) == (1, 8, 32, 2, 4)
    assert ModelSize.of(AutoConfig.for_model("bloom", n_layer=2, hidden_size=8, n_head=2)).layers == 2


def test_of_a_config_with_several_parts_the_size_is_that_of_the_text_s() -> None:
    text = SMALL.to_dict() | {"head_dim": 16, "sliding_window": 4}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = AutoConfig.for_model("gemma3", text_config=text, vision_config=vision)
    size = ModelSize.of(config)
    assert (size.layers, size.hidden, size.head_size) == (SMALL.num_hidden_layers, SMALL.hidden_size, 16)


@pytest.mark.parametrize("name", ["mamba", "qwen3_5_text", "qwen3_next"])
def test_a_model_with_other_layers_than_attention_is_not_estimated(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected a decoder with attention in every layer, got \w+Config"):
        ModelSize.of(AutoConfig.for_model(name))
