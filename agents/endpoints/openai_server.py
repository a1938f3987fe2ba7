"""A server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, transformers serve, or a provider."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import openai

from mtgrpo_env.agents.endpoints.replies import Reply

_REFUSALS = (openai.BadRequestError, openai.UnprocessableEntityError)
_TOO_LARGE = 413
_EXCERPT = 200


class EndpointError(ConnectionError):
    """An endpoint cannot be used: says which, what happened, and what to do."""


class Api(Protocol):
    """One of the ways in which such a server may be asked."""

    def post(self, client: openai.OpenAI, request: Mapping[str, Any]) -> str:
        """Send a request; the text of what comes back."""
        ...

    def text(self, choice: Mapping[str, Any]) -> str:
        """The response in a choice; "" where the model said nothing."""
        ...


class Chat:
    """Requests hold `messages`; the server puts them into the model's own template."""

    def post(self, client: openai.OpenAI, request: Mapping[str, Any]) -> str:
        rest = {name: value for name, value in request.items() if name not in ("model", "messages")}
        return client.chat.completions.with_raw_response.create(
            model=request["model"], messages=request["messages"], extra_body=rest
        ).text

    def text(self, choice: Mapping[str, Any]) -> str:
        content = choice["message"].get("content") or ""  # there is none where the model calls a tool
        return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class Completions:
    """Requests hold a `prompt`, a text that is continued as it stands."""

    def post(self, client: openai.OpenAI, request: Mapping[str, Any]) -> str:
        rest = {name: value for name, value in request.items() if name not in ("model", "prompt")}
        return client.completions.with_raw_response.create(
            model=request["model"], prompt=request["prompt"], extra_body=rest
        ).text

    def text(self, choice: Mapping[str, Any]) -> str:
        return choice["text"]


class OpenAIServer:
    """A model on such a server.

    What never arrives whole (time-outs, 429, 5xx, cut connections) is asked for again by OpenAI's client, with
    growing pauses or the one that the server wishes for; answers that make no sense are asked for again as well.

    Args:
        model: as the server calls it.
        url: that the paths `/chat/completions` and `/completions` are below, such as `http://127.0.0.1:8000/v1`.
        api: `Chat` or `Completions`.
        fields: of every request besides model, prompt and seed, such as `temperature`; None leaves a field out.
        seed: of the responses, for servers that take one.
        retries: of one request.
        patience: seconds until a request is given up.
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        api: Api,
        fields: Mapping[str, Any],
        seed: int = 0,
        retries: int = 8,
        patience: float = 600.0,
    ) -> None:
        self.url = _checked_url(url)
        self._model, self._api, self._fields, self._seed = model, api, dict(fields), seed
        self._retries = retries
        key = os.environ.get("OPENAI_API_KEY", "").strip() or "none"  # servers of one's own ask for none
        self._client = openai.OpenAI(base_url=self.url, api_key=key, max_retries=retries, timeout=patience)

    def request(self, prompt: Mapping[str, Any], sample: int, *, deterministic: bool) -> Mapping[str, Any]:
        """See `Server`."""
        drawn = {"seed": _seed(self._seed, prompt, sample), **self._fields}
        if deterministic:
            drawn["temperature"] = 0.0
        named = {name: value for name, value in drawn.items() if value is not None}
        return {"model": self._model, **prompt, **named}

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """See `Server`.

        Raises:
            EndpointError: if the server cannot be reached, will not have us, or keeps making no sense.
        """
        for _ in range(self._retries + 1):
            try:
                answer = self._api.post(self._client, request)
            except openai.APIStatusError as error:
                if isinstance(error, _REFUSALS) or error.status_code == _TOO_LARGE:
                    return Reply(error.message, 0, 0, is_refused=True)
                raise self._error(f"answered with status {error.status_code}: {error.message:.{_EXCERPT}}") from error
            except openai.APIConnectionError as error:
                raise self._error(f"did not answer in {self._retries + 1} tries ({_cause(error)})") from error
            try:
                return self._reply(json.loads(answer))
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                continue
        raise self._error(f"sent {self._retries + 1} answers that are no completions, lastly {answer!r:.{_EXCERPT}}")

    def _reply(self, answer: Any) -> Reply:
        (choice,) = answer["choices"]
        text = self._api.text(choice)
        sendable = text.encode(errors="replace").decode()  # half a surrogate pair could not be sent back
        counts = (_count(answer.get("usage"), name) for name in ("prompt_tokens", "completion_tokens"))
        return Reply(sendable, *counts, is_truncated=choice.get("finish_reason") == "length")

    def _error(self, what: str) -> EndpointError:
        return EndpointError(
            f"the server at {self.url} {what}. Replies that came are kept: once it works, the same command goes on"
        )


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError(f"expected a URL like http://127.0.0.1:8000/v1, got {url!r}")
    return url.rstrip("/")


def _count(usage: Any, name: str) -> int:
    """Tokens; 0 where the server says nothing sensible, since the response is good all the same."""
    count = usage.get(name) if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and count > 0 else 0


def _seed(seed: int, prompt: Mapping[str, Any], sample: int) -> int:
    """31 bits of a hash: with one seed for all, a server draws the same random numbers for every prompt."""
    digest = hashlib.blake2b(json.dumps([seed, prompt, sample]).encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1


def _cause(error: Exception) -> str:
    return repr(error.__cause__ or error)
