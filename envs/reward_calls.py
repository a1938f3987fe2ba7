"""Calling reward functions: at once, on an event loop, a batch at a time, or in worker processes.

Each way has `start`, which begins on a response that `score` is about to be asked for, so that the responses of a batch
are scored side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from typing import Any

from mtgrpo_env.envs.reward_functions import Arguments, RewardFunction, as_score
from mtgrpo_env.envs.worker_pool import WorkerPool, shared_pool

_MAX_STARTED = 65_536  # responses that were announced and never asked for are forgotten


class RewardCalls(ABC):
    """Calls of one function. What was started is no part of its state: a copy has none of it."""

    def __init__(self, function: RewardFunction) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.function,)

    def start(self, key: Hashable, arguments: Arguments) -> None:  # noqa: B027 - there may be nothing to start
        """Begin, without waiting. `key` is of the row and the response: `score` asks by it."""

    @abstractmethod
    def score(self, key: Hashable, arguments: Arguments) -> float | None:
        """The score; None if the function did not score the response.

        Raises:
            Exception: the function's own, or a ValueError if what it returned is no score.
        """


class DirectCalls(RewardCalls):
    """In this process, one after another."""

    def score(self, key: Hashable, arguments: Arguments) -> float | None:
        return score_once(self.function, arguments)


class AsyncCalls(RewardCalls):
    """An async function, on one event loop of this process: the calls of a batch wait for each other's answers."""

    def __init__(self, function: RewardFunction) -> None:
        super().__init__(function)
        self._started = _Started()

    def start(self, key: Hashable, arguments: Arguments) -> None:
        self._started.add(key, _on_loop(self._score(arguments)))

    def score(self, key: Hashable, arguments: Arguments) -> float | None:
        future = self._started.take(key) or _on_loop(self._score(arguments))
        return _result(future)

    async def _score(self, arguments: Arguments) -> float | None:
        return as_score(await _awaited(self.function.call([arguments])))


class BatchCalls(RewardCalls):
    """A batch function: all that was started is one call. If that raises, the responses are scored one by one."""

    def __init__(self, function: RewardFunction) -> None:
        super().__init__(function)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Hashable, Arguments]] = deque(maxlen=_MAX_STARTED)
        self._started = _Started()

    def start(self, key: Hashable, arguments: Arguments) -> None:
        with self._lock:
            self._waiting.append((key, arguments))

    def score(self, key: Hashable, arguments: Arguments) -> float | None:
        with self._lock:
            future = self._started.take(key)
            if future is None:
                waiting = list(self._waiting)
                self._waiting.clear()
                if all(key != other for other, _ in waiting):
                    waiting.append((key, arguments))
                for (other, _), outcome in zip(waiting, self._outcomes([a for _, a in waiting]), strict=True):
                    self._started.add(other, outcome)
                future = self._started.take(key)
        assert future is not None
        return future.result()

    def _outcomes(self, of_responses: Sequence[Arguments]) -> list[Future[float | None]]:
        try:
            values = self.function.scores(_settled(self.function.call(of_responses)), len(of_responses))
        except Exception as error:
            if len(of_responses) == 1:
                return [_failed(error)]
            return [outcome for arguments in of_responses for outcome in self._outcomes([arguments])]
        return [_outcome(value) for value in values]


class WorkerCalls(RewardCalls):
    """In worker processes that are killed at a deadline; a batch function is given one response at a time.

    The arguments travel as JSON, and equal calls are made once.
    """

    def start(self, key: Hashable, arguments: Arguments) -> None:
        with contextlib.suppress(TypeError, ValueError):  # no JSON: `score` raises it again
            self._pool.submit(arguments)

    def score(self, key: Hashable, arguments: Arguments) -> float | None:
        return self._pool.call(arguments)

    @property
    def _pool(self) -> WorkerPool:
        return shared_pool(f"mtgrpo_env.envs.reward_worker:{self.function.name}")


def calls_here(function: RewardFunction) -> RewardCalls:
    """The way to call a function in this process."""
    way = BatchCalls if function.is_batch else AsyncCalls if function.is_async else DirectCalls
    return way(function)


def score_once(function: RewardFunction, arguments: Arguments) -> float | None:
    """The score of one response.

    Raises:
        Exception: as `RewardCalls.score`.
    """
    (value,) = function.scores(_settled(function.call([arguments])), 1)
    return as_score(value)


class _Started:
    """Outcomes on their way, by key; each is used once."""

    def __init__(self) -> None:
        self._futures: defaultdict[Hashable, deque[Future[Any]]] = defaultdict(deque)

    def add(self, key: Hashable, future: Future[Any]) -> None:
        if len(self._futures) >= _MAX_STARTED:
            self._futures.clear()
        self._futures[key].append(future)

    def take(self, key: Hashable) -> Future[Any] | None:
        futures = self._futures.get(key)
        if not futures:
            return None
        future = futures.popleft()
        if not futures:
            del self._futures[key]
        return future


_loops: dict[int, asyncio.AbstractEventLoop] = {}  # by process: the thread of a loop does not survive a fork


def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process for rewards, in a thread of its own: the caller may be inside another loop."""
    process = os.getpid()
    if process not in _loops:
        _loops[process] = asyncio.new_event_loop()
        threading.Thread(target=_loops[process].run_forever, name="mtgrpo-rewards", daemon=True).start()
    return _loops[process]


def _on_loop(coroutine: Any) -> Future[Any]:
    loop = _loop()
    if _is_running_here(loop):
        coroutine.close()
        raise RuntimeError("an async reward cannot wait for another one by calling it: await it")
    return asyncio.run_coroutine_threadsafe(coroutine, loop)


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # none is
        return False


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise


async def _awaited(value: Any) -> Any:
    try:
        return await value
    except SystemExit as error:  # it would end the loop
        raise RuntimeError(f"the function ended the process ({error!r})") from error


def _settled(value: Any) -> Any:
    """What a function returned, waited for where it is an awaitable."""
    return _result(_on_loop(_awaited(value))) if hasattr(value, "__await__") else value


def _outcome(value: Any) -> Future[float | None]:
    future: Future[float | None] = Future()
    try:
        future.set_result(as_score(value))
    except Exception as error:
        return _failed(error)
    return future


def _failed(error: Exception) -> Future[float | None]:
    future: Future[float | None] = Future()
    future.set_exception(error)
    return future
