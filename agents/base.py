"""What the agent asks of a policy and of a learner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

from mtgrpo_env.rollout import Policy
from mtgrpo_env.types import Batch, FloatArray


class TrainablePolicy(Policy, Protocol):
    """A policy with its own random generator and a place on disk."""

    def reseeded(self, seed: int) -> Self:
        """The same policy, same parameters, drawing from another generator."""
        ...

    def save(self, folder: Path) -> None:
        """Write parameters and generator state into `folder`."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...


class Learner(Protocol):
    """Improves a policy on batches of groups."""

    def update(self, batch: Batch) -> Mapping[str, float]:
        """Optimiser steps on the GRPO objective of the batch; returns scalars worth logging."""
        ...

    def objectives(self, batch: Batch) -> FloatArray:
        """(K,) Ĵ_GRPO,k of the policy as it is now, without gradient; NaN for a task not in the batch."""
        ...

    def sampled_objectives(self, batch: Batch) -> FloatArray:
        """(K,) Ĵ_GRPO,k of the policy that sampled the batch: every ratio is 1, so no model is run."""
        ...

    def save(self, folder: Path) -> None:
        """Write optimiser and generator state into `folder`."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...
