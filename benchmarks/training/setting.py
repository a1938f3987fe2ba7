"""What both sides share: the model, the task, the lengths, the optimiser and the loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM

from mtgrpo_env.agents.llm.tiny import tiny_tokenizer
from mtgrpo_env.text_env import TextEnv, Verdict

PROMPT_TOKENS, NEW_TOKENS = 64, 64
NUM_PROMPTS, GROUP_SIZE = 16, 8
ROWS = NUM_PROMPTS * GROUP_SIZE
LEARNING_RATE, MAX_GRAD_NORM = 1e-4, 1.0
CLIP_LOW, CLIP_HIGH = 0.2, 0.28
CONTEXT = 256
NEVER = "<never>"
VOCABULARY = 100
"""Tokens that the models generate."""
_LOG_ODDS_OF_NEVER = -1e9
_PAD_ID = 0  # of the tiny tokenizer


@dataclass(frozen=True, slots=True)
class Size:
    """Of a Qwen2 model with 4 heads, keys and values shared by half as many."""

    name: str
    hidden: int
    layers: int
    intermediate: int


SIZES = {size.name: size for size in (Size("1M", 128, 4, 512), Size("160k", 64, 3, 192))}


class DigitsEnv(TextEnv[str]):
    """The more of a response are digits, the better: next to no two responses to a prompt are worth the same."""

    def generate(self, rng: np.random.Generator) -> str:
        return "".join(map(str, rng.integers(10, size=PROMPT_TOKENS)))

    def prompt(self, puzzle: str) -> str:
        return puzzle

    def verify(self, puzzle: str, response: str) -> Verdict:
        return Verdict(share_of_digits(response), is_success=False, outcome="wrong")

    def oracle(self, puzzle: str) -> str:
        return puzzle


def share_of_digits(response: str) -> float:
    """The reward of both sides."""
    return sum(character.isdigit() for character in response) / NEW_TOKENS


def tokenizer_and_model(size: Size) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Equal models whenever asked, and a tokenizer whose end token they never generate.

    So no completion ends before its last token, and neither side has to look for a way to suppress that: the bias of
    the token's logit does.
    """
    tokenizer = tiny_tokenizer()
    assert len(tokenizer) == VOCABULARY
    tokenizer.add_special_tokens({"eos_token": NEVER})
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=size.hidden,
            intermediate_size=size.intermediate,
            num_hidden_layers=size.layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            pad_token_id=_PAD_ID,
            eos_token_id=None,
            bos_token_id=None,
        )
    )
    head = torch.nn.Linear(size.hidden, len(tokenizer))
    head.weight = model.lm_head.weight
    head.bias = torch.nn.Parameter(torch.tensor([0.0] * VOCABULARY + [_LOG_ODDS_OF_NEVER]))
    model.lm_head = head
    return tokenizer, model


def num_parameters(size: Size) -> int:
    """Of a model of that size."""
    return sum(parameter.numel() for parameter in tokenizer_and_model(size)[1].parameters())
