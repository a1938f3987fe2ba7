"""One answer before one judge, in a process that is killed at its deadline: judges of ours and of the peers."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from compare import peers
from mtgrpo_env.envs.mtreason import REASON_TASKS
from mtgrpo_env.hostile import canaries, remove_canaries

SECONDS = 5.0
HANGS, CRASHES, EXECUTES = "hangs", "crashes the process", "evaluates the answer as code"
_OWN_SECONDS = 2  # math_verify's own limit, which it keeps by a signal to itself
_START_SECONDS = 120.0
_MEMORY = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Trial:
    """A judge of `JUDGES`, the task and the puzzle it judges for, and the answer put before it.

    Attributes:
        judge: a key of `JUDGES`.
        task: a key of `REASON_TASKS`.
        text: a whole response for our judge, a bare answer for the others.
        numbers: of a Countdown puzzle; without them, a puzzle is generated.
        target: of that puzzle.
    """

    judge: str
    task: str
    text: str
    numbers: tuple[int, ...] = ()
    target: int = 0


class Court:
    """A process that holds trials, and another one in its place when it has to be killed."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        if not self._connection.poll(_START_SECONDS) or self._connection.recv() != "ready":
            raise RuntimeError(f"the judging process was not ready within {_START_SECONDS} s")

    def hear(self, trial: Trial) -> str:
        """What the judge says, or how it failed."""
        self._connection.send(trial)
        try:
            if self._connection.poll(SECONDS):
                return self._connection.recv()
            verdict = HANGS
        except EOFError:
            verdict = CRASHES
        self.close()
        self._start()
        return verdict

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection[Any, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # some log the answer, a megabyte long
        os.dup2(silence, stream)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        peers.optional("reasoning_gym")
        peers.optional("math_verify")
        connection.send("ready")
        while True:
            trial: Trial = connection.recv()
            remove_canaries()
            try:
                said = JUDGES[trial.judge](trial)
            except Exception as error:
                said = f"raises {type(error).__name__}"
            connection.send(EXECUTES if canaries() else said)


def _ours(trial: Trial) -> str:
    task_type = REASON_TASKS[trial.task]
    task = task_type(next(level for level in ("easy", *task_type.LEVELS) if level in task_type.LEVELS))
    if trial.numbers:
        ground_truth = {"numbers": list(trial.numbers), "target": trial.target}
        puzzle = task_type.from_ground_truth(ground_truth, "")
    else:
        puzzle = task.generate(np.random.default_rng(0))
    return task.verify(puzzle, trial.text).outcome


def _reasoning_gym(trial: Trial) -> str:
    data_set = peers.reasoning_gym_set(trial.task, "easy", seed=0, size=1)
    if data_set is None:
        return "–"
    entry = data_set[0]
    if trial.numbers:
        entry["metadata"] |= {"numbers": list(trial.numbers), "target": trial.target}
    answer = trial.text.replace("<oracle>", entry["answer"])
    return f"{data_set.score_answer(answer, entry):.2f}"


def _tagged(trial: Trial) -> str:
    package = peers.optional("reasoning_gym.utils")
    return "–" if package is None else str(package.extract_answer(trial.text))


def _math_verify(trial: Trial) -> str:
    package = peers.optional("math_verify")
    if package is None:
        return "–"
    right, start = package.parse("$17$"), time.monotonic()
    given = package.parse(trial.text, parsing_timeout=_OWN_SECONDS)
    score = float(package.verify(right, given, timeout_seconds=_OWN_SECONDS))
    return "runs into its time limit" if time.monotonic() - start >= _OWN_SECONDS else f"{score:.2f}"


JUDGES: Mapping[str, Callable[[Trial], str]] = {
    "ours": _ours,
    "reasoning-gym": _reasoning_gym,
    "reasoning-gym, extraction": _tagged,
    "math_verify": _math_verify,
}
