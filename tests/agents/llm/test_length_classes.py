"""Classes of rows by length: every row once, and less computed for padding."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.llm.length_classes import length_classes

LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=80)


def computed(lengths: list[int], classes: list[list[int]]) -> int:
    return sum(len(rows) * max(lengths[row] for row in rows) for rows in classes)


@given(LENGTHS)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_every_row_is_in_one_class_and_classes_go_from_short_to_long(lengths: list[int]) -> None:
    classes = length_classes(lengths)
    assert sorted(row for rows in classes for row in rows) == list(range(len(lengths)))
    assert all(
        max(lengths[row] for row in shorter) <= min(lengths[row] for row in longer)
        for shorter, longer in pairwise(classes)
    )


@given(LENGTHS)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_each_further_class_saves_an_eighth_of_what_one_would_compute(lengths: list[int]) -> None:
    classes, whole = length_classes(lengths), len(lengths) * max(lengths)
    assert whole - computed(lengths, classes) >= (len(classes) - 1) * whole / 8


def test_many_different_lengths_are_divided_too() -> None:
    lengths = [(7 * i) % 1009 for i in range(1000)]
    classes = length_classes(lengths)
    assert 2 <= len(classes) <= 8
    assert computed(lengths, classes) < 0.75 * len(lengths) * max(lengths)
