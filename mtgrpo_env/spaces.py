"""The one space of text: any string up to a length, for prompts and for responses alike.

Gymnasium's own `Text` checks characters against a fixed alphabet, one by one, and refuses blanks,
newlines and unicode by default. A model's text may hold anything.
"""

from __future__ import annotations

import string
from typing import Any, Never

from gymnasium import spaces
from gymnasium.vector.utils import create_shared_memory

MAX_TEXT_LENGTH = 1_000_000


def is_sendable(text: str) -> bool:
    r"""Whether UTF-8 can hold a text: of half a surrogate pair no file, tokenizer or server can make anything.

    >>> is_sendable("\U0001f600"), is_sendable("\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class FreeText(spaces.Text):
    r"""Every `str` of at most `max_length` characters, empty and unicode included.

    Vector envs need all tasks to share one space, so every text task uses `TEXT`.

    >>> "\\boxed{1 + 2}\n" in TEXT
    True
    """

    def __init__(self, max_length: int = MAX_TEXT_LENGTH) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A short random string: a full-length sample would be a megabyte."""
        if mask is None and probability is None:
            length = int(self.np_random.integers(min(64, self.max_length + 1)))
            return "".join(self.np_random.choice(list(string.printable), size=length))
        return super().sample(mask=mask, probability=probability)

    def __repr__(self) -> str:
        return f"FreeText(max_length={self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeText) and self.max_length == other.max_length

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # spaces are mutable


TEXT = FreeText()


@create_shared_memory.register(FreeText)
def _refuse_shared_memory(space: FreeText, n: int = 1, ctx: Any = None) -> Never:
    # Gymnasium's own way with `Text` stores indices into the alphabet, and would silently return other text.
    raise ValueError(
        "text cannot go through AsyncVectorEnv's shared memory: use AsyncVectorEnv(..., shared_memory=False), "
        "make_vec(..., vectorization_mode='async', vector_kwargs={'shared_memory': False}), or better the batched env "
        "that make_vec makes of our ids by default, which is faster"
    )
