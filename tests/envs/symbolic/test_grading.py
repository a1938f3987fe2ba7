"""Grading: equal answers are equal both ways, near-misses and hostile answers are wrong, and nothing is slow."""

from __future__ import annotations

import sys
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from math_pairs import DIFFERENT, EQUAL, HOSTILE

from mtgrpo_env.envs.symbolic import grading
from mtgrpo_env.envs.symbolic.grading import grade, submit
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.worker import equal
from mtgrpo_env.envs.worker_pool import ScorerFailure, WorkerPool, shared_pool

TRUTHS = ["7", r"\sqrt{7} + x", "x^2 + 1", r"(1, \infty)", "even"]


@pytest.mark.parametrize(("truth", "answer"), EQUAL)
def test_equal_answers_are_equal_both_ways(truth: str, answer: str) -> None:
    assert grade(truth, answer)
    assert grade(answer, truth)
    assert grade(truth, truth)


@pytest.mark.parametrize(("truth", "answer"), DIFFERENT)
def test_different_answers_are_different_both_ways(truth: str, answer: str) -> None:
    assert not grade(truth, answer)
    assert not grade(answer, truth)


@pytest.mark.parametrize("truth", TRUTHS)
def test_hostile_answers_are_wrong_at_once_and_cost_no_worker(truth: str) -> None:
    grade(r"\sqrt2", "x")
    workers = [worker.process.pid for worker in shared_pool(grading._JUDGE)._workers]
    start = time.process_time()
    for answer in HOSTILE:
        assert not grade(truth, answer), ascii(answer[:40])
    assert time.process_time() - start < 5.0
    assert [worker.process.pid for worker in shared_pool(grading._JUDGE)._workers][: len(workers)] == workers


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text("0123456789xe+-*/^!%(){}[],=<>|_.\\ \n") | st.text(), st.sampled_from(TRUTHS))
def test_any_answer_gets_a_verdict(answer: str, truth: str) -> None:
    assert grade(truth, answer) in (True, False)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.fractions(), st.fractions())
def test_rational_numbers_are_compared_exactly_however_they_are_written(truth: Fraction, other: Fraction) -> None:
    ways = [
        str(truth),
        rf"\frac{{{truth.numerator}}}{{{truth.denominator}}}",
        f"({-truth.numerator})/(-{truth.denominator})",
    ]
    for way in ways:
        assert grade(str(truth), way)
        assert grade(str(truth), str(other)) == (truth == other)


ATOMS = ["1", "2", "10", "0.5", "-3", "1/2", "x", "y", "e", "i", r"\pi", r"\sqrt2", r"\infty", "50%", "3_8"]
SHAPES = [
    *(
        "{0}+{1}",
        "({0}){1}",
        r"\frac{{{0}}}{{{1}}}",
        "({0})^{{{1}}}",
        r"\sqrt[{0}]{{{1}}}",
        "|{0}|",
        "-({0})",
        "({0})!",
    ),
    *(r"\sin({0})", r"\tan({0})", r"\ln({0})", r"\log_{{{0}}}({1})", r"\binom{{{0}}}{{{1}}}", r"{0}\pm {1}"),
    *(
        "({0},{1}]",
        "{0},{1}",
        r"\{{{0},{1}\}}",
        "{0}={1}",
        "{0}<{1}",
        r"{0}\le {1}<1",
        "{0}<{1}>2",
        "{0}={1}>x",
        r"({0},{1})\cup[{1},{0})",
    ),
]
FORMULAS = st.recursive(
    st.sampled_from(ATOMS), lambda inner: st.builds(str.format, st.sampled_from(SHAPES), inner, inner), max_leaves=6
)


@settings(max_examples=120, derandomize=True, deadline=None)
@given(FORMULAS, FORMULAS)
def test_the_worker_says_yes_or_no_to_any_two_formulas(truth: str, answer: str) -> None:
    try:
        verdict = equal({"truth": truth, "answer": answer, "digits": None})
    except MathSyntaxError:  # the process that asks has parsed both
        return
    assert verdict == equal({"truth": answer, "answer": truth, "digits": None})


def test_a_computation_is_no_answer_where_a_number_is_the_truth() -> None:
    for answer in ("3*4+2", "28/2+0", r"\sqrt{196}", "2*7", "(3)(4)+2", "x = 3*4+2"):
        assert grade("14", answer)
        assert not grade("14", answer, worked_out=True)
    for answer in ("14", "14.0", "28/2", r"\frac{28}{2}", "x=14", r"14\text{ cm}", r"1.4 \times 10^1"):
        assert grade("14", answer, worked_out=True)
    assert grade("2^{100}", "4^{50}", worked_out=True)


def test_rational_answers_need_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "shared_pool", lambda _: pytest.fail("a worker was asked"))
    for truth, answer in (("7", "7"), (r"\frac12", "0.5"), ("(1,2)", "(2,1)"), ("2^{10}", "1024"), ("x^2", "x^2")):
        submit(truth, answer)
        grade(truth, answer)


def test_without_sympy_only_what_needs_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpmath", None)
    assert grade(r"\frac12", "0.5")
    for call in (grade, submit):
        with pytest.raises(ImportError, match=r"needs mpmath: pip install '\.\[math\]'"):
            call(r"\sqrt2", "1.41")


def test_an_answer_submitted_early_gets_the_same_verdict() -> None:
    submit(r"\sqrt{12}", r"2\sqrt3")
    submit(r"\sqrt{12}", r"3\sqrt2")
    assert grade(r"\sqrt{12}", r"2\sqrt3")
    assert not grade(r"\sqrt{12}", r"3\sqrt2")


def test_a_worker_without_a_result_is_a_failure_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    with WorkerPool("judges:raises") as pool:
        monkeypatch.setattr(grading, "shared_pool", lambda _: pool)
        with pytest.raises(ScorerFailure):
            grade(r"\sqrt2", r"\sqrt3")


def test_the_worker_agrees_with_what_is_decided_at_once() -> None:
    pairs = [*((pair, True) for pair in EQUAL), *((pair, False) for pair in DIFFERENT)]
    decided = [(pair, same) for pair, same in pairs if grading._here(*pair, False, None) == same]
    for (truth, answer), same in decided:
        try:
            assert equal({"truth": truth, "answer": answer, "digits": None}) == same, (truth, answer)
        except ValueError:  # words, which only the process that asks compares
            assert "number" not in truth


MATRIX = r"\begin{pmatrix} 1/2 & -3 \\ 0 & \sqrt{2} \end{pmatrix}"


@pytest.mark.parametrize(
    "answer",
    [
        MATRIX,
        r"\begin{pmatrix}0.5&-3\\0&\sqrt2\end{pmatrix}",
        r"$\begin{bmatrix} \frac12 & -3 \\ 0 & 2/\sqrt{2} \\ \end{bmatrix}$",
    ],
)
def test_matrices_are_the_same_entry_by_entry(answer: str) -> None:
    assert grading.grade(MATRIX, answer)


@pytest.mark.parametrize(
    "answer",
    [
        r"\begin{pmatrix} 1/2 & -3 \\ 0 & 1.414 \end{pmatrix}",
        r"\begin{pmatrix} 1/2 & 0 \\ -3 & \sqrt{2} \end{pmatrix}",
        r"\begin{pmatrix} 1/2 & -3 & 0 & \sqrt{2} \end{pmatrix}",
        r"\begin{pmatrix} 1/2 & -3 \\ 0 \end{pmatrix}",
        r"\begin{pmatrix} 1/2 & -3 \\ 0 & \sqrt{2} \end{bmatrix}",
        r"\begin{pmatrix}" * 1000,
        r"\begin{pmatrix}\end{pmatrix}",
        "1/2, -3, 0, \\sqrt{2}",
        "(1/2, -3, 0, \\sqrt{2})",
        "",
    ],
)
def test_a_matrix_of_other_entries_or_another_shape_is_another_answer(answer: str) -> None:
    assert not grading.grade(MATRIX, answer)
    assert not grading.grade("1/2", MATRIX)


@pytest.mark.parametrize(
    ("truth", "answer", "is_right"),
    [
        (r"\sqrt2", r"\sqrt2+10^{-600}", False),
        (r"\sqrt2", r"\sqrt2+10^{-700}", False),
        (r"\pi", r"\pi-\frac{1}{10^{600}}", False),
        (r"\pi", r"\pi+2^{-1900}", False),
        (r"\sqrt2", r"\sqrt2+10^{-540}", False),
        (r"\sqrt2", r"\sqrt2+0", True),
        (r"10^{-600}", r"10^{-600}", True),
        (r"\sqrt2\cdot10^{500}", r"10^{500}\sqrt2", True),
    ],
)
def test_a_term_that_is_too_small_to_be_seen_makes_no_value_equal(truth: str, answer: str, is_right: bool) -> None:
    assert grade(truth, answer) == is_right
