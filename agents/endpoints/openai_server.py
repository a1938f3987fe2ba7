"""A server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, transformers serve, or a provider."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlsplit

import openai

from mtgrpo_env.agents.endpoints.answers import read_reply
from mtgrpo_env.agents.endpoints.bounds import Unbounded, bounded_client, within
from mtgrpo_env.agents.endpoints.faults import LONGEST_WAIT, Fault, fault_within, status_fault
from mtgrpo_env.agents.endpoints.replies import API_KEY, EndpointError, Reply
from mtgrpo_env.redaction import environment_secrets, redacted, secrets_of_fields, secrets_of_url, without
from mtgrpo_env.spaces import is_sendable

_EXCERPT = 200
_UNAUTHORIZED = 401
_COMPLETIONS = ("chat.completion", "text_completion")  # an object that says so may have no choices: all were filtered

Answer = tuple[bytes, Mapping[str, str]]
"""The body of an answer, and its headers."""


class Api(Protocol):
    """One of the ways in which such a server may be asked."""

    async def post(self, client: openai.AsyncOpenAI, request: Mapping[str, Any]) -> Answer:
        """Send a request; what comes back with a status of success."""
        ...

    def fields_of(self, text: str) -> Mapping[str, Any]:
        """A text by itself as the fields of a request."""
        ...


class Chat:
    """Requests hold `messages`; the server puts them into the model's own template."""

    async def post(self, client: openai.AsyncOpenAI, request: Mapping[str, Any]) -> Answer:
        rest = {name: value for name, value in request.items() if name not in ("model", "messages")}
        answer = await client.chat.completions.with_raw_response.create(
            model=request["model"], messages=request["messages"], extra_body=rest
        )
        return answer.content, answer.headers

    def fields_of(self, text: str) -> Mapping[str, Any]:
        return {"messages": [{"role": "user", "content": text}]}


class Completions:
    """Requests hold a `prompt`, a text that is continued as it stands."""

    async def post(self, client: openai.AsyncOpenAI, request: Mapping[str, Any]) -> Answer:
        rest = {name: value for name, value in request.items() if name not in ("model", "prompt")}
        answer = await client.completions.with_raw_response.create(
            model=request["model"], prompt=request["prompt"], extra_body=rest
        )
        return answer.content, answer.headers

    def fields_of(self, text: str) -> Mapping[str, Any]:
        return {"prompt": text}


class OpenAIServer:
    """A model on such a server.

    What passes is asked for again, after growing pauses or the one that the server wishes for: time-outs, 429, 5xx, cut
    connections, errors inside an answer with status 200, answers that are too large (`bounds.MAX_BYTES`) or make no
    sense; where that keeps on, the reply has failed. What concerns one prompt alone (400, 403, 413, 422, 451, a filter)
    is an empty answer. No secret that a server sends back is in a reply or in an error.

    Args:
        model: as the server calls it.
        url: that the paths `/chat/completions` and `/completions` are below, such as `http://127.0.0.1:8000/v1`.
        api: `Chat` or `Completions`.
        fields: of every request besides model, prompt and seed, such as `temperature`; None leaves a field out.
        seed: of the responses, for servers that take one.
        retries: of one request.
        patience: seconds that a request may take from its first byte to the last of its answer.

    Raises:
        ValueError: if `retries` is negative, or `patience` no positive number.
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
        if retries < 0 or not 0 < patience < math.inf:
            raise ValueError(f"expected retries of at least 0 and patience above 0, got {retries} and {patience}")
        self._url = _checked_url(url)
        if not is_sendable(model):
            raise ValueError(f"expected the name of a model that UTF-8 can encode, got {model!r}")
        self._model, self._api, self._fields, self._seed = model, api, dict(fields), seed
        self._retries, self._patience = retries, patience
        self._secrets = {*environment_secrets(), *secrets_of_url(url), *secrets_of_fields(fields)}
        key = os.environ.get(API_KEY, "").strip() or "none"  # servers of one's own ask for none
        self._client = openai.AsyncOpenAI(
            base_url=self._url, api_key=key, max_retries=0, timeout=patience, http_client=bounded_client()
        )

    @property
    def url(self) -> str:
        """See `Server`; without a password."""
        return redacted(self._url)

    def request(self, prompt: Mapping[str, Any] | str, sample: int, *, deterministic: bool) -> Mapping[str, Any]:
        """See `Server`; a prompt may also be a text by itself."""
        prompt = self._api.fields_of(prompt) if isinstance(prompt, str) else prompt
        drawn = {"seed": _seed(self._seed, prompt, sample), **self._fields}
        if deterministic:
            drawn["temperature"] = 0.0
        named = {name: value for name, value in drawn.items() if value is not None}
        return {"model": self._model, **prompt, **named}

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """See `Server`.

        Raises:
            EndpointError: if the server will not have us, or not before long.
        """
        tries = 0
        while True:
            tries += 1
            try:
                reply = self._try(request)
                return replace(reply, text=without(reply.text, self._secrets))
            except Fault as fault:
                pause, reason = fault.pause(tries), without(str(fault), self._secrets)
                if fault.empty is not None:
                    return Reply("", 0, 0, empty=fault.empty, reason=reason)
                if not fault.passes or pause > LONGEST_WAIT:
                    key = f". The key is read from {API_KEY}" if fault.status == _UNAUTHORIZED else ""
                    raise EndpointError.at(self.url, f"{reason}{_after(tries)}{key}") from None
                if tries > self._retries:
                    return Reply("", 0, 0, empty="failed", reason=f"{reason}{_after(tries)}")
                time.sleep(pause)

    def _try(self, request: Mapping[str, Any]) -> Reply:
        try:
            body, headers = within(self._patience, self._api.post(self._client, request))
        except TimeoutError as error:
            raise Fault(f"did not answer (took longer than {self._patience:g} s)") from error
        except Unbounded as error:
            raise Fault(f"did not answer ({error})") from error
        except openai.APIStatusError as error:
            raise status_fault(error.status_code, error.body, error.response.headers) from error
        except openai.APIConnectionError as error:
            raise Fault(f"did not answer ({error.__cause__ or error!r})") from error
        try:
            answer = json.loads(body.decode())  # JSON is UTF-8, whatever charset a header claims
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, Mapping) and (fault := fault_within(answer, headers)):
            raise fault
        if not isinstance(answer, Mapping) or not ("choices" in answer or answer.get("object") in _COMPLETIONS):
            raise Fault(f"sent an answer that is no completion: {body.decode(errors='replace')!r:.{_EXCERPT}}")
        return read_reply(answer)


def _after(tries: int) -> str:
    return "" if tries == 1 else f", after {tries} tries"


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not (is_one and is_sendable(url)):
        raise ValueError(f"expected a URL like http://127.0.0.1:8000/v1, got {redacted(url)!r}")
    return url.rstrip("/")


def _seed(seed: int, prompt: Mapping[str, Any], sample: int) -> int:
    """31 bits of a hash: with one seed for all, a server draws the same random numbers for every prompt."""
    digest = hashlib.blake2b(json.dumps([seed, prompt, sample]).encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1
