"""What a network reads of observations, and what its outputs mean as actions, for the usual Gymnasium spaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

_UNBOUNDED = 1e6  # bounds beyond it say nothing about the values that occur

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ObservationReader:
    """Turns observations of a Box or Discrete space into rows of numbers of about unit size.

    >>> ObservationReader(spaces.Discrete(3)).read([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """

    space: spaces.Box | spaces.Discrete

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> ObservationReader:
        """The reader of a space.

        Raises:
            ValueError: if the space is neither Box nor Discrete.
        """
        return cls(_box_or_discrete(space, "observation"))

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return _size(self.space)

    def read(self, observations: Sequence[Any]) -> Features:
        """(P, size) one row for each observation: one-hot, or every dimension with finite bounds scaled to [-1, 1]."""
        if isinstance(self.space, spaces.Discrete):
            return np.eye(self.size, dtype=np.float32)[np.asarray(observations) - int(self.space.start)]
        centre, reach = _centre_and_reach(self.space)
        rows = np.asarray(observations, dtype=np.float64).reshape(len(observations), -1)
        return ((rows - centre) / reach).astype(np.float32)


@dataclass(frozen=True, slots=True)
class ActionWriter:
    """Turns what a head chose into actions of a Discrete space (by index) or a Box (by numbers of unit size).

    >>> ActionWriter(spaces.Box(-2, 2, (1,))).write(np.array([[0.5], [9.0]]))
    [array([1.], dtype=float32), array([2.], dtype=float32)]
    """

    space: spaces.Box | spaces.Discrete

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> ActionWriter:
        """The writer of a space.

        Raises:
            ValueError: if the space is neither Box nor Discrete.
        """
        return cls(_box_or_discrete(space, "action"))

    @property
    def is_continuous(self) -> bool:
        return isinstance(self.space, spaces.Box)

    @property
    def size(self) -> int:
        """Outputs of the head: one for each choice, or for each dimension."""
        return _size(self.space)

    def write(self, choices: NDArray[np.floating[Any]]) -> list[Any]:
        """Actions of (P, ≥ size) choices: of a Discrete space the first column is the index, the rest is ignored."""
        if isinstance(self.space, spaces.Discrete):
            return [int(index) + int(self.space.start) for index in choices[:, 0]]
        centre, reach = _centre_and_reach(self.space)
        shape, low, high = self.space.shape, self.space.low, self.space.high
        rows = (centre + reach * choices[:, : self.size]).reshape(-1, *shape)
        return [np.clip(row, low, high).astype(self.space.dtype) for row in rows]


def _box_or_discrete(space: spaces.Space[Any], of: str) -> spaces.Box | spaces.Discrete:
    if isinstance(space, spaces.Box | spaces.Discrete):
        return space
    raise ValueError(f"the {of} space must be a Box or Discrete, got {space}")


def _size(space: spaces.Box | spaces.Discrete) -> int:
    """One for each choice, or for each dimension."""
    return int(space.n) if isinstance(space, spaces.Discrete) else int(np.prod(space.shape))


def _centre_and_reach(space: spaces.Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(size,) middle of the bounds and half their distance; 0 and 1 for a dimension without finite bounds."""
    low, high = (bound.astype(np.float64).ravel() for bound in (space.low, space.high))
    is_bounded = (np.abs(low) < _UNBOUNDED) & (np.abs(high) < _UNBOUNDED) & (high > low)
    low, high = np.where(is_bounded, low, -1.0), np.where(is_bounded, high, 1.0)
    return (low + high) / 2, (high - low) / 2
