r"""Sums, products and powers of an answer, and the units and words behind a value."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Literal

from mtgrpo_env.envs.symbolic.cursor import Cursor
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError, Token
from mtgrpo_env.envs.symbolic.tree import Node
from mtgrpo_env.envs.symbolic.vocabulary import CURRENCIES

MAX_DEPTH = 32
_SIGNS = {"+": "+", "-": "-", "pm": "+", "mp": "-"}
DEGREE = Node("multiply", (Node("constant", text="pi"), Node("reciprocal", (Node("number", text="180"),))))
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
        return _of_quantities("add", terms)

    def _product(self) -> Node:
        """Factors, and behind them the magnitudes, units and words that say what they count."""
        factors = [self._factor()]
        while True:
            if operator := self.take("*", "/"):
                factor = self._factor()
                factors.append(factor if operator == "*" else Node("reciprocal", (factor,)))
            elif self._starts_factor() or (self.next.kind == "number" and factors[-1].head == "factorial"):
                factors.append(self._factor())
            elif self.next.kind in ("magnitude", "unit", "words"):
                factors = [self._measured(_of_quantities("multiply", factors))]
            elif self.next.kind == "number" and factors[0].head == "quantity":  # "2 hours 30 minutes"
                return Node("compound", (*factors, self._product()))
            else:
                return _of_quantities("multiply", factors)

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
        elif self.next.kind == "unit" and self.next.text in CURRENCIES and self.second.text not in AFTER_WORDS:  # "$5"
            currency = self.advance().text
            tree = Node("quantity", (self._factor(),), currency)
        else:
            tree = self._power()
        self._depth -= 1
        return tree

    def _measured(self, tree: Node) -> Node:
        """A value with the magnitudes, units and words behind it."""
        while self.next.kind in ("magnitude", "unit", "words"):
            kind, text = self.advance()
            if kind == "magnitude":
                tree = _inside_quantity(tree, lambda value, factor=text: Node("scaled", (value,), factor))
            elif kind == "words":
                tree = Node("words", (tree,), text)
            elif tree.head != "quantity":
                tree = Node("quantity", (tree,), text + self._unit_power())
            elif tree.text != text:
                tree = tree._replace(text=f"{tree.text} {text}{self._unit_power()}")
            if self.next.text in ("*", "/") and self.second.kind == "unit" and tree.head == "quantity":
                operator = self.advance().text
                tree = tree._replace(text=f"{tree.text}{operator}{self.advance().text}{self._unit_power()}")
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
        if self._take_degree(base):
            return self._degrees(base)
        if self.take("{"):
            if self._take_degree(base):
                self.expect("}")
                return self._degrees(base)
            exponent = self._sum()
            self.expect("}")
        else:
            exponent = self._factor()
        if exponent.head == "quantity":
            raise MathSyntaxError(f"expected a power without a unit, got one of {exponent.text!r:.40}")
        return _transposed(base, exponent) or self._postfix(Node("power", (base, exponent)))

    def _take_degree(self, base: Node) -> str:
        """The sign of degrees, or the letter that stands for it behind a number."""
        if self.next == ("letter", "o") and base.head == "number":
            return self.advance().text
        return self.take("°")

    def _postfix(self, tree: Node) -> Node:
        if self.take("!"):
            tree = Node("factorial", (tree,))
        if self.take("%"):
            return Node("percent", (tree,))
        return self._degrees(tree) if self.take("°") else tree

    def _degrees(self, tree: Node) -> Node:
        if self._calls:
            return Node("multiply", (tree, DEGREE))
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


_TRANSPOSED = Node("symbol", text="T")


def _transposed(base: Node, exponent: Node) -> Node | None:
    """A row as a column; None for what is no transposed row."""
    is_row = base.head == "brackets" or (base.head == "matrix" and len(base.args) == 1)
    if not is_row or exponent != _TRANSPOSED:
        return None
    entries = base.args if base.head == "brackets" else base.args[0].args
    return Node("matrix", tuple(Node("row", (entry,)) for entry in entries))


def _signed(operator: str, tree: Node) -> Node:
    if operator in ("pm", "mp"):
        return Node("sign", (tree,), _SIGNS[operator])
    return tree if operator == "+" else _inside_quantity(tree, lambda value: Node("negate", (value,)))


def _inside_quantity(tree: Node, change: Callable[[Node], Node]) -> Node:
    """A changed value, which keeps its unit."""
    return tree._replace(args=(change(tree.args[0]),)) if tree.head in ("quantity", "percent") else change(tree)


def _of_quantities(head: Literal["add", "multiply"], args: list[Node]) -> Node:
    """A sum whose last term alone has a unit, or all of them the same, has that unit; so has a product with one unit.

    Raises:
        MathSyntaxError: if there are several units.
    """
    if len(args) == 1:
        return args[0]
    measured = [arg for arg in args if arg.head == "quantity"]
    if not measured:
        return Node(head, tuple(args))
    if head == "add":
        fits = len({arg.text for arg in measured}) == 1 and (len(measured) == len(args) or measured == args[-1:])
    else:
        fits = len(measured) == 1
    if not fits:
        raise MathSyntaxError("expected one unit")
    values = tuple(arg.args[0] if arg.head == "quantity" else arg for arg in args)
    return Node("quantity", (Node(head, values),), measured[0].text)
