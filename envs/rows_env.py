"""The rows of a file as problems of a task."""

from __future__ import annotations

import json
import logging
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtgrpo_env.chat_columns import column_of
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_scorers import RowScorer
from mtgrpo_env.envs.row_table import RowPuzzle, RowTable, marked_split
from mtgrpo_env.log_once import log_once
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import NO_ANSWER, Provenance, TextEnv, Verdict
from mtgrpo_env.types import SPLITS, Problem, Split, checked_split

_LOG = logging.getLogger(__name__)


class RowsEnv(TextEnv[RowPuzzle]):
    """The rows of a file as problems of a task: prompts are the rows' own, responses are scored by `scorer`.

    `reset(options={"index": i})` shows the row at i; otherwise the rows are drawn at random, those of one
    split if `options` names one. Which rows are held out says `RowTable`. The `provenance` has the split that
    `options` names, else the one that the row is marked for, else the one it is in.

    Args:
        scorer: of the responses.
        rows: what `read_rows` gave, or a selection of it; or the table of these, for many envs to share.
        render_mode: None or "ansi".

    Raises:
        ValueError: if there are no rows, or the scorer cannot score one.
    """

    option_names = frozenset({"index", "split"})

    def __init__(self, scorer: RowScorer, rows: Sequence[Row] | RowTable, *, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.scorer = scorer
        self.table = rows if isinstance(rows, RowTable) else RowTable(scorer, rows)

    @property
    def puzzles(self) -> tuple[RowPuzzle, ...]:
        """One for each row, in their order."""
        return self.table.puzzles

    @property
    def split_sizes(self) -> dict[Split, int]:
        """How many distinct problems are to train on, and held out."""
        return {split: len(self.indices(split)) for split in SPLITS}

    def indices(self, split: Split) -> tuple[int, ...]:
        return self.table.indices[split]

    def split_of(self, puzzle: RowPuzzle) -> Split:
        """The split a row of the table is in."""
        return self.table.splits[self.key(puzzle)]

    def draw(self, puzzle_seed: int, options: Mapping[str, Any]) -> RowPuzzle:
        """The row at `options["index"]` if given, else the row that `puzzle_seed` names.

        Raises:
            ValueError: if there is no such row, or none of such a split.
        """
        split = checked_split(options["split"]) if "split" in options else None
        if "index" in options:
            return self._at(options["index"], split)
        rng = np.random.default_rng(puzzle_seed)
        if split is None:
            return self.generate(rng)
        places = self.indices(split)
        if not places:
            raise ValueError(f"none of the {len(self.puzzles)} rows belongs to the {split} split")
        return self.puzzles[places[int(rng.integers(len(places)))]]

    def generate(self, rng: np.random.Generator) -> RowPuzzle:
        """Draw a row."""
        return self.puzzles[int(rng.integers(len(self.puzzles)))]

    def prompt(self, puzzle: RowPuzzle) -> str:
        return puzzle.row.prompt

    def verify(self, puzzle: RowPuzzle, response: str) -> Verdict:
        """Score one response; of a conversation, the last."""
        scored = self.reply(puzzle, [response])
        return scored if isinstance(scored, Verdict) else NO_ANSWER

    def reply(self, puzzle: RowPuzzle, responses: Sequence[str]) -> Verdict | str:
        return self.scorer.reply(puzzle.problem, responses)

    def oracle(self, puzzle: RowPuzzle) -> str:
        return self.scorer.oracle(puzzle.problem)

    def guess(self, puzzle: RowPuzzle, rng: np.random.Generator) -> str:
        return self.scorer.guess(puzzle.problem, rng)

    def prefetch(self, puzzle: RowPuzzle, response: str) -> None:
        self.scorer.prefetch(puzzle.problem, response)

    def key(self, puzzle: RowPuzzle) -> str:
        return self.scorer.key(puzzle.problem)

    def source(self, puzzle: RowPuzzle) -> str:
        return puzzle.row.source

    def content(self, puzzle: RowPuzzle) -> str:
        """With all columns, since any may reach a reward."""
        row = puzzle.row
        return json.dumps([column_of(row.prompt), row.ground_truth, row.columns], sort_keys=True, default=repr)

    def _at(self, index: Any, split: Split | None) -> RowPuzzle:
        try:
            position = operator.index(index)
        except TypeError:
            raise ValueError(f"options['index'] must be an int, got {index!r:.80}") from None
        if not 0 <= position < len(self.puzzles):
            raise ValueError(f"options['index'] must be within 0..{len(self.puzzles) - 1}, got {position}")
        puzzle = self.puzzles[position]
        if split not in (None, self.split_of(puzzle)):
            raise ValueError(f"{puzzle.row.source} is of the {self.split_of(puzzle)} split, expected one of {split}")
        return puzzle

    def _provenance(self, puzzle: RowPuzzle, puzzle_seed: int, options: Mapping[str, Any]) -> Provenance:
        made = super()._provenance(puzzle, puzzle_seed, options)
        split: Split = options.get("split") or marked_split(puzzle.row) or self.split_of(puzzle)
        scorer = self.scorer
        return made._replace(task=scorer.name, version=scorer.version, level=puzzle.row.level or "", split=split)


def distinct_problems(suite: TaskSuite, problems: Sequence[Problem]) -> list[Problem]:
    """The problems of a `rows_suite` but for those that repeat another's problem and ground truth; that is logged."""
    distinct = [_table(suite, k).distinct for k in range(suite.num_tasks)]
    kept = [problem for problem in problems if problem.options["index"] in distinct[problem.task_id]]
    if len(kept) < len(problems):
        repeats = f"{len(problems) - len(kept)} of {len(problems)} rows repeat another row's problem and ground truth"
        log_once(_LOG, logging.INFO, f"{', '.join(suite.names)}: {repeats}: each problem is played once")
    return kept


def _table(suite: TaskSuite, task_id: int) -> RowTable:
    env = suite.envs(task_id, 1)[0].unwrapped
    assert isinstance(env, RowsEnv), f"a suite of rows is expected, {suite.names[task_id]!r} is a {type(env).__name__}"
    return env.table
