"""What every learner does with a batch: shuffle its groups, take an optimiser step on each part of them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from mtgrpo_env.agents.base import CLIP_HIGHER, CLIP_SYMMETRIC, Objectives, OnMinibatch
from mtgrpo_env.manifest import read_object
from mtgrpo_env.progress import stage
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import Batch, IntArray

_STATE_FILE = "learner.json"


class MinibatchLearner(Stateful, ABC):
    """The loop over minibatches, and the generator that shuffles them.

    Attributes:
        smallest_group: fewest rollouts of a problem that it learns from; 2, as one alone has no group-relative
            advantage. A learner of one's own, with a baseline of its own, sets 1.

    Args:
        num_minibatches: optimiser steps for each pass over a batch; fewer if it has fewer groups.
        num_passes: times that a batch is trained on, in other minibatches each time.
        seed: of the shuffle.
        clip_low: ε_low.
        clip_high: ε_high; None for the method's.
    """

    smallest_group: ClassVar[int] = 2
    hyperparameter_names = ("num_minibatches", "num_passes", "clip_low", "clip_high")
    state_names = ("rng",)

    def __init__(
        self,
        *,
        num_minibatches: int,
        seed: int,
        num_passes: int = 1,
        clip_low: float = CLIP_SYMMETRIC,
        clip_high: float | None = None,
    ) -> None:
        self.num_minibatches, self.num_passes = num_minibatches, num_passes
        self.clip_low, self.clip_high = clip_low, CLIP_HIGHER if clip_high is None else clip_high
        self._has_own_clip = clip_high is not None
        self.rng = np.random.default_rng(seed)

    def prepare(self, batch: Batch) -> Batch:
        """See `Learner.prepare`: nothing."""
        return batch

    def use_clip(self, clip_high: float) -> None:
        """See `Learner.use_clip`."""
        if not self._has_own_clip:
            self.clip_high = clip_high

    def update(self, batch: Batch, on_minibatch: OnMinibatch | None = None) -> Mapping[str, float]:
        """See `Learner.update`; the scalars are means over the optimiser steps, unless `_summary` is another."""
        if not batch.groups:
            return {}
        steps: list[Mapping[str, float]] = []
        parts = [part for _ in range(self.num_passes) for part in self._divided(len(batch.groups))]
        with stage("learning", "passes", parts=len(parts)):
            for indices in parts:
                minibatch = batch.part(indices)
                scalars, objectives = self._step(minibatch)
                steps.append(scalars)
                if on_minibatch is not None:
                    on_minibatch(minibatch, objectives)
                if self._went_too_far(scalars):
                    break
        return self._summary(batch, steps, len(parts) - len(steps))

    def _divided(self, num_groups: int) -> list[IntArray]:
        """Places of a batch's groups, at random in minibatches of nearly equal size."""
        return np.array_split(self.rng.permutation(num_groups), min(self.num_minibatches, num_groups))

    def save(self, folder: Path) -> None:
        """Write the generator's state, and whatever else moves, into `folder`."""
        (folder / _STATE_FILE).write_text(json.dumps(self.state_dict()), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.load_state_dict(read_object(folder / _STATE_FILE))

    def _went_too_far(self, scalars: Mapping[str, float]) -> bool:
        """Whether the rest of the batch is to be skipped, by the scalars of a step; alike on all ranks."""
        return False

    @abstractmethod
    def _step(self, minibatch: Batch) -> tuple[Mapping[str, float], Objectives]:
        """One optimiser step; scalars, and the objectives before it, which the loss knows anyway."""

    def _summary(self, batch: Batch, steps: Sequence[Mapping[str, float]], skipped: int) -> Mapping[str, float]:
        """The scalars of an update, of those of its optimiser steps in their order; `skipped` were not taken."""
        return {name: float(np.mean([step[name] for step in steps])) for name in steps[0]}
