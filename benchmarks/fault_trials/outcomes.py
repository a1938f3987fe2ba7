"""What came of a fault."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np

from fault_trials.runs import EXIT_CODES, STEPS, Started, digest, start, train
from mtgrpo_env.agents.run_folder import RunFolder

_RESUMED = re.compile(r"going on after step (\d+)")
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Bench:
    """What all trials share.

    Attributes:
        folder: of the runs.
        model: they start from.
        whole: a run that nobody disturbed.
        seconds: that it took.
        events: on files that it made.
    """

    folder: Path
    model: Path
    whole: Path
    seconds: float
    events: int


@dataclass
class Outcome:
    """What came of one fault.

    Attributes:
        kind: of the fault.
        detail: what was done exactly.
        ended: how the command that met it ended.
        steps_again: training steps that had to be made again.
        faults: what must not be: a wrong result in silence, a loss, a hang, a traceback.
    """

    kind: str
    detail: str
    ended: str = ""
    steps_again: int = 0
    faults: list[str] = field(default_factory=list)

    def watch(self, process: Started, *, codes: Sequence[int] = tuple(EXIT_CODES)) -> None:
        """Wait for a command to end; one that hangs, shows a traceback or ends as nobody documented is at fault."""
        code = process.wait()
        self.ended = "hung" if code is None else "killed" if code == -9 else f"exit {code}"
        if code is None:
            self.faults.append("hang")
        elif code not in codes:
            self.faults.append(f"{self.ended}, expected {' or '.join(map(str, sorted(codes)))}")
        if _TRACEBACK in process.printed:
            self.faults.append("traceback")

    def finish(self, bench: Bench, out: Path, *, newest: int = 0, recorded: int = 0, has_history: bool = True) -> None:
        """Let the same command finish the run, and compare it with the one that nobody disturbed.

        Args:
            bench: what it is compared with.
            out: folder of the run.
            newest: step of the newest sound checkpoint that there was.
            recorded: steps that had been made.
            has_history: whether the history was left alone, and must be the same, too.
        """
        resumed = start(train(out, bench.model), out.with_suffix(".resumed.log"))
        code = resumed.wait()
        if code != 0:
            self.faults.append("hang" if code is None else f"the same command ended with {code}")
        if _TRACEBACK in resumed.printed:
            self.faults.append("traceback")
        again = _RESUMED.search(resumed.printed)
        if code == 0:
            since = int(again[1]) if again else STEPS if "steps are done" in resumed.printed else 0
            self.steps_again = max(0, recorded - since)
            if since < newest:
                self.faults.append(f"lost: went on after step {since}, a sound checkpoint was of step {newest}")
            if digest(out, has_history=has_history) != digest(bench.whole, has_history=has_history):
                self.faults.append("wrong result")


class State(TypedDict):
    """What a run has reached.

    Attributes:
        newest: step of its newest checkpoint.
        recorded: steps in its history.
    """

    newest: int
    recorded: int


def state(out: Path) -> State:
    """How far a run has come."""
    steps = RunFolder(out).steps if out.exists() else []
    file = RunFolder(out).history
    text = file.read_text("utf-8", "replace") if file.is_file() else ""
    return {"newest": steps[-1] if steps else 0, "recorded": text.count('"kind": "step"')}


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Lines of Markdown, one for each kind of fault."""
    header = "| fault | times | how the command ended | steps made again, at most | wrong in silence | lost | hangs |"
    lines = [header + " tracebacks | otherwise amiss |", "|---|---|---|---|---|---|---|---|---|"]
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind]
        ended = dict(zip(*np.unique([outcome.ended for outcome in of_kind], return_counts=True), strict=True))
        shown = ", ".join(f"{count} {how}" for how, count in ended.items())
        again = max(outcome.steps_again for outcome in of_kind)
        counts = [sum(_is(fault, word) for o in of_kind for fault in o.faults) for word in _AMISS]
        rest = sum(not any(_is(fault, word) for word in _AMISS) for o in of_kind for fault in o.faults)
        lines.append(f"| {kind} | {len(of_kind)} | {shown} | {again} | {' | '.join(map(str, [*counts, rest]))} |")
    return lines


_AMISS = ("wrong result", "lost", "hang", "traceback")


def _is(fault: str, word: str) -> bool:
    return fault.startswith(word)
