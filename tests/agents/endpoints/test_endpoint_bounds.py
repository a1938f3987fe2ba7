"""Servers that mean ill: whatever they send, a request ends in time and in a few megabytes."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from faulty_server import Fault, Sent, faulty_server
from local_server import Handler, local_server

from mtgrpo_env.agents.endpoints.bounds import MAX_BYTES
from mtgrpo_env.agents.endpoints.openai_server import Chat, OpenAIServer
from mtgrpo_env.agents.endpoints.policy import EndpointPolicy
from mtgrpo_env.agents.endpoints.replies import EndpointError, Reply
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.evaluation import evaluate_policy

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
COMPLETION = {"choices": [{"message": {"content": "ok"}}]}


def drip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        time.sleep(0.02)


def body() -> Iterator[bytes]:
    yield HEAD + b"Content-Length: 100000\r\n\r\n"
    yield from drip(itertools.repeat(b" "))


def headers() -> Iterator[bytes]:
    yield HEAD
    yield from drip(b"X-%d: 1\r\n" % i for i in itertools.count())


def interim() -> Iterator[bytes]:
    return drip(itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"))


def endless() -> Iterator[bytes]:
    yield HEAD + b"Connection: close\r\n\r\n"
    yield from itertools.repeat(b" " * 65536)


def large_headers() -> Iterator[bytes]:
    yield HEAD
    yield from (b"X-%d: %s\r\n" % (i, b"1" * 60_000) for i in itertools.count())


def error_body() -> Iterator[bytes]:
    yield b"HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n"
    yield from itertools.repeat(b"x" * 65536)


def redirect_body() -> Iterator[bytes]:
    yield b"HTTP/1.1 307 There\r\nLocation: /v1\r\nConnection: close\r\n\r\n"
    yield from itertools.repeat(b"x" * 65536)


def redirects() -> Iterator[bytes]:
    yield b"HTTP/1.1 307 There\r\nLocation: /v1/chat/completions\r\nContent-Length: 0\r\n\r\n"


def bomb() -> Iterator[bytes]:
    packed = gzip.compress(bytes(100 << 20), 1)
    yield HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed


@contextmanager
def hostile(pieces: Callable[[], Iterator[bytes]], sent: list[int]) -> Iterator[str]:
    """A server that answers with these pieces, and counts their bytes, until its client leaves."""

    class Hostile(Handler):
        def do_POST(self) -> None:
            self.read_json()
            self.close_connection = True
            for piece in pieces():
                self.wfile.write(piece)
                sent.append(len(piece))

    with local_server(Hostile) as url:
        yield f"{url}/v1"


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (body, "took longer than 0.5 s"),
        (headers, "took longer than 0.5 s"),
        (interim, "took longer than 0.5 s"),
        (endless, "expected a body of at most 4,194,304 bytes, got a longer one"),
        (error_body, "expected a body of at most 4,194,304 bytes, got a longer one"),
        (redirect_body, "expected a body of at most 4,194,304 bytes, got a longer one"),
        (large_headers, "did not answer"),
        (redirects, "did not answer"),
        (bomb, "expected a body as it is, got one packed by 'gzip'"),
    ],
)
def test_a_request_ends_in_time_and_memory_whatever_is_sent(pieces: Callable[[], Iterator[bytes]], said: str) -> None:
    sent: list[int] = []
    with hostile(pieces, sent) as url:
        server = OpenAIServer("tiny", url, api=Chat(), fields={}, retries=0, patience=0.5 if "took" in said else 30)
        reply = server.ask(server.request("hello", 0, deterministic=False))
    assert (reply.text, reply.empty) == ("", "failed")
    assert said in reply.reason
    assert sum(sent) < 4 * MAX_BYTES, "the client went on reading"


def test_a_reply_of_a_million_characters_is_whole() -> None:
    with faulty_server(lambda _: "a" * 1_000_000) as served:
        server = OpenAIServer("tiny", served.url, api=Chat(), fields={})
        assert len(server.ask(server.request("hello", 0, deterministic=False)).text) == 1_000_000


def policy_at(url: str, **options: Any) -> EndpointPolicy:
    server = OpenAIServer("tiny", url, api=Chat(), fields={}, retries=0, patience=30)
    return EndpointPolicy(server, **options)


def test_a_prompt_at_which_the_server_fails_for_ever_is_invalid_and_the_others_are_played(
    caplog: pytest.LogCaptureFixture,
) -> None:
    suite = reason_suite(["countdown-mini"])
    problems = suite.held_out(4)
    first = suite.opening(problems[1])
    assert first is not None

    class Poisoned(Handler):
        def do_POST(self) -> None:
            is_poison = self.read_json()["messages"][-1]["content"] == first.prompt
            self.send(500 if is_poison else 200, json.dumps({} if is_poison else COMPLETION).encode())

    groups: list[Any] = []
    with local_server(Poisoned) as url, caplog.at_level(logging.WARNING):
        evaluation = evaluate_policy(
            suite, policy_at(f"{url}/v1"), problems, rollouts_per_problem=2, on_group=groups.append
        )
    assert (evaluation.counts.tolist(), evaluation.invalid.tolist()) == ([6], [2])
    assert {rollout.outcome for rollout in groups[1].rollouts} == {"no_response"}
    (warning,) = caplog.messages
    assert f"the server at {url}/v1 answered with status 500" in warning


def test_a_server_that_fails_at_everything_ends_the_run_at_the_second_prompt() -> None:
    with faulty_server(str.upper) as served:
        served.faults = ["broken"] * 9
        with pytest.raises(EndpointError, match="status 500"):
            policy_at(served.url, concurrency=1).act([f"{i}" for i in range(9)], [0] * 9)
    assert len(served.requests) <= 4


def test_a_server_that_goes_down_later_ends_the_run_after_sixteen_prompts() -> None:
    with faulty_server(str.upper) as served:
        policy = policy_at(served.url, concurrency=1)
        assert policy.act(["a"], [0])[0] == ["A"]
        served.faults = ["broken"] * 99
        with pytest.raises(EndpointError, match="status 500"):
            policy.act([f"{i}" for i in range(40)], [0] * 40)
    assert 17 <= len(served.requests) <= 19


def test_an_answer_after_failures_means_that_the_server_is_well() -> None:
    faults: list[Fault | Sent] = ["broken"] * 10
    with faulty_server(str.upper) as served:
        policy = policy_at(served.url, concurrency=1)
        policy.act(["a"], [0])
        served.faults = [*faults, Sent(COMPLETION), *faults]
        texts, replies = policy.act([f"{i}" for i in range(22)], [0] * 22)
    assert sum(reply.is_failed for reply in replies) == 20
    assert (texts[10], texts[21]) == ("ok", "21")


@pytest.mark.parametrize("patience", [0.0, -1.0, float("nan"), float("inf")])
def test_patience_must_be_a_time(patience: float) -> None:
    with pytest.raises(ValueError, match="patience above 0"):
        OpenAIServer("tiny", "http://127.0.0.1:1/v1", api=Chat(), fields={}, patience=patience)


def test_secrets_that_a_server_sends_back_are_in_no_reply_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2hunter2")
    with faulty_server(lambda _: "your key: hunter2hunter2, your password: pass-word") as served:
        url = served.url.replace("//", "//me:pass-word@")
        server = OpenAIServer("tiny", url, api=Chat(), fields={"x_token": "t0kent0ken"}, retries=0)

        def asked() -> Reply:
            return server.ask(server.request("hello", 0, deterministic=False))

        text = asked().text
        echoed = "hunter2hunter2 pass-word t0kent0ken \x1b[31m bWU6cGFzcy13b3Jk"
        served.faults = [
            Sent({"error": {"message": echoed}}, 400),
            Sent({"error": echoed}, 500),
            Sent({echoed: 1}),
            Sent({"error": {"message": "x" * 190 + "hunter2hunter2"}}, 500),
        ]
        reasons = [asked().reason for _ in range(4)]
        served.faults = [Sent({"error": {"message": echoed}}, 401)]
        with pytest.raises(EndpointError) as raised:
            asked()
    assert text == "your key: ***, your password: ***"
    for said in (*reasons, str(raised.value)):
        assert not any(secret in said for secret in ("hunter2", "pass-word", "t0ken", "bWU6", "\x1b")), said
