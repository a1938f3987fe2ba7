"""What goes wrong with a request: what passes, what concerns one prompt alone, and what ends a run."""

from __future__ import annotations

import email.utils
import json
import math
import random
import time
from collections.abc import Mapping
from typing import Any

from mtgrpo_env.agents.endpoints.replies import EmptyAnswer
from mtgrpo_env.redaction import redacted
from mtgrpo_env.visible_text import one_line

LONGEST_WAIT = 120.0
"""Seconds that a server may ask for by `Retry-After`."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds
_PASSING = frozenset({408, 409, 425, 429})  # and all from 500
_ABOUT_THE_PROMPT = frozenset({400, 403, 413, 422, 451})
_POLICY_WORDS = (
    "content_filter",
    "content filter",
    "content_policy",
    "content policy",
    "content management policy",
    "usage policy",
    "responsibleaipolicy",
    "moderation",
    "safety",
    "flagged",
    "prohibited_content",
    "inappropriate",
    "data_inspection_failed",
)
_STATUS_OF_WORDS = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_denied": 403,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "context_length_exceeded": 400,
    "invalid_argument": 400,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
}
"""Statuses of errors that come as words, inside an answer with status 200; any other passes."""

_EXCERPT = 200
_LONGEST_BODY = 20_000  # characters that are looked through for words


class Fault(Exception):
    """Why there is no completion.

    Attributes:
        status: of HTTP, or the one that an error within an answer stands for; None where no answer came, or no sense.
        wait: seconds after which the server wants to be asked again; None if it does not say.
        is_policy: whether a policy on content is the reason.
    """

    def __init__(
        self, message: str, *, status: int | None = None, wait: float | None = None, is_policy: bool = False
    ) -> None:
        super().__init__(one_line(redacted(message)))
        self.status, self.wait, self.is_policy = status, wait, is_policy

    @property
    def passes(self) -> bool:
        """Whether the same request may be answered later."""
        return self.status is None or self.status in _PASSING or self.status >= 500

    @property
    def empty(self) -> EmptyAnswer | None:
        """What kind of answer it is, if it concerns one prompt alone."""
        if self.status not in _ABOUT_THE_PROMPT:
            return None
        if self.is_policy:
            return "filtered"
        return "denied" if self.status == 403 else "refused"

    def pause(self, tries: int) -> float:
        """Seconds until the next of so many tries: what the server wishes, else twice as long each time."""
        if self.wait is not None:
            return self.wait
        doubled = _FIRST_PAUSE * 2.0 ** min(tries - 1, 10)
        return min(doubled, _LONGEST_PAUSE) * (1 - 0.25 * random.random())


def status_fault(status: int, body: object, headers: Mapping[str, str]) -> Fault:
    """The fault that a status of HTTP is, with what stands in its body."""
    error = body.get("error") or body if isinstance(body, Mapping) else body
    return _fault(status, error, _wait(headers))


def fault_within(answer: Mapping[str, Any], headers: Mapping[str, str]) -> Fault | None:
    """The error that an answer with status 200 holds: at its top, or in its first choice."""
    error = answer.get("error")
    if not error and answer.get("object") == "error":
        error = answer
    choices = answer.get("choices")
    if not error and isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        error = choices[0].get("error") or (choices[0].get("finish_reason") == "error" and choices[0])
    if not error:
        return None
    asked = error.get("retry_after") if isinstance(error, Mapping) else None
    return _fault(_status_of(error), error, _wait({"retry-after": str(asked), **headers}))


def _fault(status: int, error: object, wait: float | None) -> Fault:
    said = error.get("message") if isinstance(error, Mapping) else error
    text = said if isinstance(said, str) and said else json.dumps(error)
    words = json.dumps(error)[:_LONGEST_BODY].casefold()
    is_policy = any(word in words for word in _POLICY_WORDS)
    text = redacted(text[:_LONGEST_BODY])  # whole: of a key that is cut the beginning would not be found
    return Fault(f"answered with status {status}: {text:.{_EXCERPT}}", status=status, wait=wait, is_policy=is_policy)


def _status_of(error: object) -> int:
    """The status that an error stands for: its number, else that of its words; 429 if nothing says more."""
    if isinstance(error, Mapping):
        for name in ("code", "status", "type"):
            value = error.get(name)
            if isinstance(value, str) and value.isascii() and value.isdigit():
                value = int(value[:9])
            if isinstance(value, int) and 400 <= value < 600:
                return value
            if isinstance(value, str) and value.casefold() in _STATUS_OF_WORDS:
                return _STATUS_OF_WORDS[value.casefold()]
            if isinstance(value, str) and any(word in value.casefold() for word in _POLICY_WORDS):
                return 400
    return 429


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds from now by `Retry-After`; None where it says nothing of use."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        seconds = _seconds(headers.get(name, "")) * scale
        if seconds > 0:
            return seconds
    return None


def _seconds(asked: str) -> float:
    """Seconds from now, of a number or a date; NaN of anything else."""
    try:
        return float(asked)
    except ValueError:
        pass
    try:
        return email.utils.parsedate_to_datetime(asked).timestamp() - time.time()
    except (ValueError, OverflowError, OSError):
        return math.nan
