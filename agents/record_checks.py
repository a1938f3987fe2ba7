"""What a line of a run's files must be: an object of a step, and in a history one of a kind with its fields.

Fields of other names are let through, and earlier versions lack some: only what is there must be of its type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

Record = Mapping[str, Any]

_MOST = 2**63 - 1
_RENAMED = {"carried": "replayed"}  # histories of earlier versions are shown beside new ones


def is_count(value: Any) -> bool:
    """Whether a value is a whole number of 0 or more that fits into 64 bits.

    >>> [is_count(value) for value in (0, -1, True, 1.0, 2**63)]
    [True, False, False, False, False]
    """
    return type(value) is int and 0 <= value <= _MOST


def read_row(line: str) -> Record:
    """An object of a step, by the names that its fields have today.

    Raises:
        ValueError: if it is none.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, got {line!r:.80}")
    if not is_count(row.get("step")):
        raise ValueError(f"expected a JSON object with a step of 0 or more, got {row.get('step')!r:.80}")
    return {_RENAMED.get(name, name): value for name, value in row.items()}


def read_record(line: str) -> Record:
    """A record of a history; see `read_row`.

    Raises:
        ValueError: if it is none.
    """
    return checked_record(read_row(line))


def checked_record(record: Any) -> Record:
    """The record itself, of a known kind and with fields of their types.

    Raises:
        ValueError: naming the field, what was expected and what came.
    """
    if not isinstance(record, dict) or not is_count(record.get("step")):
        raise ValueError(f"expected a record with a step of 0 or more, got {record!r:.80}")
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise ValueError(f"expected a record of a kind, one of {list(_NEEDED)}, got {kind!r:.80}")
    if missing := [name for name in _NEEDED[kind] if name not in record]:
        raise ValueError(f"expected a record of kind {kind!r} with {missing}, got {sorted(record)!r:.80}")
    for name, (is_one, what) in _FIELDS.items():
        if name in record and not is_one(record[name]):
            raise ValueError(f"expected {name} of a record as {what}, got {record[name]!r:.80}")
    return record


def _is_number(value: Any) -> bool:
    """Or null, which stands for NaN and infinity."""
    if value is None:
        return True
    return (type(value) is int and abs(value) <= _MOST) or (isinstance(value, float) and math.isfinite(value))


def _is_amount(value: Any) -> bool:
    return value is not None and _is_number(value) and value >= 0


def _list_of(is_item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_item, value))


def _is_scalars(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


_NEEDED = {
    "step": (),
    "evaluation": ("accuracies", "counts"),
    "chance": ("guess", "constant", "constant_names"),
    "lost": ("steps", "has_learned"),
}
_COUNT = (is_count, "a count")
_COUNTS = (_list_of(_is_amount), "a list of numbers of 0 or more")
_NUMBER = (_is_number, "a number")
_NUMBERS = (_list_of(_is_number), "a list of numbers")
_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("rollouts", "rounds", "replayed"), _COUNT),
    **dict.fromkeys(("targets", "kept", "accepted", "generated", "unanimous"), _COUNTS),
    **dict.fromkeys(("counts", "invalid", "left_out", "actions"), _COUNTS),
    **dict.fromkeys(("responses", "lengths", "truncated", "surprisals", "scored_tokens"), _NUMBERS),
    **dict.fromkeys(("rollout_seconds", "update_seconds", "cpu_seconds"), _NUMBER),
    **dict.fromkeys(("probabilities", "accuracies", "loss_weights", "abs_advantages"), _NUMBERS),
    **dict.fromkeys(("rewards", "improvements", "mean_lengths", "truncated_shares", "guess", "constant"), _NUMBERS),
    "steps": (_list_of(is_count), "a list of counts"),
    "constant_names": (_list_of(lambda value: isinstance(value, str)), "a list of names"),
    "has_learned": (lambda value: isinstance(value, bool), "true or false"),
    "learner": (_is_scalars, "an object of numbers"),
}
