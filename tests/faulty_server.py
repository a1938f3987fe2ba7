"""A server on this machine that speaks OpenAI's protocol and misbehaves as it is told, for tests of its clients."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from local_server import Handler, local_server

Fault = Literal["silence", "too many", "too many, wait", "broken", "cut", "hang up", "no JSON", "no UTF-8", "refuse"]


@dataclass(frozen=True)
class Sent:
    """What is sent in place of a completion."""

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FaultyServer:
    """What was asked, and what is still to go wrong: the next requests meet `faults`, one each, then all goes well."""

    url: str
    faults: list[Fault | Sent] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def faulty_server(
    answer: Callable[[str], str], *, seconds: float = 0.0, usage: object = "counted"
) -> Iterator[FaultyServer]:
    """Serve `answer(prompt)` at `url`, after so many seconds, with another `usage` than is true if one is given."""

    class Faulty(Handler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = self.read_json()
            with state.lock:
                state.requests.append(request)
                state.paths.append(self.path)
                state.keys.append(self.headers["Authorization"])
                fault = state.faults.pop(0) if state.faults else None
                state.at_once += 1
                state.most_at_once = max(state.most_at_once, state.at_once)
            time.sleep(seconds)
            with state.lock:
                state.at_once -= 1
            if fault is None:
                self._send(200, json.dumps(_completion(request, answer, usage)))
            else:
                self._fail(fault, request)

        def _fail(self, fault: Fault | Sent, request: Mapping[str, Any]) -> None:
            whole = json.dumps(_completion(request, answer, usage))
            if isinstance(fault, Sent):
                self._send(fault.status, json.dumps(fault.content), fault.headers)
            elif fault == "silence":
                time.sleep(1.0)
                self.close_connection = True
            elif fault == "too many":
                self._send(429, json.dumps({"error": {"message": "slow down"}}))
            elif fault == "too many, wait":
                self._send(429, "{}", {"Retry-After": "0.3"})
            elif fault == "broken":
                self._send(500, "oh no")
            elif fault == "cut":
                self._send(200, whole[: len(whole) // 2], {"Content-Length": str(len(whole))})
                self.close_connection = True
            elif fault == "hang up":
                self.close_connection = True
            elif fault == "no JSON":
                self._send(200, whole[: len(whole) // 2])
            elif fault == "no UTF-8":
                self.send(200, whole.encode().replace(b'"', b'"\xff'))
            else:
                self._send(400, json.dumps({"error": {"message": "this prompt is too long"}}))

        def _send(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
            self.send(status, text.encode(), headers)

    with local_server(Faulty) as address:
        state = FaultyServer(f"{address}/v1")
        yield state


def _completion(request: Mapping[str, Any], answer: Callable[[str], str], usage: object) -> dict[str, Any]:
    prompt = request["messages"][-1]["content"] if "messages" in request else request["prompt"]
    text = answer(prompt)
    cut = text[: request.get("max_tokens", 10**9)]
    said = {"message": {"role": "assistant", "content": cut}} if "messages" in request else {"text": cut}
    choice = {"index": 0, **said, "finish_reason": "length" if len(text) > len(cut) else "stop"}
    counted = {"prompt_tokens": len(prompt), "completion_tokens": len(cut)}
    return {"choices": [choice], "usage": counted if usage == "counted" else usage}
