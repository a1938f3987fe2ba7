"""The rows of a file as problems of a task."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_scorers import RowScorer
from mtgrpo_env.text_env import NO_ANSWER, Provenance, TextEnv, Verdict, split_of
from mtgrpo_env.types import SPLITS, Split, checked_split


@dataclass(frozen=True, slots=True)
class RowPuzzle:
    """A row and what its scorer needs of it."""

    row: Row
    problem: Any


class RowsEnv(TextEnv[RowPuzzle]):
    """The rows of a file as problems of a task: prompts are the rows' own, responses are scored by `scorer`.

    `reset(options={"index": i})` shows `rows[i]`; otherwise the rows are drawn at random, those of one
    split if `options` names one. A row that says "train" is of the train split, one that says anything else of
    the test split; rows that say nothing are split by the problem's key, like generated puzzles.

    Args:
        scorer: of the responses.
        rows: what `read_rows` gave, or a selection of it.
        render_mode: None or "ansi".

    Raises:
        ValueError: if there are no rows, or the scorer cannot score one.
    """

    option_names = frozenset({"index", "split"})

    def __init__(self, scorer: RowScorer, rows: Sequence[Row], *, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        if not rows:
            raise ValueError("rows must hold at least one row, got none")
        self.scorer = scorer
        self.puzzles = tuple(RowPuzzle(row, scorer.problem(row)) for row in rows)
        self._of_split: dict[Split, list[RowPuzzle]] = {split: [] for split in SPLITS}
        for puzzle in self.puzzles:
            self._of_split[self.split_of(puzzle)].append(puzzle)

    def split_of(self, puzzle: RowPuzzle) -> Split:
        """The split a row belongs to."""
        named = puzzle.row.split
        return split_of(self.key(puzzle)) if named is None else "train" if named == "train" else "test"

    def draw(self, puzzle_seed: int, options: Mapping[str, Any]) -> RowPuzzle:
        """The row at `options["index"]` if given, else the row that `puzzle_seed` names.

        Raises:
            ValueError: if there is no such row.
        """
        if "index" in options:
            return self._at(options["index"])
        rng = np.random.default_rng(puzzle_seed)
        if "split" not in options:
            return self.generate(rng)
        split = checked_split(options["split"])
        if not self._of_split[split]:
            raise ValueError(f"none of the {len(self.puzzles)} rows belongs to the {split} split")
        return self._of_split[split][int(rng.integers(len(self._of_split[split])))]

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

    def _at(self, index: Any) -> RowPuzzle:
        try:
            position = operator.index(index)
        except TypeError:
            raise ValueError(f"options['index'] must be an int, got {index!r:.80}") from None
        if not 0 <= position < len(self.puzzles):
            raise ValueError(f"options['index'] must be within 0..{len(self.puzzles) - 1}, got {position}")
        return self.puzzles[position]

    def _provenance(self, puzzle: RowPuzzle, puzzle_seed: int, options: Mapping[str, Any]) -> Provenance:
        made = super()._provenance(puzzle, puzzle_seed, options)
        scorer, split = self.scorer, self.split_of(puzzle)
        return made._replace(task=scorer.name, version=scorer.version, level=puzzle.row.level or "", split=split)
