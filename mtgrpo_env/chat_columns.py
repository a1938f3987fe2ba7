"""Conversations as a column of a data file: chat messages, or a text where there is no more than that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mtgrpo_env.chat import ChatText, Message


def chat_text(messages: Iterable[Message]) -> ChatText:
    r"""The conversation, as a text joined by blank lines.

    >>> chat_text([Message("system", "Be brief."), Message("user", "1+1?")]) == "Be brief.\n\n1+1?"
    True
    """
    messages = tuple(messages)
    return ChatText("\n\n".join(message.content for message in messages), messages)


def plain_messages(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Messages as chat templates, servers and data files have them."""
    return [message.plain for message in messages]


def column_of(prompt: str) -> str | list[dict[str, str]]:
    """A prompt as it is written: messages if it is a chat."""
    return plain_messages(prompt.messages) if isinstance(prompt, ChatText) else prompt


def prompt_of(column: Any) -> str:
    """A prompt that `column_of` wrote.

    Raises:
        ValueError: if it is neither a text nor chat messages.
    """
    if isinstance(column, str):
        return column
    if not isinstance(column, list) or not column or not all(map(_is_message, column)):
        raise ValueError(f"expected a text or chat messages, got {column!r:.80}")
    return chat_text(Message(message["role"], message["content"]) for message in column)


def _is_message(given: Any) -> bool:
    return isinstance(given, Mapping) and all(isinstance(given.get(name), str) for name in Message._fields)
