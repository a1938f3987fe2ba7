"""Texts of others as a person will read them: what cannot be seen, and what steers a terminal, is named."""

from __future__ import annotations

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, reordering and other invisible marks, halves of characters


def visible(text: str) -> str:
    r"""A text in which nothing is hidden; lines and tabs stay.

    >>> visible("\x1b[31m\u202e\ud800 ok")
    '⟨U+001B⟩[31m⟨U+202E⟩⟨U+D800⟩ ok'
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def one_line(text: str, most: int | None = None) -> str:
    r"""A visible text in one line, of at most so many characters: its beginning and its end.

    >>> one_line("a\n  b"), one_line("countdown-" * 9, 20)
    ('a b', 'countdown…countdown-')
    """
    line = visible(" ".join(text.split()))
    if most is None or len(line) <= most:
        return line
    return f"{line[: (most - 1) // 2]}…{line[-(most // 2) :]}"


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _HIDDEN:
        return character
    return f"⟨U+{ord(character):04X}⟩"
