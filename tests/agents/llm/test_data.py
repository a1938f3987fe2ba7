"""Folding, padding and packing: nothing is lost, nothing is added, and a slice is the whole seen in part."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.agents.llm.data import Completion, PackedGroups, fold, left_padded, pack
from mtgrpo_env.types import Group, Problem, Rollout, Step

PAD = 0
PROMPTS = st.lists(st.tuples(*[st.integers(1, 3)] * 2) | st.tuples(st.integers(1, 3)), min_size=1, max_size=12)


def completion_of(prompt: tuple[int, ...], tokens: tuple[int, ...]) -> Completion:
    return Completion(prompt, tokens, tuple(-0.5 - i for i in range(len(tokens))))


def rollout_of(reward: float, *completions: Completion, valid: bool = True) -> Rollout:
    """An episode with one step for each completion, paid at the end."""
    rewards = [0.0] * (len(completions) - 1) + [reward]
    steps = tuple(Step("", "", r, extras=c) for c, r in zip(completions, rewards, strict=True))
    return Rollout(steps, reward, is_success=reward == 1.0, valid=valid)


@pytest.fixture
def groups() -> list[Group]:
    """Two groups of two tasks; the second is of several turns, whose prompts grow."""
    short = [completion_of((5,), tokens) for tokens in ((6,), (7, 8, 9))]
    first_turns = [completion_of((1, 2), tokens) for tokens in ((3,), (4, 3))]
    second_turn = completion_of((1, 2, 3, 9), (8, 8))
    return [
        Group(Problem(2, seed=0), (rollout_of(1.0, short[0]), rollout_of(0.0, short[1]))),
        Group(Problem(0, seed=0), (rollout_of(0.1, first_turns[0], second_turn), rollout_of(1.0, first_turns[1]))),
    ]


@pytest.fixture
def packed(groups: list[Group]) -> PackedGroups:
    return pack(groups, np.array([1.0, 2.5]), PAD)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(PROMPTS)
def test_folding_keeps_every_distinct_prompt_once_in_order_and_unfolds_to_what_was_given(
    prompts: list[tuple[int, ...]],
) -> None:
    distinct, index = fold(prompts)
    assert distinct == list(dict.fromkeys(prompts))
    assert [distinct[i] for i in index] == prompts


@settings(max_examples=50, derandomize=True, deadline=None)
@given(PROMPTS)
def test_padding_stands_on_the_left_and_the_mask_selects_exactly_the_prompts(prompts: list[tuple[int, ...]]) -> None:
    ids, mask = left_padded(prompts, PAD)
    assert ids.shape == mask.shape == (len(prompts), max(map(len, prompts)))
    assert [tuple(row[kept == 1]) for row, kept in zip(ids, mask, strict=True)] == prompts
    assert (np.diff(mask, axis=1) >= 0).all()
    assert (ids[mask == 0] == PAD).all()


def test_packing_gives_every_completion_its_prompt_tokens_and_log_probs(
    groups: list[Group], packed: PackedGroups
) -> None:
    completions = [step.extras for group in groups for rollout in group.rollouts for step in rollout.steps]
    assert len(packed.tokens) == len(completions) == 5
    for i, completion in enumerate(completions):
        prompt = packed.prompt_index[i]
        kept = packed.mask[i] == 1
        assert tuple(packed.prompts[prompt][packed.prompt_mask[prompt] == 1].tolist()) == completion.prompt
        assert tuple(packed.tokens[i][kept].tolist()) == completion.tokens
        assert tuple(packed.old_log_probs[i][kept].tolist()) == completion.log_probs
        assert not packed.mask[i, len(completion.tokens) :].any()


def test_packing_holds_each_distinct_prompt_once(packed: PackedGroups) -> None:
    assert len(packed.prompts) == 3
    assert packed.prompt_index.tolist() == [0, 0, 1, 2, 1]


def test_every_turn_of_a_rollout_carries_the_rollouts_advantage_weight_and_task(
    groups: list[Group], packed: PackedGroups
) -> None:
    (a, b), (c, d) = (group_advantages(group).tolist() for group in groups)
    assert packed.advantages.tolist() == pytest.approx([a, b, c, c, d])
    assert packed.weights.tolist() == [1.0, 1.0, 2.5, 2.5, 2.5]
    assert packed.task_ids.tolist() == [2, 2, 0, 0, 0]
    assert packed.rollouts.tolist() == [0, 1, 2, 2, 3]


def test_a_rollout_whose_scorer_failed_is_packed_without_advantage() -> None:
    completion = completion_of((1,), (2,))
    rollouts = [
        rollout_of(reward, completion, valid=valid) for reward, valid in ((1.0, True), (0.0, True), (0.0, False))
    ]
    packed = pack([Group(Problem(0, seed=0), tuple(rollouts))], np.ones(1), PAD)
    assert packed.advantages.tolist() == [1.0, -1.0, 0.0]


def test_one_weight_for_each_group_is_required(groups: list[Group]) -> None:
    with pytest.raises(ValueError, match="shorter"):
        pack(groups, np.ones(1), PAD)


PADDED = ("tokens", "mask", "drawn_log_probs", "old_log_probs", "reference_log_probs")


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [0], [4, 1, 2], [3]])
def test_some_rows_are_the_whole_seen_in_part_with_no_more_prompts_and_padding_than_they_need(
    packed: PackedGroups, rows: list[int]
) -> None:
    part = packed.rows(torch.tensor(rows))
    for name in (field.name for field in fields(PackedGroups)):
        if name in PADDED:
            assert torch.equal(getattr(part, name), getattr(packed, name)[rows, : part.lengths.max()]), name
        elif name not in ("prompts", "prompt_mask", "prompt_index"):
            assert torch.equal(getattr(part, name), getattr(packed, name)[rows]), name
    for name in ("prompts", "prompt_mask"):
        whole = getattr(packed, name)[packed.prompt_index[rows], -int(part.prompt_lengths.max()) :]
        assert torch.equal(getattr(part, name)[part.prompt_index], whole), name
    assert sorted(set(part.prompt_index.tolist())) == list(range(len(part.prompts)))
    assert part.mask.any(dim=0).all()
    assert part.prompt_mask.any(dim=0).all()


def test_what_the_learner_found_out_stands_beside_what_the_engine_said() -> None:
    plain = completion_of((1,), (2, 3))
    rescored = Completion((1,), (4,), (-1.0,), old_log_probs=(-1.5,), reference_log_probs=(-2.0,))
    packed = pack([Group(Problem(0, seed=0), (rollout_of(1.0, plain), rollout_of(0.0, rescored)))], np.ones(1), PAD)
    assert packed.drawn_log_probs.tolist() == [[-0.5, -1.5], [-1.0, 0.0]]
    assert packed.old_log_probs.tolist() == [[-0.5, -1.5], [-1.5, 0.0]]
    assert packed.reference_log_probs.tolist() == [[-0.5, -1.5], [-2.0, 0.0]]
