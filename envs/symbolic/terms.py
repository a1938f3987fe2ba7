r"""Sums, products and powers of an answer, and the units and words behind a value."""

from __future__ import annotations

from abc import abstractmethod

from mtgrpo_env.envs.symbolic.tokens import Cursor, MathSyntaxError, Token
from mtgrpo_env.envs.symbolic.tree import Node

MAX_DEPTH = 32
_SIGNS = {"+": "+", "-": "-", "pm": "+", "mp": "-"}
_DEGREE = Node("multiply", (Node("constant", text="pi"), Node("reciprocal", (Node("number", text="180"),))))
AFTER_WORDS = frozenset({"", "=", ",", ";", "or", "and", ")", "]", "\\}", "}", "&", "\\\\"})
_OPENING = ("(", "[", "\\{", "{")
_OPENING_COMMANDS = ("frac", "sqrt", "binom", "lfloor", "lceil", "langle")


class TermParser(Cursor):
    """Reads sums; what stands between their operators is read by `_atom`."""

    def __init__(self, found: list[Token]) -> None:
        super().__init__(found)
        self._depth = 0
        self._bars = 0  # open |
        self._calls = 0  # open functions: inside, an angle in degrees is an angle, outside ° is a unit

    @abstractmethod
    def _atom(self, *, juxtaposed: bool = True) -> Node:
        """A single value; a number takes what follows it along, as in a mixed number, if `juxtaposed`."""

    def _sum(self) -> Node:
        terms = [self._product()]
        while operator := self.take(*_SIGNS):
            terms.append(_signed(operator, self._product()))
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms))

    def _product(self) -> Node:
        factors = [self._factor()]
        while True:
            if operator := self.take("*", "/"):
                factor = self._factor()
                factors.append(factor if operator == "*" else Node("reciprocal", (factor,)))
            elif self._starts_factor():
                factors.append(self._factor())
            else:
                return factors[0] if len(factors) == 1 else Node("multiply", tuple(factors))

    def _starts_factor(self) -> bool:
        """Whether what follows multiplies without an operator: anything but a number."""
        kind, text = self.next
        if kind == "sign":
            return text in _OPENING or (text == "|" and not self._bars)
        return kind in ("letter", "constant", "function", "mark", "begin") or text in _OPENING_COMMANDS

    def _factor(self) -> Node:
        self._enter()
        if operator := self.take(*_SIGNS):
            tree = _signed(operator, self._factor())
        elif self.next.kind == "unit" and self.second.text not in AFTER_WORDS:  # "$5"
            currency = self.advance().text
            tree = Node("quantity", (self._factor(),), currency)
        else:
            tree = self._measured(self._power())
        self._depth -= 1
        return tree

    def _measured(self, tree: Node) -> Node:
        """A value with the magnitudes, units and words behind it."""
        while self.next.kind in ("magnitude", "unit", "words"):
            kind, text = self.advance()
            if kind == "magnitude":
                tree = Node("scaled", (tree,), text)
            elif kind == "words":
                tree = Node("words", (tree,), text)
            elif tree.head != "quantity":
                tree = Node("quantity", (tree,), text + self._unit_power())
            elif tree.text != text:
                tree = tree._replace(text=f"{tree.text} {text}{self._unit_power()}")
        return tree

    def _unit_power(self) -> str:
        """Of square and cubic units."""
        if not self.take("^"):
            return ""
        if not self.take("{"):
            return "^" + self.digits()
        sign = self.take("-")
        power = self.digits()
        self.expect("}")
        return f"^{sign}{power}"

    def _power(self) -> Node:
        base = self._postfix(self._atom())
        if not self.take("^"):
            return base
        if self.take("°"):
            return self._degrees(base)
        if self.take("{"):
            if self.take("°"):
                self.expect("}")
                return self._degrees(base)
            exponent = self._sum()
            self.expect("}")
        else:
            exponent = self._factor()
        return self._postfix(Node("power", (base, exponent)))

    def _postfix(self, tree: Node) -> Node:
        if self.take("!"):
            tree = Node("factorial", (tree,))
        if self.take("%"):
            return Node("percent", (tree,))
        return self._degrees(tree) if self.take("°") else tree

    def _degrees(self, tree: Node) -> Node:
        if self._calls:
            return Node("multiply", (tree, _DEGREE))
        scale = self.advance().text if self.next in _TEMPERATURES else ""
        return Node("quantity", (tree,), "°" + scale)

    def _argument(self) -> Node:
        r"""What LaTeX takes as an argument: a group, or a single character: `\frac12` is a half."""
        kind, text = self.next
        if kind == "number" and text.isdecimal() and len(text) > 1:
            self.replace(Token("number", text[1:]))
            return Node("number", text=text[0])
        return self._factor_without_power()

    def _factor_without_power(self) -> Node:
        self._enter()
        tree = self._atom(juxtaposed=False)
        self._depth -= 1
        return tree

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MathSyntaxError(f"expected a depth of at most {MAX_DEPTH}")


_TEMPERATURES = (Token("letter", "C"), Token("letter", "F"), Token("unit", "C"), Token("unit", "F"))


def _signed(operator: str, tree: Node) -> Node:
    if operator in ("pm", "mp"):
        return Node("sign", (tree,), _SIGNS[operator])
    return tree if operator == "+" else Node("negate", (tree,))
