"""Values of the known types come back as they were, in equal bytes, and nothing else is ever made."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mtgrpo_env.chat import ChatText, Message
from mtgrpo_env.plain_data import dump, load, plain_record
from mtgrpo_env.types import Problem

KEYS = st.text() | st.integers() | st.tuples(st.integers(), st.text())
ARRAYS = arrays(st.sampled_from(["<i4", ">f4", "<f8", "|b1", "<U3", "<c16", "<M8[s]"]), array_shapes(min_side=0))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]))  # half characters too
    | st.binary()
    | ARRAYS
    | ARRAYS.filter(lambda array: array.size > 0).map(lambda array: array.flat[0])
    | st.lists(st.integers()).map(tuple)
    | st.lists(st.floats()).map(tuple)
    | st.builds(lambda text, said: ChatText(text, [Message("user", said)]), st.text(), st.text())
    | st.builds(Problem, st.integers(), st.integers(), st.dictionaries(st.text(), st.integers()))
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner), max_leaves=12
)


@given(VALUES)
def test_what_is_read_is_what_was_written_and_is_written_alike(value: Any) -> None:
    text, data = dump(value)
    read = load(text, data)
    assert type(read) is type(value)
    np.testing.assert_equal(read, value)
    assert dump(read) == (text, data)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(
                    ["tuple", "dict", "array", "scalar", "numbers", "record", "chat", "bytes", "set", "float"]
                ),
                s,
            )
        ),
    )
)
def test_any_json_is_a_value_of_the_known_types_or_an_error(structure: Any) -> None:
    text = json.dumps({"arrays": [["<i8", [2]]], "value": structure})
    try:
        value = load(text, bytes(16))
    except ValueError:
        return
    dump(value)


def test_two_records_of_one_name_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match="two records are called Problem"):
        plain_record(type("Problem", (), {}))
