"""The check after a sync, on an engine that says what it is told to say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import pytest

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, Weights
from mtgrpo_env.agents.llm.weight_sync import WeightSyncError, check_agreement

PROMPTS = [(1, 2), (3,)]


class Scripted:
    """Answers every prompt with tokens 7 and 8, of log-probability -1 and -2; the last prompt first."""

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        assert list(counts) == [1] * len(prompts)
        assert len(set(seeds)) == len(prompts)
        for row in reversed(range(len(prompts))):
            yield row, Completion(prompts[row], (7, 8), (-1.0, -2.0))

    def load_weights(self, weights: Weights) -> None: ...

    def generating(self) -> nullcontext[None]:
        return nullcontext()


def check(*, off_by: float, on: tuple[int, ...] = PROMPTS[1]) -> float:
    """The trainer's second log-probability is off by so much on one of the prompts."""

    def log_probs_of(completions: Sequence[Completion]) -> list[list[float]]:
        return [[-1.0, -2.0 - (off_by if completion.prompt == on else 0)] for completion in completions]

    return check_agreement(Scripted(), log_probs_of, PROMPTS, tolerance=0.1)


@pytest.mark.parametrize("off_by", [0.0, 0.09, -0.09])
def test_what_rounding_explains_is_accepted_and_the_largest_difference_returned(off_by: float) -> None:
    assert check(off_by=off_by) == pytest.approx(abs(off_by))


@pytest.mark.parametrize("on", PROMPTS)
@pytest.mark.parametrize("off_by", [0.11, -3.0, math.inf])
def test_a_larger_difference_is_an_error_that_names_prompt_difference_and_tolerance(
    off_by: float, on: tuple[int, ...]
) -> None:
    with pytest.raises(WeightSyncError) as raised:
        check(off_by=off_by, on=on)
    for part in (str(list(on)), f"up to {abs(off_by):.3g}", "at most 0.1"):
        assert part in str(raised.value)


def test_a_number_that_is_none_does_not_pass_for_agreement() -> None:
    with pytest.raises(WeightSyncError, match="up to inf"):
        check(off_by=math.nan)


def test_there_is_nothing_to_compare_without_a_prompt() -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        check_agreement(Scripted(), lambda _: [], [], tolerance=0.1)
