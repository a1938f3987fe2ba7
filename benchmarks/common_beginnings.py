"""Prompts that share worked examples: computed whole, and with their common beginnings computed once; one thread.

    python benchmarks/common_beginnings.py

The model has the shape of SmolLM2-135M and random weights.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import torch
import tyro
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from mtgrpo_env.agents.llm.prefix import prefill

SHAPE = LlamaConfig(
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    vocab_size=49_152,
    tie_word_embeddings=True,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What is computed.

    Attributes:
        prompts: distinct prompts in a call.
        tasks: among which they are divided evenly.
        tokens: of each prompt.
        common: tokens that all prompts of a task begin with.
        rounds: calls of each kind, in turn; the median is printed.
    """

    prompts: int = 32
    tasks: int = 4
    tokens: int = 119
    common: int = 90
    rounds: int = 3


@torch.inference_mode()
def main(settings: Settings) -> None:
    """Print the seconds of both ways and their ratio."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = LlamaForCausalLM(SHAPE).eval()
    prompts = torch.randint(3, SHAPE.vocab_size, (settings.prompts, settings.tokens))
    tasks = torch.arange(settings.prompts) % settings.tasks
    prompts[:, : settings.common] = prompts[: settings.tasks, : settings.common][tasks]
    ways = {"whole": whole, "common once": lambda model, prompts: prefill(model, prompts, torch.ones_like(prompts))}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(settings.rounds):
        for name, way in ways.items():
            started = time.process_time()
            way(model, prompts)
            seconds[name].append(time.process_time() - started)
    medians = {name: median(values) for name, values in seconds.items()}
    print(settings, *(f"{name}: {value:.2f} CPU s" for name, value in medians.items()), sep="\n")
    print(f"ratio: {medians['whole'] / medians['common once']:.2f}")


def whole(model: PreTrainedModel, prompts: torch.Tensor) -> None:
    """Every prompt from its first token on."""
    cache = DynamicCache(config=model.config)
    model(prompts, past_key_values=cache, use_cache=True, logits_to_keep=1)


if __name__ == "__main__":
    main(tyro.cli(Settings))
