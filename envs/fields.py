"""Reading data rows: fields of the ground truth, with errors that name them, and the question in a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtgrpo_env.envs.answers import conversation

_BEFORE, _, _AFTER = conversation("?").partition("?")


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


def bare_question(prompt: str) -> str:
    """The question in a prompt of the paper's format; any other text is taken to be the question itself.

    >>> bare_question(conversation("Why?")), bare_question("Why?")
    ('Why?', 'Why?')
    """
    if prompt.startswith(_BEFORE) and prompt.endswith(_AFTER):
        return prompt[len(_BEFORE) : -len(_AFTER)]
    return prompt
