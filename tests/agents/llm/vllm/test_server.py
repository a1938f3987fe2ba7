"""Servers that do not start, and servers that die: an error that says which, what and what to do, and no hang."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngineError
from mtgrpo_env.agents.llm.rollout_vllm_server import VLLMServerEngine
from mtgrpo_env.agents.llm.serving.client import VLLMServer
from mtgrpo_env.agents.llm.serving.options import VLLMOptions
from mtgrpo_env.agents.llm.serving.process import connected_server, started_server
from mtgrpo_env.agents.llm.serving.weights import FolderWeightSync

PROMPTS = [tuple(range(5, 5 + n)) for n in range(1, 9)]


def processes_of(server: VLLMServer) -> list[psutil.Process]:
    """The server's own and those it has started."""
    port = server.url.rpartition(":")[2]
    return [
        process
        for child in psutil.Process().children()
        if port in child.cmdline()
        for process in [child, *child.children(recursive=True)]
    ]


@pytest.fixture
def mortal(options: VLLMOptions, tmp_path: Path) -> Iterator[VLLMServer]:
    with started_server(options, log=tmp_path / "log.txt") as server:
        yield server


@pytest.mark.parametrize("victim", ["the whole server", "the part that computes"])
def test_a_server_killed_in_the_middle_of_generation_is_an_error_and_not_a_hang(
    mortal: VLLMServer, victim: str
) -> None:
    """No token ends a completion here, so that all of them are under way when the server dies."""
    engine = VLLMServerEngine([mortal], end_ids=[99], sync=FolderWeightSync([mortal]), patience=60)
    processes = processes_of(mortal)
    running = engine.generate(PROMPTS, [16] * len(PROMPTS), Decoding(1000), range(len(PROMPTS)))
    next(running)
    for process in processes if victim == "the whole server" else processes[1:]:
        process.kill()
    with pytest.raises(RolloutEngineError, match=f"the vLLM server at {mortal.url} .*log"):
        list(running)
    psutil.wait_procs(processes[:1], timeout=60)
    with pytest.raises(RolloutEngineError, match=f"{mortal.url} broke off at POST /v1/completions"):
        list(engine.generate(PROMPTS, [1] * len(PROMPTS), Decoding(4), range(len(PROMPTS))))
    with pytest.raises(RolloutEngineError, match="broke off"):
        engine.load_weights([])


def test_a_server_that_cannot_start_shows_the_end_of_its_log(options: VLLMOptions, tmp_path: Path) -> None:
    nowhere = replace(options, model=str(tmp_path / "nowhere"))
    with (
        pytest.raises(RolloutEngineError, match=r"(?s)exited with status 1 before .*log\.txt:.*nowhere"),
        started_server(nowhere, log=tmp_path / "log.txt"),
    ):
        pass


def test_a_server_that_is_not_healthy_in_time_is_stopped(options: VLLMOptions, tmp_path: Path) -> None:
    with (
        pytest.raises(RolloutEngineError, match="was not healthy after 0 s"),
        started_server(options, log=tmp_path / "log.txt", start_seconds=0),
    ):
        pass
    assert not [child for child in psutil.Process().children() if str(options.model) in child.cmdline()][1:]


def test_a_server_that_runs_can_be_joined_by_its_url(server: VLLMServer, served: VLLMServerEngine, eos_id: int) -> None:
    joined = connected_server(server.url)
    engine = VLLMServerEngine([joined, server], end_ids=[eos_id], sync=FolderWeightSync([joined]))
    ask = PROMPTS, [2] * len(PROMPTS), Decoding(6), range(len(PROMPTS))
    assert dict(engine.generate(*ask)) == dict(served.generate(*ask))


def test_a_url_without_a_server_is_refused() -> None:
    with pytest.raises(RolloutEngineError, match=r"no healthy vLLM server answers at http://127\.0\.0\.1:1"):
        connected_server("http://127.0.0.1:1")


def test_weights_that_the_server_cannot_take_are_an_error_with_its_answer(served: VLLMServerEngine) -> None:
    with pytest.raises(RolloutEngineError, match=r"/collective_rpc"):
        served.load_weights([])
