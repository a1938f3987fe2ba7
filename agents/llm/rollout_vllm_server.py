"""Generation by vLLM servers, on other GPUs than those that train.

All data-parallel ranks share the servers. Give these their own GPUs: the environment of a server names them in
`CUDA_VISIBLE_DEVICES`, and the trainer's names the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from queue import Empty, SimpleQueue
from typing import Any

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngineError, Weights
from mtgrpo_env.agents.llm.serving.client import Line, VLLMServer
from mtgrpo_env.agents.llm.serving.requests import PromptRequest, prompt_requests
from mtgrpo_env.agents.llm.serving.weights import WeightSync
from mtgrpo_env.agents.ranks import OneRank, Ranks, agreement
from mtgrpo_env.progress import advance

_Result = tuple[int, Completion] | RolloutEngineError | None
"""A row and its completion, a failure, or a sign of life."""

_TOKENS_PER_EVENT = 64
_ENDS = ("stop", "length")


class VLLMServerEngine:
    """VLLM servers that hold the same model.

    Args:
        servers: prompts are dealt out to them in turn.
        end_ids: token ids that end a completion.
        sync: brings new weights to all of them.
        ranks: the processes that train together; the first alone speaks with the servers about weights.
        requests_at_once: prompts that are under way at one time.
        patience: seconds without any sign of life of a server until generation is given up.
    """

    def __init__(
        self,
        servers: Sequence[VLLMServer],
        *,
        end_ids: Sequence[int],
        sync: WeightSync,
        ranks: Ranks | None = None,
        requests_at_once: int = 256,
        patience: float = 300.0,
    ) -> None:
        if not servers:
            raise ValueError("expected at least one vLLM server, got none")
        self._servers = list(servers)
        self._end_ids = tuple(end_ids)
        self._sync = sync
        self._ranks = ranks or OneRank()
        self._requests_at_once = requests_at_once
        self._patience = patience

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        """See `RolloutEngine`.

        Raises:
            RolloutEngineError: if a server fails or falls silent.
        """
        requests = prompt_requests(prompts, counts, decoding, seeds, end_ids=self._end_ids)
        waiting = sum(counts)
        results: SimpleQueue[_Result] = SimpleQueue()
        with self._asked(requests, results):
            while waiting:
                result = self._next(results)
                if isinstance(result, RolloutEngineError):
                    raise result
                if result is not None:
                    waiting -= 1
                    advance(tokens=result[1].num_tokens)
                    yield result

    def load_weights(self, weights: Weights) -> None:
        """See `RolloutEngine`; every rank takes part.

        Raises:
            RolloutEngineError: if a server fails; on the other ranks `RankError`.
        """
        stream = iter(weights)
        with agreement(self._ranks):
            try:
                if self._ranks.rank == 0:
                    self._sync.push(stream)
                    for server in self._servers:
                        _reset_prefix_cache(server)
            finally:
                for _ in stream:  # the other ranks gather every parameter with this one
                    pass

    def generating(self) -> nullcontext[None]:
        """Nothing to claim: the servers' memory is their own."""
        return nullcontext()

    @contextmanager
    def _asked(self, requests: Sequence[PromptRequest], results: SimpleQueue[_Result]) -> Iterator[None]:
        """Answers come into `results`; what is not answered on leaving is no longer asked."""
        lines = [Line() for _ in requests]
        pool = ThreadPoolExecutor(self._requests_at_once, thread_name_prefix="vllm")
        try:
            for i, (request, line) in enumerate(zip(requests, lines, strict=True)):
                pool.submit(_ask, self._servers[i % len(self._servers)], request, line, results)
            yield
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for line in lines:
                line.cut()
            pool.shutdown()

    def _next(self, results: SimpleQueue[_Result]) -> _Result:
        try:
            return results.get(timeout=self._patience)
        except Empty:
            urls = ", ".join(server.url for server in self._servers)
            raise RolloutEngineError(
                f"no sign of life from the vLLM servers at {urls} for {self._patience:g} s in the middle of "
                "generation. Read the end of their logs; give more patience if a first token can take that long"
            ) from None


def _ask(server: VLLMServer, request: PromptRequest, line: Line, results: SimpleQueue[_Result]) -> None:
    """Put every completion of the request into `results` as soon as it is finished, or what went wrong."""
    try:
        for item in _answers(server, request, line):
            results.put(item)
    except RolloutEngineError as error:
        results.put(error)
    except (KeyError, TypeError, ValueError) as error:
        results.put(
            RolloutEngineError(
                f"expected of the vLLM server at {server.url} what version 0.32 sends, got another answer ({error!r})"
            )
        )


def _answers(server: VLLMServer, request: PromptRequest, line: Line) -> Iterator[tuple[int, Completion] | None]:
    body = {
        **request.sampling(),
        "prompt": list(request.prompt),
        "n": request.num_drawn,
        "stream": True,
        "stream_interval": _TOKENS_PER_EVENT,
        "return_token_ids": True,
    }
    tokens: list[list[int]] = [[] for _ in range(request.num_drawn)]
    log_probs: list[list[float]] = [[] for _ in range(request.num_drawn)]
    unfinished = set(range(request.num_drawn))
    for event in server.stream("/v1/completions", body, line):
        is_alive = False
        for choice in event["choices"]:
            index = choice["index"]
            tokens[index] += choice["token_ids"]
            log_probs[index] += choice["logprobs"]["token_logprobs"]
            if len(tokens[index]) > request.decoding.max_new_tokens:
                raise ValueError(f"{len(tokens[index])} tokens where {request.decoding.max_new_tokens} were asked for")
            is_alive |= bool(choice["token_ids"])
            if choice["finish_reason"] is not None:
                _check_ended(server, choice["finish_reason"])
                unfinished.remove(index)
                completion = request.completion(tokens[index], log_probs[index], choice["finish_reason"])
                yield from ((row, completion) for row in request.rows_of(index))
        if is_alive:  # an event without a token is none
            yield None
    if unfinished:
        raise RolloutEngineError(
            f"the vLLM server at {server.url} closed the connection with {len(unfinished)} of {request.num_drawn} "
            "completions unfinished: it was stopped or has died; read the end of its log"
        )


def _check_ended(server: VLLMServer, reason: Any) -> None:
    if reason not in _ENDS:
        raise RolloutEngineError(
            f"the vLLM server at {server.url} ended a completion with {reason!r}, expected one of {_ENDS}: "
            "was it paused or put to sleep in the middle of generation?"
        )


def _reset_prefix_cache(server: VLLMServer) -> None:
    if not server.post("/reset_prefix_cache")["success"]:
        raise RolloutEngineError(
            f"the vLLM server at {server.url} did not clear its prefix cache, which holds keys and values of the old "
            "weights: is somebody else generating with it?"
        )
