"""Mutants of a module's source: one operator, constant, argument or statement changed at a time.

Text, annotations, docstrings and messages stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_PAIRS = {"min": "max", "minimum": "maximum", "any": "all", "floor": "ceil", "argmin": "argmax"}
_OPPOSITES = {**_PAIRS, **{right: left for left, right in _PAIRS.items()}}


@dataclass(frozen=True)
class Mutant:
    """One change of a module.

    Attributes:
        function: that it is in, "Class.name"; "" outside of any.
        change: "old → new", as Python writes it.
        line: where the statement that was changed begins.
        data: names of the constants or class attributes that it may change; none in a function's arguments, None in its
            body.
        code: of the whole module.
    """

    function: str
    change: str
    line: int
    data: frozenset[str] | None
    code: CodeType

    @property
    def name(self) -> str:
        return f"{self.function or '(module)'}: {self.change}"


def mutants(source: str, file: str) -> Iterator[Mutant]:
    """All mutants of a module, in the order of its source; those that do not compile are left out."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):  # no mutant is registered anywhere
            node.decorator_list = [one for one in node.decorator_list if "dataclass" in ast.unparse(one)]
        elif isinstance(node, ast.FunctionDef) and "super()" in ast.unparse(node):
            node.body.append(ast.parse("if 0:\n    __class__").body[0])  # a cell, also without `super`
    for function, data, line, parent, field, index in _sites(tree, "", frozenset(), 0):
        place = getattr(parent, field)
        old = place if index is None else place[index]
        for new in _alternatives(old):
            _put(parent, field, index, ast.copy_location(new, old))
            ast.fix_missing_locations(tree)
            change = f"{_shown(old)} → {_shown(new)}"
            try:
                yield Mutant(function, change, line, data, compile(tree, file, "exec"))
            except SyntaxError:
                pass
            finally:
                _put(parent, field, index, old)


def probed(source: str, file: str) -> CodeType:
    """The module with a call of `_probe(file, line)`, a builtin, before every statement of its functions."""
    tree = ast.parse(source)
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        for node in [node for node in ast.walk(function) if not isinstance(node, ast.ClassDef)]:
            for field in ("body", "orelse", "finalbody"):
                block = getattr(node, field, None)
                if isinstance(block, list) and not any(_is_probe(statement) for statement in block):
                    setattr(node, field, [new for old in block for new in (_probe(file, old.lineno), old)])
    return compile(ast.fix_missing_locations(tree), file, "exec")


def _probe(file: str, line: int) -> ast.stmt:
    return ast.parse(f"_probe({file!r}, {line})").body[0]


def _is_probe(statement: ast.stmt) -> bool:
    return ast.unparse(statement).startswith("_probe(")


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _shown(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


_Site = tuple[str, frozenset[str] | None, int, ast.AST, str, int | None]


def _sites(parent: ast.AST, function: str, data: frozenset[str] | None, line: int) -> Iterator[_Site]:
    """(function, data, line, parent, field, index) of each statement and expression that may change."""
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "decorator_list") or isinstance(parent, ast.JoinedStr | ast.Raise):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_assertion(child):
                continue
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                yield from _sites(child, f"{function}.{child.name}".lstrip("."), None, child.lineno)
                continue
            names = frozenset[str]() if isinstance(parent, ast.FunctionDef) and field == "args" else data
            if isinstance(parent, ast.Module | ast.ClassDef) and field == "body":
                names = _assigned(child)
                if not names:
                    continue
            begins = child.lineno if isinstance(child, ast.stmt) else line
            if isinstance(child, ast.stmt | ast.expr):
                yield function, names, begins, parent, field, index
            yield from _sites(child, function, names, begins)


def _assigned(statement: ast.AST) -> frozenset[str]:
    """Names that a statement of a module or a class gives a value."""
    match statement:
        case ast.Assign(targets, _):
            return frozenset(target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(ast.Name(name), _, value) if value is not None:
            return frozenset({name})
    return frozenset()


def _is_assertion(node: ast.AST) -> bool:
    """What no correct program depends on: types, and that what is zipped has one length."""
    if isinstance(node, ast.keyword):
        return node.arg in ("strict", "bound")
    if isinstance(node, ast.FunctionDef):
        return any(_shown(decorator) in ("overload", "abstractmethod") for decorator in node.decorator_list)
    return isinstance(node, ast.If) and _shown(node.test) in ("TYPE_CHECKING", "0")


def _alternatives(node: Any) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.Compare(left, [operator], [right]):
            for other in _COMPARISONS[type(operator)]:
                yield ast.Compare(left, [other()], [right])
        case ast.Compare(left, operators, rights):
            for i, operator in enumerate(operators):
                for other in _COMPARISONS[type(operator)]:
                    yield ast.Compare(left, [*operators[:i], other(), *operators[i + 1 :]], rights)
        case ast.BinOp(left, operator, right) if type(operator) in _ARITHMETIC:
            yield ast.BinOp(left, _ARITHMETIC[type(operator)](), right)
        case ast.AugAssign(target, operator, value) if type(operator) in _ARITHMETIC:
            yield ast.AugAssign(target, _ARITHMETIC[type(operator)](), value)
            yield ast.Pass()
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub() | ast.Invert(), operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)) | ast.Constant(float(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.If(test, body, orelse) if _is_plain(test):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse) if _is_plain(test):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Call():
            yield from _calls(node)
        case ast.Return(value) if value is not None and not _is_nothing(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value) if not isinstance(value, ast.Constant):
            yield ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript()]) | ast.Assert():
            yield ast.Pass()
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
            yield ast.Pass()


def _is_plain(test: ast.expr) -> bool:
    """No other operator changes it."""
    return not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp)


def _is_nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _calls(call: ast.Call) -> Iterator[ast.Call]:
    """The opposite function, and each argument by keyword left out."""
    match call.func:
        case ast.Name(name) if name in _OPPOSITES:
            yield ast.Call(ast.Name(_OPPOSITES[name], ast.Load()), call.args, call.keywords)
        case ast.Attribute(value, name) if name in _OPPOSITES:
            yield ast.Call(ast.Attribute(value, _OPPOSITES[name], ast.Load()), call.args, call.keywords)
    for i, keyword in enumerate(call.keywords):
        if keyword.arg is not None and not _is_assertion(keyword):
            yield ast.Call(call.func, call.args, [*call.keywords[:i], *call.keywords[i + 1 :]])
