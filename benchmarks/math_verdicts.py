"""Right and wrong answers to mathematics by construction, before our verifier and Math-Verify in the same run.

    python benchmarks/math_verdicts.py --peer-python PATH

The truths are in `math_truths.txt`; each is written in some twenty other ways, and spoilt in some ten. Writes
benchmarks/results/math_verdicts.md. Without an interpreter that has `math_verify`, ours alone is judged.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import tyro
from compare.tables import table
from math_dressings import SHAPES, dressed, near_misses, wrapped
from rich.progress import track

import mtgrpo_env
from mtgrpo_env.envs.reward import verdict

HERE = Path(__file__).parent
TRUTHS = HERE / "math_truths.txt"
RESULTS = HERE / "results" / "math_verdicts.md"
_PORTION = 500  # cases the peer is given at a time
_QUESTION = "What is the answer?"
_HEADING = re.compile(r"# (?P<kind>[a-z ,-]+): (?P<shape>[a-z]+)")
_MARK = re.compile(r" ([✓✗]) ")


@dataclass(frozen=True)
class Config:
    """Whom to judge beside us, and where to write."""

    peer_python: Path | None = None
    """An interpreter that can import `math_verify`; none judges ours alone."""
    peer_verdicts: Path = Path("runs/math_verify.json")
    """Where the peer's verdicts are kept, so that a later run asks only for new ones."""
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
    cases = list(all_cases())
    start = time.monotonic()
    ours = [accepts(case) for case in cases]
    seconds = time.monotonic() - start
    peer = None if config.peer_python is None else Peer(config.peer_python, config.peer_verdicts)
    theirs = [None] * len(cases) if peer is None else peer.verdicts(cases)
    judged = [Judged(*row) for row in zip(cases, ours, theirs, strict=True)]
    parts = ["# Verdicts on mathematics", _conclusion(judged), _heading(cases, seconds, peer), _by_kind(judged)]
    parts += [*(_by_way(judged, right=right) for right in (True, False)), _faults(judged)]
    if peer is not None:
        parts.append(_disagreements(judged))
    config.out.parent.mkdir(exist_ok=True)
    config.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(_by_kind(judged))


def all_cases() -> Iterator[Case]:
    """The cases of `math_truths.txt`."""
    return read_cases(TRUTHS.read_text(encoding="utf-8"))


def read_cases(text: str) -> Iterator[Case]:
    """The cases of a list of truths, each answer to a truth once.

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
    spoilt |= {wrapped(answer, shape, place): "another answer, dressed" for place, answer in enumerate(wrong)}
    spoilt |= {answer: name for name, answer in near_misses(truth, shape)}
    if both := right.keys() & spoilt.keys():
        raise ValueError(f"expected answers to {truth} that are right or wrong, got both for {sorted(both)}")
    for answers, is_right in ((right, True), (spoilt, False)):
        yield from (Case(kind, truth, answer, is_right, how) for answer, how in answers.items())


def accepts(case: Case) -> bool:
    """Whether ours calls the answer right."""
    return verdict(_QUESTION, f"\\boxed{{{case.answer}}}", {"task": "math", "target": case.truth}).is_success


class Peer:
    """Math-Verify in another process, whose verdicts are kept in a file: each takes it some 30 ms.

    Args:
        python: an interpreter that can import `math_verify`.
        file: where verdicts are kept.
    """

    def __init__(self, python: Path, file: Path) -> None:
        self._command = [str(python), str(HERE / "math_verify_peer.py")]
        self._file = file
        self.version, _ = self._ask([])

    def verdicts(self, cases: Sequence[Case]) -> list[bool]:
        """In the order of the cases."""
        kept: dict[str, bool] = json.loads(self._file.read_text()) if self._file.exists() else {}
        missing = [case for case in cases if self._key(case) not in kept]
        for start in track(range(0, len(missing), _PORTION), f"Math-Verify, {len(missing):,} answers"):
            portion = missing[start : start + _PORTION]
            _, told = self._ask(portion)
            kept |= zip(map(self._key, portion), told, strict=True)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(kept))
        return [kept[self._key(case)] for case in cases]

    def _key(self, case: Case) -> str:
        return "\t".join((self.version, case.truth, case.answer))

    def _ask(self, cases: Sequence[Case]) -> tuple[str, list[bool]]:
        pairs = json.dumps([(case.truth, case.answer) for case in cases])
        done = subprocess.run(self._command, input=pairs, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"expected {self._command[0]} to judge with math_verify, got:\n{done.stderr[-2000:]}")
        told = json.loads(done.stdout)
        return told["version"], told["verdicts"]


def _heading(cases: Sequence[Case], seconds: float, peer: Peer | None) -> str:
    version = "left out" if peer is None else peer.version
    truths, right = len({(case.kind, case.truth) for case in cases}), sum(case.right for case in cases)
    return (
        "`python benchmarks/math_verdicts.py --peer-python PATH`\n\n"
        f"{date.today()}; Python {platform.python_version()}; mtgrpo-env {mtgrpo_env.__version__}, math-verify "
        f"{version}. {truths} truths of our own, {right:,} right and {len(cases) - right:,} wrong answers, which are "
        "so by construction. Each is put into a box; Math-Verify gets the truth in dollar signs, as documented, "
        f"and its defaults. Ours took {seconds:.0f} s, workers included."
    )


def _conclusion(judged: Sequence[Judged]) -> str:
    right, wrong = ([row for row in judged if row.case.right == is_right] for is_right in (True, False))
    text = (
        f"Ours accepts {sum(row.ours for row in right):,} of {len(right):,} right answers and "
        f"{sum(row.ours for row in wrong):,} of {len(wrong):,} wrong ones"
    )
    if any(row.peer is not None for row in judged):
        counts = [sum(bool(row.peer) for row in rows) for rows in (right, wrong)]
        text += f"; Math-Verify {counts[0]:,} and {counts[1]:,}"
    return f"**{text}. The answers are in our own manner, not a sample of any model's.**"


def _by_kind(judged: Sequence[Judged]) -> str:
    columns = ["kind", "right", "ours accepts", "Math-Verify accepts", "wrong", "ours accepts", "Math-Verify accepts"]
    groups: dict[str, list[Judged]] = {}
    for row in judged:
        groups.setdefault(row.case.kind, []).append(row)
    groups["**all**"] = list(judged)
    rows = [[kind, *_counts(found, right=True), *_counts(found, right=False)] for kind, found in groups.items()]
    return table(columns, rows)


def _by_way(judged: Sequence[Judged], *, right: bool) -> str:
    """By what was done to a truth."""
    groups: dict[str, list[Judged]] = {}
    for row in judged:
        if row.case.right == right:
            groups.setdefault(row.case.how, []).append(row)
    rows = [[how, *_counts(found, right=right)] for how, found in groups.items()]
    title = "Dressings, all right" if right else "Mistakes, all wrong"
    return f"## {title}\n\n{table(['how', 'answers', 'ours accepts', 'Math-Verify accepts'], rows)}"


def _counts(judged: Sequence[Judged], *, right: bool) -> list[str]:
    """How many there are, and how many either accepts."""
    chosen = [row for row in judged if row.case.right == right]
    peer = "–" if chosen[0].peer is None else f"{sum(bool(row.peer) for row in chosen):,}"
    return [f"{len(chosen):,}", f"{sum(row.ours for row in chosen):,}", peer]


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
