"""Reading data rows: fields of the ground truth, with errors that name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text_field(ground_truth: Mapping[str, Any], name: str) -> str:
    """A text field that must be there and hold something.

    >>> text_field({"target": " alice "}, "target")
    'alice'

    Raises:
        ValueError: naming the field and what was found instead.
    """
    value = ground_truth.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"ground truth needs a non-empty str {name!r}, got {value!r:.80}")
    return value.strip()
