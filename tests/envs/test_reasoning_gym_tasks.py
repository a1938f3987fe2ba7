"""reasoning-gym: every data set makes a task or is refused by name, and no answer is paid that is not right."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs import reasoning_gym_tasks, reasoning_gym_worker
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.reasoning_gym_scoring import (
    FAULTS,
    REFUSED,
    RULES,
    UNREPEATABLE,
    reference_answer,
    rule_of,
)
from mtgrpo_env.envs.reasoning_gym_tasks import ReasoningGymEnv, ReasoningGymPuzzle, reasoning_gym_task
from mtgrpo_env.envs.worker_pool import ScorerFailure, shared_pool
from mtgrpo_env.suite import TaskSuite

HOSTILE = [
    "nan",
    "inf",
    "1e999999999",
    "9**9**9**9",
    "99**99999999",
    "9999999!",
    "__import__('os').system('true')",
    "[x for x in ().__class__.__base__.__subclasses__()]",
    "hello world",
    "[NaN, NaN, NaN, NaN, NaN]",
    "[[[[",
    "\x00",
    "\ud800",
    "R999999999 F+999999999",
    "9" * 10_000,
    "[" * 15_000,
    "(" * 15_000 + "1" + ")" * 15_000,
    "1+" * 9_000 + "1",
    "x" * 900_000,
]


@pytest.fixture(scope="module", autouse=True)
def _workers() -> Iterator[None]:
    yield
    for judge in ("reasoning_gym_worker:score", "symbolic.worker:equal", "symbolic.differences:differ_by_constant"):
        shared_pool(f"mtgrpo_env.envs.{judge}").close()
    reasoning_gym_tasks._generators().close()


def _env(name: str, config: dict[str, Any] | None = None) -> ReasoningGymEnv:
    pytest.importorskip("reasoning_gym")
    return ReasoningGymEnv(name, config=config)


def test_every_data_set_of_the_installed_release_has_a_rule_or_is_refused() -> None:
    factory = pytest.importorskip("reasoning_gym.factory")
    pytest.importorskip("reasoning_gym")
    assert sorted(factory.DATASETS) == sorted((*RULES, *REFUSED))


def test_every_rule_names_its_reason() -> None:
    assert {rule.fault for rule in RULES.values() if rule.check is not None} <= FAULTS.keys()
    assert all(rule.fault is None for rule in RULES.values() if rule.check is None)
    assert set(REFUSED.values()) <= FAULTS.keys()
    assert not RULES.keys() & REFUSED.keys()


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_data_set_pays_its_own_answers_and_nothing_else(name: str) -> None:
    env = _env(name)
    puzzles = [env.generate(np.random.default_rng(seed)) for seed in (0, 1)]
    assert puzzles[0] == env.generate(np.random.default_rng(0))
    assert env.key(puzzles[0]) != env.key(puzzles[1])
    assert len(set(puzzles)) == 2
    for puzzle in puzzles:
        assert puzzle.question.strip() in env.prompt(puzzle)
        assert env.verify(puzzle, f"I think so.\n{env.oracle(puzzle)}\nDone.").outcome == "correct"
        assert env.verify(puzzle, "").outcome == "no_answer"
        assert env.verify(puzzle, puzzle.answer if "boxed" not in puzzle.answer else "").outcome == "no_answer"
    for answer in HOSTILE if RULES[name].check else HOSTILE[:6]:
        verdict = env.verify(puzzles[0], boxed(answer))
        assert verdict.outcome in ("wrong", "no_answer"), ascii(answer[:40])


@pytest.mark.parametrize("name", ["rubiks_cube", "jugs", "sokoban", "group_anagrams", "word_ladder"])
def test_their_own_scorers_withstand_hostile_answers_too(name: str) -> None:
    env = _env(name)
    puzzle = env.generate(np.random.default_rng(0))
    for answer in HOSTILE:
        assert env.verify(puzzle, boxed(answer)).outcome in ("wrong", "no_answer"), ascii(answer[:40])


# Data set, right answer and metadata, answers that are right too, answers that are wrong.
CASES: list[tuple[str, str, dict[str, Any], list[str], list[str]]] = [
    ("arc_1d", "0 0 1 2", {}, [" 0  0 1 2 "], ["0 0 1", "0 0 1 2 3", "the answer is 0 0 1 2", "0 0\n1 2", "0012"]),
    ("sudoku", "1 2\n2 1", {}, ["1 2 \n 2 1\n"], ["1 2 2 1", "2 1\n1 2", "12\n21"]),
    ("tsumego", "E1", {}, ["e1"], ["E 1", "E1 E2", "E2"]),
    ("chain_sum", "-1000", {}, ["-1,000.00", " -01000"], ["1000", "-1000 or 1000", "-1000.1", "--1000", "-10 00"]),
    ("bitwise_arithmetic", "0x1f", {}, ["31", "0X1F", "0x01f"], ["1f", "0x1f0", "-31", "31.0", "0b11111"]),
    ("coin_flip", "0.234375", {}, ["15/64", ".2344"], ["0", "0.2", "0.23", "15/64/1", "1/0", "0.234375?", "1e999"]),
    ("coin_flip", "3.051757812e-05", {}, ["1/32768", r"3.052 \times 10^{-5}"], ["0", "0.0001", "3.05e-5,", "3.1e-5"]),
    (
        "coin_flip",
        "0.03125",
        {},
        ["1/32", "0.0313", r"3.125\%"],
        ["3,125%", "0.03125%", "%", "100%", "0,03125", "0.031", "3125", "1:32", "1/,32"],
    ),
    ("coin_flip", "1.0", {}, ["1", "100%"], ["0.9999", "99.99%", "0"]),
    ("coin_flip", "0.9999694824", {}, ["32767/32768", "0.99997"], ["1", "1.0", "0.9998"]),
    ("calendar_arithmetic", "-1", {"task": "count_days"}, ["-1"], ["5", "0", "1", "-10"]),
    ("calendar_arithmetic", "Tuesday", {}, ["tuesday"], ["Tue", "Tuesday or Monday", "Monday"]),
    (
        "complex_arithmetic",
        "8.0 - 3.0i",
        {},
        ["8.0-3.0i", "8 - 3i", "-3i + 8", "8 - 3j", "8-3*i", "(8-3j)", "8 − 3i", "+8 - 3i", "-3 i + 8", "8.0 - 3.0 I"],
        ["8 .0 - 3i", "8,0 - 3i", "8 3i", "8 + -3i", "- 8 - 3i", "[8 - 3i", "(8 - 3i", "8 - 3ii", "8 - i3", "8 - 3i -"],
    ),
    (
        "complex_arithmetic",
        "8.0 - 3.0i",
        {},
        ["8-3i"],
        ["nan", "8.0 + 3.0i", "-3.0i", "nan+nanj", "8", "8 - 3", "8 - 3i + 0i + i", "8 - 3i - 3i", "8--3i", "i"],
    ),
    ("complex_arithmetic", "-1.00i", {}, ["-i", "0 - i", "-1i"], ["i", "-1", ""]),
    ("complex_arithmetic", "-151.00", {}, ["-151", "-151 + 0i"], ["151", "-151i"]),
    ("basic_arithmetic", "-151", {}, ["-151.0", r"-\frac{302}{2}", "x = -151"], ["151", "-151 or 151", "-150-1"]),
    ("maze", "infeasible", {}, ["Infeasible"], ["feasible", "0"]),
    ("syllogism", "Yes", {}, ["yes"], ["No", "Yes and no"]),
    ("word_sequence_reversal", "new, any", {}, ["new,any"], ["any, new", "new any", "new, any, or"]),
    (
        "word_sorting",
        "Time, any",
        {},
        ["Time,any"],
        ["any, Time", "Time, any, Time, any", "Time any", "Time, any, or", "Time,, any"],
    ),
    ("list_functions", "[1, 2]", {}, ["[1,2]"], ["[2, 1]", "1, 2", "[1, 2.0]"]),
    (
        "number_filtering",
        "['-9.040', '5']",
        {},
        [
            "[-9.04, 5]",
            '["-9.040", "5"]',
            "-9.04, 5",
            "(-9.04, 5)",
            "[‘-9.04’, “5”]",
            "[`-9.04', `5']",
            "L = ['-9.04', '5']",
            "-9.04 and 5",
        ],
        [
            *("['5', '-9.040']", "[-9.04]", "['-9][.04', '5']", "['-9'.04', '5']", "['-9.04, 5']", "[[-9.04, 5]"),
            *(
                "[-9.04, 5",
                "-9.04, 5]",
                "[-9.04, 5)",
                "['-9.04', '5'",
                "['-9.04\", '5']",
                "['-9,04', '5']",
                "[-9.04 5]",
            ),
            *(
                "[-9.04, 5, 5]",
                "[-9.04,, 5]",
                "[-9.04, 5,,]",
                "[-9.04, or 5]",
                "[--9.04, 5]",
                "[-9., 04, 5]",
            ),
        ],
    ),
    ("number_filtering", "[]", {}, ["[]", "()", "[ ]"], ["", " ", "[,]", "[0]", "['']", "[[]]", "]["]),
    ("dice", "823/1575", {}, [r"\frac{823}{1575}", r"\dfrac{823}{1575}"], ["1646/3150", "0.5225", "823", "-823/1575"]),
    (
        "fraction_simplification",
        r"$\dfrac{79}{173}$",
        {},
        ["79/173", r"\frac{79}{173}", "79 / 173"],
        ["158/346", "173/79", "79/173/1", "79", r"\frac{79}{173}/2"],
    ),
    (
        "power_function",
        "9.360000138304076e-18",
        {},
        ["9.36e-18", r"9.36 \times 10^{-18}"],
        ["0", "9.37e-18", "9.36e-17"],
    ),
    ("power_function", "77575.72998564", {}, ["7.76e+4", "77600"], ["7.75e+4", "7.76", "77500"]),
    (
        "prime_factorization",
        "2 × 2 × 41",
        {"number": 164, "factors": [2, 2, 41]},
        ["164 = 2 × 2 × 41", "2 x 2 X 41", "2x2x41", "2*2*41", r"2^2 \times 41", r"41 \cdot 2 \cdot 2", "2 × 41 × 2"],
        [
            "4 × 41",
            "164",
            "2 × 41",
            "1 × 2 × 2 × 41",
            "2 × 2 × 41 × x",
            "2 + 2 + 41",
            "163 = 2 × 2 × 41",
            "2 x 2 41",
            "2, 2, 41",
            "2 × 2 × 4 1",
            "22 × 41",
            "2^{999999999} × 41",
        ],
    ),
    (
        "time_intervals",
        "6 days, 22:23",
        {},
        ["6 days, 22:23:00", "6 days 22:23"],
        ["6 years, 22:23", "6 days, 22:24", "6 days", "6 days, 22:23, 5", "6 days, 22:23:00:01"],
    ),
    ("time_intervals", "00:01:30", {}, ["0:01:30"], ["00:00:90", "1:30", ", 00:01:30", "00:01,30", "00:0130"]),
    ("time_intervals", "5 days", {}, ["5", "5 Days"], ["5 years", "5 hours", "-5 days", "5.5 days", "15 days"]),
    ("time_intervals", "05:32:56", {}, ["5:32:56", "05:32:56.000"], ["05:32", "05:32:56:01", "05:32:57"]),
    ("pool_matrix", "9 6\n7 4", {}, ["9.0 6\n7 4.00"], ["9 6 7 4", "9 6\n7 5", "9.09 6\n7 4", "9 6\n7 4\n1 1"]),
    (
        "pool_matrix",
        "3.22\n12",
        {},
        ["3.222\n12.0"],
        ["3.23\n12", "3,22\n12", "3.22\n1,2", "3.22\n1 2", "3.22;\n12", "29/9\n12"],
    ),
    ("pool_matrix", "9\n7", {}, ["9\n7"], ["9 7"]),
    (
        "knights_knaves",
        "Ann is a knight, and Bo is a knave.",
        {},
        ["Bo is a knave and Ann is a knight", "ann is a knight, bo is a knave"],
        [
            "Ann is a knave, and Bo is a knave.",
            "Ann is a knight a knave, and Bo is a knave",
            "is Ann a knight, and Bo is a knave",
            "Ann an is knight, and Bo is a knave",
            "a Ann is a knight, and Bo is a knave",
            "Ann is a knave, and Bo is a knight",
            "Ann is a knight, Ann is a knight, Bo is a knave",
            "Ann is a knight Bo is a knave",
            "Annis a knight, and Bo is a knave",
            "It is false that Ann is a knight, and Bo is a knave",
            "Ann is a knight",
            "Ann is a knight, Bo is a knave, Bo is a knight",
        ],
    ),
    (
        "advanced_geometry",
        "15.22°",
        {"task_type": "angle_measure"},
        ["15.22", "15.221°", r"15.22^\circ"],
        ["15.23", "x"],
    ),
    (
        "advanced_geometry",
        "98.13°",
        {"task_type": "angle_measure"},
        ["98.13 degrees"],
        ["9°8.13", "98.13 rad", "98,13°"],
    ),
    ("advanced_geometry", "2.425", {"task_type": "incircle_radius"}, ["2.4250"], ["2.43", "2.4", "2,425", "2.425 km"]),
    (
        "advanced_geometry",
        "(11.381, 5.254)",
        {"task_type": "orthocenter"},
        [
            "11.381, 5.254",
            "(11.3812, 5.254)",
            "H = (11.381, 5.254)",
            "H(11.381, 5.254)",
            "(x, y) = (11.381, 5.254)",
            "x = 11.381, y = 5.254",
        ],
        ["(5.254, 11.381)", "(11.381)", "(11.4, 5.3)", "y = 11.381, x = 5.254", "(11.381, or 5.254)", "(11.381, 5.254"],
    ),
    ("figlet_font", "CLOWRESTORE", {}, ["clowrestore", "C L O W R E S T O R E"], ["CLOWRESTORX", "CLOWRESTOREX"]),
    (
        "game_of_life",
        "[[0,1],[1,0]]",
        {},
        ["[[0, 1], [1, 0]]"],
        ["[[0,1],[1,0],[0,0]]", "[[0,1,1],[1,0]]", "[[0,true],[1,0]]"],
    ),
    ("game_of_life_halting", "False", {}, ["false"], ["True", "nonsense", "not False"]),
    ("letter_jumble", "Let it be", {}, ["let it be"], ["let it be so", "it let be"]),
    ("spell_backward", "pots", {}, ["POTS"], ["potsx", "stop"]),
    ("gsm_symbolic", "5", {}, ["5.0", "$5$"], ["-5", "5 or 6", "5%", "5 wrong"]),
    (
        "number_sorting",
        "['-2.5', '3.0']",
        {},
        ["[-2.5, 3]", "-2.5, 3"],
        ["['NaN', 'NaN']", "[-2, 3]", "[3, -2.5]", "[-2.5]", ""],
    ),
    (
        "polynomial_equations",
        "-0.7757, 1.9717",
        {},
        ["1.9717, -0.7757", "x = -0.7757 or x = 1.9717", "-0.7757, and 1.97170"],
        ["1.9717", "-0.7757, 1.9717, 3", "-0.77, 1.97", "x", "-0.7757, -0.7757", "-0.7757 1.9717", "-0,7757; 1,9717"],
    ),
    ("decimal_arithmetic", "0.000408", {}, ["4.08e-4"], ["0", "0.0004", "0.0005"]),
    (
        "codeio",
        '{"a": 1, "b": [2]}',
        {},
        ['{"b":[2],"a":1}'],
        ['{"a": 1}', '{"a": 1, "a": 1, "b": [2]}', '{"a": 1.0, "b": [2]}', '{"a": "1", "b": [2]}'],
    ),
    ("codeio", "[" * 5000, {}, ["[" * 5000], ["[" * 5001]),
    ("n_queens", "_ Q", {"valid_answers": ["_ Q", "Q _"]}, ["Q _"], ["Q Q", "[['Q', '_']]", "Q _\nQ _"]),
    (
        "countdown",
        "3*5+7",
        {"numbers": [3, 5, 7], "target": 22},
        ["7 + 5*3", r"5 \times 3 + 7", "3*5+7 = 22"],
        ["22", "3**2", "3*5+7+0", "3*5+8-1", "5!", "3*5+,7", "3*5+7, 3*5+7"],
    ),
    ("puzzle24", "4*6*1*1", {"numbers": [4, 6, 1, 1]}, ["(4*6)/1/1", "4*6*1*1=24"], ["24", "4*6", "8*3*1*1"]),
    (
        "simple_integration",
        "2*x**3 - x/2 + C",
        {"variable": "x"},
        ["-x/2 + 2x^3", "2*x**3-0.5*x+C", "2*x**3 - x/2 + D", "C_1 - x/2 + 2*x**3", "2*X**3 - X/2 - 7"],
        ["2*x**3", "6*x**2 - 1/2", "2*x**3 - x/2 + D*x", "2*x**3 - x/2 + |x|/x"],
    ),
    (
        "polynomial_multiplication",
        "x**2 + 3*x + 2",
        {},
        ["3x + 2 + x^2", "x^{2} + 3 \\cdot x + 2"],
        ["x**2, 3*x, 2", "(x+1)*(x+2)", "x**2 + 2*x + x + 2", "x**2 + 3*x", "x*(x + 3) + 2", "x^{1+1}+3x+2"],
    ),
    (
        "polynomial_multiplication",
        "182528*x - 38",
        {},
        ["182,528x - 38"],
        ["18 2528*x - 38", "18,2528*x - 38", "182528*x - 3 8"],
    ),
    (
        "number_format",
        "473187622.33",
        {},
        ["473,187,622.33", "4.7318762233e+08"],
        ["4,73187622.33", "473187622,33", "473187622"],
    ),
    (
        "cryptarithm",
        "A=1,B=2,C=3",
        {"words_letters": ["AB", "BA"], "result_letters": "CC", "allow_leading_zero": False},
        ["B=2, A = 1, C=3", "A=2,B=1,C=3"],
        ["A=1,B=2", "A=1,A=2,B=2,C=3", "A=1,B=2,C=3,C=3", "A=1,B=2,C=4", "A=0,B=3,C=3", "A=1 B=2 C=3", "A=1,B=2,C=+3"],
    ),
    (
        "graph_color",
        '{"0": 1, "1": 2}',
        {"puzzle": {"vertices": [0, 1], "edges": [[0, 1]], "color_options": [1, 2]}},
        ['{"1": 1, "0": 2}'],
        [
            '{"0": 1, "1": 1}',
            '{"0": 1, "1": 1, "1": 2}',
            '{"0": 1}',
            '{"0": 1, "1": 3}',
            '{"0": true, "1": 2}',
            "[1, 2]",
        ],
    ),
    (
        "palindrome_partitioning",
        '[["a", "a"], ["aa"]]',
        {"solution": [["a", "a"], ["aa"]]},
        ['[["aa"],["a","a"]]'],
        ['[["aa"]]', '[["aa"], ["aa"], ["a", "a"]]', '[["a"], ["a", "aa"]]', '["aa", ["a", "a"]]', '{"aa": 1}'],
    ),
    ("binary_matrix", "0 1\n1 2", {}, ["0 1\n1 2 "], ["[[0,1],[1,2]]", "0 1 1 2"]),
    ("needle_haystack", "Ann Lee", {}, ["annlee"], ["Ann Lee Ann"]),
]


@pytest.mark.parametrize(("name", "right", "metadata", "also_right", "wrong"), CASES)
def test_our_checks_pay_right_answers_and_no_near_misses(
    name: str, right: str, metadata: dict[str, Any], also_right: list[str], wrong: list[str]
) -> None:
    if "integra" in name or "polynomial_m" in name:
        pytest.importorskip("sympy")
    check = rule_of(name).check
    assert check is not None
    entry = {"answer": right, "metadata": metadata}
    assert check(entry, right)
    for answer in also_right:
        assert check(entry, answer), answer
    for answer in wrong:
        assert not check(entry, answer), answer


_NUMBER_SETS = [
    name
    for name, rule in RULES.items()
    if any(part in repr(rule.check) for part in ("same_value", "same_number ", "same_figures", "same_whole"))
]
JOINED = [
    *("2,1", ",21", "2,,1", "2, 1", "2 1", "2.1", "2'1", "2][1", "2_1", "2\n1", "2\u200b1", "2 ,1", "0,021", "21,0"),
    *(
        "--21",
        "+-21",
        "-+21",
        "+ +21",
        "21-",
        "21+",
        "[21",
        "21]",
        "(21",
        "'21",
        '21"',
        "{2}1",
        "2(1)",
        "21 21",
        "21, 21",
    ),
    *(
        "21 km",
        "21%",
        "21 percent",
        "21!",
        "21i",
        "x21",
        "21 = 20",
        "0.21e",
        "٢١",
        "²1",
        "2①",
        "21 or 12",
        "12",
        "021,",
    ),
]


def test_most_data_sets_have_numbers_for_answers() -> None:
    assert len(_NUMBER_SETS) > 25


@pytest.mark.parametrize("name", _NUMBER_SETS)
def test_a_number_is_not_joined_from_pieces(name: str) -> None:
    check = rule_of(name).check
    assert check is not None
    entry = {"answer": "21", "question": "How many?", "metadata": {}}
    assert [answer for answer in JOINED if check(entry, answer)] == []
    assert all(check(entry, answer) for answer in ("21", " 21 ", "+21", "021"))


@pytest.mark.parametrize("name", ["products", "gcd", "decimal_chain_sum", "gsm_symbolic", "number_format"])
def test_commas_group_digits_by_three_and_nowhere_else(name: str) -> None:
    check = rule_of(name).check
    assert check is not None
    entry = {"answer": "-1234567.5", "metadata": {}}
    right = "-1,234,567.5", "-1 234 567.5", "-1{,}234{,}567.5", "−1,234,567.50"
    assert [answer for answer in right if not check(entry, answer)] == []
    places = [f"-{digits}.5" for digits in _with_commas("1234567")]
    assert [answer for answer in places if check(entry, answer)] == ["-1,234,567.5"]
    assert not any(check(entry, f"-1,234,567.5{digits}") for digits in (",000", ",0", "0,0", ".0"))
    assert not check({"answer": "611", "metadata": {}}, "0,611")


def _with_commas(digits: str) -> Iterator[str]:
    """The digits with commas at every choice of at least one place."""
    for chosen in range(1, 2 ** (len(digits) - 1)):
        yield "".join(digit + "," * (chosen >> place & 1) for place, digit in enumerate(digits))


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        (
            "How many days are there?",
            ["23", "23 days", "23 days."],
            ["23 m", "23 weeks", "23 hours", "23%", "$23", "23 km"],
        ),
        ("He has $40 and spends $17. How much is left?", ["$23", "23 dollars", "US$23"], ["23 euros", "23 cents"]),
        ("What percent of her spools are purple?", ["23%", r"23\%", "23 percent"], ["23 spools%", "0.23"]),
        ("In how many boxes of 5 kg does it come?", ["23 boxes", "23 kg"], ["23 in", "23 inches", "23 g", "23 foxes"]),
        ("How many tubes of paint does he have?", ["23 tubes", "23 tubes of paint"], ["23 brushes", "23 litres"]),
        ("What is the missing angle (in degrees)?", ["23°", r"23^\circ", "23 degrees"], ["23 rad", "23'"]),
    ],
)
def test_a_number_may_have_the_unit_that_the_question_names(question: str, right: list[str], wrong: list[str]) -> None:
    check = rule_of("gsm_symbolic").check
    assert check is not None
    entry = {"question": question, "answer": "23", "metadata": {}}
    assert [answer for answer in right if not check(entry, answer)] == []
    assert [answer for answer in wrong if check(entry, answer)] == []


@pytest.mark.parametrize(
    "dress", ["**%s**", "$%s$", r"\text{%s}", r"\textbf{%s}", r"\mathbf{%s}", "%s.", r"\,%s\,", " %s "]
)
@pytest.mark.parametrize("name", ["gcd", "zebra_puzzles", "syllogism", "caesar_cipher", "survo", "complex_arithmetic"])
def test_dress_changes_no_verdict(name: str, dress: str) -> None:
    env = _env(name)
    puzzle = env.generate(np.random.default_rng(0))
    assert env.verify(puzzle, boxed(dress % puzzle.answer)).outcome == "correct"
    assert env.verify(puzzle, boxed(dress % f"{puzzle.answer} 7")).outcome == "wrong"


def test_dress_that_may_mean_something_stays() -> None:
    env = _env("n_queens")
    puzzle = env.generate(np.random.default_rng(0))
    assert env.verify(puzzle, boxed(puzzle.answer.replace("_", ""))).outcome == "wrong"


@pytest.mark.parametrize("name", ["quantum_lock", "sokoban", "rubiks_cube", "tower_of_hanoi"])
def test_an_answer_is_not_picked_out_of_other_text(name: str) -> None:
    env = _env(name)
    puzzle = env.generate(np.random.default_rng(0))
    for wrong in ("not %s", "%s or so", "%s\nnan", "R1U1 %s", "%s or2not", "0 %s", "%s %%"):
        assert env.verify(puzzle, boxed(wrong % puzzle.answer)).outcome == "wrong", wrong
    assert env.verify(puzzle, boxed(f"$${puzzle.answer}$$".replace("→", r"\rightarrow"))).outcome == "correct"


def test_a_move_of_jugs_names_nothing_more() -> None:
    env = _env("jugs")
    puzzle = env.generate(np.random.default_rng(0))
    assert env.verify(puzzle, boxed(puzzle.answer.replace(", ", ",\n"))).outcome == "correct"
    for old, new in (('A"', 'A B"'), ('"fill', '"refill'), ('"fill', '"fill no'), ("[", "")):
        assert env.verify(puzzle, boxed(puzzle.answer.replace(old, new))).outcome == "wrong"


@pytest.mark.parametrize("name", ["number_format", "gcd", "time_intervals", "advanced_geometry", "survo"])
def test_digits_of_other_scripts_are_no_digits(name: str) -> None:
    env = _env(name)
    puzzle = env.generate(np.random.default_rng(0))
    arabic = puzzle.answer.translate({ord(digit): chr(0x660 + int(digit)) for digit in "0123456789"})
    assert env.verify(puzzle, boxed(arabic)).outcome == "wrong"


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.sampled_from(CASES), st.text(max_size=30) | st.text("0123456789.,-+*/eExXnaif[]{}\"' \n", max_size=30))
def test_any_text_gets_a_verdict_from_our_checks(
    case: tuple[str, str, dict[str, Any], list[str], list[str]], answer: str
) -> None:
    name, right, metadata, *_ = case
    check = rule_of(name).check
    assert check is not None
    if "integra" not in name and "polynomial_m" not in name:
        assert check({"answer": right, "metadata": metadata}, answer) in (True, False)


@pytest.mark.parametrize(("name", "reason"), sorted(REFUSED.items()))
def test_refused_data_sets_say_why(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' makes no task: "):
        reasoning_gym_task(name)
    assert FAULTS[reason]


def test_a_data_set_that_nobody_has_read_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one whose scorer has been read, .*got 'brand_new'"):
        reasoning_gym_task("brand_new")


SET_ORDERED = [  # their generators go through sets
    "intermediate_integration",
    "isomorphic_strings",
    "knight_swap",
    "polynomial_multiplication",
    "ransom_note",
    "word_ladder",
]


def _items(names: list[str]) -> dict[str, list[str]]:
    items = {}
    for name in names:
        env = ReasoningGymEnv(name)
        for seed in range(2):
            env.reset(seed=seed)
            items[f"{name} {seed}"] = [env.puzzle.question, env.puzzle.answer, env.puzzle.entry]
    return items


def test_items_are_the_same_in_every_process_whatever_its_hash_seed() -> None:
    pytest.importorskip("reasoning_gym")
    pytest.importorskip("sympy")
    imports = "import json\nfrom mtgrpo_env.envs.reasoning_gym_tasks import ReasoningGymEnv\n"
    source = f"{imports}{inspect.getsource(_items)}print(json.dumps(_items({SET_ORDERED!r})))"
    environment = os.environ | {"PYTHONHASHSEED": "999"}
    there = subprocess.run([sys.executable, "-c", source], env=environment, capture_output=True, check=True).stdout
    assert json.loads(there) == _items(SET_ORDERED)


def test_an_item_that_comes_out_otherwise_a_second_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("reasoning_gym")
    ticks = iter(range(4))
    monkeypatch.setattr(reasoning_gym_worker, "_item", lambda *item: {"answer": next(ticks)})
    request = {"name": "codeio", "config": "{}", "number": 1, "twice": True}
    assert reasoning_gym_worker.make(request) == {}
    assert reasoning_gym_worker.make(request | {"twice": False}) == {"item": {"answer": 2}}
    assert RULES.keys() >= UNREPEATABLE


def test_a_generator_that_fails_gives_no_item(monkeypatch: pytest.MonkeyPatch) -> None:
    env = _env("gcd")

    class Failing:
        def call(self, request: Any) -> Any:
            raise ScorerFailure("killed")

    monkeypatch.setattr(reasoning_gym_tasks, "_generators", Failing)
    with pytest.raises(RuntimeError, match="'gcd' gave no item with a usable answer in 100 draws"):
        env.generate(np.random.default_rng(0))


def test_an_item_of_a_program_that_failed_is_not_usable() -> None:
    failed = {"answer": "{}", "metadata": {"input_data": {}, "output_data": {}}}
    assert reference_answer("codeio", failed) == ""
    assert reference_answer("codeio", failed | {"metadata": {"input_data": {}, "output_data": {"n": 1}}}) == "{}"


def test_a_config_reaches_the_data_set() -> None:
    env = _env("chain_sum", {"min_terms": 7, "max_terms": 7})
    assert (
        env.generate(np.random.default_rng(0)).question.count(" + ")
        + env.generate(np.random.default_rng(0)).question.count(" - ")
        == 6
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"no_such_field": 1}, "config of 'chain_sum' does not fit"),
        ({"min_terms": 0}, "config of 'chain_sum' does not fit"),
        ({"seed": 3}, "must not set 'seed' or 'size'"),
        ({"size": 3}, "must not set 'seed' or 'size'"),
        ({"min_terms": {1, 2}}, "must hold what JSON can"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _env("chain_sum", config)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ImportError, match=r"'chain_sum' needs reasoning_gym: pip install '\.\[reasoning-gym\]'"):
        ReasoningGymEnv("chain_sum")


def test_importing_the_tasks_does_not_import_the_package() -> None:
    program = "import sys, mtgrpo_env.envs.reasoning_gym_tasks; sys.exit('reasoning_gym' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_task_has_the_name_of_its_data_set_and_splits_that_share_no_puzzle() -> None:
    pytest.importorskip("reasoning_gym")
    task = reasoning_gym_task("gcd")
    assert task.name == "reasoning_gym/gcd"
    suite = TaskSuite([task])
    prompts = {}
    for split in ("train", "test"):
        env = suite.envs(0, 1)[0]
        prompts[split] = {env.reset(seed=p.seed, options=dict(p.options))[0] for p in suite.held_out(30, split=split)}
        assert len(prompts[split]) == 30
    assert not prompts["train"] & prompts["test"]


def test_global_generators_are_left_as_they_were() -> None:
    env = _env("pool_matrix")
    np.random.seed(7)  # noqa: NPY002 - what is tested
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    env.generate(np.random.default_rng(0))
    assert np.array_equal(np.random.random(3), expected)  # noqa: NPY002


def test_an_opening_sign_in_their_answer_is_solved_away() -> None:
    entry = {"answer": "-3 + 5*5", "metadata": {"numbers": [3, 5, 5], "target": 22}}
    answer = reference_answer("countdown", entry)
    assert rule_of("countdown").check(entry, answer)  # pyright: ignore[reportOptionalCall]
    assert reference_answer("simple_integration", {"answer": "Integral(x, x) + C", "metadata": {}}) == ""


def test_a_scorer_that_fails_is_no_verdict_on_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    env = _env("jugs")
    puzzle = env.generate(np.random.default_rng(0))

    class Failing:
        def call(self, request: Any) -> Any:
            raise ScorerFailure("killed")

    monkeypatch.setattr(reasoning_gym_tasks, "shared_pool", lambda function: Failing())
    verdict = env.verify(puzzle, env.oracle(puzzle))
    assert (verdict.outcome, verdict.valid, verdict.reward) == ("scorer_error", False, 0.0)
    assert env.verify(puzzle, "").outcome == "no_answer"
    assert env.verify(puzzle, boxed("x" * 30_000)).outcome == "wrong"


class _Picky:
    """Scores "right" and raises for anything in `raises_for`."""

    def __init__(self, *raises_for: str) -> None:
        self.raises_for = raises_for

    def score_answer(self, answer: str, entry: dict[str, Any]) -> float:
        if answer in self.raises_for:
            raise KeyError(answer)
        return float(answer == entry["answer"])


@pytest.mark.parametrize(("raises_for", "answer", "score"), [((), "right", 1.0), ((), "?", 0.0), (("?",), "?", 0.0)])
def test_an_answer_that_a_scorer_cannot_read_scores_nothing(
    monkeypatch: pytest.MonkeyPatch, raises_for: tuple[str, ...], answer: str, score: float
) -> None:
    monkeypatch.setattr(reasoning_gym_worker, "_dataset", lambda name, config: _Picky(*raises_for))
    assert reasoning_gym_worker.score(_request(answer)) == score


def test_a_scorer_that_cannot_read_the_right_answer_either_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasoning_gym_worker, "_dataset", lambda name, config: _Picky("?", "right"))
    with pytest.raises(KeyError):
        reasoning_gym_worker.score(_request("?"))


def _request(answer: str) -> dict[str, str]:
    entry = json.dumps({"answer": "right", "metadata": {}})
    return {"name": "any", "config": "{}", "entry": entry, "reference": "right", "answer": answer}


def test_an_item_whose_answer_no_box_can_hold_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    env = _env("bf")
    items = iter(
        {"question": "?", "answer": answer, "metadata": {}} for answer in ("", "  ", "}{", "{", "\\boxed{1}", "fits")
    )
    monkeypatch.setattr(env, "_item", lambda number: next(items))
    puzzle = env.generate(np.random.default_rng(0))
    assert isinstance(puzzle, ReasoningGymPuzzle)
    assert puzzle.answer == "fits"
    monkeypatch.setattr(env, "_item", lambda number: {"question": "?", "answer": "", "metadata": {}})
    with pytest.raises(RuntimeError, match="'bf' gave no item with a usable answer in 100 draws"):
        env.generate(np.random.default_rng(0))
