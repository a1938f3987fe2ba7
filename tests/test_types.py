from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest
from fakes import group_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.types import Batch, Problem, Rollout, Step, TaskStats, per_task_mean

VALUES = st.floats(-10, 10, allow_nan=False)


def batch_of(task_ids: list[int], *, generated: list[int]) -> Batch:
    groups = tuple(group_of([0.0, 1.0], task_id=k) for k in task_ids)
    zeros = np.zeros(len(generated), dtype=np.int64)
    means = np.zeros(len(generated))
    counts = np.array(generated, dtype=np.int64)
    return Batch(
        groups,
        loss_weights=np.ones(len(groups)),
        task_weights=means,
        targets=zeros,
        accepted=zeros,
        generated=counts,
        rewards=means,
        accuracies=means,
        mean_abs_advantages=means,
        round_accuracies=means[None],
        rounds=1,
        num_rollouts=2 * int(counts.sum()),
    )


@given(st.lists(st.tuples(VALUES, st.integers(0, 3)), max_size=20))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_a_task_mean_is_the_mean_of_its_values_and_nan_without_any(pairs: list[tuple[float, int]]) -> None:
    values, task_ids = [v for v, _ in pairs], np.array([k for _, k in pairs], dtype=np.int64)
    means = per_task_mean(values, task_ids, 4)
    assert means.shape == (4,)
    for k in range(4):
        own = [v for v, task_id in pairs if task_id == k]
        np.testing.assert_allclose(means[k], np.mean(own) if own else np.nan, atol=1e-9)


@given(st.lists(st.tuples(VALUES, st.integers(0, 2)), min_size=1, max_size=12), st.permutations(range(3)))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_relabelling_tasks_permutes_the_task_means(pairs: list[tuple[float, int]], names: list[int]) -> None:
    values, task_ids = [v for v, _ in pairs], np.array([k for _, k in pairs])
    relabelled = per_task_mean(values, np.array(names)[task_ids], 3)
    np.testing.assert_array_equal(relabelled[names], per_task_mean(values, task_ids, 3))


def test_a_group_shows_its_rollouts_as_arrays() -> None:
    group = group_of([1.0, 0.1, 0.0], valid=[True, True, False], task_id=2)
    assert group.task_id == 2
    np.testing.assert_array_equal(group.rewards, [1.0, 0.1, 0.0])
    np.testing.assert_array_equal(group.successes, [True, False, False])
    np.testing.assert_array_equal(group.valid, [True, True, False])


def test_arrays_of_an_empty_group_keep_their_types() -> None:
    group = group_of([])
    assert (group.rewards.dtype, group.successes.dtype, group.valid.dtype) == (np.float64, np.bool_, np.bool_)


def test_a_batch_counts_the_groups_and_rollouts_trained_on_of_each_task() -> None:
    batch = batch_of([2, 0, 2], generated=[4, 1, 3])
    assert batch.num_tasks == 3
    np.testing.assert_array_equal(batch.task_ids, [2, 0, 2])
    np.testing.assert_array_equal(batch.kept, [1, 0, 2])
    np.testing.assert_array_equal(batch.kept_rollouts, [2, 0, 4])


def test_an_empty_batch_keeps_nothing_of_each_task() -> None:
    np.testing.assert_array_equal(batch_of([], generated=[4, 1, 3]).kept, [0, 0, 0])


def test_a_part_of_a_batch_is_the_batch_with_fewer_groups_to_train_on() -> None:
    batch = dataclasses.replace(batch_of([2, 0, 2], generated=[4, 1, 3]), loss_weights=np.array([1.0, 2.0, 3.0]))
    part = batch.part([2, 1])
    assert part.groups == (batch.groups[2], batch.groups[1])
    np.testing.assert_array_equal(part.loss_weights, [3.0, 2.0])
    np.testing.assert_array_equal(part.kept, [1, 0, 1])
    assert part.num_rollouts == batch.num_rollouts
    assert batch.part([]).groups == ()


def test_problems_are_equal_when_task_seed_and_options_are_and_can_be_set_members() -> None:
    options = {"split": "test"}
    assert Problem(0, 7, options) == Problem(0, 7, dict(options))
    assert len({Problem(0, 7, options), Problem(0, 7, options), Problem(0, 7), Problem(1, 7)}) == 3


@pytest.mark.parametrize(
    "value",
    [
        Problem(0, 1, {"split": "train"}),
        Step("o", "a", 1.0, {"log_probs": [0.5]}),
        Rollout((Step("o", "a", 1.0),), 1.0, True),
        group_of([1.0, 0.0]),
    ],
)
def test_values_are_frozen_and_survive_pickling(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert dataclasses.is_dataclass(value)
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)


def test_task_stats_are_frozen() -> None:
    stats = TaskStats(np.zeros(2), np.zeros(2), np.zeros(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.rewards = np.ones(2)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf, 1e308, -1e200])
def test_a_rollout_whose_reward_nothing_can_be_made_of_is_refused_unless_it_is_not_valid(reward: float) -> None:
    with pytest.raises(ValueError, match=r"a reward must be finite and at most 1e\+150 in size, or the rollout not"):
        Rollout((), reward, is_success=False)
    assert not Rollout((), reward, is_success=False, valid=False).is_learnable
