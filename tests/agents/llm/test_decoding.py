"""All decoders continue rows as a plain forward pass over each row does, whatever the prompts and whoever leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Cache,
    GPT2Config,
    GPT2LMHeadModel,
    Lfm2Config,
    LlamaConfig,
    LlamaForCausalLM,
    Mamba2Config,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.cache_utils import DynamicLayer

from mtgrpo_env.agents.llm.data import left_padded
from mtgrpo_env.agents.llm.decoding import RepeatedPrefix, RowsByLength, decoder_of
from mtgrpo_env.agents.llm.prefix import prefill
from mtgrpo_env.agents.llm.shared_prefix import SharedPrefix, shared_attention

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
SHARING: dict[str, Callable[[], PreTrainedModel]] = {
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=16)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
}
REPEATING: dict[str, Callable[[], PreTrainedModel]] = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=64)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=5)),
    "qwen2-sliding": lambda: Qwen2ForCausalLM(
        Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=5, max_window_layers=0)
    ),
}
UNPADDED: dict[str, Callable[[], PreTrainedModel]] = {
    "lfm2": lambda: AutoModelForCausalLM.from_config(Lfm2Config(**SIZES, layer_types=["conv", "full_attention"])),
    "mamba2": lambda: AutoModelForCausalLM.from_config(
        Mamba2Config(
            vocab_size=50, hidden_size=32, num_hidden_layers=2, state_size=4, num_heads=4, head_dim=16, n_groups=1
        )
    ),
}
PROMPTS = {
    "equal": ([3, 3], [0, 0, 1, 1]),
    "one-prompt": ([3], [0, 0, 0]),
    "one-row-each": ([4, 4, 4], [0, 1, 2]),
    "unequal": ([7, 2, 4], [0, 0, 0, 1, 2, 2]),
    "one-without-rows": ([5, 3, 2], [0, 2, 2]),
}
STEPS = 5


def made(make: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    """A model whose every token depends strongly on what it sees."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    return model


def largest_error(model: PreTrainedModel, lengths: Sequence[int], rows: Sequence[int], leave: Sequence[int]) -> float:
    """Of any step's logits, from a forward pass over each row alone; at the steps of `leave` the first row leaves."""
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(4, 50, (length,), generator=generator).tolist() for length in lengths]
    ids, mask = (torch.as_tensor(array) for array in left_padded(prompts, pad_id=0))
    sequences, which = [prompts[row] for row in rows], torch.tensor(rows)
    results: list[tuple[list[int], torch.Tensor]] = []
    with torch.inference_mode():
        with decoder_of(model, ids, mask, which, max_tokens=STEPS) as decoder:
            results += zip(sequences, decoder.first_logits, strict=True)
            for step in range(STEPS):
                if step in leave:
                    decoder.keep(torch.arange(1, len(sequences)))
                    sequences = sequences[1:]
                tokens = torch.randint(4, 50, (len(sequences),), generator=generator)
                sequences = [[*s, token] for s, token in zip(sequences, tokens.tolist(), strict=True)]
                results += zip(sequences, decoder.step(tokens), strict=True)
        plain = [model(torch.tensor([sequence])).logits[0, -1] for sequence, _ in results]
    errors = [(ours - p).abs().max() / p.abs().max() for (_, ours), p in zip(results, plain, strict=True)]
    return float(torch.stack(errors).max())


@pytest.mark.parametrize("prompts", PROMPTS)
@pytest.mark.parametrize("name", SHARING)
def test_rows_that_share_prompts_get_the_logits_of_a_plain_forward_pass(name: str, prompts: str) -> None:
    model = made(SHARING[name])
    assert largest_error(model, *PROMPTS[prompts], leave=()) < 1e-5


@pytest.mark.parametrize("leave", [(1,), (0, 2), (1, 2, 3)])
@pytest.mark.parametrize("name", SHARING)
def test_rows_that_stay_do_not_notice_who_leaves(name: str, leave: Sequence[int]) -> None:
    model = made(SHARING[name])
    assert largest_error(model, [7, 2, 4], [0, 0, 1, 1, 2, 2], leave=leave) < 1e-5


@pytest.mark.parametrize("leave", [(), (0, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize("name", [*REPEATING, *UNPADDED])
def test_other_architectures_continue_alike(name: str, leave: Sequence[int]) -> None:
    model = made({**REPEATING, **UNPADDED}[name])
    assert largest_error(model, [7, 2, 4], [0, 0, 0, 1, 2, 2], leave=leave) < 1e-5


@pytest.mark.parametrize("name", [*SHARING, *REPEATING, *UNPADDED])
def test_prompts_are_shared_only_where_attention_is_plain_and_nothing_is_forgotten(name: str) -> None:
    model = made({**SHARING, **REPEATING, **UNPADDED}[name])
    ids = torch.tensor([[5, 6, 7]])
    kinds = {RepeatedPrefix: REPEATING, RowsByLength: UNPADDED, SharedPrefix: SHARING}
    rows = torch.tensor([0, 0])
    with torch.inference_mode(), decoder_of(model, ids, torch.ones_like(ids), rows, max_tokens=2) as decoder:
        assert name in kinds[type(decoder)]


def test_the_model_has_its_own_attention_again_afterwards_even_after_an_error() -> None:
    model = made(SHARING["qwen2"])
    before = model.config._attn_implementation
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        rows = torch.tensor([0, 0])
        with pytest.raises(KeyError), decoder_of(model, ids, torch.ones_like(ids), rows, max_tokens=2):
            raise KeyError
    assert model.config._attn_implementation == before


def test_half_precision_stays_half_precision() -> None:
    model = made(SHARING["qwen2"]).bfloat16()
    assert largest_error(model, [3, 3], [0, 0, 1, 1], leave=()) < 0.05


def test_a_prompts_keys_are_held_once_and_new_tokens_are_written_in_place() -> None:
    model = made(SHARING["qwen2"])
    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])
    places = set[int]()
    with torch.inference_mode():
        prefix = prefill(model, ids, torch.ones_like(ids))
        with shared_attention(model):
            decoder = SharedPrefix(model, prefix, torch.tensor([0] * 20 + [1] * 20), max_tokens=4)
            for _ in range(4):
                decoder.step(torch.full((40,), 7))
                places |= {keys.data_ptr() for keys in keys_of(decoder.cache)}
            assert len(places) == len(keys_of(decoder.cache))
    assert [len(keys) for keys in keys_of(prefix.cache)] == [2, 2]


def keys_of(cache: Cache) -> list[torch.Tensor]:
    layers = [layer for layer in cache.layers if isinstance(layer, DynamicLayer)]
    return [layer.keys for layer in layers if layer.keys is not None]
