"""A row of a data file: one problem, as it stands there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GroundTruth = Mapping[str, Any] | str
"""What a row says is right: fields, or one text, which is "" where the row does not say."""

PROMPT_COLUMNS = ("prompt", "question", "problem", "instruction", "query", "input", "messages")
"""Columns that hold what is asked; the first that is there counts."""

ANSWER_COLUMNS = ("ground_truth", "answer", "answerKey", "target", "completion", "solution", "output")
"""Columns that hold it; the first that is there counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One problem of a data file.

    Attributes:
        task: its name: the `task` column, else that of its `data_source`, else the file's.
        level: of the task, from the `level` column or the `data_source`; None if the row has neither.
        split: from the `split` column or the `data_source`; None if the row has neither.
        prompt: what a policy is shown; a `ChatText` if it is a chat.
        ground_truth: what the row's reward is given; see `needed_truth`.
        index: the row's own `extra_info.index`, else its place in the file, from 0.
        question: the row's own `extra_info.question`, which may differ from what the prompt asks; else the prompt.
        source: the file's name and the row's number in it, from 1, for messages.
        columns: all of the row as it stands in the file.
    """

    task: str
    level: str | None
    split: str | None
    prompt: str
    ground_truth: GroundTruth = field(hash=False)
    index: int
    question: str
    source: str
    columns: Mapping[str, Any] = field(hash=False, compare=False, repr=False, default_factory=dict)

    @property
    def name(self) -> str:
        """What the row's task is called in a suite: with its level, if it has one."""
        return f"{self.task}-{self.level}" if self.level else self.task

    @property
    def needed_truth(self) -> GroundTruth:
        """The ground truth, for a reward that cannot do without.

        Raises:
            ValueError: naming file, row and columns, if the row has none.
        """
        if self.ground_truth == "":
            raise missing_column(self.source, self.columns, "answer", ANSWER_COLUMNS, {})
        return self.ground_truth


def missing_column(
    source: str, row: Mapping[str, Any], name: str, candidates: Sequence[str], given: Mapping[str, str]
) -> ValueError:
    """What to raise about a row in which none of the columns for its "prompt" or its "answer" is.

    >>> print(missing_column("a.csv, row 1", {"q": "1+1?", "a": "2"}, "prompt", ["prompt"], {}))
    a.csv, row 1: expected the prompt in a column prompt, got the columns q, a: say which it is, as in --columns \
prompt=q answer=a
    """
    known = [str(column) for column in row]
    if empty := [column for column in candidates if column in known]:
        return ValueError(f"{source}, column {empty[0]}: expected the {name}, got nothing")
    free = [c for c in known if c not in PROMPT_COLUMNS and c not in ANSWER_COLUMNS] or known or ["..."]
    named = dict(given)
    for thing, usual, guess in (("prompt", PROMPT_COLUMNS, free[0]), ("answer", ANSWER_COLUMNS, free[-1])):
        if thing == name or (thing not in given and not any(column in usual for column in known)):
            named[thing] = guess
    return ValueError(
        f"{source}: expected the {name} in a column {' or '.join(candidates)}, got the columns {', '.join(known)}: "
        f"say which it is, as in --columns {' '.join(f'{thing}={column}' for thing, column in named.items())}"
    )
