"""Evaluation of hostile text: it agrees with an independent reader of arithmetic, and refuses all else quickly."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.arithmetic import MAX_LENGTH, ExpressionError, evaluate

OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}

MALFORMED = {
    "": "more at the end",
    "   ": "more at the end",
    "()": "unexpected",
    "3+": "more at the end",
    "(3": "more at the end",
    "3)": "unexpected",
    ")(": "unexpected",
    "-3+5": "number or",
    "+3": "number or",
    "2*-3": "number or",
    "2**3": "number or",
    "2 * * 3": "number or",
    "7//2": "number or",
    "7/ /2": "number or",
    "1 2": "an operator",
    "03": "an operator",
    "00": "an operator",
    "5/(5-0000)": "an operator",  # found by fuzzing: Python's own parser reads a zero there
    "2(3)": "an operator",
    "(2)3": "an operator",
    "(2)(3)": "an operator",
    "1/0": "division by zero",
    "1/(2-2)": "division by zero",
    "0/(3-2-1)": "division by zero",
    "3.5*2": "only ASCII",
    "3e5": "only ASCII",
    "1_0": "only ASCII",
    "5!-20": "only ASCII",
    "7%4": "only ASCII",
    "2^3": "only ASCII",
    "1,2": "only ASCII",
    "1+2=3": "only ASCII",
    "75+pi-pi": "only ASCII",
    "__import__('os')": "only ASCII",
    r"2\times3": "only ASCII",
    "2×3": "only ASCII",
    "٣+٤": "only ASCII",
    "３+4": "only ASCII",
    "²+1": "only ASCII",
    "1\u00a0+\u20092": "only ASCII",
    "1\x00": "only ASCII",
    "1+\ud800": "only ASCII",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("((7))", 7),
        ("2+3*4", 14),
        ("(2+3)*4", 20),
        ("10-4-3", 3),
        ("10-(4-3)", 9),
        ("16/4/2", 2),
        ("16/(4/2)", 8),
        ("2*3-4*5+6/4", Fraction(-25, 2)),
        ("1/(2-3)", -1),
        ("1-(6/(2-5))", 3),
        ("(6/(2-5))-1", -3),
        ("1-6/(2-5)*2", 5),
        (" 1\t+\n2 ", 3),
        ("0*5+0", 0),
        ("1/3+1/3+1/3", 1),
        ("(1-2)/(3-5)", Fraction(1, 2)),
    ],
)
def test_operators_bind_as_at_school(text: str, value: int | Fraction) -> None:
    assert evaluate(text).value == value


def test_numbers_are_listed_in_order_with_repeats() -> None:
    assert evaluate("12*(3+12)-100").numbers == (12, 3, 12, 100)


@pytest.mark.parametrize("text", MALFORMED, ids=ascii)
def test_malformed_text_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ExpressionError, match=MALFORMED[text]):
        evaluate(text)


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(st.text("0123456789+-*/() ", max_size=24) | st.text("12+-*/()", max_size=9))
def test_agrees_with_the_python_grammar_on_any_string_of_its_alphabet(text: str) -> None:
    assert _outcome(text) == _reference(text)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(inner, st.sampled_from(["+", " - ", "*", "/"]), inner).map("".join)
    return joined | inner.map("({})".format)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.recursive(st.integers(0, 10**9).map(str), _compound, max_leaves=12))
def test_agrees_with_exact_fractions_on_well_formed_expressions(text: str) -> None:
    assert _outcome(text) == _reference(text)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(max_size=100))
def test_any_text_at_all_gives_a_value_or_an_expression_error(text: str) -> None:
    _outcome(text)


@pytest.mark.parametrize(
    "text",
    [
        "9" * 1_000_000,
        "(" * 1_000_000,
        "(" * 128 + ")" * 128,
        "(" * (MAX_LENGTH // 2 - 1) + "1" + ")" * (MAX_LENGTH // 2 - 1),
        "9" * MAX_LENGTH,
        "9**" * 85 + "9",
        "99/" * 85 + "7",
        "1/(9+" * 36 + "7" + ")" * 36,
        "1+" * 500_000 + "1",
        " " * 1_000_000,
        "\x00" * 1_000_000,
    ],
    ids=lambda text: f"{text[:6]!a} x{len(text)}",
)
def test_no_text_takes_long(text: str) -> None:
    start = time.process_time()
    for _ in range(20):
        _outcome(text)
    assert time.process_time() - start < 1.0


def test_text_at_the_length_cap_is_evaluated_and_one_more_character_is_not() -> None:
    text = "1+" * (MAX_LENGTH // 2 - 1) + "10"
    assert len(text) == MAX_LENGTH
    assert evaluate(text).value == MAX_LENGTH // 2 + 9
    with pytest.raises(ExpressionError, match=f"at most {MAX_LENGTH} characters, got {MAX_LENGTH + 1}"):
        evaluate(text + " ")


def _outcome(text: str) -> Fraction | None:
    try:
        return evaluate(text).value
    except ExpressionError:
        return None


def _reference(text: str) -> Fraction | None:
    """Python's own grammar, less what is not ours: signs, powers, floor division, calls and zeros in front."""
    try:
        return _walk(ast.parse(text.strip(), mode="eval").body, text.strip())
    except (SyntaxError, ZeroDivisionError, TypeError):
        return None


def _walk(node: ast.expr, text: str) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return OPERATIONS[type(node.op)](_walk(node.left, text), _walk(node.right, text))
    if (
        isinstance(node, ast.Constant)
        and type(node.value) is int
        and ast.get_source_segment(text, node) == str(node.value)
    ):
        return Fraction(node.value)
    raise TypeError(f"not ours: {ast.dump(node)}")
