"""A curriculum continues from what it saved, refuses what others saved, and starts anew at a seed; one default."""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curricula import RULES, SAMPLERS, B, K, composed, draws, guessing

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.curriculum import BATCH_SIZE, Curriculum
from mtgrpo_env.envs.mtreason import make_mt_reason, make_mt_reason_vec
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.filters import rewards_differ, success_differs
from mtgrpo_env.logit_optimizers import Adam, GradientDescent
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.reward_estimates import LatestReward, RecentAccuracy
from mtgrpo_env.samplers import MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.shares import absolute_advantage, count_groups
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.types import TaskStats

# Save, draw, restore


@pytest.mark.parametrize("replayed", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_restored_curriculum_draws_what_the_saved_one_draws_next(
    sampler: str, rule: str, replayed: bool, tmp_path: Path
) -> None:
    """From a state in memory and from files, into curricula that stood elsewhere."""
    curriculum, suite = composed(sampler, rule, replayed=replayed)
    draws(curriculum, suite, 4)
    state = curriculum.state_dict()
    curriculum.save(tmp_path)
    others = [composed(sampler, rule, replayed=replayed, seed=seed) for seed in (5, 6)]
    for other, other_suite in others:
        draws(other, other_suite, 1)
    others[0][0].load_state_dict(state)
    others[1][0].load(tmp_path)
    expected = draws(curriculum, suite, 3)
    for other, other_suite in others:
        assert draws(other, other_suite, 3) == expected


def test_a_saved_state_is_json_and_the_numbers_of_the_replayed_groups(tmp_path: Path) -> None:
    curriculum, suite = guessing()
    draws(curriculum, suite, 3)
    curriculum.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"curriculum.json", "replay.json", "replay.bin"}
    in_memory = {**curriculum.state_dict(), "replay": None}
    assert json.loads((tmp_path / "curriculum.json").read_text()) == json.loads(json.dumps(in_memory))


def test_what_was_set_and_how_long_a_task_starved_are_part_of_the_state() -> None:
    curriculum, suite = guessing()
    curriculum.set_task_weights([0.2, 0.3, 0.5])
    draws(curriculum, suite, 2)
    other, other_suite = guessing(seed=3)
    other.load_state_dict(curriculum.state_dict())
    assert other.probabilities.tolist() == [0.2, 0.3, 0.5]
    for one in (curriculum, other):
        one.set_task_weights(None)
    assert draws(other, other_suite, 2) == draws(curriculum, suite, 2)


def test_a_copy_shares_nothing() -> None:
    curriculum, suite = guessing()
    draws(curriculum, suite, 2)
    other = copy.deepcopy(curriculum)
    assert isinstance(other.problems, TaskSuite)
    expected = draws(curriculum, suite, 3)
    assert draws(other, other.problems, 3) == expected


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"task_weights": DisparityWeights(K, tolerance=0.1)}, "task_weights.tolerance was 0.0, is 0.1"),
        ({"task_weights": DisparityWeights(K, strength=3.0)}, "task_weights.strength was 2.0, is 3.0"),
        ({"task_weights": UniformWeights(K)}, "task_weights.type was 'DisparityWeights', is 'UniformWeights'"),
        ({"sampler": QuotaSampler(K, B, max_generated=2.0, confidence=0.9)}, "sampler.confidence was 0.6, is 0.9"),
        ({"sampler": QuotaSampler(K, B, max_generated=2.0, memory=9)}, "sampler.acceptance.memory was 48.0, is 9"),
        ({"sampler": QuotaSampler(K, B, max_generated=3.0)}, "sampler.max_generated was 2.0, is 3.0"),
        ({"sampler": RatioPreservingSampler(K, B)}, "sampler.type was 'QuotaSampler', is 'RatioPreservingSampler'"),
        ({"batch_size": 9}, "sampler.batch_size was 8, is 9"),
        ({"reward_estimate": LatestReward(K)}, "reward_estimate.type was 'RecentAccuracy', is 'LatestReward'"),
        ({"reward_estimate": RecentAccuracy(K, memory=5.0)}, "reward_estimate.shares.memory was 16.0, is 5.0"),
        ({"replay": ReplayBuffer(max_age=9)}, "replay.max_age was 3, is 9"),
        ({"replay": ReplayBuffer(max_uses=9)}, "replay.max_uses was 3, is 9"),
        ({"group_filter": rewards_differ}, "group_filter was 'success_differs', is 'rewards_differ'"),
        ({"share_by": absolute_advantage}, "share_by was 'count_groups', is 'absolute_advantage'"),
    ],
)
def test_a_state_of_other_hyperparameters_is_refused_by_name_and_changes_nothing(
    own: dict[str, Any], named: str, tmp_path: Path
) -> None:
    defaults = {"replay": ReplayBuffer(), "reward_estimate": RecentAccuracy(K), "task_weights": DisparityWeights(K)}
    saved, suite = guessing(**defaults)
    draws(saved, suite, 2)
    saved.save(tmp_path)
    other, _ = guessing(**{**defaults, **own})
    before = other.state_dict()
    for load in (partial(other.load_state_dict, saved.state_dict()), partial(other.load, tmp_path)):
        with pytest.raises(ValueError, match="of other hyper-parameters: ") as error:
            load()
        assert named in str(error.value)
    assert other.state_dict() == before


@pytest.mark.parametrize("optimizer", [Adam(0.1), Adam(l2=0.1), GradientDescent()])
def test_another_learning_rate_or_optimizer_of_the_weights_is_refused(optimizer: Any) -> None:
    saved, _ = guessing(task_weights=ImprovementAwareWeights(K))
    other, _ = guessing(task_weights=ImprovementAwareWeights(K, optimizer=optimizer))
    with pytest.raises(ValueError, match=r"task_weights\.optimizer\.(lr|l2|type) was "):
        other.load_state_dict(saved.state_dict())


def test_a_buffer_that_one_side_lacks_is_a_difference() -> None:
    with_buffer, without = guessing()[0], guessing(sampler=QuotaSampler(K, B, max_generated=2.0))[0]
    with pytest.raises(ValueError, match=r"replay\.max_age was 3, is 'nothing'"):
        without.load_state_dict(with_buffer.state_dict())


def test_other_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tasks was \['math', 'code'\], is \['math', 'chat'\]"):
        Curriculum(["math", "chat"]).load_state_dict(Curriculum(["math", "code"]).state_dict())


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    curriculum, suite = guessing()
    with pytest.raises(FileNotFoundError, match=r"holds no curriculum: it has no curriculum\.json"):
        curriculum.load(tmp_path)
    with pytest.raises(ValueError, match=r"the state of a curriculum, got one without \['fixed', 'hyperparam"):
        curriculum.load_state_dict({"rewards": [0.0] * K})
    draws(curriculum, suite, 2)
    curriculum.save(tmp_path)
    before = curriculum.state_dict()
    (tmp_path / "replay.json").write_bytes(b"no groups")
    with pytest.raises(ValueError, match="replayed groups must be plain data"):
        curriculum.load(tmp_path)
    assert curriculum.state_dict() == before
    (tmp_path / "curriculum.json").write_text("{")
    with pytest.raises(ValueError, match=r"curriculum\.json is damaged"):
        curriculum.load(tmp_path)


class Greedy(TaskWeights):
    """Counts steps, and declares nothing."""

    uses_improvements = False

    def __init__(self, num_tasks: int) -> None:
        self.num_tasks = num_tasks
        self.counts = np.ones(num_tasks)

    @property
    def probabilities(self) -> np.ndarray:
        return self.counts / self.counts.sum()

    def update(self, stats: TaskStats) -> None:
        self.counts = self.counts + np.arange(self.num_tasks)


class Named(Greedy):
    """And names what it holds: all that a rule of one's own needs to resume."""

    hyperparameter_names = ("num_tasks",)
    state_names = ("counts",)


class Late(Named):
    """Holds something more once it moves."""

    def update(self, stats: TaskStats) -> None:
        self.steps = 1


def test_a_rule_of_ones_own_that_names_nothing_is_refused_where_it_is_given() -> None:
    with pytest.raises(ValueError, match=r"Greedy holds \['num_tasks', 'counts'\]: expected every attribute in its"):
        guessing(task_weights=Greedy(K))


def test_what_a_rule_of_ones_own_holds_later_is_refused_at_the_checkpoint() -> None:
    curriculum, suite = guessing(task_weights=Late(K))
    draws(curriculum, suite, 1)
    with pytest.raises(ValueError, match=r"Late holds \['steps'\]"):
        curriculum.state_dict()


def test_a_rule_of_ones_own_that_names_what_it_holds_resumes() -> None:
    curriculum, suite = guessing(task_weights=Named(K))
    draws(curriculum, suite, 2)
    other, other_suite = guessing(task_weights=Named(K), seed=3)
    other.load_state_dict(curriculum.state_dict())
    assert draws(other, other_suite, 2) == draws(curriculum, suite, 2)


# A seed


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_reseeded_curriculum_draws_what_a_new_one_draws(sampler: str, rule: str) -> None:
    used, suite = composed(sampler, rule, replayed=True)
    draws(used, suite, 4)
    used.reseed(7)
    new, new_suite = composed(sampler, rule, replayed=True)
    new.reseed(7)
    assert used.metrics() == {}
    assert draws(used, suite, 3) == draws(new, new_suite, 3)


def test_a_sampler_of_ones_own_forgets_at_a_reseed_what_it_names() -> None:
    class Counting(MultinomialSampler):
        state_names = ("rng", "plans")

        def __init__(self, num_tasks: int, batch_size: int) -> None:
            super().__init__(num_tasks, batch_size)
            self.plans = 0

        def plan(self, probabilities: Any) -> Any:
            self.plans += 1
            return super().plan(probabilities)

    sampler = Counting(K, B)
    curriculum, suite = guessing(sampler=sampler)
    draws(curriculum, suite, 2)
    assert sampler.plans == 2
    curriculum.reseed(1)
    assert sampler.plans == 0


def test_weights_that_were_set_stay_over_a_reseed() -> None:
    curriculum, _ = guessing()
    curriculum.set_task_weights([1, 0, 0])
    curriculum.reseed(3)
    assert curriculum.probabilities.tolist() == [1, 0, 0]


# One default


def test_everyone_who_names_no_parts_gets_the_same_ones() -> None:
    suite = toy_suite(K)
    alone = Curriculum(suite)
    agent = MTGRPOAgent(suite, policy="tabular").curriculum
    env = MultiTaskEnv(toy_suite(K)).curriculum
    assert alone.batch_size == BATCH_SIZE
    assert agent.hyperparameters == env.hyperparameters == alone.hyperparameters
    mt_reason = make_mt_reason(level="mini").curriculum
    vector = make_mt_reason_vec(level="mini", num_envs=2).schedule.curriculum
    own = Curriculum(mt_reason.problems)
    assert mt_reason.hyperparameters == vector.hyperparameters == own.hyperparameters
    for one in (agent, env, mt_reason, vector):
        assert {**one.hyperparameters, "tasks": None} == {**alone.hyperparameters, "tasks": None}


def test_the_default_is_quotas_with_replay_and_no_task_left_behind() -> None:
    curriculum = Curriculum(["a", "b"])
    kinds = [type(part) for part in (curriculum.sampler, curriculum.task_weights, curriculum.reward_estimate)]
    assert kinds == [QuotaSampler, DisparityWeights, RecentAccuracy]
    assert curriculum.replay is not None
    assert (curriculum.group_filter, curriculum.share_by) == (success_differs, count_groups)


def test_an_empty_buffer_that_is_given_is_the_one_used() -> None:
    replay = ReplayBuffer(max_age=1)
    assert Curriculum(["a"], replay=replay).replay is replay
    assert Curriculum(["a"], sampler=MultinomialSampler(1, 4)).replay is None
