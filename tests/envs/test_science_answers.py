"""Which option an answer chooses, however it is typeset; and what chooses none."""

from __future__ import annotations

import re
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
Ans. C
Final answer: C
\textcircled{C}
\text{Answer: }C
\textbf{Option } \mathbf{C}
Ｃ
Ｃ．
（Ｃ）
Ⓒ
ⓒ
⒞
🄲
C is correct
C is correct.
**C** is correct
(C) is the correct answer.
C is the answer
Option C is right
It is C
It's C.
So the answer is C
Therefore, it is (C).
I choose C
Choose option C
My answer: C
This is \textbf{C}.
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
4.5 \times {10} ^ { 7 } \mathrm{~J}
4.5 x 10^(7) J
\SI{4.5e7}{J}
4.5 × 10\textsuperscript{7} J
""")
LABELS = [*_lines(r"""
%s
C. %s
C) %s
C: %s
C - %s
C – %s
C, %s
C = %s
C → %s
(C) %s
(C). %s
[C] %s
C %s
C.%s
C)%s
(C)%s
C (%s)
%s (C)
%s, C
%s; C
%s: C
%s — C
%s – C
%s (option C)
%s, option C
%s, (C) is correct
It is %s
(C) %s is correct
Ⓒ %s
Ｃ． %s
\text{C. } %s
\text{C}\quad %s
\mathrm{C}\text{: }%s
\textbf{(C)}\ %s
\textbf{C.}~%s
\mathbf{C}: %s
C \Rightarrow %s
C \; (%s)
**C** %s
**C.** %s
**C. %s**
Option C: %s
Answer: %s
Answer: C. %s
The answer is (C) %s
"""), "C:\n%s"]  # fmt: skip
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
C, D
C = D
C (D)
C (1.2 × 10^6 J)
C, 3.6 m/s
C = 3.6 m/s
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
1
C-
$C^-$
C+
~C
$~C$
(~C)
Answer: ~C
∼C
\sim C
¬C
-C
C_2
C_{1}
C^{-}
C is incorrect
C is not correct
C is the wrong answer
It is not C
It is C or D
I choose C and D
C is correct, D too
Option A is wrong, C
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

\frac{\sqrt{3}}{2}
\dfrac{\sqrt3}{2}
\sqrt{3}/2
√3/2

2\pi\sqrt{\frac{L}{g}}
2π√(L/g)
2\pi \sqrt{L/g}

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
\sqrt{3/2}
\sqrt{3}/2
\sqrt{gh}
\sqrt{g}h
\sqrt{23}
\sqrt23
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
    assert chosen_letter(r"A: 5\,\mathrm{mW}", watts) == "A"
    assert chosen_letter("A: 5 MW", watts) is chosen_letter("5 mw", watts) is chosen_letter("C: 5 mw", watts) is None


@pytest.mark.parametrize(
    ("option", "answer", "same"),
    [
        ("5 mW", "5 MW", False),
        ("10 pF", "10 PF", False),
        ("3 MeV", "3 meV", False),
        ("3 MOL", "3 mol", False),
        ("Co", "CO", False),
        ("nm", "NM", False),
        ("kPa", "KPA", False),
        ("NaCl", "NACL", False),
        ("H2O", "h2o", False),
        ("Aa × aa", "AA × AA", False),
        ("tRNA", "TRNA", False),
        ("iron", "IRON", True),
        ("tin", "TIN", True),
        ("DNA", "dna", True),
        ("no", "No", True),
        ("Yes", "yes", True),
        ("vitamin C", "Vitamin c", True),
        ("a plant", "A Plant", True),
        ("The 3 laws of motion", "the 3 laws of Motion", True),
        ("12 Meters", "12 meters", True),
    ],
)
def test_words_may_change_case_and_units_and_formulas_may_not(option: str, answer: str, same: bool) -> None:
    for written in (answer, f"A. {answer}", f"{answer}, A", rf"\text{{{answer}}}"):
        assert (chosen_letter(written, [option, "nothing else"]) == "A") == same, written


def test_a_text_of_two_options_names_neither_and_beside_a_letter_that_one() -> None:
    assert chosen_letter("iron", ["gold", "iron", "Iron.", "iron"]) is None
    assert chosen_letter("B. iron", ["gold", "iron", "zinc", "iron"]) == "B"


def test_letters_of_other_alphabets_are_no_letters_of_options() -> None:
    options = [str(number) for number in range(10)]
    assert chosen_letter("I", options) == chosen_letter("i", options) == "I"
    for letter in ("ı", "İ", "Ι", "І", "ⅰ", "Ⅰ"):
        assert chosen_letter(letter, options) is chosen_letter(f"{letter}. 8", options) is None


@pytest.mark.parametrize(
    "answer", ["B -5 °C", "B - 5 °C", "B-5 °C", "B: -5 °C", "B) $-5$ °C", r"B \; -5\,^\circ\text{C}", "−5 °C, B"]
)
def test_a_minus_sign_belongs_to_the_text_of_an_option(answer: str) -> None:
    assert chosen_letter(answer, ["-5 °C", "5 °C", "5 K"]) is None
    assert chosen_letter(answer.replace("B", "A"), ["-5 °C", "5 °C", "5 K"]) == "A"


def test_a_dash_is_a_mark_where_no_option_begins_with_it() -> None:
    options = ["3 °C", "5 °C", "iron"]
    assert chosen_letter("B -5 °C", options) is None
    assert (
        chosen_letter("B - 5 °C", options)
        == chosen_letter("B — 5 °C", options)
        == chosen_letter("B-5 °C", options)
        == "B"
    )
    assert chosen_letter("C -iron", options) == chosen_letter("C-iron", options) == "C"


@pytest.mark.parametrize("answer", ["A_2", "A_{2}", "A^2", "A₂", "(A)_2", "A _2", r"A\textsubscript{2}", "~A", "A'"])
def test_a_letter_with_an_index_is_not_the_letter_of_an_option(answer: str) -> None:
    assert chosen_letter(answer, ["2", "3"]) is None


@pytest.mark.parametrize("answer", ["A 2", "A, 2", "A = 2", "A - 2", "2, A", "A (2)", "A: 2"])
def test_a_digit_may_be_the_text_of_an_option(answer: str) -> None:
    assert chosen_letter(answer, ["2", "3"]) == "A"
    assert chosen_letter(answer, ["3", "2"]) is None


def test_a_text_may_begin_with_a_letter_of_its_own() -> None:
    assert chosen_letter("A proton, B", ["an electron", "a proton"]) == "B"
    assert chosen_letter("A proton, A", ["an electron", "a proton"]) is None


def test_a_negated_text_is_not_the_text() -> None:
    options = ["P and Q", "P", "~P and Q"]
    assert [chosen_letter(text, options) for text in ("~P and Q", r"\sim P and Q", "P and Q", "P~and~Q")] == [*"CCAA"]
    assert chosen_letter("~P and Q", options[:2]) is None


@pytest.mark.parametrize(
    "answer",
    _lines(r"""
6.02×10^{2}3
6.02×10^2 3
6.02 × 10^{2}{3}
6.02 × 10²3
6.02 × 10^2\,3
6.02 × 10^2\!3
6.02 × 10^(2)3
6.02 × 10<sup>2</sup>3
6.02 × \text{10^2}3
6. 02 × 10^23
6.0 2 × 10^23
6 .02 × 10^23
6.02 × 1 0^23
6.02 × {1}0^23
"""),
)
def test_digits_that_stand_apart_are_no_number(answer: str) -> None:
    assert chosen_letter(answer, ["6.02 × 10^23", "6.02 × 10^22"]) is None
    assert chosen_letter(f"A. {answer}", ["6.02 × 10^23", "6.02 × 10^22"]) is None


def test_thousands_and_mixed_numbers_are_no_other_numbers() -> None:
    assert chosen_letter("1 234 567", ["1,234,567", "1"]) == chosen_letter("1234567", ["1 234 567", "1"]) == "A"
    for text, other in [
        ("1 1/2", "11/2"),
        (r"1\frac{1}{2}", "11/2"),
        ("1½", "11/2"),
        ("1, 234", "1234"),
        ("12 34", "1234"),
    ]:
        assert chosen_letter(text, [other, "0"]) is None, text
    assert chosen_letter(r"1\frac12", ["1 1/2", "11/2"]) == chosen_letter("1½", ["1 1/2", "11/2"]) == "A"


def test_two_letters_choose_nothing_even_if_options_are_letters() -> None:
    for answer in ("A, B", "A; B", "A - B", "B is A"):
        assert chosen_letter(answer, ["B", "A", "AB", "O"]) is None, answer


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
    assert not set(squeezed(bare)) & set("\n\t_")
    assert squeezed(bare).count(" ") == len(re.findall("[0-9.] (?=[0-9.])", squeezed(bare)))


@pytest.mark.parametrize(
    "piece", [*PIECES, r"\text{C}", "C. ", "10^{7}", r"\frac{1}{2}", "a·", "/s", "1,000", "Option ", "(C) "]
)
def test_a_long_answer_is_read_in_linear_time(piece: str) -> None:
    start = time.process_time()
    for length in (9_999, 1_000_000):
        chosen_letter(piece * (length // len(piece)), ENERGIES)
    assert time.process_time() - start < 5.0
