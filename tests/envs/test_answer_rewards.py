"""The built-in rewards: what counts, near misses by name, and what a policy that cheats would try."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtgrpo_env.envs.answer_rewards import choice, exact, number
from mtgrpo_env.envs.final_answers import final_answer, target_text
from mtgrpo_env.hostile import HOSTILE

METALS = {"target": "B", "choices": ["gold", "iron", "zinc", "lead"]}


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"so \boxed{72}", "72"),
        (r"\boxed{1}, no: \boxed{\text{72}}. I hope it helps.", "72"),
        (r"#### 5" + "\n" + r"\boxed{72}", "72"),
        (r"<answer>5</answer> \boxed{72", "5"),
        ("<think>5</think><answer> 72 </answer>", "72"),
        ("<answer>5</answer>\n<answer>\n72\n</answer>", "72"),
        ("<answer>5</answer> <answer>72", "5"),
        ("30 + 42 = 72\n#### 72", "72"),
        ("#### 72\nthat is all", "72"),
        ("The answer is **72**.", "72"),
        ("Final Answer: The final answer is $72$. I hope it is correct.", "$72$"),
        ("THE ANSWER IS: **72**", "72"),
        ("**Answer:** 72\n", "72"),
        ("**Answer: St. Louis**", "St. Louis"),
        ("Answer:\n\n72\nDone", "72"),
        ("The answer is 5. Wait. The answer is 72", "72"),
        ("#### Step 1\nThe answer is 72.\n", "72"),
        ("#### Final answer: 72\n", "72"),
        ("The answer is 5\n#### 72", "72"),
        ("72", "72"),
        ("  **72**\n", "72"),
        ("<think>\nabout 5\n</think>\n72", "72"),
        ("", None),
        (" \n ", None),
        (r"\boxed{}", r"\boxed{}"),
        ("5\n72", None),
        ("So there are\n72 of them.", None),
        ("Answer:", None),
        ("####", None),
        ("<answer></answer>", None),
        ("</answer>72<answer>", "</answer>72<answer>"),
    ],
)
def test_the_answer_is_what_stands_at_the_place_for_it(response: str, answer: str | None) -> None:
    assert final_answer(response) == answer


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        ("72", "72"),
        (72, "72"),
        (0.5, "0.5"),
        (10**400, str(10**400)),
        (Decimal("1.50"), "1.50"),
        (np.float64(2.5), "2.5"),
        (np.int64(7), "7"),
        ({"target": 72}, "72"),
        ("Half is 36.\n#### 72", "72"),
        ("#### 1,234 \n", "1,234"),
        ("####", "####"),
    ],
)
def test_a_truth_is_a_text_a_number_or_the_end_of_a_solution(truth: Any, answer: str) -> None:
    assert target_text(truth if isinstance(truth, str | dict) else {"target": truth}) == answer


@pytest.mark.parametrize(
    "truth",
    [
        {},
        {"target": None},
        {"target": True},
        {"target": " "},
        {"target": ["72"]},
        {"target": math.nan},
        {"target": Decimal("Infinity")},
        "",
    ],
)
def test_a_truth_without_an_answer_is_refused(truth: Any) -> None:
    with pytest.raises(ValueError, match="ground truth needs a text or a number as 'target'"):
        target_text(truth)


@pytest.mark.parametrize(
    ("truth", "answer"),
    [
        *[("72", answer) for answer in ("72", "72.0", "+72", "72.", "72,", "072", "144/2", "(72)", "7.2e1", "72%")],
        *[("72", answer) for answer in ("$72", r"\$72", "$72$", "€72", "72 €", "£72.00", "USD 72", "US$72", "Rs 72")],
        *[("72", answer) for answer in ("72 percent", "72 cm", r"72\text{ apples}", r"72^\circ", r"72\,\text{cm}^2")],
        *[("72", answer) for answer in ("**72**", r"\textbf{72 cm}", r"\[72\]", r"$x = 72$", "= 72", "about 72")],
        *[("72", answer) for answer in (r"\approx 72", "≈72", r"7.2 \times 10^{1}", "7.2 x 10^1", "7.2x10^{1}")],
        *[("1000", answer) for answer in ("10^3", "10^{3}", "1.0e3", "1e3", r"1 \times 10^3", "1 thousand", "$1K")],
        *[("-0.5", answer) for answer in ("-1/2", "−0.5", "–0.5", r"-\frac{1}{2}", "-.5", "-50e-2", "-$0.50")],
        *[("1234567.5", answer) for answer in ("1,234,567.5", r"1{,}234{,}567.5", "$1,234,567.50", "1234567 1/2")],
        *[("3.5", answer) for answer in ("3 ½", "3½", r"3\frac12", "3 1/2", "7/2", r"\dfrac{7}{2}", "3½ cups")],
        *[("1000", answer) for answer in ("1 000", r"1\,000", r"1{,}000", "1\u202f000 km", "1,000.00")],
        ("1,234", "1234"),
        ("$18", "18"),
        ("50%", "50"),
        ("1e-05", "0.00001"),
        (r"\frac{3}{4}", "0.75"),
        ("Tom has 3.\n#### 1,000", "1000"),
    ],
)  # fmt: skip
def test_a_number_counts_in_any_usual_dress(truth: str, answer: str) -> None:
    for response in (rf"\boxed{{{answer}}}", f"The answer is {answer}", f"work\n#### {answer}", f" {answer}\n"):
        assert number(response, truth) == 1.0, response


@pytest.mark.parametrize(
    "answer",
    [
        *["60 + 12 = 72", "8*9 = 72", r"8 \times 9 = 72", "$60 + $12 = $72", r"$\frac{144}{2} = 72$", "(5+3)·9=72."],
        *["60.5 + 11.5 = 72 apples", "x = 60 + 12 = 72", "60 + 10 + 2 = 70 + 2 = 72", "1,000 - 928 = 72"],
    ],
)
def test_a_calculation_is_the_number_that_it_comes_to(answer: str) -> None:
    for response in (answer, rf"\boxed{{{answer}}}", f"Answer: {answer}", f"work\n#### {answer}"):
        assert [number(response, truth) for truth in ("72", "60", "12", "71")] == [1.0, 0.0, 0.0, 0.0], response


@pytest.mark.parametrize(
    "answer",
    [
        *["7 = 72", "70 = 71 = 72", "70, 71 = 72", "60 + 12 = 71 = 72", "72 = 60 + 12", "60 + 12 =", "= 60 + 12"],
        *["60 + 12 == 72", "60 + 12 != 72", "72 <= 72", "60 + 12 => 72", "60 + 13 = 72", "60 + 12 = 72 million"],
        *["60 + 12 = 72 or 73", "60 + 12 = 72, 1 + 1 = 2", "x = y = 72", "60 + x = 72", "9^9^9^9 = 72", "1/0 = 72"],
        *["(70, 72) = 72", "60 + 12 = not 72", "it = is = 72", "60 + 12 = 72 = y", "70 ≈ 71 = 72", "=" * 900 + "72"],
    ],
)
def test_what_does_not_come_to_its_end_is_no_calculation(answer: str) -> None:
    for response in (answer, rf"\boxed{{{answer}}}", f"Answer: {answer}"):
        assert [number(response, truth) for truth in ("72", "12", "60")] == [0.0, 0.0, 0.0], response


@pytest.mark.parametrize(
    "response",
    [
        *["73", "7 2", "72 73", "71, 72, 73", "70-80", "72 or 73", "36+36", "8*9", "72!", "|72|", "not 72"],
        *["72 million", "0.72", "7,2", "1e9999", "seventy-two", "٧٢", "７２", "⁷²", "7²", "72_8"],
        *["0x48", "{72, 72}", "72.0000000001"],
        *[ "71.99999999999999999999", "72/0", "0/0", "nan", "inf", "True", "--72x"],
        *["\\boxed{72} \\boxed{73}", "The answer is 72\nThe answer is 73", "72 \\boxed{73}", "#### 72\n#### 73"],
        *["<answer>72</answer><answer>73</answer>", "It is\n72", "\n".join(map(str, range(73)))],
        *["How many are 30 and 42? 72"],
    ],
)  # fmt: skip
def test_what_is_no_single_right_number_earns_nothing(response: str) -> None:
    assert number(response, "72") == 0.0
    if "\\boxed" not in response and "\n" not in response and "<" not in response:
        assert number(f"\\boxed{{{response}}}", "72") == 0.0
        assert number(f"The answer is {response}", "72") == 0.0


@pytest.mark.parametrize("truth", ["forty", "72/0", "1, 2", "72 or 73", "nan", "inf", "3*4", "٣", "9" * 1000])
def test_a_truth_that_is_no_number_is_refused(truth: str) -> None:
    with pytest.raises(ValueError, match="expected a ground truth that is a number, got"):
        number("1", truth)


@pytest.mark.parametrize(
    "answer", ["New York", "new york", " NEW \t YORK ", "New York.", "New\u00a0York", r"\text{New York}"]
)
def test_a_text_counts_whatever_its_case_and_blanks(answer: str) -> None:
    for response in (rf"\boxed{{{answer}}}", f"The answer is {answer}", f"<answer>{answer}</answer>", answer):
        if "boxed" in response or "\\text" not in answer:
            assert exact(response, "New York") == 1.0, response


def test_bold_text_outside_a_box_counts() -> None:
    assert exact("**New York**", "New York") == exact("The answer is **New York**.", "New York") == 1.0
    assert choice("?", "**B**", METALS) == number("**Answer:** 72", "72") == 1.0


DRESSES = [r"\textbf{%s}", r"\mathrm{%s}", r"\mathbf{%s}", r"$\text{%s}$", r"\(\text{%s}\)", "**%s**", "__%s__", "*%s*"]
DRESSES += ["`%s`", r"\textcolor{blue}{%s}", r"{\bf %s}", r"\large %s", r"\text{%s.}", "%s,", r"\textbf{\textit{%s}}"]


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize(
    "form", [r"\boxed{%s}", "The answer is %s.", "**Answer**: %s", "<answer>%s</answer>", "#### %s", "%s"]
)
def test_the_dress_of_a_text_or_letter_does_not_count(form: str, dress: str) -> None:
    assert exact(form % (dress % "New York"), "New York") == 1.0
    assert exact(form % (dress % "New York"), "York") == exact(form % (dress % "York"), "New York") == 0.0
    for answer in ("B", "(B)", "iron", "B. iron", "Option B"):
        assert choice("Which?", form % (dress % answer), METALS) == 1.0, answer
    for answer in ("A", "A. iron", "gold", "B. gold", "A or B"):
        assert choice("Which?", form % (dress % answer), METALS) == 0.0, answer


@pytest.mark.parametrize(
    ("truth", "answer", "right"),
    [
        (r"\text{New York}", "new york.", True),
        (r"$\text{Rome}$", r"\mathbf{Rome}", True),
        (r"\frac{1}{2}", r"$\frac{1}{2}$", True),
        (r"\frac{1}{2}", "1/2", False),
        ("__init__", "__init__", True),
        ("__init__", "`__init__`", True),
        ("__init__", "**`__init__`**", True),
        ("__init__", "`init`", False),
        ("__init__", "init", False),
        ("2**3", "2**3", True),
        ("2**3", "23", False),
        ("**kwargs", "**kwargs", True),
        ("a_b", "**a_b**", True),
        ("a_b", "ab", False),
        ("5!", "5", False),
        ("$5", "5", False),
        ("$5", r"\$5", True),
        ("...", "...", True),
        ("Rome", "Rome...", False),
        ("Rome", "not **Rome**", False),
        ("Rome", r"\text{Rome} \text{Paris}", False),
        ("Rome", "~~Rome~~", False),
    ],
)
def test_what_is_no_dress_stays_a_part_of_a_text(truth: str, answer: str, right: bool) -> None:
    assert exact(f"\\boxed{{{answer}}}", truth) == right


PLACES = [
    "{}",
    "Answer: {}",
    "**Answer:** {}",
    "**Answer**: {}",
    "The answer is {}",
    "#### {}",
    r"\boxed{{{}}}",
    "<answer>{}</answer>",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("truth", "others"),
    [
        ("*args", ["args", "**args", "*arg"]),
        ("**kwargs", ["kwargs", "*kwargs"]),
        ("a*", ["a", "a**"]),
        ("*", ["", "**", "."]),
        ("...", ["", "..", "....", "*"]),
        ("etc...", ["etc", "etc.."]),
        (".", ["", ",", "*"]),
        ("__init__", ["init", "`init`", "_init_"]),
    ],
)
def test_marks_of_a_truth_are_a_part_of_it_and_so_are_those_of_code(place: str, truth: str, others: list[str]) -> None:
    for answer in (truth, f"`{truth}`", f"**`{truth}`**"):
        assert exact(place.format(answer), truth) == 1.0, answer
    for answer in others:
        assert exact(place.format(answer), truth) == 0.0, answer


@pytest.mark.parametrize(
    "answer", ["York", "New York City", "NewYork", "New York or Boston", "Boston, New York", "New York New York", "N"]
)
def test_a_text_that_only_holds_the_truth_earns_nothing(answer: str) -> None:
    for response in (rf"\boxed{{{answer}}}", f"The answer is {answer}", answer, f"New York\n{answer}"):
        assert exact(response, "New York") == 0.0


def test_composed_letters_equal_decomposed_ones_and_powers_are_no_digits() -> None:
    assert exact("Que\u0301bec", "Qu\u00e9bec") == exact("STRASSE", "straße") == 1.0
    assert exact("x2", "x²") == exact("½", "1/2") == 0.0
    assert exact(r"\boxed{.}", ".") == 1.0


@pytest.mark.parametrize("answer", ["B", "b", "(B)", "B.", "B)", "iron", "Iron.", "B. iron", "(b) iron", "B: Iron"])
def test_a_letter_its_text_or_both_are_a_choice(answer: str) -> None:
    for response in (rf"\boxed{{{answer}}}", f"The answer is {answer}", f"reasons\n#### {answer}", answer):
        assert choice("Which?", response, METALS) == 1.0, response


@pytest.mark.parametrize(
    "response",
    [
        *["A", "AB", "A or B", "A, B, C, D", "ABCD", "BB", "A. iron", "B. gold", "E", "gold", "gold iron", "A B C D"],
        *["A. gold\nB. iron\nC. zinc\nD. lead", "A. gold B. iron C. zinc D. lead", "B\nA", "Option B is not gold"],
        *["\\boxed{B} or \\boxed{C}", "The answer is B or C", "The answer is not B", "I think B because iron rusts"],
    ],
)
def test_hedging_between_options_earns_nothing(response: str) -> None:
    assert choice("Which?\nA. gold\nB. iron\nC. zinc\nD. lead", response, METALS) == 0.0


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("The answer is B. I hope it is correct.", True),
        ("The answer is **B**. This is because iron rusts.", True),
        ("The answer is B. Iron rusts.", True),
        ("The answer is iron. Gold does not rust.", True),
        ("The answer is B. iron.", True),
        ("The answer is B. gold.", False),
        ("The answer is B. Gold rusts.", False),
        ("The answer is **B. gold**.", False),
        (r"The answer is \textbf{B. gold}.", False),
        (r"The answer is $\text{B. gold}$. I hope it is correct.", False),
        ("The answer is A. iron.", False),
        ("The answer is B. A metal is hard, I think.", True),
        ("The answer is B. That is iron, as E. Smith wrote.", True),
        ("The answer is B. No, A.", False),
        ("The answer is B. No, gold.", False),
        ("The answer is B. But wait, C.", False),
        ("The answer is B. Actually gold.", False),
        ("The answer is B. (C)", False),
        ("The answer is B. Or **C**", False),
        ("The answer is B. Hmm, perhaps not.", False),
        ("The answer is B. D is right too.", False),
        ("The answer is **B**. I think A", False),
        ("The answer is iron. No, gold.", False),
        ("The answer is iron. Option D fits too.", False),
    ],
)
def test_a_full_stop_behind_a_letter_does_not_hide_another_options_text(response: str, right: bool) -> None:
    assert choice("Which rusts?", response, METALS) == right


def test_a_text_with_a_full_stop_in_it_is_read_to_the_end_of_its_line() -> None:
    assert exact("The answer is St. Louis.", "St. Louis") == exact("The answer is St. Louis.", "st. louis") == 1.0
    assert exact("The answer is Rome. I hope it helps.", "Rome") == 1.0
    assert exact("The answer is St. Louis. I hope it helps.", "Louis") == 0.0


def test_the_last_option_of_a_list_is_no_choice() -> None:
    prompt = "Which?\nA. gold\nB. iron\nC. zinc\nD. lead"
    assert choice(prompt, prompt, {**METALS, "target": "D"}) == 0.0
    assert choice(prompt, "lead", "D") == choice(prompt, "D", "(d)") == 1.0
    assert choice("Which metal?", "lead", "D") == 0.0


@pytest.mark.parametrize(
    "truth", ["iron", "E", "BB", {"target": "B", "choices": ["gold"]}, {"choices": ["gold", "iron"]}]
)
def test_a_truth_that_is_no_letter_of_an_option_is_refused(truth: Any) -> None:
    with pytest.raises(ValueError, match="ground truth needs"):
        choice("Which?\nA. gold\nB. iron", "A", truth)


NASTY = [
    *["7" * 1_000_000, "answer is " * 100_000, "answer:" * 140_000, "#" * 1_000_000, "<answer>" * 125_000],
    *["<answer></answer>" * 50_000, "</answer>" * 100_000, "</think>" * 100_000, "*" * 1_000_000, " " * 1_000_000],
    *["1/" * 200, "(" * 255 + "72" + ")" * 255, "{" * 500, "-" * 500 + "72", "^" * 512, "9^{9^{9^9}}", "9" * 512 + "!"],
    *["\ud800", "1e999", "1e-999", "72/0", "0." + "3" * 500, r"\frac" * 100, "e\u0301" * 200_000],
    *["e" + "\u0301\u0323" * 5_000],
]  # fmt: skip


@pytest.mark.parametrize("position", range(len(NASTY)))
def test_nothing_nasty_earns_raises_or_takes_long(position: int) -> None:
    nasty = NASTY[position]
    for response in (
        nasty,
        rf"\boxed{{{nasty}}}",
        f"The answer is {nasty}",
        f"#### {nasty}",
        f"<answer>{nasty}</answer>",
    ):
        assert number(response, "71") == exact(response, "Rome") == choice("?", response, METALS) == 0.0


def test_no_hostile_response_earns() -> None:
    for hostile in HOSTILE:
        response = hostile.response
        assert number(response, "71") == exact(response, "Rome") == choice("?", response, METALS) == 0.0, hostile


PIECES = [
    r"\boxed{",
    "}",
    "####",
    "answer is ",
    "Answer:",
    "<answer>",
    "</answer>",
    "</think>",
    "\n",
    " ",
    ",",
    "**",
    "$",
]
PIECES += [*"0123", "1/2", "A", "B.", "(C)", "gold", "iron", " or ", ".", "-", "%", "e1", r"\frac", "{", "^", "²", "٣"]


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_no_response_is_right_for_two_truths(response: str) -> None:
    """So nothing beats a guess: whatever is paid for one truth is paid for no other."""
    assert sum(number(response, truth) for truth in ("0", "1", "2", "3", "0.5", "10", "12", "-1")) <= 1
    assert sum(exact(response, truth) for truth in ("gold", "iron", "A", "1", "gold or iron", "1, 2")) <= 1
    assert sum(choice("?", response, {**METALS, "target": letter}) for letter in "ABCD") <= 1


def test_what_is_thought_is_no_answer() -> None:
    for thought in (r"<think>maybe \boxed{72}</think> The answer is 71.", "<think>#### 72</think>71"):
        assert number(thought, "72") == 0.0
        assert number(thought, "71") == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        *["72 apples", "72 red apples", "72 people left", "x = 72", "total = 72 coins", "72 km", r"72\text{ apples}"],
        *["$72 dollars", "72 clips altogether", "72 eggs per day", "72 in all", "72 each", "72 (apples)", "72 m/s^2"],
        *["72 cups of milk", "$72 per hour", "$72 left", "72 square feet", "72 mph", "6 dozen", "6 dozen eggs"],
        *["72 more widgets", "72 widgets that Ann made", "72 widget", "72 percent of the widgets", "72 milk cartons"],
    ],
)  # fmt: skip
def test_a_number_may_say_what_it_counts(answer: str) -> None:
    question = "How many more of the widgets made of milk did Ann make than Bob made, if that is all?"
    assert number(f"So the answer is {answer}.", "72", question) == 1.0
    assert number(answer, "71", question) == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        *["72 million", r"72\text{ million}", r"72 \mathrm{thousand}", "72 dozen eggs", "72 squared", "72 plus one"],
        *["72 or so", "72 is wrong", "72 not apples", "72 apples or pears", "72 apples and 73 pears", "x = 72 = y"],
        *["72 apples in 3 boxes", "72 a b c d e f", "x == 72", "72 to go", "72 halves", "72 minus three", "72 or 73"],
        *["72 p.m.", "72 a.m.", "72 pm", "72 km south", "72 feet below", "72 base nine", "72 dollars loss", "72k"],
        *["$72 km", "$72m", "72M", "72 point five", "72 hundredths", "72 cm squared", "72 twenty", "-72 apples"],
        *["72 times three", "less than 72", "not 72", "over 72", "72 apples wrong", r"72\text{ wrong}", "72 x"],
        *["72 gadgets", "72 gadgets made", "72! widgets", "72% per 100", "72 widgets, 73 gadgets", "72/hour/0"],
    ],
)  # fmt: skip
def test_words_that_change_a_number_or_hedge_are_no_nouns(answer: str) -> None:
    question = "Is it 72 or not: how many halves, minus three widgets wrong, to the south, over or below n base nine?"
    for asked in ("", question):
        assert number(answer, "72", asked) == 0.0
        assert number(rf"\boxed{{{answer}}}", "72", asked) == 0.0


def test_a_word_that_no_table_has_counts_if_the_question_or_the_truth_has_it() -> None:
    assert number("72 shiny gadgets", "72", "How many shiny gadgets are there?") == 1.0
    assert number("72 gadgets", "72 gadgets") == number("72", "72 gadgets") == number("72 gadget", "72 gadgets") == 1.0
    assert number("72 shiny gadgets", "72") == number("72 shiny gadgets", "72", "How many gadgets?") == 0.0
    assert number("72 widgets", "72 gadgets", "How many gadgets and widgets?") == 0.0
    assert number("72 shiny gadgets", "72 gadgets", "How many shiny gadgets?") == 1.0
    assert number("72 each", "72 gadgets") == number("72 in all", "72 gadgets") == 1.0
    for other in ("72 apples", "$72", "72 km/h", "72%", "$72 left", "72 €", "72°"):
        assert number(other, "72 gadgets") == 0.0


@pytest.mark.parametrize(
    ("truth", "right", "wrong"),
    [
        ("1/3", [r"0.\overline{3}", r"$0.\dot{3}$"], [r"0.\overline{4}", "0.333", r"\overline{3}"]),
        ("8 hours", ["8", "8 h", "480 minutes", "1/3 day", "8.0 hrs"], ["8 minutes", "480", "8 km", "8 apples", "8%"]),
        ("$5", ["5", "$5.00", "500 cents", "5 USD", "5 bucks"], ["500", "5 cents", "€5", "5 km", "5 pounds", "5%"]),
        ("12 apples", ["12", "1 dozen apples", "12 apple"], ["12 oranges", "1 dozen oranges", "12 km", "$12"]),
        ("3 km", ["3000 m", "3", r"3\,\text{kilometers}"], ["3 m", "3000", "3 km/h", "3 km^2", "3 square kilometres"]),
        ("72 km/h", ["20 m/s", "72 kilometers per hour", "72"], ["72 mph", "72 km", "72 m/s", "20"]),
        ("2 million", ["2000000", "2,000,000", "2 million", r"2 \times 10^6", "2000 thousand"], ["2", "2 billion"]),
        ("20 °C", ["20", "20 degrees", r"20^\circ\text{C}", "20 degrees Celsius"], ["20 °F", "68 °F", "20 K"]),
        ("50%", ["50", "0.5", "1/2", r"50\%", "50 percent", "50 per cent"], ["5", "0.5%", "50 apples", "$50"]),
        ("10", [r"10\%", "10 pct", "1000%"], ["0.1", "100%"]),
        ("0.1", [r"10\%", "1/10"], ["10", "1%", "0.1%"]),
        ("-5", ["-5", "−5", "–5", "-5 dollars"], ["5", "5 dollars loss", "--5", "+5"]),
    ],
)
def test_units_convert_where_the_truth_has_one(truth: str, right: list[str], wrong: list[str]) -> None:
    assert [answer for answer in right if number(f"#### {answer}", truth) != 1.0] == []
    assert [answer for answer in wrong if number(f"#### {answer}", truth) != 0.0] == []


def test_a_share_is_a_percentage_only_if_the_prompt_speaks_of_it() -> None:
    prompts = ("How likely is it?", "What percent is it?")
    assert [number("#### 0.5%", "0.5", prompt) for prompt in prompts] == [0.0, 1.0]
    assert [number("#### 50%", "0.5", prompt) for prompt in prompts] == [1.0, 1.0]


@pytest.mark.parametrize("truth", ["8 km south", "8 p.m.", "8 or 9", "8 halves", "8 minus three", "about forty apples"])
def test_a_truth_with_words_that_change_it_is_refused(truth: str) -> None:
    with pytest.raises(ValueError, match="expected a ground truth that is a number, got"):
        number("8", truth)


AROUND = ["", " ", "$", "-", "7", "72", " million", " apples", " or ", "/", " km", "%", ".", ",", "x = ", "^2", "south"]


@given(st.lists(st.sampled_from(AROUND), max_size=8).map("".join))
def test_a_truth_is_right_and_its_neighbour_is_wrong(truth: str) -> None:
    """Every text that can be a truth is its own answer, and no answer of one more."""
    try:
        assert number(f"#### {truth}", truth) == 1.0
    except ValueError:
        return
    assert number(f"#### 1{truth.strip()}", truth) == 0.0
