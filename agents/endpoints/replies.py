"""What a server answers, and a file of answers, so that a run that was cut off pays for none of them twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from mtgrpo_env.agents.kept_file import KeptFile, key_of

EmptyAnswer = Literal["failed", "refused", "denied", "filtered", "declined", "tool call", "reasoning", "blank"]
"""Why there is no response: the server failed at this prompt, however often it was asked; it did not take it, which may
be too long; it may not be asked this (403); a policy on content withheld the response; the model declined, in a field
of its own; it called a tool; it reasoned and said nothing; it said nothing."""

API_KEY = "OPENAI_API_KEY"
"""The environment variable that the key of a server is read from."""

_NOT_KEPT = ("failed", "refused", "denied")  # another time the server may be well, or have a longer context
_RENAMED = {"is_cut": "is_truncated"}  # files of earlier versions are still good


class EndpointError(ConnectionError):
    """An endpoint cannot be used: says which, what happened, and what to do."""

    @classmethod
    def at(cls, url: str, what: str) -> EndpointError:
        """The error of the server at a URL without a password, and what it did."""
        kept = "Replies that came are kept: once it works, the same command goes on"
        return cls(f"the server at {url} {what}. {kept}")


@dataclass(frozen=True, slots=True)
class Reply:
    """One response.

    Attributes:
        text: of the response; "" if there is none.
        prompt_tokens: read, as the server counts them; 0 if it does not say.
        completion_tokens: generated, likewise.
        is_truncated: whether the response ended because it might not be longer.
        empty: why there is no text; None if there is some.
        reason: what the server said of it.
        is_stored: whether it is an earlier one, which says nothing of how the server is now.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    is_truncated: bool = False
    empty: EmptyAnswer | None = None
    reason: str = ""
    is_stored: bool = field(default=False, compare=False)

    @property
    def is_refused(self) -> bool:
        """Whether the server would not take the prompt."""
        return self.empty in ("refused", "denied")

    @property
    def is_failed(self) -> bool:
        """Whether nothing is known of how the model responds."""
        return self.empty == "failed"

    @property
    def num_tokens(self) -> int:
        """Tokens generated."""
        return self.completion_tokens

    @property
    def log_prob(self) -> None:
        """Not asked for."""
        return None


class Server(Protocol):
    """Whoever answers prompts."""

    def request(self, prompt: Mapping[str, Any], sample: int, *, deterministic: bool) -> Mapping[str, Any]:
        """What is asked for: the model, the prompt and how tokens are drawn; samples of one prompt differ by a seed.

        Args:
            prompt: the fields that hold it; see `WrittenPrompt`.
            sample: of equal prompts, from 0.
            deterministic: whether the likeliest tokens are taken.
        """
        ...

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """The answer to a request; called from many threads at a time."""
        ...

    @property
    def url(self) -> str:
        """Where it listens, without a password."""
        ...


class CachedServer:
    """A server whose answers are kept in a file (SQLite); what was asked before is answered from there.

    Failures and refusals are not kept: a server may be started anew, with a longer context.

    Args:
        server: asked what is not in the file.
        file: made if it is not there; several processes may use it at a time.
    """

    def __init__(self, server: Server, file: Path) -> None:
        self._server = server
        self.hits = 0
        self._kept = KeptFile(file)

    @property
    def url(self) -> str:
        """Of the server."""
        return self._server.url

    def request(self, prompt: Mapping[str, Any], sample: int, *, deterministic: bool) -> Mapping[str, Any]:
        """See `Server`; the number of the sample is part of it, for servers that are sent no seed."""
        return {**self._server.request(prompt, sample, deterministic=deterministic), "sample": sample}

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """See `Server`."""
        key = key_of(self.url, request)
        if (found := self._kept.get(key)) is not None:
            self.hits += 1
            return _stored(found)
        reply = self._server.ask({name: value for name, value in request.items() if name != "sample"})
        if reply.empty not in _NOT_KEPT:
            self._kept.put(key, asdict(reply))
        return reply

    def close(self) -> None:
        """See `KeptFile`."""
        self._kept.close()


def _stored(record: Mapping[str, Any]) -> Reply:
    """A reply by the names that its fields have today."""
    named = {_RENAMED.get(name, name): value for name, value in record.items()}
    return replace(Reply(**{f.name: named[f.name] for f in fields(Reply) if f.name in named}), is_stored=True)
