r"""Forms that questions ask for: what has them, what has not, and that no form makes a truth wrong."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from asked_answers import assert_judged
from math_pairs import DIFFERENT, EQUAL, HOSTILE

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.math_questions import MathPuzzle
from mtgrpo_env.envs.mathematics import Mathematics, answers_question
from mtgrpo_env.envs.symbolic.forms import _ASKED, asked_forms, has_asked_form
from mtgrpo_env.envs.symbolic.formulas import repeats_question
from mtgrpo_env.envs.symbolic.readings import readings
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError

PAGE = Path(__file__).parents[3] / "docs" / "verdicts.md"
ALL_FORMS = (
    "Factor, expand, simplify and rationalise it, find its prime factorization and partial fractions, write it in "
    "lowest terms, as a common fraction, as a mixed number, as a decimal, in scientific notation, as a percentage, in "
    "interval notation, as an inequality, in terms of pi, as a single fraction, as a single logarithm, as a power, in "
    "vertex form, in the form a + bi, compute it, and solve it for y."
)

RIGHT_AND_WRONG = [
    (
        "Factor $x^2-49$.",
        "(x-7)(x+7)",
        ["(x+7)(x-7)", "-(7-x)(7+x)", "(7+x)*(x-7)"],
        ["x^2-49", "-49+x^2", "x^2-7^2", "1(x^2-49)", r"\frac{2x^2-98}{2}", "x(x-49/x)", "x^2(1-49/x^2)"],
    ),
    ("Factor it.", "(x-7)(x+7)", [], [r"\frac{(x^2-49)(x+1)}{x+1}", "(x^2-49)(x+1)^0", "2(x^2/2-49/2)"]),
    (
        "Factor completely: $x^4-1$",
        "(x-1)(x+1)(x^2+1)",
        ["(x^2+1)(x+1)(x-1)"],
        ["(x^2-1)(x^2+1)", "(x-1)(x^3+x^2+x+1)"],
    ),
    ("Factorise $2x^2-2$.", "2(x-1)(x+1)", ["(x+1)(x-1)*2"], ["(2x-2)(x+1)", "2(x^2-1)", "2x^2-2"]),
    ("Write in factored form.", "x(x-1)^2", ["x(x-1)(x-1)", "x(1-x)^2"], ["(x^2-x)(x-1)", "x(x^2-2x+1)"]),
    (
        "What is the prime factorization of 360?",
        r"2^3\cdot3^2\cdot5",
        [r"5\cdot3^2\cdot2^3", r"2\cdot2\cdot2\cdot3\cdot3\cdot5"],
        ["360", r"8\cdot45", r"2^3\cdot 45"],
    ),
    (
        "Expand $(x-4)(x+6)$.",
        "x^2+2x-24",
        ["2x+x^2-24", r"x\cdot x+2x-24", "x^{2} + 2x - 24"],
        ["(x-4)(x+6)", "(x+6)(x-4)", "(x-4)*(x+6)", "x(x+2)-24", "(x+1)^2-25", "x^2+6x-4x-24", "-(4-x)(x+6)"],
    ),
    ("Multiply out (x+1)^2.", "x^2+2x+1", ["1+2x+x^2"], ["(x+1)^2", "(x+1)(x+1)", "(1+x)^2"]),
    ("Multiply $(x-4)(x+6)$.", "x^2+2x-24", ["x^2+2x-24"], ["x(x+6)-4(x+6)", "(4-x)(-6-x)"]),
    ("Combine like terms: $3x+5x-2$.", "8x-2", ["-2+8x"], ["5x+3x-2", "4x+4x-2", "8x-1-1+0y+x-x"]),
    ("Write $(1+i)^2$ in the form $a+bi$.", "2i", ["0+2i"], ["(i+1)^2", "(1+i)(1+i)"]),
    ("Give it in the form $a + bi$.", r"\frac12-\frac32i", [r"\frac{1-3i}{2}"], [r"\frac{5}{1+3i}"]),
    (
        r"Simplify $\sqrt{288}$.",
        r"12\sqrt2",
        [r"\sqrt2\cdot 12", r"12\cdot 2^{1/2}", "12*sqrt(2)"],
        [r"\sqrt{144\cdot 2}", r"6\sqrt8", r"2\cdot6\sqrt2", r"\sqrt{144}\sqrt2", r"\frac{24\sqrt2}{2}", r"288^{0.5}"],
    ),
    ("Simplify it.", r"12\sqrt2", [], [r"\frac{24}{\sqrt2}", r"10\sqrt2+2\sqrt2", r"\sqrt2\sqrt2\sqrt{72}"]),
    (
        r"Simplify $\frac{x^2+3x+2}{x^2-1}$.",
        r"\frac{x+2}{x-1}",
        [r"(2+x)/(x-1)", r"1+\frac{3}{x-1}", r"\frac{-x-2}{1-x}"],
        [r"\frac{(x+1)(x+2)}{(x+1)(x-1)}", r"\frac{2x+4}{2x-2}", r"\frac{x}{x-1}+\frac{2}{x-1}"],
    ),
    (r"Simplify $\frac1x-\frac1{x+1}$.", r"\frac{1}{x(x+1)}", [r"\frac{1}{x^2+x}"], [r"\frac1x-\frac1{1+x}"]),
    ("Simplify $2x+3x$.", "5x", ["x*5"], ["3x+2x", "(2+3)x", "x+4x"]),
    ("Simplify $(x^3)^4$.", "x^{12}", ["x^12"], ["(x^3)^4", r"x^3\cdot x^9", "(x^4)^3"]),
    (r"What is $\sqrt{45}$ in simplest radical form?", r"3\sqrt5", [r"\sqrt5*3"], [r"\sqrt{45}", r"\sqrt9\sqrt5"]),
    (
        r"Rationalize the denominator of $\frac{6}{\sqrt3}$.",
        r"2\sqrt3",
        [r"\sqrt3\cdot2", r"\frac{6\sqrt3}{3}"],
        [r"6/\sqrt3", r"\frac{6}{\sqrt{3}}", r"6\cdot3^{-1/2}", r"\frac{12}{2\sqrt3}", r"6\sqrt{\frac13}"],
    ),
    (
        r"Find the partial fraction decomposition of $\frac{1}{x(x+1)}$.",
        r"\frac1x-\frac{1}{x+1}",
        [r"\frac{-1}{x+1}+\frac1x"],
        [r"\frac{1}{x^2+x}", r"\frac{2}{2x(x+1)}", r"\frac{x+1}{x(x+1)}-\frac{x}{x(x+1)}"],
    ),
    ("Integrate by partial fractions.", r"\ln|x|-\ln|x+1|", [r"\ln\left|\frac{x}{x+1}\right|"], [r"\ln|x|"]),
    (r"Reduce $\frac{4}{6}$ to lowest terms.", r"\frac{2}{3}", ["2/3", r"\dfrac23"], [r"\frac46", "4/6", "8/12"]),
    ("What is 7 in base 5?", "12", ["12_5", r"12_{\text{five}}"], ["12_6", "7"]),
    ("What is it?", "12", ["12"], ["12_5", r"12_{\text{five}}"]),
    ("Write 6/12 in lowest terms.", r"\frac12", ["1/2"], ["0.5", "6/12"]),
    ("Solve $2x+3y=6$ for $y$.", r"y=2-\frac23x", [r"\frac{6-2x}{3}=y"], [r"x=\frac{6-3y}{2}", "x=3-1.5y"]),
    (
        "How likely is it?",
        r"\frac29",
        [r"\frac{200}{9}\%", r"\frac29=22\frac29\%"],
        [r"\frac29\%", r"\frac{2}{9}\text{ percent}"],
    ),
    ("How likely is it, in percent?", "0.5", [r"0.5\%", "0.5"], [r"5\%"]),
    ("Write 0.75 as a common fraction.", r"\frac34", ["3/4", "-3/-4"], ["0.75", r"\frac68", "75%"]),
    ("Give the result as a fraction.", "5/6", [r"\frac{10}{12}"], ["1/2+1/3"]),
    ("Give it as a fraction or as a decimal.", r"\frac14", ["0.25"], ["4"]),
    (r"Write $\frac72$ as a mixed number.", r"3\frac12", ["3 1/2", r"3\tfrac{1}{2}"], ["7/2", "3.5", r"3\frac24"]),
    ("Convert 1/4 to a decimal.", "0.25", ["0.250", ".25"], ["1/4", r"\frac{25}{100}"]),
    (
        "Write 3200 in scientific notation.",
        r"3.2\times10^3",
        [r"3.2\cdot 10^{3}"],
        ["3200", r"32\times10^2", r"0.32\times10^4"],
    ),
    ("Write it as a single logarithm.", r"\log 6", [r"\log(6)"], [r"\log2+\log3"]),
    ("Write $4^5$ as a power of 2.", "2^{10}", ["2^10"], ["4^5", "1024"]),
    ("Write it in vertex form.", "y=(x+3)^2-8", ["y=-8+(3+x)^2"], ["y=x^2+6x+1", "y=x(x+6)+1"]),
    (
        r"Compute $\sin 75^\circ$.",
        r"\frac{\sqrt6+\sqrt2}{4}",
        [r"\frac{\sqrt2+\sqrt6}4", r"\frac{\sqrt6}{4}+\frac{\sqrt2}{4}", r"\sqrt{2}(\sqrt3+1)/4"],
        [r"\sin(75^\circ)", r"\cos 15^\circ", r"\sin(70+5)^\circ", r"\sin\frac{5\pi}{12}"],
    ),
    (
        "Solve $2x+3y=6$ for $y$.",
        r"y=2-\frac23x",
        [r"y=-\frac23x+2", r"\frac{6-2x}{3}=y", r"2-\frac23x"],
        ["2x+3y=6", "3y+2x=6", "3y=6-2x", "y=6-2x-2y"],
    ),
    ("Solve for x: 2x = 10.", "x=5", ["5", "5=x"], ["2x=10", "3x=15"]),
    ("Express the angle in terms of x.", "2x", ["f(x)=2x", "2*x"], ["3x"]),
]


@pytest.mark.parametrize(("question", "truth", "right", "wrong"), RIGHT_AND_WRONG)
def test_an_answer_needs_the_form_that_is_asked_for(
    question: str, truth: str, right: list[str], wrong: list[str]
) -> None:
    assert_judged(question, truth, right, wrong)


def documented() -> list[list[str]]:
    table = PAGE.read_text(encoding="utf-8").split("<!-- forms -->")[1].split("<!-- end of forms -->")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip("` ") for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize(("question", "truth", "right", "wrong"), documented())
def test_each_line_of_the_page_holds(question: str, truth: str, right: str, wrong: str) -> None:
    task, puzzle = Mathematics("easy"), MathPuzzle(question, truth)
    outcomes = [task.verify(puzzle, boxed(answer)).outcome for answer in (truth, right, wrong)]
    assert outcomes == ["correct", "correct", "wrong"]


@pytest.mark.parametrize("truth", sorted({text for pair in (*EQUAL, *DIFFERENT) for text in pair}))
def test_no_form_and_no_question_make_a_truth_wrong(truth: str) -> None:
    """An answer may fall as short of a form as the truth does, so the truth itself always has it."""
    with contextlib.suppress(MathSyntaxError):  # words
        trees = readings(truth)
        question = f"{ALL_FORMS} Convert it and add. Here ${truth}$ is given."
        assert has_asked_form(question, trees, trees)
        assert not repeats_question(question, trees, trees)


def test_all_forms_are_asked_for_at_once() -> None:
    assert {form for _, forms in _ASKED for form in forms} == set(asked_forms(ALL_FORMS))


@pytest.mark.parametrize(
    "question",
    [
        "What is the greatest common factor of 12 and 18?",
        "If x - 2 is a factor of the polynomial, what is k?",
        "By what factor does it grow?",
        "What is the coefficient of x^2 in the expansion of (x+1)^5?",
        "The price is reduced by 10 percent. What is it now?",
        "What fraction is left?",
        "",
    ],
)
def test_a_form_that_is_only_mentioned_is_not_asked_for(question: str) -> None:
    assert asked_forms(question) == ()


@pytest.mark.parametrize("truth", ["7", r"\frac{x+2}{x-1}", r"3\sqrt2"])
def test_hostile_answers_are_looked_at_in_no_time(truth: str) -> None:
    start = time.process_time()
    for answer in (*HOSTILE, r"\sqrt[999999999]{6}", "(x+1)^{999999999}", "x^{9^{9^9}}", "((x^9)^9)^9" * 30):
        answers_question(f"{ALL_FORMS} List how many minutes in increasing order.", truth, answer)
    assert time.process_time() - start < 2.0
