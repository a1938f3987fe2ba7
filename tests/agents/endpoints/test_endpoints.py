"""Endpoints: what is asked, what goes wrong on the way, and what is never asked twice."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from faulty_server import Fault, FaultyServer, Sent, faulty_server

from mtgrpo_env.agents.endpoints.openai_server import Api, Chat, Completions, OpenAIServer
from mtgrpo_env.agents.endpoints.policy import EndpointPolicy
from mtgrpo_env.agents.endpoints.prompts import PlainText
from mtgrpo_env.agents.endpoints.replies import CachedServer, EndpointError, Reply
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.evaluation import evaluate_policy
from mtgrpo_env.rollout import StreamingPolicy
from mtgrpo_env.types import GeneratedText

PASSING: list[Fault] = [fault for fault in get_args(Fault) if fault != "refuse"]


def server_at(served: FaultyServer, *, api: Api | None = None, retries: int = 3, **fields: Any) -> OpenAIServer:
    return OpenAIServer("tiny", served.url, api=api or Chat(), fields=fields, retries=retries, patience=0.5)


def asked(server: OpenAIServer | CachedServer, prompt: str, sample: int = 0) -> Reply:
    return server.ask(server.request(said(prompt), sample, deterministic=False))


def said(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}]}


def test_a_chat_request_holds_the_prompt_as_a_users_message_and_the_fields_that_are_given() -> None:
    with faulty_server(str.upper) as served:
        reply = asked(server_at(served, temperature=0.7, max_tokens=3, top_p=None, top_k=5), "hello")
    assert reply == Reply("HEL", prompt_tokens=5, completion_tokens=3, is_truncated=True)
    (request,) = served.requests
    assert served.paths == ["/v1/chat/completions"]
    assert request.pop("seed") >= 0
    messages = [{"role": "user", "content": "hello"}]
    assert request == {"model": "tiny", "messages": messages, "temperature": 0.7, "max_tokens": 3, "top_k": 5}


def test_a_completion_request_continues_the_prompt() -> None:
    with faulty_server(str.upper) as served:
        policy = EndpointPolicy(server_at(served, api=Completions(), seed=None), PlainText())
        assert policy.act(["hello"], [0])[0] == ["HELLO"]
    assert (served.paths, served.requests) == (["/v1/completions"], [{"model": "tiny", "prompt": "hello"}])


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with faulty_server(str.upper) as served:
        asked(server_at(served), "hello")
    assert served.keys == ["Bearer secret"]


@pytest.mark.parametrize("fault", PASSING)
def test_what_goes_wrong_is_asked_for_again(fault: Fault) -> None:
    with faulty_server(str.upper) as served:
        served.faults = [fault]
        assert asked(server_at(served), "hello").text == "HELLO"
    assert len(served.requests) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("silence", "did not answer .* after 2 tries"),
        ("too many", "status 429"),
        ("broken", "status 500"),
        ("hang up", "did not answer .* after 2 tries"),
        ("no JSON", "sent an answer that is no completion: .* after 2 tries"),
        (Sent({"detail": "Not Found"}), "sent an answer that is no completion: .* after 2 tries"),
        (Sent({"message": {"content": "ok"}, "done": True}), "sent an answer that is no completion: .* after 2 tries"),
    ],
)
def test_what_keeps_going_wrong_is_an_error_that_says_what_and_where(fault: Fault, said: str) -> None:
    with faulty_server(str.upper) as served:
        served.faults = [fault] * 9
        with pytest.raises(EndpointError, match=said) as raised:
            EndpointPolicy(server_at(served, retries=1)).act(["hello"], [0])
    assert served.url in str(raised.value)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with faulty_server(str.upper) as served:
        pass
    with pytest.raises(EndpointError, match="did not answer"):
        EndpointPolicy(server_at(served, retries=0)).act(["hello"], [0])


@pytest.mark.parametrize(
    "url", ["localhost:8000", "http://localhost:80x0/v1", "http://[::1/v1", "http://", "ftp://a/v1", "http://a/\ud800"]
)
def test_a_url_must_be_one(url: str) -> None:
    with pytest.raises(ValueError, match=f"expected a URL .* got {re.escape(repr(url))}"):
        OpenAIServer("tiny", url, api=Chat(), fields={})


def test_the_name_of_a_model_must_be_one_that_can_be_sent() -> None:
    with pytest.raises(ValueError, match="expected the name of a model that UTF-8 can encode, got"):
        OpenAIServer("a\ud800", "http://127.0.0.1:1/v1", api=Chat(), fields={})


def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    with faulty_server(str.upper) as served:
        assert asked(server_at(served), "hello").text == "HELLO"


@pytest.mark.parametrize(
    "usage", [None, [1], *({"prompt_tokens": count} for count in ("many", -3, 1e400, True, 10**9 + 1, 10**400))]
)
def test_a_response_is_good_whatever_the_server_says_of_tokens(usage: object) -> None:
    with faulty_server(str.upper, usage=usage) as served:
        assert asked(server_at(served), "hello") == Reply("HELLO", 0, 0)


def test_half_a_surrogate_pair_becomes_something_that_can_be_sent_back() -> None:
    with faulty_server(lambda _: "a\ud800b") as served:
        assert asked(server_at(served), "hello").text == "a?b"


def test_samples_of_a_prompt_and_different_prompts_have_different_seeds_and_equal_ones_the_same() -> None:
    server = OpenAIServer("tiny", "http://127.0.0.1:1/v1", api=Chat(), fields={})
    asked_for = [("a", 0), ("a", 1), ("b", 0), ("a", 0)]
    seeds = [server.request(said(prompt), sample, deterministic=False)["seed"] for prompt, sample in asked_for]
    assert len(set(seeds[:3])) == 3
    assert seeds[3] == seeds[0]
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_deterministic_means_temperature_zero() -> None:
    server = OpenAIServer("tiny", "http://127.0.0.1:1/v1", api=Chat(), fields={"temperature": 1.0})
    assert server.request(said("a"), 0, deterministic=True)["temperature"] == 0.0


def test_what_was_asked_before_comes_from_the_file_even_for_another_process(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "replies.sqlite"
    with faulty_server(str.upper) as served:
        first = CachedServer(server_at(served), file)
        replies = [asked(first, "hello"), asked(first, "hello"), asked(first, "hello", sample=1)]
        first.close()
        again = CachedServer(server_at(served), file)
        assert [asked(again, "hello"), asked(again, "hello", sample=1)] == [replies[0], replies[2]]
        assert asked(CachedServer(server_at(served, temperature=0.5), file), "hello") == replies[0]
    assert (first.hits, again.hits, len(served.requests)) == (1, 2, 3)
    assert all("sample" not in request for request in served.requests)


def test_replies_that_earlier_versions_kept_are_read_by_today_s_names(tmp_path: Path) -> None:
    file = tmp_path / "replies.sqlite"
    with faulty_server(str.upper) as served:
        reply = asked(CachedServer(server_at(served), file), "hello")
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE replies SET reply = replace(reply, 'is_truncated', 'is_cut')")
        connection.close()
        assert asked(CachedServer(server_at(served), file), "hello") == reply
    assert len(served.requests) == 1


def test_a_reply_knows_what_a_rollout_records_of_it() -> None:
    reply = Reply("HEL", prompt_tokens=5, completion_tokens=3, is_truncated=True)
    assert isinstance(reply, GeneratedText)
    assert (reply.num_tokens, reply.is_truncated, reply.log_prob) == (3, True, None)


def test_samples_are_asked_for_one_by_one_although_no_seed_is_sent(tmp_path: Path) -> None:
    with faulty_server(str.upper) as served:
        server = CachedServer(server_at(served, seed=None), tmp_path / "replies.sqlite")
        for sample in (0, 1, 0):
            asked(server, "hello", sample)
    assert len(served.requests) == 2


@pytest.mark.parametrize(("fault", "kind"), [("refuse", "refused"), ("broken", "failed")])
def test_a_refusal_and_a_failure_are_not_kept(tmp_path: Path, fault: Fault, kind: str) -> None:
    with faulty_server(str.upper) as served:
        served.faults = [fault]
        server = CachedServer(server_at(served, retries=0), tmp_path / "replies.sqlite")
        assert asked(server, "hello").empty == kind
        assert asked(server, "hello") == Reply("HELLO", 5, 5)


def test_a_file_of_something_else_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a data base, " * 100)
    with faulty_server(str.upper) as served, pytest.raises(ValueError, match=r"notes\.txt to be a file of replies"):
        CachedServer(server_at(served), file)


def test_a_data_base_of_something_else_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "other.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE replies (id INTEGER)")
    with faulty_server(str.upper) as served, pytest.raises(ValueError, match=r"other\.sqlite to be a file of replies"):
        CachedServer(server_at(served), file)


def test_the_file_holds_no_prompt_and_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    file = tmp_path / "replies.sqlite"
    with faulty_server(lambda _: "yes") as served:
        asked(CachedServer(server_at(served), file), "hello")
    assert b"hello" not in file.read_bytes()
    assert b"secret" not in file.read_bytes()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT COUNT(*) FROM replies").fetchone() == (1,)


def test_responses_stand_at_the_places_of_their_prompts_and_no_more_are_under_way_than_allowed() -> None:
    with faulty_server(str.upper, seconds=0.02) as served:
        policy = EndpointPolicy(server_at(served), concurrency=3)
        assert isinstance(policy, StreamingPolicy)
        prompts = [f"prompt {i}" for i in range(12)]
        texts, replies = policy.act(prompts, [0] * 12)
    assert texts == [prompt.upper() for prompt in prompts]
    assert [reply.text for reply in replies] == texts
    assert 1 < served.most_at_once <= 3


def test_equal_prompts_are_samples_of_one() -> None:
    with faulty_server(str.upper) as served:
        EndpointPolicy(server_at(served)).act(["a", "b", "a"], [0, 0, 0])
    seeds = [request["seed"] for request in served.requests]
    assert len(set(seeds)) == 3


def test_a_prompt_that_is_refused_is_answered_with_nothing() -> None:
    with faulty_server(str.upper) as served:
        served.faults = ["refuse"]
        texts, replies = EndpointPolicy(server_at(served), concurrency=1).act(["a", "b"], [0, 0])
    assert texts == ["", "B"]
    assert [reply.is_refused for reply in replies] == [True, False]


def test_one_prompt_that_is_refused_is_not_every_prompt_however_many_rollouts_it_has() -> None:
    with faulty_server(str.upper) as served:
        served.faults = ["refuse"] * 3
        policy = EndpointPolicy(server_at(served), concurrency=1)
        assert policy.act(["a"] * 3, [0] * 3)[0] == ["", "", ""]
        assert policy.act(["b"], [0])[0] == ["B"]


def test_an_error_does_not_wait_for_the_requests_beside_it() -> None:
    """A regression lock: what is under way used to be waited for, with all its retries."""
    with faulty_server(str.upper, seconds=1.0) as served:
        policy = EndpointPolicy(FailsAt(server_at(served), "b"), concurrency=2)
        with pytest.raises(EndpointError, match="no b here"):
            policy.act(["a", "b", "c"], [0] * 3)
        assert len(served.requests) <= 1, "c is no longer asked"


def test_that_every_prompt_is_refused_is_an_error() -> None:
    with faulty_server(str.upper) as served:
        served.faults = ["refuse"] * 2
        with pytest.raises(ValueError, match=r"refuses whatever it is asked: .*too long"):
            EndpointPolicy(server_at(served)).act(["a", "b"], [0, 0])


def test_concurrency_must_be_positive() -> None:
    with pytest.raises(ValueError, match="concurrency must be at least 1, got 0"):
        EndpointPolicy(Unused(), concurrency=0)


class FailsAt:
    """A server that cannot be used for one prompt."""

    def __init__(self, server: OpenAIServer, prompt: str) -> None:
        self.url = server.url
        self._server, self._prompt = server, prompt

    def request(self, prompt: Mapping[str, Any], sample: int, *, deterministic: bool) -> Mapping[str, Any]:
        return self._server.request(prompt, sample, deterministic=deterministic)

    def ask(self, request: Mapping[str, Any]) -> Reply:
        if request["messages"][0]["content"] == self._prompt:
            raise EndpointError(f"no {self._prompt} here")
        return self._server.ask(request)


class Unused:
    """A server that nobody asks."""

    url = ""

    def request(self, prompt: Mapping[str, Any], sample: int, *, deterministic: bool) -> Mapping[str, Any]:
        raise AssertionError

    def ask(self, request: Mapping[str, Any]) -> Reply:
        raise AssertionError


def test_a_suite_is_played_through_faults_with_conversations_of_several_turns() -> None:
    suite = reason_suite(["countdown-mini", "guessing-mini"])
    problems = suite.held_out(6)
    prompts = {opening.prompt: p for p in problems if (opening := suite.opening(p))}
    oracles = {prompt: _oracle(suite, problem) for prompt, problem in prompts.items()}

    def answer(conversation: str) -> str:
        return oracles[conversation]

    with faulty_server(answer) as served:
        served.faults = ["hang up", "too many, wait", "no JSON", "cut"]
        evaluation = evaluate_policy(suite, EndpointPolicy(server_at(served)), problems)
    assert evaluation.accuracies.tolist() == [1.0, 1.0]


def _oracle(suite: Any, problem: Any) -> str:
    opening = suite.opening(problem)
    return suite.envs(problem.task_id, 1)[0].unwrapped.oracle(opening.puzzle)


def test_a_text_by_itself_is_one_message_or_the_prompt() -> None:
    for api, fields in (
        (Chat(), {"messages": [{"role": "user", "content": "1+1?"}]}),
        (Completions(), {"prompt": "1+1?"}),
    ):
        server = OpenAIServer("tiny", "http://127.0.0.1:1/v1", api=api, fields={})
        assert server.request("1+1?", 0, deterministic=True) == server.request(fields, 0, deterministic=True)
