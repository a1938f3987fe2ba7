r"""Right and wrong answers by kind: how a value is dressed, named, counted, listed, bounded.

A right answer must be accepted beside its truth, not the truth beside the answer: names and units may be left out of
a truth as well, but words behind a value only of an answer.
"""

from __future__ import annotations

import pytest

from mtgrpo_env.envs.symbolic.grading import grade

M = r"\begin{pmatrix}2&0\\5&-1\end{pmatrix}"
ALL_BUT_6 = r"(-\infty,6)\cup(6,\infty)"
ALL_BUT_6_AND_7 = r"(-\infty,6)\cup(6,7)\cup(7,\infty)"

RIGHT: dict[str, list[tuple[str, str]]] = {
    "dress": [
        *(("128", style % "128") for style in (r"\mathbf{%s}", r"\textbf{%s}", r"{\bf %s}", r"\color{blue}{%s}")),
        *(("128", style % "128") for style in (r"\large %s", "**%s**", r"\(%s\)", r"\text{%s}", r"\fbox{$%s$}")),
        (r"\frac{2}{9}", r"\frac{\mathbf{2}}{9}"),
        (r"\text{Oslo}", r"\mathbf{Oslo}"),
        ("128", r"\mathbf{128}\text{ cm}"),
        ("60", r"\fbox{$60 \text{ km/h}$}"),
        (r"\text{(C)}", r"\textbf{(C)}"),
        ("C", r"\text{C}"),
        ("xyz", r"\mathrm{xyz}"),
    ],
    "thousands": [
        *(("48250", text) for text in (r"48\,250", r"48\ 250", "48~250", "48 250", "48\u202f250", r"48,\! 250")),
        *(("7048250", text) for text in ("7 048 250", r"7,\! 048,\! 250", r"7\text{,}048\text{,}250")),
        (r"48\,251", "48251"),
        ("1234.5", "1 234.5"),
        ("3.25", "3,25"),
        ("3.25", "3{,}25"),
        ("0.111", "0,111"),
    ],
    "numbers": [
        (r"\frac12", "½"),
        ("3.5", "3½"),
        ("1/2", "1⁄2"),
        ("-7", "–7"),
        ("10^{-5}", "10⁻⁵"),
        ("250000", "2.5e5"),
        ("2.5e-3", "0.0025"),
        (r"\frac{3}{7}", r"{3 \over 7}"),
        (r"\binom{10}{3}", r"{10 \choose 3}"),
        (r"\frac{9!}{2!3!}", "30240"),
        (r"1011_2", r"1011_{\text{two}}"),
        (r"\lfloor 7.5 \rfloor", "7"),
    ],
    "per cent": [
        (r"16\frac23\%", r"\frac{50}{3}\%"),
        (r"37.5\%", r"37\frac12\%"),
        ("0.375", r"37\frac12\%"),
        ("40", r"40\text{\%}"),
        (r"28\%", "28 pct"),
        (r"28\%", r"28\text{ per cent}"),
        (r"-3\%", "-3"),
    ],
    "units": [
        ("8", r"8\text{ cm}^2"),
        ("8", "8 m"),
        ("60", "60 km/h"),
        ("7", r"7\frac{\text{km}}{\text{h}}"),
        ("7", r"7\,\mathrm{m}\cdot\mathrm{s}^{-1}"),
        (r"100 \text{ meters}", "100 m"),
        (r"20\pi\text{ cm}", r"20\pi"),
        (r"8\text{ hours}", r"480\text{ minutes}"),
        (r"\$5", r"500\text{ cents}"),
        (r"\$5", "USD 5"),
        ("5", "€5"),
        ("5000000", r"\$5\text{ million}"),
        (r"8\text{ million}", "8000000"),
        ("24", "2 dozen"),
        ("7", "7 apples"),
        (r"12\text{ widgets}", "12"),
        (r"8\text{ km north}", r"8\text{ km north}"),
        ("90", "90^o"),
        (r"20^\circ\text{C}", r"20\,^\circ C"),
    ],
    "matrices": [
        *((M, text) for text in (M.replace("pmatrix", name) for name in ("bmatrix", "matrix", "smallmatrix"))),
        (M, r"\left[\begin{array}{rr}2&0\\5&-1\end{array}\right]"),
        (M, rf"A=\displaystyle {M}."),
        (M, M.replace(r"\\", r"\\[4pt]")),
        (r"\begin{pmatrix}1&2\end{pmatrix}", r"\frac12\begin{pmatrix}2&4\end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\langle 1,2\rangle"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\vec{v}=(1,2)"),
        ("-2", r"\begin{vmatrix}1&2\\3&4\end{vmatrix} = -2"),
    ],
    "names": [
        *(("7", text) for text in ("=7", "AB = 7", "P(X)=7", "f(2)=7", r"\angle ABC=7^\circ", "|AB|=7", "x+y=7")),
        *(("7", text) for text in (r"\overline{AB}=7", r"m\angle A = 7", r"\text{Area}=7\text{ cm}^2", r"x\approx7")),
        *(("7", text) for text in ("x = 3+4 = 7", "3+4=7", r"\therefore x=7", r"x=\frac{14}{2}=7")),
        ("2x", "f'(x)=2x"),
        ("2x+1", "f^{-1}(x)=2x+1"),
        (r"\frac{NO}{BO}=\frac{1}{\sqrt6}", r"\frac{1}{\sqrt6}"),
        ("|AB|=1", "1"),
        ("ab+ac", "k = ab+ac"),
        (r"\frac13", r"x=\frac13\approx0.33"),
        (r"W(n)=1\text{ and }W(n)=-1", "1,-1"),
    ],
    "systems": [
        *(("(4,-9)", text) for text in ("(x,y)=(4,-9)", "x=4, y=-9", "y=-9, x=4", "(y,x)=(-9,4)", r"x=4\\y=-9")),
        ("(4,-9)", r"\begin{cases}x=4\\y=-9\end{cases}"),
        ("(4,-9)", r"\begin{aligned}x&=4\\y&=-9\end{aligned}"),
        ("x=4,y=-9", "(4,-9)"),
        (r"(3,\frac{\pi}{4})", r"(r,\theta)=\left(3,\frac{\pi}{4}\right)"),
        ("4,-9", r"x_{1}=-9,\quad x_{2}=4"),
        ("p=5,q=2;p=7,q=2", "(7,2),(5,2)"),
        ("(5,2),(7,2)", "(p,q)=(5,2),(7,2)"),
        ("(1,2),(2,1)", r"x=1,y=2 \text{ or } x=2,y=1"),
        ("(4,-9)", "P(4,-9)"),
        ("(5,8),(8,5)", r"(x, y) = (5, 8) \quad \text{and} \quad (8, 5)"),
    ],
    "sets": [
        (r"(-\infty,\infty)", r"\mathbb{R}"),
        (r"\mathbb{R}", r"\text{all real numbers}"),
        *((ALL_BUT_6, text) for text in (r"x\neq 6", "6 != x", r"x\not=6", r"\mathbb{R}\setminus\{6\}")),
        *((ALL_BUT_6_AND_7, text) for text in (r"x\ne6, x\ne7", r"x\ne7\land x\ne6", r"\mathbb{R}\setminus\{7,6\}")),
        (r"(2,3)\cup(3,4)", r"(2,4)\setminus\{3\}"),
        *(("[2,5]", text) for text in (r"x\ge 2\text{ and }x\le 5", r"x\ge2, x\le5", r"x\in[2,5]", r"5\ge x\ge2")),
        *((r"(3,\infty)", text) for text in (r"\{x\mid x>3\}", r"\{x\in\mathbb{R}: x>3\}", r"3\lt x")),
        ("(0,1)", "0<f(x)<1"),
        ("1,2", r"x=1\lor x=2"),
        (r"\pm1\pm i", "1+i,1-i,-1+i,-1-i"),
    ],
    "ratios": [
        *(("3:4", text) for text in ("3 : 4", r"3\colon 4", "3{:}4", r"\frac34", "6:8", r"3\text{ to }4")),
        ("11:21", "V_{1}:V_{2}=11:21"),
        ("S_{MBCN}:S=7:32", "7:32"),
        ("12:30", "12:30"),
        (r"\text{3:45 p.m.}", r"3:45\text{ PM}"),
    ],
    "equations": [
        ("x^2+y^2=4", "2x^2+2y^2=8"),
        ("x^2+y^2=4", "x^2+y^2-4=0"),
        ("x+y=1", "y=1-x"),
        ("x-y=2", "y=x-2"),
    ],
    "plain text": [
        ("60 km/h", r"60\text{ km/h}"),
        ("60 km/h", "60"),
        ("5 m", r"5\text{ m}"),
        ("9.8 m/s^2", "9.8"),
        ("2.5 x 10^{-3}", "0.0025"),
        ("[1,2] U [3,4]", r"[1,2]\cup[3,4]"),
        ("x in (1,2)", "1<x<2"),
        (r"\frac{\pi}{3}", r"60^\circ"),
        (r"\emptyset", r"\text{no solution}"),
    ],
    "words": [
        (r"\text{no solution}", "no solution"),
        (r"\text{odd}", "odd"),
        (r"\text{Monday}, \text{Friday}", r"\text{Friday and Monday}"),
    ],
}
WRONG: dict[str, list[tuple[str, str]]] = {
    "hedges": [
        *(("7", text) for text in ("7 or 8", "7,7", "7;8", r"7\\8", "x=7=8", "8=7", r"\pm7", "7 of course", "not 7")),
        *(("7", text) for text in (r"x\ne 7", "x<=7", "7<8", r"\begin{cases}7\\8\end{cases}", r"\{7\}\cup\{8\}")),
        *(("7", text) for text in ("2x=7", "x^2=7", "|x|=7", "-x=7", "x^{-1}=7", "not x = 7", r"8\approx 7")),
    ],
    "numbers": [
        *(("12", text) for text in ("1 2", "1,2")),
        *(("48250", text) for text in ("48 25 0", "482 50", r"48\,25")),
        ("1,2", "12"),
        ("1,2", "1.2"),
        ("1,000", "1.000"),
        ("2.5", "(2,5)"),
        ("1e17", "e+17"),
        ("1e-5", "e-5"),
        ("2e-3", "2e - 3"),
        (r"16\frac34\%", r"12\%"),
        ("0.5", r"5\%"),
        (r"3\frac12", r"3\cdot\frac12"),
    ],
    "units and words": [
        *(("8", rf"8\text{{ {word}}}") for word in ("million", "squared", "halves", "is wrong", "minus three", "less")),
        (r"8\text{ p.m.}", r"8\text{ a.m.}"),
        (r"8\text{ km north}", r"8\text{ km south}"),
        (r"8\text{ dollars profit}", r"8\text{ dollars loss}"),
        (r"8\text{ hours}", r"8\text{ minutes}"),
        (r"5\text{ cm}", r"5\text{ cm}^2"),
        (r"20\pi\text{ cm}", r"20\pi\text{ cm}^2"),
        (r"2x\text{ cm}", r"2x\text{ kg}"),
        (r"5\text{ cm}", r"x=5\text{ kg}"),
        (r"\$5", r"5\text{ cents}"),
        (r"20^\circ\text{C}", r"20^\circ\text{F}"),
        (r"25\%", r"25\text{ cm}"),
        (r"90^\circ", r"90\%"),
        ("x^3", r"x^3\text{ plus a constant}"),
        ("x^2", r"x^{2\text{ cm}}"),
        ("60", r"1\text{ hour}"),
    ],
    "matrices": [
        (M, r"\begin{vmatrix}2&0\\5&-1\end{vmatrix}"),
        ("-2", M),
        (M, r"\begin{pmatrix}2&5\\0&-1\end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "1,2"),
    ],
    "equations": [(r"\sin x=1", "1"), ("x^2+y^2=4", "x^2+y^2=5"), ("1,000", r"\{1,0\}")],
    "names": [
        *((text, "7") for text in ("x+y=7", "xy=7", "x-y=7", r"\frac{x}{y}=7")),
        ("x=5", "y=5"),
        ("f'(x)", "f(x)"),
        (r"\overline{AB}", "AB"),
        ("x", "X"),
        ("9", "x = 3^2 + 1 = 9"),
    ],
    "systems": [
        *(("(1,2)", text) for text in ("(2,1)", "x=2,y=1", "(y,x)=(1,2)", r"\{1,2\}", "1,2")),
        *(("x=4,y=-9", text) for text in ("x=-9,y=4", "-9,4", "(-9,4)", "x=4", r"\{4,-9\}")),
        ("4,-9", "x_1=4,x_2=9"),
        ("(1,2),(2,1)", "1,2,2,1"),
    ],
    "sets": [
        *((ALL_BUT_6, text) for text in ("x=6", r"\mathbb{R}", r"x\ne -6", r"\{6\}", "6")),
        (r"(-\infty,6)\cup[6,\infty)", r"x\ne 6"),
        ("[2,5]", r"x\ge 2\text{ or }x\le 5"),
        ("[2,5]", r"x\ge 5\text{ and }x\le 2"),
        ("[2,5]", "2<x<5"),
        (r"(-\infty,1)\cup(2,\infty)", r"x<1\text{ and }x>2"),
        (r"x<-3\text{ or }x>3", r"x<-3\land x>3"),
        (r"x\neq\pm1", r"x\neq1\text{ or }x\neq-1"),
        ("(0,1)", r"7\in(0,1)"),
        ("(0,1)", "0<-x<1"),
        ("(0,1)", "x+y>0, x<1"),
        ("(0,3)", r"\{x\in\mathbb{Z}: 0<x<3\}"),
        ("5", r"\{x\mid 5\}"),
        (r"\pm1\pm i", "1+i,-1-i"),
    ],
    "ratios": [
        ("3:4", "4:3"),
        ("3:5", "0:0"),
        (r"\frac35", "0:0"),
        ("3:30", "1:10"),
        ("3:30", "7:60"),
        ("3:4", "34"),
        (r"\sqrt2:3", r"\frac10:3"),
    ],
    "words": [
        (r"\text{Tuesday}", r"\text{not Tuesday}"),
        (r"\text{A and B}", r"\text{A or B}"),
        (r"\text{Line A}", "A"),
        (r"\text{yes}", "no"),
    ],
}


@pytest.mark.parametrize(("truth", "answer"), [pair for pairs in RIGHT.values() for pair in pairs])
def test_right_answers_are_accepted_in_every_form(truth: str, answer: str) -> None:
    assert grade(truth, truth)
    assert grade(truth, answer, worked_out=True)


@pytest.mark.parametrize(("truth", "answer"), [pair for pairs in WRONG.values() for pair in pairs])
def test_wrong_answers_are_refused_in_every_form(truth: str, answer: str) -> None:
    assert not grade(truth, answer)


@pytest.mark.parametrize(
    ("truth", "answer", "is_right"),
    [
        (r"\frac13", "0.333", True),
        (r"\frac13", "0.33", False),
        (r"\frac13", "0.334", False),
        (r"\sqrt{17}", "4.123", True),
        (r"(\frac35,\frac83]", "(0.6,2.67]", True),
        (r"(\frac35,\frac83]", "(0.6,2.7]", False),
        (r"-\pi", "-3.1416", True),
        (r"x\pi", "3.142", False),
        ("1000", "1000.4", False),
    ],
)
def test_a_rounded_answer_is_right_where_digits_are_given(truth: str, answer: str, is_right: bool) -> None:
    assert grade(truth, answer, digits=3) == is_right
    assert not grade(truth, answer)
