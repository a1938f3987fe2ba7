r"""The formulas in the text of a question, LaTeX or plain, and whether an answer is one of them.

A question is text from a file: one pass cuts it at delimiters, words and the ends of sentences, and what is left is
parsed where the grammar covers it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, permutations
from typing import NamedTuple

from mtgrpo_env.envs.symbolic.meaning import is_equation
from mtgrpo_env.envs.symbolic.normal import as_given, folded, normal, rational
from mtgrpo_env.envs.symbolic.readings import is_worked_out, readings
from mtgrpo_env.envs.symbolic.tokens import MAX_LENGTH, MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node, nodes
from mtgrpo_env.envs.symbolic.vocabulary import FUNCTIONS, GREEK

_MAX_QUESTION = 20_000  # characters that are looked at
_CUT = re.compile(
    r"\\\\|\\[$()\[\]]|\$+|\\(?:begin|end)\{[^{}]{0,30}\}|\\(?:text|mbox|textbf|textit)\{[^{}]{0,200}\}"
    r"|[?;\n]|[.:!,](?=\s|$)|(?<![A-Za-z\\])[A-Za-z]{2,}(?![A-Za-z])"
)
_NAMES = FUNCTIONS | GREEK | {"sqrt", "pi", "infinity"}
_SHORT_WORDS = frozenset({"by", "my", "try", "why", "cm", "km", "mm", "kg", "mph"})
_LONGEST_PRODUCT = 3  # letters: "xyz" is a product, "sine" is a word
_BEFORE_PRODUCT, _BEHIND_PRODUCT = frozenset("0123456789+-*/^=)]{}<>|"), frozenset("0123456789+-*/^=([{}<>|")
_RELATIONS = re.compile(r"[=<>]+|\\(?:leq?|geq?|lt|gt|ne|neq|le|approx|in|to|cdots|ldots|dots)(?![A-Za-z])")
_DELIMITERS = re.compile(r"\$+|\\[()\[\]]")
_MATRIX = re.compile(r"\\begin\{(?:[bpvB]?matrix|array)\}")
_OF = r" (?:of|between) (?:[$\\(0-9]|[a-z](?:\b|\^))"  # and a formula
_OPERATIONS: Sequence[tuple[str, Callable[[Node, Node], Node]]] = (
    (r"\bdivided?\b|\bquotient" + _OF, lambda left, right: Node("multiply", (left, Node("reciprocal", (right,))))),
    (r"\bmultipl(?:y|ied)\b|\bproduct" + _OF, lambda left, right: Node("multiply", (left, right))),
    (r"\badd(?:ed)?\b|\bsum" + _OF, lambda left, right: Node("add", (left, right))),
    (r"\bsubtract(?:ed)?\b|\bdifference" + _OF, lambda left, right: Node("add", (left, Node("negate", (right,))))),
)
_MAX_OPERANDS = 6
_VALUES: frozenset[str] = frozenset(
    {"number", "symbol", "constant", "based", "add", "multiply", "negate", "reciprocal", "power", "root", "call", "log"}
    | {"absolute", "factorial", "binomial", "percent", "floor", "ceiling"}
)
"""Heads of single values; all others hold values side by side."""


class Formulas(NamedTuple):
    """The formulas of a question in their normal forms."""

    as_given: frozenset[Node]
    written: frozenset[Node]
    worked_out: frozenset[Node]


def sides(equation: Node) -> tuple[Node, ...]:
    """What an equation says to be equal, without what is only about as large."""
    return tuple(side for side, sign in zip(equation.args, ["=", *equation.text.split()], strict=True) if sign == "=")


def values(tree: Node) -> Iterator[Node]:
    """The single finite values that an answer gives: no names, and of equal sides the last one."""
    if tree.head in _VALUES or not tree.args:
        if tree.head not in ("symbol", "words") and not any(node.text == "infinity" for node in nodes(tree)):
            yield tree
    else:
        given = [arg for arg in (sides(tree) if is_equation(tree) else tree.args) if arg.head != "symbol"]
        for value in given[-1:] if is_equation(tree) else given:
            yield from values(value)


def repeats_question(question: str, truth: Sequence[Node], answer: Sequence[Node]) -> bool:
    """Whether part of an answer is a formula of the question, and no part of the truth.

    Formulas are the same up to notation and up to what is worked out in them; a number and a lone variable are none.
    A part is a member of a list or pair, an equation, what stands behind its last "=", or a side of an inequality.

    >>> repeats_question("Factor $x^2-49$.", readings("(x-7)(x+7)"), readings("-49+x^2"))
    True
    >>> repeats_question("Which is even, $x^2$ or $x^3$?", readings("x^2"), readings("x^2"))
    False

    Args:
        question: text from a file.
        truth: the readings of the truth.
        answer: the readings of an answer.
    """
    given = [part for tree in answer for part in _claims(tree) if _is_formula(part)]
    if not given:
        return False
    asked, wanted = formulas(question), [part for tree in truth for part in _parts(tree)]
    return _any_new(given, wanted, asked.written, normal) or _any_new(given, wanted, asked.worked_out, folded)


def repeats_verbatim(question: str, truth: Sequence[Node], answer: Sequence[Node]) -> bool:
    """Whether part of an answer is a formula of the question but for order, and no part of the truth.

    >>> [repeats_verbatim("Simplify $-(x-3)$.", readings("3-x"), readings(text)) for text in ("-(-3+x)", "-x+3")]
    [True, False]
    """
    given = [part for tree in answer for part in _claims(tree) if _is_formula(part)]
    return _any_new(given, [part for tree in truth for part in _parts(tree)], formulas(question).as_given, as_given)


@lru_cache(maxsize=4096)
def formulas(question: str) -> Formulas:
    """The formulas of a question; their parts and members are formulas, too, and what is to be computed of them."""
    found = list(dict.fromkeys(part for tree in _trees(question) for part in _parts(tree)))
    found += _results(question, found)
    written = list(filter(_is_formula, found))
    return Formulas(
        frozenset(map(as_given, written)),
        frozenset(map(normal, written)),
        frozenset(tree for tree in map(folded, found) if tree.head != "symbol" and rational(tree) is None),
    )


def _results(question: str, found: Iterable[Node]) -> list[Node]:
    r"""What a question asks to compute, as it stands: for "Divide $x^2-1$ by $x-1$" also `\frac{x^2-1}{x-1}`."""
    text = question[:_MAX_QUESTION].casefold()
    operations = [operation for words, operation in _OPERATIONS if re.search(words, text)]
    operands = list(islice((tree for tree in found if tree.head in _VALUES), _MAX_OPERANDS))
    return [operation(left, right) for operation in operations for left, right in permutations(operands, 2)]


def _is_formula(tree: Node) -> bool:
    """Whether a tree is no number and no lone variable; a number times a matrix is a formula."""
    return not is_worked_out(tree) or (tree.head == "multiply" and tree.args[-1].head == "matrix")


def _any_new(
    given: Iterable[Node], wanted: Iterable[Node], asked: frozenset[Node], form: Callable[[Node], Node]
) -> bool:
    repeated = set(map(form, given)) & asked
    return bool(repeated - set(map(form, wanted))) if repeated else False


def _parts(tree: Node) -> Iterator[Node]:
    """The formulas that a formula of a question, or the truth, consists of."""
    yield tree
    if tree.head not in _VALUES:
        yield from (part for arg in tree.args for part in _parts(arg))


def _claims(tree: Node) -> Iterator[Node]:
    """The formulas that an answer says are right: in `x^2 - 1 = (x - 1)(x + 1)` the last one, and all of it."""
    if not is_equation(tree):
        yield tree
        yield from (part for arg in tree.args if tree.head not in _VALUES for part in _claims(arg))
    else:
        yield from _claims(sides(tree)[-1])
        if not any(arg.head == "symbol" for arg in tree.args):
            yield tree


def _trees(question: str) -> Iterator[Node]:
    for piece in dict.fromkeys(_pieces(question[:_MAX_QUESTION])):
        for text in (piece, *_RELATIONS.split(piece)) if len(piece) <= MAX_LENGTH else ():
            try:
                yield from readings(text)
                if text is piece:
                    break
            except MathSyntaxError:
                pass


def _pieces(question: str) -> Iterator[str]:
    """What may be formulas."""
    yield from filter(_MATRIX.search, _DELIMITERS.split(question))
    start = 0
    for match in _CUT.finditer(question):
        if not _is_product(match.group(), question, match.start(), match.end()):
            yield from _balanced(question[start : match.start()])
            start = match.end()
    yield from _balanced(question[start:])


def _is_product(text: str, question: str, start: int, end: int) -> bool:
    """Whether what might cut the question is part of a formula: a function, or the product of a few letters."""
    if not text.isalpha() or text in _NAMES:
        return text in _NAMES
    if len(text) > _LONGEST_PRODUCT or text in _SHORT_WORDS:
        return False
    touches = question[start - 1 : start] in _BEFORE_PRODUCT or question[end : end + 1] in _BEHIND_PRODUCT
    return touches or not set("aeiouAEIOU") & set(text)


def _balanced(piece: str) -> Iterator[str]:
    """The piece, cut at brackets without a partner; none that is empty."""
    open_brackets: list[int] = []
    lonely: list[int] = []
    for place, sign in enumerate(piece):
        if sign in "([{":
            open_brackets.append(place)
        elif sign in ")]}":
            if open_brackets:
                open_brackets.pop()  # a half-open interval closes with the other one
            else:
                lonely.append(place)
    start = 0
    for place in sorted([*lonely, *open_brackets, len(piece)]):
        text = piece[start:place].replace("&", "").lstrip(" \t,.").rstrip(" \t,.\\")
        if text:
            yield text
        start = place + 1
