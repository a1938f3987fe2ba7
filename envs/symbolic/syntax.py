r"""Reading mathematical answers: a small grammar for what stands in a `\boxed{}`, LaTeX and plain text mixed.

Recursive descent with two tokens of look-ahead, no backtracking and a cap on depth: linear time and no
deep recursion on any text. Nothing is evaluated here.

    answer    = solution {";" solution}                     several: any order
    solution  = relation {("," | "or" | "and") relation}
    relation  = ratio {("=" | "!=" | "<" | ">" | "<=" | ">=" | \approx | \in) ratio}
    ratio     = union {":" union}
    union     = sum {(\cup | \cap | \setminus) sum}
    sum       = product {("+" | "-" | \pm | \mp) product}
    product   = factor {["*" | "/"] factor} {magnitude | unit | words}
    factor    = ("+" | "-" | \pm | \mp | currency) factor | power
    power     = atom {"!" | "%" | "°"} ["^" factor]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from mtgrpo_env.envs.symbolic.atoms import AtomParser
from mtgrpo_env.envs.symbolic.tokens import MAX_LENGTH, MathSyntaxError, Notation, tokens
from mtgrpo_env.envs.symbolic.tree import COLLECTIONS, STRUCTURES, Head, Node
from mtgrpo_env.envs.symbolic.vocabulary import RELATIONS

_PLAIN = Notation()
_DIGITS = re.compile(rf"[0-9]{{1,{MAX_LENGTH}}}")


@lru_cache(maxsize=1024)
def parse(text: str, notation: Notation = _PLAIN) -> Node:
    r"""The tree of an answer.

    Args:
        text: hostile input.
        notation: how to read what can be read in two ways.

    Raises:
        MathSyntaxError: if the grammar does not cover the text, or it is too long or too deep.

    >>> parse(r"\frac12") == parse("1/2")
    True
    """
    if _DIGITS.fullmatch(text):  # most answers
        return Node("number", text=text)
    parser = _Parser(tokens(text, notation))
    tree = parser.answer()
    if parser.next.text:
        raise MathSyntaxError(f"expected the end, got {parser.next.text!r} in {text!r:.80}")
    return tree


_SET_OPERATORS: Mapping[str, Head] = {"cup": "union", "cap": "intersection", "setminus": "difference"}
_SETS = COLLECTIONS | STRUCTURES | {"symbol", "words", "multiply"}
_SEPARATORS = (",", "or", "and")


class _Parser(AtomParser):
    """Answers, solutions and relations; what they consist of is read by the parsers below."""

    def answer(self) -> Node:
        solutions = [self._solution()]
        while self.take(";"):
            solutions.append(self._solution())
        if len(solutions) == 1:
            return solutions[0]
        several = any(solution.head == "list" for solution in solutions)
        return Node("list", tuple(solutions), ";" if several else ",")

    def _solution(self) -> Node:
        items, separators = [self._relation()], list[str]()
        while separator := self.take(*_SEPARATORS):
            separators.append((self.take("or", "and") if separator == "," else "") or separator)  # "1, 2, and 3"
            items.append(self._relation())
        if {"or", "and"} <= {*separators}:
            raise MathSyntaxError("expected either 'or' or 'and' between solutions, got both")
        if len(items) == 1:
            return items[0]
        return _systems(items, separators) or Node("list", tuple(items), max(separators))

    def _relation(self) -> Node:
        self.take("=", "~")  # "= 7" goes on where the text stopped
        sides, signs = [self._ratio()], list[str]()
        while sign := self.take(*RELATIONS):
            signs.append(sign)
            sides.append(self._ratio())
        return Node("relation", tuple(sides), " ".join(signs)) if signs else sides[0]

    def _ratio(self) -> Node:
        terms = [self._union()]
        while self.take(":"):
            terms.append(self._union())
        return terms[0] if len(terms) == 1 else Node("ratio", tuple(terms))

    def _union(self) -> Node:
        tree = self._sum()
        while operator := self.take(*_SET_OPERATORS):
            right = self._sum()
            if operator == "setminus" and right.head not in _SETS:
                right = Node("set", (right,))  # "all real numbers except 6"
            same = operator == "cup" and tree.head == "union"
            tree = Node(_SET_OPERATORS[operator], (*(tree.args if same else (tree,)), right))
        return tree


def _systems(items: Sequence[Node], separators: Sequence[str]) -> Node | None:
    """`x = 1, y = 2 or x = 3, y = 4` as two systems; None if there are no equally long ones of equations."""
    ends = [place + 1 for place, separator in enumerate(separators) if separator == "or"]
    groups = [items[start:end] for start, end in zip([0, *ends], [*ends, len(items)], strict=True)]
    if len(groups) < 2 or len(groups[0]) < 2 or len({*map(len, groups)}) > 1 or {item.text for item in items} != {"="}:
        return None
    return Node("list", tuple(Node("list", tuple(group), ",") for group in groups), ";")
