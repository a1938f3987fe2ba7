"""Every completion runs once, on one rank; ranks have the same number of passes and about the same work."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.llm.data import Completion, PackedGroups, pack
from mtgrpo_env.agents.llm.micro_batches import MicroBatch, micro_batches
from mtgrpo_env.types import Group, Problem, Rollout, Step

TURNS = st.lists(st.integers(1, 9), min_size=1, max_size=3)
GROUPS = st.lists(st.lists(TURNS, min_size=1, max_size=5), min_size=1, max_size=5)


def packed_of(lengths: list[list[list[int]]]) -> PackedGroups:
    """Groups of rollouts of turns of these lengths; a group's rollouts share the prompt of each turn."""
    groups = [
        Group(
            Problem(0, seed=i),
            tuple(
                Rollout(
                    tuple(
                        Step("", "", 0.0, extras=Completion((i + 1,) * (t + 1), (2,) * n, (0.0,) * n))
                        for t, n in enumerate(turns)
                    ),
                    0.0,
                    False,
                )
                for turns in group
            ),
        )
        for i, group in enumerate(lengths)
    ]
    return pack(groups, np.ones(len(groups)), 0)


def all_ranks(packed: PackedGroups, tokens: int, size: int) -> list[list[MicroBatch]]:
    return [micro_batches(packed, tokens=tokens, rank=rank, size=size) for rank in range(size)]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(GROUPS, st.integers(1, 60), st.integers(1, 5))
def test_every_completion_counts_once_and_ranks_make_equally_many_passes(
    lengths: list[list[list[int]]], tokens: int, size: int
) -> None:
    packed = packed_of(lengths)
    ranks = all_ranks(packed, tokens, size)
    counted = [row for passes in ranks for micro_batch in passes if micro_batch.counts for row in micro_batch.rows]
    assert sorted(map(int, counted)) == list(range(len(packed.tokens)))
    assert len({len(passes) for passes in ranks}) == 1
    assert all(len(micro_batch.rows) for passes in ranks for micro_batch in passes)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(GROUPS, st.integers(1, 60), st.integers(1, 3))
def test_a_pass_fits_unless_it_is_one_rollout_and_the_turns_of_a_rollout_stay_together(
    lengths: list[list[list[int]]], tokens: int, size: int
) -> None:
    packed = packed_of(lengths)
    for micro_batch in [m for passes in all_ranks(packed, tokens, size) for m in passes]:
        part = packed.rows(micro_batch.rows)
        rollouts = set(part.rollouts.tolist())
        assert part.prompts.numel() + part.tokens.numel() <= tokens or len(rollouts) == 1
        assert sum(int((packed.rollouts == rollout).sum()) for rollout in rollouts) == len(part.tokens)


def test_ranks_get_about_the_same_number_of_tokens_even_where_groups_do_not_divide_evenly() -> None:
    rng = np.random.default_rng(0)
    packed = packed_of([[[int(rng.integers(1, 50))] for _ in range(8)] for _ in range(3)])
    for size in (2, 4):
        tokens = [
            sum(int(packed.lengths[m.rows].sum()) for m in passes if m.counts)
            for passes in all_ranks(packed, 200, size)
        ]
        assert sum(tokens) == int(packed.lengths.sum())
        assert max(tokens) - min(tokens) <= 50, "a rollout more or less"


def test_the_rollouts_of_a_group_share_its_prompt_where_they_fit_together() -> None:
    packed = packed_of([[[4]] * 4, [[4]] * 4])
    (first, second) = micro_batches(packed, tokens=17, rank=0, size=1)
    assert [packed.rows(m.rows).prompts.tolist() for m in (first, second)] == [[[1]], [[2]]]


def test_a_rank_without_work_of_its_own_fills_its_passes() -> None:
    packed = packed_of([[[3]]])
    fillers = [m for passes in all_ranks(packed, 10, 3) for m in passes if not m.counts]
    assert len(fillers) == 2
    assert all(torch.equal(filler.rows, torch.tensor([0])) for filler in fillers)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_passes_are_the_same_whoever_asks(size: int) -> None:
    packed = packed_of([[[n] for n in range(1, 8)], [[2, 3], [1]]])
    again = packed_of([[[n] for n in range(1, 8)], [[2, 3], [1]]])
    for one, other in zip(all_ranks(packed, 12, size), all_ranks(again, 12, size), strict=True):
        assert [m.rows.tolist() for m in one] == [m.rows.tolist() for m in other]
