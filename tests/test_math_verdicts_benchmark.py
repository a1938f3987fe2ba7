"""The answers of the benchmark on mathematics are what they say they are; a sample of them is judged here."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
EVERY = 11  # judged, of all answers: a sample that meets every kind, dressing and mistake


@pytest.fixture
def benchmark_script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("mpmath")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("math_verdicts")


def test_no_wrong_answer_is_accepted(benchmark_script: ModuleType) -> None:
    cases = [case for case in benchmark_script.all_cases() if not case.right]
    accepted = [case for case in cases[::EVERY] if benchmark_script.accepts(case)]
    assert not accepted


def test_nearly_every_right_answer_is_accepted(benchmark_script: ModuleType) -> None:
    cases = [case for case in benchmark_script.all_cases() if case.right][::EVERY]
    accepted = [case for case in cases if benchmark_script.accepts(case)]
    assert len(accepted) > 0.99 * len(cases)


def test_an_answer_that_is_right_and_wrong_is_refused(benchmark_script: ModuleType) -> None:
    with pytest.raises(ValueError, match="right or wrong"):
        list(benchmark_script.read_cases("# integers: value\n42 ✓ 6 \\cdot 7 ✗ 6 \\cdot 7"))


def test_a_heading_names_a_shape(benchmark_script: ModuleType) -> None:
    with pytest.raises(ValueError, match="expected '# KIND: SHAPE'"):
        list(benchmark_script.read_cases("# integers\n42"))
