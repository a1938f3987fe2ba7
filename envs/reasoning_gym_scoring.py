"""How each of reasoning-gym's data sets is scored here, and why; checks that stand in for its scorers.

Every scorer of release 0.1.25 was read for what it does with a model's text. Most compare it with one
right answer, which is done here without them. Some cannot be used: see `FAULTS`. The rest run as they
are, in a worker that can be killed. A data set of a later release is refused until somebody has read its
scorer and entered it here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from mtgrpo_env.envs.arithmetic import ExpressionError, evaluate
from mtgrpo_env.envs.countdown_solver import solve
from mtgrpo_env.envs.symbolic.antiderivatives import same_antiderivative
from mtgrpo_env.envs.symbolic.grading import grade
from mtgrpo_env.envs.symbolic.syntax import parse
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.envs.symbolic.tree import Node

Check = Callable[[Mapping[str, Any], str], bool]
"""Whether an answer, a hostile text, solves a data set's entry. Linear time, nothing evaluated."""

FAULTS: Mapping[str, str] = {
    "one answer": "no fault: it compares texts, and so do we, without a process",
    "runs code": "it hands the answer to eval, or to a symbolic parser that does",
    "hangs": "a short answer costs it unbounded time or memory",
    "pays wrong answers": "it gives full marks to answers that are wrong",
    "copies": "it gives full marks for copying a line of the question",
    "no answer": "it offers no answer to check the scorer by",
    "mixture": "it mixes other data sets: make a suite of them instead",
}

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]{1,100}|[0-9]{1,100})")


def same_text(entry: Mapping[str, Any], answer: str) -> bool:
    """The right answer, line by line, however its words are spaced."""
    return _lines(answer) == _lines(entry["answer"])


def same_words(entry: Mapping[str, Any], answer: str) -> bool:
    """The right answer, whatever its case and spacing."""
    return answer.casefold().split() == str(entry["answer"]).casefold().split()


def same_letters(entry: Mapping[str, Any], answer: str) -> bool:
    """The right answer, whatever its case, and blanks anywhere."""
    return _squeezed(answer) == _squeezed(entry["answer"])


def same_number(entry: Mapping[str, Any], answer: str, tolerance: Fraction = Fraction(0)) -> bool:
    """The right number, as a decimal or a fraction; commas may group its digits."""
    right, given = _number(entry["answer"]), _number(answer)
    return right is not None and given is not None and abs(right - given) <= tolerance


def same_whole(entry: Mapping[str, Any], answer: str) -> bool:
    """The right whole number, decimal or hexadecimal."""
    right, given = _WHOLE.fullmatch(entry["answer"].strip()), _WHOLE.fullmatch(answer.strip())
    return right is not None and given is not None and _whole(right[0]) == _whole(given[0])


def same_numbers(entry: Mapping[str, Any], answer: str, *, ordered: bool, tolerance: Fraction = Fraction(0)) -> bool:
    """The right numbers, with commas between them, with or without brackets and quotes."""
    right, given = _numbers(entry["answer"]), _numbers(answer)
    if right is None or given is None or len(right) != len(given):
        return False
    if not ordered:
        right, given = sorted(right), sorted(given)
    return all(abs(a - b) <= tolerance for a, b in zip(right, given, strict=True))


def same_json(entry: Mapping[str, Any], answer: str) -> bool:
    """The right value as JSON, whatever its spacing and the order of its keys; or the same text."""
    right, given = _json(entry["answer"]), _json(answer)
    return same_text(entry, answer) or (given is not None and right == given)


def same_figures(entry: Mapping[str, Any], answer: str) -> bool:
    """The right number to six figures."""
    right = _number(entry["answer"])
    return right is not None and same_number(entry, answer, abs(right) / 10**6)


def same_integral(entry: Mapping[str, Any], answer: str) -> bool:
    """An antiderivative: what differs from the right one by a constant, which may be missing.

    Their questions ask for none, and their scorers demand none.

    Raises:
        ScorerFailure: if the workers have no result.
    """
    variable = entry["metadata"]["variable"]
    return same_letters(entry, answer) or same_antiderivative(entry["answer"], answer, variable=variable)


def same_polynomial(entry: Mapping[str, Any], answer: str) -> bool:
    """The right polynomial, multiplied out and with no more terms: the question itself has the right value.

    Raises:
        ScorerFailure: if the workers have no result.
    """
    if same_letters(entry, answer):
        return True
    right, given = _num_terms(entry["answer"]), _num_terms(answer)
    return right is not None and given is not None and given <= right and grade(entry["answer"], answer)


def one_of_the_listed(entry: Mapping[str, Any], answer: str) -> bool:
    """Any of the answers that the entry lists as right."""
    return _lines(answer) in [_lines(right) for right in entry["metadata"]["valid_answers"]]


def makes_target(entry: Mapping[str, Any], answer: str, target: int | None = None) -> bool:
    """An expression that uses every given number exactly once and comes to the target exactly."""
    try:
        value, numbers = evaluate(answer)
    except ExpressionError:
        return False
    metadata = entry["metadata"]
    wanted = metadata["target"] if target is None else target
    return value == wanted and sorted(numbers) == sorted(metadata["numbers"])


@dataclass(frozen=True, slots=True)
class Rule:
    """How a data set is scored: by a check of ours, and for what fault of its own scorer; or by its own scorer.

    Attributes:
        check: None where the data set's own scorer judges, in a worker.
        fault: a key of `FAULTS`; None where its own scorer judges.
    """

    check: Check | None = None
    fault: str | None = None


_TARGET_24 = partial(makes_target, target=24)
_NEAR = partial(same_number, tolerance=Fraction(1, 10_000))
_ROOTS = partial(same_numbers, ordered=False, tolerance=Fraction(1, 10_000))  # four decimals are asked for
_SORTED = partial(same_numbers, ordered=True)

_REPLACED: Sequence[tuple[Check, str, str]] = (
    (
        same_text,
        "one answer",
        "ab acre aiw arc_1d arc_agi base_conversion basic_arithmetic bf binary_alternation caesar_cipher "
        "circuit_logic count_bits count_primes course_schedule emoji_mystery futoshiki gcd isomorphic_strings "
        "largest_island lcm leg_counting letter_counting list_functions mahjong_puzzle manipulate_matrix maze "
        "mini_sudoku modulo_grid number_filtering number_sequence path_star ransom_note rearc rotate_matrix "
        "rotten_oranges self_reference simple_equations simple_geometry string_manipulation string_splitting "
        "string_synthesis sudoku syllogism word_sequence_reversal",
    ),
    (
        same_words,
        "one answer",
        "calendar_arithmetic color_cube_rotation dice family_relationships sentence_reordering tsumego zebra_puzzles",
    ),
    (same_letters, "one answer", "needle_haystack"),
    (same_number, "one answer", "chain_sum decimal_chain_sum products rectangle_count"),
    (same_text, "runs code", "binary_matrix spiral_matrix string_insertion"),
    (one_of_the_listed, "runs code", "n_queens"),
    (makes_target, "runs code", "countdown"),
    (_TARGET_24, "runs code", "puzzle24"),
    (same_polynomial, "runs code", "polynomial_multiplication"),
    (same_integral, "runs code", "intermediate_integration simple_integration"),
    (same_whole, "runs code", "bitwise_arithmetic"),  # on its own text only, but with the answer beside it
    (same_json, "hangs", "codeio"),  # it compares trees, for many seconds where an answer has some hundred parts
    (_NEAR, "hangs", "coin_flip"),  # a large exponent is multiplied out; and a first digit in common pays all
    (same_letters, "pays wrong answers", "complex_arithmetic figlet_font"),  # nan; ten letters in place
    (same_json, "pays wrong answers", "game_of_life"),  # rows and cells too many
    (same_words, "pays wrong answers", "game_of_life_halting"),  # any text, where the answer is any text
    (same_words, "pays wrong answers", "letter_jumble spell_backward"),  # anything after the right words or letters
    (same_figures, "pays wrong answers", "decimal_arithmetic"),  # 0, where the right one is below 0.001
    (same_number, "pays wrong answers", "gsm_symbolic"),  # the first number of any text, less its sign
    (_SORTED, "pays wrong answers", "number_sorting"),  # NaN throughout, or each number off by one
    (_ROOTS, "pays wrong answers", "polynomial_equations"),  # any text, where there is no root
)

_THEIR_OWN = (
    "advanced_geometry cryptarithm fraction_simplification graph_color group_anagrams jugs kakurasu "
    "knight_swap knights_knaves number_format palindrome_generation palindrome_partitioning pool_matrix "
    "power_function prime_factorization quantum_lock rubiks_cube shortest_path sokoban survo time_intervals "
    "tower_of_hanoi word_ladder word_sorting"
)

REFUSED: Mapping[str, str] = {
    "boxnet": "no answer",
    "composite": "mixture",
    "propositional_logic": "copies",
    "rush_hour": "no answer",
}
"""Data sets that make no task, each with a key of `FAULTS`."""

RULES: Mapping[str, Rule] = {
    **{name: Rule(check, fault) for check, fault, names in _REPLACED for name in names.split()},
    **{name: Rule() for name in _THEIR_OWN.split()},
}
"""How each data set that makes a task is scored."""

UNREPEATABLE = frozenset({"codeio"})
"""Data sets whose programs may read a clock or draw at random: items that come out otherwise a second time are none."""


def rule_of(name: str) -> Rule:
    """How a data set is scored.

    Raises:
        ValueError: if it makes no task, or nobody has read its scorer yet.
    """
    if name in REFUSED:
        raise ValueError(f"reasoning-gym data set {name!r} makes no task: {FAULTS[REFUSED[name]]}")
    if name not in RULES:
        raise ValueError(
            f"reasoning-gym data set must be one whose scorer has been read, {sorted(RULES)}, got {name!r}"
        )
    return RULES[name]


def reference_answer(name: str, entry: Mapping[str, Any]) -> str:
    """An answer known to be right; empty if the entry has none."""
    metadata = entry["metadata"]
    if name == "graph_color":
        return json.dumps(metadata["possible_answer"])
    if name == "rubiks_cube":
        return metadata["example_correct_answer"]
    if name == "codeio" and not (metadata["input_data"] or metadata["output_data"]):
        return ""  # its program failed
    answer = str(entry["answer"])
    if name in ("countdown", "puzzle24") and not RULES[name].check(entry, answer):  # pyright: ignore[reportOptionalCall]
        return solve(metadata["numbers"], metadata.get("target", 24)) or ""  # theirs may open with a sign
    return "" if "Integral(" in answer else answer  # an integral that their algebra system gave up on


def _lines(text: str) -> list[list[str]]:
    return [line.split() for line in str(text).strip().splitlines()]


def _squeezed(text: str) -> str:
    return "".join(str(text).split()).casefold()


def _num_terms(text: str) -> int | None:
    """How many terms a sum of products has; None for anything else."""
    try:
        tree = parse(text)
    except MathSyntaxError:
        return None
    terms = tree.args if tree.head == "add" else (tree,)
    return None if any(map(_holds_sum, terms)) else len(terms)


def _holds_sum(tree: Node) -> bool:
    return tree.head == "add" or any(map(_holds_sum, tree.args))


def _number(text: str) -> Fraction | None:
    parts = str(text).strip().strip("$").replace(",", "").split("/")
    values = [Fraction(part.strip()) if _NUMBER.fullmatch(part.strip()) else None for part in parts[:3]]
    first, *rest = values
    if first is None or not rest:
        return first
    return first / rest[0] if len(rest) == 1 and rest[0] else None


def _whole(text: str) -> int:
    return int(text, 16 if "x" in text.lower() else 10)


def _numbers(text: str) -> list[Fraction] | None:
    parts = re.sub(r"[\[\]'\"]", "", str(text)).split(",")
    values = [_number(part) for part in parts]
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) else None


def _json(text: str) -> str | None:
    """The JSON value in canonical form, so that 1, 1.0 and true differ."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return None
