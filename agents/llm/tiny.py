"""A language model small enough to train anywhere: an ordinary checkpoint folder, built and taught here.

Nothing is downloaded. The model has Qwen2's architecture and the tokenizer one token per character,
so every tool that loads a Hugging Face checkpoint loads this one.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from transformers import (
    AddedToken,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
)

from mtgrpo_env.agents.llm.data import left_padded

Demonstration = tuple[str, str]
"""A prompt and a response worth imitating."""

_NUM_PARTS = 3
_PAD, _EOS, _UNKNOWN, _BOX = "<pad>", "<eos>", "<unk>", "\\boxed{"


@dataclass(frozen=True, slots=True)
class TinyModelConfig:
    """Size of the model.

    Attributes:
        hidden_size: width of the residual stream.
        num_layers: transformer blocks.
        num_heads: attention heads; keys and values are shared by half as many.
        context: longest prompt and response together, in tokens.
    """

    hidden_size: int = 64
    num_layers: int = 3
    num_heads: int = 4
    context: int = 128


def tiny_tokenizer() -> Qwen2Tokenizer:
    r"""One token for each printable ASCII character, and one for `\boxed{`.

    It is a Qwen2 tokenizer without merges, not one of another kind: for a Qwen2 model `AutoTokenizer`
    makes a Qwen2 tokenizer of whatever the folder holds.
    """
    characters = [character for character in string.printable if character.isprintable() and character != " "]
    byte_names = [*characters, "\u0120", "\u010a"]  # byte-level BPE's names of blank and newline
    vocabulary = {token: i for i, token in enumerate([_PAD, _EOS, _UNKNOWN, *byte_names])}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary, merges=[], pad_token=_PAD, eos_token=_EOS, unk_token=_UNKNOWN, padding_side="left"
    )
    tokenizer.add_tokens([AddedToken(_BOX, special=False, normalized=False)])
    return tokenizer


def tiny_model(tokenizer: PreTrainedTokenizerBase, config: TinyModelConfig, *, seed: int) -> PreTrainedModel:
    """A Qwen2 model of the given size with parameters drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=len(tokenizer),
                hidden_size=config.hidden_size,
                intermediate_size=3 * config.hidden_size,
                num_hidden_layers=config.num_layers,
                num_attention_heads=config.num_heads,
                num_key_value_heads=config.num_heads // 2,
                max_position_embeddings=config.context,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
                bos_token_id=None,
            )
        )


def imitate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    demonstrate: Callable[[np.random.Generator, int], Sequence[Demonstration]],
    *,
    num_steps: int,
    batch_size: int = 128,
    lr: float = 3e-3,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Supervised training: raise the likelihood of demonstrated responses, given their prompts.

    Args:
        model: trained in place.
        tokenizer: of the model.
        demonstrate: draws that many demonstrations from a generator.
        num_steps: optimiser steps; the learning rate warms up over a twentieth and falls to zero on a cosine.
        batch_size: demonstrations in a step.
        lr: peak learning rate.
        seed: of the demonstrations.
        progress: told the step just finished and its loss.
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _cosine(step, num_steps))
    model.train()
    for step in range(1, num_steps + 1):
        loss = sum(_backward(model, part) for part in _parts(tokenizer, demonstrate(rng, batch_size)))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        progress(step, float(loss))
    model.eval()


_Part = tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]
"""Token ids, mask and labels, (n, T) each, and the part's share of the batch's response tokens."""


def _cosine(step: int, num_steps: int) -> float:
    warmup = max(1, num_steps // 20)
    return min((step + 1) / warmup, 0.5 + 0.5 * float(np.cos(np.pi * step / num_steps)))


def _backward(model: PreTrainedModel, part: _Part) -> float:
    """Add the gradient of the part's share of the mean loss over all response tokens; return that share."""
    ids, mask, labels, share = part
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    loss = model(ids, attention_mask=mask, position_ids=positions, labels=labels).loss * share
    loss.backward()
    return float(loss.detach())


def _parts(tokenizer: PreTrainedTokenizerBase, demonstrations: Sequence[Demonstration]) -> list[_Part]:
    """The batch in a few parts of similar length: one part would be mostly padding."""
    prompts = tokenizer([prompt for prompt, _ in demonstrations])["input_ids"]
    responses = tokenizer([response for _, response in demonstrations])["input_ids"]
    pairs = [(p, [*r, tokenizer.eos_token_id]) for p, r in zip(prompts, responses, strict=True)]
    pairs.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
    total = sum(len(response) for _, response in pairs)
    bounds = np.linspace(0, len(pairs), min(_NUM_PARTS, len(pairs)) + 1).astype(int)
    return [_part(tokenizer, pairs[i:j], total) for i, j in pairwise(bounds)]


def _part(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[list[int], list[int]]], total: int) -> _Part:
    ids, mask = left_padded([[*prompt, *response] for prompt, response in pairs], tokenizer.pad_token_id)
    labels = np.full_like(ids, -100)
    for i, (_, response) in enumerate(pairs):
        labels[i, -len(response) :] = response
    share = sum(len(response) for _, response in pairs) / total
    return torch.as_tensor(ids), torch.as_tensor(mask), torch.as_tensor(labels), share
