"""`mtgrpo evaluate` with vLLM: in the process, and as a server that is asked for completions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtgrpo_env.agents.llm.serving.client import VLLMServer
from mtgrpo_env.agents.llm.serving.options import VLLMOptions


def responses(agent: str, folder: Path) -> list[str]:
    """What an agent says at temperature 0, asked in a process of its own: an engine cannot be taken down."""
    saved = folder / "rollouts.jsonl"
    line = [sys.executable, "-m", "mtgrpo_env", "evaluate", "--agent", agent, "--suite", "zebra-mini,countdown-mini"]
    more = ["--problems", "5", "--temperature", "0", "--max-new-tokens", "12", "--vllm-memory", "0.1"]
    kept = ["--save", str(saved), "--cache", str(folder / "replies.sqlite"), "--json"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([*line, *more, *kept], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    spent = json.loads(done.stdout.splitlines()[-1])["spent"]
    assert spent["responses"] == 10
    assert spent["completion_tokens"] > 10
    return [json.loads(row)["response"] for row in saved.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["in the process", "server"])
def test_vllm_answers_as_transformers_does(options: VLLMOptions, server: VLLMServer, tmp_path: Path, kind: str) -> None:
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    own.mkdir()
    theirs.mkdir()
    model = options.model
    agent = f"vllm:{model}" if kind == "in the process" else f"completions:{model}@{server.url}/v1"
    assert responses(agent, theirs) == responses(f"hf:{model}", own)
