"""The command line in this process and in others, and a model that answers in the right form."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from mtgrpo_env.cli import main


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


RunCommand = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in the processes that the tests start: bits depend on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def _interrupts_arrive() -> Iterator[None]:
    """Whoever starts the tests in the background of a shell has them ignore interrupts, and all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Runs `mtgrpo ...` in this process."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # how the argument parser refuses
            code = leaving.code if isinstance(leaving.code, int) else 1
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def refused(command: RunCommand) -> Callable[..., str]:
    """Runs a command that must fail with code 2, one line on standard error and nothing else; gives the line."""

    def run(*arguments: object) -> str:
        result = command(*arguments)
        assert (result.code, result.out) == (2, ""), result
        line = result.err.removesuffix("\n")
        assert len(line.splitlines()) == 1, result.err
        assert line.startswith(f"mtgrpo {arguments[0]}: ")
        return line

    return run


@pytest.fixture(scope="session")
def start_process(environment: dict[str, str]) -> Iterator[Callable[[Sequence[object]], subprocess.Popen[str]]]:
    """Starts `python -m mtgrpo_env ...` in a process of its own; kills what is left at the end."""
    processes: list[subprocess.Popen[str]] = []

    def start(arguments: Sequence[object]) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "mtgrpo_env", *map(str, arguments)]
        process = subprocess.Popen(line, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
