"""Science: options are all different and only one is right, answers commit to one of them, rows are read back."""

from __future__ import annotations

import math
import re
import string
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.chat import Message
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.science import Science, SciencePuzzle, sciknoweval_row
from mtgrpo_env.envs.science_answers import LETTERS, chosen_letter
from mtgrpo_env.envs.science_facts import (
    ACIDS,
    BIOLOGY,
    CHEMISTRY,
    ELEMENTS,
    OPENINGS,
    OPERATIONS,
    PHYSICS,
    QUANTITIES,
    SUBSTANCES,
)
from mtgrpo_env.envs.science_options import Question, written
from mtgrpo_env.envs.science_prompts import read_question
from mtgrpo_env.envs.science_questions import draw_compact, draw_question
from mtgrpo_env.paper_frame import framed

LEVELS = list(Science.LEVELS)
NAMED = [level for level in LEVELS if level != "mini"]
PLANTS = SciencePuzzle("What do leaves do?", ("respiration", "photosynthesis", "nothing"), "B")

HOSTILE = [
    "A or B",
    "AB",
    "A, B",
    "A B",
    "B A",
    "not A",
    "B, not A",
    "Z",
    "D",
    "2",
    "A) photosynthesis",
    "B) respiration",
    "D) photosynthesis",
    "B photosynthesis of plants",
    "photo",
    "photosynthesis or respiration",
    "respiration photosynthesis",
    "Β",  # the Greek letter
    "Ｂ2",
    "b\u0301",
    "\x00B",
    "()",
    "(B",
    "((B))",
    "B" * 100_000,
    "(" * 500_000 + "B",
    "B) " * 300_000,
    "B)" + " " * 500_000 + "x",
    "\\text{" * 200_000,
    "\\text{A" + "}" * 200_000,
    "$" * 500_000,
    " " * 900_000,
    "9" * 900_000,
]


@st.composite
def task_and_puzzle(draw: st.DrawFn) -> tuple[Science, SciencePuzzle]:
    task = Science(draw(st.sampled_from(LEVELS)))
    return task, task.generate(np.random.default_rng(draw(st.integers(0, 2**32))))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_the_oracle_is_correct_and_every_other_letter_is_wrong(drawn: tuple[Science, SciencePuzzle]) -> None:
    task, puzzle = drawn
    assert task.verify(puzzle, task.oracle(puzzle)).outcome == "correct"
    for letter in string.ascii_uppercase:
        expected = "correct" if letter == puzzle.answer else "wrong"
        assert task.verify(puzzle, boxed(letter)).outcome == expected


@settings(max_examples=300, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_options_are_as_many_as_the_level_says_and_no_two_read_alike(drawn: tuple[Science, SciencePuzzle]) -> None:
    task, puzzle = drawn
    assert len(puzzle.choices) == task.level.options
    assert len({"".join(choice.split()).casefold() for choice in puzzle.choices}) == task.level.options


@settings(max_examples=100, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_the_text_of_an_option_counts_as_its_letter(drawn: tuple[Science, SciencePuzzle]) -> None:
    task, puzzle = drawn
    for letter, choice in zip(LETTERS, puzzle.choices, strict=False):
        expected = "correct" if letter == puzzle.answer else "wrong"
        assert (
            task.verify(puzzle, boxed(f" {choice if re.search('[0-9]', choice) else choice.upper()} ")).outcome
            == expected
        )
        assert task.verify(puzzle, boxed(f"{letter}. {choice}")).outcome == expected
        assert task.verify(puzzle, boxed(f"{puzzle.answer}) {choice}")).outcome == expected


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "b",
        "(B)",
        "(b).",
        "B.",
        "B)",
        "B:",
        " B ",
        r"\text{B}",
        r"\mathrm{B}",
        r"\textbf{(B)}",
        "$B$",
        "B) photosynthesis",
        "B: Photosynthesis",
        "(B) photosynthesis.",
        "B. \\text{photosynthesis}",
        "B - photosynthesis",
        "photosynthesis",
        "PHOTO synthesis.",
    ],
)
def test_a_letter_counts_in_every_usual_dress(answer: str) -> None:
    assert Science("easy").verify(PLANTS, f"So it is \\boxed{{{answer}}}, I think.").outcome == "correct"


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda answer: ascii(answer[:20]))
def test_answers_that_commit_to_no_option_or_several_are_never_correct(answer: str) -> None:
    task = Science("easy")
    assert not task.is_correct(PLANTS, answer)
    assert not task.verify(PLANTS, boxed(answer)).is_success
    assert task.verify(PLANTS, answer).outcome == "no_answer"


def test_a_letter_that_is_also_an_options_text_means_the_letter() -> None:
    assert chosen_letter("C", ("C", "N", "O")) == "C"
    assert chosen_letter("N", ("C", "N", "O")) == "B"
    assert chosen_letter("A: C", ("C", "N", "O")) == "A"


def test_a_text_that_two_options_share_is_no_answer() -> None:
    assert chosen_letter("5 mw", ("5 mW", "5 MW", "5 W")) is None
    assert chosen_letter("A: 5 mW", ("5 mW", "5 MW", "5 W")) == "A"


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text("ABCab().: -photsyne\\{}$", max_size=30) | st.text(max_size=30))
def test_any_text_in_a_box_gets_a_verdict(answer: str) -> None:
    assert Science("easy").verify(PLANTS, boxed(answer)).outcome in ("correct", "wrong", "no_answer")


@pytest.mark.parametrize("level", LEVELS)
def test_equal_seeds_generate_equal_puzzles_and_others_differ(level: str) -> None:
    task = Science(level)
    first, again, other = (
        [task.generate(rng) for _ in range(20)] for rng in (np.random.default_rng(seed) for seed in (1, 1, 2))
    )
    assert first == again
    assert not set(first) & set(other)


@pytest.mark.parametrize("level", LEVELS)
def test_two_thousand_puzzles_hardly_repeat(level: str) -> None:
    """With 10^5 keys of equal chance some 20 pairs would be equal."""
    task, rng = Science(level), np.random.default_rng(0)
    assert len({task.key(task.generate(rng)) for _ in range(2000)}) > 1980


@pytest.mark.parametrize("level", LEVELS)
def test_guesses_score_one_in_the_number_of_options(level: str) -> None:
    """Within 3 standard deviations on 2000 puzzles of seed 0."""
    task, rng = Science(level), np.random.default_rng(0)
    puzzles = [task.generate(rng) for _ in range(2000)]
    share = np.mean([task.verify(puzzle, task.guess(puzzle, rng)).is_success for puzzle in puzzles])
    chance = 1 / task.level.options
    assert abs(share - chance) < 3 * np.sqrt(chance * (1 - chance) / 2000)


@pytest.mark.parametrize("level", NAMED)
def test_neither_place_nor_rank_nor_length_gives_the_answer_away(level: str) -> None:
    """On 3000 puzzles of seed 0, no rule of thumb finds the answer much more often than a guess does."""
    task, rng = Science(level), np.random.default_rng(0)
    count = task.level.options
    hits = np.zeros((3, count))
    for _ in range(3000):
        puzzle = task.generate(rng)
        right = puzzle.choices[LETTERS.index(puzzle.answer)]
        hits[0, LETTERS.index(puzzle.answer)] += 1
        if all(choice[0].isdigit() for choice in puzzle.choices):
            values = sorted(puzzle.choices, key=_value)
            hits[1, values.index(right)] += 1
        hits[2, sorted(puzzle.choices, key=len).index(right)] += 1
    shares = hits / hits.sum(axis=1, keepdims=True)
    assert shares.max() < 1 / count + 0.08
    assert shares[:2].min() > 0.4 / count


def _value(choice: str) -> float:
    mantissa, _, power = choice.partition(" × 10^")
    return float(mantissa.split()[0]) * 10.0 ** int(power.split()[0] if power else 0)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(2, 10))
def test_any_number_of_options_up_to_ten_can_be_had(seed: int, steps: int, options: int) -> None:
    question = draw_question(Dice(np.random.default_rng(seed)), steps=steps, options=options)
    assert len({question.right, *question.wrong}) == options == 1 + len(question.wrong)


def test_wrong_numbers_are_well_apart_from_the_right_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        question = draw_question(Dice(rng), steps=3, options=10)
        if "significant" not in question.text:
            continue
        for wrong in question.wrong:
            assert abs(_value(wrong) / _value(question.right) - 1) > 0.015, question


def test_compact_prompts_stay_within_24_plain_characters() -> None:
    task, rng = Science("mini"), np.random.default_rng(0)
    allowed = set(string.ascii_letters + string.digits + "+-*/()=,;:<~")
    for _ in range(2000):
        prompt = task.prompt(task.generate(rng))
        assert len(prompt) <= 24
        assert set(prompt) <= allowed


def test_compact_questions_are_answered_by_their_law() -> None:
    """Force is mass times acceleration, and so back: checked on all the questions about it of seed 0."""
    rng, seen = np.random.default_rng(0), 0
    for _ in range(3000):
        question = draw_compact(Dice(rng))
        if question.text.startswith("m") and question.text.endswith("F"):
            mass, acceleration = map(int, question.text[1:-1].split("a"))
            assert int(question.right) == mass * acceleration
            seen += 1
        elif question.text.startswith("F") and question.text.endswith("m"):
            force, acceleration = map(int, question.text[1:-1].split("a"))
            assert int(question.right) * acceleration == force
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (12.345, "12.3"),
        (0.05, "0.05"),
        (999.9, "1000"),
        (1234.5, "1230"),
        (999_999.0, "1000000"),
        (1e6, "1 × 10^6"),
        (6.022e23, "6.02 × 10^23"),
        (0.0000123, "1.23 × 10^-5"),
    ],
)
def test_numbers_are_written_to_three_figures(value: float, text: str) -> None:
    assert written(value) == text


def test_every_law_leads_from_a_known_quantity_by_a_known_operation() -> None:
    openings = {opening.quantity for opening in OPENINGS}
    laws = (*PHYSICS, *CHEMISTRY, *BIOLOGY)
    results = {law.result for law in laws}
    for law in laws:
        assert law.operation in OPERATIONS
        assert law.result in QUANTITIES
        assert law.source in openings | results
        assert law.low <= law.high
        assert ("{g}" in law.text) == bool(
            law.text and law.operation not in ("pH", "less one") and law.result != "codons"
        )


def test_the_data_agree_with_the_periodic_table() -> None:
    assert [ELEMENTS[number - 1] for number in (1, 6, 8, 26, 29, 47, 53)] == [
        ("H", "hydrogen"),
        ("C", "carbon"),
        ("O", "oxygen"),
        ("Fe", "iron"),
        ("Cu", "copper"),
        ("Ag", "silver"),
        ("I", "iodine"),
    ]
    weights = {"H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999, "S": 32.06, "Cl": 35.45, "Br": 79.904, "I": 126.904}
    for formula, (_, molar_mass) in {**SUBSTANCES, **ACIDS}.items():
        assert abs(_weight(formula, weights) - molar_mass) < 0.12, formula


def _weight(formula: str, weights: dict[str, float]) -> float:
    total, place = 0.0, 0
    while place < len(formula):
        symbol = formula[place : place + 2] if formula[place : place + 2] in weights else formula[place]
        place += len(symbol)
        count = ""
        while place < len(formula) and formula[place].isdigit():
            count, place = count + formula[place], place + 1
        total += weights[symbol] * int(count or 1)
    return total


@settings(max_examples=100, derandomize=True, deadline=None)
@given(task_and_puzzle())
def test_puzzles_are_read_back_from_rows(drawn: tuple[Science, SciencePuzzle]) -> None:
    task, puzzle = drawn
    prompt = task.prompt(puzzle)
    assert Science.from_ground_truth(task.ground_truth(puzzle), prompt) == puzzle
    assert Science.from_ground_truth({"target": puzzle.answer}, prompt) == puzzle
    assert task.prompt(Science.from_ground_truth({"target": puzzle.answer}, prompt)) == prompt


@pytest.mark.parametrize("style", ["{}. {}", "{}) {}", "({}) {}", "{}: {}", "  {}.  {} "])
def test_options_are_found_in_a_prompt_however_they_are_labelled(style: str) -> None:
    lines = "\n".join(style.format(letter, text) for letter, text in zip("ABC", PLANTS.choices, strict=True))
    question = framed([Message("user", f"{PLANTS.question}\n{lines}\nAnswer with a letter.")])
    assert Science.from_ground_truth({"target": "(b)"}, question) == PLANTS


SHOWN = {
    "brackets in one line": "(A) gold (B) iron (C) lead",
    "brackets without blanks": "(A)gold (B)iron (C)lead",
    "small brackets in one line": "(a) gold, (b) iron, (c) lead",
    "brackets, sentences": "(A) gold; (B) iron; (C) lead.",
    "stops in one line": "A. gold B. iron C. lead",
    "parentheses in one line": "A) gold, B) iron, C) lead",
    "colons in one line": "Options: A: gold; B: iron; C: lead",
    "two lines": "A. gold   B. iron\nC. lead",
    "a table": "| A. gold | B. iron | C. lead |",
    "the manner of a competition": r"$\textbf{(A)}\ \text{gold}\qquad\textbf{(B)}\ \text{iron}\quad \textbf{(C)}~lead$",
    "bullets": "- A. gold\n- B. iron\n- C. lead",
    "stars": "* A) gold\n* B) iron\n* C) lead",
    "bold labels": "**A.** gold\n**B.** iron\n**C.** lead",
    "bold brackets": "**(A)** gold\n**(B)** iron\n**(C)** lead",
    "bold lines": "**A. gold**\n**B. iron**\n**C. lead**",
    "bold in LaTeX": "\\textbf{(A)} gold\n\\textbf{(B)} iron\n\\textbf{(C)} lead",
    "tags": "<b>A.</b> gold\n<b>B.</b> iron\n<b>C.</b> lead",
    "small letters": "a. gold\nb. iron\nc. lead",
    "small letters in parentheses": "a) gold\nb) iron\nc) lead",
    "square brackets": "[A] gold\n[B] iron\n[C] lead",
    "dashes": "A - gold\nB - iron\nC - lead",
    "long dashes": "A – gold\nB – iron\nC – lead",
    "words": "Option A: gold\nOption B: iron\nOption C: lead",
    "numbers": "1. gold\n2. iron\n3. lead",
    "numbers in parentheses": "(1) gold\n(2) iron\n(3) lead",
    "full width": "（Ａ） gold\n（Ｂ） iron\n（Ｃ） lead",
    "full width in one line": "Ａ． gold Ｂ． iron Ｃ． lead",
    "no blank": "A.gold\nB.iron\nC.lead",
    "statements before them": "1. Iron rusts.\n2. Gold shines.\nA. gold\nB. iron\nC. lead",
    "tabs": "A.\tgold\nB.\tiron\nC.\tlead",
}


@pytest.mark.parametrize("options", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("after", ["", "\nAnswer with a letter.", "\n\nReturn \\boxed{}."])
def test_options_are_found_in_any_usual_list(options: str, after: str) -> None:
    puzzle = Science.from_ground_truth({"target": "B"}, f"Which is magnetic?\n{options}{after}")
    right = ["B", "B. Iron", "Iron", "(B) iron", "iron (B)", "Iron, B", r"\text{B) iron}"]
    wrong = ["A", "A. Iron", "B. gold", "gold", "Gold, B", "lead", "B. lead", "iron, gold", "B. iron C. lead"]
    verify = Science("easy").verify
    assert [text for text in right if verify(puzzle, boxed(text)).outcome != "correct"] == []
    assert [text for text in wrong if verify(puzzle, boxed(text)).outcome != "wrong"] == []
    assert puzzle.question.startswith("Which is magnetic?")


def test_a_request_behind_the_last_option_is_no_part_of_it() -> None:
    puzzle = Science.from_ground_truth({"target": "B"}, "Which? A. gold B. lead C. iron. Answer with a letter.")
    assert puzzle.choices == ("gold", "lead", "iron.")
    assert Science("easy").is_correct(SciencePuzzle("Which?", puzzle.choices, "C"), "Iron")


@pytest.mark.parametrize(
    "question",
    [
        "J. A. Smith and B. Jones: what is it?",
        "Do (a) and (b) follow, or none?",
        "In case A: it holds.",
        "Steps:\n1. Mix.\n\nThen wait.\n2. Heat.\n3. Cool.",
        "1.5 g of A. niger\n2.5 g of B. subtilis",
        "See (A) for more.",
    ],
)
def test_labels_that_list_no_options_are_none(question: str) -> None:
    puzzle = Science.from_ground_truth({"target": "B"}, question)
    assert puzzle == SciencePuzzle(question, (), "B")


def test_options_may_be_words_that_join_others() -> None:
    assert Science.from_ground_truth({"target": "B"}, "Which?\nA. and\nB. or\nC. AND").choices == ("and", "or", "AND")


def test_other_lists_than_capitals_count_only_if_the_target_is_in_them() -> None:
    listed = "(a) gold (b) iron (c) lead"
    assert Science.from_ground_truth({"target": "E"}, listed).choices == ()
    with pytest.raises(ValueError, match=r"needs a letter A..C as 'target'"):
        Science.from_ground_truth({"target": "E"}, "A. gold\nB. iron\nC. lead")


@pytest.mark.parametrize(
    "piece", ["A. x ", "(A) ", "A.\n", "**A.** x\nB", "\n1. x", "- ", "\\textbf{", "(a)(b)", " ", "? Put "]
)
def test_a_long_question_is_read_in_linear_time(piece: str) -> None:
    start = time.process_time()
    read_question(piece * (200_000 // len(piece)), "B")
    assert time.process_time() - start < 2.0


def test_without_options_in_the_prompt_only_letters_count() -> None:
    task, puzzle = Science("easy"), Science.from_ground_truth({"target": "B"}, "Which?")
    assert puzzle == SciencePuzzle("Which?", (), "B")
    assert task.verify(puzzle, boxed("(B)")).outcome == "correct"
    assert task.verify(puzzle, boxed("B) x")).outcome == "wrong"
    assert task.verify(puzzle, task.guess(puzzle, np.random.default_rng(0))).outcome in ("correct", "wrong")
    assert task.ground_truth(puzzle) == {"target": "B"}


@pytest.mark.parametrize("target", [None, "", "AB", "D", "1", 2, ["A"], "Z"])
def test_a_target_that_is_no_option_is_refused(target: Any) -> None:
    with pytest.raises(ValueError, match=r"ground truth needs .*'target'"):
        Science.from_ground_truth({"target": target, "choices": list(PLANTS.choices)}, "")


@pytest.mark.parametrize("choices", ["abc", [], ["one"], ["x"] * 11, ["x", ""], ["x", 3], {"A": "x"}, 4])
def test_malformed_choices_are_refused(choices: Any) -> None:
    with pytest.raises(ValueError, match="ground truth needs 'choices' as a list of 2 to 10 str"):
        Science.from_ground_truth({"target": "A", "choices": choices}, "")


def _record(**changes: Any) -> dict[str, Any]:
    return {
        "question": "Which of these metals rusts?",
        "choices": {"text": ["gold", "iron", "tin"], "label": ["A", "B", "C"]},
        "answerKey": "B",
        "type": "mcq-4-choices",
        "domain": "Chemistry",
        "details": {"level": "L3", "task": "metals"},
    } | changes


def test_a_sciknoweval_record_becomes_a_row_of_the_task() -> None:
    row = sciknoweval_row(_record())
    assert row["data_source"] == "science-hard-test"
    assert row["reward_model"]["ground_truth"] == {"target": "B", "choices": ["gold", "iron", "tin"]}
    prompt = row["prompt"][0]["content"]
    puzzle = Science.from_ground_truth(row["reward_model"]["ground_truth"], prompt)
    assert puzzle == SciencePuzzle("Which of these metals rusts?", ("gold", "iron", "tin"), "B")
    assert Science("hard").prompt(puzzle) == prompt


def test_a_sciknoweval_record_may_have_other_labels_and_no_details() -> None:
    record = _record(choices={"text": ["gold", "iron"], "label": ["1", "2"]}, answerKey="2")
    for name in ("type", "domain", "details"):
        del record[name]
    row = sciknoweval_row(record, split="train", level="easy")
    assert row["data_source"] == "science-easy-train"
    assert row["reward_model"]["ground_truth"]["target"] == "B"
    assert sciknoweval_row(record)["data_source"] == "science-medium-test"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "open-ended-qa"}, "multiple-choice 'type' such as 'mcq-4-choices', got 'open-ended-qa'"),
        ({"type": "true_or_false"}, "got 'true_or_false'"),
        ({"type": 3}, "got 3"),
        ({"question": " "}, "non-empty str 'question'"),
        ({"question": None}, "non-empty str 'question'"),
        ({"answerKey": ""}, "'answerKey' among"),
        ({"answerKey": "D"}, "'answerKey' among"),
        ({"answerKey": None}, "'answerKey' among"),
        ({"choices": ["gold", "iron"]}, "'choices' with lists 'text' and 'label'"),
        ({"choices": {"text": [], "label": []}}, "2 to 10 'choices.text', got 0"),
        ({"choices": {"text": ["x", "y"], "label": ["A"]}}, "2 to 10 'choices.label', got 1"),
        ({"choices": {"text": ["x", "y"], "label": ["A", "A"]}}, "one different 'choices.label' per text"),
        ({"choices": {"text": ["x", "y"], "label": ["A", "B", "C"]}}, "one different 'choices.label' per text"),
        ({"choices": {"text": ["x", 3], "label": ["A", "B"]}}, "'choices.text' as a list of non-empty str"),
        ({"choices": {"text": ["x", "y"]}}, "'choices.label' as a list of non-empty str"),
    ],
)
def test_a_malformed_sciknoweval_record_is_refused_by_the_name_of_the_field(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sciknoweval_row(_record(**changes))


def _asked(steps: int, opening: str, count: int) -> list[Question]:
    """Questions of seed 0 that open so."""
    dice, found = Dice(np.random.default_rng(0)), []
    while len(found) < count:
        question = draw_question(dice, steps=steps, options=4)
        if question.text.startswith(opening):
            found.append(question)
    return found


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_strands_are_paired_reversed_transcribed_and_spliced(steps: int) -> None:
    pairs = {"A": "T", "T": "A", "C": "G", "G": "C"}
    for question in _asked(steps, "A strand of DNA", 10):
        match = re.search(r"5'-([ACGT]+)-3'", question.text)
        assert match
        strand = [pairs[base] for base in match[1]]
        if steps > 1:
            strand.reverse()
        if steps > 2:
            strand = ["U" if base == "T" else base for base in strand]
        if steps > 3:
            numbers = re.search(r"bases (\d+) to (\d+)", question.text)
            assert numbers
            del strand[int(numbers[1]) - 1 : int(numbers[2])]
        assert question.right == "".join(strand)
        assert all(len(wrong) == len(strand) for wrong in question.wrong)


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_neutrons_are_what_the_protons_leave_of_the_mass_number(steps: int) -> None:
    numbers = {name: number for number, names in enumerate(ELEMENTS, start=1) for name in names}
    for question in _asked(steps, "How many neutrons", 10):
        atoms = re.findall(r"([A-Za-z]+)-(\d+)", question.text.partition(":")[2])
        assert len(atoms) == steps - 1
        assert int(question.right) == sum(int(mass) - numbers[name] for name, mass in atoms)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_crosses_are_counted_offspring_by_offspring(steps: int) -> None:
    for question in _asked(steps, "Genes", 10):
        match = re.search(r"There are (\d+) offspring", question.text)
        assert match
        expected = float(match[1])
        for mother, father in re.findall(r"([A-Za-z]{2}) × ([A-Za-z]{2})", question.text):
            children = [{a, b} for a in mother for b in father]
            recessive = sum(child == {mother[1]} for child in children) / 4
            expected *= recessive if f"recessive in {mother[0]}" in question.text else 1 - recessive
        assert question.right == written(expected)


@pytest.mark.parametrize(
    ("opening", "end", "formula"),
    [
        ("A body has a mass", "take its kinetic energy.", lambda mass, speed: mass * speed**2 / 2),
        ("A steady force", "does work over", lambda force, distance: force * distance),
        ("A supply has a voltage", "resistor of", lambda voltage, resistance: voltage / resistance),
        ("A store holds", "heats", lambda energy, mass: energy / (mass * 4200)),
        ("A tuning fork", "Waves", lambda frequency, speed: speed / frequency),
        ("A culture starts", "divide", lambda cells, times: cells * 2**times),
        ("A radioactive tracer", "half-lives", lambda activity, times: activity * 0.5**times),
    ],
)
def test_one_step_of_physics_is_what_the_textbook_says(opening: str, end: str, formula: Callable[..., float]) -> None:
    for question in _asked(1, opening, 5):
        first, second, *_ = (float(number) for number in re.findall(r"\d+(?:\.\d+)?", question.text))
        if end in question.text:
            assert question.right.split(" ")[0] == written(formula(first, second)).split(" ")[0], question


def test_ph_is_minus_the_logarithm_of_the_concentration() -> None:
    for question in _asked(1, "A solution holds", 20):
        if "pH" in question.text:
            concentration = float(question.text.split()[3])
            assert question.right == written(-math.log10(concentration))
