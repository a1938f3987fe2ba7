r"""The words of mathematical answers: which commands and signs there are, and which of them are the same."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp"  # what worker.py computes
)
_GREEK_LETTERS = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau "
    "upsilon phi varphi chi psi omega ell Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
GREEK = _words(_GREEK_LETTERS)
GREEK_ALPHABET = {letter: place for place, letter in enumerate(_GREEK_LETTERS.split(), start=1)}
COMMANDS = _words(
    "frac sqrt binom over choose pm mp cup cap setminus in emptyset mathbb lfloor rfloor lceil rceil langle rangle"
)
MARKS = _words("overline angle triangle vec hat bar overrightarrow widehat tilde dot")  # of a letter, part of its name
TYPESETTING = _words(
    "left right big Big bigl bigr Bigl Bigr bigg Bigg biggl biggr Biggl Biggr quad qquad limits nolimits hfill "
    "thinspace enspace therefore"
)
CONSTANTS = {"pi": "pi", "e": "e", "i": "i", "infty": "infinity", "infinity": "infinity", "inf": "infinity"}
SAME_FUNCTION = {
    "lg": "log",
    "tg": "tan",
    "ctg": "cot",
    "cosec": "csc",
    "arctg": "arctan",
    "asin": "arcsin",
    "acos": "arccos",
} | {"atan": "arctan"}
SAME_COMMAND = (
    dict.fromkeys(("dfrac", "tfrac", "cfrac", "sfrac", "nicefrac"), "frac")
    | {"dbinom": "binom", "tbinom": "binom"}
    | {
        "varnothing": "emptyset",
        "backslash": "setminus",
        "smallsetminus": "setminus",
        "bigcup": "cup",
        "bigcap": "cap",
        "measuredangle": "angle",
        "Bbb": "mathbb",
        "leqq": "<=",
        "geqq": ">=",
        "vert": "|",
        "lvert": "|",
        "rvert": "|",
        "mid": "|",
        "cdot": "*",
        "times": "*",
        "ast": "*",
        "div": "/",
        "le": "<=",
        "leq": "<=",
        "leqslant": "<=",
        "ge": ">=",
        "geq": ">=",
        "geqslant": ">=",
        "lt": "<",
        "gt": ">",
        "ne": "!=",
        "neq": "!=",
        "approx": "~",
        "simeq": "~",
        "lor": "or",
        "vee": "or",
        "land": "and",
        "wedge": "and",
        "lbrace": "\\{",
        "rbrace": "\\}",
        "lbrack": "[",
        "rbrack": "]",
        "lparen": "(",
        "rparen": ")",
        "colon": ":",
        "circ": "°",
        "degree": "°",
        "textdegree": "°",
        "prime": "'",
    }
)
SAME_SIGN = {
    "**": "^",
    "\\|": "|",
    "\\%": "%",
    "==": "=",
    "≠": "!=",
    "≈": "~",
    "∨": "or",
    "∧": "and",
    "&&": "and",
}
RELATIONS = frozenset({"=", "!=", "<", ">", "<=", ">=", "~", "in"})
MATRICES = _words("matrix pmatrix bmatrix Bmatrix smallmatrix psmallmatrix bsmallmatrix array vmatrix")
SYSTEMS = _words("cases aligned align gathered rcases")
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_FRACTIONS = {"½": "12", "⅓": "13", "⅔": "23", "¼": "14", "¾": "34", "⅕": "15", "⅖": "25", "⅗": "35", "⅘": "45"} | {
    "⅙": "16",
    "⅚": "56",
    "⅛": "18",
    "⅜": "38",
    "⅝": "58",
    "⅞": "78",
}
UNICODE = str.maketrans(
    {sign: "\\frac" + digits for sign, digits in _FRACTIONS.items()}
    | dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f\u205f\u2002\u2003\u2004\u2005\u2006", " ")
    | dict.fromkeys("−–‒﹣‑", "-")
    | dict.fromkeys("·×∙⋅∗", "*")
    | dict.fromkeys("÷⁄∕", "/")
    | {"∶": ":"}
    | {
        "π": " pi ",
        "∞": " infinity ",
        "√": "\\sqrt ",
        "≤": "<=",
        "≥": ">=",
        "⩽": "<=",
        "⩾": ">=",
        "±": "\\pm ",
        "∓": "\\mp ",
        "∪": "\\cup ",
        "∩": "\\cap ",
        "∖": "\\setminus ",
        "∈": "\\in ",
        "∅": "\\emptyset ",
        "ℝ": "\\mathbb{R}",
        "ℤ": "\\mathbb{Z}",
        "∠": "\\angle ",
        "⟨": "\\langle ",
        "⟩": "\\rangle ",
        "º": "°",
        "℃": "°C",
        "℉": "°F",
        "’": "'",
        "′": "'",
        "θ": "\\theta ",
        "α": "\\alpha ",
        "β": "\\beta ",
        "λ": "\\lambda ",
    }
)
DIGITS = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"} | {
    "ten": "10",
    "twelve": "12",
    "sixteen": "16",
}
CURRENCIES = _words(r"\$ $ € £ ¥ ₹ USD EUR GBP INR Rs Rs. rs US$ ¢")  # which stand before an amount
NO_PRODUCTS = _words("not non nor the are was for but all any only one two six ten yes odd is of no if")
SEPARATORS = {"or": "or", "and": "and", "to": ":", "in": "in"}
PERCENT = _words("percent pct percentage")
LETTERS = {
    "Pr": "P",
    "partial": "d",
    "top": "T",
    "intercal": "T",
    "imath": "i",
    "jmath": "j",
}  # commands that stand for them
TOTALS = frozenset({"total", "in total", "altogether", "in all"})  # behind a number that counts something unnamed
EXCEPT = _words("except but excluding")  # behind `REALS`
REAL_COMMANDS = _words("R Reals reals")
EMPTY = frozenset(
    {"no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set"}
)
REALS = frozenset(
    {
        "all real numbers",
        "all reals",
        "any real number",
        "every real number",
        "all real values of x",
        "all real x",
        "real numbers",
        "the real numbers",
        "the reals",
        "all real values",
        "all real",
    }
    | {"set of all real numbers", "the set of all real numbers", "set of real numbers", "the set of real numbers"}
)
