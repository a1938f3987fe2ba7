"""A model behind an endpoint as a policy for text tasks."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from mtgrpo_env.agents.endpoints.prompts import ChatMessages, PromptWriter, WrittenPrompt
from mtgrpo_env.agents.endpoints.replies import API_KEY, EndpointError, Reply, Server
from mtgrpo_env.progress import advance
from mtgrpo_env.ranges import Range
from mtgrpo_env.rollout import in_order
from mtgrpo_env.spaces import TEXT

_CHAT = ChatMessages()

_LOG = logging.getLogger(__name__)
_MANY = 16
"""Prompts one after the other that a server may fail at, or refuse before it has answered any."""

_Asked = tuple[int, Mapping[str, Any]]
_Answered = tuple[int, Reply] | Exception


class EndpointPolicy:
    """Asks a server for every response, many at a time.

    A prompt that is answered with nothing, by the server, a filter or the model, has the response "", which is wrong,
    and counted; where the server failed, the rollout is invalid. That it refuses whatever it is asked, or fails at
    that, is an error. A response holds the begun answer that it goes on with.

    Args:
        server: answers.
        prompts: writes observations as the server's API takes them.
        concurrency: requests that are under way at a time, at the most.

    Raises:
        ValueError: if `concurrency` is below 1.
    """

    def __init__(self, server: Server, prompts: PromptWriter = _CHAT, *, concurrency: int = 16) -> None:
        Range(1).check("concurrency", concurrency)
        self._server = server
        self._prompts = prompts
        self._concurrency = concurrency
        self._has_answered = self._is_well = self._has_warned = False
        self._unanswered: dict[str, Reply] = {}  # by prompt, since the latest answer; refusals before the first alone

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[str], list[Reply]]:
        """Responses, and the `Reply` behind each."""
        return in_order(self.stream(observations, task_ids, deterministic=deterministic))

    def stream(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Iterator[tuple[int, str, Reply]]:
        """What `act` returns, as it arrives. Equal prompts are samples 0, 1, 2, … of one prompt.

        Raises:
            ValueError: if the server has answered nothing so far, and refused several prompts, or denied one (403).
            EndpointError: if it has answered nothing and failed at a prompt, or failed at many one after the other.
        """
        prompts = [self._prompts(observation, k) for observation, k in zip(observations, task_ids, strict=True)]
        requests = list(enumerate(self._requests(prompts, deterministic=deterministic)))
        with self._asked(requests) as answers:
            for _ in requests:
                answer = answers.get()
                if isinstance(answer, Exception):
                    raise answer
                place, reply = answer
                prompt = prompts[place]
                self._note(prompt, reply)
                advance(tokens=reply.num_tokens)
                response = f"{prompt.begun}{reply.text}" if reply.empty is None else ""
                yield place, response[-TEXT.max_length :], reply
        kinds = {reply.empty for reply in self._unanswered.values()}
        if not self._has_answered and (len(self._unanswered) > 1 or kinds & {"denied", "failed"}):
            raise self._answers_nothing()

    def _requests(self, prompts: Sequence[WrittenPrompt], *, deterministic: bool) -> Iterator[Mapping[str, Any]]:
        seen: Counter[str] = Counter()
        for prompt in prompts:
            key = _key(prompt)
            yield self._server.request(prompt.fields, seen[key], deterministic=deterministic)
            seen[key] += 1

    @contextmanager
    def _asked(self, requests: Sequence[_Asked]) -> Iterator[SimpleQueue[_Answered]]:
        """Answers come into the queue. What is under way on leaving is left to itself, or an interrupt would wait."""
        waiting: SimpleQueue[_Asked] = SimpleQueue()
        for request in requests:
            waiting.put(request)
        answers: SimpleQueue[_Answered] = SimpleQueue()
        is_over = Event()
        for _ in range(min(self._concurrency, len(requests))):
            Thread(target=self._ask, args=(waiting, answers, is_over), daemon=True).start()
        try:
            yield answers
        finally:
            is_over.set()

    def _ask(self, waiting: SimpleQueue[_Asked], answers: SimpleQueue[_Answered], is_over: Event) -> None:
        while not is_over.is_set():
            try:
                place, request = waiting.get_nowait()
            except Empty:
                return
            try:
                answers.put((place, self._server.ask(request)))
            except Exception as error:
                is_over.set()  # first: nothing more is to be asked
                answers.put(error)

    def _note(self, prompt: WrittenPrompt, reply: Reply) -> None:
        if not reply.is_failed and (reply.is_stored or self._has_answered or not reply.is_refused):
            self._has_answered = True
            self._is_well |= not reply.is_stored
            self._unanswered = {key: r for key, r in self._unanswered.items() if r.is_failed and not self._is_well}
            return
        if reply.is_failed and not self._has_warned:
            self._has_warned = True
            said = "a response is left out, and so are others like it: the server at %s %s"
            _LOG.warning(said, self._server.url, reply.reason)
        self._unanswered[_key(prompt)] = reply
        failed = sum(reply.is_failed for reply in self._unanswered.values())
        if len(self._unanswered) >= _MANY or (failed > 1 and not self._is_well):
            raise self._answers_nothing()

    def _answers_nothing(self) -> Exception:
        replies = list(self._unanswered.values())
        if failed := [reply for reply in replies if reply.is_failed]:
            return EndpointError.at(self._server.url, failed[-1].reason)
        key = f"; its key is read from {API_KEY}" if any(reply.empty == "denied" for reply in replies) else ""
        return ValueError(f"the server at {self._server.url} refuses whatever it is asked{key}: {replies[-1].reason}")


def _key(prompt: WrittenPrompt) -> str:
    return json.dumps(prompt.fields, sort_keys=True)
