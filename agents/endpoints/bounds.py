"""What an endpoint may send, and how long it may take: bounds that hold whatever it does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from functools import cache
from threading import Thread
from typing import Any, TypeVar

import openai

MAX_BYTES = 4 << 20
"""Of an answer's body: a response of a million tokens has about as many."""

T = TypeVar("T")


class Unbounded(Exception):
    """A body that is larger than `MAX_BYTES`, or might be once it is unpacked."""


def bounded_client() -> Any:
    """A client of HTTP which reads no body further than `MAX_BYTES`, be it an answer's, an error's or a redirect's.

    Compressed bodies, which may unpack to a thousand times their size, are neither asked for nor read. No connection
    is kept: the client holds nothing open that would have to be closed.
    """
    headers = {"Accept-Encoding": "identity", "Connection": "close"}
    return openai.DefaultAsyncHttpxClient(headers=headers, event_hooks={"response": [_bound]})


async def _bound(response: Any) -> None:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.strip().casefold() not in ("", "identity"):
        raise Unbounded(f"expected a body as it is, got one packed by {encoding!r:.40}")
    response.encoding = "utf-8"  # or a header would choose among Python's codecs, of errors' bodies too
    response.stream = _bounded_stream(response.stream)


def _bounded_stream(stream: Any) -> Any:
    """The same stream of bytes, which ends with an error at the bound."""

    class Bounded(type(stream)):
        def __init__(self) -> None:
            pass

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for part in stream:
                size += len(part)
                if size > MAX_BYTES:
                    raise Unbounded(f"expected a body of at most {MAX_BYTES:,} bytes, got a longer one")
                yield part

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()


def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to; it is given up after so many seconds, whatever it waits for.

    May be called from many threads at a time: all work goes on in one other.

    Raises:
        TimeoutError: if it was given up.
    """

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run_coroutine_threadsafe(bounded(), _loop_of(os.getpid())).result()


@cache
def _loop_of(process: int) -> asyncio.AbstractEventLoop:
    """A loop in a thread of its own; a process that was forked has none of its parent's threads."""
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="endpoints", daemon=True).start()
    return loop
