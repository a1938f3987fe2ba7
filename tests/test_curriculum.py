"""A curriculum draws batches, moves its weights, and continues from what it saved; all drivers get the same from it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import ScriptedPolicy, group_of, guess_suite
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.curriculum import BATCH_SIZE, Curriculum, NumberedProblems, StarvedTaskWarning
from mtgrpo_env.envs.mtreason import make_mt_reason, make_mt_reason_vec
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.filters import every_group, lenient, strict
from mtgrpo_env.logit_optimizers import Adam, GradientDescent
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.reward_estimates import LatestReward, RecentAccuracy
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.samplers_released import DelayedSampler, ReleasedDynamicSampler, ReleasedRatioPreservingSampler
from mtgrpo_env.shares import absolute_advantage, count_groups
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import (
    ForgettingSelfEvolvingWeights,
    RegularizedWeights,
    SelfEvolvingWeights,
    SequentialWeights,
)
from mtgrpo_env.types import Batch, Group, Problem, Rollout, TaskStats

CHANCES = (0.5, 0.1, 0.9)
K, B, N = 3, 8, 2
BITS = ScriptedPolicy(lambda observation, task_id, place: place % 2)  # the two rollouts of a group ask for one bit each

SAMPLERS: dict[str, Callable[..., Any]] = {
    "quota": partial(QuotaSampler, max_generated=1.5),
    "multinomial": MultinomialSampler,
    "dynamic": partial(DynamicSampler, oversampling=1.5),
    "ratio-preserving": RatioPreservingSampler,
    "released dynamic": ReleasedDynamicSampler,
    "released ratio-preserving": ReleasedRatioPreservingSampler,
    "delayed": lambda *sizes, seed: DelayedSampler(
        MultinomialSampler(*sizes, seed=seed), QuotaSampler(*sizes, seed=seed), first_step=3
    ),
}
RULES: dict[str, Callable[[int], TaskWeights]] = {
    "uniform": UniformWeights,
    "disparity": DisparityWeights,
    "improvement-aware": ImprovementAwareWeights,
    "regularized": RegularizedWeights,
    "self-evolving": SelfEvolvingWeights,
    "forgetting": ForgettingSelfEvolvingWeights,
    "sequential": lambda num_tasks: SequentialWeights([[k] for k in range(num_tasks)], num_steps=9),
}


def roll_out(suite: TaskSuite) -> Callable[[Sequence[Problem]], list[Group]]:
    return lambda problems: rollout_groups(suite, BITS, problems, N)


def guessing(*, seed: int = 0, **parts: Any) -> tuple[Curriculum, TaskSuite]:
    suite = guess_suite(CHANCES, seed=seed)
    return Curriculum(suite, seed=seed, **{"batch_size": None if "sampler" in parts else B, **parts}), suite


def composed(sampler: str, rule: str, *, replayed: bool, seed: int = 0) -> tuple[Curriculum, TaskSuite]:
    parts = {"sampler": SAMPLERS[sampler](K, B, seed=seed), "task_weights": RULES[rule](K)}
    return guessing(seed=seed, **parts, replay=ReplayBuffer() if replayed else None)


def draws(curriculum: Curriculum, suite: TaskSuite, count: int) -> list[tuple[Any, ...]]:
    """What some steps give, each with improvements that depend on the batch alone."""
    log: list[tuple[Any, ...]] = []
    for _ in range(count):
        batch = curriculum.draw(roll_out(suite))
        curriculum.update(batch, batch.generated / (10.0 * B))
        numbers = (batch.loss_weights.tolist(), batch.task_weights.tolist(), batch.replayed)
        log.append((batch.groups, *numbers, curriculum.probabilities.tolist(), curriculum.rewards.tolist()))
    return log


def batch_with(*groups: Group, num_tasks: int = 2) -> Batch:
    """What one round of these groups comes to under a sampler that keeps all."""
    curriculum = Curriculum(["a", "b"][:num_tasks], sampler=MultinomialSampler(num_tasks, len(groups)))
    given_groups = iter(groups)
    curriculum.set_task_weights(np.eye(num_tasks)[groups[0].task_id])
    return curriculum.draw(lambda problems: [Group(problem, next(given_groups).rollouts) for problem in problems])


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
        draws(other, other_suite, 2)
    others[0][0].load_state_dict(state)
    others[1][0].load(tmp_path)
    expected = draws(curriculum, suite, 4)
    for other, other_suite in others:
        assert draws(other, other_suite, 4) == expected


def test_a_saved_state_is_one_json_file_and_the_replayed_groups(tmp_path: Path) -> None:
    curriculum, suite = guessing()
    draws(curriculum, suite, 3)
    curriculum.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"curriculum.json", "replay.pkl"}
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
        ({"sampler": QuotaSampler(K, B, max_generated=1.5, confidence=0.9)}, "sampler.confidence was 0.6, is 0.9"),
        ({"sampler": QuotaSampler(K, B, max_generated=1.5, memory=9)}, "sampler.acceptance.memory was 48.0, is 9"),
        ({"sampler": QuotaSampler(K, B, max_generated=2.0)}, "sampler.max_generated was 1.5, is 2.0"),
        ({"sampler": RatioPreservingSampler(K, B)}, "sampler.type was 'QuotaSampler', is 'RatioPreservingSampler'"),
        ({"batch_size": 9}, "sampler.batch_size was 8, is 9"),
        ({"reward_estimate": LatestReward(K)}, "reward_estimate.type was 'RecentAccuracy', is 'LatestReward'"),
        ({"reward_estimate": RecentAccuracy(K, memory=5.0)}, "reward_estimate.shares.memory was 16.0, is 5.0"),
        ({"replay": ReplayBuffer(max_age=9)}, "replay.max_age was 3, is 9"),
        ({"replay": ReplayBuffer(max_uses=9)}, "replay.max_uses was 3, is 9"),
        ({"group_filter": lenient}, "group_filter was 'strict', is 'lenient'"),
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
    with_buffer, without = guessing()[0], guessing(sampler=QuotaSampler(K, B, max_generated=1.5))[0]
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
    (tmp_path / "replay.pkl").write_bytes(b"no pickle")
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
    assert (curriculum.group_filter, curriculum.share_by) == (strict, count_groups)


def test_an_empty_buffer_that_is_given_is_the_one_used() -> None:
    replay = ReplayBuffer(max_age=1)
    assert Curriculum(["a"], replay=replay).replay is replay
    assert Curriculum(["a"], sampler=MultinomialSampler(1, 4)).replay is None


# Problems


def test_numbered_problems_count_for_each_task() -> None:
    problems = NumberedProblems(["math", "code"])
    drawn = [problems.next_problem(k) for k in (0, 1, 0)]
    assert drawn == [Problem(0, 0), Problem(1, 0), Problem(0, 1)]
    assert [problem.index for problem in drawn] == [0, 0, 1]
    other = NumberedProblems(["math", "code"])
    other.load_state_dict(json.loads(json.dumps(problems.state_dict())))
    assert other.next_problem(0) == problems.next_problem(0) == Problem(0, 2)
    problems.reseed(3)
    assert problems.next_problem(0) == Problem(0, 0)


@pytest.mark.parametrize("names", ["math", [], ["math", "math"], ["math", 3], [len]])
def test_names_that_are_no_list_of_different_strings_are_refused(names: Any) -> None:
    with pytest.raises(ValueError, match="expected a list of different names of tasks, or a TaskSuite, got"):
        Curriculum(names)


def test_a_table_of_ones_own_is_a_stream() -> None:
    class Rows:
        names = ("short", "long")

        def __init__(self) -> None:
            self.next = [0, 0]

        def next_problem(self, task_id: int) -> Problem:
            self.next[task_id] += 1
            return Problem(task_id, seed=100 * task_id + self.next[task_id])

        def reseed(self, seed: int) -> None:
            self.next = [seed, seed]

        def state_dict(self) -> dict[str, Any]:
            return {"next": list(self.next)}

        def load_state_dict(self, state: Any) -> None:
            self.next = list(state["next"])

    curriculum, other = (Curriculum(Rows(), batch_size=4) for _ in range(2))
    seen: list[Problem] = []

    def groups(problems: Sequence[Problem]) -> list[Group]:
        seen.extend(problems)
        return [Group(problem, group_of([0.0, 1.0]).rollouts) for problem in problems]

    batch = curriculum.draw(groups)
    assert {group.problem for group in batch.groups} <= set(seen)
    other.load_state_dict(curriculum.state_dict())
    assert [g.problem for g in other.draw(groups).groups] == [g.problem for g in curriculum.draw(groups).groups]


@pytest.mark.parametrize(
    ("change", "given"),
    [
        (lambda groups: groups[:-1], r"got \d+ groups"),
        (lambda groups: [*groups, groups[0]], r"got \d+ groups"),
        (lambda groups: groups[::-1], "got groups of others, or in another order"),
        (lambda groups: [], "got 0 groups"),
        (lambda groups: [*groups[:-1], group_of([0.0, 1.0])], "got groups of others, or in another order"),
    ],
)
def test_groups_of_anything_but_the_problems_in_their_order_are_refused(change: Any, given: str) -> None:
    curriculum, suite = guessing()
    with pytest.raises(ValueError, match=rf"expected a group of each of the \d+ problems, in their order, {given}"):
        curriculum.draw(lambda problems: change(roll_out(suite)(problems)))


def test_after_a_round_that_failed_the_replayed_groups_are_at_hand_again() -> None:
    curriculum, suite = guessing()
    draws(curriculum, suite, 3)
    assert curriculum.replay is not None
    before = curriculum.replay.groups
    assert before

    def broken(problems: Sequence[Problem]) -> list[Group]:
        raise RuntimeError("the engine is gone")

    with pytest.raises(RuntimeError, match="gone"):
        curriculum.draw(broken)
    assert curriculum.replay.groups == before


def test_parts_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"there are 3 tasks, \[.*\], the sampler expects 2"):
        guessing(sampler=MultinomialSampler(2, B))
    with pytest.raises(ValueError, match=r"there are 3 tasks, \[.*\], the task_weights expects 2"):
        guessing(task_weights=UniformWeights(2))
    with pytest.raises(ValueError, match="batch_size must be that of the sampler, 8, got 9"):
        guessing(sampler=MultinomialSampler(K, B), batch_size=9)
    assert guessing(sampler=MultinomialSampler(K, B), batch_size=B)[0].batch_size == B


# Weights


def test_weights_move_by_themselves_until_they_are_set_and_again_after_none() -> None:
    curriculum, suite = guessing()
    draws(curriculum, suite, 4)
    moved = curriculum.probabilities
    assert moved[1] > 1 / K, "the second task is far behind"
    curriculum.set_task_weights([0.0, 0.5, 0.5])
    draws(curriculum, suite, 2)
    assert curriculum.probabilities.tolist() == [0.0, 0.5, 0.5]
    assert curriculum.draw(roll_out(suite)).targets.tolist() == [0, 4, 4]
    curriculum.set_task_weights(None)
    np.testing.assert_array_equal(curriculum.probabilities, curriculum.task_weights.probabilities)


@pytest.mark.parametrize("z", [[0.5, 0.5], [0.5, 0.6, 0.1], [1.2, -0.1, -0.1], [np.nan, 0.5, 0.5]])
def test_weights_off_the_simplex_are_refused_and_the_old_ones_stay(z: list[float]) -> None:
    curriculum, _ = guessing()
    with pytest.raises(ValueError, match="task weights"):
        curriculum.set_task_weights(z)
    assert curriculum.probabilities.tolist() == [1 / K] * K


def test_nobody_can_change_the_weights_through_what_they_were_given() -> None:
    curriculum, _ = guessing()
    for z in (None, [0.2, 0.3, 0.5]):
        curriculum.set_task_weights(z)
        before = curriculum.probabilities.tolist()
        curriculum.probabilities[0] = 9.0
        assert curriculum.probabilities.tolist() == before


def test_a_batch_remembers_the_weights_it_was_drawn_with() -> None:
    curriculum, suite = guessing()
    curriculum.set_task_weights([0.2, 0.3, 0.5])
    batch = curriculum.draw(roll_out(suite))
    curriculum.set_task_weights(None)
    assert batch.task_weights.tolist() == [0.2, 0.3, 0.5]


# Lines 3 and 4


def test_rules_that_look_at_improvements_need_them() -> None:
    curriculum, suite = guessing(task_weights=ImprovementAwareWeights(K))
    batch = curriculum.draw(roll_out(suite))
    with pytest.raises(ValueError, match="ImprovementAwareWeights looks at improvements, got none"):
        curriculum.update(batch)
    curriculum.update(batch, [0.1, 0.0, -0.1])
    assert curriculum.probabilities[0] < curriculum.probabilities[2]


def test_rules_that_look_at_none_may_be_given_some_or_not() -> None:
    left, right = (guessing(task_weights=DisparityWeights(K)) for _ in range(2))
    for curriculum, suite, improvements in ((*left, None), (*right, [0.3, 0.2, 0.1])):
        curriculum.update(curriculum.draw(roll_out(suite)), improvements)
    assert left[0].probabilities.tolist() == right[0].probabilities.tolist()


def test_a_rule_rests_without_improvements_while_its_weights_are_set() -> None:
    curriculum, suite = guessing(task_weights=ImprovementAwareWeights(K))
    curriculum.set_task_weights([0.2, 0.3, 0.5])
    curriculum.update(curriculum.draw(roll_out(suite)))
    assert curriculum.task_weights.probabilities.tolist() == [1 / K] * K
    assert curriculum.metrics()["task_weight/guess-2"] == 0.5


def test_several_updates_that_are_due_are_made_one_after_the_other() -> None:
    rows = np.array([[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.05, 0.0, 0.1]])
    (together, suite), rule = guessing(task_weights=ImprovementAwareWeights(K)), ImprovementAwareWeights(K)
    batch = together.draw(roll_out(suite))
    together.update(batch, rows)
    for row in rows:
        rule.update(TaskStats(together.rewards, row, batch.mean_abs_advantages))
    np.testing.assert_array_equal(together.probabilities, rule.probabilities)
    before = together.probabilities
    together.update(batch, np.zeros((0, K)))
    np.testing.assert_array_equal(together.probabilities, before)


@pytest.mark.parametrize("improvements", [[0.1, 0.2], [[0.1], [0.2], [0.3]], 0.1, np.zeros((1, 2, K))])
def test_improvements_of_another_shape_are_refused_and_change_nothing(improvements: Any) -> None:
    curriculum, suite = guessing(task_weights=ImprovementAwareWeights(K))
    batch = curriculum.draw(roll_out(suite))
    before = curriculum.state_dict()
    with pytest.raises(ValueError, match="expected improvements of 3 tasks, got shape"):
        curriculum.update(batch, improvements)
    assert curriculum.state_dict() == before


def test_rewards_are_a_record_of_their_own() -> None:
    curriculum, suite = guessing(task_weights=DisparityWeights(K), reward_estimate=LatestReward(K))
    curriculum.update(curriculum.draw(roll_out(suite)))
    curriculum.rewards[:] = 9.0
    assert isinstance(curriculum.reward_estimate, LatestReward)
    assert (curriculum.reward_estimate.rewards <= 1).all()


# Numbers for a log


def test_metrics_are_those_of_the_last_batch_by_task() -> None:
    curriculum, suite = guessing()
    assert curriculum.metrics() == {}
    batch = curriculum.draw(roll_out(suite))
    assert curriculum.metrics() == {}
    curriculum.update(batch)
    metrics = curriculum.metrics()
    assert all(isinstance(value, float) for value in metrics.values())
    for k, name in enumerate(suite.names):
        assert metrics[f"task_weight/{name}"] == batch.task_weights[k]
        assert metrics[f"target_share/{name}"] == pytest.approx(batch.targets[k] / batch.targets.sum())
        assert metrics[f"train_accuracy/{name}"] == batch.accuracies[k]
        assert metrics[f"filter_rate/{name}"] == pytest.approx(1 - batch.accepted[k] / batch.generated[k])
        assert metrics[f"reward/{name}"] == curriculum.rewards[k]
    assert metrics["train_accuracy/worst_task"] == np.nanmin(batch.accuracies)
    assert (metrics["rollouts"], metrics["rounds"]) == (batch.num_rollouts, batch.rounds)
    assert metrics["kept_groups"] == len(batch.groups)


def test_a_task_that_is_absent_has_no_numbers() -> None:
    curriculum, suite = guessing(sampler=MultinomialSampler(K, B))
    curriculum.set_task_weights([0.5, 0.5, 0.0])
    curriculum.update(curriculum.draw(roll_out(suite)))
    absent = {name for name in curriculum.metrics() if name.endswith("/guess-2")}
    assert "task_weight/guess-2" in absent
    assert not {"train_accuracy/guess-2", "filter_rate/guess-2"} & absent


def test_a_curriculum_is_shown_with_its_tasks_and_parts_whatever_its_filter_is() -> None:
    shown = repr(Curriculum(["math", "code"]))
    assert shown.startswith("Curriculum(math, code: QuotaSampler(num_tasks=2,")
    assert "ReplayBuffer(max_age=3, max_uses=3)" in shown
    assert "strict" in shown

    class Enough:
        def __call__(self, group: Group) -> bool:
            return True

    for group_filter, name in ((partial(strict), "partial"), (Enough(), "Enough")):
        curriculum = Curriculum(["math"], group_filter=group_filter)
        assert name in repr(curriculum)
        json.dumps(curriculum.hyperparameters)


# Shares of the loss


def test_shares_may_be_counted_by_something_else_than_groups() -> None:
    curriculum, suite = guessing(sampler=MultinomialSampler(K, 24), share_by=lambda group: 1.0 + group.task_id)
    curriculum.set_task_weights([0.4, 0.4, 0.2])
    batch = curriculum.draw(roll_out(suite))
    counted = batch.loss_weights * np.array([1.0 + group.task_id for group in batch.groups])
    shares = np.bincount(batch.task_ids, weights=counted, minlength=K) / counted.sum()
    np.testing.assert_allclose(shares, batch.kept / batch.kept.sum())


# Starved tasks


def starving(reward: float) -> Batch:
    return batch_with(group_of([reward, reward], task_id=0))


@pytest.mark.parametrize(("reward", "accuracy"), [(0.0, r"0\.00"), (1.0, r"1\.00")])
def test_a_task_without_an_informative_group_in_ten_batches_is_named_once(reward: float, accuracy: str) -> None:
    curriculum = Curriculum(["a", "b"])
    for _ in range(9):
        curriculum.update(starving(reward))  # a warning would be an error
    with pytest.warns(
        StarvedTaskWarning, match=rf"task 'a' gave no informative group in 10 steps \(accuracy {accuracy}"
    ):
        curriculum.update(starving(reward))
    for _ in range(15):
        curriculum.update(starving(reward))


def test_batches_without_the_task_do_not_count_and_an_informative_group_starts_the_count_anew() -> None:
    curriculum = Curriculum(["a", "b"])
    other, informative = batch_with(group_of([0.0, 1.0], task_id=1)), batch_with(group_of([0.0, 1.0], task_id=0))
    for batch in [starving(0.0)] * 9 + [other] * 5 + [informative] + [starving(0.0)] * 9 + [other] * 5:
        curriculum.update(batch)  # a warning would be an error
    with pytest.warns(StarvedTaskWarning, match="'a'"):
        curriculum.update(starving(0.0))


def test_a_restored_curriculum_remembers_how_long_a_task_starved_and_a_reseeded_one_does_not() -> None:
    curriculum, restored = Curriculum(["a", "b"]), Curriculum(["a", "b"])
    for _ in range(9):
        curriculum.update(starving(0.0))
    restored.load_state_dict(curriculum.state_dict())
    with pytest.warns(StarvedTaskWarning, match="'a'"):
        restored.update(starving(0.0))
    curriculum.reseed(0)
    curriculum.update(starving(0.0))


# Batches that overlap


@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_of_batches_that_overlap_no_two_are_offered_one_group_and_none_is_used_too_often(
    seed: int, max_uses: int
) -> None:
    rng = np.random.default_rng(seed)
    suite = guess_suite(CHANCES, seed=seed)
    curriculum = Curriculum(suite, batch_size=4, seed=seed, replay=ReplayBuffer(max_age=4, max_uses=max_uses))
    open_drafts: list[Any] = []
    uses: dict[Problem, int] = {}
    for _ in range(25):
        if len(open_drafts) < 3:
            draft = curriculum.draft()
            out = {group.problem for other in open_drafts for group in other.groups}
            assert not out & {group.problem for group in draft.groups}
            open_drafts.append(draft)
            continue
        draft = open_drafts.pop(int(rng.integers(3)))
        if rng.random() < 0.1:
            draft.give_up()
            continue
        while task_ids := draft.propose():
            draft.report(roll_out(suite)([suite.next_problem(k) for k in task_ids]))
        for group in draft.finish().groups:
            uses[group.problem] = uses.get(group.problem, 0) + 1
    assert uses
    assert max(uses.values()) <= max_uses


def test_a_draft_says_which_groups_it_selected() -> None:
    curriculum, suite = guessing()
    draws(curriculum, suite, 2)
    draft = curriculum.draft(every_group)
    assert draft.selected is None
    while task_ids := draft.propose():
        draft.report(roll_out(suite)([suite.next_problem(k) for k in task_ids]))
    batch = draft.finish()
    assert draft.selected is not None
    assert batch.groups == tuple(draft.groups[i] for i in draft.selected)
    assert batch.accepted.tolist() == batch.generated.tolist(), "of the filter that was given"


def test_invalid_rollouts_count_nowhere() -> None:
    groups = [Group(Problem(0, 0), (Rollout((), 1.0, True), Rollout((), 0.0, False, valid=False)))]
    batch = batch_with(*groups)
    assert (batch.rewards[0], batch.accuracies[0], batch.accepted[0]) == (1.0, 1.0, 0)
