"""Which reward scores the rows of which task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from mtgrpo_env.envs.answers import Extraction, reason_tasks
from mtgrpo_env.envs.named_scorers import Reward, named_scorer
from mtgrpo_env.envs.row import PROMPT_COLUMNS, GroundTruth, Row
from mtgrpo_env.envs.row_scorers import RowScorer
from mtgrpo_env.row_options import MissingOptions

Rewards = Reward | Mapping[str, Reward] | None
"""A reward for all rows; rewards by the names of tasks, "" being that of all others; or what the rows say."""

_NUMBER = re.compile(r"[-+$]?\d[\d,]*(\.\d+)?%?")
_FORMULA = re.compile(r"[\\^_$]")
_OTHER_COLUMNS = (*PROMPT_COLUMNS, "task", "level", "split", "index", "id", "data_source", "ability", "extra_info")
_LOOKED_AT = 100  # rows of a task


class MissingReward(MissingOptions):
    """Nothing scores the rows of some tasks; says of which, and what would.

    Attributes:
        answer_column: the column that may hold the answers, where none was found.
    """

    def __init__(self, rows: Mapping[str, Sequence[Row]], *, is_all: bool = True) -> None:
        first = next(iter(rows.values()))[0]
        self.answer_column = _likely_column(first) if first.ground_truth == "" else None
        likely = {name: _likely_reward(self._answers(of_task[:_LOOKED_AT])) for name, of_task in rows.items()}
        one = set(likely.values())
        parts = one if is_all and len(one) == 1 else [f"{name}={reward}" for name, reward in likely.items()]
        columns = ("--columns", f"answer={self.answer_column}") if self.answer_column else ()
        self.options = (*columns, "--reward", *parts)
        answers = f"answers like {first.ground_truth!r:.60}"
        if first.ground_truth == "":
            named = f", where --columns answer={self.answer_column} would name one" if self.answer_column else ""
            answers = f"no answer in their columns {', '.join(map(str, first.columns))}{named}"
        super().__init__(
            f"nothing scores the {sum(map(len, rows.values())):,} rows of {', '.join(map(repr, rows))}, with {answers} "
            f"({first.source}). Give a reward, such as --reward {' '.join(parts)}: exact, "
            "number, math, choice, the verifier of a task such as countdown, or a function of your own, "
            "package.module:function"
        )

    def _answers(self, rows: Sequence[Row]) -> list[GroundTruth]:
        if self.answer_column is None:
            return [row.ground_truth for row in rows]
        return [str(row.columns.get(self.answer_column, "")) for row in rows]


class RowScorers:
    """The scorer of each task among rows, made when it is first asked for.

    Args:
        reward: by default the verifier of the task that a row names.
        correct_at: reward of a function from which on a response counts as correct.
        extraction: how an answer is found in a response.
    """

    def __init__(self, reward: Rewards = None, *, correct_at: float = 1.0, extraction: Extraction = "last-box") -> None:
        self._given = reward if isinstance(reward, Mapping) else {} if reward is None else {"": reward}
        self._correct_at = correct_at
        self._extraction: Extraction = extraction
        self._made: dict[str, RowScorer] = {}

    def of(self, row: Row) -> RowScorer:
        """The scorer of a row's task.

        Raises:
            MissingReward: if there is none.
            ValueError: if there is no such reward.
        """
        if row.name not in self._made:
            if (reward := self._reward_of(row)) is None:
                raise MissingReward({row.name: [row]})
            self._made[row.name] = named_scorer(reward, extraction=self._extraction, correct_at=self._correct_at)
        return self._made[row.name]

    def check(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Make sure that the rows of every task have a reward.

        Raises:
            MissingReward: naming all that have none.
        """
        if missing := {name: of_task for name, of_task in rows.items() if self._reward_of(of_task[0]) is None}:
            raise MissingReward(missing, is_all=len(missing) == len(rows))

    def check_used(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Make sure that every task with a reward of its own is there.

        Raises:
            ValueError: if a reward is given for another.
        """
        names = set(rows) | {of_task[0].task for of_task in rows.values()}
        if unknown := sorted(self._given.keys() - names - {""}):
            raise ValueError(f"reward is given for the tasks {unknown}, but the tasks are {list(rows)}")

    def _reward_of(self, row: Row) -> Reward | None:
        for name in (row.name, row.task, ""):
            if name in self._given:
                return self._given[name]
        return own_reward(row)


def by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each task and level, in the order in which these appear."""
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(row.name, []).append(row)
    return members


def own_reward(row: Row) -> str | None:
    """What a row itself says it is scored by: of what is built in alone, since code is never taken from data."""
    named = row.ground_truth.get("reward") if isinstance(row.ground_truth, Mapping) else None
    if isinstance(named, str) and ":" not in named:
        return named
    if (own := reason_tasks().get(row.task)) is None:
        return None
    return row.name if row.level in own.LEVELS else row.task


def _likely_column(row: Row) -> str | None:
    """A column that is neither the prompt nor of another meaning."""
    free = [name for name, value in row.columns.items() if name not in _OTHER_COLUMNS and str(value) != row.prompt]
    return free[-1] if free else None


def _likely_reward(truths: Sequence[GroundTruth]) -> str:
    texts = [truth.rpartition("####")[2].strip() for truth in truths if isinstance(truth, str)]
    if len(texts) < len(truths) or not all(texts):
        is_choice = all(isinstance(truth, Mapping) and "choices" in truth for truth in truths)
        return "choice" if is_choice else "my_rewards:reward"
    if all(map(_NUMBER.fullmatch, texts)):
        return "number"
    return "math" if any(map(_FORMULA.search, texts)) else "exact"
