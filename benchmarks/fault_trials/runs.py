"""Runs of `mtgrpo` that can be hurt: each in a process forked from this one, which has imported what they need."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.cli import main

STEPS = 8
EXIT_CODES = frozenset({0, 1, 2, 130, -signal.SIGKILL})
_TIMINGS = ("rollout_seconds", "update_seconds", "cpu_seconds")
_PATIENCE = 180.0  # seconds until a process hangs: some twenty times what a run takes
_TASKS = ("zebra-mini", "countdown-mini")


def train(out: Path, model: Path, *options: object) -> list[str]:
    """A run of eight small steps, evaluated at every fourth, with a checkpoint after every second."""
    sizes = ["--steps", STEPS, "--batch-size", 4, "--group-size", 4, "--minibatches", 2, "--eval-problems", 8]
    often = ["--eval-every", 4, "--checkpoint-every", 2, "--keep-checkpoints", 3]
    rest = ["--suite", ",".join(_TASKS), "--lr", 1e-3, "--max-new-tokens", 16, "--device", "cpu"]
    return list(map(str, ["train", "--out", out, "--model", model, *sizes, *often, *rest, *options]))


def make_model(folder: Path) -> None:
    """One that knows the form of an answer to the tasks and no more, so that some of its guesses are right."""
    from mtgrpo_env.agents.llm.tiny import TinyModelConfig, imitate, tiny_model, tiny_tokenizer
    from mtgrpo_env.envs.demonstrators import Demonstrators
    from mtgrpo_env.named_tasks import read_tasks

    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer, TinyModelConfig(hidden_size=16, num_layers=1, num_heads=2, context=64), seed=0)
    demonstrate = Demonstrators(read_tasks(_TASKS), dict.fromkeys(_TASKS, 0.5))
    imitate(model, tokenizer, demonstrate, num_steps=60, batch_size=24, lr=2e-2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@dataclass
class Started:
    """A command under way, and the file that holds all it prints."""

    pid: int
    log: Path
    code: int | None = None

    def wait(self, patience: float = _PATIENCE) -> int | None:
        """Its exit code, minus the signal that ended it; None if it hangs, and then it is killed."""
        deadline = time.monotonic() + patience
        while self.code is None and time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        if self.code is None:
            self.send(signal.SIGKILL)
            os.waitpid(self.pid, 0)
        return self.code

    def send(self, number: int) -> None:
        """A signal, unless it has just ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    @property
    def printed(self) -> str:
        """All it has printed so far."""
        return self.log.read_text("utf-8", "replace") if self.log.is_file() else ""


def start(arguments: Sequence[str], log: Path, *, first: Callable[[], None] = lambda: None) -> Started:
    """Run a command in a process of its own.

    Args:
        arguments: of `mtgrpo`.
        log: to which all it prints is appended.
        first: is called there before the command.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    gc.freeze()
    if pid := os.fork():
        return Started(pid, log)
    code = 1
    try:
        os.setsid()
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout, sys.stderr = (open(fd, "w", encoding="utf-8", closefd=False) for fd in (1, 2))  # noqa: SIM115
        first()
        code = main(arguments)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def digest(out: Path, *, has_history: bool = True) -> str:
    """Of everything that the run is made of, but for what a clock decides."""
    checkpoint = RunFolder(out).newest_checkpoint
    assert checkpoint is not None, f"{out} has no checkpoint"
    found = hashlib.sha256(checkpoint.name.encode())
    for file in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        for part in _parts(file):
            found.update(part)
    for record in history(out) if has_history else ():
        found.update(json.dumps(record, sort_keys=True).encode())
    return found.hexdigest()


def history(out: Path) -> list[dict[str, object]]:
    """Its records, without what a clock decides."""
    file = RunFolder(out).history
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    return [{name: value for name, value in json.loads(line).items() if name not in _TIMINGS} for line in lines]


def _parts(file: Path) -> Iterator[bytes]:
    if file.name == "manifest.json":  # hashes of the others
        return
    yield file.name.encode()
    if file.suffix == ".safetensors":  # its header may come in any order
        with safe_open(file, framework="numpy") as tensors:
            for name in sorted(tensors.keys()):
                yield name.encode() + tensors.get_tensor(name).tobytes()
    elif file.name == "run.json":
        known = json.loads(file.read_text("utf-8"))
        known["records"] = [record for record in known["records"] if record["kind"] != "lost"]  # of a damaged history
        yield json.dumps(_without_timings(known), sort_keys=True).encode()
    else:
        yield file.read_bytes()


def _without_timings(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_timings(item) for name, item in value.items() if name not in _TIMINGS}
    return [_without_timings(item) for item in value] if isinstance(value, list) else value
