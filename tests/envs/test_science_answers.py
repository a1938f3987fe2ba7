"""Which option an answer chooses, however it is typeset; and what chooses none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.science import Science, SciencePuzzle
from mtgrpo_env.envs.science_answers import bare_letter, chosen_letter
from mtgrpo_env.envs.science_typesetting import plain, squeezed


def _lines(text: str) -> list[str]:
    return text.strip("\n").split("\n")


ENERGIES = ("250 N", "1.2 × 10^6 J", "4.5 × 10^7 J", "3.6 m/s")
LETTERS = _lines(r"""
C
c
(C)
[C]
{C}
<C>
"C"
“C”
\{C\}
\left( C \right)
C.
C)
C:
C -
(C).
(C):
~C~
$C$
\(C\)
$\mathbf{C}$
\text{C}
\text{(C)}
\text{C.}
\textbf{C}
\textbf{(C)}
\textbf{\textit{C}}
\mathrm{C}
\mathsf{C}
\mathcal{C}
\mathbb{C}
\mathbf C
\boldsymbol{C}
\underline{C}
\fbox{C}
\boxed{C}
\textcolor{red}{C}
\color{red}C
{\bf C}
\Large C
\displaystyle C
**C**
**C.**
**(C)**
*C*
__C__
`C`
<b>C</b>
\text{Option C}
Option C
option (c)
Option: C
Choice C.
Answer: C
**Answer:** C
**Answer: C**
The answer is C.
the correct answer is (C)
The correct option is C
Answer: Option C
\text{Answer: }C
\textbf{Option } \mathbf{C}
""")
TEXTS = _lines(r"""
4.5 × 10^7 J
4.5 x 10^7 J
4.5·10^7 J
4.5*10^7 J
4.5 * 10**7 J
4.5×10⁷ J
4.5e7 J
4.5E+7 J
4.5 \times 10^7 J
4.5 \times 10^7\text{ J}
4.5 \times 10^{7} \text{ J}
4.5\times10^{7}\,\mathrm{J}
4.5 \cdot 10^7~\text{J}
$4.5 \times 10^7$ J
$4.5 \times 10^7\ \text{J}$.
\mathbf{4.5 \times 10^7\,J}
**4.5 × 10^7 J**
\text{4.5 × 10^7 J}
4.5 \times \mathbf{10}^{7} \textit{ J}
4.5 × 10<sup>7</sup> J
4.5 × 10\textsuperscript{7} J
""")
LABELS = [
    "%s",
    "C. %s",
    "C) %s",
    "C: %s",
    "C - %s",
    "C – %s",
    "(C) %s",
    "(C). %s",
    "[C] %s",
    "C %s",
    "C.%s",
    "C)%s",
    "(C)%s",
]
LABELS += [
    r"\text{C. } %s",
    r"\textbf{(C)}\ %s",
    r"\textbf{C.}~%s",
    "**C** %s",
    "**C.** %s",
    "**C. %s**",
    r"\mathbf{C}: %s",
]
LABELS += [
    "Option C: %s",
    "Answer: C. %s",
    "The answer is (C) %s",
    "Answer: %s",
    r"\text{C}\quad %s",
    "C:\n%s",
    "%s (C)",
]
WRONG = _lines(r"""
A
B
D
E
(D)
\textbf{B}
**A**
1.2 \times 10^6 \text{ J}
3.6\,\text{m/s}
C. 1.2 \times 10^6 J
C: 3.6 m/s
(C) 250 N
**C** 250 N
B. 4.5 \times 10^7 J
D) 4.5 × 10^7 J
E. 4.5 × 10^7 J
4.5 × 10^7 J (B)
1.2 × 10^6 J (C)
C. 4.5 × 10^6 J
C. 4.5 × 10^{70} J
C. 4.5 × 10^7 W
C. 4.5 × 10^7
C. 45 × 10^7 J
C. 4.5 × 107 J
4.5 × 10^{-7} J
-4.5 × 10^7 J
4.5 × 10^7
4.5 + 10^7 J
C or D
C and D
C, D
C/D
CD
C D
C. D
C: D
(C)(D)
(C) (D)
C) or D)
A-C
C-D
C → D
C+D
not C
\neg C
\text{not C}
Not C.
C?
C!
C'
\overline{C}
\cancel{C}
\sout{C}
~~C~~
(C
C]
(C]
((C))
°C
\hat{C}
C^2
C_1
2C
Cat
Option C or D
Option A, not C
Any but C
None
\text{C is wrong}
С
Ｃ
1
3
4.5 × 10^7 J or 1.2 × 10^6 J
C. 4.5 × 10^7 J D. 3.6 m/s
1.2 × 10^6 J. C
""")


@pytest.mark.parametrize("answer", LETTERS)
def test_a_letter_counts_alone_in_any_dress(answer: str) -> None:
    assert chosen_letter(answer, ENERGIES) == bare_letter(answer) == "C"
    assert Science("easy").verify(SciencePuzzle("?", ENERGIES, "C"), boxed(answer)).outcome == "correct"
    assert Science("easy").verify(SciencePuzzle("?", ENERGIES, "B"), boxed(answer)).outcome == "wrong"


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_counts_alone_and_beside_its_letter_however_it_is_typeset(text: str) -> None:
    for label in LABELS:
        if text[0] + label[0] == "**":
            continue  # bold in bold is no Markdown
        assert chosen_letter(label % text, ENERGIES) == "C", label
        if "C" in label:
            assert chosen_letter(label.replace("C", "B") % text, ENERGIES) is None, label


@pytest.mark.parametrize("answer", WRONG)
def test_what_chooses_another_option_or_several_or_none_is_wrong(answer: str) -> None:
    assert chosen_letter(answer, ENERGIES) != "C"


SAME = [
    block.split("\n")
    for block in r"""
H2O
H_2O
H₂O
\mathrm{H_2O}
\text{H}_2\text{O}
H$_2$O
\ce{H2O}
H<sub>2</sub>O
\mathrm{H_{2}O}

SO4^2-
SO₄²⁻
\mathrm{SO_4^{2-}}
\text{SO}_4^{2-}
\ce{SO4^2-}
SO_{4}^{2-}
SO4<sup>2-</sup>

Ca2+
Ca²⁺
\text{Ca}^{2+}
Ca^{2+}
Ca^2+

Na+
Na⁺
Na^+
\mathrm{Na}^+
\text{Na}^{+}

25 °C
25°C
25 ℃
25^\circ\text{C}
25\,^{\circ}\mathrm{C}
25\ ^\circ C
25~\degree\text{C}
25^{\circ}C

12 m/s
12\,\text{m/s}
12 \frac{\text{m}}{\text{s}}
12\ \mathrm{m\,s^{-1}}
12 m·s⁻¹
12 m s^-1
12\,\mathrm{m}/\mathrm{s}

9.8 m/s²
9.8 m/s^2
9.8\,\text{m/s}^2
9.8~\mathrm{m/s^{2}}
9.8\ \text{m}\cdot\text{s}^{-2}
9.8\frac{m}{s^2}

5 kg·m/s
5 kg m/s
5\,\text{kg}\cdot\text{m/s}
5~\mathrm{kg\,m/s}
5 kg*m/s
5 \frac{kg \cdot m}{s}

50 Ω
50 Ω
50\,\Omega
50\ \text{\Omega}
$50~\Omega$
50\,\mathrm{\Omega}

3 μm
3 µm
3\,\mu m
3~\mu\text{m}
3\,\mathrm{\mu m}

2 m³
2 m^3
2\,\text{m}^3
2~\mathrm{m^{3}}
2\ m\textsuperscript{3}

12,300 N
12300 N
12{,}300\text{ N}
12\,300\ \text{N}

5'-ATG-3'
5′-ATG-3′
5'\text{-ATG-}3'
5^{\prime}-ATG-3^{\prime}
5’–ATG–3’

Aa × aa
Aa \times aa
\text{Aa} \times \text{aa}

A → B + C
A \rightarrow B + C
\text{A} \to \text{B + C}

25%
25\%
25 \%
\text{25\%}

1/2
\frac{1}{2}
\frac12
½
\dfrac{1}{2}
\frac{\mathbf{1}}{2}

Photosynthesis
photosynthesis
\text{photosynthesis}
**photosynthesis**
\textit{Photosynthesis}.
"photosynthesis"

sodium chloride
\text{sodium chloride}
\text{sodium} \text{ chloride}
Sodium Chloride

10^-5
10^{-5}
10⁻⁵
1 × 10^-5
1e-5
1\times 10^{-5}

x^{2n}
$x^{2n}$
\mathbf{x}^{2n}
""".strip("\n").split("\n\n")
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: ascii(spellings[0]))
def test_spellings_of_one_text_choose_the_same_option(spellings: list[str]) -> None:
    for text in spellings:
        for answer in spellings:
            for written in (answer, f"B. {answer}", f"(b) {answer}", f"**B** - {answer}"):
                assert chosen_letter(written, ["nothing", text, "all"]) == "B", (text, written)
            assert chosen_letter(f"A. {answer}", ["nothing", text, "all"]) is None


DIFFERENT = _lines(r"""
10^7
107
10^{-7}
10^17
10·7
4.5 mW
4.5 MW
45 mW
x^2
x_2 + 1
2x
-x^2
x^{2n}
x^2n
1/2
12
1,2
1.2
H_2O
H_2O_2
H_3O^+
Na^+
Na^-
Ca^{2+}
Ca^{3+}
25 °C
25 C
25 K
m/s
s/m
m/s^2
\frac{m + 1}{s}
m + \frac{1}{s}
5!
5
\overline{AB}
AB
A → B
B → A
\alpha
\beta
""")


@pytest.mark.parametrize("text", DIFFERENT)
def test_texts_that_mean_different_things_are_told_apart(text: str) -> None:
    place = DIFFERENT.index(text)
    for other in range(0, len(DIFFERENT), 9):
        options = [line for line in DIFFERENT[other : other + 9] if line != text]
        chosen = chosen_letter(text, [text, *options])
        assert chosen == "A", (place, options)
        assert chosen_letter(f"B. {text}", [text, *options]) is None


def test_case_decides_between_options_that_differ_in_nothing_else() -> None:
    watts = ["5 mW", "5 MW", "5 W"]
    assert chosen_letter("5 MW", watts) == chosen_letter(r"5\,\text{MW}", watts) == "B"
    assert chosen_letter(r"A: 5\,\mathrm{mW}", watts) == chosen_letter("A: 5 mw", watts) == "A"
    assert chosen_letter("A: 5 MW", watts) is chosen_letter("5 mw", watts) is chosen_letter("C: 5 mw", watts) is None


def test_a_text_of_two_options_names_neither_and_beside_a_letter_that_one() -> None:
    assert chosen_letter("iron", ["gold", "iron", "Iron.", "iron"]) is None
    assert chosen_letter("B. iron", ["gold", "iron", "zinc", "iron"]) == "B"


def test_options_that_look_like_labels_or_announcements_are_texts_first() -> None:
    assert chosen_letter("Option theory", ["Option theory", "choice theory"]) == "A"
    assert chosen_letter("A proton", ["an electron", "a proton"]) == "B"
    assert chosen_letter("B cell", ["T cell", "C cell", "B cell"]) == "C"
    assert chosen_letter("vitamin C", ["vitamin C", "vitamin B", "none"]) == "A"
    assert chosen_letter("Vitamin (C)", ["vitamin A", "vitamin (C)"]) == "B"
    assert chosen_letter("C-14", ["C-14", "N-14", "14"]) is None  # option C is "14"


PIECES = [
    *"ABCDabc().:- \n^_{}$*/%'\"",
    r"\text{",
    r"\frac",
    r"\times ",
    r"\,",
    "gold",
    "iron",
    "10",
    "²",
    "₂",
    "<sub>",
    "e7",
]


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join) | st.text(max_size=30))
def test_no_text_chooses_two_options_and_none_raises(answer: str) -> None:
    options = ["gold", "iron", "10^7", "B"]
    chosen = chosen_letter(answer, options)
    assert chosen is None or chosen in "ABCD"
    assert chosen_letter(f" {answer}\n", options) == chosen


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join) | st.text(max_size=30))
def test_a_plain_text_holds_no_group_blank_or_dress(text: str) -> None:
    bare = plain(text)
    assert "  " not in bare
    assert bare == bare.strip()
    assert not set(squeezed(bare)) & set(" \n\t_")


@pytest.mark.parametrize(
    "piece", [*PIECES, r"\text{C}", "C. ", "10^{7}", r"\frac{1}{2}", "a·", "/s", "1,000", "Option ", "(C) "]
)
def test_a_long_answer_is_read_in_linear_time(piece: str) -> None:
    start = time.perf_counter()
    for length in (9_999, 1_000_000):
        chosen_letter(piece * (length // len(piece)), ENERGIES)
    assert time.perf_counter() - start < 1.0
