"""A Hugging Face causal language model as a policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.data import Completion, fold
from mtgrpo_env.agents.llm.rollout_transformers import Decoding, RolloutEngine, TransformersEngine

_RNG_FILE = "policy_rng.json"


class LanguageModelPolicy:
    """Answers prompts by sampling from a model.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer; padding falls back on the end-of-text token.
        decoding: how tokens are drawn.
        engine: generates; by default transformers, in this process, with `model` itself.
        seed: of the policy's own generator.

    Raises:
        ValueError: if the tokenizer has no end-of-text token.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        decoding: Decoding,
        engine: RolloutEngine | None = None,
        seed: int = 0,
    ) -> None:
        if tokenizer.eos_token_id is None:
            raise ValueError("the tokenizer needs an eos_token: without one a completion never ends")
        self.model = model
        self.tokenizer = tokenizer
        self.decoding = decoding
        self.eos_id = int(tokenizer.eos_token_id)
        self.pad_id = int(tokenizer.pad_token_id) if tokenizer.pad_token_id is not None else self.eos_id
        self.engine = engine or TransformersEngine(model, pad_id=self.pad_id, eos_id=self.eos_id)
        self.rng = np.random.default_rng(seed)

    @classmethod
    def from_pretrained(cls, source: str | Path, *, decoding: Decoding, device: str = "cpu", seed: int = 0) -> Self:
        """Load model and tokenizer from a folder or the Hugging Face hub.

        Raises:
            FileNotFoundError: if `source` looks like a folder and is none.
        """
        parts = Path(source).parts
        is_written_as_path = len(parts) != 2 or str(source).startswith((".", "/", "~"))
        looks_like_folder = is_written_as_path or Path(parts[0]).is_dir()
        if looks_like_folder and not Path(source).is_dir():
            raise FileNotFoundError(f"expected a model folder or a hub id like 'owner/name', got {str(source)!r}")
        model = AutoModelForCausalLM.from_pretrained(source).to(device)
        return cls(model, AutoTokenizer.from_pretrained(source), decoding=decoding, seed=seed)

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[str], list[Completion]]:
        """Responses, and the `Completion` behind each; equal prompts are computed once.

        Raises:
            ValueError: if a prompt is empty, or leaves no room in the model's context for a completion.
        """
        prompts, index = fold([tuple(ids) for ids in self.tokenizer(list(observations))["input_ids"]])
        self._check_room(prompts)
        decoding = Decoding(self.decoding.max_new_tokens, 0.0) if deterministic else self.decoding
        counts = np.bincount(index, minlength=len(prompts))
        generated = self.engine.generate(prompts, counts.tolist(), decoding, self.rng)
        by_prompt = np.argsort(np.asarray(index), kind="stable")  # generated[j] answers observation by_prompt[j]
        completions: list[Completion] = [generated[0]] * len(index)
        for completion, i in zip(generated, by_prompt, strict=True):
            completions[i] = completion
        texts = self.tokenizer.batch_decode([list(c.tokens) for c in completions], skip_special_tokens=True)
        return texts, completions

    def reseeded(self, seed: int) -> Self:
        return type(self)(self.model, self.tokenizer, decoding=self.decoding, engine=self.engine, seed=seed)

    def save(self, folder: Path) -> None:
        """Write a folder that `AutoModelForCausalLM.from_pretrained` loads, and the generator beside it."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / _RNG_FILE).write_text(json.dumps(self.rng.bit_generator.state))

    def load(self, folder: Path) -> None:
        saved = AutoModelForCausalLM.from_pretrained(folder, dtype=self.model.dtype)
        with torch.no_grad():
            self.model.load_state_dict(saved.state_dict())
        self.rng.bit_generator.state = json.loads((folder / _RNG_FILE).read_text())

    def _check_room(self, prompts: Sequence[tuple[int, ...]]) -> None:
        if not all(prompts):
            raise ValueError("every prompt must hold at least one token the tokenizer knows, got an empty one")
        longest = max(len(prompt) for prompt in prompts)
        context = int(self.model.config.max_position_embeddings)
        if longest + self.decoding.max_new_tokens > context:
            raise ValueError(
                f"a prompt of {longest} tokens and {self.decoding.max_new_tokens} new ones "
                f"exceed the model's context of {context} tokens"
            )
