"""What is said to a vLLM server and made of its answers; the real ones are in `vllm/`, this one reads from a script."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from local_server import Handler, local_server
from safetensors.torch import load_file

from mtgrpo_env.agents.llm import rollout_vllm
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngineError, Weights
from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
from mtgrpo_env.agents.llm.rollout_vllm_server import VLLMServerEngine
from mtgrpo_env.agents.llm.serving.client import VLLMServer
from mtgrpo_env.agents.llm.serving.options import VLLMOptions
from mtgrpo_env.agents.llm.serving.requests import prompt_requests
from mtgrpo_env.agents.llm.serving.weights import FolderWeightSync, in_chunks

EOS = 1


class Script:
    """A server that answers every request for completions with the same events, and remembers what it was told."""

    server: VLLMServer

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.holds = threading.Event()
        self.holds.set()
        self.asked: list[tuple[str, Any]] = []
        self.loaded: list[set[str]] = []
        self.cache_is_reset = True
        script = self

        class Scripted(Handler):
            def do_GET(self) -> None:
                self.send(200, b"{}")

            def do_POST(self) -> None:
                body = self.read_json()
                script.asked.append((self.path, body))
                if self.path == "/v1/completions":
                    self._stream(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in script.events))
                elif self.path == "/reset_prefix_cache":
                    self.send(200, json.dumps({"success": script.cache_is_reset}).encode())
                elif self.path == "/collective_rpc":
                    (folder,) = body["args"]
                    script.loaded += [set(load_file(file)) for file in sorted(Path(folder).glob("*.safetensors"))]
                    self.send(200, b"")
                else:
                    self.send_error(404)

            def _stream(self, content: bytes) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)
                script.holds.wait(30)

        self.handler = Scripted

    def engine(self, *, patience: float = 20) -> VLLMServerEngine:
        return VLLMServerEngine([self.server], end_ids=[EOS], sync=FolderWeightSync([self.server]), patience=patience)


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    with local_server(script.handler) as url:
        script.server = VLLMServer(url, patience=20)
        yield script
        script.holds.set()


def event(index: int, tokens: Sequence[int], *, reason: str | None = None) -> dict[str, Any]:
    log_probs = {"token_logprobs": [-float(token) for token in tokens]}
    return {"choices": [{"index": index, "token_ids": tokens, "logprobs": log_probs, "finish_reason": reason}]}


def test_tokens_come_in_pieces_and_a_completion_when_it_is_finished(script: Script) -> None:
    script.events = [event(0, [5]), event(1, [6]), event(1, [7, EOS], reason="stop"), event(0, [8], reason="length")]
    drawn = list(script.engine().generate([(3, 4)], [2], Decoding(3), [0]))
    assert drawn == [
        (1, Completion((3, 4), (6, 7, EOS), (-6.0, -7.0, -1.0))),
        (0, Completion((3, 4), (5, 8), (-5.0, -8.0), "length")),
    ]


def test_a_prompt_is_one_request_with_its_seed_and_nothing_left_to_defaults(script: Script) -> None:
    script.events = [event(i, [EOS], reason="stop") for i in range(2)]
    list(script.engine().generate([(3, 4), (5,)], [2, 2], Decoding(3, 0.7), [0, 1]))
    bodies = [body for _, body in script.asked]
    assert sorted(body["prompt"] for body in bodies) == [[3, 4], [5]]
    assert len({body["seed"] for body in bodies}) == 2
    for body in bodies:
        assert {"n": 2, "temperature": 0.7, "top_p": 1.0, "top_k": 0, "max_tokens": 3}.items() <= body.items()
        assert (body["stop_token_ids"], body["ignore_eos"], body["return_token_ids"]) == ([EOS], True, True)


def test_an_end_token_at_the_limit_ends_a_completion_whatever_the_server_calls_it(script: Script) -> None:
    script.events = [event(0, [5, EOS], reason="length")]
    ((_, completion),) = script.engine().generate([(3,)], [1], Decoding(2), [0])
    assert completion.finish_reason == "stop"


def test_stop_strings_and_restrictions_are_passed_on_and_the_tokens_of_a_stop_string_kept(script: Script) -> None:
    script.events = [event(0, [5, 6], reason="stop")]
    ((_, completion),) = script.engine().generate([(3,)], [1], Decoding(3, 1.0, 0.9, 7, ("User:",)), [0])
    assert (completion.tokens, completion.finish_reason) == ((5, 6), "stop")
    ((_, body),) = script.asked
    sent = {"top_p": 0.9, "top_k": 7, "stop": ["User:"], "include_stop_str_in_output": True}
    assert sent.items() <= body.items()


class FakeVLLM:
    """What `VLLMRolloutEngine` calls of vLLM: each request is answered with the same tokens."""

    def __init__(self, tokens: Sequence[int], finish_reason: str) -> None:
        self.tokens, self.finish_reason = tokens, finish_reason
        self.waiting: list[str] = []
        self.asked: list[dict[str, Any]] = []

    def add_request(self, name: str, prompt: dict[str, list[int]], parameters: dict[str, Any]) -> None:
        self.waiting.append(name)
        self.asked.append(parameters)

    def step(self) -> list[SimpleNamespace]:
        log_probs = [{token: SimpleNamespace(logprob=-float(token))} for token in self.tokens]
        output = SimpleNamespace(token_ids=self.tokens, logprobs=log_probs, finish_reason=self.finish_reason)
        done, self.waiting = self.waiting, []
        return [SimpleNamespace(request_id=name, outputs=[output]) for name in done]

    def has_unfinished_requests(self) -> bool:
        return bool(self.waiting)

    def abort_request(self, names: Sequence[str]) -> None:
        assert not names


@pytest.mark.parametrize("stop", [(), ("User:",)])
def test_in_this_process_text_is_made_only_where_stop_strings_are_looked_for(
    monkeypatch: pytest.MonkeyPatch, stop: tuple[str, ...]
) -> None:
    fake = FakeVLLM([5, 6], "length")
    monkeypatch.setattr(rollout_vllm, "_started", lambda options, can_sleep: fake)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=dict))  # pyright: ignore[reportArgumentType]
    kinds = SimpleNamespace(RequestOutputKind=SimpleNamespace(FINAL_ONLY="final"))
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", kinds)  # pyright: ignore[reportArgumentType]
    engine = VLLMRolloutEngine(VLLMOptions(model="folder"), end_ids=[EOS, 9])
    ((_, completion),) = engine.generate([(3,)], [1], Decoding(2, stop=stop), [0])
    assert completion == Completion((3,), (5, 6), (-5.0, -6.0), "length")
    (parameters,) = fake.asked
    assert (parameters["detokenize"], parameters["stop"]) == (bool(stop), list(stop))
    assert parameters["stop_token_ids"] == [EOS, 9]


def test_the_likeliest_tokens_are_asked_for_once_and_answer_every_row(script: Script) -> None:
    script.events = [event(0, [5, EOS], reason="stop")]
    drawn = dict(script.engine().generate([(3,)], [4], Decoding(3, 0.0), [0]))
    assert set(drawn) == set(range(4))
    assert len(set(drawn.values())) == 1
    assert [body["n"] for _, body in script.asked] == [1]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([event(0, [5])], "1 of 1 completions unfinished"),
        ([event(0, [5], reason="abort")], "ended a completion with 'abort'"),
        ([{"error": {"message": "EngineCore died"}}], "EngineCore died"),
        ([{"choices": [{"index": 0, "text": "a"}]}], "expected of the vLLM server"),
    ],
)
def test_every_answer_that_is_none_is_an_error_with_the_url(
    script: Script, events: list[dict[str, Any]], said: str
) -> None:
    script.events = events
    with pytest.raises(RolloutEngineError, match=said) as raised:
        list(script.engine().generate([(3,)], [1], Decoding(3), [0]))
    assert script.server.url in str(raised.value)


def test_a_server_that_falls_silent_is_given_up(script: Script) -> None:
    script.holds.clear()
    script.events = [event(0, [5])]
    with pytest.raises(RolloutEngineError, match="no sign of life"):
        list(script.engine(patience=0.5).generate([(3,)], [1], Decoding(3), [0]))


def test_weights_are_written_whole_loaded_once_and_the_old_prefixes_forgotten(script: Script) -> None:
    shared = torch.ones(2, 3)
    script.engine().load_weights([("embedding", shared), ("head", shared), ("part", torch.ones(4, 4)[:, 1])])
    assert [path for path, _ in script.asked] == ["/collective_rpc", "/reset_prefix_cache"]
    assert script.loaded == [{"embedding", "head", "part"}]


def test_a_cache_that_is_not_forgotten_is_an_error(script: Script) -> None:
    script.cache_is_reset = False
    with pytest.raises(RolloutEngineError, match="did not clear its prefix cache"):
        script.engine().load_weights([("weight", torch.ones(1))])


def test_weights_are_taken_to_the_end_even_when_the_server_is_gone() -> None:
    """Under ZeRO-3 the other ranks gather every parameter together with this one."""
    gone = VLLMServer("http://127.0.0.1:1")
    taken: list[str] = []

    def weights() -> Iterator[tuple[str, torch.Tensor]]:
        for name in "abc":
            taken.append(name)
            yield name, torch.ones(1)

    class Refusing:
        def push(self, weights: Weights) -> None:
            next(iter(weights))
            gone.post("/start_weight_update")

    with pytest.raises(RolloutEngineError, match="broke off at POST /start_weight_update"):
        VLLMServerEngine([gone], end_ids=[EOS], sync=Refusing()).load_weights(weights())
    assert taken == ["a", "b", "c"]


def test_chunks_keep_order_and_size_and_a_large_parameter_stands_alone() -> None:
    weights = [(name, torch.zeros(size)) for name, size in zip("abcde", (1, 1, 9, 2, 1), strict=True)]
    chunks = list(in_chunks(weights, max_bytes=4 * 3))
    assert [[name for name, _ in chunk] for chunk in chunks] == [["a", "b"], ["c"], ["d", "e"]]


def test_seeds_next_to_each_other_share_no_seeds_of_completions() -> None:
    requests = prompt_requests([(1,)] * 100, [64] * 100, Decoding(), range(100), end_ids=[EOS])
    seeds = {request.seed + i for request in requests for i in range(64)}
    assert len(seeds) == 6400
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_command_line_says_what_the_arguments_say() -> None:
    options = VLLMOptions(model="folder", context=64, cache_bytes=1 << 20)
    flags = options.flags()
    for name, value in options.arguments().items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            assert (flag if value else flag.replace("--", "--no-", 1)) in flags
        else:
            assert flags[flags.index(flag) + 1] == str(value)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected a URL like"):
        VLLMServer(url)


def test_at_least_one_server_is_needed() -> None:
    with pytest.raises(ValueError, match="at least one vLLM server"):
        VLLMServerEngine([], end_ids=[EOS], sync=FolderWeightSync([]))


def test_an_engine_that_would_forget_its_weights_after_every_round_is_refused() -> None:
    with pytest.raises(ValueError, match="sleep_level must be 0 or 1, got 2"):
        VLLMRolloutEngine(VLLMOptions(model="folder"), end_ids=[EOS], sleep_level=2)  # pyright: ignore[reportArgumentType]


@contextmanager
def answering(pieces: Callable[[], Iterator[bytes]], *, patience: float) -> Iterator[VLLMServer]:
    """A server that answers with these pieces until its client leaves."""

    class Hostile(Handler):
        def do_GET(self) -> None:
            self.close_connection = True
            for piece in pieces():
                self.wfile.write(piece)

        def do_POST(self) -> None:
            self.read_json()
            self.do_GET()

    with local_server(Hostile) as url:
        yield VLLMServer(url, patience=patience)


def drip(piece: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield piece
        time.sleep(0.02)


def flood(start: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n\r\n" + start
    while True:
        yield b"1" * 65536


@pytest.mark.parametrize("piece", [b"X: 1\r\n", b"X", b"\r\n "])
def test_a_call_to_a_server_that_drips_ends_in_time(piece: bytes) -> None:
    with answering(lambda: drip(piece), patience=0.3) as server:
        with pytest.raises(RolloutEngineError, match=r"took longer than 0\.3 s at GET /is_sleeping|broke off at GET"):
            server.get("/is_sleeping")
        assert server.is_healthy() == (piece == b"\r\n "), "of that only the body drips"


def test_an_answer_without_an_end_is_not_read_to_it() -> None:
    with (
        answering(lambda: flood(b""), patience=30) as server,
        pytest.raises(RolloutEngineError, match="expected an answer of at most 4,194,304 bytes, got a longer one"),
    ):
        server.get("/is_sleeping")


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (lambda: flood(b"data: "), "expected an answer of at most 4,194,304 bytes"),
        (lambda: drip(b"\r\ndata: " + json.dumps(event(0, [])).encode() + b"\r\n"), "no sign of life"),
        (lambda: drip(b"\r\ndata: " + json.dumps(event(0, [5])).encode() + b"\r\n"), "4 tokens where 3 were asked for"),
        (lambda: drip(b"\r\n: still here\r\n"), "no sign of life"),
        (lambda: iter([b"HTTP/1.1 200 OK\r\n\r\ndata: " + b"[" * 100_000 + b"\n"]), "broke off at POST"),
    ],
)
def test_a_generation_without_an_end_is_given_up(events: Callable[[], Iterator[bytes]], said: str) -> None:
    with answering(events, patience=20) as server:
        engine = VLLMServerEngine([server], end_ids=[EOS], sync=FolderWeightSync([server]), patience=0.5)
        with pytest.raises(RolloutEngineError, match=said):
            list(engine.generate([(3,)], [1], Decoding(3), [0]))


@pytest.mark.parametrize("url", ["http://me:pass-word@127.0.0.1:1", "http://127.0.0.1:1/?key=pass-word"])
def test_a_url_holds_nothing_that_is_not_sent(url: str) -> None:
    with pytest.raises(ValueError, match="without user, password and query, which are not sent") as raised:
        VLLMServer(url)
    assert "pass-word" not in str(raised.value)
