"""Does reading a prompt's keys and values once for all its rows pay? Greedy decoding, the two ways turn by turn.

python benchmarks/decoders.py
"""

from __future__ import annotations

from functools import partial

import torch
import tyro
from compare.timing import Pace, Work, race
from training import setting
from training.setting import SIZES
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.decoding import Decoder, RepeatedPrefix, decoder_of
from mtgrpo_env.agents.llm.prefix import prefill

LENGTHS = ((64, 64), (192, 16), (16, 64))
"""Of prompts, and of what is generated."""


def main(rounds: int = 9) -> None:
    """Print tokens per CPU-second of both decoders, on one thread."""
    torch.set_num_threads(1)
    print("| model | prompt | new tokens | repeated, tokens/s | shared, tokens/s | ratio |")
    print("|---" * 6 + "|")
    for name, size in SIZES.items():
        model = setting.tokenizer_and_model(size)[1]
        for prompt_length, new_tokens in LENGTHS:
            works: dict[str, Work | None] = {
                kind: partial(_generate, model, prompt_length, new_tokens, shared=kind == "shared")
                for kind in ("repeated", "shared")
            }
            result = race(works, Pace(rounds, seconds=0.1))
            rates = [f"{result.rate(kind):,.0f}" for kind in works]
            ratio = f"{result.ratio('shared', 'repeated'):.2f}x"
            print("| " + " | ".join([name, str(prompt_length), str(new_tokens), *rates, ratio]) + " |")


@torch.inference_mode()
def _generate(model: PreTrainedModel, prompt_length: int, new_tokens: int, *, shared: bool) -> int:
    ids = torch.arange(setting.NUM_PROMPTS * prompt_length).view(setting.NUM_PROMPTS, -1) % setting.VOCABULARY
    rows = torch.arange(setting.NUM_PROMPTS).repeat_interleave(setting.GROUP_SIZE)
    mask = torch.ones_like(ids)
    if not shared:
        return _continue(RepeatedPrefix(model, prefill(model, ids, mask), rows), new_tokens)
    with decoder_of(model, ids, mask, rows, max_tokens=new_tokens) as decoder:
        return _continue(decoder, new_tokens)


def _continue(decoder: Decoder, new_tokens: int) -> int:
    tokens = decoder.first_logits.argmax(dim=-1)
    for _ in range(new_tokens - 1):
        tokens = decoder.step(tokens).argmax(dim=-1)
    return len(tokens) * new_tokens


if __name__ == "__main__":
    tyro.cli(main)
