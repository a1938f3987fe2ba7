r"""Notations that questions ask for, and natural answers that no form may refuse."""

from __future__ import annotations

import pytest
from asked_answers import assert_judged

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.math_questions import MathPuzzle
from mtgrpo_env.envs.mathematics import Mathematics
from mtgrpo_env.envs.symbolic import notations
from mtgrpo_env.envs.symbolic.forms import has_asked_form
from mtgrpo_env.envs.symbolic.notations import NOTATIONS
from mtgrpo_env.envs.symbolic.readings import readings

RIGHT_AND_WRONG = [
    (
        "Write 0.00045 in scientific notation.",
        r"4.5\times10^{-4}",
        [
            r"4.5 \cdot 10^{-4}",
            "4.5e-4",
            "4.50*10^(-4)",
            r"0.00045=4.5\times10^{-4}",
            "4.5×10⁻⁴",
            r"4.5\times 10^{-04}",
        ],
        ["0.00045", r"45\times10^{-5}", r"0.45\times10^{-3}", r"\frac{4.5}{10000}", r"\frac{4.5}{10^4}", "45e-5"],
    ),
    (
        "Express it in scientific notation.",
        r"1.2\times10^{-5}",
        [r"1.2\times10^{-5}\text{ kg}", r"m = 1.2\times10^{-5}"],
        [r"\frac65\times10^{-5}", r"1.2\times10^{-3-2}", r"1.2\times0.00001", "0.12e-4"],
    ),
    ("Write 0.0001 in scientific notation.", "10^{-4}", [r"1\times10^{-4}", "1e-4"], ["0.0001", r"10\times10^{-5}"]),
    ("Write -0.02 in scientific notation.", r"-2\times10^{-2}", ["-2e-2"], ["-0.02", r"-20\times10^{-3}"]),
    ("Write 4500000 in standard form.", r"4.5\times10^6", ["4.5e6"], ["4500000", r"45\times10^5"]),
    (r"Write $4.5\times10^{-4}$ in standard form.", "0.00045", ["0.000450"], [r"4.5\times10^{-4}", "4.5e-4"]),
    ("Write it in scientific notation.", "0.00045", [r"4.5\times10^{-4}", r"45\times10^{-5}"], ["0.0045"]),
    (
        "Express 0.375 as a percent.",
        r"37.5\%",
        ["37.5%", "37.5", "37.5 percent", r"37\frac12\%", r"\frac{75}{2}\%", r"0.375=37.5\%", r"x=37.5\%"],
        ["0.375", r"\frac38", r"\frac{37.5}{100}"],
    ),
    (r"Write $\frac13$ as a percentage.", r"33\frac13\%", [r"\frac{100}{3}\%", r"33\frac13"], [r"\frac13"]),
    ("Convert 0.05 to a percent.", "5", [r"5\%"], ["0.05"]),
    ("Convert $0.005$ to %.", r"0.5\%", ["0.5", r"\frac12\%"], ["0.005"]),
    ("Give both as percentages.", r"10\%, 25\%", ["25%, 10%", "10, 25"], ["0.1, 0.25", r"0.1, 25\%", r"10\%, 0.25"]),
    ("What percent of 80 is 20?", r"25\%", ["25"], ["0.25", r"\frac{20}{80}"]),
    ("What share is red?", r"40\%", ["40", "0.4", r"\frac25"], ["4"]),
    ("Express 45% as a decimal.", "0.45", [".45", "0.450"], [r"45\%"]),
    ("Simplify $x^3 x^5$.", "x^8", ["x^{8}", r"x^3x^5=x^{3+5}=x^8"], ["x^{3+5}"]),
    ("Simplify $(x^2)^3$.", "x^6", ["x^{6.0}"], [r"x^{2\cdot3}", "x^{12/2}"]),
    (r"Simplify $\frac{x}{x^3}$.", r"\frac{1}{x^2}", ["x^{-2}", "1/x^2"], ["x^{1-3}", "x^{-4/2}"]),
    (r"Simplify $x^{\frac12}x^{\frac13}$.", "x^{5/6}", [r"x^{\frac{5}{6}}"], ["x^{1/2+1/3}", "x^{10/12}"]),
    ("Simplify $e^xe^{2x}$.", "e^{3x}", [r"\exp(3x)"], ["e^{x+2x}"]),
    (r"Write $\frac{2^{10}}{2^3}$ as a power of 2.", "2^7", ["2^{7}"], ["2^{10-3}", "128"]),
    (r"Write $\frac18$ as a power of 2.", "2^{-3}", [r"\frac18=2^{-3}"], [r"\frac18", r"\frac{1}{2^3}", "2^{1-4}"]),
    (
        r"Simplify $\frac{\frac{1}{x}}{\frac{1}{y}}$.",
        r"\frac{y}{x}",
        ["y/x", r"y\cdot\frac1x"],
        [r"\frac{\frac1x}{\frac1y}", r"\frac{1/x}{1/y}", r"\frac{1}{\frac xy}", r"\frac{y/1}{x}"],
    ),
    (r"Simplify $\frac{1/x}{y}$.", r"\frac{1}{xy}", ["1/(xy)"], [r"\frac{\frac1x}{y}"]),
    (r"Simplify $\frac{1}{1+\frac1x}$.", r"\frac{x}{x+1}", [r"1-\frac{1}{x+1}"], [r"\frac{1}{1+\frac{1}{x}}"]),
    ("Write the ratio 6:8 in lowest terms.", "3:4", ["3 to 4", r"\frac34", "6:8 = 3:4"], ["6:8", "9:12", r"\frac68"]),
    ("Simplify the ratio.", "2:3:5", ["2 : 3 : 5"], ["4:6:10", "1:1.5:2.5"]),
    ("Simplify the ratio.", r"1:\sqrt2", [], [r"2:\sqrt2"]),
    ("Find the ratio.", "3:4", ["6:8"], ["4:3"]),
    (
        "Express in interval notation: $x>3$.",
        r"(3,\infty)",
        [r"x\in(3,\infty)", r"\left(3,+\infty\right)"],
        ["x>3", "3<x", r"\{x\mid x>3\}"],
    ),
    ("Write it in interval notation.", r"(-\infty,6)\cup(6,\infty)", [r"\mathbb{R}\setminus\{6\}"], [r"x\neq6"]),
    ("Write it in interval notation.", "x>3", [r"(3,\infty)", "3<x"], [r"x\ge3"]),
    ("Write it in interval notation.", "-2<x<4", [r"x>-2\text{ and }x<4", "(-2,4)"], ["[-2,4]"]),
    ("Write it as an inequality.", "-2<x<4", [r"x>-2\text{ and }x<4"], ["(-2,4)"]),
    ("Write it in set-builder notation.", r"\{x\mid x>3\}", [r"\{x:x>3\}"], [r"(3,\infty)"]),
    (r"Write 0.75 in the form $\frac{a}{b}$.", r"\frac34", ["3/4", r"\frac68"], ["0.75", r"75\%"]),
    (r"Write it in the form $m/n$, with $m$ and $n$ relatively prime.", "3/4", [r"\dfrac34"], ["0.75", "6/8"]),
    (r"Write it in the form $a\sqrt{b}$.", r"7\sqrt2", [r"\sqrt{98}=7\sqrt{2}"], [r"\sqrt{98}", r"\sqrt2\sqrt{49}"]),
    (r"Write it in the form $a+b\sqrt{c}$.", r"3+2\sqrt2", [r"2\sqrt2+3"], [r"(1+\sqrt2)^2", r"3+\sqrt8"]),
    (
        r"Write it in the form $\frac{a+b\sqrt{c}}{d}$.",
        r"\frac{1+\sqrt5}{2}",
        [r"\frac12+\frac{\sqrt5}{2}", r"\frac12(1+\sqrt5)"],
        [r"\frac{2}{\sqrt5-1}"],
    ),
    (
        "Divide $x^2+3x+2$ by $x+1$.",
        "x+2",
        [r"\frac{x^2+3x+2}{x+1}=x+2"],
        [r"\frac{x^2+3x+2}{x+1}", r"(x^2+3x+2)\div(x+1)", r"\frac{(x+1)(x+2)}{x+1}"],
    ),
    ("What is $x^2-1$ divided by $x-1$?", "x+1", ["1+x"], [r"\frac{x^2-1}{x-1}"]),
    ("Simplify $a-(b-c)$.", "a-b+c", ["a+c-b"], ["a-(b-c)", "-(b-c)+a", "a+-1(b-c)"]),
    ("Simplify $-(x-3)$.", "3-x", ["-x+3"], ["-(x-3)", "-1(x-3)", r"-1\cdot(-3+x)"]),
    ("Expand $-(x-3)$.", "3-x", ["-x+3"], ["-(x-3)"]),
    ("Simplify $(a-b)(-1)$.", "b-a", ["-a+b"], ["-(a-b)", "(a-b)(-1)"]),
    (r"Simplify $\frac{-a}{-b}$.", r"\frac ab", ["a/b"], [r"\frac{-a}{-b}", "-a/(-b)"]),
    ("Expand $(x+1)(x+2)(x+3)$.", "x^3+6x^2+11x+6", [], [r"x^3+6x^2+11x+2\cdot3", "x^3+(1+5)x^2+11x+6"]),
    ("Simplify $i^{11}$.", "-i", [], ["i^3", "i^{11}"]),
    (
        r"Write $e^{\pi i/3}$ in the form $a+bi$.",
        r"\frac12+\frac{\sqrt3}{2}i",
        [r"\frac{1+i\sqrt3}{2}"],
        [r"e^{i\pi/3}", r"e^{2\pi i/6}", r"\cos\frac\pi3+i\sin\frac\pi3"],
    ),
    (r"Reduce $\sqrt{288}$.", r"12\sqrt2", [], [r"4\sqrt{18}", r"\sqrt{288}"]),
    ("Write $(1+i)^2$ in rectangular form.", "2i", ["0+2i"], ["1+2i+i^2"]),
    (
        "Convert 3 feet to inches.",
        r"36\text{ inches}",
        ["36", r"36\text{ in}"],
        [r"3\text{ feet}", r"1\text{ yard}", "3 ft"],
    ),
    ("Convert 5 km to m.", r"5000\text{ m}", ["5000", r"5{,}000\,\mathrm{m}"], ["5 km", r"5\text{ kilometers}"]),
    ("How many minutes are in 2 hours?", r"120\text{ minutes}", ["120", "120 min"], [r"2\text{ hours}", "2 h"]),
    ("Convert 72 km/h to m/s.", r"20\text{ m/s}", [r"20\text{ meters per second}"], [r"72\text{ km/h}"]),
    ("How many minutes?", "90", [r"90\text{ min}"], [r"90\text{ seconds}", r"90\text{ hours}"]),
    ("How large is it in square meters?", "12", [r"12\text{ m}^2", "12 square meters"], [r"12\text{ cm}^2"]),
    ("What is the cost in dollars?", "3", [r"\$3", "3 dollars"], [r"3\text{ cents}"]),
    ("Find its length in meters.", r"12\text{ m}", ["12 meters"], [r"1200\text{ cm}"]),
    ("Arrange $3,1,2$ in increasing order.", "1,2,3", [r"\{1,2,3\}", "1.0, 2, 3"], ["3,1,2", "2,1,3"]),
    (r"List in increasing order: $\frac12,\frac13$.", r"\frac13,\frac12", [r"\frac{1}{3},0.5"], [r"\frac12,\frac13"]),
    (
        r"Order from least to greatest: $\sqrt8, 3, \pi$.",
        r"\sqrt8,3,\pi",
        [r"2\sqrt2,3,\pi"],
        [r"3,\sqrt8,\pi", r"\pi,3,\sqrt8", r"\sqrt8,\pi,3"],
    ),
    ("Give the roots in ascending order.", "-1,2", [r"x=-1\text{ or }x=2"], ["2,-1", "x=2,x=-1"]),
    ("Arrange in order, from largest to smallest: $0.5$, $0.25$, $1.5$.", "1.5,0.5,0.25", [], ["0.5,0.25,1.5"]),
    ("In decreasing order, what are the roots?", "2,-1", [], ["-1,2"]),
    ("Give the next two terms.", "16,32", [], ["32,16"]),
    (r"What is $\sin 75^\circ$?", r"\frac{\sqrt6+\sqrt2}{4}", [], [r"\cos15^\circ", r"\sin105^\circ"]),
    ("Express it as $2^n$.", "2^{10}", ["2^10"], ["1024"]),
    ("Write the polynomial in standard form.", "x^2+2x+1", ["1+2x+x^2"], ["x(x+2)+1", "(x+1)^2"]),
    ("How long does it take?", r"8\text{ hours}", [r"480\text{ minutes}"], [r"480\text{ seconds}"]),
    (
        r"Compute the determinant $\begin{vmatrix}a&b\\c&d\end{vmatrix}$.",
        "ad-bc",
        ["-cb+da"],
        [r"\begin{vmatrix} a & b \\ c & d \end{vmatrix}"],
    ),
    (
        r"Compute \[2\begin{pmatrix}1&2\\3&4\end{pmatrix}.\]",
        r"\begin{pmatrix}2&4\\6&8\end{pmatrix}",
        [r"\begin{bmatrix}2&4\\6&8\end{bmatrix}"],
        [r"2\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}\cdot2"],
    ),
    ("Subtract $2x-1$ from $5x$.", "3x+1", ["1+3x"], ["5x-(2x-1)", "5x-2x+1"]),
]

NATURAL = [
    (r"The answer is in the form $\frac{m}{n}$ with coprime $m$ and $n$. Find $m+n$.", "7", ["m+n=7", "3+4=7"]),
    (r"It is $\frac{a\sqrt{b}}{c}$ in simplest form. Find $a+b+c$.", "10", ["10", "a+b+c = 10"]),
    (r"Write your answer in the form $\frac{a\pi}{b}$.", r"\frac{3\pi}{4}", [r"\frac34\pi", r"\dfrac{3\pi}{4}"]),
    (r"Simplify $\frac{\sqrt3}{2}\cdot\frac{x}{3}$.", r"\frac{x\sqrt3}{6}", [r"\frac{\sqrt3}{6}x", r"\frac16\sqrt3x"]),
    (r"Simplify $2^n\cdot2^{n+1}$.", "2^{2n+1}", [r"2\cdot4^n", "2^{1+2n}"]),
    (r"Simplify $\sqrt[3]{x^2}$ with rational exponents.", "x^{2/3}", [r"x^{\frac{2}{3}}"]),
    ("Simplify $(2x^2)^3$.", "8x^6", [r"8\cdot x^{6}"]),
    (r"Simplify $\frac{3x}{6}$.", r"\frac x2", ["x/2", r"\frac12x", "0.5x"]),
    (r"Simplify $\frac{\frac1x+\frac1y}{\frac1x-\frac1y}$.", r"\frac{y+x}{y-x}", [r"-\frac{x+y}{x-y}", "(x+y)/(y-x)"]),
    (r"Divide $\frac34$ by $\frac25$.", r"\frac{15}{8}", ["15/8", "1.875", r"1\frac78"]),
    (r"Divide $3+i$ by $1-i$.", "1+2i", ["2i+1"]),
    ("Divide $x+1$ by $x^2$.", r"\frac{x+1}{x^2}", [r"\frac1x+\frac{1}{x^2}", r"\frac1x(1+\frac1x)"]),
    ("Divide $x^3-x$ by $x+1$.", "x^2-x", ["x(x-1)"]),
    ("How many are left if 12 cookies are divided among 5?", "2", [r"2\text{ cookies}"]),
    (r"Find the remainder when $x^3-1$ is divided by $x-2$.", "7", ["r = 7"]),
    ("What is the total area in terms of $\\pi$?", r"6\pi", [r"6\pi\text{ cm}^2", r"A = 6\pi", "6π"]),
    (r"Compute $\sin 60^\circ$.", r"\frac{\sqrt3}{2}", [r"\sin60^\circ=\frac{\sqrt3}{2}", r"0.5\sqrt3"]),
    ("How many degrees are in the angle?", "45", [r"45^\circ", "45°", r"\angle A=45^\circ"]),
    ("What percent of 80 is 28? Express your answer as a percent.", r"35\%", [r"x = 35\%", r"\frac{28}{80}=35\%"]),
    ("The rate rises to 5 percent. What is it as a decimal?", "0.05", [".05"]),
    ("Express 45% as a common fraction.", r"\frac{9}{20}", [r"45\%=\frac{45}{100}=\frac{9}{20}", r"\tfrac9{20}"]),
    ("Find the domain in interval notation.", r"(-\infty,\infty)", [r"\mathbb{R}", r"x\in\mathbb{R}"]),
    ("Solve $2x+1<=7$.", r"x\le3", [r"(-\infty,3]", "x <= 3", r"3\ge x"]),
    ("On which interval is it decreasing?", "(1,3)", ["1<x<3"]),
    ("Write an expression for the sum of $x$ and $5$.", "x+5", ["5+x"]),
    ("Write an expression for the product of $5$ and the sum of $x$ and 2.", "5(x+2)", ["5x+10", "5(2+x)"]),
    ("Write an expression for the quotient of $x$ and $y$.", r"\frac xy", ["x/y", r"x\div y"]),
    ("If $a$ is added to the product of $b$ and $c$, what is it?", "a+bc", ["cb+a"]),
    ("Find the sum of the roots of $x^2-5x+6$.", "5", ["2+3=5"]),
    (r"Multiply: $(2\times10^{-3})(3\times10^{-4})$.", r"6\times10^{-7}", ["6e-7", "0.0000006"]),
    (r"Simplify $(2\times10^{-3})(3\times10^{-4})$.", "0.0000006", [r"6\times10^{-7}"]),
    (r"Simplify $\frac{9-x^2}{x+3}$.", "3-x", ["-(x-3)", "-x+3"]),
    ("Simplify $x^2+2x$.", "x^2+2x", ["2x+x^2", "x^{2}+2*x"]),
    (r"Expand $(x+\frac12)^2$.", r"x^2+x+\frac14", ["x^2+x+0.25", "x^2+1x+1/4"]),
    (r"Expand $\frac23(x+1)$.", r"\frac23x+\frac23", [r"\frac{2x}{3}+\frac{2}{3}"]),
    ("Write in polar form.", r"2e^{\pi i/3}", [r"2e^{i\pi/3}"]),
    ("How many students are there?", r"12\text{ students}", ["12"]),
    ("Find the roots, in any order.", "1,2", ["2,1"]),
    ("Give the roots in increasing order.", r"\pm3", ["-3,3"]),
    ("Three numbers in increasing order are 1, x and 9. What can x be if it is a cube?", "1,8", ["8,1"]),
    ("If the first two terms are x and 4, find all possible values of x.", "1,8", ["8,1"]),
    ("Find both numbers in order to win.", "1,2", ["2,1"]),
    ("A man in boots walks for hours. How far?", r"12\text{ km}", [r"12000\text{ m}"]),
    ("Find the height.", r"10\sin40^\circ", [r"10\cos50^\circ"]),
    ("Write the circle in standard form.", "(x-1)^2+(y-2)^2=9", ["(y-2)^2+(x-1)^2=3^2"]),
    ("How many miles per hour?", r"60\text{ mph}", [r"60\text{ miles per hour}", r"60\text{ mi/h}"]),
    ("How many square feet is it?", r"12\text{ ft}^2", [r"12\text{ square feet}"]),
    ("How many square centimeters?", "12", ["12 cm²", r"12\text{ sq cm}", r"12\,\mathrm{cm}^2"]),
    ("What is it in degrees Celsius?", "25", [r"25^\circ\text{C}", "25 °C", "25 degrees"]),
    ("What is it in kilometers per hour?", "60", [r"60\text{ km/h}", "60 km/h"]),
    ("How many pounds?", "5", ["5 lb", r"5\text{ lbs}", "£5"]),
    ("How many hours and minutes?", r"2\text{ hours }30\text{ minutes}", [r"150\text{ minutes}"]),
    (
        r"Find the inverse of $\begin{pmatrix}1&2\\3&4\end{pmatrix}$.",
        r"\begin{pmatrix}-2&1\\3/2&-1/2\end{pmatrix}",
        [r"-\frac12\begin{pmatrix}4&-2\\-3&1\end{pmatrix}"],
    ),
    (r"Project it onto $\begin{pmatrix}1\\2\end{pmatrix}$.", "(1,2)", [r"\begin{pmatrix}1\\2\end{pmatrix}"]),
    (r"Write $5^{-2}$ as a fraction.", r"\frac{1}{25}", [r"5^{-2}=\frac{1}{5^2}=\frac{1}{25}"]),
]


@pytest.mark.parametrize(("question", "truth", "right", "wrong"), RIGHT_AND_WRONG)
def test_an_answer_needs_the_notation_that_is_asked_for(
    question: str, truth: str, right: list[str], wrong: list[str]
) -> None:
    assert_judged(question, truth, right, wrong)


@pytest.mark.parametrize(("question", "truth", "right"), NATURAL)
def test_no_form_refuses_a_natural_answer(question: str, truth: str, right: list[str]) -> None:
    task, puzzle = Mathematics("easy"), MathPuzzle(question, truth)
    for answer in (truth, *right):
        assert task.verify(puzzle, boxed(answer)).outcome == "correct", answer


def test_every_measure_of_the_module_is_a_notation() -> None:
    measures = [value for name, value in vars(notations).items() if not name.startswith("_") and callable(value)]
    assert {measure for measure in measures if measure.__module__ == notations.__name__} == NOTATIONS


def test_a_truth_without_a_notation_demands_none_of_an_answer() -> None:
    asked = "Write it in scientific notation, as a percentage, in interval notation and as a ratio in lowest terms."
    for truth, answer in (("0.5", r"50\%"), ("6:8", "9:12"), ("x>3", "3<x"), ("1/2", "0.5")):
        assert has_asked_form(asked, readings(truth), readings(answer))
