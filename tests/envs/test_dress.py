"""Presentation is taken off a text, and nothing that means something."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtgrpo_env.envs.dress import undressed


def _lines(text: str) -> list[str]:
    return text.strip("\n").split("\n")


MATHS_DRESSES = _lines(r"""
\mathbf{%s}
\boldsymbol{%s}
\mathit{%s}
\mathsf {%s}
\mathtt{%s}
\bm{%s}
\underline{%s}
\textcolor{blue}{%s}
\textcolor[rgb]{0,0,1}{%s}
\color{blue}{%s}
\colorbox{red}{%s}
\fcolorbox{red}{white}{%s}
{\bf %s}
\bf{%s}
{\Large %s}
\boxed{%s}
\mathbf %s
$\mathbf{%s}$
**\mathbf{%s}**
\mathbf{%s.}
""")
TEXT_DRESSES = _lines(r"""
\text{%s}
\textbf{%s}
\textit{%s}
\mathrm{%s}
\emph{%s}
\mbox{%s}
\fbox{%s}
\textbf{\textit{%s}}
\text{\textbf{%s}}
\operatorname{%s}
$\textbf{%s.}$
\textrm %s
\text{\Large\bf %s}
\textsc{{%s}}
\text{**%s**}
\displaystyle\text{%s}.
""")
PLAIN_DRESSES = _lines(r"""
%s
$%s$
$$%s$$
\(%s\)
\[%s\]
\bf %s
\large %s
\color{red} %s
**%s**
*%s*
***%s***
__%s__
_%s_
`%s`
**%s.**
**%s**.
%s.
%s,
%s;
%s:
%s .
%s\,.
%s\\
%s\text{.}
<b>%s</b>
<strong><em>%s</em></strong>
<span style="color:red">%s</span>
$\displaystyle %s$.
\begin{equation*} %s \end{equation*}
""")
VALUES = ["128", "3.5", "Oslo", "C"]

SAME = _lines(r"""
2**3
2 ** 3
x**2**3
2*3*4
2 * 3 * 4
2 *3* 4
(a)*(b)*(c)
f(x)*g(x)*h(x)
\pi*2*e
* 5
**
____
a b
a_b
a_1_2
x_1+y_1
\sum _5 x_5
{}_2F_1
{}^{235}_{92}\text{U}
self.__init__
5!
(5!)
?
x'
-5
9.5
.5
5%
\$5
1\,000
1~000
0.333...
1, 2, ...
1<b>0
\{1, 2\}
\left( 1, 2 \right)
\left\{ x \right.
\frac{2}{9}
\sqrt[3]{2}
\overline{AB}
\mathbb{R}
\text{a and b}
\text{m/s^2}
\text{5\%}
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}
""")
OTHER = [
    (r"\frac{\mathbf{2}}{9}", r"\frac{2}{9}"),
    (r"\frac{\textbf{2}}{\color{red}9}", r"\frac{\text{2}}{9}"),
    (r"\mathbf{\frac{2}{9}}", r"{\frac{2}{9}}"),
    (r"\textbf{$\frac{2}{9}$}", r"{\frac{2}{9}}"),
    (r"\mathrm{2^{n}}", r"{2^{n}}"),
    (r"\mathrm{m/s^{2}}", r"\text{m/s^2}"),
    (r"\mathbf{128}\text{ cm}", r"{128}\text{ cm}"),
    (r"**128**\text{ cm}.", r"128\text{ cm}"),
    (r"**128** cm", "128 cm"),
    (r"\mathbf7", "{7}"),
    (r"\mathbf\pi", r"\pi"),
    (r"\pi\bf x", r"\pi x"),
    (r"\pi$x$", r"\pi x"),
    ("$1$$2$", "1 2"),
    ("$5", r"\$5"),
    ("5 $", r"5 \$"),
    ("H$_2$O", "H_2O"),
    ("The answer is **5**.", "The answer is 5"),
    ("**C**. `iron`", "C. iron"),
    ("**x** = *5*", "x = 5"),
    ("(**3**, **5**)", "(3, 5)"),
    (r"\text{so \textbf{big} it is}", r"\text{so big it is}"),
    (r"\text{about \textbf{x} is \frac{1}{2}}", r"{about \text{x} is \frac{1}{2}}"),
    ("**5**!", "5!"),
    ("𝟏𝟐𝟖", "128"),
    ("𝐎𝐬𝐥𝐨 𝛑", "Oslo π"),
    (r"\scalebox{2}{5}", "{5}"),
    (r"\begin{aligned} x = 5 \end{aligned}", "x = 5"),
    (r"\bold{5}\strut", "{5}"),
    (r"1\mathord{,}000", "1{,}000"),
    ("<p>5</p>", "5"),
    (r"\underline{\mathbf{\textcolor{red}{5}}}", "{5}"),
    (r"2^{\mathbf{3}}", "2^{3}"),
    (r"{{1}+{2}}", "{{1}+{2}}"),
    ("{{{{5}}}}", "{5}"),
    ("{{{{{5}}}}}", "{{{{{5}}}}}"),
    (r"\bbox[yellow]{5}", "{5}"),
    ("~~5~~", r"\sout{5}"),
    ("5, not ~~6~~", r"5, not \sout{6}"),
    ("x=1,~~y=2,~~z=3", "x=1,~~y=2,~~z=3"),
    (r"\mathcolor{red}{5}", "{5}"),
    (r"\mathop{5}", "{5}"),
    (r"\num{5}\,\si{cm}", r"{5}\,\text{cm}"),
    ("5\\", "5"),  # a blank behind it was stripped
    (r"x^\mathbf{2}", "x^{2}"),
    (r"\left(\mathbf{1}, \textbf{2}\right).", r"\left({1}, \text{2}\right)"),
    (r"\text{Oslo} \textbf{ or } \mathit{Bergen}", r"\text{Oslo} \text{ or } {Bergen}"),
    (r"\mathbf{x} \boldsymbol{=} \mathbf{5}", "{x} {=} {5}"),
    (r"\sqrt{\mathbf{2}}\,\textbf{cm}", r"\sqrt{2}\,\text{cm}"),
    (r"\mathrm{6.02 \times 10^{23}}", r"{6.02 \times 10^{23}}"),
    (r"\operatorname*{lcm}", r"\text{lcm}"),
]


@pytest.mark.parametrize("value", VALUES)
def test_a_word_and_a_number_lose_every_dress(value):
    assert {undressed(dress % value) for dress in PLAIN_DRESSES} == {value}
    assert {undressed(dress % value) for dress in MATHS_DRESSES} == {f"{{{value}}}"}
    assert {undressed(dress % value) for dress in TEXT_DRESSES} == {rf"\text{{{value}}}"}


@pytest.mark.parametrize("text", SAME)
def test_what_means_something_stays(text):
    assert undressed(text) == text


@pytest.mark.parametrize(("text", "bare"), OTHER)
def test_dress_comes_off_inside_and_beside_mathematics(text, bare):
    assert undressed(text) == bare


PIECES = ["\\", *"$*_`{}[].,;:!12xbi<>/~( \n", "**", "$", "ab"]
PIECES += [r"\pi", r"\frac", r"\text{", r"\,", r"\mathbf{", r"\textbf{", r"\mathbf ", r"\bf ", r"\color{red}", r"\left"]
PIECES += [r"\(", r"\$", r"\\", "<b>", "</b>", "^{", "_{"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@given(TEXTS | st.text(max_size=20))
def test_to_undress_twice_is_to_undress_once(text):
    bare = undressed(text)
    assert undressed(bare) == bare


@given(st.lists(st.sampled_from([piece for piece in PIECES if piece not in ("\\", r"\(", "</b>")])).map("".join))
def test_no_digit_bracket_or_sign_is_lost_or_made(text):
    kept = "12()!/"
    assert [c for c in undressed(text) if c in kept] == [c for c in text if c in kept]


@given(
    st.lists(st.sampled_from(["2", "x", "10", ")"]), min_size=2, max_size=6),
    st.sampled_from(["*", "**", " * ", " ** ", "_", " *"]),
)
def test_products_and_powers_stay(factors, sign):
    text = sign.join(factors)
    assert undressed(text) == text


HOSTILE = _lines(r"""
\
\mathbf{
\textbf \textbf
\textbf a
\text{
\text{\frac
{{
{{}}
\bf
\left
\color
\color{
\color[
$
$a
1$
**
*
*
*a
 *a*
_
`
<b>
</b>
<b
{
}
}.
.
a.
""")


def test_a_text_longer_than_any_answer_is_left_as_it_is():
    text = "**7** " * 20_000
    assert undressed(text) == text


@pytest.mark.parametrize("piece", [*HOSTILE, *(piece + " " for piece in HOSTILE), " "])
def test_hostile_texts_take_linear_time(piece):
    start = time.process_time()
    undressed(piece * (100_000 // len(piece)))
    assert time.process_time() - start < 5.0
