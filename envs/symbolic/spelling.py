r"""A truth in another spelling of the same value, to see whether it is read as what it says.

A truth that is right only letter by letter was not understood: so a check of rows answers with a rewriting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from mtgrpo_env.envs.symbolic.normal import rational
from mtgrpo_env.envs.symbolic.readings import readings
from mtgrpo_env.envs.symbolic.tree import Node, nodes
from mtgrpo_env.envs.symbolic.vocabulary import GREEK

_SCIENTIFIC = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?[eE][+-]?[0-9]{1,3}")


def respelled(truth: str) -> str | None:
    r"""A truth with other numerals, and with the order of its terms, factors and members turned round.

    >>> respelled("0.5"), respelled("2e-3"), respelled("x^2, 7")
    ('\\frac{2}{4}', '\\frac{2}{1000}', '\\frac{14}{2}, 0+(x)^{2}')

    Returns:
        Its spelling; None if there is no other one.

    Raises:
        MathSyntaxError: if the truth is no mathematics that can be read.
    """
    if _SCIENTIFIC.fullmatch(truth.strip()):  # as Python reads it, whatever the grammar does
        return _fraction(Fraction(truth.strip()))
    try:
        return _value(readings(truth)[0])
    except _NoSpelling:
        return None


class _NoSpelling(ValueError):
    """A tree has a head without a rule."""


def _value(tree: Node) -> str:
    if tree.head in _SIDE_BY_SIDE:
        return _SPELLED[tree.head](tree, [_value(arg) for arg in tree.args])
    number = rational(tree)
    if number is not None:
        return _fraction(number)
    if tree.head in ("symbol", "based") or any(
        node.text == "infinity" or node.head == "percent" for node in nodes(tree)
    ):
        return _spelled(tree)
    return f"0+{_spelled(tree)}"


def _fraction(number: Fraction) -> str:
    return rf"{'-' if number < 0 else ''}\frac{{{2 * abs(number.numerator)}}}{{{2 * number.denominator}}}"


def _spelled(tree: Node) -> str:
    if tree.head not in _SPELLED:
        raise _NoSpelling(f"no spelling of {tree.head}")
    return _SPELLED[tree.head](tree, list(map(_spelled, tree.args)))


def _symbol(tree: Node, args: list[str]) -> str:
    if tree.text.startswith("mathbb "):
        return rf"\mathbb{{{tree.text.removeprefix('mathbb ')}}}"
    name, _, index = tree.text.partition("_")
    name = f"\\{name} " if name in GREEK else name
    return f"{name}_{{{index}}}" if index else name


def _number(tree: Node, args: list[str]) -> str:
    digits, _, repeated = tree.text.rstrip(")").partition("(")
    return rf"{digits}\overline{{{repeated}}}" if repeated else digits


def _relation(tree: Node, args: list[str]) -> str:
    signs = tree.text.split()
    named = [_SIGNS.get(sign, sign) for sign in signs]
    return "".join(f"{arg} {sign} " for arg, sign in zip(args, [*named, ""], strict=True)).strip()


def _joined(sign: str, *, form: str = "{}", each: str = "{}") -> Callable[[Node, list[str]], str]:
    return lambda tree, args: form.format(sign.join(each.format(arg) for arg in reversed(args)))


def _matrix(tree: Node, args: list[str]) -> str:
    kind = "pmatrix" if tree.head == "matrix" else "vmatrix"
    rows = r" \\ ".join(args)
    return rf"\begin{{{kind}}}{rows}\end{{{kind}}}"


_SIDE_BY_SIDE = frozenset({"list", "set", "brackets", "union", "difference", "relation", "ratio", "quantity"}) | {
    "matrix",
    "row",
}
_SIGNS = {"~": r"\approx", "in": r"\in", "!=": r"\ne"}
_CONSTANTS = {"pi": r"\pi ", "infinity": r"\infty "}
_SPELLED: Mapping[str, Callable[[Node, list[str]], str]] = {
    "number": _number,
    "symbol": _symbol,
    "constant": lambda tree, args: _CONSTANTS.get(tree.text, tree.text),
    "based": lambda tree, args: f"{tree.text}_{{{args[0]}}}",
    "add": _joined("+", each="({})"),
    "multiply": _joined(r" \cdot ", each="({})"),
    "negate": lambda tree, args: f"-({args[0]})",
    "reciprocal": lambda tree, args: rf"\frac{{1}}{{{args[0]}}}",
    "power": lambda tree, args: f"({args[0]})^{{{args[1]}}}",
    "root": lambda tree, args: rf"\sqrt[{args[1]}]{{{args[0]}}}",
    "call": lambda tree, args: rf"\{tree.text}({args[0]})",
    "log": lambda tree, args: rf"\log_{{{args[1]}}}({args[0]})",
    "absolute": lambda tree, args: f"|({args[0]})|",
    "factorial": lambda tree, args: f"({args[0]})!",
    "binomial": lambda tree, args: rf"\binom{{{args[0]}}}{{{args[1]}}}",
    "percent": lambda tree, args: rf"({args[0]})\%",
    "sign": lambda tree, args: rf"{chr(92)}{'pm' if tree.text == '+' else 'mp'}({args[0]})",
    "floor": lambda tree, args: rf"\lfloor {args[0]}\rfloor",
    "ceiling": lambda tree, args: rf"\lceil {args[0]}\rceil",
    "quantity": lambda tree, args: rf"{args[0]}\text{{ {tree.text}}}",
    "ratio": lambda tree, args: ":".join(args),
    "matrix": _matrix,
    "determinant": _matrix,
    "row": lambda tree, args: " & ".join(args),
    "list": lambda tree, args: (f" {tree.text} " if tree.text.isalpha() else f"{tree.text} ").join(reversed(args)),
    "set": _joined(", ", form=r"\{{{}\}}"),
    "brackets": lambda tree, args: f"{tree.text[0]}{', '.join(args)}{tree.text[1]}",
    "union": _joined(r" \cup "),
    "difference": lambda tree, args: r" \setminus ".join(args),
    "relation": _relation,
}
