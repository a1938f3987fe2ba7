"""The rows of a task as puzzles, and which of them are held out."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_scorers import RowScorer
from mtgrpo_env.log_once import log_once
from mtgrpo_env.text_env import hash_of, split_of
from mtgrpo_env.types import SPLITS, Split

_LOG = logging.getLogger(__name__)
TRAIN_SPLITS = ("train", "training")
_ONE_IN = 8  # as `split_of` holds out


@dataclass(frozen=True, slots=True)
class RowPuzzle:
    """A row and what its scorer needs of it."""

    row: Row
    problem: Any


class RowTable:
    """The rows of a task as puzzles, each in its split; read once for all the envs of a group.

    Where rows are marked both for training and for something else, the marks decide: "train" is trained on, all else
    is held out, and rows without a mark are split by the problem's key. Where they mark no split, or one and the same,
    the key alone decides: one problem in eight is held out (`split_of`), and stays so when rows are added. If that
    leaves one side empty, the eighth part with the smallest hashes is held out instead, one problem at least. A single
    problem is where its mark says, or trained on.

    Rows with one key are one problem and in one split: if they are marked for both, it is held out (see `leaks`).

    Args:
        scorer: of the responses.
        rows: what `read_rows` gave, or a selection of it.

    Raises:
        ValueError: if there are no rows, or the scorer cannot score one.
    """

    def __init__(self, scorer: RowScorer, rows: Sequence[Row]) -> None:
        if not rows:
            raise ValueError("rows must hold at least one row, got none")
        self.scorer = scorer
        self.puzzles = tuple(RowPuzzle(row, scorer.problem(row)) for row in rows)
        self.keys = tuple(scorer.key(puzzle.problem) for puzzle in self.puzzles)
        self._marks: dict[str, set[Split]] = {key: set() for key in self.keys}
        for key, puzzle in zip(self.keys, self.puzzles, strict=True):
            if (mark := marked_split(puzzle.row)) is not None:
                self._marks[key].add(mark)
        self.is_marked = len(set[Split]().union(*self._marks.values())) == len(SPLITS)
        self.splits: Mapping[str, Split] = self._marked() if self.is_marked else self._by_key()
        self._warn_of_leaks()

    @cached_property
    def indices(self) -> Mapping[Split, tuple[int, ...]]:
        """Of each split, the first row of each problem."""
        first: dict[str, int] = {}
        for index, key in enumerate(self.keys):
            first.setdefault(key, index)
        indices = {split: tuple(i for key, i in first.items() if self.splits[key] == split) for split in SPLITS}
        how = "as the rows are marked" if self.is_marked else "by the problems' keys"
        counts = f"{len(self.puzzles)} rows, {len(self.splits)} distinct problems"
        sizes = f"{len(indices['train'])} to train on, {len(indices['test'])} held out, split {how}"
        log_once(_LOG, logging.INFO, f"task {self.puzzles[0].row.name!r}: {counts}: {sizes}")
        return indices

    @cached_property
    def distinct(self) -> frozenset[int]:
        """The rows but for those that repeat an earlier one's problem and ground truth."""
        first: dict[tuple[str, str], int] = {}
        for index, (key, puzzle) in enumerate(zip(self.keys, self.puzzles, strict=True)):
            truth = json.dumps(puzzle.row.ground_truth, sort_keys=True, default=repr)
            first.setdefault((key, truth), index)
        return frozenset(first.values())

    @property
    def leaks(self) -> list[tuple[Row, Row]]:
        """Problems that are marked both for training and for something else: a row of each mark."""
        rows: dict[tuple[str, Split], Row] = {}
        for key, puzzle in zip(self.keys, self.puzzles, strict=True):
            if (mark := marked_split(puzzle.row)) is not None:
                rows.setdefault((key, mark), puzzle.row)
        both = [key for key, mark in rows if mark == "train" and (key, "test") in rows]
        return [(rows[key, "train"], rows[key, "test"]) for key in both]

    def _marked(self) -> dict[str, Split]:
        held_out = {key: "test" in marks if marks else split_of(key) == "test" for key, marks in self._marks.items()}
        return {key: SPLITS[is_held_out] for key, is_held_out in held_out.items()}

    def _by_key(self) -> dict[str, Split]:
        if len(self._marks) > 1:
            return split_by_key(self._marks)
        return {key: SPLITS["test" in marks] for key, marks in self._marks.items()}

    def _warn_of_leaks(self) -> None:
        if leaks := self.leaks:
            where = "; ".join(f"{one.source} and {other.source}" for one, other in leaks[:3])
            are = f"{len(leaks)} problems are marked both for training and for another split, and are held out"
            name = self.puzzles[0].row.name
            log_once(_LOG, logging.WARNING, f"task {name!r}: {are}: {where}{'; …' if len(leaks) > 3 else ''}")


def marked_split(row: Row) -> Split | None:
    """The split that a row is marked for: what is not for training is held out."""
    return None if row.split is None else "train" if row.split in TRAIN_SPLITS else "test"


def split_by_key(keys: Collection[str]) -> dict[str, Split]:
    """The split of each of several problems, by its key; neither is left empty. See `RowTable`.

    >>> sorted(split_by_key(["a", "b", "c"]).values())
    ['test', 'train', 'train']
    """
    held_out = {key for key in keys if split_of(key) == "test"}
    if len(held_out) in (0, len(keys)):
        held_out = set(sorted(keys, key=hash_of)[: max(1, len(keys) // _ONE_IN)])
    return {key: SPLITS[key in held_out] for key in keys}
