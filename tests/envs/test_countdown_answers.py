"""Countdown's answers in LaTeX, in other signs and as equations: right ones are right, and no other becomes right."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.arithmetic import ExpressionError, evaluate
from mtgrpo_env.envs.countdown import Countdown, CountdownPuzzle
from mtgrpo_env.envs.countdown_answers import plain_arithmetic, solves
from mtgrpo_env.envs.reward import verdict

NUMBERS, TARGET = (12, 6, 4), 8

RIGHT = [
    "12/6*4",
    "12 / 6 * 4",
    "12÷6×4",
    "12∕6⋅4",
    "12⁄6·4",
    "12 / 6 ∙ 4",
    r"12 \div 6 \times 4",
    r"12\div6\cdot4",
    r"12 / 6 \ast 4",
    r"\frac{12}{6} \times 4",
    r"\frac{12}{6} \cdot 4",
    r"\dfrac{12}{6}\cdot 4",
    r"4 \times \tfrac{12}{6}",
    r"4 * \cfrac{12}{6}",
    r"\frac{12}6 * 4",
    r"\frac {12} {6} * 4",
    r"\frac{12 \times 4}{6}",
    r"\frac{12}{\frac{6}{4}}",
    r"\frac{(12)}{(6)}*4",
    r"\left(12/6\right)*4",
    r"\left[ \frac{12}{6} \right] \times 4",
    r"\bigl(12/6\bigr)*4",
    r"\Big(12/6\Big)*4",
    r"\{12/6\}*4",
    "[12/6]*4",
    "[(12)/6]*4",
    "{12}/{6}*{4}",
    r"\displaystyle \frac{12}{6} \times 4",
    r"\mathrm{12/6*4}",
    r"\mathbf{12}/6*4",
    r"\textbf{(12/6)*4}",
    r"\fbox{12/6*4}",
    "$12/6*4$",
    "$$12/6*4$$",
    "$12$ / $6$ * $4$",
    r"\(12/6*4\)",
    r"\[12/6*4\]",
    r"12\,/\,6\;*\:4",
    r"12~/~6\!*\quad 4",
    "12\u00a0/\u20096\u202f*\u20034",
    "12/6*4.",
    "$12/6*4.$",
    "$12/6*4$. ",
    r"\[12/6*4.\]",
    "12/6*4 = 8",
    "8 = 12/6*4",
    "12/6*4=8.",
    r"$\frac{12}{6} \times 4 = 8$",
    r"8=4\cdot\frac{12}{6}",
    r"12/6*4 = \mathbf{8}",
    "12/6*4 = (8)",
    "12/6*4 = 2*4 = 8",
    "8 = 2*4 = 12/6*4",
    "(12/6)*4 = 16/2 = 2*4 = 8",
    "**12/6*4**",
    "**12 / 6 * 4 = 8**",
    "`12/6*4`",
    "`12 / 6 × 4`",
    "*12/6×4*",
    "<b>12/6*4</b>",
    r"\color{blue}{12/6*4}",
    r"\color{blue} 12/6*4",
    r"\textcolor{red}{12/6*4}",
    r"\textcolor{red}{12}/6*4",
    r"\underline{12/6*4}",
    r"\boldsymbol{12 \div 6 \times 4}",
    r"\mathbf{12/6*4 = 8}",
    r"\textcolor{blue}{8 = \frac{12}{6} \times 4}",
    r"\textbf{12/6*4 = 8.}",
    r"{\bf {12/6*4 = 8}}",
    r"\text{12/6*4}",
    r"\Large 12/6*4",
    r"{\bf 12/6*4}",
    r"\bm{\frac{12}{6}} \times 4",
    r"\frac{\mathbf{12}}{6} \times 4",
    "𝟏𝟐/6*4",
    "12/6*4,",
    "12/6*4;",
    "$12/6*4$,",
    "12/6*4$",
    "$12/6*4",
    "$ 12 ÷ 6 * 4",
    "12~/~6 * 4",
    "=12/6*4",
    "= 12/6*4 = 8",
    "12/6*4 =",
    "12/6*4 = 8,",
    r"{12 \over 6} \times 4",
    r"{12 \times 4 \over 6}",
    r"4 * {{12} \over {6}}",
    r"\frac{12}{{6 \over 4}}",
    r"\frac{12}{6 \over 4}",
    r"{12 {\div} 6 {\times} 4}",
    r"12 {\div} 6 {\times} 4",
    "12{/}6{*}4",
    r"12/6*4 {=} 8",
    r"12 \mathbin{\div} 6 \mathbin{\times} 4 \mathrel{=} 8",
    r"\begin{aligned} 12/6*4 &= 2*4 \\ &= 8 \end{aligned}",
    r"\begin{align*} 12/6*4 = 8 \end{align*}",
    "12 / 6 x 4",
    "12 / 6 X 4 = 8",
    r"$\frac{12}{6}$ x $4$",
    "12 ∕ 6 ✕ 4",
]

WRONG = {
    "the target alone": "8",
    "the target twice": "8 = 8",
    "another target": "12/6*4 = 9",
    "another target on the left": "9 = 12/6*4",
    "a wrong value, said to be the target": "12-6+4 = 8",
    "a wrong step": "12/6*4 = 3*4 = 8",
    "a wrong end": "12/6*4 = 8 = 9",
    "steps run together": "12/6 = 2*4 = 8",
    "an equation without the target": "12/6*4 = 16/2",
    "the numbers in a step only": "2*4 = 12/6*4 = 8",
    "the numbers on both sides": "12/6*4 = 12/6*4",
    "a sign of equality alone": "=",
    "nothing between two signs of equality": "12/6*4 = = 8",
    "two signs of equality": "12/6*4 == 8",
    "an equation in a group of several": "{12/6*4 = 8}{8}",
    "an equation in an argument": r"\frac{12/6*4 = 8}{1}",
    "about equal": r"12/6*4 \approx 8",
    "about equal in one sign": "12/6*4 ≈ 8",
    "unequal": r"12/6*4 \ne 8",
    "an inequality": "12/6*4 > 7",
    "two equations": "12/6 = 2, 2*4 = 8",
    "an equation in parentheses": "(12/6*4 = 8)",
    "the target as a decimal": "12/6*4 = 8.0",
    "the target with a zero before it": "12/6*4 = 08",
    "the target with a unit": "12/6*4 = 8x",
    "a number left out": "12-4",
    "a number left out of an equation": "12-4 = 8",
    "a number used twice": "12/6*4+6-6",
    "a number that is not given": "12/6*4+0",
    "a factor of one": r"1 \times 12/6*4",
    "digits joined by a blank": "1 2/6*4",
    "digits joined by a thin space": r"1\,2/6*4",
    "digits joined by a negative space": r"1\!2/6*4",
    "digits joined by a dollar sign": "1$2/6*4",
    "digits joined by braces": "{1}{2}/6*4",
    "digits joined by a brace": "1{2}/6*4",
    "digits joined by a command": r"1\left2/6*4",
    "digits joined by a space of no width": "1\u200b2/6*4",
    "a decimal": "12.0/6*4",
    "a decimal point before a number": "12/6*.4",
    "three full stops": "12/6*4...",
    "a comma behind a step": "12/6*4, = 8",
    "a comma within": "1,2/6*4",
    "a zero before a number": "12/6*04",
    "a power": "12/6*4^1",
    "a power in braces": "12/6*4^{1}",
    "a power of zero": "12/6*4 + 6^{0} - 6^{0}",
    "a power of stars": "12/6*4**1",
    "a root": r"12/6*\sqrt{16}",
    "a factorial": "4!/6*12/6",
    "a sign": "-12/6*-4",
    "a sign in parentheses": "(-12)/6*(-4)",
    "a sign of plus": "+12/6*4",
    "a sign of minus in Unicode": "−12/6*(−4)",
    "an operator left out": "12/6(4)",
    "an operator left out between parentheses": "(12/6)(4)",
    "an operator left out behind a fraction": r"\frac{12}{6}4",
    "a mixed number": r"4\frac{12}{6}",
    "fractions of digits": r"\frac126*4",
    "a fraction without a denominator": r"\frac{12}*6*4",
    "a fraction with an empty numerator": r"\frac{}{6}*4*12",
    "a fraction with an operator inside": r"\frac{12/}{6}*4",
    "brackets of two kinds": "[12/6)*4",
    "a bracket left open": r"\left(12/6*4",
    "a brace left open": r"\frac{12}{6*4",
    "a bracket that was not opened": "12/6]*4",
    "division by zero": "12/(6-6)*4",
    "rounding": "12//6*4",
    "a percentage": "12/6*400%",
    "a letter for times": "12/6x4",
    "a letter for times behind a number": "12/6x 4",
    "a letter for a number": "12 / x * 4",
    "two letters for times": "12/6 x x 4",
    "a letter for times and another": "12/6 x 4y",
    "a letter for times in words": r"12/6 \text{x times} 4",
    "a comma between expressions": "12/6*4, 12/6*4",
    "struck out": "~~12/6*4~~",
    "emphasis between numbers": "12/6 *4* ÷ 1",
    "a fraction of three": r"{12 \over 6 \over 4}",
    "a fraction without braces": r"12 \over 6 \times 4",
    "a fraction over nothing": r"{12 \over} 6 * 4",
    "a fraction beside a number": r"{12 \over 6} 4",
    "a sign in braces twice": "12/6{*}{*}4",
    "a minus sign in braces": "{-}12/6*4",
    "digits joined by a font": r"1\mathbf{2}/6*4",
    "digits joined by emphasis": "1**2**/6*4",
    "digits joined by tags": "1<b>2</b>/6*4",
    "digits of another font that are joined": r"\mathbf{1}\mathbf{2}/6*4",
    "words": "12 divided by 6 times 4",
    "words in LaTeX": r"12/6\text{ times }4",
    "other digits": "١٢/٦*٤",
    "wide digits": "１２/6*4",
    "a fraction in one sign": "12*4*½",
    "an unknown command": r"12 \foo 6 * 4",
    "a column of code": "12/6*4 # 8",
    "a name": "x = 12/6*4",
}


@pytest.mark.parametrize("answer", RIGHT)
def test_a_right_answer_in_any_dress_is_right_and_for_another_puzzle_wrong(answer: str) -> None:
    assert solves(answer, NUMBERS, TARGET)
    assert not solves(answer, NUMBERS, TARGET + 1)
    assert not solves(answer, (*NUMBERS, 1), TARGET)
    assert not solves(answer, NUMBERS[1:], TARGET)
    assert not solves(answer, (12, 6, 6), TARGET)


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_wrong_whatever_it_looks_like(answer: str) -> None:
    assert not solves(answer, NUMBERS, TARGET)


def test_an_equation_may_state_a_target_below_zero() -> None:
    assert solves("3 - 5 = -2", (3, 5), -2)
    assert not solves("5 - 3 = -2", (3, 5), -2)


def test_a_puzzle_of_one_number_is_solved_by_it() -> None:
    assert solves("8", (8,), 8)
    assert solves("8 = 8", (8,), 8)


def test_values_on_the_way_are_exact() -> None:
    assert solves(r"\frac{8}{3-\frac{8}{3}} = 24", (8, 3, 8, 3), 24)
    assert not solves(r"100+\frac{1}{99*98*97}", (100, 1, 99, 98, 97), 100)


def test_answers_in_latex_and_equations_are_correct_by_the_rows_truth() -> None:
    prompt = Countdown("easy").prompt(CountdownPuzzle(NUMBERS, TARGET))
    assert "create an equation" in prompt
    truth = {"task": "countdown-easy", "numbers": "12,6,4", "target": TARGET}
    for answer in RIGHT:
        assert verdict(prompt, f"So it is ${boxed(answer)}$.", truth).outcome == "correct", answer
    for answer in WRONG.values():
        assert verdict(prompt, f"So it is ${boxed(answer)}$.", truth).outcome != "correct", answer


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["easy", "medium", "very_hard"]))
def test_every_solution_is_right_in_latex(seed: int, level: str) -> None:
    task = Countdown(level)
    puzzle = task.generate(np.random.default_rng(seed))
    answer = task.oracle(puzzle)[len("\\boxed{") : -1]
    latex = answer.replace("*", r" \times ").replace("(", r"\left(").replace(")", r"\right)").replace("-", "−")
    latex = re.sub(r"(?<![/)0-9])([0-9]+)/([0-9]+)(?![0-9])", r"\\frac{\1}{\2}", latex).replace("/", r" \div ")
    for dressed in (latex, f"${latex}$.", rf"{latex} = {puzzle.target}", rf"{puzzle.target} = {latex}"):
        assert task.is_correct(puzzle, dressed), dressed
    assert not task.is_correct(puzzle, f"{latex} = {puzzle.target + 1}")


DRESS = [
    "**",
    "_",
    "`",
    r"\mathbf{",
    r"\mathbf ",
    r"\text{",
    r"\color{red}",
    r"\over ",
    " x ",
    r"{\div}",
    "<b>",
    "</b>",
    ",",
]


@settings(max_examples=500, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(["1", "2", "3", "(", ")", "{", "}", r"\frac", "+", "-", "/", "*", " ", r"\,", "$", "=", *DRESS])
    )
)
def test_what_is_rewritten_keeps_its_digits_in_order_and_joins_none(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        plain = plain_arithmetic(text)
    except ExpressionError:
        return
    assert re.sub("[^0-9]", "", plain) == re.sub("[^0-9]", "", text)
    assert {*re.findall("[0-9]+", plain)} <= {
        number[start:end]
        for number in re.findall("[0-9]+", text)
        for start in range(len(number))
        for end in range(start + 1, len(number) + 1)
    }


def test_plain_arithmetic_is_left_as_it_is() -> None:
    assert plain_arithmetic("(1 + 2) / 3") == "(1 + 2) / 3"
    assert evaluate(plain_arithmetic(r"\frac12")).numbers == (1, 2)


@pytest.mark.parametrize(
    "answer",
    [
        r"\frac{" * 200_000,
        r"\frac" * 200_000,
        "{" * 500_000 + "}" * 500_000,
        "$" * 1_000_000,
        "=" * 1_000_000,
        "12/6*4=" * 100_000 + "8",
        ". " * 500_000,
        r"\left(" * 100_000,
        "{" * 500 + "1" + "}" * 500,
        "9" * 1_000 + "=8",
        r"{1 \over" * 100_000,
        "{ \\times" * 100_000,
        "*1" * 500_000,
        "{1 \\over " * 90,
        "{ " * 510,
        "\ud800" * 1_000,
    ],
    ids=lambda answer: f"{answer[:8]!a} x{len(answer)}",
)
def test_hostile_answers_are_refused_in_milliseconds(answer: str) -> None:
    start = time.process_time()
    assert not solves(answer, NUMBERS, TARGET)
    assert time.process_time() - start < 2.0
