"""Generation with vLLM in this process, on the device that also trains.

Data-parallel ranks each have an engine of their own with `tensor_parallel=1`. vLLM takes the first visible
GPU in such a process, so every rank must see its own alone: `CUDA_VISIBLE_DEVICES` is set before torch or vLLM
is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngineError, Weights
from mtgrpo_env.agents.llm.serving.options import VLLMOptions
from mtgrpo_env.agents.llm.serving.requests import PromptRequest, prompt_requests
from mtgrpo_env.progress import advance

SleepLevel = Literal[0, 1]


class VLLMRolloutEngine:
    """vLLM in this process.

    Equal prompts are computed once where they share whole blocks of vLLM's prefix cache.

    Args:
        options: the model and its memory.
        end_ids: token ids that end a completion.
        sleep_level: between rounds of generation the engine stays awake (0), or frees its cache and moves its weights
            to the host's memory (1). Frees memory on GPUs only.

    Raises:
        ValueError: for level 2, which forgets the weights: one round may follow another without new ones. Call
            `sleep(2)` where `load_weights` is certain to follow.
    """

    def __init__(self, options: VLLMOptions, *, end_ids: Sequence[int], sleep_level: SleepLevel = 0) -> None:
        if sleep_level not in (0, 1):
            raise ValueError(
                f"sleep_level must be 0 or 1, got {sleep_level}: level 2 forgets the weights after a round"
            )
        self._end_ids = tuple(end_ids)
        self._sleep_level: SleepLevel = sleep_level
        self._engine = _started(options, can_sleep=sleep_level > 0)
        self._asleep: frozenset[str] = frozenset()
        self._has_weights = True
        self._is_whole = True
        self._num_requests = 0

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        """See `RolloutEngine`.

        Raises:
            RolloutEngineError: if the engine sleeps, has lost its weights, or still generates for another caller.
        """
        self._check_ready()
        return self._generate(prompt_requests(prompts, counts, decoding, seeds, end_ids=self._end_ids))

    def load_weights(self, weights: Weights) -> None:
        """See `RolloutEngine`; a sleeping engine takes them too, and sleeps on without its cache.

        Raises:
            RolloutEngineError: if the engine generates, or an earlier load broke off half-way.
        """
        self._check_whole()
        self._check_idle("take new weights")
        self._wake({"weights"})
        self._is_whole = False
        self._engine.collective_rpc("load_pairs", args=(weights,))
        self._is_whole = True
        if not self._engine.reset_prefix_cache():
            raise RolloutEngineError("vLLM did not clear its prefix cache: it would go on with the old weights' keys")
        self._has_weights = True

    @contextmanager
    def generating(self) -> Iterator[None]:
        """Awake inside, asleep outside, as the `sleep_level` says."""
        self.wake()
        try:
            yield
        finally:
            if self._sleep_level == 1:
                self.sleep(1)

    def sleep(self, level: Literal[1, 2]) -> None:
        """Free the cache, and move the weights to the host's memory (1) or forget them (2).

        Raises:
            RolloutEngineError: if the engine still generates, or was not made to sleep.
        """
        if not self._sleep_level:
            raise RolloutEngineError("this vLLM engine was not started to sleep: give it a sleep_level of 1")
        self._check_idle("sleep")
        self._wake(self._asleep)  # vLLM sleeps as a whole or not at all
        self._engine.sleep(level)
        self._asleep = frozenset({"weights", "kv_cache"})
        self._has_weights = self._has_weights and level == 1

    def wake(self) -> None:
        """Claim the memory again; weights that were forgotten stay so until `load_weights`."""
        self._wake(self._asleep)

    def _wake(self, parts: set[str] | frozenset[str]) -> None:
        if parts & self._asleep:
            self._engine.wake_up(sorted(parts & self._asleep))
            self._asleep -= parts

    def _check_ready(self) -> None:
        """VLLM itself would wait for ever, or answer with whatever stands in the memory."""
        self._check_whole()
        if self._asleep:
            raise RolloutEngineError("the vLLM engine sleeps: call wake(), or generate inside `with generating()`")
        if not self._has_weights:
            raise RolloutEngineError("the vLLM engine has forgotten its weights: load_weights() before generation")
        self._check_idle("generate")

    def _check_whole(self) -> None:
        if not self._is_whole:
            raise RolloutEngineError(
                "a load of weights broke off half-way, and vLLM cannot take it up again: start anew from the last "
                "checkpoint"
            )

    def _check_idle(self, action: str) -> None:
        if self._engine.has_unfinished_requests():
            raise RolloutEngineError(
                f"the vLLM engine cannot {action} while it generates: exhaust or close the running iterator first"
            )

    def _generate(self, requests: Sequence[PromptRequest]) -> Iterator[tuple[int, Completion]]:
        waiting: dict[str, tuple[PromptRequest, int]] = {}
        try:
            for request in requests:
                for index in range(request.num_drawn):
                    waiting[self._add(request, index)] = request, index
            while waiting:
                for output in self._engine.step():
                    request, index = waiting.pop(output.request_id)
                    completion = _completion(request, output.outputs[0])
                    advance(tokens=completion.num_tokens)
                    for row in request.rows_of(index):
                        yield row, completion
        finally:
            self._engine.abort_request(list(waiting))

    def _add(self, request: PromptRequest, index: int) -> str:
        """Each completion is a request: vLLM's own `n` gives those of a prompt out together, when the last is done."""
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports]
        from vllm.sampling_params import RequestOutputKind  # pyright: ignore[reportMissingImports]

        sampling = {**request.sampling(), "seed": request.seed + index}
        needs_text = bool(request.decoding.stop)
        parameters = SamplingParams(**sampling, detokenize=needs_text, output_kind=RequestOutputKind.FINAL_ONLY)
        name = str(self._num_requests)
        self._num_requests += 1
        self._engine.add_request(name, {"prompt_token_ids": list(request.prompt)}, parameters)
        return name


def _started(options: VLLMOptions, *, can_sleep: bool) -> Any:
    """A vLLM engine whose worker is this process, so that weights are handed over without a copy in between."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # read by vLLM; no argument says it
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # it would draw over the display
    from vllm import EngineArgs  # pyright: ignore[reportMissingImports]
    from vllm.v1.engine.llm_engine import LLMEngine  # pyright: ignore[reportMissingImports]

    if options.tensor_parallel != 1:
        raise ValueError(
            f"an engine in this process has tensor_parallel=1, got {options.tensor_parallel}: use a server for more"
        )
    sleep = can_sleep and torch.cuda.is_available()  # elsewhere vLLM refuses the option
    arguments = EngineArgs(
        **options.arguments(),
        enable_sleep_mode=sleep,
        disable_log_stats=True,
        distributed_executor_backend="uni",
    )
    return LLMEngine.from_engine_args(arguments)


def _completion(request: PromptRequest, output: Any) -> Completion:
    log_probs = [of_step[token].logprob for token, of_step in zip(output.token_ids, output.logprobs, strict=True)]
    return request.completion(output.token_ids, log_probs, output.finish_reason)
