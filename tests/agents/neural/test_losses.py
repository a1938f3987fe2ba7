"""The objectives against loops in float64, and what the token weights promise."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.neural.losses import (
    LOSSES,
    Layout,
    Objective,
    TokenWeights,
    clipped_surrogate,
    constant_mean,
    divergence,
    group_mean,
    named_importance,
    named_objective,
    sequence_mean,
    token_mean,
)
from mtgrpo_env.types import Group, Problem, Rollout

EVERY_MEAN = pytest.mark.parametrize("token_weights", [sequence_mean, token_mean, group_mean])
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
    new_tensor, old_tensor, of_rollouts = (torch.tensor(v, dtype=torch.float64) for v in (new, old, advantages))
    ours = clipped_surrogate(torch.exp(new_tensor - old_tensor), of_rollouts, clip_low=low, clip_high=high)
    expected = torch.tensor(reference_surrogate(new, old, advantages, low, high), dtype=torch.float64)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_at_ratio_one_the_surrogate_is_the_advantage_and_its_gradient_too() -> None:
    log_probs = torch.tensor([[-1.0, -2.0], [-0.5, -3.0]], requires_grad=True)
    advantages = torch.tensor([1.5, -0.5])
    surrogate = clipped_surrogate(torch.exp(log_probs - log_probs.detach()), advantages)
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
    clipped_surrogate(torch.exp(log_probs), torch.tensor([advantage])).sum().backward()
    assert log_probs.grad is not None
    assert log_probs.grad.item() == pytest.approx(0.0 if is_clipped else ratio * advantage, abs=1e-7, rel=1e-5)


def test_clip_higher_gives_a_good_token_more_room_and_a_bad_one_no_more() -> None:
    log_ratios, advantages = torch.tensor([[math.log(1.5)], [math.log(0.5)]]), torch.tensor([1.0, -1.0])
    symmetric, higher = (
        clipped_surrogate(torch.exp(log_ratios), advantages, clip_low=0.2, clip_high=high).squeeze(1)
        for high in (0.2, 0.28)
    )
    torch.testing.assert_close(symmetric, torch.tensor([1.2, -0.8]))
    torch.testing.assert_close(higher, torch.tensor([1.28, -0.8]))


@EVERY_MEAN
@settings(max_examples=30, derandomize=True, deadline=None)
@given(lengths=LENGTHS, padding=st.integers(0, 4))
def test_token_weights_sum_to_one_and_padding_has_none_however_wide(
    token_weights: TokenWeights, lengths: list[int], padding: int
) -> None:
    of_rows = torch.arange(len(lengths)) // 2, torch.arange(len(lengths)) // 4  # rollouts of two turns, groups of two
    narrow, wide = (token_weights(Layout(mask_of(lengths, max(lengths) + n), *of_rows)) for n in (0, padding))
    assert narrow.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.equal(wide[:, : max(lengths)], narrow)
    assert not wide[mask_of(lengths, wide.shape[1]) == 0].any()


@settings(max_examples=30, derandomize=True, deadline=None)
@given(lengths=LENGTHS)
def test_the_sequence_mean_counts_rollouts_alike_and_the_token_mean_counts_tokens_alike(lengths: list[int]) -> None:
    mask, rollouts = mask_of(lengths), torch.arange(len(lengths))
    layout = Layout(mask, rollouts, torch.zeros_like(rollouts))
    by_sequence, by_token = sequence_mean(layout), token_mean(layout)
    torch.testing.assert_close(by_sequence.sum(dim=1), torch.full((len(lengths),), 1 / len(lengths)))
    torch.testing.assert_close(by_token[mask == 1], torch.full((sum(lengths),), 1 / sum(lengths)))


@pytest.mark.parametrize("token_weights", [sequence_mean, partial(constant_mean, max_tokens=4), group_mean])
@settings(max_examples=30, derandomize=True, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_groups_of_several_sizes_count_alike(token_weights: TokenWeights, sizes: list[int]) -> None:
    groups = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    weights = token_weights(Layout(torch.ones(len(groups), 4), torch.arange(len(groups)), groups))
    of_groups = torch.zeros(len(sizes)).index_add(0, groups, weights.sum(dim=1))
    torch.testing.assert_close(of_groups, torch.full((len(sizes),), 1 / len(sizes)))


def test_the_sequence_mean_counts_a_rollout_of_many_turns_no_more_than_one_of_one() -> None:
    mask, rollouts = mask_of([2, 1, 4, 1]), torch.tensor([0, 0, 0, 1])
    weights = sequence_mean(Layout(mask, rollouts, torch.zeros(4, dtype=torch.long)))
    assert weights[:3].sum().item() == pytest.approx(0.5)
    torch.testing.assert_close(weights[:3][mask[:3] == 1], torch.full((7,), 0.5 / 7))
    assert weights[3].sum().item() == pytest.approx(0.5)


@EVERY_MEAN
def test_a_rollout_without_tokens_weighs_nothing_and_breaks_nothing(token_weights: TokenWeights) -> None:
    weights = token_weights(Layout(torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.arange(2), torch.arange(2)))
    assert torch.isfinite(weights).all()
    assert not weights[1].any()


REWARDS = [[1.0, 0.0, 0.1], [1.0, 1.0, 0.0]]  # of two groups of three rollouts
TURNS = [[[3], [2, 4], [5]], [[1], [6], [2, 1]]]  # tokens of each turn of each rollout
MAX_TOKENS = 8


def reference_objective(name: str, new: list[list[float]], old: list[list[float]], ref: list[list[float]]) -> float:
    """Each objective as its paper has it, rollout by rollout, in Python floats; β = 0.1, clips 0.2 and 0.28."""
    rows = iter(zip(new, old, ref, strict=True))
    terms: list[list[list[float]]] = []  # of every token, by group and rollout
    for rewards, turns in zip(REWARDS, TURNS, strict=True):
        mean = sum(rewards) / len(rewards)
        spread = math.sqrt(sum((r - mean) ** 2 for r in rewards) / len(rewards))
        terms.append([])
        for reward, lengths in zip(rewards, turns, strict=True):
            tokens = list(zip(*next(rows), strict=True))
            assert len(tokens) == sum(lengths)
            advantage = reward - mean if name == "dr-grpo" else (reward - mean) / spread
            low, high = (3e-4, 4e-4) if name == "gspo" else (0.2, 0.28)
            mean_log_ratio = sum(a - b for a, b, _ in tokens) / len(tokens)
            values = []
            for a, b, r in tokens:
                ratio = math.exp(mean_log_ratio if name == "gspo" else a - b)
                bounded = min(max(ratio, 1 - low), 1 + high)
                values.append(min(ratio * advantage, bounded * advantage) - 0.1 * (math.exp(r - a) - (r - a) - 1))
            terms[-1].append(values)
    rollouts = [values for group in terms for values in group]
    if name in ("sequence-mean", "gspo"):
        return sum(sum(values) / len(values) for values in rollouts) / len(rollouts)
    if name == "token-mean":
        return sum(map(sum, rollouts)) / sum(map(len, rollouts))
    if name == "group-mean":
        return sum(sum(map(sum, group)) / sum(map(len, group)) for group in terms) / len(terms)
    return sum(map(sum, rollouts)) / (len(rollouts) * MAX_TOKENS)


@pytest.mark.parametrize("name", LOSSES)
def test_every_objective_equals_its_formula_in_plain_loops(name: str) -> None:
    objective = named_objective(name, max_tokens=MAX_TOKENS, clip_high=0.28, kl_coef=0.1)
    turns = [(i, n) for i, lengths in enumerate(rollout for group in TURNS for rollout in group) for n in lengths]
    rollouts = torch.tensor([i for i, _ in turns])
    layout = Layout(mask_of([n for _, n in turns]).double(), rollouts, rollouts // 3)
    generator = torch.Generator().manual_seed(0)
    shape = layout.mask.shape
    old = -2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5
    new, ref = (old + (torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5) for _ in range(2))
    groups = [Group(Problem(0, 0), tuple(Rollout((), r, r == 1) for r in rewards)) for rewards in REWARDS]
    advantages = torch.tensor([float(a) for group in groups for a in objective.advantages(group)]).double()[rollouts]
    weights = objective.token_weights(layout)
    value = (weights * objective.surrogate(new, old, advantages, layout, ref)).sum()
    tables = (table.tolist() for table in (new, old, ref))
    assert value.item() == pytest.approx(reference_objective(name, *_joined(turns, *tables)), rel=1e-6)


def _joined(turns: list[tuple[int, int]], *tables: list[list[float]]) -> list[list[list[float]]]:
    """The rows of each table with the turns of a rollout behind each other, without padding."""
    joined: list[list[list[float]]] = []
    for table in tables:
        rows: dict[int, list[float]] = {}
        for (i, n), row in zip(turns, table, strict=True):
            rows.setdefault(i, []).extend(row[:n])
        joined.append(list(rows.values()))
    return joined


def test_the_divergence_is_zero_where_the_two_agree_and_positive_elsewhere() -> None:
    log_probs = torch.tensor([[-1.0, -2.0, -0.1]])
    assert not divergence(log_probs, log_probs).any()
    assert (divergence(log_probs, log_probs + torch.tensor([[0.5, -0.5, 3.0]])) > 0).all()


def test_what_is_no_objective_is_refused() -> None:
    with pytest.raises(ValueError, match=r"loss must be one of \['sequence-mean', .* got 'mean'"):
        named_objective("mean", max_tokens=4, clip_high=0.28)
    with pytest.raises(ValueError, match=r"kl_coef must be at least 0, got -0\.1"):
        Objective(kl_coef=-0.1)


@pytest.mark.parametrize("name", ["token", "sequence"])
def test_importance_weights_equal_plain_loops_and_are_cut_off_at_the_cap(name: str) -> None:
    lengths, rollouts, cap = [2, 1, 3], [0, 0, 1], 1.5
    generator = torch.Generator().manual_seed(0)
    gap = (torch.rand((3, 3), generator=generator, dtype=torch.float64) - 0.4) * 2
    layout = Layout(mask_of(lengths).double(), torch.tensor(rollouts), torch.zeros(3, dtype=torch.long))
    importance = named_importance(name, cap)
    assert importance is not None
    weights = importance(gap, layout)
    expected: list[float] = []
    for i, length in enumerate(lengths):
        whole = sum(gap[j, :n].sum().item() for j, n in enumerate(lengths) if rollouts[j] == rollouts[i])
        expected += [min(math.exp(gap[i, t].item() if name == "token" else whole), cap) for t in range(length)]
    torch.testing.assert_close(weights[layout.mask > 0], torch.tensor(expected, dtype=torch.float64))
    assert cap in expected
    assert min(expected) < 1 < max(expected)


def test_without_a_correction_there_is_nothing_to_weigh_by() -> None:
    assert named_importance("none", 2.0) is None


def test_what_is_no_correction_is_refused() -> None:
    with pytest.raises(ValueError, match=r"importance must be one of \['none', 'token', 'sequence'\], got 'all'"):
        named_importance("all", 2.0)
    with pytest.raises(ValueError, match=r"importance_cap must be at least 1, got 0\.5"):
        named_importance("token", 0.5)
