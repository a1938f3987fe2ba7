r"""Reading mathematical answers: a small grammar for what stands in a `\boxed{}`, LaTeX and plain text mixed.

Recursive descent with one token of look-ahead, no backtracking and a cap on depth: linear time and no
deep recursion on any text. Nothing is evaluated here.

    answer    = relation {"," relation}                     several: any order
    relation  = union {("=" | "<" | ">" | "<=" | ">=") union}
    union     = sum {\cup sum}
    sum       = product {("+" | "-" | \pm | \mp) product}
    product   = factor {["*" | "/"] factor}
    factor    = ("+" | "-" | \pm | \mp) factor | atom {"!" | "%" | "°" | unit} ["^" factor]
"""

from __future__ import annotations

from mtgrpo_env.envs.symbolic.tokens import Cursor, MathSyntaxError, Token, tokens
from mtgrpo_env.envs.symbolic.tree import Node

MAX_DEPTH = 32


def parse(text: str, *, commas_group: bool = True) -> Node:
    r"""The tree of an answer.

    Args:
        text: hostile input.
        commas_group: read `1,000` as one number, not as a list of two.

    Raises:
        MathSyntaxError: if the grammar does not cover the text, or it is too long or too deep.

    >>> parse(r"\frac12") == parse("1/2")
    True
    """
    parser = _Parser(tokens(text.strip().removesuffix("."), commas_group=commas_group))
    tree = parser.answer()
    if parser.next.text:
        raise MathSyntaxError(f"expected the end, got {parser.next.text!r} in {text!r:.80}")
    return tree


_RELATIONS = frozenset({"=", "<", ">", "<=", ">="})
_SIGNS = {"+": "+", "-": "-", "pm": "+", "mp": "-"}
_CLOSING = {"(": ")]", "[": "])"}
_DEGREE = Node("multiply", (Node("constant", text="pi"), Node("reciprocal", (Node("number", text="180"),))))


class _Parser(Cursor):
    def __init__(self, found: list[Token]) -> None:
        super().__init__(found)
        self._depth = 0
        self._bars = 0  # open |
        self._calls = 0  # open functions: inside, an angle in degrees is an angle, outside ° is a unit

    def answer(self) -> Node:
        items = [self._relation()]
        while self.take(","):
            if self.next.kind != "sign" or self.next.text != ",":  # "1, 2, and 3"
                items.append(self._relation())
        return items[0] if len(items) == 1 else Node("list", tuple(items))

    def _relation(self) -> Node:
        sides, signs = [self._union()], list[str]()
        while True:
            if not signs and self.take("in"):  # "x in (0, 1)" says no more than the interval
                sides = [self._union()]
            elif sign := self.take(*_RELATIONS):
                signs.append(sign)
                sides.append(self._union())
            else:
                return Node("relation", tuple(sides), " ".join(signs)) if signs else sides[0]

    def _union(self) -> Node:
        parts = [self._sum()]
        while self.take("cup"):
            parts.append(self._sum())
        return parts[0] if len(parts) == 1 else Node("union", tuple(parts))

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
            return text in ("(", "[", "\\{", "{") or (text == "|" and not self._bars)
        return kind in ("letter", "constant", "function") or text in ("frac", "sqrt", "binom")

    def _factor(self) -> Node:
        self._enter()
        operator = self.take(*_SIGNS)
        tree = _signed(operator, self._factor()) if operator else self._power()
        self._depth -= 1
        return tree

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
        if self.take("°"):
            tree = self._degrees(tree)
        while self.next.kind == "unit":
            self.advance()
            if self.take("^"):  # square and cubic units
                self.digits()
        return tree

    def _degrees(self, tree: Node) -> Node:
        return Node("multiply", (tree, _DEGREE)) if self._calls else tree

    def _atom(self, *, juxtaposed: bool = True) -> Node:
        """A single value; a number takes what follows it along, as in a mixed number, if `juxtaposed`."""
        kind, text = self.advance()
        if kind == "number":
            return self._number(text) if juxtaposed else Node("number", text=text)
        if kind == "letter":
            return Node("symbol", text=text + self._subscript())
        if kind == "constant":
            return Node("constant", text=text)
        if kind == "function":
            return self._call(text)
        if kind == "command":
            return self._command(text)
        if kind == "sign" and text in ("(", "["):
            return self._bracketed(text)
        if kind == "sign" and text in ("{", "\\{"):
            return self._braced(text)
        if kind == "sign" and text == "|":
            return self._absolute()
        raise MathSyntaxError(f"expected a value, got {text or 'the end'!r}")

    def _number(self, text: str) -> Node:
        if self.next.text == "overline" and "." in text:
            self.advance()
            return Node("number", text=f"{text}({self.digits()})")
        number = Node("number", text=text)
        if text.isdecimal() and self.take("_"):
            return Node("based", text=text, args=(Node("number", text=self.digits()),))
        if self.next.text == "frac" and text.isdecimal():
            fraction = self._factor()
            whole = fraction.head == "multiply" and all(_is_whole(factor) for factor in fraction.args)
            return Node("add" if whole else "multiply", (number, fraction))  # a mixed number
        if self.next.kind == "number":  # "3 1/2" is one too
            numerator = self._atom()
            self.expect("/")
            denominator = Node("reciprocal", (self._atom(),))
            if all(_is_whole(part) for part in (number, numerator, denominator)):
                return Node("add", (number, Node("multiply", (numerator, denominator))))
            raise MathSyntaxError("expected an operator between two numbers")
        return number

    def _subscript(self) -> str:
        if not self.take("_"):
            return ""
        braces = self.take("{")
        kind, name = self.advance()
        if kind not in ("letter", "number", "unit") or not name.isalnum():
            raise MathSyntaxError(f"expected a name or a number as subscript, got {name!r}")
        if braces:
            self.expect("}")
        return "_" + name

    def _command(self, name: str) -> Node:
        if name == "frac":
            numerator = self._argument()
            return Node("multiply", (numerator, Node("reciprocal", (self._argument(),))))
        if name == "binom":
            return Node("binomial", (self._argument(), self._argument()))
        if name == "sqrt":
            degree = Node("number", text="2")
            if self.take("["):
                degree = self._sum()
                self.expect("]")
            return Node("root", (self._factor_without_power(), degree))
        if name == "emptyset":
            return Node("set")
        if name == "mathbb":
            return Node("symbol", text=f"mathbb {self._argument().text}")
        raise MathSyntaxError(f"unexpected '\\{name}'")

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

    def _call(self, name: str) -> Node:
        base = self._log_base() if name == "log" else None
        power = self._function_power()
        self._calls += 1
        if self.next.text in ("(", "{", "[", "|"):
            argument = self._postfix(self._factor_without_power())
        else:
            factors = [self._factor()]
            while self._starts_factor() and self.next.kind != "function":
                factors.append(self._factor())
            argument = factors[0] if len(factors) == 1 else Node("multiply", tuple(factors))
        self._calls -= 1
        if power == Node("negate", (Node("number", text="1"),)):
            name, power = f"arc{name}", None
        value = Node("call", (argument,), name) if base is None else Node("log", (argument, base))
        return value if power is None else Node("power", (value, power))

    def _log_base(self) -> Node | None:
        return self._argument() if self.take("_") else None

    def _function_power(self) -> Node | None:
        if not self.take("^"):
            return None
        if not self.take("{"):
            return self._argument()
        power = self._sum()
        self.expect("}")
        return power

    def _absolute(self) -> Node:
        self._bars += 1
        tree = self._sum()
        self._bars -= 1
        self.expect("|")
        return Node("absolute", (tree,))

    def _bracketed(self, opening: str) -> Node:
        bars, self._bars = self._bars, 0
        inside = self.answer()
        closing = self.expect(*_CLOSING[opening])
        self._bars = bars
        if inside.head == "list":
            return Node("brackets", inside.args, opening + closing)
        if closing not in _CLOSING[opening][0]:
            raise MathSyntaxError(f"expected {_CLOSING[opening][0]} after a single value, got {closing!r}")
        return inside

    def _braced(self, opening: str) -> Node:
        bars, self._bars = self._bars, 0
        closing = opening.replace("{", "}")
        if opening == "\\{" and self.take(closing):
            tree = Node("set")
        else:
            inside = self.answer()
            self.expect(closing)
            items = inside.args if inside.head == "list" else (inside,)
            tree = Node("set", items) if opening == "\\{" or inside.head == "list" else inside
        self._bars = bars
        return tree


def _signed(operator: str, tree: Node) -> Node:
    if operator in ("pm", "mp"):
        return Node("sign", (tree,), _SIGNS[operator])
    return tree if operator == "+" else Node("negate", (tree,))


def _is_whole(tree: Node) -> bool:
    if tree.head == "reciprocal":
        return _is_whole(tree.args[0])
    return tree.head == "number" and tree.text.isdecimal()
