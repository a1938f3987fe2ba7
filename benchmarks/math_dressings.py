r"""Dressings, which keep an answer right, and near misses, which make it wrong; each says which shapes it is for.

A shape says how a truth is put together, as the headings of `math_truths.txt` name it: "value", "list", "tuple" ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

SHAPES = frozenset(
    {"value", "ratio", "equation", "inequality", "interval", "union", "set", "list", "tuple", "tuples", "matrix"}
    | {"words"}
)
_MATHS = SHAPES - {"words"}
_ONE_VALUE = frozenset({"value"})
_STRANGER = "7777"  # a value that no truth has
_OPENING, _CLOSING = "([{", ")]}"


class Rewriting(NamedTuple):
    """A way to write a truth anew."""

    name: str
    shapes: frozenset[str]
    rewritten: Callable[[str], str | None]
    """None where it does not apply."""


def dressed(truth: str, shape: str) -> Iterator[tuple[str, str]]:
    """The name of a dressing and the truth in it, for all that apply."""
    return _rewritten(truth, shape, DRESSINGS)


def near_misses(truth: str, shape: str) -> Iterator[tuple[str, str]]:
    """The name of a mistake and the truth with it made, for all that apply."""
    return _rewritten(truth, shape, MISTAKES)


def wrapped(wrong: str, shape: str, place: int) -> str:
    """A wrong answer in one of the dressings that stand around an answer, another one at each place."""
    found = [text for _, text in _rewritten(wrong, shape, WRAPPINGS)]
    return found[(place + len(wrong)) % len(found)]


def _rewritten(truth: str, shape: str, ways: tuple[Rewriting, ...]) -> Iterator[tuple[str, str]]:
    for way in ways:
        if shape in way.shapes and (text := way.rewritten(truth)) not in (None, truth):
            yield way.name, str(text)


def members(text: str) -> list[str]:
    r"""The parts between commas outside brackets.

    >>> members(r"(1,2), \{3\}")
    ['(1,2)', '\\{3\\}']
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in _OPENING) - (character in _CLOSING)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _around(before: str, after: str) -> Callable[[str], str]:
    return lambda truth: f"{before}{truth}{after}"


def _replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def rewritten(truth: str) -> str:
        for old, new in pairs:
            truth = truth.replace(old, new)
        return truth

    return rewritten


def _plain(font: str) -> Callable[[str], str | None]:
    """A font of text, which typesets no commands and no powers."""
    return lambda truth: f"\\{font}{{{truth}}}" if not set("\\^_$") & set(truth) else None


def _inner(truth: str) -> tuple[str, list[str], str]:
    r"""The opening bracket, if there is one, the members, and the closing one: of `\{1,2\}`, `(1,2)` or `1,2`."""
    for opening, closing in (("\\{", "\\}"), ("(", ")")):
        if truth.startswith(opening) and truth.endswith(closing) and len(members(truth)) == 1:
            return opening, members(truth[len(opening) : -len(closing)]), closing
    return "", members(truth), ""


def _of_members(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    def rewritten(truth: str) -> str:
        opening, parts, closing = _inner(truth)
        return opening + ",".join(change(parts)) + closing

    return rewritten


def _joined(between: str, opening: str = "", closing: str = "") -> Callable[[str], str]:
    return lambda truth: opening + between.join(_inner(truth)[1]) + closing


def _spaced(parts: list[str]) -> list[str]:
    return [parts[0], *(rf"\, {part}" for part in parts[1:])]


def _negated_first(parts: list[str]) -> list[str]:
    return [f"-({parts[0]})" if parts[0] != "0" else _STRANGER, *parts[1:]]


def _negative(truth: str) -> str | None:
    signless = "\\pm" in truth or truth in ("0", "-i")
    return None if signless else truth[1:] if truth.startswith("-") and truth[1:].isalnum() else f"-({truth})"


def _bracket(opening: bool) -> Callable[[str], str]:
    """An interval with one of its brackets of the other kind."""
    other = {"(": "[", "[": "(", ")": "]", "]": ")"}
    return lambda truth: other[truth[0]] + truth[1:] if opening else truth[:-1] + other[truth[-1]]


def _swapped_ends(truth: str) -> str:
    low, high = members(truth[1:-1])
    return f"{truth[0]}{high},{low}{truth[-1]}"


def _pieces(truth: str) -> list[str]:
    return [piece.strip() for piece in truth.split("\\cup")]


def _with_first_entry(truth: str) -> str:
    head, _, rest = truth.partition("matrix}")
    first = rest.split("\\begin")[0].lstrip().split(" ")[0]
    return f"{head}matrix}} {_STRANGER}{rest.lstrip()[len(first) :]}"


_LISTS = frozenset({"list", "set", "tuples"})
WRAPPINGS = (
    Rewriting("as it stands, spaced", SHAPES, _around("  ", " \n")),
    Rewriting("dollar signs", SHAPES, _around("$", "$")),
    Rewriting("double dollar signs", _MATHS, _around("$$", "$$")),
    Rewriting(r"\(...\)", SHAPES, _around(r"\( ", r" \)")),
    Rewriting(r"\[...\]", _MATHS, _around(r"\[", r"\]")),
    Rewriting(r"\displaystyle", _MATHS, _around(r"\displaystyle ", "")),
    Rewriting(r"\mathbf", _MATHS, _around(r"\mathbf{", "}")),
    Rewriting(r"\boldsymbol", _MATHS, _around(r"\boldsymbol{", "}")),
    Rewriting(r"\mathit", _MATHS, _around(r"\mathit{", "}")),
    Rewriting(r"\textbf", SHAPES, _plain("textbf")),
    Rewriting(r"\mathrm", SHAPES, _plain("mathrm")),
    Rewriting(r"\textbf with dollar signs", _MATHS, _around(r"\textbf{$", "$}")),
    Rewriting(r"\boxed in the box", SHAPES, _around(r"\boxed{", "}")),
    Rewriting(r"\fbox in the box", SHAPES, _around(r"\fbox{$", "$}")),
    Rewriting("a colour", SHAPES, _around(r"\textcolor{blue}{", "}")),
    Rewriting("a colour declared", SHAPES, _around(r"\color{red} ", "")),
    Rewriting("a size", SHAPES, _around(r"\Large ", "")),
    Rewriting("thin spaces", SHAPES, _around(r"\,", r"\;")),
    Rewriting("braces", SHAPES, _around("{", "}")),
    Rewriting("full stop", SHAPES, lambda truth: None if truth.endswith((".", ".}")) else f"{truth}."),
    Rewriting("Markdown", SHAPES, _around("**", "**")),
)
DRESSINGS = (
    *WRAPPINGS,
    Rewriting(r"\dfrac", _MATHS, _replaced((r"\frac", r"\dfrac"))),
    Rewriting(r"\tfrac", _MATHS, _replaced((r"\frac", r"\tfrac"))),
    Rewriting(
        r"\left, \right",
        frozenset({"interval", "union", "tuple", "tuples"}),
        _replaced(("(", r"\left("), (")", r"\right)"), ("[", r"\left["), ("]", r"\right]")),
    ),
    Rewriting("named", _ONE_VALUE, _around("k = ", "")),
    Rewriting("equals sign", _ONE_VALUE, _around("= ", "")),
    Rewriting(r"x \in", frozenset({"interval", "union"}), _around(r"x \in ", "")),
    Rewriting("reversed", _LISTS, _of_members(lambda parts: parts[::-1])),
    Rewriting("joined by and", frozenset({"list", "tuples"}), _joined(r" \text{ and } ")),
    Rewriting("in braces", frozenset({"list", "tuples"}), _joined(", ", r"\{", r"\}")),
    Rewriting("spaced commas", _LISTS | {"tuple"}, _of_members(_spaced)),
)

# An exact value with a wrong approximation behind it is left out: the value is right, and what is said of it is not.
MISTAKES = (
    Rewriting("sign", _ONE_VALUE, _negative),
    Rewriting("hedge with or", SHAPES, _around("", rf" \text{{ or }} {_STRANGER}")),
    Rewriting("hedge with or, first", SHAPES, _around(rf"{_STRANGER} \text{{ or }} ", "")),
    Rewriting("one more value", SHAPES - {"words"}, _around("", f", {_STRANGER}")),
    Rewriting("one more value in braces", _ONE_VALUE, _around(r"\{", rf", {_STRANGER}\}}")),
    Rewriting("chain to another value", _ONE_VALUE, _around("", f" = {_STRANGER}")),
    Rewriting("chain from another value", _ONE_VALUE, _around(f"{_STRANGER} = ", "")),
    Rewriting("named chain from another value", _ONE_VALUE, _around(f"x = {_STRANGER} = ", "")),
    Rewriting("not", SHAPES, _around(r"\text{not } ", "")),
    Rewriting("unequal", _ONE_VALUE, _around(r"x \neq ", "")),
    Rewriting("greater", _ONE_VALUE, _around("x > ", "")),
    Rewriting("approximately equal to another value", _ONE_VALUE, _around(rf"{_STRANGER} \approx ", "")),
    Rewriting("plus-minus", _ONE_VALUE, lambda truth: None if "\\pm" in truth or truth == "0" else rf"\pm {truth}"),
    Rewriting("one added", _ONE_VALUE, _around("", " + 1")),
    Rewriting("as a pair", _ONE_VALUE, lambda truth: f"({truth}, {truth})"),
    Rewriting("open and closed", frozenset({"interval"}), _bracket(opening=True)),
    Rewriting("closed and open", frozenset({"interval"}), _bracket(opening=False)),
    Rewriting("ends swapped", frozenset({"interval"}), _swapped_ends),
    Rewriting("a piece too few", frozenset({"union"}), lambda truth: _pieces(truth)[0]),
    Rewriting("intersection", frozenset({"union"}), _replaced((r"\cup", r"\cap"))),
    Rewriting("a member too few", _LISTS | {"tuple"}, _of_members(lambda parts: parts[1:] or [_STRANGER])),
    Rewriting("a member too many", _LISTS | {"tuple"}, _of_members(lambda parts: [*parts, _STRANGER])),
    Rewriting("a member's sign", frozenset({"list", "set", "tuple"}), _of_members(_negated_first)),
    Rewriting("a member twice for another", _LISTS, _of_members(lambda parts: [parts[-1], *parts[1:]])),
    Rewriting("the other way round", frozenset({"ratio"}), lambda truth: ":".join(reversed(truth.split(":")))),
    Rewriting("an entry", frozenset({"matrix"}), _with_first_entry),
    Rewriting("the determinant", frozenset({"matrix"}), _replaced(("pmatrix", "vmatrix"))),
    Rewriting("the negative", frozenset({"matrix"}), _around("-", "")),
    Rewriting("the other relation", frozenset({"equation"}), _replaced(("=", r"\neq"))),
    Rewriting("one side alone", frozenset({"equation"}), lambda truth: truth.partition("=")[0]),
    Rewriting("another right side", frozenset({"equation"}), _around("", " + 1")),
)
