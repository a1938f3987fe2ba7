"""Texts without passwords, keys and tokens: what every error, log, report and saved response goes through."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from mtgrpo_env.visible_text import visible

HIDDEN = "***"
"""Stands where a secret stood."""

_NAME = r"[\w.-]{0,64}(?:api[-_]?key|key|token|secret|passw(?:or)?d|authorization|credentials?)"
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_CHOICE = re.compile(r"[a-z_]{1,16}")  # "high", "json_object": a value that is one of a few
_WORD = re.compile(r"[A-Za-z][a-z]*(?:-[a-z]+)*\.*")


def _basic_hidden(found: re.Match[str]) -> str:
    """Credentials of the scheme "Basic" hidden; "basic arithmetic" is English."""
    header, scheme, token = found.groups(default="")
    is_english = not header and _WORD.fullmatch(token) and not _is_pair(token)
    return found[0] if is_english else f"{header}{scheme} {HIDDEN}"


def _is_pair(token: str) -> bool:
    """Whether a token may be a user and a password, as the scheme encodes them."""
    try:
        return b":" in base64.b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return False


_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(\w://)[^/?#\s'\"]*@"), r"\1"),  # of URLs: user and password
    (re.compile(r"([?&][\w.\[\]-]{1,64}=)[^&#\s'\"]+"), rf"\1{HIDDEN}"),  # values of a query
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"(authorization\W{1,4})?\b(basic)\s+([\w.~+/=-]{6,})", re.IGNORECASE), _basic_hidden),
    (re.compile(rf"""(["']{_NAME}["']\s*:\s*)(["'])[^"']+\2""", re.IGNORECASE), rf"\1\2{HIDDEN}\2"),
    (re.compile(r"\b(?:sk|pk|hf|ghp|gho|xox[a-z])[-_][\w-]{16,}"), HIDDEN),
)
_SHORTEST = 4  # characters of a secret that is looked for: "1" stands in many texts, and guards nothing
_SHORTEST_KEY = 8  # of a variable's value: shorter ones are words, such as "none" for servers that ask for no key


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """A text without its secrets: of a known form, among the environment's variables, or known.

    >>> redacted("http://me:pw@host/v1?key=abc with Bearer abcdef123")
    'http://host/v1?key=*** with Bearer ***'
    """
    text = without(text, [*environment_secrets(), *known])
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def shown(text: str) -> str:
    """A text as it may be put on a terminal or into a log: without secrets, and without what steers a terminal."""
    return visible(redacted(text))


def without(text: str, secrets: Iterable[str]) -> str:
    """A text without these secrets, to the letter; the longest first, since one may hold another."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text


def holds_secret(text: str) -> bool:
    """Whether a variable of the environment that is secret, or a URL with a password, stands in a text."""
    return any(secret in text for secret in environment_secrets()) or bool(_PATTERNS[0][0].search(text))


def redacted_fields(value: Any, name: str = "") -> Any:
    """JSON's values with numbers and choices as they are, and every other text hidden.

    >>> redacted_fields({"effort": "high", "user": "Jane 17", "token": "abc", "n": 2})
    {'effort': 'high', 'user': '***', 'token': '***', 'n': 2}
    """
    if isinstance(value, Mapping):
        return {key: redacted_fields(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [redacted_fields(part, name) for part in value]
    is_choice = isinstance(value, str) and _CHOICE.fullmatch(value) and not _SECRET_NAME.fullmatch(name)
    return value if is_choice or not isinstance(value, str) else HIDDEN


def redacted_json(text: str) -> str:
    """`redacted_fields` of a JSON text; all of it is hidden if it is none."""
    try:
        return json.dumps(redacted_fields(json.loads(text)))
    except (ValueError, RecursionError):
        return HIDDEN


def environment_secrets() -> list[str]:
    """Values of the variables that are called like a secret."""
    named = ((name, value.strip()) for name, value in os.environ.items() if _SECRET_NAME.fullmatch(name))
    return [value for _, value in named if len(value) >= _SHORTEST_KEY and not os.path.exists(value)]


def secrets_of_url(url: str) -> Iterator[str]:
    """The password in a URL as it may come back: as it stands, decoded, and as the header that it is sent in."""
    user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    if password:
        pair = f"{unquote(user)}:{unquote(password)}"
        yield from (password, unquote(password), base64.b64encode(pair.encode()).decode())
    yield from (value for part in urlsplit(url).query.split("&") if (value := part.partition("=")[2]))


def secrets_of_fields(value: Any, name: str = "") -> Iterator[str]:
    """The texts in JSON's values whose name says that they are secret."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from secrets_of_fields(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from secrets_of_fields(part, name)
    elif isinstance(value, str) and _SECRET_NAME.fullmatch(name):
        yield value
