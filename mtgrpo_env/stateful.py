"""Parts with hyper-parameters, fixed when they are made, and a state that moves.

A class names both once; it then has a readable `repr`, its checkpoints, and the comparison by which a checkpoint of
other hyper-parameters is refused.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_MOST = 2**63 - 1
MISSING = "nothing"
"""What the message about a difference shows where one side has no such hyper-parameter."""


class Stateful:
    """Base of everything that a run composes and saves.

    Attributes:
        hyperparameter_names: attributes that are fixed when the object is made.
        state_names: attributes that move: numbers, text, arrays, generators, lists and dicts of plain data, or other
            stateful objects.

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
        """All that `load_state_dict` needs to continue, as plain data.

        Raises:
            TypeError: naming an attribute that a checkpoint could not give back as it is.
        """
        return {name: plain_state(getattr(self, name), f"{type(self).__name__}.{name}") for name in self.state_names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state.

        Raises:
            ValueError: naming what is missing from the state, or of another kind or shape.
        """
        if not isinstance(state, Mapping):
            raise ValueError(f"expected a state of {type(self).__name__}, got {state!r:.80}")
        if missing := [name for name in self.state_names if name not in state]:
            raise ValueError(f"expected a state of {type(self).__name__} with {missing}, got {sorted(state)}")
        what = type(self).__name__
        restored = {name: _restored(f"{what}.{name}", getattr(self, name), state[name]) for name in self.state_names}
        for name, value in restored.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_shown(getattr(self, name))}" for name in self.hyperparameter_names)
        return f"{type(self).__name__}({shown})"


def plain(value: Any) -> Any:
    """A hyper-parameter as JSON has it; a function is its name, another callable its type's."""
    if isinstance(value, Stateful):
        return value.hyperparameters
    if isinstance(value, partial):
        return {"function": plain(value.func), "args": plain(value.args), **plain(value.keywords)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return name_of(value) if callable(value) else value


def name_of(function: Callable[..., Any]) -> str:
    """A function by its name, another callable by that of its type.

    >>> name_of(len), name_of(partial(len))
    ('len', 'partial')
    """
    return function.__name__ if hasattr(function, "__name__") else type(function).__name__


def plain_state(value: Any, name: str) -> Any:
    """A piece of a state as JSON has it, which gives the same back.

    Raises:
        TypeError: if JSON cannot: it has no sets, no keys but text, and no NaN.
    """
    if isinstance(value, Stateful):
        return value.state_dict()
    if isinstance(value, np.random.Generator):
        return copy.deepcopy(value.bit_generator.state)
    data = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    try:
        came_back = json.loads(json.dumps(data, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} cannot be saved as {type(value).__name__}, {value!r:.80}: {error}") from None
    if came_back != (list(data) if isinstance(data, tuple) else data):
        raise TypeError(f"{name} would come back from a checkpoint as {came_back!r:.80}, got {data!r:.80}")
    return came_back


def refuse_unnamed_attributes(part: Stateful) -> None:
    """Make sure that a part names all it holds: what it forgot would be lost at a checkpoint, in silence.

    Numbers, arrays, generators and stateful objects must have a name in one of the two lists, but for numbers with a
    leading underscore, which follow from the others. A class with a `state_dict` of its own is not looked into.

    Raises:
        ValueError: naming the attributes that are in neither list.
    """
    if type(part).state_dict is not Stateful.state_dict:
        return
    named = {*part.hyperparameter_names, *part.state_names}
    if unnamed := [name for name, value in vars(part).items() if name not in named and _is_kept(name, value)]:
        raise ValueError(
            f"{type(part).__name__} holds {unnamed}: expected every attribute in its hyperparameter_names, if it is "
            "fixed, or in its state_names, if a checkpoint must hold it"
        )
    for name in dict.fromkeys((*part.state_names, *part.hyperparameter_names)):
        value = getattr(part, name)
        if isinstance(value, Stateful):
            if value.state_names and name not in part.state_names:
                raise ValueError(f"{type(part).__name__}.{name} has a state: expected it in state_names")
            refuse_unnamed_attributes(value)


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


def _is_kept(name: str, value: Any) -> bool:
    is_number = isinstance(value, int | float | np.generic | list | dict | set) and not name.startswith("_")
    return is_number or isinstance(value, np.ndarray | np.random.Generator | Stateful)


def _restored(name: str, own: Any, saved: Any) -> Any:
    if isinstance(own, Stateful):
        own.load_state_dict(saved)
        return own
    if isinstance(own, np.random.Generator):
        try:
            own.bit_generator.state = saved
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise ValueError(f"expected {name} as the state of a generator, got {error!r:.80}") from None
        return own
    if isinstance(own, np.ndarray):
        return _restored_array(name, own, saved)
    if isinstance(own, int | float):
        return _restored_number(name, own, saved)
    try:
        copied = copy.deepcopy(saved)
        return copied if own is None else type(own)(copied)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"expected {name} as {type(own).__name__}, got {saved!r:.80}") from None


def _restored_number(name: str, own: float, saved: Any) -> float:
    """A count that became a fraction stays one; true and false are no numbers."""
    is_one = isinstance(saved, bool) if isinstance(own, bool) else type(saved) in (int, float)
    if not is_one or not -_MOST <= saved <= _MOST:  # as NaN is not either
        raise ValueError(f"expected {name} as {type(own).__name__}, got {saved!r:.80}")
    return saved


def _restored_array(name: str, own: NDArray[Any], saved: Any) -> NDArray[Any]:
    message = f"expected {name} as finite numbers of shape {own.shape}, got {saved!r:.80}"
    try:
        array = np.array(saved, dtype=own.dtype)
        given = np.array(saved)
        kinds = {given.dtype.kind, own.dtype.kind}
        if given.size and len(kinds) > 1 and not kinds <= set("iuf"):  # text and truths are no numbers
            raise ValueError(message)
        if not np.array_equal(array, given):
            array = given  # counts that became fractions stay them
    except (TypeError, ValueError, OverflowError):
        raise ValueError(message) from None
    if array.shape != own.shape or not np.isfinite(array).all():
        raise ValueError(message)
    return array


def _shown(value: Any) -> str:
    return name_of(value) if callable(value) else repr(value)
