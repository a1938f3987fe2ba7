"""A model behind an endpoint as a policy for text tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from mtgrpo_env.agents.endpoints.replies import Reply, Server
from mtgrpo_env.rollout import in_order
from mtgrpo_env.spaces import TEXT

_Asked = tuple[int, Mapping[str, Any]]
_Answered = tuple[int, Reply] | Exception


class EndpointPolicy:
    """Asks a server for every response, many at a time.

    A conversation of several turns is sent as one text, as the task shows it. A prompt that the server refuses is
    answered with nothing, which is wrong, and counted; that it refuses whatever it is asked is an error.

    Args:
        server: answers.
        concurrency: requests that are under way at a time, at the most.

    Raises:
        ValueError: if `concurrency` is below 1.
    """

    def __init__(self, server: Server, *, concurrency: int = 16) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {concurrency}")
        self._server = server
        self._concurrency = concurrency
        self._has_answered = False
        self._refused: set[str] = set()  # prompts, before the first answer

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
            ValueError: if the server has answered nothing, and refused different prompts.
        """
        requests = list(enumerate(self._requests(observations, deterministic=deterministic)))
        with self._asked(requests) as answers:
            for _ in requests:
                answer = answers.get()
                if isinstance(answer, Exception):
                    raise answer
                place, reply = answer
                self._watch_refusals(observations[place], reply)
                yield place, "" if reply.is_refused else reply.text[-TEXT.max_length :], reply

    def _requests(self, observations: Sequence[Any], *, deterministic: bool) -> Iterator[Mapping[str, Any]]:
        seen: Counter[str] = Counter()
        for prompt in observations:
            yield self._server.request(prompt, seen[prompt], deterministic=deterministic)
            seen[prompt] += 1

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

    def _watch_refusals(self, prompt: str, reply: Reply) -> None:
        self._has_answered |= not reply.is_refused
        if not self._has_answered:
            self._refused.add(prompt)
            if len(self._refused) > 1:
                raise ValueError(f"the server at {self._server.url} refuses whatever it is asked: {reply.text:.300}")
