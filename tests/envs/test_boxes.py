r"""What is a box, which boxes answer, and which of them belong to the closing statement."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.answers import boxed, last_box
from mtgrpo_env.envs.boxes import boxes, closing_statement, names_set
from mtgrpo_env.paper_frame import NEXT_TURNS

OPEN = r"\boxed{"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"\boxed{7}", "7"),
        (r"\boxed{ 7 }", "7"),
        (r"\boxed {7}", "7"),
        ("\\boxed\n{7}", "7"),
        (r"\\boxed{7}", "7"),
        (r"\fbox{7}", "7"),
        (r"\fbox{$7$}", "7"),
        (r"\boxed{$7$}", "7"),
        (r"\boxed{$7}", "$7"),
        (r"\boxed{\$7}", r"\$7"),
        (r"$\boxed 7$", "7"),
        (r"\boxed7", "7"),
        (r"\boxed -7.", "-7"),
        (r"\(\boxed 42\)", "42"),
        (r"\boxed 1,000 people", "1,000"),
        (r"\boxed\frac12", r"\frac12"),
        (r"$\boxed\frac{1}{2}$", r"\frac{1}{2}"),
        (r"$\boxed 2\pi$", r"2\pi"),
        (r"$\boxed 2{,}000$", "2{,}000"),
        (r"\boxed B.", "B"),
        (r"\boxed\text{B}", "B"),
        (r"\framebox{7}", "7"),
        (r"\framebox 7", "7"),
        (r"\boxed{\text{7}}", "7"),
        (r"\boxed{\text{ 7 }}", "7"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\fbox{ $\boxed{7}$ }", "7"),
        (r"\boxed{x=\boxed{7}}", r"x=\boxed{7}"),
        (r"\boxed{9, \boxed{-4}}", r"9, \boxed{-4}"),
        (r"\boxed{a{b}c}", "a{b}c"),
        (r"\boxed{\left\{1\right.}", r"\left\{1\right."),
        (r"\boxed{\{1, 3\}}", r"\{1, 3\}"),
        (r"\boxed{\begin{pmatrix}1\\{2}\end{pmatrix}}", r"\begin{pmatrix}1\\{2}\end{pmatrix}"),
        ("\\boxed{7\n8}", "7\n8"),
        (r"} } \boxed{7} } {", "7"),
        (r"{ \boxed{7} ", "7"),
        (r"`\boxed{7}`", "7"),
        (r"**\boxed{7}**", "7"),
    ],
)
def test_a_box_holds_its_argument_with_or_without_braces(response: str, answer: str) -> None:
    assert last_box(response) == answer


@pytest.mark.parametrize(
    "response",
    [
        "",
        "7",
        r"\boxed{}",
        r"\boxed{ }",
        r"\fbox{}",
        r"\boxed{\text{}}",
        r"\boxed{\boxed{}}",
        r"\boxed(7)",
        "boxed{7}",
        r"\boxedin{7}",
        r"the \boxed command",
        r"`\boxed`",
        r"$\boxed$ 7",
    ],
)
def test_an_empty_box_and_a_command_that_boxes_nothing_are_no_answer(response: str) -> None:
    assert last_box(response) is None


@pytest.mark.parametrize(
    "mention",
    [
        r"It stands in \boxed{}, as you wanted.",
        r"I put it in \boxed{ } now.",
        r"I put it in \boxed{...} as asked.",
        r"I put it in \boxed{\ldots}.",
        r"I put it in \boxed{…}.",
        r"Use \boxed{\text{your answer}}.",
        r"The format was \boxed{answer}.",
        r"The format was \boxed{<answer here>}.",
        r"The format was \boxed{[final answer]}.",
        r"It is in \boxed{?}",
        r"It is in \boxed{\quad}",
        r"It is in \fbox{}",
        r"It stands in a \boxed command.",
        r"It stands in `\boxed`.",
    ],
)
def test_a_box_that_is_only_mentioned_does_not_take_the_answer_away(mention: str) -> None:
    assert last_box(rf"The answer is \boxed{{17}}. {mention}") == "17"
    assert last_box(rf"{mention} The answer is \boxed{{17}}.") == "17"


def test_a_placeholder_on_its_own_is_an_answer_as_it_stands() -> None:
    assert last_box(r"\boxed{answer}") == "answer"
    assert last_box(r"\boxed{...}, I mean \boxed{\text{answer}}") == "answer"


@pytest.mark.parametrize(
    "end", [r"\boxed{4", r"\boxed{\frac{1}{2}", r"\boxed{", r"\boxed", r"\fbox{4", r"\boxed{4 as in \boxed{}"]
)
def test_a_box_cut_off_at_the_end_is_no_answer_rather_than_the_one_before(end: str) -> None:
    assert last_box(end) is None
    assert last_box(rf"At first \boxed{{3}}, and then {end}") is None
    assert last_box(rf"$\boxed{{3}}$, {end}", count=2) is None


def test_a_brace_forgotten_in_an_earlier_box_does_not_spoil_the_last() -> None:
    assert last_box(r"\boxed{\frac{1}{2}. Then twice that: \boxed{1}") == "1"


@pytest.mark.parametrize(
    "turn", [*NEXT_TURNS, "\n\nUser: 5+6? \\boxed{}.\nAssistant:", "\nHuman: Thanks!", "<|im_end|>"]
)
def test_a_response_ends_where_the_user_speaks_again(turn: str) -> None:
    assert last_box(rf"No: \boxed{{4}}, \boxed{{7}}{turn} \boxed{{11}}") == "7"
    assert last_box(rf"\boxed{{7}}{turn} \boxed{{11") == "7"
    assert last_box(rf"So far nothing.{turn} \boxed{{11}}") == "11"


@pytest.mark.parametrize(
    "response",
    [
        r"The roots are $\boxed{-4}$ and $\boxed{9}$.",
        r"The roots are $\fbox{-4}$, $\boxed 9$.",
        r"$x=\boxed{-4}$ or $x=\boxed{9}$",
        r"$$\boxed{-4}, \quad \boxed{9}$$",
        r"\[x = \boxed{-4} \text{ or } x = \boxed{9}\]",
        "\\[\\boxed{-4}\\]\nand\n\\[\\boxed{9}\\]",
        "x = \\boxed{-4}\n\nx = \\boxed{9}",
        "- $x = \\boxed{-4}$\n- $x = \\boxed{9}$",
        "1. \\boxed{-4}\n2. \\boxed{9}",
        r"(a) \boxed{-4} (b) \boxed{9}",
        r"\begin{align*} x &= \boxed{-4} \\ x &= \boxed{9} \end{align*}",
        r"**\boxed{-4}** and **\boxed{9}**",
        r"One root is $\boxed{-4}$, the other one is $\boxed{9}$.",
        r"The smaller root is \boxed{-4}. The larger root is \boxed{9}.",
        r"\boxed{-4} \lor \boxed{9}",
        r"\(\boxed{-4}\), \(\boxed{9}\)",
        r"\[\boxed{-4}, \boxed{9}\]",
        r"\{\boxed{-4}, \boxed{9}\}",
        r"Not 4, so $x = \boxed{-4}$ or $x = \boxed{9}$",
        r"Between them: \boxed{-4}, \boxed{9}",
        r"\framebox{-4}, \framebox{9}",
        r"=> \boxed{-4}, \boxed{9}",
        r"\boxed{-4} and \boxed{9} are the roots, not 3.",
        r"\boxed{-4}, \boxed{9} - as expected",
        r"**\boxed{-4}, \boxed{9}**",
        r"\boxed{-4} and \boxed{9} cm",
        r"x \in \{\boxed{-4}, \boxed{9}\}",
        "The roots are\n* \\boxed{-4}\n* \\boxed{9}",
        "The roots are\n\n- \\boxed{-4}\n- \\boxed{9}\n",
        r"One root: \boxed{-4}. The other root: \boxed{9}.",
        r"\boxed{-4}, \boxed{9}. I repeat: \boxed{-4}, \boxed{9}",
        r"\boxed{-4}, \boxed{9}, \boxed{-4}",
        r"\boxed{-4} and \boxed{9}, each in \boxed{}.",
        r"With $D = \boxed{13}$ the roots are $\boxed{-4}$ and $\boxed{9}$.",
        r"\boxed{1}, \boxed{2}? No: \boxed{-4}, \boxed{9}",
        r"\boxed{\boxed{-4}, \boxed{9}} is wrong, so \boxed{-4}, \boxed{9}",
    ],
)
def test_the_boxes_of_the_closing_statement_count_together(response: str) -> None:
    assert closing_statement(response, boxes(response)) == ["-4", "9"]
    assert last_box(response, count=2) == "-4, 9"
    assert last_box(response) in ("9", "-4")
    assert last_box(response, count=3) in ("9", "-4")


@pytest.mark.parametrize(
    ("response", "values"),
    [
        (r"\[\boxed{2}, \boxed{3}, \boxed{5}\]", ["2", "3", "5"]),
        (r"$\boxed{(1,2)}$ and $\boxed{(3,4)}$", ["(1,2)", "(3,4)"]),
        (r"$x_1=\boxed{5},\quad x_{2} = \boxed{3}$", ["x_1=5", "x_{2}=3"]),
        (r"$f(1) = \boxed{1}$ and $f(0)=\boxed{2}$", ["f(1)=1", "f(0)=2"]),
        (r"$x = \boxed{1}$ or \boxed{2}", ["1", "2"]),
    ],
)
def test_different_names_stay_with_their_values_and_one_name_does_not(response: str, values: list[str]) -> None:
    assert closing_statement(response, boxes(response)) == values


@pytest.mark.parametrize(
    ("response", "truth", "values"),
    [
        (r"So $y=\boxed{5}$ and $x=\boxed{3}$", "x=3, y=5", ["y=5", "x=3"]),
        (r"$x_{1}=\boxed{5}$, $y=\boxed{3}$", r"x_1 = 5,\quad y = 3", ["x_{1}=5", "y=3"]),
        (r"$\alpha = \boxed{1}$ and $f(0)=\boxed{2}$", r"\alpha=1, f(0)=2", [r"\alpha=1", "f(0)=2"]),
        (r"$y=\boxed{5}$ and $x=\boxed{3}$", "3, 5", ["3"]),
        (r"$y=\boxed{5}$ and $x=\boxed{3}$", "x=3, z=5", ["3"]),
        (r"$y=\boxed{5}$ and $x=\boxed{3}$ or \boxed{4}", "3, 4, 5", ["4"]),
    ],
)
def test_names_of_different_letters_join_only_where_the_truth_has_them(
    response: str, truth: str, values: list[str]
) -> None:
    assert closing_statement(response, boxes(response), names_set(truth)) == values


@pytest.mark.parametrize(
    "response",
    [
        r"not \boxed{-4}, \boxed{9}",
        r"The roots are not $\boxed{-4}$ and $\boxed{9}$",
        r"It isn't $x = \boxed{-4}$ or $x = \boxed{9}$",
        r"not equal to \(\boxed{-4}\), \(\boxed{9}\)",
        r"between \boxed{-4} and \boxed{9}",
        r"between $x=\boxed{-4}$ and $x=\boxed{9}$",
        r"Neither \boxed{-4} or \boxed{9}",
        r"\boxed{-4} or $\boxed{9}$? No.",
        r"all numbers except $\boxed{-4}$ and $\boxed{9}$",
        r"more than \boxed{-4}, \boxed{9}",
        r"The extraneous, wrong roots are \boxed{-4}, \boxed{9}",
        r"$-\boxed{-4}$ and $\boxed{9}$",
        r"$\boxed{-4}$ and $-\boxed{9}$",
        r"$x = -\boxed{-4}$ or $x = \boxed{9}$",
        r"$2\cdot\boxed{-4}$, $\boxed{9}$",
        r"$2\boxed{-4}$, $\boxed{9}$",
        r"$7 + \boxed{-4}$, $\boxed{9}$",
        r"$x \ne \boxed{-4}$, $\boxed{9}$",
        r"$x \neq \boxed{-4}$, $\boxed{9}$",
        r"$x > \boxed{-4}$, $\boxed{9}$",
        r"$x \le \boxed{-4}$, $\boxed{9}$",
        r"$\pm\boxed{-4}$, $\boxed{9}$",
        r"$|\boxed{-4}, \boxed{9}$",
        r"$x=\boxed{-4}$, $y=\boxed{9}$",
        r"\boxed{-4} and \boxed{9} are not roots",
        r"$\boxed{-4}$ and $\boxed{9}$ aren't roots",
        r"\boxed{-4} and \boxed{9} are extraneous",
        r"\boxed{-4} and \boxed{9} are both wrong",
        r"$\boxed{-4}$, $\boxed{9}\pi$",
        r"$\boxed{-4}$, $\boxed{9}x$",
        r"$\boxed{-4}$, $\boxed{9}^2$",
        r"$\boxed{-4}$, $\boxed{9} + 1$",
        r"$\boxed{-4}$, $\boxed{9} - 1$",
        r"$\boxed{-4}$, $\boxed{9} / 2$",
        r"$\log\boxed{-4}$, $\boxed{9}$",
        r"Not \boxed{-4} but \boxed{9}",
        r"\boxed{-4}? No, \boxed{9}",
        r"From \boxed{-4} we get \boxed{9}",
        r"\boxed{-4} + \boxed{9}",
        r"\boxed{-4} - \boxed{9}",
        r"\boxed{-4} \cdot \boxed{9}",
        r"\boxed{-4} * \boxed{9}",
        r"\boxed{-4} = \boxed{9}",
        r"\boxed{-4}\boxed{9}",
        r"\boxed{-4} x = \boxed{9}",
        r"\boxed{-4}x = \boxed{9}",
        r"\boxed{-4}^{\boxed{9}}",
        r"\frac{\boxed{-4}}{\boxed{9}}",
        r"\sqrt{\boxed{-4}} \boxed{9}",
        r"\boxed{-4} \cup \boxed{9}",
        r"\boxed{-4} : \boxed{9}",
        r"\boxed{-4}:\boxed{9}",
        r"\boxed{-4}.\boxed{9}",
        r"(\boxed{-4}, \boxed{9})",
        r"$\left(\boxed{-4}, \boxed{9}\right)$",
        r"$[\boxed{-4}, \boxed{9})$",
        r"\begin{pmatrix}\boxed{-4} & \boxed{9}\end{pmatrix}",
        r"\boxed{-4}, so the root is \boxed{9}",
        r"\boxed{-4} is not a root, \boxed{9} is",
        r"\boxed{-4}" + " " * 1000 + r"\boxed{9}",
        "User: \\boxed{-4}.\nTherefore: \\boxed{9}",
    ],
)
def test_boxes_that_are_no_list_do_not_count_together(response: str) -> None:
    assert closing_statement(response, boxes(response)) == ["9"]
    assert last_box(response, count=2) == "9"


def test_a_guess_at_more_values_than_there_are_is_not_the_values() -> None:
    many = ", ".join(boxed(str(number)) for number in range(10))
    assert last_box(many, count=2) == "9"
    assert last_box(many, count=10) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"


@settings(max_examples=500, derandomize=True, deadline=None)
@given(
    st.lists(st.sampled_from([OPEN, "\\fbox{", "{", "}", "7", "8", " ", "\\}", "\\boxed 5\n", "\n"]), max_size=14).map(
        "".join
    )
)
@example(r"\boxed{1 \boxed{2} }")
@example(r"\boxed{1} {\boxed{2")
def test_extraction_agrees_with_counting_braces_from_every_box(response: str) -> None:
    assert last_box(response) == _quadratic_reference(response)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.integers(-99, 99), min_size=2, max_size=6, unique=True), st.data())
def test_any_list_of_boxes_is_read_back(values: list[int], data: st.DataObject) -> None:
    joints = data.draw(st.lists(st.sampled_from([", ", " and ", "$, $", "; ", "\n", " or "]), min_size=6, max_size=6))
    joined = "".join(f"{boxed(str(value))}{joint}" for value, joint in zip(values, joints, strict=False))
    assert last_box(f"First {boxed('100')}; hence {joined}", count=len(values)) == ", ".join(map(str, values))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "response",
    [
        OPEN * 150_000,
        OPEN * 70_000 + "}" * 70_000,
        (OPEN + " ") * 70_000 + "7" + " }" * 70_000,
        (OPEN + "7}") * 100_000,
        (OPEN + "7}, ") * 90_000,
        ("x = " + OPEN + "7}, ") * 70_000,
        OPEN + (OPEN + "7}") * 90_000 + "}",
        "{" * 1_000_000,
        "}" * 1_000_000,
        r"\boxed" * 150_000,
        r"\boxed " * 140_000,
        r"\boxed 7" * 120_000,
        r"\boxed\a{" * 100_000,
        "\\boxed" + " " * 900_000,
        OPEN + "7}" + "\n " * 400_000 + r"\boxed{8}",
        OPEN + "7}" + "\nUser" * 180_000 + r"\boxed{8}",
        OPEN + "7}" + "\\text{" * 150_000 + r"\boxed{8}",
        "\\" * 1_000_000,
        OPEN + r"\text{" * 150_000,
        r"\fbox{$" * 140_000,
    ],
    ids=lambda value: f"{value[:12]!a} x{len(value)}" if isinstance(value, str) else str(value),
)
def test_a_megabyte_of_boxes_is_read_in_linear_time(response: str, count: int) -> None:
    start = time.process_time()
    last_box(response, count)
    assert time.process_time() - start < 2.0


def _quadratic_reference(response: str) -> str | None:
    """Count braces from every box on, and keep the ones that stand in no other."""
    spans = [(start, *_box_at(response, start)) for start in range(len(response))]
    complete = [(start, content, end) for start, content, end in spans if content is not None and end]
    outer = [
        (start, content) for start, content, _ in complete if not any(other < start < end for other, _, end in complete)
    ]
    contents = [(start, _unwrapped(content)) for start, content in outer]
    answers = [(start, content) for start, content in contents if content]
    cut_off = max((start for start, content, end in spans if content is not None and not end), default=-1)
    return answers[-1][1] if answers and answers[-1][0] > cut_off else None


def _box_at(text: str, start: int) -> tuple[str | None, int]:
    """What the box there holds, and its end; an end of 0 if it is cut off, None if there is no box."""
    if text.startswith("\\boxed 5", start):
        return "5", start + len("\\boxed 5")
    command = next((command for command in (OPEN, "\\fbox{") if text.startswith(command, start)), None)
    if command is None:
        return None, 0
    content, depth = start + len(command), 1
    for end in range(content, len(text)):
        escaped = text[end - 1] == "\\"
        depth += 0 if escaped else (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[content:end], end + 1
    return "", 0


def _unwrapped(content: str) -> str:
    content = content.strip()
    inside, end = _box_at(content, 0)
    return _unwrapped(inside) if inside is not None and end == len(content) else content


@pytest.mark.parametrize(
    "turn",
    [
        *("\nUser:", "\nHUMAN: ", "\n**User:**", "\n### Human:", "\n### Instruction:", "\nQuestion:", "\nQ:"),
        *("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|user|>", "<\uff5cUser\uff5c>", "</s>", "[INST]"),
        *("\nProblem 2:", "\n## Question\n", "\n**Problem 5.**", "\nExercise 3:", "<|end_of_turn|>", "<|return|>"),
        *("<\uff5cend\u2581of\u2581sentence\uff5c>", "<end_of_turn>\n<start_of_turn>user"),
    ],
)  # fmt: skip
def test_what_a_next_speaker_says_is_no_answer(turn: str) -> None:
    assert last_box(rf"It is \boxed{{7}}.{turn} What is 5 + 6? \boxed{{11}}") == "7"
    assert last_box(rf"{turn} What is 3 + 4? It is \boxed{{7}}.") == "7"
