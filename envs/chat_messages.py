"""Chat messages as data files and trainers have them, as conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtgrpo_env.chat import Message
from mtgrpo_env.paper_frame import question_of

ROLES: Mapping[str, str] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""Those of a row's messages, and what each is called here."""


def message_of(given: Any) -> Message:
    """One message of a prompt; the paper's frame around a question is the policy's to write, and is taken off.

    Raises:
        ValueError: with what was expected and what was found, if its role is none of `ROLES` or it holds no text.
    """
    role = given.get("role") if isinstance(given, Mapping) else None
    if not isinstance(role, str) or role not in ROLES:
        raise _error(f"with a role {', '.join(ROLES)}", given)
    content = content_of(given)
    if role == "user":
        content = question_of(content)
    if not content.strip() and ROLES[role] != "system":
        raise _error("that says something", given)
    return Message(ROLES[role], content)


def content_of(message: Any) -> str:
    """The text of a chat message, or of its parts.

    Raises:
        ValueError: with what was expected and what was found, if there is none.
    """
    content = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(content, Sequence) and not isinstance(content, str) and content:
        texts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        content = "".join(texts) if all(isinstance(text, str) for text in texts) else None  # pyright: ignore[reportArgumentType, reportCallIssue]
    if not isinstance(content, str):
        raise _error("with a str 'content', or parts that are texts", message)
    return content


def response_of(message: Mapping[str, Any]) -> str:
    """The text of a model's message; one that only calls tools has none.

    Raises:
        ValueError: if it is no message of a chat.
    """
    says_nothing = isinstance(message, Mapping) and not message.get("content")
    return "" if says_nothing else content_of(message)


def _error(expected: str, given: Any) -> ValueError:
    return ValueError(f"expected a chat message {expected}, got {type(given).__name__} {given!r:.80}")
