r"""The formulas of questions, and answers that are one of them."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from math_pairs import EQUAL, HOSTILE

from mtgrpo_env.envs.symbolic.formulas import formulas, repeats_question
from mtgrpo_env.envs.symbolic.normal import normal
from mtgrpo_env.envs.symbolic.readings import readings
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError

WRITTEN = [
    "Find $x+1$.",
    "Find $$x+1$$ now",
    r"Find \(x+1\).",
    r"Find \[x+1\]",
    "Find x+1.",
    "Find x + 1, please",
    "What is x+1?",
    "Let $y = x+1$ hold.",
    r"It costs \$5, and $0 < x+1$ holds.",
    "The terms are $x^2, x+1, 3$.",
    "A set: $\\{2, x+1\\}$.",
    r"\begin{align*} y &= x+1 \\ z &= 2 \end{align*}",
    r"Whenever \text{it is} x + 1 = y, say so",
    "the value (of x+1)",
    r"Find $\int x\,dx = x+1$.",
]


@pytest.mark.parametrize("question", WRITTEN)
def test_a_formula_is_found_wherever_it_is_written(question: str) -> None:
    assert normal(readings("x+1")[0]) in formulas(question).written
    assert repeats_question(question, readings("2"), readings("1+x"))


@pytest.mark.parametrize(
    ("formula", "dressed"),
    [
        (
            r"\sin 75^\circ",
            [r"\sin(75^\circ)", r"\sin{75^\circ}", r"\sin 75^\circ+0", r"1\cdot\sin 75^\circ", "sin 75°"],
        ),
        (
            r"\sin 75^\circ",
            [r"\sin\frac{5\pi}{12}", r"(\sin 75^\circ)^1", r"--\sin 75^\circ", r"\frac{\sin 75^\circ}{1}"],
        ),
        (
            r"\sqrt{288}",
            [r"\sqrt{(288)}", r"\sqrt{288.0}", r"\sqrt{144\cdot2}", "sqrt(288)", r"288^{1/2}", r"x=\sqrt{288}"],
        ),
        (r"\left|3-\pi\right|", [r"|\pi-3|", r"|-\pi+3|", r"|3-\pi|\text{ cm}", r"|3-\pi| \approx 0.14"]),
        ("(x-4)(x+6)", ["(4-x)(-x-6)", "-(4-x)(x+6)", "-(4-x)(6+x)"]),
        (r"\frac{x+2}{1-x}", [r"-\frac{x+2}{x-1}", r"\frac{-2-x}{x-1}", r"(2+x)\cdot\frac{1}{1-x}"]),
        ("(x-4)^2y", ["y(4-x)^2", "(4-x)^{2}*y"]),
        ("(x-4)(x+6)", ["(x+6)(x-4)", "(x-4)*(x+6)", "((x-4))(6+x)", "(x-4)(x+6)+0"]),
        ("x^2-49", ["-49+x^2", "x^2-7^2", "-(49-x^2)", "x^{2.0}-49", "(x^2)-(49)", "1x^2 - 49*1"]),
        (r"\frac{6}{\sqrt3}", [r"6/\sqrt3", r"\frac{12}{2\sqrt3}", r"6\cdot\frac{1}{\sqrt3}", r"6\cdot 3^{-1/2}"]),
        ("2x+3y=6", ["6=2x+3y", "3y+2x=6", "(2x)+3y = 6.0"]),
        ("e^{2x}x", [r"x\exp(2x)", "x e^{2x}"]),
        (r"\frac12+\frac13+\pi", [r"\pi+\frac13+\frac12", r"\frac56+\pi"]),
    ],
)
def test_a_formula_is_the_same_in_any_order_and_notation(formula: str, dressed: list[str]) -> None:
    for answer in (formula, *dressed):
        assert repeats_question(f"What of ${formula}$?", readings("z+9"), readings(answer)), answer
        assert not repeats_question(f"What of ${formula}$?", readings(formula), readings(formula))


@pytest.mark.parametrize(
    ("question", "truth", "answer"),
    [
        ("Are there 7 or 1/2 or $-3$ or $x$?", "z+1", "7"),
        ("Are there 7 or 1/2 or $-3$ or $x$?", "z+1", "1/2"),
        ("Are there 7 or 1/2 or $-3$ or $x$?", "z+1", "x"),
        ("Is it $x^2$ or $x^3$?", "x^2", "x^2"),
        ("Is it $x^2$ or $x^3$?", "x^2", "x^{2}, x^2"),
        ("Factor $x^2-49$.", "(x-7)(x+7)", "x^2-49=(x-7)(x+7)"),
        (r"Rationalize $\frac{6}{\sqrt3}$.", r"2\sqrt3", r"\frac{6}{\sqrt3}=2\sqrt3\approx3.46"),
        (r"Here $0 \le x \le \frac{\pi}{2}$.", r"\frac{\pi}{2}", r"0.5\pi"),
        (r"Simplify $\sqrt{3^2+4^2+5}$.", r"\sqrt{30}", r"\sqrt{30}"),
        ("Simplify $x^{4/2}$.", "x^2", "x^2"),
        ("Write $\\sqrt x$ as a power.", r"x^{\frac12}", "x^{1/2}"),
        ("Find the quotient of $x$ and $x+1$.", r"\frac{x}{x+1}", r"\frac{x}{1+x}"),
        ("Let $a=x^2+1$ and $b=x$. What is half the sum of the two?", "1", "x^2+1+x"),
        ("Find the sum of the roots of $x^2-5x+6$ and of $x-1$.", "6", "x^2-5x+6+x-1"),
    ],
)
def test_numbers_variables_and_what_the_truth_says_are_no_repetition(question: str, truth: str, answer: str) -> None:
    assert not repeats_question(question, readings(truth), readings(answer))


@pytest.mark.parametrize(
    ("question", "truth", "answer"),
    [
        (r"Simplify $\sqrt{3^2+4^2+5}$.", r"\sqrt{30}", r"\sqrt{3^2+4^2+5}"),
        ("Simplify $x^{4/2}$.", "x^2", "x^{4/2}"),
        ("Write $\\sqrt x$ as a power.", r"x^{\frac12}", r"\sqrt{x}"),
        ("Write $4^5$ as a power of 2.", "2^{10}", "4^5"),
        ("Factor $x^2-1$ and $x^2-4$.", "(x-1)(x+1), (x-2)(x+2)", "x^2-1, (x-2)(x+2)"),
        ("Let $f(x)=(x-4)(x+6)$. Expand $f(x)$.", "x^2+2x-24", "f(x)=(x+6)(x-4)"),
        ("Rewrite $x-y>2$.", "y<x-2", "2<x-y"),
        ("Divide $x^2+3x+5$ by $x+1$.", r"x+2+\frac{3}{x+1}", r"(x^2+3x+5)\div(1+x)"),
        ("Divide $6x+4$ by $2$.", "3x+2", r"\frac{4+6x}{2}"),
        ("Find the quotient of x^2+x and x.", "x+1", r"\frac{x+x^2}{x}"),
        (r"Find the product of $\frac xy$ and $\frac yz$.", r"\frac xz", r"\frac yz\cdot\frac xy"),
        ("Find the sum of $2x^2+3$ and $x^2-5x$.", "3x^2-5x+3", "(x^2-5x)+(2x^2+3)"),
        (r"Add $\frac1x$ and $\frac1y$.", r"\frac{x+y}{xy}", r"\frac1y+\frac1x"),
        ("Subtract $x-4$ from $3x+1$.", "2x+5", "(3x+1)-(x-4)"),
        (r"What is the difference between $\sqrt{18}$ and $\sqrt2$?", r"2\sqrt2", r"\sqrt{18}-\sqrt2"),
    ],
)
def test_what_the_truth_does_otherwise_is_a_repetition(question: str, truth: str, answer: str) -> None:
    assert repeats_question(question, readings(truth), readings(answer))


@pytest.mark.parametrize(("truth", "answer"), EQUAL)
def test_a_question_without_a_formula_is_not_repeated(truth: str, answer: str) -> None:
    with contextlib.suppress(MathSyntaxError):  # words
        assert not repeats_question("How many of the 12 apples are left, if any?", readings(truth), readings(answer))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text("0123456789xe+-*/^!%(){}[],=<>|_.\\$ \n&?") | st.text())
def test_any_text_is_a_question(question: str) -> None:
    assert formulas(question) is formulas(question)


def test_hostile_questions_take_no_time() -> None:
    start = time.process_time()
    for question in (*HOSTILE, "(" * 100_000, "$x^2+1$ " * 20_000, "x+" * 50_000, "[(])" * 20_000, "\\begin{" * 20_000):
        formulas(question)
    assert time.process_time() - start < 2.0
