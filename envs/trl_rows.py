"""Rows for TRL's trainers: the records of data sets, and the reward function that scores completions of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtgrpo_env.chat import ChatText, messages_of
from mtgrpo_env.chat_columns import plain_messages
from mtgrpo_env.envs.chat_messages import response_of
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_rewards import Rewards
from mtgrpo_env.envs.rows import rows_problems, rows_suite
from mtgrpo_env.envs.rows_env import RowsEnv
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import Verdict
from mtgrpo_env.types import SPLITS, Split

Completion = str | Sequence[Mapping[str, Any]]


class RowReward:
    """A reward function for TRL: each completion is scored as `rows_suite` would score it.

    `records` and `held_out_records` are what `Dataset.from_list` takes: of each problem its prompt, its task's name,
    and the place of its row among all rows, by which completions of either are scored. Which problems are held out
    says `RowTable`, as everywhere: they are those that `mtgrpo evaluate --suite` plays. Where any row is a chat, all
    prompts are chats, since a column of a data set has one type.

    Args:
        rows: as `read_rows` gave them.
        reward: as of `rows_suite`.
        correct_at: as of `rows_suite`.

    Raises:
        MissingReward: if nothing scores the rows of a task.
        ValueError: if there are no rows, or one cannot be scored.
    """

    __name__ = "row_reward"  # TRL logs rewards by it

    def __init__(self, rows: Sequence[Row], reward: Rewards = None, *, correct_at: float = 1.0) -> None:
        suite = rows_suite(rows, reward=reward, correct_at=correct_at)
        envs = [_rows_env(suite, task_id) for task_id in range(suite.num_tasks)]
        problems = rows_problems(suite, rows)
        self._cases = [(envs[p.task_id], envs[p.task_id].puzzles[p.options["index"]]) for p in problems]
        self._places: dict[Split, list[int]] = {}
        for split in SPLITS:
            first = [frozenset(env.indices(split)) for env in envs]  # rows of the split's problems
            self._places[split] = [i for i, p in enumerate(problems) if p.options["index"] in first[p.task_id]]
        self._names = [row.name for row in rows]
        self._prompts = _prompts(rows)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The problems to train on."""
        return self._records("train")

    @property
    def held_out_records(self) -> list[dict[str, Any]]:
        """The others, for `eval_dataset`."""
        return self._records("test")

    def __call__(self, *, completions: Sequence[Completion], row: Sequence[int], **columns: Any) -> list[float | None]:
        """The reward of each completion; None where the scorer failed. Slow rewards score them side by side.

        Args:
            completions: as TRL passes them.
            row: of each, the place of its row, from the records.
            **columns: the others, which do not count.
        """
        cases = [(*self._cases[i], _text(completion)) for i, completion in zip(row, completions, strict=True)]
        for env, puzzle, response in cases:
            env.prefetch(puzzle, response)
        return [_reward(env.reply(puzzle, [response])) for env, puzzle, response in cases]

    def _records(self, split: Split) -> list[dict[str, Any]]:
        return [{"prompt": self._prompts[i], "task": self._names[i], "row": i} for i in self._places[split]]


def _rows_env(suite: TaskSuite, task_id: int) -> RowsEnv:
    env = suite.envs(task_id, 1)[0].unwrapped
    assert isinstance(env, RowsEnv)
    return env


def _prompts(rows: Sequence[Row]) -> list[Any]:
    """Of each row a text or, if any row is a chat, chat messages."""
    if not any(isinstance(row.prompt, ChatText) for row in rows):
        return [row.prompt for row in rows]
    return [plain_messages(messages_of(row.prompt)) for row in rows]


def _text(completion: Completion) -> str:
    return completion if isinstance(completion, str) else response_of(completion[-1])


def _reward(verdict: Verdict | str) -> float | None:
    if isinstance(verdict, str):  # a conversation that goes on holds no answer yet
        return 0.0
    return verdict.reward if verdict.valid else None
