r"""Texts of science in one spelling, whether in LaTeX, Unicode or plain: powers, indices, units, symbols.

Only the spelling is changed, nothing is worked out. Linear in time: every expression reads a text once.
"""

from __future__ import annotations

import re
import unicodedata

from mtgrpo_env.envs.dress import undressed


def _words(text: str) -> list[str]:
    return text.split()


def _pairs(text: str) -> dict[str, str]:
    words = _words(text)
    return dict(zip(words[::2], words[1::2], strict=True))


_COMMANDS = _pairs(
    "times × cdot · ast * div ÷ pm ± mp ∓ le ≤ leq ≤ leqslant ≤ ge ≥ geq ≥ geqslant ≥ lt < gt > ne ≠ neq ≠ approx ≈ "
    "sim ~ equiv ≡ propto ∝ infty ∞ sqrt √ to → rightarrow → longrightarrow → Rightarrow → leftarrow ← "
    "leftrightarrow ↔ rightleftharpoons ⇌ partial ∂ nabla ∇ sum Σ int ∫ prime ' circ ° degree ° textdegree ° "
    "celsius °C percent % textdollar $ textasciicircum ^ hbar ħ ell l AA Å angstrom Å ohm Ω micro μ "
    "lbrace { rbrace } lbrack [ rbrack ] langle < rangle > dots ... ldots ... cdots ... "
    "alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta θ iota ι kappa κ lambda λ "
    "mu μ nu ν xi ξ pi π rho ρ varrho ρ sigma σ tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ "
    "Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω"
) | dict.fromkeys(("~", ",", ";", ":", " ", "\\", "\n", "quad", "qquad"), " ")
_COMMANDS |= dict.fromkeys(_words("! text left right big Big bigl bigr ce SI qty num unit mathbb textcircled"), "")
_COMMANDS |= dict.fromkeys(_words("dfrac tfrac cfrac"), "frac")
NARROW = {chr(code): chr(code - 0xFEE0) for code in (*range(0xFF01, 0xFF10), *range(0xFF1A, 0xFF5F))}
"""Letters and signs of full width, though no digits, in ASCII."""
_GAP = "\0"  # where something was taken off: digits before and behind it stay apart
_SQUARED = (*range(0x1F110, 0x1F12A), *range(0x1F130, 0x1F14A))
_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–—‐‑", "-"),
        **dict.fromkeys("⋅•∙", "·"),
        **dict.fromkeys("′’‘", "'"),
        **dict.fromkeys("“”″", '"'),
        **dict.fromkeys("º˚", "°"),
        **_pairs("µ μ ℃ °C ϕ φ ϵ ε ϑ θ ⁄ / ∕ / ⟶ → ⇒ → … ..."),
        **{sign: f"{_GAP}{parts}{_GAP}" for sign, parts in _pairs("½ 1/2 ¼ 1/4 ¾ 3/4").items()},
        **NARROW,
        **{letter: unicodedata.normalize("NFKC", letter) for letter in map(chr, (*range(0x249C, 0x24EA), *_SQUARED))},
    }
)
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "₀₁₂₃₄₅₆₇₈₉₊₋ₙ"
_ON_THE_LINE = str.maketrans(_RAISED + _LOWERED, "0123456789+-n" * 2)
_SCRIPTS = re.compile(f"([{_RAISED}]+)|([{_LOWERED}]+)")
_TAGS = _pairs(r"<sub> _{ </sub> } <sup> ^{ </sup> } \textsuperscript ^ \textsubscript _")
_TAG = re.compile(r"</?su[bp]>|\\text(?:superscript|subscript)(?![A-Za-z])")
_WORDS = re.compile(r"\\text\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt ?(?:\{([^{}]*)\}|([0-9])(?=[0-9]))")
_NESTED = 3  # fractions and roots within each other
_FRACTION = re.compile(r"\\[dtc]?frac ?(?:([0-9]) ?([0-9])|\{([^{}]*)\} ?\{([^{}]*)\})")
_SINGLE = re.compile(r"[0-9]*|.")
_SUM, _PRODUCT = re.compile(r"[-+/]"), re.compile(r"[-+/*·× ]|\\(?:cdot|times)")
_POWER = re.compile(r"\^ ?\{([^{}]*)\}")
_ONE_POWER = re.compile(r"[-+]?[0-9]*[-+]?|[A-Za-z]|'+")
_COMMAND = re.compile(r"\\([A-Za-z]+|.)|[{}]|(?<!~)(~)(?!~)", re.DOTALL)
_MARKED_EXPONENT = re.compile(r"(?<=[0-9])[eE]\+?(-?[0-9]+)(?![0-9.])")

_APART = re.compile(rf"(?<=[0-9.]){_GAP}[{_GAP} ]*(?=[0-9.])")
# A "~" that negates, which is no LaTeX blank: as the first sign, or before a single letter.
_NEGATION = re.compile(r"∼|\A([\s$(\[*]*)~(?=[^\s0-9.])|(?<=\s)~(?=[A-Z](?![A-Za-z]))")
_THOUSANDS = re.compile(r"(?<![0-9.,^])[0-9]{1,3}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(?![, ]?[0-9])")
_BLANK = re.compile(r"(?<![0-9.]) | (?![0-9.])")

_LETTERS, _DIGIT = re.compile(r"[^\W\d_]+"), re.compile("[0-9]")

_SPELLINGS = (
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\^\(([-+]?[0-9]+)\)(?![0-9.])"), r"^\1"),
    (re.compile(r"\^(?=[°'])"), ""),
    (re.compile(r"(?<=[^\W\d_])[·*](?=[^\W\d_])"), ""),  # kg·m is kg m
    (re.compile(r"[·*]|(?<=[0-9])[xX](?=10\^)"), "×"),
    (re.compile(r"(?<![0-9.])1×(?=10\^)"), ""),
    (re.compile(r"(?<=10\^)\+(?=[0-9])"), ""),
    (re.compile(r"/([^\W\d_]+)\^([0-9])(?![0-9])"), r"\1^-\2"),  # m/s^2 is m s^-2
    (re.compile(r"/([^\W\d_]+)(?![\^0-9(])"), r"\1^-1"),
    (re.compile(r"([A-Za-z)\]]_?[0-9]*)\^([0-9]*[-+])(?![0-9A-Za-z(])"), r"\1\2"),  # a charge
    (re.compile(r"_"), ""),
)


def plain(text: str) -> str:
    r"""A text without dress and LaTeX, in the characters that it is printed with; one blank for several.

    >>> plain(r"\textbf{C. } 4.5 \times 10^{7}\,\text{J}"), plain(r"25\,^{\circ}\mathrm{C}"), plain(r"$\frac{m}{s}$")
    ('C. 4.5 × 10^7 J', '25 ^° C', 'm/s')
    """
    text = _TAG.sub(lambda tag: _TAGS[tag.group()], unicodedata.normalize("NFC", text.replace(_GAP, "\ufffd")))
    text = undressed(_NEGATION.sub(lambda found: f"{found[1] or ''}\\sim ", text))
    text = _SCRIPTS.sub(_on_the_line, text).translate(_CHARACTERS)
    text = _WORDS.sub(rf" \1{_GAP}", text)
    for _ in range(_NESTED if "{" in text else 1):
        text = _FRACTION.sub(_fraction, _ROOT.sub(_root, text))
    text = _POWER.sub(_power, text)
    text = _APART.sub(" ", _COMMAND.sub(_command, text)).replace(_GAP, "")
    return _MARKED_EXPONENT.sub(r" × 10^\1", " ".join(text.split()))


def squeezed(text: str) -> str:
    """A plain text without blanks and indices, in one spelling of products, units, powers of ten and charges.

    Blanks between two digits stay, but for those of thousands.

    >>> squeezed("4.5e7 J/s"), squeezed("4.5 x 10^7 J s^-1"), squeezed("SO_4^2-"), squeezed("kg·m")
    ('4.5e7Js^-1', '4.5×10^7Js^-1', 'SO42-', 'kgm')
    """
    text = _THOUSANDS.sub(lambda number: re.sub("[, ]", "", number.group()), " ".join(text.split()))
    text = _BLANK.sub("", text)
    for spelling, other in _SPELLINGS:
        text = spelling.sub(other, text)
    return text.strip('"')


def case_folded(text: str) -> str:
    """A plain text with its words in small letters; what may be a unit or a formula keeps its capitals.

    A word has three letters or more, or any number in a text without digits that has one of four; beside digits, three
    capitals are no word.

    >>> case_folded("Sodium Chloride"), case_folded("NaCl"), case_folded("5 MW"), case_folded("The 3 laws of Newton")
    ('sodium chloride', 'NaCl', '5 MW', 'the 3 laws of newton')
    """
    has_digits = _DIGIT.search(text) is not None
    longest = max(map(len, _LETTERS.findall(text)), default=0)
    shortest = 1 if longest > 3 and not has_digits else 3

    def folded(found: re.Match[str]) -> str:
        word = found.group()
        is_word = word.istitle() or word.islower() or (word.isupper() and (len(word) > 3 or not has_digits))
        return word.casefold() if word.lower() == "no" or (is_word and len(word) >= shortest) else word

    return _LETTERS.sub(folded, text)


def _on_the_line(found: re.Match[str]) -> str:
    return ("^" if found[1] else "_") + found.group().translate(_ON_THE_LINE) + _GAP


def _command(found: re.Match[str]) -> str:
    name = found[1] or found[2] or ""
    return _COMMANDS.get(name, name) or _GAP


def _fraction(found: re.Match[str]) -> str:
    above, below = found[1] or found[3] or "", found[2] or found[4] or ""
    return f"{_GAP}{_grouped(above, _SUM)}/{_grouped(below, _PRODUCT)}{_GAP}"


def _root(found: re.Match[str]) -> str:
    under = (found[1] or found[2] or "").strip(f" {_GAP}")
    return f"√{under if _SINGLE.fullmatch(under) else f'({under})'}{_GAP}"


def _grouped(text: str, operation: re.Pattern[str]) -> str:
    return f"({text})" if operation.search(text.strip()) else text.strip()


def _power(found: re.Match[str]) -> str:
    power = found[1].strip()
    if power[:1] == "\\":
        return f"^{power} "
    return f"^{power}{_GAP}" if _ONE_POWER.fullmatch(power) else f"^({power})"
