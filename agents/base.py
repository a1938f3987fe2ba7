"""What the agent asks of a policy and of a learner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from mtgrpo_env.rollout import Policy
from mtgrpo_env.types import Batch, FloatArray, IntArray

CLIP_SYMMETRIC, CLIP_HIGHER = 0.2, 0.28
"""ε_high of GRPO, which is its ε_low too, and that of DAPO, which every learner has unless it is given another."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """What a pass over some groups shows of them anyway; (K,) each, NaN for a task that has none there.

    Attributes:
        sampled: Ĵ_GRPO,k of the policy that sampled the groups: every ratio is 1.
        current: Ĵ_GRPO,k of the policy that the pass ran.
    """

    sampled: FloatArray
    current: FloatArray


OnMinibatch = Callable[[Batch, Objectives], None]
"""Called after an optimiser step with the minibatch and its objectives just before the step."""


class TrainablePolicy(Policy, Protocol):
    """A policy with its own random generator and a place on disk."""

    rng: np.random.Generator

    def reseeded(self, seed: int) -> Self:
        """The same parameters with another generator, drawing as evaluations do; training never draws by it."""
        ...

    def generating(self) -> AbstractContextManager[object]:
        """Entered, on every rank alike, around the episodes of a batch or of an evaluation."""
        ...

    def save(self, folder: Path) -> None:
        """Write parameters and generator state into `folder`."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...


class Learner(Protocol):
    """Improves a policy on batches of groups."""

    def prepare(self, batch: Batch) -> Batch:
        """The batch with whatever has to be known of it before the first step on it; called once."""
        ...

    def update(self, batch: Batch, on_minibatch: OnMinibatch | None = None) -> Mapping[str, float]:
        """Optimiser steps on the GRPO objective of the batch; returns scalars worth logging, none of an empty batch."""
        ...

    def use_clip(self, clip_high: float) -> None:
        """Take a method's ε_high, unless the learner was made with one of its own."""
        ...

    def objectives(self, batch: Batch) -> FloatArray:
        """(K,) Ĵ_GRPO,k of the policy as it is now, without gradient; NaN for a task not in the batch."""
        ...

    def sampled_objectives(self, batch: Batch) -> FloatArray:
        """(K,) Ĵ_GRPO,k of the policy that sampled the batch: every ratio is 1, so no model is run."""
        ...

    def action_counts(self, batch: Batch) -> IntArray:
        """(K,) actions trained on: tokens of a language model, else env steps."""
        ...

    def save(self, folder: Path) -> None:
        """Write optimiser and generator state into `folder`."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...


def env_step_counts(batch: Batch) -> IntArray:
    """(K,) env steps trained on."""
    lengths = [sum(len(rollout.steps) for rollout in group.rollouts) for group in batch.groups]
    return np.bincount(batch.task_ids, weights=lengths, minlength=batch.num_tasks).astype(np.int64)
