"""What a run's history has lost, made up for from its checkpoint: evaluations whole, steps by a record that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SAVED_KINDS = ("chance", "evaluation", "lost")
_ORDER = ("chance", "lost", "step", "evaluation")  # of the records of one step


def to_save(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records that a checkpoint holds: all but those of steps, which are many."""
    return [record for record in records if record["kind"] in _SAVED_KINDS]


def recovered(
    found: Sequence[Mapping[str, Any]], saved: Sequence[Mapping[str, Any]], *, last_step: int, has_learned: bool = True
) -> tuple[list[Mapping[str, Any]], str]:
    """The records of a history up to a checkpoint, and what was lost of them, in words; "" if nothing was.

    Args:
        found: in the file, up to the checkpoint.
        saved: `to_save` of those that there were when the checkpoint was written.
        last_step: of the checkpoint.
        has_learned: whether a step was informative until then.
    """
    known = {_key(record): record for record in found}
    wrong = [record for record in saved if known.get(_key(record)) != record]
    told = {step for record in (*saved, *found) if record["kind"] == "lost" for step in record["steps"]}
    lost = [step for step in range(1, last_step + 1) if ("step", step) not in known and step not in told]
    if not wrong and not lost:
        return list(found), ""
    known |= {_key(record): record for record in saved}
    if lost:
        known["lost", last_step] = {"kind": "lost", "step": last_step, "steps": lost, "has_learned": has_learned}
    parts = [f"the numbers of {len(lost)} of {last_step} steps are lost"] if lost else []
    parts += [f"{len(wrong)} other records are taken from the checkpoint"] if wrong else []
    return sorted(known.values(), key=_place), "; ".join(parts)


def _key(record: Mapping[str, Any]) -> tuple[str, int]:
    return record["kind"], record["step"]


def _place(record: Mapping[str, Any]) -> tuple[int, int]:
    return record["step"], _ORDER.index(record["kind"])
