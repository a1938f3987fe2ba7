"""`mtgrpo evaluate` against a real server on this machine: that of transformers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="transformers serve needs fastapi and uvicorn")

_PATIENCE = 120


@pytest.fixture(scope="module")
def served(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A model with the plainest chat template there is, and the URL that it is served at."""
    folder = tmp_path_factory.mktemp("served") / "model"
    shutil.copytree(model_folder, folder)
    file = folder / "tokenizer_config.json"
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    file.write_text(json.dumps({**json.loads(file.read_text()), "chat_template": template}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder)]
    with (folder.parent / "log").open("w") as log:
        process = subprocess.Popen(
            [*line, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _await(f"http://127.0.0.1:{port}/health", process, folder.parent / "log")
            yield folder, f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"transformers serve does not answer:\n{log.read_text()[-2000:]}")


@pytest.mark.parametrize("api", ["openai", "completions"])
def test_a_served_model_answers_as_it_does_in_this_process(
    command: Callable[..., Any], served: tuple[Path, str], tmp_path: Path, api: str
) -> None:
    folder, url = served
    common = ("--suite", "zebra-mini", "--problems", 6, "--temperature", 0, "--max-new-tokens", 10)
    own, theirs = (tmp_path / f"{name}.jsonl" for name in ("own", "theirs"))
    for agent, saved in ((f"hf:{folder}", own), (f"{api}:{folder}@{url}", theirs)):
        line = ("--agent", agent, "--save", saved, "--cache", tmp_path / "replies.sqlite", *common)
        assert command("evaluate", *line).code == 0
    rows, served_rows = ([json.loads(line) for line in file.read_text().splitlines()] for file in (own, theirs))
    assert [row["reward"] for row in served_rows] == [row["reward"] for row in rows]
    for there, here in zip(served_rows, rows, strict=True):
        # Its chat repeats the prompt before the response where a template, like ours, does not say who speaks.
        assert there["response"].removesuffix("<eos>").endswith(here["response"])
        assert api == "openai" or there["response"] == here["response"]
    assert {row["agent"] for row in served_rows} == {f"{api}:{folder}@{url}"}


def test_tokens_are_those_that_the_server_counts_and_equal_rollouts_are_warned_of(
    command: Callable[..., Any], served: tuple[Path, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, url = served
    line = ("--agent", f"completions:{folder}@{url}", "--suite", "zebra-mini", "--problems", 3, "--rollouts", 2)
    more = ("--max-new-tokens", 4, "--temperature", 0, "--cache", tmp_path / "replies.sqlite", "--json")
    spent = json.loads(command("evaluate", *line, *more).out)["spent"]
    assert spent["responses"] == 6
    assert 0 < spent["completion_tokens"] <= 24
    assert spent["prompt_tokens"] > 6 * 10
    assert "the same response in all 2 rollouts of every problem" in caplog.text
