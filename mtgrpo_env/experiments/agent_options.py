"""How agents respond when they are benchmarked."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

from mtgrpo_env.prompt_options import PromptOptions, check_stop_strings
from mtgrpo_env.ranges import Count, CountOrNone, NonNegative, Positive, PositiveShare, Range, Seed, check_ranges

Threads = Annotated[int, Range(1, 1000)]


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """How a model behind an endpoint is called."""

    concurrency: Threads = 16
    """Requests to an endpoint that are under way at a time, at the most."""
    retries: CountOrNone = 8
    """Of a request to an endpoint that fails for a while: time-outs, 429, 5xx, cut connections, broken answers.
    Where it fails after these, the rollout is left out as invalid, and counted."""
    patience: Positive = 300.0
    """Seconds that such a request may take as a whole, however its answer trickles in, until it is tried again."""
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
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class AgentOptions(PromptOptions, EndpointOptions):
    """How agents respond."""

    rollouts: Count = 1
    """Rollouts of each problem (n of avg@n, and the largest k of pass@k)."""
    max_new_tokens: Count = 1024
    """Longest response of a language model, in tokens; a checkpoint's is cut to what its context leaves."""
    temperature: NonNegative = 1.0
    """Of a language model's sampling; 0 takes the likeliest token."""
    top_p: PositiveShare = 1.0
    """Tokens are drawn among the likeliest that have this probability together; 1 for all."""
    top_k: CountOrNone = 0
    """Tokens are drawn among this many of the likeliest; 0 for all. Of endpoints, servers like vLLM alone know it."""
    stop: tuple[str, ...] = ()
    """Strings that end a response, which is scored as it stands before them: for a base model "User:", with which it
    goes on to a question of its own. A line break is $'\\n' in most shells."""
    device: str = "auto"
    """Where a checkpoint runs; auto is the accelerator that torch finds, else the CPU. vLLM knows its own."""
    vllm_memory: PositiveShare = 0.9
    """Share of the GPU's memory for vLLM."""
    seed: Seed = 0
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
        check_stop_strings(self.stop)
        self.check_prompts()
        super().check()
