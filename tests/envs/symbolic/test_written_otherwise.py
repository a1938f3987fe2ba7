r"""Notations beside the usual ones that authors and models write, and their near misses, by what they are read as."""

from __future__ import annotations

import pytest

from mtgrpo_env.envs.symbolic.grading import grade

M = r"\begin{pmatrix}2&0\\5&-1\end{pmatrix}"
V = r"\begin{pmatrix}2\\-5\\1\end{pmatrix}"
HALF_OPEN = "(2,5]"
ALL_BUT_6 = r"(-\infty,6)\cup(6,\infty)"

RIGHT: list[tuple[str, list[str]]] = [
    (M, [r"A^2=" + M, r"A^{\top}=" + M, r"\begin{psmallmatrix}2&0\\5&-1\end{psmallmatrix}"]),
    (M, [r"\left[\begin{array}{@{}cc@{}}2&0\\5&-1\end{array}\right]"]),
    (V, [r"2\mathbf{i}-5\mathbf{j}+\mathbf{k}", r"2\hat{i}-5\hat{j}+\hat{k}", r"-5\vec{j}+2\vec{i}+\vec k"]),
    (V, [r"(2,-5,1)^T", r"\begin{bmatrix}2&-5&1\end{bmatrix}^{\top}", "[2,-5,1]", "<2,-5,1>", r"\vec v=<2, -5, 1>"]),
    (V, ["x=2,y=-5,z=1", r"\begin{pmatrix}x\\y\\z\end{pmatrix}=" + V, r"(x,y,z)=(2,-5,1)"]),
    (r"3\mathbf{i}+4\mathbf{j}", ["(3,4)", r"\langle 3,4\rangle", r"\begin{pmatrix}3\\4\end{pmatrix}"]),
    (r"\begin{pmatrix}2\\-5\\0\end{pmatrix}", [r"2\mathbf{i}-5\mathbf{j}"]),
    ("(4,-9)", [r"\left\{\begin{aligned}x&=4,\\y&=-9.\end{aligned}\right."]),
    (
        "(4,-9)",
        [
            r"\begin{cases} x = 4, \\ y = -9. \end{cases}",
        ],
    ),
    (r"(3,\frac{\pi}{4})", [r"\theta=\frac{\pi}{4}, r=3", r"r=3,\theta=45^\circ"]),
    (HALF_OPEN, ["]2,5]", r"\left]2,5\right]", r"x\in ]2;5]"]),
    (r"(-\infty,-2)\cup(2,\infty)", ["|x|>2", r"]-\infty,-2[\cup]2,\infty[", r"(-\infty,-2)\bigcup(2,\infty)"]),
    ("(-2,2)", ["|x|<2", "2>|x|", r"\left|x\right|<2", "]-2,2["]),
    (r"(-\infty,\infty)", ["R", r"x\in R", r"\text{any real number}", r"\mathbf{R}"]),
    (ALL_BUT_6, [r"\text{all real numbers except }6", r"\mathbb{R}\smallsetminus\{6\}", r"R\setminus\{6\}"]),
    (r"\pm3", [r"x_{1,2}=\pm3"]),
    (r"\frac29", [r"P(A|B)=\frac29", r"P(A \mid B) = \frac{2}{9}", r"\Pr(X=1)=2/9", r"\mathbb{P}(X=1)=\frac29"]),
    (r"\frac29", [r"\sfrac{2}{9}", r"\nicefrac29"]),
    ("48250", ["48'250", "48’250", r"\num{48250}"]),
    (r"3\frac12", [r"3{\frac12}", r"3\mathbf{\frac{1}{2}}", r"3{1 \over 2}"]),
    ("8", [r"8\ \mathrm{kg\cdot m/s^2}", r"8\,\Omega", r"\text{Rs. }8", r"8\text{ in total}", r"8\text{ votes}"]),
    (r"\$18.90", [r"US\$18.90", r"US \$18.90"]),
    (r"25^\circ\text{C}", ["25℃"]),
    (r"8\text{ p.m.}", [r"8:00\text{ p.m.}", r"\text{8:00 PM}"]),
    (r"\sqrt{13}", [r"|z|=\sqrt{13}", r"|\vec{a}+2\vec{b}|=\sqrt{13}", r"|\overrightarrow{AB}|=\sqrt{13}"]),
    ("y=2x+3", ["f(x)=2x+3"]),
    ("f(x)=2x+3", ["y=2x+3"]),
    (r"x=\frac{\pi}{6}+2k\pi,k\in\mathbb{Z}", [r"\frac{\pi}{6}+2\pi k", r"x=\frac{\pi}{6}+2k\pi\ (k \in \mathbf{Z})"]),
    ("2516_8", ["(2516)_8", "2516_{(8)}", r"2516\text{ (base 8)}", r"2516\text{ base }8", r"2516_{\text{base }8}"]),
    (r"0.\overline{142857}", [r"0.\dot{1}4285\dot{7}", r"\frac17"]),
    (r"\log_2 3", [r"\frac{\lg 3}{\lg 2}"]),
    (r"\text{Yes}", ["YES", r"\textbf{YES}."]),
    (r"\text{Oslo}", ['"Oslo"', "“Oslo”", r"\text{``Oslo''}", "'oslo'"]),
    ("NO", ["No", "no", r"\text{No}"]),
    ("ASA", [r"\text{ASA}", r"\textbf{ASA}", "asa"]),
    ("xyz", ["zyx"]),
    ("AB", ["BA"]),
    (r"\pm2.5", [r"\pm2,5", "2.5,-2.5", "2,5;-2,5"]),
    (r"\frac{dy}{dx}=2x", ["2x", r"\frac{\mathrm{d}y}{\mathrm{d}x}=2x"]),
    ("2x", [r"\frac{dy}{dx}=2x", r"\frac{d}{dx}x^2=2x", r"\frac{d^2y}{dx^2}=2x", r"\frac{\partial f}{\partial x}=2x"]),
    ("7", [r"\det A=7", r"\det\left(A\right)=7", r"\gcd(14,21)=7", r"\operatorname{Var}(X)=7", r"\varphi(9)=7"]),
    (
        r"9.8\text{ m/s}^2",
        [r"9.8\,\frac{\mathrm{m}}{\mathrm{s}^2}", r"9.8\,\mathrm{\frac{m}{s^2}}", r"9.8\frac{m}{s^{2}}"],
    ),
    (r"(-\infty,-1)\cup(3,\infty)", [r"]-\infty,-1[\,\cup\,]3,+\infty[", r"\mathbb{R}\setminus[-1,3]"]),
    (r"x=\frac{\pi}{4}+k\pi", [r"\frac{\pi}{4}+\pi n, n\in\mathbb{Z}", r"x=\frac{\pi}{4}+\pi m\ (m ∈ ℤ)"]),
    (r"x=\frac{\pi}{4}+k\pi", [r"x=\frac{\pi}{4}+k\pi, \text{ where } k \text{ is an integer}"]),
    ("3:4", ["3∶4"]),
    ("2ab+3cd", ["3cd+2ab", "3dc+2ba"]),
    ("AB+CD", ["CD+AB"]),
    ("pq+rs", ["rs+pq"]),
    ("F=mg", ["F=gm"]),
    (r"mg\sin\theta", [r"mg\sin(\theta)", r"g\sin\theta\cdot m"]),
    ("5", [r"x=5 cm", "5 km/hr", "AB=5 cm", "2 km + 3 km = 5 km"]),
    ("x+y<3", ["y<3-x", "2x+2y<6"]),
    (r"x^2+y^2\le4", [r"x^2+y^2-4\le0"]),
    (r"\text{Alice and Bob}", ["Alice and Bob", "Bob, Alice"]),
    ("Tom", ["tom", r"\text{Tom}"]),
]
WRONG: list[tuple[str, list[str]]] = [
    (M, [r"2A=" + M, r"A^2\ne" + M, r"\begin{pmatrix}2&5\\0&-1\end{pmatrix}^3"]),
    ("4", ["A^2=4"]),
    (V, [r"2\mathbf{i}-5\mathbf{j}", r"\mathbf{i}-5\mathbf{j}+2\mathbf{k}", "2-5+1", "(1,-5,2)^T", "2i-5j+k+1"]),
    (V, ["x=2,z=-5,y=1", r"\begin{pmatrix}z\\y\\x\end{pmatrix}=" + V, "<2,-5>", r"\{2,-5,1\}", "2i-5i+k"]),
    ("(2,-5)", ["2-5i"]),
    (r"(3,\frac{\pi}{4})", [r"\theta=3,r=\frac{\pi}{4}"]),
    (HALF_OPEN, ["[2,5[", "]2,5[", "]5,2]", "]2,5)", "[2,5]"]),
    ("(-2,2)", ["|x|>2", r"|x|\le2", "|x|<-2", "|x|<2 or x>5", "|x-2|<2"]),
    (r"(-\infty,-2)\cup(2,\infty)", ["|x|<2", r"|x|\ge2", "|x|>-2"]),
    (ALL_BUT_6, [r"\text{all real numbers except }7", r"\text{all real numbers}", r"\mathbb{R}\setminus6,7"]),
    (r"\frac29", ["P(A|B)=2/9, P(B)=1/3", r"1-P(A|B)=\frac29", "P(2|9)"]),
    (r"\sqrt{13}", [r"|x|=\sqrt{13}", r"|a+b|=\sqrt{13}", r"|z-1|=\sqrt{13}"]),
    ("y=2x+3", ["f(y)=2x+3", "x=2x+3", "f(x)=3x+2"]),
    (r"x=\frac{\pi}{6}+2k\pi,k\in\mathbb{Z}", [r"\frac{\pi}{6}+k\pi, k\in\mathbb{Z}", r"\frac{\pi}{6}"]),
    ("12:30", ["2:5", "4:10"]),
    (r"\$1,234", [r"1,234\text{ cents}"]),
    (r"\$1,234.50", [r"1,234.50\text{ cents}", "1,234.5,0"]),
    (r"\text{No}", ["ON", "N O"]),
    ("375", ["0,375", r"0{,}375", "00,375"]),
    (r"\frac32", [r"3{\frac12}", r"3\mathbf{\frac{1}{2}}", r"3{1\over2}"]),
    ("48250", ["48'25", "4'8250", "48''250"]),
    (r"8\text{ p.m.}", [r"8:00\text{ a.m.}", r"8:30\text{ p.m.}", "8:00"]),
    ("128", ["~~128~~", r"\sout{128}", "128 ~~or 129~~"]),
    (r"\text{Oslo}", ["~~Oslo~~", '"Oslo" or "Rome"', 'not "Oslo"']),
    ("NO", ["ON", "YES"]),
    ("ASA", ["AAS", "SAA", r"\text{AAS}"]),
    ("IX", ["XI", r"\text{XI}"]),
    (r"\pm2", ["2,-2,0", "-2,0,2", "2,5,-2,5"]),
    ("2ab+3cd", ["2ab+3", "2ab", "3cd"]),
    ("x^2+3mm", ["x^2+3"]),
    ("x+y<3", ["x+y>3", r"x+y\le3", "2x+2y<3"]),
    ("a=3,b=4", [r"a=3\text{ or }b=4", r"3\text{ or }4"]),
    (r"\frac{dy}{dx}=2x", ["3x", r"\frac{dy}{dx}=3x"]),
    ("2x", [r"\frac{dy}{dx}=3x", r"\frac{dy}{dx}x=2x"]),
    ("7", [r"2\det A=7", r"\det A+1=7", r"\gcd(14,21)>7", r"\text{not}(x)=7", r"\varphi x^2=7"]),
    (r"9.8\text{ m/s}^2", [r"9.8\frac{\text{m}}{\text{s}}", r"9.8\,\mathrm{\frac{km}{s^2}}"]),
    (
        r"(-\infty,-1)\cup(3,\infty)",
        [r"\mathbb{R}\setminus(-1,3)", r"\mathbb{R}\setminus[-1,4]", r"]-\infty,-1]\,\cup\,]3,\infty["],
    ),
    (
        r"x=\frac{\pi}{4}+k\pi",
        [r"\frac{\pi}{4}+\pi n", r"\frac{\pi}{4}+2\pi n, n\in\mathbb{Z}", r"\frac{\pi}{4}+nk\pi, n\in\mathbb{Z}"],
    ),
]


@pytest.mark.parametrize(("truth", "answer"), [(truth, answer) for truth, answers in RIGHT for answer in answers])
def test_another_notation_is_right(truth: str, answer: str) -> None:
    assert grade(truth, truth)
    assert grade(truth, answer, worked_out=True)


@pytest.mark.parametrize(("truth", "answer"), [(truth, answer) for truth, answers in WRONG for answer in answers])
def test_a_near_miss_in_another_notation_is_wrong(truth: str, answer: str) -> None:
    assert not grade(truth, answer)
