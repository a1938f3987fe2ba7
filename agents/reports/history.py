"""The history of a run: one JSON object a line, for every training step, every evaluation, and the tasks' chance.

Where the records of steps were lost, one says of which (`lost_records`).
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtgrpo_env.agents.checkpoints import RunRecord
from mtgrpo_env.agents.record_checks import Record, read_record
from mtgrpo_env.agents.reports.lost_records import recovered
from mtgrpo_env.agents.run_folder import set_aside
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.chance import Chance
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.files import append_flushed, atomic_file
from mtgrpo_env.metrics import worst_task

Kind = Literal["step", "evaluation", "chance", "lost"]

ReadLine = Callable[[str], Record]
"""Makes a record of a line, or raises a `ValueError` that says what is wrong with it."""

_LOG = logging.getLogger(__name__)


class RunHistory:
    """Appends to a file, and drops what a killed process wrote beyond its last checkpoint.

    Args:
        file: made if it is not there; otherwise continued.
        last_step: records of later steps are removed: they will be made again.
        saved: what the checkpoint of that step knows; what the file lacks of its records, or says otherwise, is taken
            from here. Damaged lines are left out, the file with them keeps its bytes under another name; what was lost
            is logged.
        writes: whether this process keeps the file; one of several that train together does.
    """

    def __init__(self, file: Path, *, last_step: int, saved: RunRecord | None = None, writes: bool = True) -> None:
        self.file = Path(file)
        self.writes = writes
        found, damaged = sound_records(self.file)
        if damaged and writes:
            named = ", ".join(map(str, damaged[:5]))
            aside = set_aside(self.file)
            _LOG.warning("%s: expected a record in each line, not so in %s: kept as %s", file, named, aside)
        found = [record for record in found if record["step"] <= last_step]
        self.records, loss = found, ""
        if saved is not None:
            learned = saved.has_learned
            self.records, loss = recovered(found, saved.records, last_step=last_step, has_learned=learned)
        if loss and writes:
            _LOG.warning("%s: %s", file, loss)
        if writes:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.file) as rewritten:
                rewritten.write_text("".join(_line(record) for record in self.records), encoding="utf-8")

    def add_step(self, metrics: TrainMetrics) -> None:
        """Record a training step."""
        self._add("step", metrics.record)

    def add_evaluation(self, step: int, rollouts: int, evaluation: Evaluation) -> None:
        """Record an evaluation made after `step` steps and `rollouts` training rollouts."""
        values = {"step": step, "rollouts": rollouts, "accuracies": evaluation.accuracies, "counts": evaluation.counts}
        known = {"mean_lengths": evaluation.mean_lengths, "truncated_shares": evaluation.truncated_shares}
        lost = {"invalid": evaluation.invalid, "left_out": evaluation.left_out}
        known |= {name: counts for name, counts in lost.items() if counts is not None and counts.any()}
        self._add("evaluation", values | {name: value for name, value in known.items() if value is not None})

    def add_chance(self, chance: Chance) -> None:
        """Record what the held-out problems come to without thinking."""
        values = {"step": 0, "guess": chance.guess, "constant": chance.constant, "constant_names": list(chance.names)}
        self._add("chance", values)

    def of(self, kind: Kind) -> list[Record]:
        """All records of a kind, oldest first."""
        return [record for record in self.records if record["kind"] == kind]

    def best_evaluation(self) -> Record | None:
        """The evaluation after training with the best worst task, the earliest of equals; None if there is none.

        Nor is there one where nothing was learned (see `nothing_learned`).
        """
        if nothing_learned(self.records):
            return None
        worst = [(worst_task(record["accuracies"]), record) for record in self.of("evaluation") if record["step"] > 0]
        known = [(accuracy, record) for accuracy, record in worst if not math.isnan(accuracy)]
        return max(known, key=lambda pair: pair[0], default=(math.nan, None))[1]

    def _add(self, kind: Kind, values: Mapping[str, Any]) -> None:
        record = {"kind": kind, **{name: _plain(value) for name, value in values.items()}}
        self.records.append(record)
        if self.writes:
            append_flushed(self.file, _line(record))  # no checkpoint is newer than the history


def chance_of(records: Iterable[Record]) -> Chance | None:
    """The chance of a run's tasks; None if it was not measured, as in runs of earlier versions."""
    for record in records:
        if record["kind"] == "chance":
            guess, constant = (np.array(record[name], dtype=np.float64) for name in ("guess", "constant"))
            return Chance(guess, constant, tuple(record["constant_names"]))
    return None


def _unequal(steps: Sequence[Record]) -> str:
    """What a filter by rewards would find in steps without an informative group; "" if nothing, or it is not known."""
    groups = [sum(record["generated"]) for record in steps if "unanimous" in record]
    unequal = sum(groups) - sum(sum(record["unanimous"]) for record in steps if "unanimous" in record)
    return (
        f", but the rewards of {unequal} of {sum(groups)} differ: --filter reward learns from those" if unequal else ""
    )


def nothing_learned(records: Sequence[Record]) -> str | None:
    """Why the run can have learned nothing so far, in words; None if it may have, or has not begun.

    Records of earlier versions do not say which groups were informative; then some were.
    """
    steps = [record for record in records if record["kind"] == "step"]
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    if any(record["kind"] == "lost" and record["has_learned"] for record in records):
        return None
    if steps and not any(record.get("replayed", 0) or sum(record.get("accepted", [1])) for record in steps):
        return f"no group of {len(steps)} steps was informative{_unequal(steps)}"
    if steps and evaluations and not any(any(record["accuracies"]) for record in evaluations):
        return f"no response was correct in any of {len(evaluations)} evaluations"
    return None


def read_history(file: Path, read: ReadLine = read_record) -> list[Record]:
    """The records of a history file; none if it is not there. A last line cut short by a kill is left out.

    Args:
        file: of one record a line.
        read: makes a record of a line.

    Raises:
        ValueError: naming another line that is damaged, and what is wrong with it.
    """
    records, damaged = _read(file, read)
    for number, reason in damaged.items():
        raise ValueError(f"{file}, line {number}: {reason}")
    return records


def sound_records(file: Path, read: ReadLine = read_record) -> tuple[list[Record], list[int]]:
    """The records of a history file, and the numbers of its damaged lines; see `read_history`."""
    records, damaged = _read(file, read)
    return records, [*damaged]


def _read(file: Path, read: ReadLine) -> tuple[list[Record], dict[int, str]]:
    """The records, and what is wrong with the lines that are damaged, by their numbers."""
    lines = file.read_bytes().split(b"\n") if file.is_file() else []
    records: list[Record] = []
    damaged: dict[int, str] = {}
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                records.append(read(_decoded(line)))
        except ValueError as error:
            if number < len(lines):  # the last ends without a line break
                damaged[number] = str(error)
    return records, damaged


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ValueError(f"expected UTF-8, got {line.decode(errors='replace')!r:.80}") from None


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"


def _plain(value: Any) -> Any:
    """JSON has no arrays, no NaN and no infinity."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
