"""A model behind an endpoint as a policy for text tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from mtgrpo_env.agents.endpoints.replies import Reply, Server
from mtgrpo_env.spaces import TEXT


class EndpointPolicy:
    """Asks a server for every response, many at a time.

    A conversation of several turns is sent as one text, as the task shows it. A prompt that the server refuses is
    answered with nothing, which is wrong, and counted; that every prompt is refused is an error.

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
        self._answered = 0

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[str], list[Reply]]:
        """Responses, and the `Reply` behind each."""
        choices = sorted(self.stream(observations, task_ids, deterministic=deterministic), key=lambda choice: choice[0])
        return [text for _, text, _ in choices], [reply for _, _, reply in choices]

    def stream(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Iterator[tuple[int, str, Reply]]:
        """What `act` returns, as it arrives. Equal prompts are samples 0, 1, 2, … of one prompt.

        Raises:
            ValueError: if the server has refused every prompt so far.
        """
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="endpoint")
        requests = self._requests(observations, deterministic=deterministic)
        places = {pool.submit(self._server.ask, request): i for i, request in enumerate(requests)}
        refusal = ""
        try:
            for future in as_completed(places):
                reply = future.result()
                self._answered += not reply.is_refused
                refusal = reply.text if reply.is_refused else refusal
                yield places[future], "" if reply.is_refused else reply.text[-TEXT.max_length :], reply
        finally:
            pool.shutdown(cancel_futures=True)
        if not self._answered:
            raise ValueError(f"the server at {self._server.url} refused all {len(places)} prompts: {refusal:.300}")

    def _requests(self, observations: Sequence[Any], *, deterministic: bool) -> Iterator[Any]:
        seen: Counter[str] = Counter()
        for prompt in observations:
            yield self._server.request(prompt, seen[prompt], deterministic=deterministic)
            seen[prompt] += 1
