"""What generates and what trains: the two engines behind a language model, whoever provides them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.prompt_options import check_stop_strings
from mtgrpo_env.ranges import COLDEST, Range

Weights = Iterable[tuple[str, torch.Tensor]]
"""Whole parameters by their Hugging Face names, one after the other."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How tokens are drawn.

    Attributes:
        max_new_tokens: a completion is cut off here.
        temperature: of the softmax; 0 takes the likeliest token.
        top_p: tokens are drawn among the likeliest that have this probability together; 1 for all.
        top_k: tokens are drawn among this many of the likeliest; 0 for all.
        stop: strings that end a completion; the text of a response is cut before them.
        stratified: whether the completions of a prompt are drawn by codes that lie evenly (see `draws`).

    Raises:
        ValueError: naming the field, what is expected and what was given.
    """

    max_new_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    stratified: bool = False

    def __post_init__(self) -> None:
        Range(1).check("max_new_tokens", self.max_new_tokens)
        Range(0).check("temperature", self.temperature)
        if self.temperature:
            COLDEST.check("temperature, unless it is 0,", self.temperature)
        Range(0, 1, above=True).check("top_p", self.top_p)
        Range(0).check("top_k", self.top_k)
        check_stop_strings(self.stop)

    @property
    def is_restricted(self) -> bool:
        """Whether tokens are drawn among some of the vocabulary only."""
        return self.top_p < 1 or self.top_k > 0


class RolloutEngineError(RuntimeError):
    """Generation cannot go on: says which engine, what happened, and what to do."""


class RolloutEngine(Protocol):
    """Generates completions of tokenised prompts."""

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        """`counts[i]` completions of `prompts[i]`, as they are finished: pairs of a row and its completion.

        Rows number the completions prompt after prompt. What is drawn for a prompt depends on its seed, not on
        what stands beside it.
        """
        ...

    def load_weights(self, weights: Weights) -> None:
        """Generate with these from now on; they are consumed to the end, or not at all."""
        ...

    def generating(self) -> AbstractContextManager[object]:
        """Entered, on every rank alike, around a round of calls to `generate`: memory may be claimed and given back."""
        ...


class Parameters(Protocol):
    """The whole parameters of a model, wherever they are; with several ranks, all must take part to the end."""

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Each by its Hugging Face name, one at a time."""
        ...

    def load_weights(self, weights: Weights) -> None:
        """Set all of them."""
        ...


class TrainEngine(Protocol):
    """Accumulates gradients and takes optimiser steps, together with its peers on other ranks."""

    @property
    def lr(self) -> float:
        """Learning rate of the next steps, which may be set; no part of what is saved."""
        ...

    @lr.setter
    def lr(self, lr: float) -> None: ...

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        """Add the gradient of this rank's `loss` to the sum over all ranks; `is_last` before the step."""
        ...

    def step(self) -> float:
        """One optimiser step on what was accumulated; returns the gradient norm before clipping."""
        ...

    def save(self, folder: Path) -> None:
        """Write the optimiser's state into `folder`."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...
