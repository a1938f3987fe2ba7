"""How agents respond when they are benchmarked."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

from mtgrpo_env.prompt_options import PromptOptions, check_stop_strings


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """How a model behind an endpoint is called."""

    concurrency: int = 16
    """Requests to an endpoint that are under way at a time, at the most."""
    retries: int = 8
    """Of a request to an endpoint that fails for a while: time-outs, 429, 5xx, cut connections, broken answers."""
    patience: float = 300.0
    """Seconds until such a request is given up and tried again."""
    request: str = "{}"
    """JSON fields for every request; null leaves one out: '{"max_tokens": null, "max_completion_tokens": 4096}'."""
    cache: Path = Path("runs/replies.sqlite")
    """File in which responses are kept, of every agent that is named: what was answered before, by a run that was cut
    off say, is not asked or generated again. Another file for a fresh start."""

    def check(self) -> None:
        """Refuse what cannot work, before anything is built.

        Raises:
            ValueError: naming the option.
        """
        _check_at_least_1(self, "concurrency")
        if self.retries < 0:
            raise ValueError(f"retries must not be negative, got {self.retries}")
        if not self.patience > 0:
            raise ValueError(f"patience must be above 0, got {self.patience}")


@dataclass(frozen=True, kw_only=True)
class AgentOptions(PromptOptions, EndpointOptions):
    """How agents respond."""

    rollouts: int = 1
    """Rollouts of each problem (n of avg@n, and the largest k of pass@k)."""
    max_new_tokens: int = 1024
    """Longest response of a language model, in tokens; a checkpoint's is cut to what its context leaves."""
    temperature: float = 1.0
    """Of a language model's sampling; 0 takes the likeliest token."""
    top_p: float = 1.0
    """Tokens are drawn among the likeliest that have this probability together; 1 for all."""
    top_k: int = 0
    """Tokens are drawn among this many of the likeliest; 0 for all. Of endpoints, servers like vLLM alone know it."""
    stop: tuple[str, ...] = ()
    """Strings that end a response, which is scored as it stands before them: for a base model "User:", with which it
    goes on to a question of its own. A line break is $'\\n' in most shells."""
    device: str = "auto"
    """Where a checkpoint runs; auto is the accelerator that torch finds, else the CPU. vLLM knows its own."""
    vllm_memory: float = 0.9
    """Share of the GPU's memory for vLLM."""
    seed: int = 0
    """Of problems, guesses and sampling."""

    def with_endpoint(self, endpoint: EndpointOptions) -> AgentOptions:
        """The same, with the options of an endpoint."""
        return replace(self, **{field.name: getattr(endpoint, field.name) for field in fields(EndpointOptions)})

    def with_prompts(self, prompts: PromptOptions) -> AgentOptions:
        """The same, with the options of prompts."""
        return replace(self, **{field.name: getattr(prompts, field.name) for field in fields(PromptOptions)})

    def check(self) -> None:
        """Refuse what cannot work, before anything is built.

        Raises:
            ValueError: naming the option.
        """
        _check_at_least_1(self, "rollouts", "max_new_tokens")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be at least 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, got {self.top_k}")
        check_stop_strings(self.stop)
        if not 0 < self.vllm_memory <= 1:
            raise ValueError(f"vllm_memory must be above 0 and at most 1, got {self.vllm_memory}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        self.check_prompts()
        super().check()


def _check_at_least_1(options: EndpointOptions, *names: str) -> None:
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(options, name)}")
