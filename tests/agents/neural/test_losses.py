"""The clipped surrogate against a loop in float64, and what the token weights promise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.neural.losses import TokenWeights, clipped_surrogate, sequence_mean, token_mean

BOTH_MEANS = pytest.mark.parametrize("token_weights", [sequence_mean, token_mean])
LENGTHS = st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=6)


def mask_of(lengths: list[int], width: int | None = None) -> torch.Tensor:
    """(R, T) ones for the first `lengths[i]` tokens of each row."""
    columns = torch.arange(width or max(lengths))
    return (columns < torch.tensor(lengths)[:, None]).float()


def reference_surrogate(
    log_probs: list[list[float]], old: list[list[float]], advantages: list[float], low: float, high: float
) -> list[list[float]]:
    """One token at a time, in Python floats, with the cases of the clip written out."""
    result: list[list[float]] = []
    for new_row, old_row, advantage in zip(log_probs, old, advantages, strict=True):
        row: list[float] = []
        for new_value, old_value in zip(new_row, old_row, strict=True):
            ratio = math.exp(new_value - old_value)
            if advantage >= 0:
                row.append(advantage * (ratio if ratio < 1 + high else 1 + high))
            else:
                row.append(advantage * (ratio if ratio > 1 - low else 1 - low))
        result.append(row)
    return result


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.data())
def test_the_surrogate_equals_a_loop_over_tokens_in_float64(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    log_prob = st.floats(min_value=-3, max_value=0)
    table = st.lists(st.lists(log_prob, min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    new, old = data.draw(table), data.draw(table)
    advantages = data.draw(st.lists(st.floats(min_value=-3, max_value=3), min_size=rows, max_size=rows))
    low, high = data.draw(st.floats(0, 0.9)), data.draw(st.floats(0, 2))
    tensors = [torch.tensor(values, dtype=torch.float64) for values in (new, old, advantages)]
    ours = clipped_surrogate(*tensors, clip_low=low, clip_high=high)
    expected = torch.tensor(reference_surrogate(new, old, advantages, low, high), dtype=torch.float64)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_at_ratio_one_the_surrogate_is_the_advantage_and_its_gradient_too() -> None:
    log_probs = torch.tensor([[-1.0, -2.0], [-0.5, -3.0]], requires_grad=True)
    advantages = torch.tensor([1.5, -0.5])
    surrogate = clipped_surrogate(log_probs, log_probs.detach(), advantages)
    assert torch.equal(surrogate, advantages[:, None].expand(2, 2))
    surrogate.sum().backward()
    assert log_probs.grad is not None
    torch.testing.assert_close(log_probs.grad, advantages[:, None].expand(2, 2))


@pytest.mark.parametrize(
    ("ratio", "advantage", "is_clipped"),
    [
        (1.27, 1.0, False),
        (1.29, 1.0, True),
        (0.01, 1.0, False),
        (0.81, -1.0, False),
        (0.79, -1.0, True),
        (9.99, -1.0, False),
    ],
)
def test_the_gradient_is_zero_exactly_where_a_ratio_has_gone_too_far_the_right_way(
    ratio: float, advantage: float, is_clipped: bool
) -> None:
    log_probs = torch.tensor([[math.log(ratio)]], requires_grad=True)
    clipped_surrogate(log_probs, torch.zeros(1, 1), torch.tensor([advantage])).sum().backward()
    assert log_probs.grad is not None
    assert log_probs.grad.item() == pytest.approx(0.0 if is_clipped else ratio * advantage, abs=1e-7, rel=1e-5)


def test_clip_higher_gives_a_good_token_more_room_and_a_bad_one_no_more() -> None:
    log_ratios, advantages = torch.tensor([[math.log(1.5)], [math.log(0.5)]]), torch.tensor([1.0, -1.0])
    symmetric, higher = (
        clipped_surrogate(log_ratios, torch.zeros(2, 1), advantages, clip_low=0.2, clip_high=high).squeeze(1)
        for high in (0.2, 0.28)
    )
    torch.testing.assert_close(symmetric, torch.tensor([1.2, -0.8]))
    torch.testing.assert_close(higher, torch.tensor([1.28, -0.8]))


@BOTH_MEANS
@settings(max_examples=30, derandomize=True, deadline=None)
@given(lengths=LENGTHS, padding=st.integers(0, 4))
def test_token_weights_sum_to_one_and_padding_has_none_however_wide(
    token_weights: TokenWeights, lengths: list[int], padding: int
) -> None:
    rollouts = torch.arange(len(lengths)) // 2  # rollouts of two turns
    narrow, wide = (token_weights(mask_of(lengths, max(lengths) + extra), rollouts) for extra in (0, padding))
    assert narrow.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.equal(wide[:, : max(lengths)], narrow)
    assert not wide[mask_of(lengths, wide.shape[1]) == 0].any()


@settings(max_examples=30, derandomize=True, deadline=None)
@given(lengths=LENGTHS)
def test_the_sequence_mean_counts_rollouts_alike_and_the_token_mean_counts_tokens_alike(lengths: list[int]) -> None:
    mask, rollouts = mask_of(lengths), torch.arange(len(lengths))
    by_sequence, by_token = sequence_mean(mask, rollouts), token_mean(mask, rollouts)
    torch.testing.assert_close(by_sequence.sum(dim=1), torch.full((len(lengths),), 1 / len(lengths)))
    torch.testing.assert_close(by_token[mask == 1], torch.full((sum(lengths),), 1 / sum(lengths)))


def test_the_sequence_mean_counts_a_rollout_of_many_turns_no_more_than_one_of_one() -> None:
    mask, rollouts = mask_of([2, 1, 4, 1]), torch.tensor([0, 0, 0, 1])
    weights = sequence_mean(mask, rollouts)
    assert weights[:3].sum().item() == pytest.approx(0.5)
    torch.testing.assert_close(weights[:3][mask[:3] == 1], torch.full((7,), 0.5 / 7))
    assert weights[3].sum().item() == pytest.approx(0.5)


@BOTH_MEANS
def test_a_rollout_without_tokens_weighs_nothing_and_breaks_nothing(token_weights: TokenWeights) -> None:
    weights = token_weights(torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.arange(2))
    assert torch.isfinite(weights).all()
    assert not weights[1].any()
