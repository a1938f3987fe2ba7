"""Faults from outside: servers that misbehave, rows by strangers, workers that are killed."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from fault_trials.outcomes import Bench, Outcome
from fault_trials.runs import start, train

_MEMORY = 12 << 30  # bytes of addresses, most of them libraries
_PATIENCE = 2  # seconds that a request may take


class _Misbehaving(BaseHTTPRequestHandler):
    """Answers as the server's `fault` says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with suppress(OSError):  # the client has had enough
            getattr(self, f"_{self.server.fault}")()  # type: ignore[attr-defined]
        self.close_connection = True

    def _start(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _silence(self) -> None:
        time.sleep(20)

    def _drip(self) -> None:
        self._start(Content_Length="100000")
        for _ in range(200):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.2)

    def _drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(200):
            self.wfile.write(b"X-%d: x\r\n" % number)
            self.wfile.flush()
            time.sleep(0.2)

    def _endless(self) -> None:
        self._start()
        while True:
            self.wfile.write(b" " * 1_000_000)

    def _bomb(self) -> None:
        data = gzip.compress(b" " * 400_000_000, 1)
        self._start(Content_Encoding="gzip", Content_Length=str(len(data)))
        self.wfile.write(data)

    def _hang_up(self) -> None:
        pass

    def _broken(self) -> None:
        self._start(500, Content_Length="5")
        self.wfile.write(b"oh no")

    def _busy(self) -> None:
        self._start(429, Content_Length="2", Retry_After="0")
        self.wfile.write(b"{}")

    def _no_json(self) -> None:
        self._start(Content_Length="9")
        self.wfile.write(b"{'choices")

    def _odd_json(self) -> None:
        data = json.dumps({"choices": [{"message": {"content": ["a", {"b": 1}]}}, None]}).encode()
        self._start(Content_Length=str(len(data)))
        self.wfile.write(data)

    def _deep_json(self) -> None:
        data = b'{"choices":' + b"[" * 100_000
        self._start(Content_Length=str(len(data)))
        self.wfile.write(data)

    def _redirect(self) -> None:
        self._start(302, Location=self.path, Content_Length="0")

    def _terminal(self) -> None:
        data = json.dumps(
            {"error": {"message": "\x1b]0;x\x07[/red] " + self.headers.get("Authorization", "")}}
        ).encode()
        self._start(400, Content_Length=str(len(data)))
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


FAULTS = [
    name[1:] for name in vars(_Misbehaving) if name.startswith("_") and name[1:] not in ("start",) and name[1] != "_"
]
_KEY = "sk-secret-of-this-test"


@contextmanager
def _server(fault: str) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Misbehaving)
    server.daemon_threads = True
    server.fault = fault  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def servers(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """`evaluate` on a server that misbehaves in one way each: it ends in time, in little memory, and tells no key."""
    for number in range(count):
        fault = FAULTS[number % len(FAULTS)]
        folder = bench.folder / f"server-{number + 1:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        outcome = Outcome("a server that misbehaves", fault)
        with _server(fault) as url:
            agent = f"openai:a-model@{url}"
            options = ["--suite", "zebra-mini", "--problems", "3", "--patience", str(_PATIENCE), "--retries", "1"]
            line = ["evaluate", "--agent", agent, *options, "--out", str(folder)]
            process = start(line, folder.with_suffix(".log"), first=_poor_with_a_key)
            outcome.watch(process, codes=[0, 1, 2])
        files = [file for file in folder.rglob("*") if file.suffix in (".md", ".json", ".jsonl", ".html")]
        texts = [process.printed, *(file.read_text("utf-8", "replace") for file in files)]
        if any(_KEY in text for text in texts):
            outcome.faults.append("a key is told")
        if any("\x1b]" in text for text in texts):
            outcome.faults.append("an escape sequence reaches the terminal")
        if "MemoryError" in process.printed:
            outcome.faults.append("memory runs out")
        yield outcome


def _poor_with_a_key() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.environ["OPENAI_API_KEY"] = _KEY


_GOOD = [{"prompt": f"What is {a} plus {a}?", "answer": str(2 * a), "task": "sums"} for a in range(1, 9)]
_LONG = {"prompt": "word " * 5000, "answer": "7", "task": "sums"}
_ROWS: dict[str, bytes] = {
    "an over-long prompt": "\n".join(map(json.dumps, [*_GOOD, _LONG])).encode(),
    "an empty prompt": "\n".join(map(json.dumps, [*_GOOD, {"prompt": "", "answer": "1", "task": "sums"}])).encode(),
    "an empty answer": "\n".join(map(json.dumps, [*_GOOD, {"prompt": "x", "answer": "", "task": "sums"}])).encode(),
    "no answer": "\n".join(map(json.dumps, [*_GOOD, {"prompt": "x", "task": "sums"}])).encode(),
    "NaN": b'{"prompt": "x", "answer": NaN, "task": "sums"}\n',
    "a lone surrogate": b'{"prompt": "\\ud800", "answer": "1", "task": "sums"}\n',
    "no UTF-8": b'{"prompt": "\xff\xfe", "answer": "1", "task": "sums"}\n',
    "nesting": b'{"prompt": ' + b"[" * 100_000 + b"\n",
    "no rows": b"",
    "a list": b"[1, 2, 3]\n",
    "two equal keys": b'{"prompt": "a", "prompt": "b", "answer": "1", "task": "sums"}\n',
    "a hostile task name": json.dumps(
        {"prompt": "x", "answer": "1", "task": "[/x]\x1b[31m../../$\\frac$|\n<b>"}
    ).encode(),
    "an answer of a million digits": json.dumps({"prompt": "x", "answer": "9" * 1_000_000, "task": "sums"}).encode(),
    "a power tower": json.dumps({"prompt": "x", "answer": "9^{9^{9^{9}}}", "task": "sums"}).encode(),
    "a prompt of nothing but controls": json.dumps({"prompt": "\x00\x1b\x07", "answer": "1", "task": "sums"}).encode(),
    "a countdown of twelve numbers": json.dumps(
        {"reward_model": {"ground_truth": {"numbers": list(range(2, 14)), "target": 999_983}}, "task": "countdown"}
        | {"prompt": "Countdown"}
    ).encode(),
    "equal rows": b"\n".join([json.dumps(_GOOD[0]).encode()] * 200_000),
    "a number as prompt": b'{"prompt": 7, "answer": "1", "task": "sums"}\n',
    "a cut line": json.dumps(_GOOD[0]).encode() + b'\n{"prompt": "x", "ans',
    "an integer of a thousand digits": b'{"prompt": "x", "answer": ' + b"7" * 1000 + b', "task": "sums"}\n',
}
"""Files of rows by what is wrong with them."""


def rows(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """`check` and `evaluate` on rows by strangers: refused or left out by name, in time, in little memory."""
    commands = {"check": ["check", "--rows"], "evaluate": ["evaluate", "--agent", "oracle", "--tasks"]}
    for number in range(count):
        (wrong, data), command = list(_ROWS.items())[number // 2 % len(_ROWS)], list(commands)[number % 2]
        file = bench.folder / f"rows-{number + 1:02d}.jsonl"
        file.write_bytes(data)
        outcome = Outcome("rows by strangers", f"{command}: {wrong}")
        reward = ["--reward", "number"] if b'"countdown"' not in data else []
        process = start([*commands[command], str(file), *reward], file.with_suffix(".log"), first=_poor_with_a_key)
        outcome.watch(process, codes=[0, 1, 2])
        if not process.printed.strip():
            outcome.faults.append("ended without a word")
        yield outcome


def workers(bench: Bench, rng: np.random.Generator, count: int) -> Iterator[Outcome]:
    """A verifier's worker is killed: another one judges, and the run is the same."""
    names = [bench.folder / f"worker-{number:02d}" for number in range(1, count + 1)]
    whole = bench.folder / "worker-whole"
    line = ["--tasks", "zebra-mini", "countdown-mini", "math-mini"]
    if start([*train(whole, bench.model), *line], whole.with_suffix(".log")).wait() != 0:
        raise RuntimeError(f"a run that nobody disturbed did not end well: see {whole.with_suffix('.log')}")
    for out in names:
        outcome = Outcome("a verifier's worker is killed", "")
        process = start([*train(out, bench.model), *line], out.with_suffix(".log"))
        killed = 0
        deadline = time.monotonic() + bench.seconds * rng.uniform(1, 3)
        while time.monotonic() < deadline and killed < 3:
            if found := children(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(int(rng.choice(found)), signal.SIGKILL)
                    killed += 1
            time.sleep(rng.uniform(0.05, 0.5))
        outcome.detail = f"{killed} killed"
        outcome.watch(process, codes=[0])
        yield outcome


def children(pid: int) -> list[int]:
    """Processes that a process has started, theirs included."""
    with suppress(OSError):
        own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [process for child in own for process in (child, *children(child))]
    return []
