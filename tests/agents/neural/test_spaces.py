"""Observations in, actions out, for the usual spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.neural.spaces import ActionWriter, ObservationReader

BOXES = [
    spaces.Box(-2, 2, (1,)),
    spaces.Box(0, 255, (2, 3), np.uint8),
    spaces.Box(-np.inf, np.inf, (4,)),
    spaces.Box(np.array([-1.0, -np.inf], np.float32), np.array([5.0, np.inf], np.float32)),
    spaces.Box(3, 3, (2,)),
]
DISCRETE = [spaces.Discrete(1), spaces.Discrete(5), spaces.Discrete(3, start=-1)]


@pytest.mark.parametrize("space", [*BOXES, *DISCRETE], ids=str)
def test_observations_of_a_space_become_rows_of_one_size(space: spaces.Space[Any]) -> None:
    space.seed(0)
    reader = ObservationReader.of(space)
    rows = reader.read([space.sample() for _ in range(7)])
    assert rows.shape == (7, reader.size)
    assert rows.dtype == np.float32


def test_bounded_dimensions_are_scaled_to_unit_size_and_others_left_alone() -> None:
    reader = ObservationReader.of(BOXES[3])
    rows = reader.read([np.array([5.0, 9.0]), np.array([-1.0, -9.0]), np.array([2.0, 0.0])])
    assert rows.tolist() == [[1.0, 9.0], [-1.0, -9.0], [0.0, 0.0]]


def test_discrete_observations_are_one_hot_from_their_start() -> None:
    assert ObservationReader.of(DISCRETE[2]).read([-1, 1]).tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("space", [*BOXES, *DISCRETE], ids=str)
@settings(max_examples=20, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whatever_a_head_chooses_is_an_action_of_the_space(space: spaces.Space[Any], seed: int) -> None:
    writer = ActionWriter.of(space)
    rng = np.random.default_rng(seed)
    chosen = rng.normal(scale=3, size=(5, writer.size + 2)).astype(np.float32)
    if not writer.is_continuous:
        chosen[:, 0] = rng.integers(writer.size, size=5)
    assert all(action in space for action in writer.write(chosen))


def test_numbers_of_unit_size_span_a_box() -> None:
    low, middle, high, beyond = (
        float(a[0]) for a in ActionWriter.of(BOXES[0]).write(np.array([[-1.0], [0], [1], [7]]))
    )
    assert (low, middle, high, beyond) == (-2, 0, 2, 2)


@pytest.mark.parametrize("make", [ObservationReader.of, ActionWriter.of])
def test_other_spaces_are_refused_by_name(make: Any) -> None:
    with pytest.raises(ValueError, match=r"space must be a Box or Discrete, got MultiBinary\(3\)"):
        make(spaces.MultiBinary(3))
