"""How the episodes of each task went: counts and means, with the failures of scorers kept apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.text_env import Outcome, Verdict

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class EpisodeStatistics:
    """How the episodes of one task went.

    Attributes:
        episodes: how many ended.
        mean_reward: over those whose scorer did not fail; NaN if there is none.
        accuracy: share of correct ones, over the same.
        outcomes: how many ended how, "scorer_error" among them.
    """

    episodes: int
    mean_reward: float
    accuracy: float
    outcomes: Mapping[Outcome, int]


class EpisodeTally:
    """Counts the episodes of K tasks.

    >>> from mtgrpo_env.text_env import CORRECT, SCORER_ERROR
    >>> tally = EpisodeTally(num_tasks=2)
    >>> tally.add([1, 1], [CORRECT, SCORER_ERROR])
    >>> tally.of(1).episodes, tally.of(1).accuracy, tally.of(0).accuracy
    (2, 1.0, nan)
    """

    def __init__(self, num_tasks: int) -> None:
        self._outcomes = np.zeros((num_tasks, len(OUTCOMES)), dtype=np.int64)
        self._valid, self._rewards, self._successes = (np.zeros(num_tasks) for _ in range(3))

    def add(self, task_ids: ArrayLike, verdicts: Sequence[Verdict]) -> None:
        """Count one episode of each of `task_ids`."""
        tasks = np.asarray(task_ids, dtype=np.int64)
        cells = tasks * len(OUTCOMES) + [OUTCOMES.index(verdict.outcome) for verdict in verdicts]
        self._outcomes += np.bincount(cells, minlength=self._outcomes.size).reshape(self._outcomes.shape)
        valid = np.array([verdict.valid for verdict in verdicts], dtype=np.float64)
        for total, values in (
            (self._valid, valid),
            (self._rewards, valid * [verdict.reward for verdict in verdicts]),
            (self._successes, valid * [verdict.is_success for verdict in verdicts]),
        ):
            total += np.bincount(tasks, weights=values, minlength=len(total))

    def of(self, task_id: int) -> EpisodeStatistics:
        """The statistics of one task."""
        counts, valid = self._outcomes[task_id].tolist(), self._valid[task_id]
        return EpisodeStatistics(
            episodes=sum(counts),
            mean_reward=float(self._rewards[task_id] / valid) if valid else float("nan"),
            accuracy=float(self._successes[task_id] / valid) if valid else float("nan"),
            outcomes=dict(zip(OUTCOMES, counts, strict=True)),
        )
