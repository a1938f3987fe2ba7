"""How each of reasoning-gym's data sets is scored here, and why.

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

from mtgrpo_env.envs.countdown_solver import solve
from mtgrpo_env.envs.reasoning_gym_checks import (
    colours_graph,
    makes_target,
    meets_sums,
    one_of_the_listed,
    same_claims,
    same_integral,
    same_items,
    same_json,
    same_letters,
    same_partitions,
    same_polynomial,
    same_text,
    same_words,
    solves_cryptarithm,
)
from mtgrpo_env.envs.reasoning_gym_numbers import (
    same_complex,
    same_duration,
    same_factors,
    same_figures,
    same_fraction,
    same_grid,
    same_measure,
    same_number,
    same_numbers,
    same_probability,
    same_value,
    same_whole,
)

Check = Callable[[Mapping[str, Any], str], bool]
"""Whether an answer, a hostile text, solves a data set's entry. Linear time, nothing evaluated."""

FAULTS: Mapping[str, str] = {
    "one answer": "no fault: it compares texts, and so do we, without a process",
    "runs code": "it hands the answer to eval, or to a symbolic parser that does",
    "hangs": "a short answer costs it unbounded time or memory",
    "pays wrong answers": "it gives full marks to answers that are wrong",
    "refuses right answers": "it knows one notation only",
    "copies": "it gives full marks for copying a line of the question",
    "no answer": "it offers no answer to check the scorer by",
    "mixture": "it mixes other data sets: make a suite of them instead",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """How a data set is scored: by a check of ours, and for what fault of its own scorer; or by its own scorer.

    Attributes:
        check: None where the data set's own scorer judges, in a worker.
        fault: a key of `FAULTS`; None where its own scorer judges.
        form: of answers, where its own scorer skips what it cannot read and so would read any text; else None.
    """

    check: Check | None = None
    fault: str | None = None
    form: re.Pattern[str] | None = None


_TARGET_24 = partial(makes_target, target=24)
_ROOTS = partial(same_numbers, ordered=False, tolerance=Fraction(1, 10_000))  # four decimals are asked for
_IN_ORDER = partial(same_numbers, ordered=True)
_THREE_FIGURES = partial(same_figures, figures=3)
_TEN_FIGURES = partial(same_figures, figures=10)  # of twelve that are asked for: theirs are rounded on the way
_THREE_DECIMALS = partial(same_number, tolerance=Fraction(1, 2000))

_REPLACED: Sequence[tuple[Check, str, str]] = (
    (
        same_text,
        "one answer",
        "ab arc_1d arc_agi base_conversion bf caesar_cipher emoji_mystery futoshiki manipulate_matrix mini_sudoku "
        "modulo_grid path_star rearc rotate_matrix string_manipulation string_splitting string_synthesis sudoku",
    ),
    (
        same_value,
        "one answer",
        "aiw basic_arithmetic binary_alternation calendar_arithmetic circuit_logic count_bits count_primes gcd "
        "largest_island lcm leg_counting letter_counting maze number_sequence rotten_oranges self_reference "
        "simple_equations simple_geometry",
    ),
    (
        same_words,
        "one answer",
        "acre color_cube_rotation course_schedule family_relationships isomorphic_strings mahjong_puzzle ransom_note "
        "sentence_reordering syllogism tsumego zebra_puzzles",
    ),
    (same_letters, "one answer", "needle_haystack"),
    (same_number, "one answer", "chain_sum decimal_chain_sum products rectangle_count"),
    (same_items, "one answer", "word_sequence_reversal"),
    (same_json, "one answer", "list_functions"),
    (same_fraction, "one answer", "dice fraction_simplification"),
    (_IN_ORDER, "one answer", "number_filtering"),
    (same_text, "runs code", "binary_matrix spiral_matrix string_insertion"),
    (one_of_the_listed, "runs code", "n_queens"),
    (makes_target, "runs code", "countdown"),
    (_TARGET_24, "runs code", "puzzle24"),
    (same_polynomial, "runs code", "polynomial_multiplication"),
    (same_integral, "runs code", "intermediate_integration simple_integration"),
    (same_whole, "runs code", "bitwise_arithmetic"),  # on its own text only, but with the answer beside it
    (same_json, "hangs", "codeio"),  # it compares trees, for many seconds where an answer has some hundred parts
    (
        same_probability,
        "hangs",
        "coin_flip",
    ),  # a large exponent is multiplied out; and a first digit in common pays all
    (same_letters, "pays wrong answers", "figlet_font"),  # ten letters in place
    (same_complex, "pays wrong answers", "complex_arithmetic"),  # nan
    (same_items, "pays wrong answers", "word_sorting"),  # words after the right ones
    (same_json, "pays wrong answers", "game_of_life"),  # rows and cells too many
    (same_words, "pays wrong answers", "game_of_life_halting"),  # any text, where the answer is any text
    (same_words, "pays wrong answers", "letter_jumble spell_backward"),  # anything after the right words or letters
    (_TEN_FIGURES, "pays wrong answers", "decimal_arithmetic"),  # 0, where the right one is below 0.001
    (same_number, "pays wrong answers", "gsm_symbolic"),  # the first number of any text, less its sign
    (_THREE_DECIMALS, "pays wrong answers", "number_format"),  # with a comma anywhere
    (_IN_ORDER, "pays wrong answers", "number_sorting"),  # NaN throughout, or each number off by one
    (_ROOTS, "pays wrong answers", "polynomial_equations"),  # any text, where there is no root
    (same_claims, "pays wrong answers", "knights_knaves"),  # a second role behind the right one, or "not" before it
    (same_grid, "pays wrong answers", "pool_matrix"),  # a column for a row; and all numbers off by one per cent
    (same_text, "pays wrong answers", "survo"),  # words among the numbers
    (solves_cryptarithm, "pays wrong answers", "cryptarithm"),  # a second digit for a letter
    (colours_graph, "pays wrong answers", "graph_color"),  # a second colour for a vertex
    (same_partitions, "pays wrong answers", "palindrome_partitioning"),  # a list of words twice
    (meets_sums, "pays wrong answers", "kakurasu"),  # numbers among the cells
    (same_duration, "pays wrong answers", "time_intervals"),  # years for days; anything after the right time
    (same_measure, "refuses right answers", "advanced_geometry"),  # a length with a zero behind it
    (same_factors, "refuses right answers", "prime_factorization"),  # any other sign of multiplication
    (_THREE_FIGURES, "refuses right answers", "power_function"),  # a power of ten in LaTeX
)

_FORMS = {
    "jugs": re.compile(r'(?:"(?:(?:fill|empty) [A-Z]|pour [A-Z]->[A-Z])"|[\[\],\s])*'),
    "quantum_lock": re.compile(r"[ABCabc→\->, \n]*"),
    "rubiks_cube": re.compile(r"(?:[A-Za-z]{1,2}'?[1-9]?(?!\S)|\s)*"),
    "sokoban": re.compile(r"[UDLR, \n]*"),
    "tower_of_hanoi": re.compile(r"(?:Move disk [0-9]{1,3} from Peg [0-9]{1,3} to Peg [0-9]{1,3}(?!\S)|\s)*"),
}
_THEIR_OWN = (
    "group_anagrams jugs knight_swap palindrome_generation quantum_lock rubiks_cube shortest_path sokoban "
    "tower_of_hanoi word_ladder"
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
    **{name: Rule(form=_FORMS.get(name)) for name in _THEIR_OWN.split()},
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
