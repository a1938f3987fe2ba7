"""Rows of TRL's as groups, and back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtgrpo_env.agents.integrations.trl.rounds import (
    LOG_PROBS,
    check_rewards,
    first_reward_at_least,
    groups_of,
    has_log_probs,
    rows_of,
    tensors_of,
    with_log_probs,
)
from mtgrpo_env.filters import rewards_differ
from mtgrpo_env.types import Group, Problem

PAD, DEVICE = 9, torch.device("cpu")
OUTPUT = {
    "prompt_ids": torch.tensor([[PAD, 1], [PAD, 1], [2, 3], [2, 3]]),
    "prompt_mask": torch.tensor([[0, 1], [0, 1], [1, 1], [1, 1]]),
    "completion_ids": torch.tensor([[4, 5, 6], [4, PAD, PAD], [5, 6, PAD], [7, PAD, PAD]]),
    "completion_mask": torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0]]),
    "tool_mask": torch.tensor([[1, 0, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]]),
    "advantages": torch.tensor([1.0, -1.0, 1.0, -1.0]),
    "num_items_in_batch": torch.tensor(6),
}


def groups(**columns: torch.Tensor) -> list[Group]:
    rewards = torch.tensor([[1.0], [0.0], [1.0], [0.0]])
    problems = [Problem(0, 0), Problem(1, 1)]
    return groups_of(problems, OUTPUT | columns, rewards, torch.ones(1), first_reward_at_least(1.0), end_ids={6, PAD})


def test_rows_are_plain_arrays_without_padding_and_give_trls_tables_again() -> None:
    made = groups()
    assert all(isinstance(value, np.ndarray | np.generic) for row in rows_of(made) for value in row.values())
    assert [len(row["completion_ids"]) for row in rows_of(made)] == [3, 1, 2, 1]
    tensors = tensors_of(made, np.array([2.0]), pad_token_id=PAD, device=DEVICE)
    assert all(torch.equal(tensors[name], OUTPUT[name]) for name in OUTPUT)
    assert all(tensors[name].dtype == OUTPUT[name].dtype for name in OUTPUT)
    assert tensors["loss_weights"].tolist() == [2, 2, 0, 0]
    assert tensors["task_ids"].tolist() == [0, 0, 1, 1]


def test_tokens_are_counted_and_padded_anew_for_the_groups_that_are_chosen() -> None:
    tensors = tensors_of(groups()[1:], np.ones(1), pad_token_id=PAD, device=DEVICE)
    assert tensors["completion_ids"].tolist() == [[5, 6], [7, PAD]]
    assert int(tensors["num_items_in_batch"]) == 3


def test_bfloat16_is_kept_as_float32() -> None:
    values = torch.tensor([[-0.5, -1.25, -3.0]] * 4)
    made = groups(**{LOG_PROBS: values.bfloat16()})
    tensors = tensors_of(made, np.ones(2), pad_token_id=PAD, device=DEVICE)
    assert tensors[LOG_PROBS].dtype == torch.float32
    assert torch.equal(tensors[LOG_PROBS], values * OUTPUT["completion_mask"])


def test_log_probabilities_are_added_row_by_row() -> None:
    values = torch.arange(12.0).reshape(4, 3)
    made = groups()
    known = with_log_probs(made, values)
    assert not has_log_probs(made[0])
    assert all(map(has_log_probs, known))
    assert [row[LOG_PROBS].tolist() for row in rows_of(known)] == [[0, 1, 2], [3], [6, 7], [9]]
    assert [replace(group, rollouts=()) for group in known] == [replace(group, rollouts=()) for group in made]


def test_rows_with_other_columns_are_named() -> None:
    made = groups()
    mixed = [made[0], *with_log_probs(made[1:], torch.zeros(2, 3))]
    with pytest.raises(ValueError, match=f"expected replayed rows as TRL is set up.* got rows with .*{LOG_PROBS}"):
        tensors_of(mixed, np.ones(2), pad_token_id=PAD, device=DEVICE)


def test_a_completion_is_cut_off_without_an_end_and_masked_where_trl_masks_it() -> None:
    rollouts = [rollout for group in groups() for rollout in group.rollouts]
    assert [one.length for one in rollouts] == [3, 1, 2, 1]
    assert [one.is_truncated for one in rollouts] == [False, True, False, True]
    assert not any(one.is_masked for one in rollouts)
    masked = groups(completion_mask=torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0]]))
    assert [one.is_masked for one in masked[0].rollouts] == [True, False]
    by_tools = groups(tool_mask=torch.tensor([[0, 0, 0], [1, 1, 1], [1, 1, 1], [0, 1, 1]]))
    assert [one.is_masked for group in by_tools for one in group.rollouts] == [True, False, False, True]
    assert not rewards_differ(groups(tool_mask=torch.zeros(4, 3, dtype=torch.int64))[0])


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e308, 3e38, 1e25])
def test_a_reward_that_nothing_can_be_made_of_is_refused_by_the_name_of_its_function(value: float) -> None:
    rewards = torch.tensor([[1.0, math.nan], [0.0, value]])
    with pytest.raises(ValueError, match=r"that are finite.* got .* from the reward function 'second'"):
        check_rewards(rewards, torch.ones(2), ["first", "second"])
    check_rewards(torch.tensor([[1.0, math.nan], [-1e15, 1e15]]), torch.ones(2), ["first", "second"])
