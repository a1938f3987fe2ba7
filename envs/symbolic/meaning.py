r"""What an answer says of its variables: their names and their values.

`x = 5` says 5, `(x, y) = (1, 2)` says what `x = 1, y = 2` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import ascii_uppercase

from mtgrpo_env.envs.symbolic.tree import Node, nodes
from mtgrpo_env.envs.symbolic.vocabulary import GREEK, GREEK_ALPHABET

_FUNCTIONS = frozenset("fghpq" + ascii_uppercase) | {
    "mathbb P",
    "mathbb E",
}  # in `f(2) = 7`; another letter beside a number is a factor
_ARITHMETIC = frozenset({"phi", "varphi", "sigma", "tau"})  # functions of whole numbers
_ARGUMENTS = frozenset({"symbol", "brackets", "union", "intersection", "relation"})
_CALLS = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
_MIRRORED = {"=": "=", ">": "<", ">=": "<=", "!=": "!="}
_DENIALS = frozenset(["not", "no", "nor", "wrong", "but", "except", "never", "neither", "false"])
_POLAR = ("r", "rho", "theta", "phi", "varphi", "z")
_D = Node("symbol", text="d")
_INVERSE = Node("negate", (Node("number", text="1"),))


def is_name(tree: Node) -> bool:
    r"""Whether a tree names a value, and is none: `x`, `AB`, `f(x)`, `x + y`, `\sin A`, `NO/BO`, `V_1 : V_2`."""
    match tree:
        case Node("multiply", (Node("symbol", text=function), Node("number" | "negate"))):
            return function.rstrip("'") in _FUNCTIONS | _ARITHMETIC
        case Node("power", (Node("symbol", text=name), exponent)):  # of a matrix
            return name[0].isupper() and (exponent == _INVERSE or exponent.text == "T")
        case Node("add", args):
            return all(map(_is_named_term, args)) and args[0].head != "negate" and _are_different(tree)
        case Node("call", (Node("symbol"),), name):
            return name in _CALLS
        case Node("multiply" | "ratio" | "union" | "intersection" | "brackets" | "matrix" | "row" | "reciprocal", args):
            return is_label(tree) or (all(map(is_name, args)) and _are_different(tree))
        case _:
            return is_label(tree)


def _is_named_term(tree: Node) -> bool:
    term = tree.args[0] if tree.head == "negate" else tree
    is_square = term.head == "power" and [arg.head for arg in term.args] == ["symbol", "number"]
    return is_square or is_name(term)


def _are_different(tree: Node) -> bool:
    """Whether no variable stands in a tree twice: `x + x = 7` says that x is 3.5. Points may, as in `AB + BC`."""
    names = [node.text for node in nodes(tree) if _is_variable(node)]
    return len(names) == len(set(names))


def _is_variable(tree: Node) -> bool:
    return tree.head == "symbol" and not _is_capital(tree)


def is_label(tree: Node) -> bool:
    """Whether a tree is a name and could be nothing else: of `x + y = 7` and `xy = 7`, 7 is no whole solution."""
    match tree:
        case Node("symbol"):
            return True
        case Node("words", (), text):
            return not _DENIALS & {*text.split()}
        case Node("absolute", (inner,)):  # the length of a segment, the size of a set
            return _has_length(inner)
        case Node("multiply", (Node("symbol", text=function), argument)) if function.rstrip("'") in _FUNCTIONS:
            return argument.head in _ARGUMENTS
        case Node("multiply", (Node("power", (Node("symbol"), exponent)), Node("symbol" | "number"))):  # f^{-1}(x)
            return exponent == _INVERSE
        case Node("multiply", (Node("symbol"), Node("symbol", text=marked))) if " " in marked:  # m\angle A
            return True
        case Node("multiply") if _is_derivative(tree):
            return True
        case Node("multiply" | "ratio", args):
            return all(_are_points(arg.args[0] if arg.head == "reciprocal" else arg) for arg in args)
        case _:
            return False


def _is_derivative(tree: Node) -> bool:
    r"""Whether a tree is `\frac{dy}{dx}`, `\frac{d^2y}{dx^2}`, or `\frac{d}{dx}` of a formula."""
    match tree:
        case Node("multiply", (Node("multiply", (above, Node("reciprocal"))) as operator, *_)):
            return above == _D and _is_derivative(operator)
        case Node("multiply", (above, Node("reciprocal", (Node("multiply", (below, *_)),)))):
            return _is_d(above.args[0] if above.head == "multiply" else above) and _is_d(below)
        case _:
            return False


def _is_d(tree: Node) -> bool:
    return (tree.args[0] if tree.head == "power" else tree) == _D


def _has_length(tree: Node) -> bool:
    """Whether bars around a tree are a length or a modulus: of points, vectors, the complex number z and their sums."""
    match tree:
        case Node("add" | "negate", args):
            return all(map(_has_length, args)) and _are_different(tree)
        case Node("multiply", (Node("number"), inner)):
            return _has_length(inner)
        case Node("symbol", text=name) if " " in name or name.partition("_")[0] == "z":
            return True
        case _:
            return _are_points(tree)


def _are_points(tree: Node) -> bool:
    """Whether capital letters name a segment, a figure or its measure: `A`, `BO`, `V_1`."""
    return all(map(_are_points, tree.args)) if tree.head == "multiply" else _is_capital(tree)


def _is_capital(tree: Node) -> bool:
    return tree.head == "symbol" and tree.text[0].isupper()


def is_equation(tree: Node) -> bool:
    r"""Whether a tree is an equation or a chain of them, such as `x = \frac13 \approx 0.33`."""
    return tree.head == "relation" and set(tree.text.split()) <= {"=", "~"}


def chain(tree: Node) -> tuple[Node, ...]:
    r"""The values that a chain of equalities gives: without names, and without what is only about as large.

    `x = 3 \cdot 4 + 2 = 14` gives two, `x = 1/3 \approx 0.33` gives one, and so does `k = ab`, whose value could be a
    name; () for anything else.
    """
    return _values(tree, is_name)


def solved(tree: Node) -> tuple[Node, ...]:
    """As `chain` for a truth, which is answered by its values alone only if nothing else could be its name."""
    values = _values(tree, is_label)
    return () if len(values) == 1 and is_label(values[0]) else values


def _values(tree: Node, is_name: Callable[[Node], bool]) -> tuple[Node, ...]:
    if not is_equation(tree):
        return ()
    members = list(zip(tree.args, ["=", *tree.text.split()], strict=True))
    of_matrices = members[-1][0].head == "matrix"
    while len(members) > 1 and (is_name(members[0][0]) or (of_matrices and _is_matrix_power(members[0][0]))):
        del members[0]
    if not any(_is_variable(node) for arg, _ in members if not is_name(arg) for node in nodes(arg)):  # "5 = x"
        members = [(arg, sign) for arg, sign in members if not is_name(arg)] or members
    exact = [arg for arg, sign in members if sign == "="]
    return tuple(exact or [arg for arg, _ in members])


def _is_matrix_power(tree: Node) -> bool:
    return tree.head == "power" and _is_capital(tree.args[0]) and tree.args[1].head == "number"


def assignments(tree: Node) -> Mapping[Node, Node] | None:
    """The value of each name of a system such as `x = 1, y = 2`, in the order as written; None for anything else."""
    if tree.head == "relation" and tree.text == "=":
        names, values = map(_coordinates, tree.args)
        if names and len(names) == len(values) and all(map(is_name, names)):
            return dict(zip(names, values, strict=True))
    if tree.head != "list" or tree.text not in (",", "and"):
        return None
    found: dict[Node, Node] = {}
    for member in tree.args:
        if member.head != "relation" or member.text != "=" or not is_name(member.args[0]) or member.args[0] in found:
            return None
        found[member.args[0]] = member.args[1]
    return found


def _coordinates(tree: Node) -> tuple[Node, ...]:
    """The entries of a tuple, or of a column."""
    if tree.head == "matrix" and all(len(row.args) == 1 for row in tree.args):
        return tuple(row.args[0] for row in tree.args)
    return tree.args if tree.head == "brackets" else ()


def in_order(values: Mapping[Node, Node]) -> tuple[Node, ...]:
    """The values in the order of their names: polar coordinates as usual, others by the alphabet, Greek ones last."""
    letters = {name.text.partition("_")[0] for name in values}
    if letters <= {*_POLAR}:
        return tuple(
            values[name] for name in sorted(values, key=lambda name: _POLAR.index(name.text.partition("_")[0]))
        )
    if any(len(letter) > 1 and letter not in GREEK for letter in letters):
        return tuple(values.values())
    return tuple(values[name] for name in sorted(values, key=_place))


def are_numbered(names: Mapping[Node, Node]) -> bool:
    """Whether the names differ only in their index: `x_1` and `x_2` are two solutions for one variable."""
    return len({name.text.partition("_")[0] for name in names}) == 1 and all(name.head == "symbol" for name in names)


def _place(name: Node) -> tuple[int, str, int, str]:
    letter, _, index = name.text.partition("_")
    return GREEK_ALPHABET.get(letter, 0), letter, int(index) if index.isdecimal() and len(index) < 5 else 0, index


def ascending(relation: Node) -> Node:
    """A relation with its signs turned to "<" and "<=", if all of them can be."""
    signs = relation.text.split()
    if relation.head != "relation" or not all(sign in _MIRRORED for sign in signs) or {*signs} == {"="}:
        return relation
    return Node("relation", relation.args[::-1], " ".join(_MIRRORED[sign] for sign in reversed(signs)))
