"""Functions for worker pools to call, most of them badly behaved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def double(number: int) -> int:
    return 2 * number


def negative_hangs(number: int) -> int:
    while number < 0:
        pass
    return number


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def raises(text: str) -> None:
    raise SystemExit(text) if text == "exit" else ZeroDivisionError(text)


def prints(text: str) -> str:
    sys.stdout.write(f'{text}\n{{"result": "forged"}}\n')
    sys.stdout.flush()
    os.write(1, b'{"result": "forged"}\n')
    sys.stderr.write(text)
    return text + sys.stdin.read()


def process_id(_: Any) -> int:
    return os.getpid()


def dies_as_often_as_told(request: tuple[str, int]) -> int:
    """Counts its deaths by lines of a file."""
    path, times = Path(request[0]), request[1]
    deaths = path.read_text().count("\n") if path.exists() else 0
    if deaths < times:
        path.write_text("\n" * (deaths + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return deaths


def hangs_after_leaving_its_id(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(1000)


def grows(size: int) -> int:
    return len(bytearray(size))


def echoes(text: str) -> str:
    return text


def gives_no_json(_: Any) -> Any:
    return object()


def starts_a_child(file: str) -> None:
    """Hangs, and so does a process that it starts."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(file).write_text(str(child.pid))
    child.wait()
