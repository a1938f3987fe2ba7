"""What vLLM is asked, the same in this process and over HTTP: equal seeds give equal completions either way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtgrpo_env.agents.llm.data import Completion, FinishReason
from mtgrpo_env.agents.llm.engines import Decoding


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """All that is wanted of one prompt.

    Attributes:
        prompt: token ids.
        rows: the rows of its completions, at least one.
        decoding: how tokens are drawn.
        seed: of the first completion; number i is drawn with the seed + i, as vLLM does it.
        end_ids: token ids that end a completion.
    """

    prompt: tuple[int, ...]
    rows: range
    decoding: Decoding
    seed: int
    end_ids: tuple[int, ...]

    @property
    def num_drawn(self) -> int:
        """Completions to generate: the likeliest tokens are the same in every row."""
        return 1 if self.decoding.temperature == 0 else len(self.rows)

    def rows_of(self, index: int) -> range:
        """The rows that completion number `index` answers."""
        return self.rows if self.decoding.temperature == 0 else self.rows[index : index + 1]

    def sampling(self) -> dict[str, Any]:
        """VLLM's sampling parameters of the first completion; nothing is left to a checkpoint's own defaults."""
        return {
            "temperature": self.decoding.temperature,
            "max_tokens": self.decoding.max_new_tokens,
            "seed": self.seed,
            "top_p": self.decoding.top_p,
            "top_k": self.decoding.top_k,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "ignore_eos": True,
            "stop_token_ids": list(self.end_ids),
            "logprobs": 0,  # of the drawn token alone
            "stop": list(self.decoding.stop),
            "include_stop_str_in_output": True,  # in the text, as its tokens are among the token ids
        }

    def completion(self, tokens: Sequence[int], log_probs: Sequence[float], finish_reason: FinishReason) -> Completion:
        """What vLLM drew; an end token ends a completion even where it is the last that was allowed."""
        ended = bool(tokens) and tokens[-1] in self.end_ids
        return Completion(self.prompt, tuple(tokens), tuple(log_probs), "stop" if ended else finish_reason)


def prompt_requests(
    prompts: Sequence[tuple[int, ...]],
    counts: Sequence[int],
    decoding: Decoding,
    seeds: Sequence[int],
    *,
    end_ids: Sequence[int],
) -> list[PromptRequest]:
    """One for each prompt that is wanted at all, rows numbered prompt after prompt."""
    requests: list[PromptRequest] = []
    first = 0
    for prompt, count, seed in zip(prompts, counts, seeds, strict=True):
        if count:
            rows = range(first, first + count)
            requests.append(PromptRequest(prompt, rows, decoding, _spread(seed), tuple(end_ids)))
        first += count
    return requests


def _spread(seed: int) -> int:
    """62 bits of a hash: the completions of neighbouring seeds must not share their random numbers."""
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]) >> 2
