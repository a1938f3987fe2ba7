"""Right and wrong answers to mathematics by construction, before our verifier and Math-Verify in the same run.

    python benchmarks/math_verdicts.py --peer-python PATH

The truths are in `math_truths.txt`; each is written in some twenty other ways, and spoilt in some ten. Writes
benchmarks/results/math_verdicts.md. Without an interpreter that has `math_verify`, only ours is judged.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import tyro
from compare.tables import table
from math_dressings import SHAPES, dressed, near_misses, wrapped

import mtgrpo_env
from mtgrpo_env.envs.reward import verdict

HERE = Path(__file__).parent
TRUTHS = HERE / "math_truths.txt"
RESULTS = HERE / "results" / "math_verdicts.md"
_QUESTION = "What is the answer?"
_HEADING = re.compile(r"# (?P<kind>[a-z ,-]+): (?P<shape>[a-z]+)")
_MARK = re.compile(r" ([✓✗]) ")


@dataclass(frozen=True)
class Config:
    """Whom to judge beside us, and where to write."""

    peer_python: Path | None = None
    """An interpreter that can import `math_verify`; the current one is tried without it."""
    out: Path = RESULTS
    """The file to write."""


class Case(NamedTuple):
    """An answer to a truth, right or wrong by construction."""

    kind: str
    truth: str
    answer: str
    right: bool
    how: str


class Judged(NamedTuple):
    """A case and who accepted it; `peer` is None where there is none."""

    case: Case
    ours: bool
    peer: bool | None


def main(config: Config) -> None:
    """Judge every case and write the tables."""
    cases = list(all_cases(TRUTHS.read_text(encoding="utf-8")))
    start = time.monotonic()
    ours = [_accepts(case) for case in cases]
    seconds = time.monotonic() - start
    version, theirs = _peer(config.peer_python, cases)
    judged = [Judged(*row) for row in zip(cases, ours, theirs or [None] * len(cases), strict=True)]
    parts = [_heading(cases, seconds, version), _by_kind(judged), _faults(judged)]
    if theirs is not None:
        parts.append(_disagreements(judged))
    config.out.parent.mkdir(exist_ok=True)
    config.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(_by_kind(judged))


def all_cases(text: str) -> Iterator[Case]:
    """The cases of a file of truths, each answer to a truth once.

    Raises:
        ValueError: if a heading is none, or an answer is both right and wrong.
    """
    kind = shape = ""
    for line in text.splitlines():
        if line.startswith("#"):
            kind, shape = _read_heading(line)
        elif kind and line:
            yield from _cases_of(kind, shape, line)


def _read_heading(line: str) -> tuple[str, str]:
    found = _HEADING.fullmatch(line)
    if found is None or found["shape"] not in SHAPES:
        raise ValueError(f"expected '# KIND: SHAPE' with a shape of {sorted(SHAPES)}, got {line!r}")
    return found["kind"], found["shape"]


def _cases_of(kind: str, shape: str, line: str) -> Iterator[Case]:
    truth, *rest = _MARK.split(line)
    written = list(zip(rest[::2], rest[1::2], strict=True))
    wrong = [answer for mark, answer in written if mark == "✗"]
    right = {truth: "as it stands"}
    right |= {answer: "written otherwise" for mark, answer in written if mark == "✓"}
    right |= {answer: name for name, answer in dressed(truth, shape) if answer not in right}
    spoilt = dict.fromkeys(wrong, "another answer")
    spoilt |= {answer: f"another answer, {name}" for name, answer in _all_wrapped(wrong, shape)}
    spoilt |= {answer: name for name, answer in near_misses(truth, shape)}
    if both := right.keys() & spoilt.keys():
        raise ValueError(f"expected answers to {truth} that are right or wrong, got both for {sorted(both)}")
    for answers, is_right in ((right, True), (spoilt, False)):
        yield from (Case(kind, truth, answer, is_right, how) for answer, how in answers.items())


def _all_wrapped(wrong: Sequence[str], shape: str) -> Iterator[tuple[str, str]]:
    for place, answer in enumerate(wrong):
        yield wrapped(answer, shape, place + len(answer))


def _accepts(case: Case) -> bool:
    return verdict(_QUESTION, f"\\boxed{{{case.answer}}}", {"task": "math", "target": case.truth}).is_success


def _peer(python: Path | None, cases: Sequence[Case]) -> tuple[str, list[bool] | None]:
    """Its version and verdicts; none if it cannot be imported."""
    command = [str(python or sys.executable), str(HERE / "math_verify_peer.py")]
    pairs = json.dumps([(case.truth, case.answer) for case in cases])
    done = subprocess.run(command, input=pairs, capture_output=True, text=True, check=False)
    if done.returncode:
        if python is not None:
            raise SystemExit(f"{python} cannot judge with math_verify:\n{done.stderr[-2000:]}")
        return "not installed", None
    told = json.loads(done.stdout)
    return told["version"], told["verdicts"]


def _heading(cases: Sequence[Case], seconds: float, version: str) -> str:
    truths, right = len({(case.kind, case.truth) for case in cases}), sum(case.right for case in cases)
    return (
        "# Verdicts on mathematics\n\n"
        "`python benchmarks/math_verdicts.py --peer-python PATH`\n\n"
        f"{date.today()}; Python {platform.python_version()}; mtgrpo-env {mtgrpo_env.__version__}, math-verify "
        f"{version}. {truths} truths of our own, {right:,} right and {len(cases) - right:,} wrong answers, which are "
        "so by construction. Each is put into a box; Math-Verify is given the truth in dollar signs, as it asks for, "
        f"and its defaults. Ours took {seconds:.0f} s, workers included."
    )


def _by_kind(judged: Sequence[Judged]) -> str:
    columns = ["kind", "right", "ours accepts", "Math-Verify accepts", "wrong", "ours accepts", "Math-Verify accepts"]
    kinds = list(dict.fromkeys(row.case.kind for row in judged))
    rows = [[kind, *_counts([row for row in judged if row.case.kind == kind])] for kind in kinds]
    return table(columns, [*rows, ["**all**", *_counts(judged)]])


def _counts(judged: Sequence[Judged]) -> list[str]:
    cells = []
    for right in (True, False):
        chosen = [row for row in judged if row.case.right == right]
        peer = "–" if chosen[0].peer is None else f"{sum(bool(row.peer) for row in chosen):,}"
        cells += [f"{len(chosen):,}", f"{sum(row.ours for row in chosen):,}", peer]
    return cells


def _faults(judged: Sequence[Judged]) -> str:
    """Every verdict of ours against the construction."""
    rows = [
        [row.case.kind, _code(row.case.truth), _code(row.case.answer), row.case.how, _word(row.case.right)]
        for row in judged
        if row.ours != row.case.right
    ]
    return "## Where ours is wrong\n\n" + (
        table(["kind", "truth", "answer", "how", "it is"], rows) if rows else "Nowhere."
    )


def _disagreements(judged: Sequence[Judged]) -> str:
    """Where the two differ: who is right, by kind and by what was done to the truth, with an example of each."""
    groups: dict[tuple[str, str, bool, bool], list[Case]] = {}
    for case, ours, peer in judged:
        if ours != peer:
            groups.setdefault((case.kind, case.how, case.right, ours == case.right), []).append(case)
    rows = [
        [kind, how, _word(right), "ours" if we_are else "Math-Verify", str(len(found)), *_example(found[0])]
        for (kind, how, right, we_are), found in groups.items()
    ]
    ours = sum(len(found) for key, found in groups.items() if key[3])
    total = sum(map(len, groups.values()))
    told = f"{total:,} answers; the construction is with ours in {ours:,} and with Math-Verify in {total - ours:,}."
    columns = ["kind", "how", "it is", "right is", "cases", "such as the truth", "and the answer"]
    return f"## Where the two differ\n\n{told}\n\n{table(columns, rows)}"


def _example(case: Case) -> list[str]:
    return [_code(case.truth), _code(case.answer)]


def _code(text: str) -> str:
    return f"`{text.strip()}`"


def _word(right: bool) -> str:
    return "right" if right else "wrong"


if __name__ == "__main__":
    main(tyro.cli(Config))
