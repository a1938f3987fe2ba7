"""A vLLM server as a child process: started, waited for, and stopped with all that it has started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from mtgrpo_env.agents.llm.engines import RolloutEngineError
from mtgrpo_env.agents.llm.serving.client import VLLMServer
from mtgrpo_env.agents.llm.serving.options import VLLMOptions

_HOST = "127.0.0.1"
_TAIL_LINES = 30
_GRACE_SECONDS = 10.0


@contextmanager
def started_server(
    options: VLLMOptions,
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    start_seconds: float = 900.0,
    patience: float = 300.0,
) -> Iterator[VLLMServer]:
    """A server that is healthy inside the block, and gone after it.

    It listens on this machine alone: its development mode, which reloading weights needs, lets anyone who can
    reach it do anything.

    Args:
        options: the model and its memory.
        log: file that the server's output is written to.
        environment: added to this process's; name its GPUs in `CUDA_VISIBLE_DEVICES`.
        start_seconds: until a server that is not healthy is given up.
        patience: of the calls to it.

    Raises:
        RolloutEngineError: if it dies or does not become healthy; the end of its log is in the message.
    """
    server = VLLMServer(f"http://{_HOST}:{_free_port()}", patience=patience)
    process = _launched(options, server, log, environment or {})
    try:
        _wait_until_healthy(server, process, log, start_seconds)
        yield server
    finally:
        _stop(process)


def connected_server(url: str, *, patience: float = 300.0) -> VLLMServer:
    """A server that somebody else has started.

    It needs `VLLM_SERVER_DEV_MODE=1` in its environment and the flags of `VLLMOptions.flags`.

    Raises:
        RolloutEngineError: if none answers there, or it does not let us load weights.
    """
    server = VLLMServer(url, patience=patience)
    if not server.is_healthy():
        raise RolloutEngineError(f"no healthy vLLM server answers at {url}: GET {url}/health must return status 200")
    try:
        server.get("/is_sleeping")
    except RolloutEngineError as error:
        raise RolloutEngineError(
            f"the vLLM server at {url} takes no new weights: start it with VLLM_SERVER_DEV_MODE=1"
        ) from error
    return server


def _launched(
    options: VLLMOptions, server: VLLMServer, log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Through the module, not the `vllm` command: that does not start in builds packaged under another name."""
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", _HOST, "--port", port]
    if torch.cuda.is_available():
        command += ["--weight-transfer-config", '{"backend": "nccl"}']
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, *options.flags()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "VLLM_SERVER_DEV_MODE": "1", **environment},
            start_new_session=True,  # so that its workers can be stopped with it
        )


def _wait_until_healthy(server: VLLMServer, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not server.is_healthy():
        if process.poll() is not None:
            raise _not_started(f"exited with status {process.returncode} before it was healthy", log)
        if time.monotonic() > deadline:
            raise _not_started(f"was not healthy after {seconds:g} s", log)
        time.sleep(0.5)


def _not_started(what: str, log: Path) -> RolloutEngineError:
    tail = "\n".join(log.read_text(errors="replace", encoding="utf-8").splitlines()[-_TAIL_LINES:])
    return RolloutEngineError(f"the vLLM server {what}. The end of its log, {log}:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return probe.getsockname()[1]
