"""A small network for tasks with different spaces: control without a language model.

Every task has an encoder and a head of its own around one trunk, so that tasks help or disturb each other.
K tasks, P rows, D features, H hidden units, A outputs (of the widest task; narrower ones ignore the rest).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mtgrpo_env.agents.neural.spaces import ActionWriter, Features, ObservationReader
from mtgrpo_env.manifest import read_object
from mtgrpo_env.plain_data import plain_record
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import IntArray

_NETWORK_FILE = "network.safetensors"
_RNG_FILE = "policy_rng.json"


@plain_record
@dataclass(frozen=True, slots=True)
class Choice:
    """What the network saw and chose in one step, for the learner."""

    features: Features  # (D,)
    chosen: Features  # (A,) an index in the first place, or numbers before they are scaled to the Box
    log_prob: float


class MultiTaskMLP(nn.Module):
    """Encoder of the task, trunk of all, head of the task.

    Args:
        num_tasks: K.
        num_features: D.
        num_outputs: A.
        hidden_size: H.
    """

    def __init__(self, num_tasks: int, num_features: int, num_outputs: int, hidden_size: int) -> None:
        super().__init__()
        self.encoder = _PerTask(num_tasks, num_features, hidden_size)
        self.trunk = nn.Linear(hidden_size, hidden_size)
        self.head = _PerTask(num_tasks, hidden_size, num_outputs, gain=0.01)  # starts as a uniform policy
        self.log_std = nn.Parameter(torch.full((num_tasks, num_outputs), -0.5))

    def forward(self, features: torch.Tensor, task_ids: torch.Tensor) -> torch.Tensor:
        """(P, A) outputs of (P, D) features. All tasks run as one batch of matrices, of rows of the same number."""
        counts = torch.bincount(task_ids, minlength=len(self.log_std))
        order = torch.argsort(task_ids, stable=True)
        places = torch.empty_like(task_ids)
        places[order] = torch.arange(len(task_ids)) - (counts.cumsum(0) - counts)[task_ids[order]]
        rows = features.new_zeros(len(counts), int(counts.max()), features.shape[1])  # (K, rows of a task, D)
        rows[task_ids, places] = features
        hidden = torch.tanh(self.trunk(torch.tanh(self.encoder(rows))))
        return self.head(hidden)[task_ids, places]


class _PerTask(nn.Module):
    """A linear layer for each task."""

    def __init__(self, num_tasks: int, num_inputs: int, num_outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        scale = gain / math.sqrt(num_inputs)
        self.weight = nn.Parameter(torch.randn(num_tasks, num_inputs, num_outputs) * scale)
        self.bias = nn.Parameter(torch.zeros(num_tasks, 1, num_outputs))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias, rows, self.weight)


class MLPPolicy:
    """Acts in every task of a suite whose spaces are Boxes or Discrete, by a categorical or a Gaussian head.

    Args:
        readers: (K) of observations.
        writers: (K) of actions.
        hidden_size: units of the encoder and of the trunk.
        seed: of the parameters and of the policy's own generator.
    """

    def __init__(
        self,
        readers: Sequence[ObservationReader],
        writers: Sequence[ActionWriter],
        *,
        hidden_size: int = 64,
        seed: int = 0,
    ) -> None:
        self.readers, self.writers = tuple(readers), tuple(writers)
        self.num_features = max(reader.size for reader in self.readers)
        self.num_outputs = max(writer.size for writer in self.writers)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = MultiTaskMLP(len(self.readers), self.num_features, self.num_outputs, hidden_size)
        sizes = torch.tensor([writer.size for writer in self.writers])
        self._used = torch.arange(self.num_outputs) < sizes[:, None]  # (K, A)
        self._is_continuous = torch.tensor([writer.is_continuous for writer in self.writers])  # (K,)
        self.rng = np.random.default_rng(seed)

    @classmethod
    def for_suite(cls, suite: TaskSuite, *, hidden_size: int = 64, seed: int = 0) -> Self:
        """A policy for the spaces of a suite.

        Raises:
            ValueError: naming the task, if one has a space that is neither Box nor Discrete.
        """
        readers: list[ObservationReader] = []
        writers: list[ActionWriter] = []
        for task_id, name in enumerate(suite.names):
            env = suite.envs(task_id, 1)[0]
            try:
                readers.append(ObservationReader.of(env.observation_space))
                writers.append(ActionWriter.of(env.action_space))
            except ValueError as error:
                raise ValueError(f"task {name!r}: {error}") from error
        return cls(readers, writers, hidden_size=hidden_size, seed=seed)

    @torch.no_grad()
    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[Any], list[Choice]]:
        """Actions, and the `Choice` behind each."""
        ids = np.asarray(task_ids, dtype=np.int64)
        rows_of_tasks = [(int(k), np.flatnonzero(ids == k)) for k in np.unique(ids)]
        features = np.zeros((len(ids), self.num_features), dtype=np.float32)
        for k, rows in rows_of_tasks:
            features[rows, : self.readers[k].size] = self.readers[k].read([observations[i] for i in rows.tolist()])
        tasks = torch.as_tensor(ids)
        outputs = self.network(torch.as_tensor(features), tasks)
        chosen = torch.as_tensor(self._choose(outputs, ids, deterministic))
        log_probs = self._log_probs_of(outputs, tasks, chosen).tolist()
        actions: list[Any] = [None] * len(ids)
        for k, rows in rows_of_tasks:
            for i, action in zip(rows.tolist(), self.writers[k].write(chosen[rows].numpy()), strict=True):
                actions[i] = action
        return actions, [Choice(*row) for row in zip(features, chosen.numpy(), log_probs, strict=True)]

    def log_probs(self, features: torch.Tensor, task_ids: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """(P,) log-probabilities, or densities, of (P, A) what was chosen."""
        return self._log_probs_of(self.network(features, task_ids), task_ids, chosen)

    def reseeded(self, seed: int) -> Self:
        other = type(self)(self.readers, self.writers, hidden_size=self.network.trunk.in_features, seed=seed)
        other.network = self.network
        return other

    def generating(self) -> AbstractContextManager[object]:
        return nullcontext()

    def save(self, folder: Path) -> None:
        save_file(self.network.state_dict(), folder / _NETWORK_FILE)
        (folder / _RNG_FILE).write_text(json.dumps(self.rng.bit_generator.state), encoding="utf-8")

    def load(self, folder: Path) -> None:
        self.network.load_state_dict(load_file(folder / _NETWORK_FILE))
        self.rng.bit_generator.state = read_object(folder / _RNG_FILE)

    def _choose(self, outputs: torch.Tensor, ids: IntArray, deterministic: bool) -> Features:
        """(P, A): an index by the Gumbel trick, or numbers around the mean; the likeliest if deterministic."""
        logits = outputs.masked_fill(~self._used[ids], -math.inf).numpy()
        means, deviations = outputs.numpy(), self.network.log_std[ids].exp().numpy()
        if not deterministic:
            logits = logits + self.rng.gumbel(size=logits.shape)
            means = means + deviations * self.rng.normal(size=means.shape)
        indices = np.zeros_like(means)
        indices[:, 0] = logits.argmax(axis=1)
        return np.where(self._is_continuous.numpy()[ids, None], means, indices).astype(np.float32)

    def _log_probs_of(self, outputs: torch.Tensor, task_ids: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        used, is_continuous = self._used[task_ids], self._is_continuous[task_ids]
        indices = torch.where(is_continuous, 0, chosen[:, 0].long())
        categorical = torch.log_softmax(outputs.masked_fill(~used, -math.inf), dim=1)
        log_std = self.network.log_std[task_ids]
        densities = -0.5 * ((chosen - outputs) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)
        of_indices = categorical.gather(1, indices[:, None]).squeeze(1)
        return torch.where(is_continuous, (densities * used).sum(dim=1), of_indices)
