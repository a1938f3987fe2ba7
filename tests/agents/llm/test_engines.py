"""How tokens are drawn is checked where it is said."""

from __future__ import annotations

from typing import Any

import pytest

from mtgrpo_env.agents.llm.engines import Decoding


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_new_tokens", 0),
        ("temperature", -0.1),
        ("temperature", float("inf")),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", float("nan")),
        ("top_k", -1),
        ("stop", ("a", "")),
        ("stop", "User:"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{field} must be .*, got .?{value if field != 'stop' else ''}"):
        Decoding(**{field: value})


@pytest.mark.parametrize(("decoding", "is_restricted"), [({}, False), ({"top_p": 0.9}, True), ({"top_k": 1}, True)])
def test_top_p_and_top_k_restrict_what_is_drawn(decoding: dict[str, Any], is_restricted: bool) -> None:
    assert Decoding(**decoding).is_restricted == is_restricted
