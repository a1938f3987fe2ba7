r"""The single values of an answer: numbers, names, functions, and what stands in brackets."""

from __future__ import annotations

from abc import abstractmethod

from mtgrpo_env.envs.symbolic.terms import AFTER_WORDS, TermParser
from mtgrpo_env.envs.symbolic.tokens import COMMA, MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node
from mtgrpo_env.envs.symbolic.vocabulary import MATRICES, SYSTEMS

_CLOSING = {"(": ")]", "[": "])"}
_INFINITY = Node("constant", text="infinity")
REALS = Node("brackets", (Node("negate", (_INFINITY,)), _INFINITY), "()")


class AtomParser(TermParser):
    """Reads single values; what stands in brackets may be a whole answer again."""

    @abstractmethod
    def answer(self) -> Node:
        """One or several solutions."""

    def _atom(self, *, juxtaposed: bool = True) -> Node:
        kind, text = self.advance()
        match kind:
            case "number":
                return self._number(text) if juxtaposed else Node("number", text=text)
            case "letter" if text == "P" and self.next.text == "(" and self.count("|", within="()") == 1:
                return self._conditional(text)
            case "letter":
                return Node("symbol", text=text + self._subscript())
            case "constant":
                return Node("constant", text=text)
            case "mark":
                return Node("symbol", text=f"{text} {self._marked()}")
            case "function":
                return self._call(text)
            case "command":
                return self._command(text)
            case "begin":
                return self._environment(text)
            case "unit" if len(text) == 1:
                return Node("symbol", text=text + self._subscript())
            case "words" | "unit":
                return self._words(text)
            case _:
                return self._enclosed(kind, text)

    def _words(self, first: str) -> Node:
        """Words in the place of a value, which end where a value would."""
        words = [first.casefold()]
        while self.next.kind in ("words", "unit"):
            words.append(self.advance().text.casefold())
        if self.next.text not in AFTER_WORDS:
            raise MathSyntaxError(f"expected the end of a value behind {words[-1]!r:.40}, got {self.next.text!r:.40}")
        return Node("words", text=" ".join(words))

    def _enclosed(self, kind: str, text: str) -> Node:
        if kind == "sign" and text in _CLOSING:
            return self._bracketed(text)
        if kind == "sign" and text in ("{", "\\{"):
            return self._braced(text)
        if kind == "sign" and text == "|":
            return self._absolute()
        raise MathSyntaxError(f"expected a value, got {text or 'the end'!r}")

    def _number(self, text: str) -> Node:
        if self.next.text in ("overline", "dot", "bar") and "." in text:
            mark, repeated = self.advance().text, self.digits()
            return Node("number", text=f"{text}({repeated}{self._last_repeated() if mark == 'dot' else ''})")
        number = Node("number", text=text)
        if text.isdecimal() and self.take("_"):
            return Node("based", text=text, args=(Node("number", text=self.digits()),))
        if self.next.text == "frac" and text.isdecimal():
            fraction = self._factor_without_power()
            whole = fraction.head == "multiply" and all(_is_whole(factor) for factor in fraction.args)
            return Node("add" if whole else "multiply", (number, fraction))  # a mixed number
        if self.next.kind == "number":  # "3 1/2" is one too
            numerator = self._factor_without_power()
            self.expect("/")
            denominator = Node("reciprocal", (self._factor_without_power(),))
            if all(_is_whole(part) for part in (number, numerator, denominator)):
                return Node("add", (number, Node("multiply", (numerator, denominator))))
            raise MathSyntaxError("expected an operator between two numbers")
        return number

    def _last_repeated(self) -> str:
        r"""What repeats up to a second dot: of `0.\dot{1}42\dot{8}` the 428."""
        between = self.advance().text if self.next.kind == "number" and self.second.text == "dot" else ""
        if self.next.text != "dot":
            return ""
        self.advance()
        return between + self.digits()

    def _subscript(self) -> str:
        """The index and the primes of a name."""
        index = ""
        if self.take("_"):
            braces = self.take("{")
            index = "_"
            while self._continues_index() or (braces and self.next == COMMA):
                index += self.advance().text
                if not braces:
                    break
            if braces:
                self.expect("}")
            if index == "_":
                raise MathSyntaxError(f"expected a name or a number as subscript, got {self.next.text!r}")
        while self.take("'"):
            index += "'"
        return index

    def _continues_index(self) -> bool:
        return self.next.kind in ("letter", "number", "unit", "words", "constant") and self.next.text.isalnum()

    def _conditional(self, name: str) -> Node:
        """The name of a probability under a condition: `P(A | B)`."""
        self.expect("(")
        self._bars += 1
        event = self.answer()
        self.expect("|")
        condition = self.answer()
        self._bars -= 1
        self.expect(")")
        return Node("multiply", (Node("symbol", text=name), Node("brackets", (event, condition), "(|)")))

    def _marked(self) -> str:
        r"""The letters that a mark stands over or before: `\overline{AB}`, `\angle ABC`."""
        braces = self.take("{")
        letters = ""
        while self.next.kind in ("letter", "constant") and self.next.text.isalpha():
            letters += self.advance().text + self._subscript()
        if not letters:
            raise MathSyntaxError(f"expected letters, got {self.next.text!r}")
        if braces:
            self.expect("}")
        return letters

    def _command(self, name: str) -> Node:
        match name:
            case "frac":
                numerator = self._argument()
                return Node("multiply", (numerator, Node("reciprocal", (self._argument(),))))
            case "binom":
                return Node("binomial", (self._argument(), self._argument()))
            case "sqrt":
                degree = Node("number", text="2")
                if self.take("["):
                    degree = self._sum()
                    self.expect("]")
                return Node("root", (self._factor_without_power(), degree))
            case "emptyset":
                return Node("set")
            case "mathbb":
                field = self._argument().text
                return REALS if field == "R" else Node("symbol", text=f"mathbb {field}")
            case "lfloor" | "lceil":
                head, closing = ("floor", "rfloor") if name == "lfloor" else ("ceiling", "rceil")
                inside = self._sum()
                self.expect(closing)
                return Node(head, (inside,))
            case "langle":
                return self._angle()
            case _:
                raise MathSyntaxError(f"unexpected '\\{name}'")

    def _angle(self) -> Node:
        inside = self._inside()
        self.expect("rangle")
        if inside.head != "list":
            raise MathSyntaxError("expected several values between angle brackets")
        return Node("brackets", inside.args, "()")

    def _call(self, name: str) -> Node:
        base = self._argument() if name == "log" and self.take("_") else None
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
        return Node("determinant", tree.args) if tree.head == "matrix" else Node("absolute", (tree,))

    def _inside(self) -> Node:
        """An answer in brackets, where bars are opened and closed anew."""
        bars, self._bars = self._bars, 0
        inside = self.answer()
        self._bars = bars
        return inside

    def _bracketed(self, opening: str) -> Node:
        if self.next.kind == "begin" and self.next.text in ("array", "matrix", "smallmatrix"):
            matrix = self._environment(self.advance().text)
            self.expect(_CLOSING[opening][0])
            return matrix
        inside = self._inside()
        closing = self.expect(*_CLOSING[opening])
        if inside.head == "list":
            return Node("brackets", inside.args, opening + closing)
        if closing not in _CLOSING[opening][0]:
            raise MathSyntaxError(f"expected {_CLOSING[opening][0]} after a single value, got {closing!r}")
        return inside

    def _braced(self, opening: str) -> Node:
        closing = opening.replace("{", "}")
        if opening == "\\{" and self.take(closing):
            return Node("set")
        if opening == "\\{" and self.next.kind == "begin":  # a system, whose right brace is left out
            return self._environment(self.advance().text)
        if opening == "\\{" and self.next.kind == "letter" and self.second.text in ("|", ":", "in"):
            return self._built_set()
        inside = self._inside()
        if operator := self.take("over", "choose"):
            below = self._inside()
            inside = (
                Node("multiply", (inside, Node("reciprocal", (below,))))
                if operator == "over"
                else Node("binomial", (inside, below))
            )
        self.expect(closing)
        if opening == "{":
            return inside
        return Node("set", inside.args if inside.head == "list" else (inside,))

    def _built_set(self) -> Node:
        """`{x in R | x > 3}` says no more than what it says of x."""
        self.advance()
        domain = REALS
        if self.take("in"):
            self._bars += 1
            domain = self._sum()
            self._bars -= 1
        said = self._inside() if self.take("|", ":") else domain
        self.expect("\\}")
        if said is not domain and (domain != REALS or said.head not in ("relation", "list", "union")):
            raise MathSyntaxError("expected what real numbers are in the set")
        return said

    def _environment(self, name: str) -> Node:
        """A matrix, or a system of relations."""
        if name not in MATRICES | SYSTEMS:
            raise MathSyntaxError(f"unexpected environment {name!r}")
        rows = [self._row()]
        while self.take("\\\\"):
            if self.next.kind != "end":
                rows.append(self._row())
        if self.advance() != ("end", name):
            raise MathSyntaxError(f"expected the end of {name}")
        if name in SYSTEMS or all(row.args[0].head == "relation" for row in rows):
            return Node("list", tuple(arg for row in rows for arg in row.args), "and")
        return Node("determinant" if name == "vmatrix" else "matrix", tuple(rows))

    def _row(self) -> Node:
        entries = [self._inside()]
        while self.take("&"):
            entries.append(self._inside())
        return Node("row", tuple(entries))


def _is_whole(tree: Node) -> bool:
    if tree.head == "reciprocal":
        return _is_whole(tree.args[0])
    return tree.head == "number" and tree.text.isdecimal()
