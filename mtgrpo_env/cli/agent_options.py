"""How agents respond when they are evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AgentOptions:
    """How agents respond."""

    rollouts: int = 1
    """Rollouts of each problem (n of avg@n, and the largest k of pass@k)."""
    max_new_tokens: int = 1024
    """Longest response of a language model, in tokens; a checkpoint's is cut to what its context leaves."""
    temperature: float = 1.0
    """Of a language model's sampling; 0 takes the likeliest token."""
    device: str = "cpu"
    """Where a checkpoint runs; vLLM knows its own."""
    vllm_memory: float = 0.9
    """Share of the GPU's memory for vLLM."""
    concurrency: int = 16
    """Requests to an endpoint that are under way at a time, at the most."""
    retries: int = 8
    """Of a request to an endpoint that fails for a while: time-outs, 429, 5xx, cut connections, broken answers."""
    patience: float = 300.0
    """Seconds until such a request is given up and tried again."""
    request: str = "{}"
    """JSON fields for every request; null leaves one out: '{"max_tokens": null, "max_completion_tokens": 4096}'."""
    cache: Path = Path("runs/replies.sqlite")
    """File in which the replies of endpoints are kept: what was asked before, by a run that was cut off say, is not
    asked again."""
    seed: int = 0
    """Of problems, guesses and sampling."""


def check_agents(options: AgentOptions) -> None:
    """Refuse what cannot work, before anything is built.

    Raises:
        ValueError: naming the option.
    """
    for name in ("rollouts", "max_new_tokens", "concurrency"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(options, name)}")
    if options.retries < 0:
        raise ValueError(f"retries must not be negative, got {options.retries}")
    if options.patience <= 0:
        raise ValueError(f"patience must be above 0, got {options.patience}")
