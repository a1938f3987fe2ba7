"""Tokens a second: our engine in plain transformers beside vLLM in the same process, interleaved.

    python benchmarks/generation.py

The model is small and made here, so the table says what the engines themselves cost, not what a GPU can do.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from statistics import median

import torch
import tyro

from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngine
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
from mtgrpo_env.agents.llm.serving.options import VLLMOptions
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer

PAD, EOS = 0, 1  # of the tiny tokenizer


@dataclass(frozen=True, slots=True)
class Settings:
    """What is generated.

    Attributes:
        hidden_size: of the model; heads are 32 wide.
        num_layers: of the model.
        prompts: distinct prompts in a call.
        completions: of each prompt.
        prompt_tokens: length of a prompt.
        new_tokens: longest completion; one token in a hundred ends it.
        repeats: calls of each engine, in turn; the median is printed.
    """

    hidden_size: int = 128
    num_layers: int = 4
    prompts: int = 16
    completions: int = 8
    prompt_tokens: int = 64
    new_tokens: int = 64
    repeats: int = 5


def main(settings: Settings) -> None:
    tokenizer = tiny_tokenizer()
    context = settings.prompt_tokens + settings.new_tokens
    heads = settings.hidden_size // 32
    size = TinyModelConfig(settings.hidden_size, settings.num_layers, heads, context)
    model = tiny_model(tokenizer, size, seed=0).eval()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        options = VLLMOptions(model=folder, dtype="float32", context=context, cache_bytes=1 << 30, eager=True)
        engines: dict[str, RolloutEngine] = {
            "transformers": TransformersEngine(model, pad_id=PAD, end_ids=[EOS]),
            "vllm": VLLMRolloutEngine(options, end_ids=[EOS]),
        }
        for engine in engines.values():
            generate(engine, settings, seed=0)
        rates: dict[str, list[float]] = {name: [] for name in engines}
        for repeat in range(1, settings.repeats + 1):
            for name, engine in engines.items():
                rates[name].append(generate(engine, settings, seed=repeat))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{parameters / 1e6:.2f}M parameters, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    print(f"{settings}\n\n{'engine':<14}{'tokens/s':>10}{'lowest':>10}{'highest':>10}")
    for name, values in rates.items():
        print(f"{name:<14}{median(values):>10.0f}{min(values):>10.0f}{max(values):>10.0f}")


def generate(engine: RolloutEngine, settings: Settings, *, seed: int) -> float:
    """Tokens a second of one call; every call has prompts of its own, so that nothing is remembered."""
    generator = torch.Generator().manual_seed(seed)
    shape = settings.prompts, settings.prompt_tokens
    prompts = [tuple(row) for row in torch.randint(4, 90, shape, generator=generator).tolist()]
    seeds = [seed * settings.prompts + i for i in range(settings.prompts)]
    decoding = Decoding(settings.new_tokens)
    started = time.perf_counter()
    with engine.generating():
        drawn = [c for _, c in engine.generate(prompts, [settings.completions] * settings.prompts, decoding, seeds)]
    seconds = time.perf_counter() - started
    return sum(len(completion.tokens) for completion in drawn) / seconds


if __name__ == "__main__":
    main(tyro.cli(Settings))
