"""Every architecture claimed computes what its plain forward pass does, whatever the lengths of the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedModel

from mtgrpo_env.agents.llm.architectures import (
    ANY_PADDING,
    PLAIN_ATTENTION,
    UNBOUNDED,
    PromptSharing,
    check_architecture,
    context_of,
    sharing_of,
)
from mtgrpo_env.agents.llm.data import Completion, PackedGroups, pack
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.log_probs import chosen_log_probs
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.prefix import completion_log_probs, full_sequence_log_probs
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.llm.tiny import tiny_tokenizer
from mtgrpo_env.types import Group, Problem, Rollout, Step

PAD, EOS = 0, 1
Fields = dict[str, Any]
TEXT: Fields = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": EOS,
    "pad_token_id": PAD,
}
HEAD: Fields = {"head_dim": 8}
WINDOW: Fields = {"sliding_window": 5}
EXPERTS: Fields = {
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
LINEAR: Fields = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
MAMBA: Fields = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 4,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 8,
}
VISION: Fields = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
SHORT_NAMES: Fields = {"vocab_size": 50, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
STATE: Fields = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}

UNPADDED: dict[str, Fields] = {
    "mamba": STATE,
    "mamba2": STATE | {"num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8},
    "falcon_mamba": STATE,
    "qwen3_5_text": TEXT | HEAD | LINEAR,
    "qwen3_next": TEXT | HEAD | LINEAR | EXPERTS,
    "lfm2": TEXT | {"layer_types": ["conv", "full_attention"]},
    "bamba": TEXT | MAMBA | {"attn_layer_indices": [1]},
    "falcon_h1": TEXT | HEAD | MAMBA | {"mamba_d_ssm": 64},
    "granitemoehybrid": TEXT
    | EXPERTS
    | MAMBA
    | {"layer_types": ["mamba", "attention"], "shared_intermediate_size": 16},
    "jamba": TEXT
    | EXPERTS
    | {"mamba_d_state": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
}
PADDED: dict[str, Fields] = {
    "bloom": {"vocab_size": 50, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "cohere2": TEXT | WINDOW,
    "falcon": TEXT | {"alibi": True},
    "gemma2": TEXT | HEAD | WINDOW,
    "gemma3": {"text_config": TEXT | HEAD | WINDOW, "vision_config": VISION},
    "gemma3_text": TEXT | HEAD | WINDOW,
    "gpt_oss": TEXT | HEAD | EXPERTS | WINDOW,
    "mpt": {"vocab_size": 50, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 128},
    "olmo3": TEXT | WINDOW,
    "opt": TEXT | {"ffn_dim": 48, "word_embed_proj_dim": 32},
}
JOINED: dict[str, Fields] = {
    "gemma": TEXT | HEAD,
    "glm": TEXT | HEAD,
    "glm4": TEXT | HEAD,
    "gpt2": SHORT_NAMES,
    "helium": TEXT | HEAD,
    "mistral": TEXT | {"sliding_window": None},
    "mixtral": TEXT | EXPERTS,
    "olmoe": TEXT | EXPERTS,
    "qwen2_moe": TEXT | EXPERTS,
    "qwen3_moe": TEXT | HEAD | EXPERTS,
}
JOINED |= dict.fromkeys(("cohere", "gpt_neox", "granite", "nemotron", "olmo", "olmo2"), TEXT)
JOINED |= dict.fromkeys(("phi", "phi3", "smollm3", "stablelm", "starcoder2"), TEXT)
IN_PLACE: dict[str, Fields] = {"llama": TEXT, "qwen2": TEXT, "qwen3": TEXT | HEAD}
MODELS = UNPADDED | PADDED | JOINED | IN_PLACE

BEGINNING = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
PROMPTS = [(*BEGINNING, 20), (21, 22), (*BEGINNING, 5, 4, 3), (*BEGINNING, 6), (23, 24)]
COUNTS = [2, 1, 2, 1, 2]


def config_of(name: str, **changes: Any) -> PretrainedConfig:
    return AutoConfig.for_model(name, **MODELS[name] | changes)


def model_of(name: str) -> PreTrainedModel:
    """A model whose every token depends strongly on what it sees."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config_of(name)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(4)
    return model


def plain_log_probs(model: PreTrainedModel, completion: Completion, temperature: float) -> torch.Tensor:
    """One forward pass over one row, without padding, a cache or positions."""
    ids = torch.tensor([completion.prompt + completion.tokens])
    logits = model(ids, use_cache=False).logits[0, len(completion.prompt) - 1 : -1]
    return chosen_log_probs(logits, torch.tensor(completion.tokens), temperature)


def packed_of(completions: Sequence[Completion]) -> PackedGroups:
    rollouts = tuple(Rollout((Step("", "", 0.0, extras=c),), 0.0, False) for c in completions)
    return pack([Group(Problem(0, seed=0), rollouts)], torch.ones(1).numpy(), PAD)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_generated_and_trained_on_has_the_log_probs_of_a_plain_forward_pass(
    name: str, temperature: float
) -> None:
    model = model_of(name)
    engine = TransformersEngine(model, pad_id=PAD, end_ids=[EOS])
    drawn = engine.generate(PROMPTS, COUNTS, Decoding(6, temperature), range(len(PROMPTS)))
    completions = [completion for _, completion in drawn]
    with torch.no_grad():
        plain = [plain_log_probs(model, completion, temperature or 1.0) for completion in completions]
        rows = completion_log_probs(model, packed_of(completions), temperature or 1.0)
    for completion, ours, expected in zip(completions, rows, plain, strict=True):
        torch.testing.assert_close(torch.tensor(completion.log_probs), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours[: len(expected)], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["mamba", "qwen3_next", "gemma3_text", "mpt", "olmo2", "llama"])
def test_gradients_are_those_of_plain_forward_passes(name: str) -> None:
    model = model_of(name)
    lengths = (4, 1, 6, 3, 2)
    completions = [
        Completion(prompt, tuple(range(30, 30 + n)), (0.0,) * n) for prompt, n in zip(PROMPTS, lengths, strict=True)
    ]
    packed = packed_of(completions)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    plain = torch.stack([plain_log_probs(model, completion, 1.0).sum() for completion in completions]).sum()
    expected = torch.autograd.grad(plain, parameters, allow_unused=True)
    for compute in (completion_log_probs, full_sequence_log_probs):
        ours = torch.autograd.grad((compute(model, packed, 1.0) * packed.mask).sum(), parameters, allow_unused=True)
        for own, other in zip(ours, expected, strict=True):
            assert (own is None) == (other is None)
            if own is not None and other is not None:
                torch.testing.assert_close(own, other, atol=1e-4 * float(other.abs().max()) + 1e-7, rtol=0)


@pytest.mark.parametrize("kind", PromptSharing)
def test_each_kind_is_what_the_tests_prove(kind: PromptSharing) -> None:
    names = (UNPADDED, PADDED, JOINED, IN_PLACE)[kind]
    assert {name: sharing_of(config_of(name)) for name in names} == dict.fromkeys(names, kind)


def test_no_architecture_is_claimed_without_a_proof() -> None:
    assert set(IN_PLACE) == PLAIN_ATTENTION
    assert set(JOINED) | PLAIN_ATTENTION == ANY_PADDING


@pytest.mark.parametrize("name", ["mistral", "starcoder2"])
def test_a_window_counts_tokens_in_the_cache_so_nothing_is_joined(name: str) -> None:
    assert sharing_of(config_of(name, sliding_window=5)) == PromptSharing.PADDED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bart", "an encoder"),
        ("bert", "an encoder"),
        ("roberta", "an encoder"),
        ("rwkv", "cannot go on from a cache"),
        ("recurrent_gemma", "keeps its state in its layers"),
        ("vit", "no causal language model"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"got '{name}': .*{reason}"):
        check_architecture(AutoConfig.for_model(name))


def test_padding_that_is_no_token_is_refused_before_a_model_is_made() -> None:
    with pytest.raises(ValueError, match=r"pad_token_id in config.json must be below vocab_size, 32,000, got 99999"):
        check_architecture(LlamaConfig(pad_token_id=99999))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_proved_is_not_refused(name: str) -> None:
    check_architecture(config_of(name))


@pytest.mark.parametrize(
    ("name", "context"),
    [("llama", 128), ("gemma3", 128), ("gpt2", 64), ("mpt", 128), ("bloom", UNBOUNDED), ("mamba", UNBOUNDED)],
)
def test_the_context_is_found_by_any_of_its_names_or_has_no_bound(name: str, context: int) -> None:
    assert context_of(config_of(name)) == context


@pytest.mark.parametrize("name", ["qwen2", "qwen3_5_text", "qwen3_next", "lfm2", "gemma3", "bloom", "mpt", "mamba"])
def test_a_policy_answers_prompts_of_unequal_length(name: str) -> None:
    tokenizer = tiny_tokenizer()
    size = {"vocab_size": len(tokenizer)}
    fields = {"text_config": MODELS[name]["text_config"] | size} if name == "gemma3" else size
    model = AutoModelForCausalLM.from_config(config_of(name, **fields)).eval()
    policy = LanguageModelPolicy(model, tokenizer, decoding=Decoding(4, 1.0))
    responses, completions = policy.act(["1+2=", "12+34+5="], [0, 0])
    assert len(responses) == 2
    assert all(0 < len(completion.tokens) <= 4 for completion in completions)
