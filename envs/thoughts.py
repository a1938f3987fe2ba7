"""The thoughts of a response, `<think>...</think>`, hold no answer."""

from __future__ import annotations

import re

_OPENING = re.compile(r"<(?:think|thinking)>")
_CLOSING = re.compile(r"</(?:think|thinking)>")


def without_thoughts(response: str) -> str:
    r"""What follows the last thought of a response; nothing that follows an opening tag that is never closed.

    A prompt may have opened the thought, so a closing tag alone ends one.

    >>> without_thoughts("<think>7? No.</think>8"), without_thoughts("7? No.</think>8"), without_thoughts("<think>7")
    ('8', '8', '')
    """
    if ">" not in response:  # the usual case
        return response
    spoken = _CLOSING.split(response)[-1]
    return _OPENING.split(spoken, maxsplit=1)[0]
