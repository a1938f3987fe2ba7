r"""Normal forms: the same for the same formula, and of the same value."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from math_pairs import EQUAL

from mtgrpo_env.envs.symbolic.exact import exact_value
from mtgrpo_env.envs.symbolic.normal import as_given, folded, normal, rational, rooted
from mtgrpo_env.envs.symbolic.readings import readings
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node

FORMS = [as_given, normal, rooted, folded]
COMMUTING = frozenset({"add", "multiply", "list", "set"})


def trees() -> list[Node]:
    found: list[Node] = []
    for text in sorted({text for pair in EQUAL for text in pair}):
        try:
            found += readings(text)
        except MathSyntaxError:
            continue
    return found


def shuffled(tree: Node, rng: random.Random) -> Node:
    """The same formula with what commutes in another order, and neutral parts."""
    args = [shuffled(arg, rng) for arg in tree.args]
    if tree.head in COMMUTING:
        rng.shuffle(args)
    if tree.head == "add":
        args.append(Node("number", text="0"))
    if tree.head == "multiply":
        args.append(Node("negate", (Node("negate", (Node("number", text="1.0"),)),)))
    return tree._replace(args=tuple(args))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tree", trees(), ids=str)
def test_order_and_neutral_parts_do_not_count(tree: Node, form: Callable[[Node], Node]) -> None:
    rng = random.Random(0)
    assert all(form(shuffled(tree, rng)) == form(tree) for _ in range(5))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tree", trees(), ids=str)
def test_a_normal_form_is_its_own_and_keeps_rational_values(tree: Node, form: Callable[[Node], Node]) -> None:
    assert form(form(tree)) == form(tree)
    assert rational(form(tree)) == rational(tree)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("007.50", "7.5"),
        (".5", "0.50"),
        ("2e3x", r"2\cdot 10^3x"),
        ("-(-x)", "x"),
        ("-(x-1)", "1-x"),
        (r"\frac{1}{\frac{1}{x}}", "x"),
        (r"\frac{a}{bc}", r"a\cdot\frac1b\cdot\frac1c"),
        (r"\exp(x)", "e^x"),
        ("x-y>2", "2<x-y"),
        (r"1\ge x>0", r"0<x\le1"),
        (r"x\neq6", r"6\neq x"),
    ],
)
def test_notations_of_one_formula_have_one_normal_form(text: str, other: str) -> None:
    assert normal(parse(text)) == normal(parse(other))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("x^{1/2}", r"\sqrt x"),
        ("x^{-1}", r"\frac1x"),
        (r"\sqrt{144\cdot2}", r"\sqrt{288}"),
        ("2x+3x", "5x"),
        ("x", "y"),
        ("x<2", "2<x"),
        ("x<2", r"x\le2"),
    ],
)
def test_a_normal_form_works_nothing_out(text: str, other: str) -> None:
    assert normal(parse(text)) != normal(parse(other))


def test_parts_without_a_value_stay() -> None:
    for text in ("1/0", "0^0", "9^{9^{9^9}}", "99999999!", r"\frac{1}{1-1}x", "9^{99999}*9^{99999}*x"):
        folded(parse(text))


def test_exact_values_are_those_of_the_grader() -> None:
    assert rational(parse("3/4+1/4")) == exact_value(parse("1")) == 1
