"""A model behind an endpoint as a policy for text tasks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from mtgrpo_env.agents.endpoints.prompts import ChatMessages, PromptWriter, WrittenPrompt
from mtgrpo_env.agents.endpoints.replies import API_KEY, Reply, Server
from mtgrpo_env.rollout import in_order
from mtgrpo_env.spaces import TEXT

_CHAT = ChatMessages()

_MANY = 16
"""Prompts that a server may refuse before it has answered any."""

_Asked = tuple[int, Mapping[str, Any]]
_Answered = tuple[int, Reply] | Exception


class EndpointPolicy:
    """Asks a server for every response, many at a time.

    A prompt that is answered with nothing, by the server, a filter or the model, has the response "", which is wrong,
    and counted; that the server refuses whatever it is asked is an error. A response holds the begun answer that it
    goes on with.

    Args:
        server: answers.
        prompts: writes observations as the server's API takes them.
        concurrency: requests that are under way at a time, at the most.

    Raises:
        ValueError: if `concurrency` is below 1.
    """

    def __init__(self, server: Server, prompts: PromptWriter = _CHAT, *, concurrency: int = 16) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {concurrency}")
        self._server = server
        self._prompts = prompts
        self._concurrency = concurrency
        self._has_answered = False
        self._refused: dict[str, Reply] = {}  # by prompt, before the first answer

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
                response = f"{prompt.begun}{reply.text}" if reply.empty is None else ""
                yield place, response[-TEXT.max_length :], reply
        if len(self._refused) > 1 or any(reply.empty == "denied" for reply in self._refused.values()):
            raise self._refuses_all()

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
        if not reply.is_refused:
            self._has_answered = True
            self._refused.clear()
        if not self._has_answered:
            self._refused[_key(prompt)] = reply
            if len(self._refused) >= _MANY:
                raise self._refuses_all()

    def _refuses_all(self) -> ValueError:
        replies = list(self._refused.values())
        key = f"; its key is read from {API_KEY}" if any(reply.empty == "denied" for reply in replies) else ""
        return ValueError(f"the server at {self._server.url} refuses whatever it is asked{key}: {replies[-1].reason}")


def _key(prompt: WrittenPrompt) -> str:
    return json.dumps(prompt.fields, sort_keys=True)
