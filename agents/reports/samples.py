"""A few rollouts of every task, kept to be read: a run's `samples.jsonl` and `training_samples.jsonl`.

The first are from each evaluation, the others from the training step before it. Choosing them draws nothing and
generates nothing, so a run is the same with them and without.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.record_checks import read_row
from mtgrpo_env.agents.reports.history import Record, read_history, sound_records
from mtgrpo_env.agents.run_folder import set_aside
from mtgrpo_env.chat_columns import prompt_of
from mtgrpo_env.files import atomic_file
from mtgrpo_env.types import Group

PER_VERDICT = 2
"""Correct rollouts, and others, kept of each task."""
EVALUATIONS = 8
"""Evaluations kept: the first and the newest. With `PER_VERDICT` this bounds the file."""
SEEN, ENDED = "seen", "ended"
"""Of each turn: the prompt as the model saw it, and whether the model ended the response ("stop") or its limit did."""
TRAINED_REWARD = "trained_reward"
"""Of a training sample: its reward as `--truncated` left it; None where nothing was learned from it."""

_LOG = logging.getLogger(__name__)
_FIELDS = {"step": int, "suite_task": str, "reward": int | float, "outcome": str}

MakeRows = Callable[[Group], Iterable[Mapping[str, Any]]]
"""Turns a group's rollouts into rows that can be judged again."""


class RolloutSample:
    """Chooses the first correct rollouts and the first others of each task, in the order of the problems."""

    def __init__(self) -> None:
        self._chosen: dict[tuple[int, bool], list[Group]] = {}

    def add(self, group: Group) -> None:
        """Look at a group that was played."""
        for rollout in group.rollouts:
            chosen = self._chosen.setdefault((group.task_id, not rollout.is_success), [])
            if len(chosen) < PER_VERDICT:
                chosen.append(replace(group, rollouts=(rollout,)))

    @property
    def groups(self) -> list[Group]:
        """One rollout each, task by task, correct ones first."""
        return [group for name in sorted(self._chosen) for group in self._chosen[name]]


class SampleFile:
    """The samples of a run; what it holds of evaluations that the run will make again is dropped.

    Args:
        file: made with the first sample; otherwise continued.
        names: of the K tasks.
        make_rows: of a group; each row is kept with its evaluation's `step` and the `suite_task` it was played as.
        steps: of the evaluations that the run has made.
    """

    def __init__(self, file: Path, names: Sequence[str], make_rows: MakeRows, *, steps: Collection[int]) -> None:
        self.file = file
        self._names = names
        self._make_rows = make_rows
        rows, damaged = sound_records(file, read_row)
        if damaged:
            _LOG.warning("%s: %d damaged lines: it is kept as %s", file, len(damaged), set_aside(file))
        self._rows = [row for row in rows if row["step"] in steps]
        if damaged or file.is_file():
            self._write()

    def add(self, step: int, sample: RolloutSample) -> None:
        """Keep what was chosen in a step, or in the evaluation after `step` steps."""
        rows = [
            {"step": step, "suite_task": self._names[group.task_id], **row}
            for group in sample.groups
            for row in self._make_rows(group)
        ]
        steps = sorted({row["step"] for row in self._rows} | {step})
        kept = {steps[0], *steps[1 - EVALUATIONS :]}
        self._rows = [row for row in (*self._rows, *rows) if row["step"] in kept]
        self._write()

    def _write(self) -> None:
        with atomic_file(self.file) as unfinished:
            unfinished.write_text("".join(json.dumps(row) + "\n" for row in self._rows), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class StoredSample:
    """One rollout of a run's samples.

    Attributes:
        step: after which it was made.
        suite_task: the name of its task in the suite.
        prompt: what the policy was shown.
        responses: one for each turn.
        reward: what it earned.
        outcome: of the verdict.
        is_success: whether it was correct.
        seen: the prompt of each turn as the model saw it; none where that is not known.
        is_cut_off: whether a limit ended a response.
        row: all that was stored.
    """

    step: int
    suite_task: str
    prompt: str
    responses: tuple[str, ...]
    reward: float
    outcome: str
    is_success: bool
    seen: tuple[str, ...]
    is_cut_off: bool
    row: Record


def read_samples(file: Path) -> list[StoredSample]:
    """The samples of a run in their order; none if the file is not there.

    Raises:
        ValueError: naming file, line and field, if one lacks what is shown of it.
    """
    return [_stored(row, f"{file}, line {number}") for number, row in enumerate(read_history(file, read_row), start=1)]


def _stored(row: Record, source: str) -> StoredSample:
    responses = row["responses"] if "responses" in row else [row.get("response")]
    values: dict[str, Any] = {name: row.get(name) for name in _FIELDS}
    try:
        prompt = prompt_of(row.get("prompt"))
    except ValueError as error:
        raise ValueError(f"{source}, prompt: {error}") from error
    for name, kind in _FIELDS.items():
        if not isinstance(values[name], kind):
            raise ValueError(f"{source}: expected {name} to be of {kind}, got {values[name]!r:.80}")
    if not _are_texts(responses):
        raise ValueError(f"{source}: expected a response, or a list of responses, got {responses!r:.80}")
    seen, ended = row.get(SEEN, []), row.get(ENDED, [])
    for name, texts in ((SEEN, seen), (ENDED, ended)):
        if not _are_texts(texts):
            raise ValueError(f"{source}: expected {name} to be a list of str, got {texts!r:.80}")
    said = {"prompt": prompt, "responses": tuple(responses), "seen": tuple(seen), "is_cut_off": "length" in ended}
    return StoredSample(**values, **said, is_success=bool(row.get("is_success")), row=row)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
