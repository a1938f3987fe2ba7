"""Rows for TRL's trainers: the records of a data set, and the reward function that scores completions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_rewards import Rewards, RowScorers, by_task
from mtgrpo_env.text_env import Verdict

Completion = str | Sequence[Mapping[str, Any]]


class RowReward:
    """A reward function for TRL: each completion is scored as `rows_suite` would score it.

    Args:
        rows: as `read_rows` gave them.
        reward: as of `rows_suite`.
        correct_at: as of `rows_suite`.

    Raises:
        MissingReward: if nothing scores the rows of a task.
        ValueError: if a row cannot be scored.
    """

    __name__ = "row_reward"  # TRL logs rewards by it

    def __init__(self, rows: Sequence[Row], reward: Rewards = None, *, correct_at: float = 1.0) -> None:
        scorers = RowScorers(reward, correct_at=correct_at)
        scorers.check(by_task(rows))
        self._rows = tuple(rows)
        self._scorers = [scorers.of(row) for row in rows]
        self._problems = [scorer.problem(row) for scorer, row in zip(self._scorers, rows, strict=True)]

    @property
    def records(self) -> list[dict[str, Any]]:
        """What `Dataset.from_list` takes: of each row its prompt, its task's name and its place."""
        return [{"prompt": _prompt(row), "task": row.name, "row": i} for i, row in enumerate(self._rows)]

    def __call__(self, *, completions: Sequence[Completion], row: Sequence[int], **columns: Any) -> list[float | None]:
        """The reward of each completion; None where the scorer failed. Slow rewards score them side by side."""
        responses = [_text(completion) for completion in completions]
        for i, response in zip(row, responses, strict=True):
            self._scorers[i].prefetch(self._problems[i], response)
        verdicts = [
            self._scorers[i].reply(self._problems[i], [response]) for i, response in zip(row, responses, strict=True)
        ]
        return [_reward(verdict) for verdict in verdicts]


def _prompt(row: Row) -> Any:
    """As chat messages where the row has such."""
    given = row.columns.get("prompt")
    return given if isinstance(given, list) else row.prompt


def _text(completion: Completion) -> str:
    return completion if isinstance(completion, str) else str(completion[-1].get("content") or "")


def _reward(verdict: Verdict | str) -> float | None:
    if isinstance(verdict, str):  # a conversation that goes on holds no answer yet
        return 0.0
    return verdict.reward if verdict.valid else None
