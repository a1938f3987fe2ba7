"""Checks of texts, formulas and puzzles that stand in for reasoning-gym's scorers: an answer against an entry.

Answers are hostile texts. Linear time, and nothing is evaluated but our own trees; see also `reasoning_gym_numbers`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mtgrpo_env.envs.countdown_answers import solves
from mtgrpo_env.envs.dress import undressed
from mtgrpo_env.envs.symbolic.antiderivatives import same_antiderivative
from mtgrpo_env.envs.symbolic.grading import grade
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node, nodes

_TYPESETTING = re.compile(
    r"\\text\{([^{}]*)\}"  # keeps its words
    r"|\\(?:quad|qquad)(?![A-Za-z])|\\[,;:! ]|(?<=\S)~"  # become a blank
    r"|\\(?:left|right)(?![A-Za-z])"  # are dropped
    r"|\\(rightarrow|to|times|cdot)(?![A-Za-z])"  # have a character of their own
    r"|\\([_#&%{}])"
)
_CHARACTERS = {"rightarrow": "→", "to": "→", "times": "×", "cdot": "×"}
_GROUP = re.compile(r"\{([^{}:]*)\}")  # not an object of JSON
_ASSIGNMENT = re.compile(r"\s*([A-Z])\s?=\s?([0-9])\s*")
_CLAIM = re.compile(r"(\S+) (?:is )?(?:an? )?(\S+)")
_CLAIM_ENDS = re.compile(r"[,.;\n]|\band\b")


def plain(text: str) -> str:
    r"""An answer without dress, and what LaTeX spells out in characters.

    >>> plain(r"**\text{Tuesday}**."), plain(r"$A \rightarrow B$"), plain(r"\left(1,\,2\right)")
    ('Tuesday', 'A → B', '(1, 2)')
    """
    text = _TYPESETTING.sub(_character, undressed(text)).strip()
    group = _GROUP.fullmatch(text)
    return group[1].strip() if group else text


def _character(found: re.Match[str]) -> str:
    words, command, sign = found.groups()
    if words is not None:
        return words
    return _CHARACTERS.get(command or "") or sign or ("" if found[0] in ("\\left", "\\right", "\\!") else " ")


def same_text(entry: Mapping[str, Any], answer: str) -> bool:
    """The right answer, line by line, however its words are spaced."""
    return _lines(answer) == _lines(entry["answer"])


def same_words(entry: Mapping[str, Any], answer: str) -> bool:
    """The right answer, whatever its case and spacing."""
    return answer.casefold().split() == str(entry["answer"]).casefold().split()


def same_letters(entry: Mapping[str, Any], answer: str) -> bool:
    """The right answer, whatever its case, and blanks anywhere."""
    return _squeezed(answer) == _squeezed(entry["answer"])


def same_items(entry: Mapping[str, Any], answer: str) -> bool:
    """The right words in their order, with commas between them."""
    return [item.split() for item in answer.split(",")] == [item.split() for item in entry["answer"].split(",")]


def same_claims(entry: Mapping[str, Any], answer: str) -> bool:
    """For everybody the right role, in any order, and nothing else."""
    right, given = _claims(entry["answer"]), _claims(answer)
    return sorted(right) == sorted(given)


def same_json(entry: Mapping[str, Any], answer: str) -> bool:
    """The right value as JSON, whatever its spacing and the order of its keys; or the same text."""
    right, given = _json(entry["answer"]), _json(answer)
    return same_text(entry, answer) or (given is not None and right == given)


def same_integral(entry: Mapping[str, Any], answer: str) -> bool:
    """An antiderivative: what differs from the right one by a constant, which may be missing.

    Their questions ask for none, and their scorers demand none.

    Raises:
        ScorerFailure: if the workers have no result.
    """
    variable = entry["metadata"]["variable"]
    return same_words(entry, answer) or same_antiderivative(entry["answer"], answer, variable=variable)


def same_polynomial(entry: Mapping[str, Any], answer: str) -> bool:
    """The right polynomial, multiplied out and with no more terms: the question itself has the right value.

    Raises:
        ScorerFailure: if the workers have no result.
    """
    if same_words(entry, answer):
        return True
    right, given = _num_terms(entry["answer"]), _num_terms(answer)
    return right is not None and given is not None and given <= right and grade(entry["answer"], answer)


def one_of_the_listed(entry: Mapping[str, Any], answer: str) -> bool:
    """Any of the answers that the entry lists as right."""
    return _lines(answer) in [_lines(right) for right in entry["metadata"]["valid_answers"]]


def makes_target(entry: Mapping[str, Any], answer: str, target: int | None = None) -> bool:
    """An expression that uses every given number exactly once and comes to the target exactly."""
    metadata = entry["metadata"]
    return solves(answer, metadata["numbers"], metadata["target"] if target is None else target)


def solves_cryptarithm(entry: Mapping[str, Any], answer: str) -> bool:
    """A digit of its own for each letter, once, with which the sum is right."""
    found = [_ASSIGNMENT.fullmatch(part) for part in answer.split(",")]
    pairs = [(match[1], match[2]) for match in found if match]
    digits, metadata = dict(pairs), entry["metadata"]
    words = [*metadata["words_letters"], metadata["result_letters"]]
    if digits.keys() != {*"".join(words)} or not len({*digits.values()}) == len(pairs) == len(found):
        return False
    if not metadata["allow_leading_zero"] and any(digits[word[0]] == "0" for word in words):
        return False
    *addends, total = (int(word.translate(str.maketrans(digits))) for word in words)
    return sum(addends) == total


def colours_graph(entry: Mapping[str, Any], answer: str) -> bool:
    """One of the colours for each vertex, as JSON, and two for the ends of each edge."""
    puzzle, colours = entry["metadata"]["puzzle"], json.loads(_json(answer) or "null")
    if not isinstance(colours, dict) or colours.keys() != {*map(str, puzzle["vertices"])}:
        return False
    if any(type(colour) is not int or colour not in puzzle["color_options"] for colour in colours.values()):
        return False
    return all(colours[str(one)] != colours[str(other)] for one, other in puzzle["edges"])


def same_partitions(entry: Mapping[str, Any], answer: str) -> bool:
    """The right lists of words in any order, each once, as JSON."""
    given = json.loads(_json(answer) or "null")
    right = entry["metadata"]["solution"]
    return isinstance(given, list) and sorted(map(json.dumps, given)) == sorted(map(json.dumps, right))


def meets_sums(entry: Mapping[str, Any], answer: str) -> bool:
    """A grid of zeros and ones, whose ones add up their places to the given sums of rows and columns."""
    grid, metadata = _lines(answer), entry["metadata"]
    if [len(row) for row in grid] != [metadata["n_cols"]] * metadata["n_rows"]:
        return False
    cells = {cell for row in grid for cell in row}
    sums = [[_place_sum(line) for line in lines] for lines in (grid, zip(*grid, strict=True))]
    return cells <= {"0", "1"} and sums == [metadata["row_sums"], metadata["col_sums"]]


def _place_sum(cells: Iterable[str]) -> int:
    return sum(place for place, cell in enumerate(cells, start=1) if cell == "1")


def _lines(text: str) -> list[list[str]]:
    return [line.split() for line in str(text).strip().splitlines()]


def _squeezed(text: str) -> str:
    return "".join(str(text).split()).casefold()


def _claims(text: str) -> list[tuple[str, ...]]:
    """Of whom what is said: "Zoe is a knight, and Al is a knave" as two pairs of words; () for anything else."""
    claims = [" ".join(claim.split()) for claim in _CLAIM_ENDS.split(text.casefold()) if claim.strip()]
    return [match.groups() if (match := _CLAIM.fullmatch(claim)) else () for claim in claims]


def _num_terms(text: str) -> int | None:
    """How many terms a sum of products has; None for anything else."""
    try:
        tree = parse(text)
    except MathSyntaxError:
        return None
    terms = tree.args if tree.head == "add" else (tree,)
    return None if any(map(_holds_sum, terms)) else len(terms)


def _holds_sum(tree: Node) -> bool:
    return any(node.head == "add" for node in nodes(tree))


def _json(text: str) -> str | None:
    """The JSON value in canonical form, so that 1, 1.0 and true differ."""
    try:
        return json.dumps(json.loads(text, object_pairs_hook=_object), sort_keys=True)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"expected each key once, got {[key for key, _ in pairs]!r:.200}")
    return found
