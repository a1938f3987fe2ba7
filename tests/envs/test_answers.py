r"""Extraction of `\boxed{...}`: the last complete box, wherever it stands, in linear time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.answers import EXTRACTIONS, boxed, last_box, released_box
from mtgrpo_env.envs.countdown import Countdown, CountdownPuzzle

OPEN = r"\boxed{"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"\boxed{7}", "7"),
        (r"\boxed{ 7 }", "7"),
        (r"The answer is \boxed{7}." + "\nHope that helps.\n", "7"),
        (r"\boxed{1}, no, \boxed{2}", "2"),
        (r"\boxed{1} and \boxed{2", "1"),
        (r"\boxed{a{b}c}", "a{b}c"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\boxed{\text{7}}", "7"),
        (r"\boxed{\text{ 7 }}", "7"),
        (r"} } \boxed{7} } {", "7"),
        (r"{ \boxed{7} ", "7"),
        ("\\boxed{7\n8}", "7\n8"),
    ],
)
def test_the_last_complete_box_is_found_wherever_it_stands(response: str, answer: str) -> None:
    assert last_box(response) == answer


@pytest.mark.parametrize(
    "response",
    [
        "",
        "7",
        r"\boxed{}",
        r"\boxed{ }",
        r"\boxed{\text{}}",
        r"\boxed{7",
        r"\fbox{7}",
        r"\boxed 7",
        r"\boxed(7)",
        "boxed{7}",
    ],
)
def test_without_a_complete_box_that_holds_something_there_is_no_answer(response: str) -> None:
    assert last_box(response) is None


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"Assistant: \boxed{7}", "7"),
        ("<|im_start|>assistant\nso \\boxed{7}", "7"),
        (r"Assistant: \boxed{1} and \boxed{2}", "2"),
        (r"Assistant: \boxed{}", ""),
        (r"Assistant: \boxed{\text{7}}", r"\text{7}"),
        ("Assistant: \\boxed{7}\n", None),
        ("Assistant: \\boxed{7}\nHope that helps.", None),
        (r"\boxed{7}", None),
    ],
)
def test_released_extraction_reads_only_the_last_line_after_a_marker(response: str, answer: str | None) -> None:
    assert released_box(response) == answer


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([OPEN, "{", "}", "7", " ", "\\boxed", "\n"]), max_size=14).map("".join))
@example(r"\boxed{1 \boxed{2} }")
def test_extraction_agrees_with_counting_braces_from_every_box(response: str) -> None:
    assert last_box(response) == _quadratic_reference(response)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(max_size=40), st.text("0123456789+-*/() ", min_size=1, max_size=20), st.text(max_size=40))
def test_text_around_a_box_changes_nothing(before: str, answer: str, after: str) -> None:
    assert last_box(f"{before}{boxed(answer)}{after}") == (answer.strip() or None)


@pytest.mark.parametrize("extract", EXTRACTIONS.values(), ids=EXTRACTIONS)
@pytest.mark.parametrize(
    "response",
    [
        OPEN * 150_000,
        OPEN * 70_000 + "}" * 70_000,
        (OPEN + "7}") * 100_000,
        "{" * 1_000_000,
        "}" * 1_000_000,
        r"\boxed" * 150_000,
        "\\" * 1_000_000,
        "Assistant:" * 100_000,
        "<|im_start|>assistant\n" * 45_000,
        "\n" * 1_000_000,
        OPEN + r"\text{" * 150_000,
        "\x00" * 1_000_000,
        "\ud800" * 1_000_000,
    ],
    ids=lambda text: f"{text[:8]!a} x{len(text)}",
)
def test_a_megabyte_of_anything_is_extracted_in_linear_time(
    extract: Callable[[str], str | None], response: str
) -> None:
    start = time.process_time()
    extract("Assistant: " + response)
    assert time.process_time() - start < 2.0


def test_rewards_are_1_for_correct_and_a_tenth_for_a_wrong_box_and_nothing_for_no_box() -> None:
    task = Countdown("easy")
    puzzle = CountdownPuzzle((1, 2, 4), 9)
    verdicts = [
        task.verify(puzzle, response) for response in (r"\boxed{(1+2)*4-3}", r"\boxed{1+2*4}", "9", r"\boxed{}")
    ]
    assert [verdict.reward for verdict in verdicts] == [0.1, 1.0, 0.0, 0.0]
    assert [verdict.outcome for verdict in verdicts] == ["wrong", "correct", "no_answer", "no_answer"]


def test_an_unknown_level_or_extraction_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"level of Countdown must be one of .*'easy'.* got 'simple'"):
        Countdown("simple")
    with pytest.raises(ValueError, match=r"extraction must be one of .*'last-box'.* got 'first'"):
        Countdown(extraction="first")  # pyright: ignore[reportArgumentType]


def _quadratic_reference(response: str) -> str | None:
    """Count braces from the last box to the first; take the first that closes."""
    for start in range(len(response), -1, -1):
        if not response.startswith(OPEN, start):
            continue
        depth = 0
        for end in range(start + len(OPEN) - 1, len(response)):
            depth += {"{": 1, "}": -1}.get(response[end], 0)
            if depth == 0:
                return response[start + len(OPEN) : end].strip() or None
    return None
