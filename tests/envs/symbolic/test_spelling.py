r"""Truths in another spelling: it differs, and is right."""

from __future__ import annotations

import pytest
from math_pairs import DIFFERENT, EQUAL

from mtgrpo_env.envs.symbolic.grading import grade
from mtgrpo_env.envs.symbolic.spelling import respelled
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError

TOO_SMALL = r"\pi \cdot 10^{-900} \cdot 10^{-900}"
TRUTHS = sorted({text for pair in (*EQUAL, *DIFFERENT) for text in pair} - {TOO_SMALL})


@pytest.mark.parametrize("truth", TRUTHS)
def test_another_spelling_of_a_truth_is_right(truth: str) -> None:
    try:
        spelling = respelled(truth)
    except MathSyntaxError:
        return
    if spelling is not None and spelling != truth:
        assert grade(truth, spelling), spelling


def test_most_truths_have_another_spelling() -> None:
    other = 0
    for truth in TRUTHS:
        try:
            other += respelled(truth) not in (None, truth)
        except MathSyntaxError:
            continue
    assert other > 0.8 * len(TRUTHS)


@pytest.mark.parametrize("truth", [r"\int x", "1+", "", "x \\bad y"])
def test_what_is_no_mathematics_is_refused(truth: str) -> None:
    with pytest.raises(MathSyntaxError):
        respelled(truth)
