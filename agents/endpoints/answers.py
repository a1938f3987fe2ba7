"""What stands in an answer: a response, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtgrpo_env.agents.endpoints.replies import EmptyAnswer, Reply

_FILTERS = frozenset(
    {"content_filter", "safety", "prohibited_content", "blocklist", "spii", "recitation", "sensitive", "image_safety"}
)
_MOST_TOKENS = 10**9
_LIMITS = frozenset({"length", "max_tokens"})


def read_reply(answer: Mapping[str, Any]) -> Reply:
    """The reply in an answer without an error, of either API.

    An answer without a choice is one that was filtered: some servers send no more.
    """
    usage = answer.get("usage")
    read, generated = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping):
        return Reply("", read, generated, empty="filtered")
    reason = str(choice.get("finish_reason")).casefold()
    message = choice.get("message")
    text = choice.get("text") if message is None else _field(message, "content")
    if reason in _FILTERS:
        return Reply("", read, generated, empty="filtered")
    response = _text(text)
    is_truncated = reason in _LIMITS
    if response:
        return Reply(response, read, generated, is_truncated=is_truncated)
    return Reply("", read, generated, is_truncated=is_truncated, empty=_why_empty(message, reason))


def _why_empty(message: object, reason: str) -> EmptyAnswer:
    if reason == "refusal" or _holds(message, "refusal") or _has_part(_field(message, "content"), "refusal"):
        return "declined"
    if _holds(message, "tool_calls", "function_call"):
        return "tool call"
    if _holds(message, "reasoning_content", "reasoning", "reasoning_details", "thinking"):
        return "reasoning"
    return "blank"


def _text(content: object) -> str:
    """A text, or the texts among parts; half a surrogate pair, which could not be sent back, becomes "?"."""
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str)).encode(errors="replace").decode()


def _has_part(content: object, kind: str) -> bool:
    return isinstance(content, list) and any(_field(part, "type") == kind for part in content)


def _field(thing: object, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else None


def _holds(message: object, *names: str) -> bool:
    return any(_field(message, name) for name in names)


def _count(usage: object, name: str) -> int:
    """Tokens; 0 where the server says nothing sensible, since the response is good all the same."""
    count = _field(usage, name)
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= _MOST_TOKENS else 0
