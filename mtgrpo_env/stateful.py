"""Parts with hyper-parameters, fixed when they are made, and a state that moves.

A class names both once; it then has a readable `repr`, its checkpoints, and the comparison by which a checkpoint of
other hyper-parameters is refused.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

MISSING = "nothing"
"""What the message about a difference shows where one side has no such hyper-parameter."""


class Stateful:
    """Base of everything that a run composes and saves.

    Attributes:
        hyperparameter_names: attributes that are fixed when the object is made.
        state_names: attributes that move: numbers, text, arrays, generators, or other stateful objects.

    >>> class Counter(Stateful):
    ...     hyperparameter_names, state_names = ("step",), ("count",)
    ...     def __init__(self, step: int) -> None:
    ...         self.step, self.count = step, np.zeros(2)
    >>> Counter(3)
    Counter(step=3)
    >>> Counter(3).state_dict()
    {'count': [0.0, 0.0]}
    """

    hyperparameter_names: ClassVar[tuple[str, ...]] = ()
    state_names: ClassVar[tuple[str, ...]] = ()

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The type and every hyper-parameter, as plain data."""
        own = {name: plain(getattr(self, name)) for name in self.hyperparameter_names}
        return {"type": type(self).__name__, **own}

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to continue, as plain data."""
        return {name: plain_state(getattr(self, name)) for name in self.state_names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state.

        Raises:
            ValueError: naming what is missing from the state, or has another shape.
        """
        if missing := [name for name in self.state_names if name not in state]:
            raise ValueError(f"expected a state of {type(self).__name__} with {missing}, got {sorted(state)}")
        for name in self.state_names:
            setattr(self, name, _restored(f"{type(self).__name__}.{name}", getattr(self, name), state[name]))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_shown(getattr(self, name))}" for name in self.hyperparameter_names)
        return f"{type(self).__name__}({shown})"


def plain(value: Any) -> Any:
    """A hyper-parameter as JSON has it; a function is its name."""
    if isinstance(value, Stateful):
        return value.hyperparameters
    if isinstance(value, partial):
        return {"function": plain(value.func), **{name: plain(given) for name, given in value.keywords.items()}}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return getattr(value, "__name__", value)


def plain_state(value: Any) -> Any:
    """A piece of a state as JSON has it."""
    if isinstance(value, Stateful):
        return value.state_dict()
    if isinstance(value, np.random.Generator):
        return copy.deepcopy(value.bit_generator.state)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else copy.deepcopy(value)


def refuse_other_hyperparameters(what: str, saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Make sure that a checkpoint was written by an object like the one that reads it.

    Raises:
        ValueError: naming every hyper-parameter that differs, with both values.

    >>> refuse_other_hyperparameters("a checkpoint", {"sampler": {"seed": 1}}, {"sampler": {"seed": 2}})
    Traceback (most recent call last):
    ValueError: a checkpoint of other hyper-parameters: sampler.seed was 1, is 2
    """
    was, now = (dict(_flat(json.loads(json.dumps(tree)))) for tree in (saved, own))
    names = [name for name in was | now if was.get(name, MISSING) != now.get(name, MISSING)]
    if names:
        differing = [f"{name} was {was.get(name, MISSING)!r}, is {now.get(name, MISSING)!r}" for name in names]
        raise ValueError(f"{what} of other hyper-parameters: {'; '.join(differing)}")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _restored(name: str, own: Any, saved: Any) -> Any:
    if isinstance(own, Stateful):
        own.load_state_dict(saved)
        return own
    if isinstance(own, np.random.Generator):
        own.bit_generator.state = saved
        return own
    if isinstance(own, np.ndarray):
        array = np.asarray(saved, dtype=own.dtype)
        if array.shape != own.shape or not np.isfinite(array).all():
            raise ValueError(f"expected {name} as finite numbers of shape {own.shape}, got {saved!r:.80}")
        return array
    return type(own)(saved)


def _shown(value: Any) -> str:
    return value.__name__ if callable(value) and hasattr(value, "__name__") else repr(value)
