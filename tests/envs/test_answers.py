r"""Tasks whose answer stands in a box: extraction by name, in linear time, and rewards."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.answers import EXTRACTIONS, Extract, boxed, last_box, released_box
from mtgrpo_env.envs.countdown import Countdown, CountdownPuzzle

OPEN = r"\boxed{"


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
def test_a_megabyte_of_anything_is_extracted_in_linear_time(extract: Extract, response: str) -> None:
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
