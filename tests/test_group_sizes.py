from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batches import drawn_batch
from fakes import ScriptedPolicy
from hypothesis import given
from hypothesis import strategies as st

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.filters import every_group
from mtgrpo_env.group_sizes import GroupSizes
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.types import Batch


@given(accuracy=st.floats(0, 1), smallest=st.integers(2, 8), sufficient=st.floats(0.1, 0.9))
def test_a_small_group_is_enough_where_it_is_informative_often_enough(
    accuracy: float, smallest: int, sufficient: float
) -> None:
    sizes = GroupSizes(1, largest=8, smallest=smallest, sufficient=sufficient)
    (size,) = sizes.of_accuracies(np.array([accuracy]))
    unanimous = accuracy**smallest + (1 - accuracy) ** smallest
    assert size == (smallest if 1 - unanimous >= sufficient else 8)


def test_nothing_known_all_known_and_one_size() -> None:
    assert GroupSizes(2, largest=6, smallest=4).now.tolist() == [6, 6]
    assert GroupSizes(3, largest=6, smallest=2).of_accuracies(np.array([0.0, 0.5, 1.0])).tolist() == [6, 6, 6]
    assert GroupSizes(3, largest=6, smallest=3, sufficient=0.7).of_accuracies(np.full(3, 0.5)).tolist() == [3, 3, 3]
    assert GroupSizes(1, largest=6).of_accuracies(np.array([0.5])).tolist() == [6]


def half_solved(z: tuple[float, float], *, size: int = 4) -> Batch:
    """Of two locks of one digit, by a policy that opens half of all."""
    suite = toy_suite(2, num_digits=2)
    policy = ScriptedPolicy(lambda observation, task_id, place: place % 2)
    sampler = MultinomialSampler(2, 8)
    return drawn_batch(suite, policy, sampler, np.array(z), group_size=size, group_filter=every_group)


def test_sizes_follow_the_accuracy_of_what_was_generated_and_an_absent_task_keeps_its_own() -> None:
    sizes = GroupSizes(2, largest=8, smallest=4)
    batch = half_solved((1.0, 0.0))
    assert batch.accuracies[0] == pytest.approx(0.5)
    sizes.observe(batch)
    assert sizes.now.tolist() == [4, 8]


def agent_of_sizes(**options: Any) -> MTGRPOAgent:
    return MTGRPOAgent(toy_suite(2), policy="tabular", batch_size=8, group_size=8, **options)


def test_an_agent_rolls_out_each_task_in_groups_of_its_size(tmp_path: Path) -> None:
    agent = agent_of_sizes(min_group_size=4, method="grpo")
    first = agent.train_step()
    assert first.rollouts == 8 * first.generated.sum()
    agent.group_sizes.accuracies.shares.observe([100, 100], [0, 50])
    assert agent.group_sizes.now.tolist() == [8, 4]
    agent.save(tmp_path / "checkpoint")
    for of_sizes in (agent, MTGRPOAgent.load(tmp_path / "checkpoint", tasks=toy_suite(2))):
        report = of_sizes.train_step()
        assert report.generated.all()
        assert report.rollouts == 8 * report.generated[0] + 4 * report.generated[1]


def test_no_group_is_smaller_than_the_learner_can_learn_from() -> None:
    with pytest.raises(ValueError, match="group_size must be at least 2 for TabularLearner, got 1"):
        agent_of_sizes(min_group_size=1)
    with pytest.raises(ValueError, match="smallest must be at least 1 and at most 8, got 9"):
        agent_of_sizes(min_group_size=9)
