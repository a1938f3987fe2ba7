"""Answers without a response: what is empty and why, what passes, and what ends a run."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer, Sent, faulty_server

from mtgrpo_env.agents.endpoints.answers import read_reply
from mtgrpo_env.agents.endpoints.faults import Fault, fault_within, status_fault
from mtgrpo_env.agents.endpoints.openai_server import Chat, EndpointError, OpenAIServer
from mtgrpo_env.agents.endpoints.policy import EndpointPolicy
from mtgrpo_env.agents.endpoints.replies import CachedServer, EmptyAnswer, Reply
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.evaluation import evaluate_policy

PROMPT = {"messages": [{"role": "user", "content": "hello"}]}
FILTERED_400 = {"error": {"message": "…", "code": "content_filter", "innererror": {"code": "ResponsibleAIPolicy"}}}
MODERATED = {"error": {"code": 403, "message": "Input was flagged", "metadata": {"reasons": ["violence"]}}}
BUSY = {"error": {"code": 429, "message": "provider is busy"}}


def choice(message: Any, reason: str | None = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def server_at(served: FaultyServer, *, retries: int = 3) -> OpenAIServer:
    return OpenAIServer("tiny", served.url, api=Chat(), fields={}, retries=retries, patience=5)


def ask(server: OpenAIServer | CachedServer) -> Reply:
    return server.ask(server.request(PROMPT, 0, deterministic=False))


EMPTY: list[tuple[Any, EmptyAnswer]] = [
    ({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}, "filtered"),
    ({"choices": None}, "filtered"),
    ({"choices": [None]}, "filtered"),
    ({"choices": {}}, "filtered"),
    ({"id": "1", "object": "chat.completion"}, "filtered"),
    (choice(None, "content_filter"), "filtered"),
    (choice({"content": None}, "content_filter"), "filtered"),
    (choice({"content": ""}, "content_filter"), "filtered"),
    (choice({"content": r"\boxed{7"}, "content_filter"), "filtered"),
    (choice({"content": None}, "SAFETY"), "filtered"),
    (choice({}, "PROHIBITED_CONTENT"), "filtered"),
    (choice({"content": "", "reasoning_content": "hm"}, "RECITATION"), "filtered"),
    ({"choices": [{"text": "", "finish_reason": "content_filter"}]}, "filtered"),
    ({"choices": [{"finish_reason": "content_filter"}]}, "filtered"),
    (choice({"content": None, "refusal": "I'm sorry"}), "declined"),
    (choice({"content": "", "refusal": "I'm sorry"}), "declined"),
    (choice({"content": None}, "refusal"), "declined"),
    (choice({"content": [{"type": "refusal", "refusal": "I'm sorry"}]}), "declined"),
    (choice({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"), "tool call"),
    (choice({"content": "", "function_call": {"name": "f"}}, "function_call"), "tool call"),
    (choice({"content": None, "reasoning_content": "hm"}), "reasoning"),
    (choice({"content": "", "reasoning": "hm"}, "length"), "reasoning"),
    (choice({"content": None, "reasoning_details": [{"text": "hm"}]}), "reasoning"),
    (choice({"content": ""}), "blank"),
    (choice({"content": None}), "blank"),
    (choice({"content": []}), "blank"),
    (choice({"content": [{"type": "text", "text": None}]}), "blank"),
    (choice({"content": [None, 3, []]}), "blank"),
    (choice({"content": 3}), "blank"),
    (choice({"content": {"a": 1}}), "blank"),
    (choice({"tool_calls": [], "refusal": None}), "blank"),
    (choice({}), "blank"),
    (choice(None), "blank"),
    (choice("hello"), "blank"),
    ({"choices": [{"text": None}]}, "blank"),
    ({"choices": [{"text": ""}]}, "blank"),
    ({"choices": [{}]}, "blank"),
]


@pytest.mark.parametrize(("answer", "kind"), EMPTY, ids=lambda value: json.dumps(value)[:70])
def test_an_answer_without_a_response_is_empty_and_says_why(answer: Any, kind: str) -> None:
    reply = read_reply(answer)
    assert (reply.text, reply.empty) == ("", kind)


@pytest.mark.parametrize("codec", ["unicode_escape", "base64", "idna", "undefined", "utf-16", "latin-1", "none such"])
@pytest.mark.parametrize("status", [200, 503])
def test_json_is_utf_8_whatever_charset_its_header_claims(codec: str, status: int) -> None:
    sent = choice({"content": r"\n 7 é"}) if status == 200 else {"error": {"message": "busy é"}}
    with faulty_server(str.upper) as served:
        served.faults = [Sent(sent, status, {"Content-Type": f"application/json; charset={codec}"})]
        reply = ask(server_at(served, retries=0))
    assert (reply.text, reply.empty) == ((r"\n 7 é", None) if status == 200 else ("", "failed"))
    assert status == 200 or "busy" in reply.reason


def test_an_answer_that_is_no_utf_8_is_asked_for_again() -> None:
    with faulty_server(str.upper) as served:
        served.faults = ["no UTF-8"]
        assert ask(server_at(served)).text == "HELLO"
        served.faults = ["no UTF-8"]
        reply = ask(server_at(served, retries=0))
    assert reply.empty == "failed"
    assert "an answer that is no completion" in reply.reason


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "a", "refusal": None, "tool_calls": []}, "a"),
        ({"content": "a", "reasoning_content": "hm"}, "a"),
        ({"content": "a", "tool_calls": [{"id": "1"}]}, "a"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": [{"type": "text", "text": None}, {"type": "text", "text": "ok"}]}, "ok"),
        ({"content": ["a", "b"]}, "ab"),
        ({"content": {"type": "text", "text": "a"}}, "a"),
        ({"content": " "}, " "),
    ],
)
def test_a_response_is_the_text_of_a_message_wherever_it_stands(message: dict[str, Any], text: str) -> None:
    for reason in ("stop", None, "length", "tool_calls"):
        reply = read_reply(choice(message, reason))
        assert (reply.text, reply.empty, reply.is_truncated) == (text, None, reason == "length")


@pytest.mark.parametrize("answer", [answer for answer, _ in EMPTY[:24:4]])
def test_it_is_asked_for_once_and_kept(answer: Any, tmp_path: Path) -> None:
    with faulty_server(str.upper) as served:
        served.faults = [Sent(answer)]
        server = CachedServer(server_at(served), tmp_path / "replies.sqlite")
        first, again = ask(server), ask(server)
    assert first == again == read_reply(answer)
    assert len(served.requests) == 1


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (Sent(FILTERED_400, 400), "filtered"),
        (Sent({"error": {"message": "Your prompt was flagged as violating our usage policy"}}, 400), "filtered"),
        (Sent({"error": "blocked by moderation"}, 422), "filtered"),
        (Sent({"error": {"message": "this prompt is too long"}}, 400), "refused"),
        (Sent({"detail": "too long"}, 422), "refused"),
        (Sent("", 413), "refused"),
        (Sent(MODERATED, 403), "filtered"),
        (Sent({"error": {"message": "not for you"}}, 403), "denied"),
        (Sent({}, 451), "refused"),
        (Sent(MODERATED), "filtered"),
        (Sent({"error": {"code": "content_policy_violation", "message": ""}}), "filtered"),
        (Sent({"error": {"code": "451"}}), "refused"),
        (Sent({"error": {"type": "invalid_request_error", "message": "too long"}}), "refused"),
        (Sent({"choices": [{"error": {"code": 403, "message": "flagged"}, "finish_reason": "error"}]}), "filtered"),
    ],
    ids=str,
)
def test_what_concerns_one_prompt_alone_is_an_empty_answer(sent: Sent, kind: str) -> None:
    with faulty_server(str.upper) as served:
        served.faults = [sent]
        server = server_at(served)
        reply = ask(server)
        assert (reply.text, reply.empty, len(served.requests)) == ("", kind, 1)
        assert ask(server).text == "HELLO"


@pytest.mark.parametrize(
    "sent",
    [
        Sent(BUSY),
        Sent({"error": {"code": "429"}, "choices": [{"message": {"content": "half an ans"}}]}),
        Sent({"error": {"code": 502, "message": "no instances"}, "choices": []}),
        Sent({"error": {"type": "rate_limit_exceeded"}}),
        Sent({"error": "try later"}),
        Sent({"error": True}),
        Sent({"object": "error", "message": "engine is busy", "code": 50001}),
        Sent({"choices": [{"error": {"code": 502, "message": "lost"}, "message": {"content": ""}}]}),
        Sent({"choices": [{"finish_reason": "error", "message": {"content": "half"}}]}),
        Sent([]),
        Sent(None),
        Sent("ok"),
        Sent({}, 529),
        Sent({}, 408),
    ],
    ids=str,
)
def test_what_passes_is_waited_for_whatever_its_status(sent: Sent) -> None:
    with faulty_server(str.upper) as served:
        served.faults = [sent]
        started = time.monotonic()
        assert ask(server_at(served)) == Reply("HELLO", 5, 5)
    assert len(served.requests) == 2
    assert time.monotonic() - started > 0.3


def test_an_error_that_is_null_is_none() -> None:
    assert fault_within({"error": None, "choices": [{"error": None, "text": "ok"}]}, {}) is None


@pytest.mark.parametrize(
    "sent",
    [
        Sent(BUSY, headers={"Retry-After": "1"}),
        Sent(BUSY, headers={"retry-after-ms": "900"}),
        Sent(BUSY, 429, {"Retry-After": "1"}),
        Sent({"error": {"code": 429, "retry_after": 1}}),
    ],
    ids=str,
)
def test_a_server_is_asked_again_when_it_wishes(sent: Sent) -> None:
    with faulty_server(str.upper) as served:
        served.faults = [sent]
        started = time.monotonic()
        assert ask(server_at(served)).text == "HELLO"
    assert time.monotonic() - started > 0.8


@pytest.mark.parametrize("asked", ["", "soon", "-3", "nan", "0", "Wed, 21 Oct 2015 07:28:00 GMT", "1 Jan 99999 0:0"])
def test_a_wish_of_no_use_is_none(asked: str) -> None:
    assert status_fault(429, None, {"retry-after": asked}).wait is None


def test_a_wish_may_be_a_date() -> None:
    wait = status_fault(429, None, {"retry-after": formatdate(time.time() + 60, usegmt=True)}).wait
    assert wait == pytest.approx(60, abs=3)


@pytest.mark.parametrize("asked", ["121", "1e400", "inf"])
def test_a_wish_of_more_than_two_minutes_is_an_error_at_once(asked: str) -> None:
    with faulty_server(str.upper) as served:
        served.faults = [Sent(BUSY, 429, {"Retry-After": asked})]
        with pytest.raises(EndpointError, match="status 429: provider is busy"):
            ask(server_at(served))


def test_pauses_grow_up_to_eight_seconds() -> None:
    pauses = [Fault("").pause(tries) for tries in (1, 2, 3, 5, 2000)]
    most = (0.5, 1.0, 2.0, 8.0, 8.0)
    assert all(0.75 * longest <= pause <= longest for pause, longest in zip(pauses, most, strict=True))


@pytest.mark.parametrize("status", [401, 402, 404, 405])
@pytest.mark.parametrize("is_within", [False, True])
def test_what_no_prompt_would_change_ends_a_run_at_once(status: int, *, is_within: bool) -> None:
    error = {"error": {"code": status, "message": "no"}}
    with faulty_server(str.upper) as served:
        served.faults = [Sent(error, 200 if is_within else status)]
        with pytest.raises(EndpointError, match=f"status {status}: no") as raised:
            ask(server_at(served))
        assert len(served.requests) == 1
    assert ("OPENAI_API_KEY" in str(raised.value)) == (status == 401)


def test_a_key_that_is_not_let_in_ends_a_run_by_name() -> None:
    with faulty_server(str.upper) as served:
        served.faults = [Sent({"error": {"message": "no such project"}}, 403)]
        with pytest.raises(
            ValueError, match=r"whatever it is asked; its key is read from OPENAI_API_KEY: .*403: no such"
        ):
            EndpointPolicy(server_at(served)).act(["a"], [0])


def test_one_prompt_that_may_not_be_asked_is_answered_with_nothing() -> None:
    with faulty_server(str.upper) as served:
        served.faults = [Sent({"error": {"message": "not this one"}}, 403)]
        policy = EndpointPolicy(server_at(served), concurrency=1)
        texts, replies = policy.act(["a", "b"], [0, 0])
    assert (texts, [reply.empty for reply in replies]) == (["", "B"], ["denied", None])


@pytest.mark.parametrize("count", [2, 16, 40])
def test_a_server_that_refuses_whatever_it_is_asked_is_not_asked_for_long(count: int) -> None:
    with faulty_server(str.upper) as served:
        served.faults = ["refuse"] * count
        with pytest.raises(ValueError, match=r"refuses whatever it is asked: .*too long"):
            EndpointPolicy(server_at(served), concurrency=1).act([f"prompt {i}" for i in range(count)], [0] * count)
        assert len(served.requests) < 20


def test_several_prompts_may_be_refused_before_the_first_answer() -> None:
    with faulty_server(str.upper) as served:
        served.faults = ["refuse"] * 5
        texts, _ = EndpointPolicy(server_at(served), concurrency=1).act(list("abcdef"), [0] * 6)
    assert texts == [""] * 5 + ["F"]


def test_empty_answers_are_wrong_whatever_was_begun_and_end_no_run() -> None:
    suite = reason_suite(["countdown-mini"])
    with faulty_server(lambda _: r"\boxed{1}") as served:
        served.faults = [Sent(answer) for answer, _ in EMPTY]
        evaluation = evaluate_policy(suite, EndpointPolicy(server_at(served)), suite.held_out(len(EMPTY) + 3))
    assert len(served.requests) == len(EMPTY) + 3
    assert evaluation.accuracies.tolist() == [0.0]
