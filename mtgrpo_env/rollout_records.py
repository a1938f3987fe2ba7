"""A rollout of any env as JSON's values: its actions, their rewards, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mtgrpo_env.types import Rollout, Step

_FIELDS = ("reward", "is_success", "valid", "outcome", "length", "is_truncated")


def rollout_record(rollout: Rollout) -> dict[str, Any]:
    """A rollout as JSON's values, without what was observed.

    >>> record = rollout_record(Rollout((Step(0.5, np.int64(1), 1.0),), 1.0, True, length=1))
    >>> record["actions"], record["rewards"], record["reward"], record["is_success"]
    ([1], [1.0], 1.0, True)
    """
    return {
        "actions": [plain(step.action) for step in rollout.steps],
        "rewards": [float(step.reward) for step in rollout.steps],
        **{name: plain(getattr(rollout, name)) for name in _FIELDS},
    }


def rollout_of(record: Mapping[str, Any]) -> Rollout:
    """The rollout that a record is of; its steps know no observation, and their actions are JSON's values."""
    steps = zip(record["actions"], record["rewards"], strict=True)
    played = tuple(Step(None, action, reward) for action, reward in steps)
    return Rollout(played, **{name: record[name] for name in _FIELDS})


def plain(value: Any) -> Any:
    """An action of any space as JSON's values; what JSON has no word for by its `repr`."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
