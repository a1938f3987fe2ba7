r"""What the fuzzer runs on each input, and the laws it holds a verifier to; `fuzz.py` starts it.

An input picks one of a fixed set of puzzles and makes a response: from its bytes, from pieces of what answers
are made of, by joining the puzzle's numbers, or by editing the oracle, so that right answers and near misses
come up at once. The laws:

1. `verify` raises nothing, and its verdict is legal.
2. Asked again, it says the same.
3. Where an independent reference knows that the answer is right, or that it is wrong, the verdict agrees.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fuzz_references as references
import numpy as np
from fuzz_references import Reference

atheris: Any = importlib.import_module("atheris")  # has no types, and is not needed to check ours

with atheris.instrument_imports(include=["mtgrpo_env.envs"]):
    from mtgrpo_env.envs.answers import BoxedTask, boxed, last_box, released_box
    from mtgrpo_env.envs.countdown import Countdown, CountdownPuzzle
    from mtgrpo_env.envs.mtreason import REASON_TASKS

from mtgrpo_env.hostile import verdict_fault  # noqa: E402  # the instrumented ones come first

EXTRACTION = "extraction"
VERIFIERS = (EXTRACTION, *REASON_TASKS)

_PUZZLES_PER_LEVEL = 4
_REFERENCE_LENGTH = 300  # characters up to which every answer, not only a correct one, goes to the slow reference
_REPORT_EVERY = 10_000
_MOST_EDITS = 3
_ERASE = 0xC0  # bytes from here on put nothing in the place of what they replace
_MARKUP = ("\\boxed{", "{", "}", "\\text{", "\n", " ", "\\", "boxed", "Assistant:", "$", "\0", "\u3000", "\ud800")
_NUMERIC = (*"0123456789+-*/().=,^_!%[]", "**", "//", "1/", "\\frac{", "}{", "e9", "0x", "１", "٣")
_SYMBOLIC = ("x", "\\sqrt{", "\\pi", "\\cdot ", "\\infty", "\\left(", "\\cup ")

Target = Callable[[bytes], str]


class Finding(AssertionError):
    """A verifier broke a law on this input."""


@dataclass
class Progress:
    """Counts what came out, and leaves the counts in a file where `fuzz.py` reads them."""

    target: Target
    inputs: int
    report: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    seen: int = 0

    def __call__(self, data: bytes) -> None:
        self.outcomes[self.target(data)] += 1
        self.seen += 1
        # The fuzzer ends the process itself, so nothing could be written after the last input.
        if self.seen % _REPORT_EVERY == 0 or self.seen == self.inputs:
            self.report.write_text(json.dumps({"inputs": self.seen, "outcomes": self.outcomes}))


def target_of(verifier: str) -> Target:
    """The function under test for one of `VERIFIERS`."""
    if verifier == EXTRACTION:
        return _check_extraction
    task_type = REASON_TASKS[verifier]
    reference = references.REFERENCES.get(verifier, references.no_opinion)
    cases = [case for level in task_type.LEVELS for case in _cases(task_type(level))]
    for ground_truth, response in references.TRAPS.get(verifier, ()):
        cases.append(_case(task_type(), task_type.from_ground_truth(ground_truth, ""), response))
    return lambda data: _check_verifier(cases, reference, data)


@dataclass(frozen=True)
class _Case:
    task: BoxedTask[Any]
    puzzle: Any
    start: str
    """A response to edit, the oracle's or nearly."""
    pieces: Sequence[str]
    operands: Sequence[str]
    """What can be joined to an expression, which is how Countdown is answered."""


def _cases(task: BoxedTask[Any]) -> list[_Case]:
    rng = np.random.default_rng(0)
    puzzles = [task.generate(rng) for _ in range(_PUZZLES_PER_LEVEL)]
    return [_case(task, puzzle, task.oracle(puzzle)) for puzzle in puzzles]


def _case(task: BoxedTask[Any], puzzle: Any, start: str) -> _Case:
    pieces = (*_MARKUP, *_NUMERIC, *_SYMBOLIC, *references.pieces(puzzle))
    operands = [str(number) for number in puzzle.numbers] if isinstance(puzzle, CountdownPuzzle) else []
    return _Case(task, puzzle, start, pieces, operands)


def _check_verifier(cases: Sequence[_Case], reference: Reference, data: bytes) -> str:
    case = cases[data[0] % len(cases)] if data else cases[0]
    response = _response(data[1:], case)
    verdict = case.task.verify(case.puzzle, response)
    if (fault := verdict_fault(verdict)) is not None:
        raise Finding(_described(case.puzzle, response, fault))
    if (again := case.task.verify(case.puzzle, response)) != verdict:
        raise Finding(_described(case.puzzle, response, f"{verdict}, then {again}"))
    if references.is_plain(response) and (verdict.is_success or len(response) <= _REFERENCE_LENGTH):
        answer = references.last_box(response)
        if (answer is None) != (verdict.outcome == "no_answer"):
            raise Finding(_described(case.puzzle, response, f"{verdict}, but the last box holds {answer!a}"))
        right = None if answer is None else reference(case.task, case.puzzle, answer)
        if right is not None and right != verdict.is_success and verdict.valid:
            raise Finding(_described(case.puzzle, response, f"{verdict}, but the reference says {right}"))
    return verdict.outcome


def _check_extraction(data: bytes) -> str:
    text = _response(data, _EXTRACTION_CASE)[:_REFERENCE_LENGTH]
    for extract, reference in ((last_box, references.last_box), (released_box, references.released_box)):
        if extract is last_box and not references.is_plain(text):
            continue
        if (found := extract(text)) != (expected := reference(text)):
            raise Finding(f"{extract.__name__}({text!a}) is {found!a}, but the reference says {expected!a}")
    return "no_answer" if last_box(text) is None else "found"


_EXTRACTION_CASE = _Case(Countdown(), None, "Assistant: so\n\\boxed{\\text{ 7 }}", _MARKUP, ())


def _response(data: bytes, case: _Case) -> str:
    """A response from an input: the first byte says how the others are read."""
    way, rest = (data[0] % 5, data[1:]) if data else (0, data)
    if way == 0:
        return rest.decode("utf-8", errors="surrogateescape")
    if way == 1:
        return "".join(case.pieces[byte % len(case.pieces)] for byte in rest)
    if way == 2:
        return boxed("".join(case.pieces[byte % len(case.pieces)] for byte in rest))
    if way == 3 and case.operands:
        return boxed(_joined(case.operands, rest))
    return _edited(case.start, rest, case.pieces)


def _joined(operands: Sequence[str], choices: bytes) -> str:
    """An expression that uses every operand once: two bytes choose each pair that is joined, and by what."""
    terms = list(operands)
    for place, sign in zip(choices[::2], choices[1::2], strict=False):
        if len(terms) == 1:
            break
        left = terms.pop(place % len(terms))
        right = terms.pop((place >> 4) % len(terms))
        terms.append(f"({left}{'+-*/'[sign % 4]}{right})")
    return "+".join(terms)


def _edited(text: str, choices: bytes, pieces: Sequence[str]) -> str:
    """`text` after up to three edits, so that much of it stays; each has bytes for where, what, and how much goes."""
    count, edits = (choices[0] % (_MOST_EDITS + 1), choices[1:]) if choices else (0, choices)
    for place, piece, removed in zip(edits[:count], edits[count : 2 * count], edits[2 * count :], strict=False):
        start = place % (len(text) + 1)
        put = pieces[piece % len(pieces)] if piece < _ERASE else ""
        text = text[:start] + put + text[start + (removed & removed >> 4) % 4 :]
    return text


def _described(puzzle: Any, response: str, fault: str) -> str:
    return f"{fault}\n  puzzle: {puzzle!r:.500}\n  response: {response!a:.2000}"


def main(arguments: Sequence[str]) -> None:
    """Fuzz one verifier: its name, the number of inputs, the file of counts, then the fuzzer's own flags."""
    program, verifier, inputs, report, *flags = arguments
    progress = Progress(target_of(verifier), int(inputs), Path(report))
    atheris.Setup([program, f"-runs={inputs}", *flags], progress)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
