"""A server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, transformers serve, or a provider."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import openai

from mtgrpo_env.agents.endpoints.answers import read_reply
from mtgrpo_env.agents.endpoints.faults import LONGEST_WAIT, Fault, fault_within, status_fault
from mtgrpo_env.agents.endpoints.replies import API_KEY, Reply
from mtgrpo_env.spaces import is_sendable

_EXCERPT = 200
_UNAUTHORIZED = 401
_COMPLETIONS = ("chat.completion", "text_completion")  # an object that says so may have no choices: all were filtered

Answer = tuple[str, Mapping[str, str]]
"""The text of an answer, and its headers."""


class EndpointError(ConnectionError):
    """An endpoint cannot be used: says which, what happened, and what to do."""


class Api(Protocol):
    """One of the ways in which such a server may be asked."""

    def post(self, client: openai.OpenAI, request: Mapping[str, Any]) -> Answer:
        """Send a request; what comes back with a status of success."""
        ...

    def fields_of(self, text: str) -> Mapping[str, Any]:
        """A text by itself as the fields of a request."""
        ...


class Chat:
    """Requests hold `messages`; the server puts them into the model's own template."""

    def post(self, client: openai.OpenAI, request: Mapping[str, Any]) -> Answer:
        rest = {name: value for name, value in request.items() if name not in ("model", "messages")}
        answer = client.chat.completions.with_raw_response.create(
            model=request["model"], messages=request["messages"], extra_body=rest
        )
        return answer.text, answer.headers

    def fields_of(self, text: str) -> Mapping[str, Any]:
        return {"messages": [{"role": "user", "content": text}]}


class Completions:
    """Requests hold a `prompt`, a text that is continued as it stands."""

    def post(self, client: openai.OpenAI, request: Mapping[str, Any]) -> Answer:
        rest = {name: value for name, value in request.items() if name not in ("model", "prompt")}
        answer = client.completions.with_raw_response.create(
            model=request["model"], prompt=request["prompt"], extra_body=rest
        )
        return answer.text, answer.headers

    def fields_of(self, text: str) -> Mapping[str, Any]:
        return {"prompt": text}


class OpenAIServer:
    """A model on such a server.

    What passes is asked for again, after growing pauses or the one that the server wishes for: time-outs, 429, 5xx, cut
    connections, errors inside an answer with status 200, and answers that make no sense. What concerns one prompt
    alone (400, 403, 413, 422, 451, a filter) is an empty answer.

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
        if not is_sendable(model):
            raise ValueError(f"expected the name of a model that UTF-8 can encode, got {model!r}")
        self._model, self._api, self._fields, self._seed = model, api, dict(fields), seed
        self._retries = retries
        key = os.environ.get(API_KEY, "").strip() or "none"  # servers of one's own ask for none
        self._client = openai.OpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=patience)

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
            EndpointError: if the server cannot be reached, will not have us, or keeps failing.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return self._try(request)
            except Fault as fault:
                if fault.empty is not None:
                    return Reply("", 0, 0, empty=fault.empty, reason=str(fault))
                pause = fault.pause(tries)
                if not fault.passes or tries > self._retries or pause > LONGEST_WAIT:
                    raise self._error(fault, tries) from fault
                time.sleep(pause)

    def _try(self, request: Mapping[str, Any]) -> Reply:
        try:
            text, headers = self._api.post(self._client, request)
        except openai.APIStatusError as error:
            raise status_fault(error.status_code, error.body, error.response.headers) from error
        except openai.APIConnectionError as error:
            raise Fault(f"did not answer ({error.__cause__ or error!r})") from error
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, Mapping) and (fault := fault_within(answer, headers)):
            raise fault
        if not isinstance(answer, Mapping) or not ("choices" in answer or answer.get("object") in _COMPLETIONS):
            raise Fault(f"sent an answer that is no completion: {text!r:.{_EXCERPT}}")
        return read_reply(answer)

    def _error(self, fault: Fault, tries: int) -> EndpointError:
        key = f"The key is read from {API_KEY}. " if fault.status == _UNAUTHORIZED else ""
        last = "" if tries == 1 else f", after {tries} tries"
        return EndpointError(
            f"the server at {self.url} {fault}{last}. {key}Replies that came are kept: once it works, the same command "
            "goes on"
        )


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not (is_one and is_sendable(url)):
        raise ValueError(f"expected a URL like http://127.0.0.1:8000/v1, got {url!r}")
    return url.rstrip("/")


def _seed(seed: int, prompt: Mapping[str, Any], sample: int) -> int:
    """31 bits of a hash: with one seed for all, a server draws the same random numbers for every prompt."""
    digest = hashlib.blake2b(json.dumps([seed, prompt, sample]).encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1
