import json
import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.agents.checkpoints import RunRecord
from mtgrpo_env.agents.improvement import MakeImprovementSignal, NoImprovement, StepImprovement
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.recipes import DEFAULT_METHOD, RECIPES, Method, RunFacts, make_method
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.curriculum import Curriculum, GenerateGroups, StarvedTaskWarning
from mtgrpo_env.envs.toy import LockEnv, toy_suite
from mtgrpo_env.filters import every_group, success_differs
from mtgrpo_env.logit_optimizers import AdamW
from mtgrpo_env.manifest import DamagedError, read_object, write_manifest
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.samplers import DynamicSampler, RatioPreservingSampler
from mtgrpo_env.shares import GroupMeasure, absolute_advantage, count_groups, totals
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, UniformWeights
from mtgrpo_env.types import Batch, FloatArray, Group, TaskStats


def toy_agent(
    name: str = DEFAULT_METHOD,
    *,
    num_tasks: int = 4,
    seed: int = 0,
    lr: float = 4.0,
    group_size: int = 6,
    batch_size: int = 16,
    **options: Any,
) -> MTGRPOAgent:
    suite = toy_suite(num_tasks, seed=seed)
    policy = TabularPolicy(num_tasks, 16, 4, seed=seed)
    method = make_method(name, RunFacts(num_tasks, batch_size, seed=seed, num_steps=8), **options)
    learner = TabularLearner(policy, lr=lr, seed=seed)
    return MTGRPOAgent(suite, policy, learner, method=method, group_size=group_size)


def agent_of(tasks: list[Task], *, num_actions: int = 4) -> MTGRPOAgent:
    suite = TaskSuite(tasks)
    policy = TabularPolicy(len(tasks), 16, num_actions)
    sampler = RatioPreservingSampler(len(tasks), 8, max_resamples=1)
    curriculum = Curriculum(suite, sampler=sampler, task_weights=ImprovementAwareWeights(len(tasks)))
    return MTGRPOAgent(suite, policy, TabularLearner(policy), curriculum=curriculum, group_size=4)


def state_of(agent: MTGRPOAgent) -> str:
    """Everything but the policy and the learner, as text."""
    state = agent.curriculum.state_dict()
    replay = None if state["replay"] is None else repr(state["replay"])
    return json.dumps({**state, "replay": replay, "step": agent.step, "rollouts": agent.rollouts})


def remembered_batches(agent: MTGRPOAgent) -> list[Batch]:
    """A list that every batch of the agent is put into."""
    batches: list[Batch] = []
    draw = agent.curriculum.draw

    def remembered(roll_out: GenerateGroups) -> Batch:
        batches.append(draw(roll_out))
        return batches[-1]

    agent.curriculum.draw = remembered
    return batches


class FixedOnce(UniformWeights):
    """Weights that are given and stay."""

    hyperparameter_names = ("num_tasks", "z")

    def __init__(self, z: FloatArray) -> None:
        super().__init__(len(z))
        self.z = z

    @property
    def probabilities(self) -> FloatArray:
        return self.z


class Hopeless(LockEnv):
    """A lock that never opens."""

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        observation, _, terminated, truncated, info = super().step(action)
        return observation, 0.0, terminated, truncated, {**info, "is_success": False} if terminated else info


class Solved(LockEnv):
    """A lock that is open."""

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self._dialled = [0] * (self.length - 1)
        observation, *_ = super().step(action)
        return observation, 1.0, True, False, {"is_success": True}


class Breaking(LockEnv):
    """A lock that breaks at its third episode."""

    episodes = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        type(self).episodes += 1
        if self.episodes > 40:
            raise OSError("the lock broke")
        return super().reset(seed=seed, options=options)


def test_the_worst_task_is_learned() -> None:
    """Seed 0, 40 steps; a random player opens the four-digit lock once in 256 tries."""
    agent = toy_agent()
    start = agent.evaluate(agent.suite.held_out(40), rollouts_per_problem=4)
    agent.train(40)
    end = agent.evaluate(agent.suite.held_out(40), rollouts_per_problem=4)
    assert start.worst < 0.05
    assert end.worst > 0.4
    assert end.average > start.average + 0.4


@pytest.mark.parametrize("method", ["quota-mt-grpo", "mt-grpo", "dapo", "grpo"])
def test_every_method_makes_progress(method: str) -> None:
    agent = toy_agent(method, num_tasks=2)
    start = agent.evaluate(agent.suite.held_out(50)).average
    agent.train(15)
    assert agent.evaluate(agent.suite.held_out(50)).average > start + 0.2


class Recorder:
    """Writes down, in one list for all parts of an agent, which of their methods were called."""

    def __init__(self, part: Any, calls: list[str], methods: tuple[str, ...]) -> None:
        self._part, self._calls, self._methods = part, calls, methods

    def __getattr__(self, name: str) -> Any:
        if name in self._methods:
            self._calls.append(f"{type(self._part).__name__}.{name}")
        return getattr(self._part, name)


def calls_of_a_step(name: str) -> list[str]:
    agent, calls = toy_agent(name, num_tasks=2), []
    parts: Any = agent
    parts.learner = Recorder(agent.learner, calls, ("prepare", "sampled_objectives", "update", "objectives"))
    parts.curriculum.sampler = Recorder(agent.curriculum.sampler, calls, ("plan", "update"))
    parts.curriculum.task_weights = Recorder(agent.curriculum.task_weights, calls, ("probabilities", "update"))
    agent.train_step()
    return calls


def test_a_step_samples_then_learns_then_moves_the_weights() -> None:
    assert calls_of_a_step("quota-mt-grpo") == [
        "DisparityWeights.probabilities",
        "QuotaSampler.plan",
        "QuotaSampler.update",
        "TabularLearner.prepare",
        "TabularLearner.update",
        "DisparityWeights.update",
    ]


def test_the_papers_step_measures_before_it_moves_the_weights() -> None:
    assert calls_of_a_step("mt-grpo") == [
        "ImprovementAwareWeights.probabilities",
        "RatioPreservingSampler.plan",
        "RatioPreservingSampler.update",
        "TabularLearner.prepare",
        "TabularLearner.sampled_objectives",
        "TabularLearner.update",
        "TabularLearner.objectives",
        "ImprovementAwareWeights.update",
    ]


def test_an_improvement_is_the_objective_after_the_update_because_before_it_is_zero() -> None:
    agent = toy_agent("mt-grpo")
    batches = remembered_batches(agent)
    for _ in range(3):
        report = agent.train_step()
        after = np.nan_to_num(agent.learner.objectives(batches[-1]))
        assert np.allclose(report.improvements, after, atol=1e-12)
        assert np.abs(report.improvements).max() > 1e-3


def test_rewards_of_a_task_that_was_not_generated_are_its_last_known() -> None:
    agent = toy_agent("grpo", num_tasks=2)
    z = [np.array([0.5, 0.5]), np.array([1.0, 0.0])]
    first = agent.train_step()
    agent.curriculum.task_weights = FixedOnce(z[1])
    second = agent.train_step()
    assert second.generated[1] == 0
    assert np.isnan(second.accuracies[1])
    assert second.rewards[1] == first.rewards[1]
    assert second.improvements[1] == 0


def test_a_step_is_algorithm_1() -> None:
    """The weights that sampled the batch are those before the step; the weights after come from I and J."""
    agent = toy_agent("mt-grpo")
    z = agent.curriculum.task_weights.probabilities
    report = agent.train_step()
    assert np.array_equal(report.probabilities, z)
    expected = ImprovementAwareWeights(4, optimizer=AdamW(l2=1e-5))
    expected.update(TaskStats(report.rewards, report.improvements, np.zeros(4)))
    assert np.array_equal(agent.curriculum.task_weights.probabilities, expected.probabilities)
    assert report.step == agent.step == 1
    assert report.rollouts == agent.rollouts == report.generated.sum() * agent.group_size
    assert (report.kept <= report.accepted).all()


def test_improvements_are_measured_on_the_batch_just_trained() -> None:
    agent = toy_agent("mt-grpo")
    report = agent.train_step()
    present = report.kept > 0
    assert (report.improvements[present] > 0).all()
    assert (report.improvements[~present] == 0).all()


def test_a_report_counts_what_each_task_was_trained_on() -> None:
    """Locks of 1, 2, 3 and 4 digits, 6 rollouts of a group: k + 1 actions a rollout."""
    agent = toy_agent()
    batches = remembered_batches(agent)
    report = agent.train_step()
    np.testing.assert_array_equal(report.actions, report.kept * 6 * np.array([1, 2, 3, 4]))
    expected = np.zeros(4)
    for group in batches[0].groups:
        expected[group.task_id] += np.abs(group_advantages(group)).sum()
    np.testing.assert_allclose(report.abs_advantages, expected)
    assert report.abs_advantages.sum() > 0


def test_shares_are_right_by_whatever_they_are_counted() -> None:
    """By steps: longer locks then weigh less a group; by groups nothing is changed."""

    def steps(group: Group) -> int:
        return sum(len(rollout.steps) for rollout in group.rollouts)

    def drawn(agent: MTGRPOAgent) -> Batch:
        agent.curriculum.set_task_weights(np.full(4, 1 / 4))
        return agent.curriculum.draw(agent.roll_out)

    plain, by_steps = toy_agent(), toy_agent()
    by_steps.curriculum.share_by = steps
    batch, reweighted = drawn(plain), drawn(by_steps)
    assert reweighted.groups == batch.groups
    wanted = totals(batch, count_groups) / totals(batch, count_groups).sum()
    np.testing.assert_allclose(totals(reweighted, steps) / totals(reweighted, steps).sum(), wanted)
    assert np.abs(totals(batch, steps) / totals(batch, steps).sum() - wanted).max() > 0.02


@pytest.mark.parametrize(("name", "updates"), [("mt-grpo", 1), ("mt-grpo@released", 4)])
def test_the_weights_move_once_a_step_or_once_a_minibatch_as_the_method_has_it(name: str, updates: int) -> None:
    agent, calls = toy_agent(name), []
    parts: Any = agent
    parts.curriculum.task_weights = Recorder(agent.curriculum.task_weights, calls, ("update",))
    report = agent.train_step()
    assert report.kept.sum() >= 4
    assert len(calls) == updates


def test_callbacks_hear_of_every_step_in_order() -> None:
    heard: list[TrainMetrics] = []
    agent = toy_agent(num_tasks=2)
    agent.train(3, callbacks=[lambda a, report: heard.append(report)])
    assert [report.step for report in heard] == [1, 2, 3]


def test_evaluation_does_not_disturb_training() -> None:
    quiet, watched = toy_agent(), toy_agent()
    for agent, is_watched in ((quiet, False), (watched, True)):
        for _ in range(3):
            agent.train_step()
            if is_watched:
                agent.evaluate(agent.suite.held_out(10))
    assert np.array_equal(quiet.policy.logits, watched.policy.logits)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("method", RECIPES)
def test_a_restored_agent_goes_on_bit_for_bit(method: str, tmp_path: Path) -> None:
    agent = toy_agent(method, num_tasks=2)
    agent.train(2)
    agent.save(tmp_path / "checkpoint")
    saved = state_of(agent)
    agent.train(2)
    again = toy_agent(method, num_tasks=2, seed=3)
    again.restore(tmp_path / "checkpoint")
    assert state_of(again) == saved
    again.train(2)
    assert np.array_equal(agent.policy.logits, again.policy.logits)  # pyright: ignore[reportAttributeAccessIssue]
    assert state_of(agent) == state_of(again)


def test_a_checkpoint_of_another_composition_is_refused_by_name(tmp_path: Path) -> None:
    toy_agent().save(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match=r"QuotaSampler.*DynamicSampler"):
        toy_agent("dapo").restore(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="lock-3"):
        toy_agent(num_tasks=3).restore(tmp_path / "checkpoint")
    with pytest.raises(FileNotFoundError, match="no agent checkpoint"):
        toy_agent().restore(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("method", "options", "difference"),
    [
        ("quota-mt-grpo", {"tolerance": 0.1}, "task_weights.tolerance was 0.0, is 0.1"),
        ("mt-grpo", {"weight_lr": 0.1}, "task_weights.optimizer.lr was 0.025, is 0.1"),
        ("mt-grpo", {"reward_coef": 0.9}, "task_weights.reward_coef was 0.2, is 0.9"),
        ("quota-iwu", {"weight_optimizer": "adamw"}, "task_weights.optimizer.type was 'Adam', is 'AdamW'"),
        ("quota-mt-grpo", {"lr": 2.0}, "learner.lr was 4.0, is 2.0"),
        ("quota-mt-grpo", {"group_size": 7}, "group_sizes.largest was 6, is 7"),
        ("quota-mt-grpo", {"batch_size": 17}, "sampler.batch_size was 16, is 17"),
    ],
)
def test_a_checkpoint_of_other_hyper_parameters_is_refused_by_name(
    method: str, options: dict[str, Any], difference: str, tmp_path: Path
) -> None:
    toy_agent(method).save(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match=rf"checkpoint of other hyper-parameters: {re.escape(difference)}$"):
        toy_agent(method, **options).restore(tmp_path / "checkpoint")


def test_a_checkpoint_of_other_parts_is_refused_by_name(tmp_path: Path) -> None:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)

    def agent(
        *,
        confidence: float = 0.6,
        max_age: int = 3,
        clip_high: float | None = None,
        share_by: GroupMeasure = count_groups,
        improvement: MakeImprovementSignal | None = None,
    ) -> MTGRPOAgent:
        sampler, replay = QuotaSampler(2, 8, confidence=confidence), ReplayBuffer(max_age=max_age)
        weights, learner = DisparityWeights(2), TabularLearner(policy, clip_high=clip_high)
        curriculum = Curriculum(suite, sampler=sampler, task_weights=weights, replay=replay, share_by=share_by)
        return MTGRPOAgent(suite, policy, learner, curriculum=curriculum, improvement=improvement)

    agent().save(tmp_path / "checkpoint")
    agent().restore(tmp_path / "checkpoint")
    for other, difference in (
        (agent(confidence=0.9), "sampler.confidence was 0.6, is 0.9"),
        (agent(max_age=2), "replay.max_age was 3, is 2"),
        (agent(clip_high=0.2), "learner.clip_high was 0.28, is 0.2"),
        (agent(share_by=absolute_advantage), "share_by was 'count_groups', is 'absolute_advantage'"),
        (agent(improvement=StepImprovement), "improvement was 'NoImprovement', is 'StepImprovement'"),
    ):
        with pytest.raises(ValueError, match=re.escape(difference)):
            other.restore(tmp_path / "checkpoint")


def test_a_refused_checkpoint_leaves_the_agent_as_it_was(tmp_path: Path) -> None:
    trained = toy_agent(num_tasks=3)
    trained.train(2)
    trained.save(tmp_path / "checkpoint")
    other = toy_agent(num_tasks=4)
    before = state_of(other)
    with pytest.raises(ValueError, match="tasks"):
        other.restore(tmp_path / "checkpoint")
    assert state_of(other) == before
    trained.group_sizes.largest = 7
    with pytest.raises(ValueError, match=r"group_sizes\.largest was 6, is 7"):
        trained.restore(tmp_path / "checkpoint")


def test_a_table_of_other_spaces_leaves_the_agent_as_it_was(tmp_path: Path) -> None:
    toy_agent(num_tasks=2).save(tmp_path / "checkpoint")
    suite, policy = toy_suite(2), TabularPolicy(2, 17, 4)
    method = make_method(DEFAULT_METHOD, RunFacts(2, 16))
    other = MTGRPOAgent(suite, policy, TabularLearner(policy, lr=4.0), method=method, group_size=6)
    other.train(1)
    before = state_of(other)
    with pytest.raises(ValueError, match="shape"):
        other.restore(tmp_path / "checkpoint")
    assert state_of(other) == before


def test_a_checkpoint_saved_again_replaces_the_old_one(tmp_path: Path) -> None:
    agent = toy_agent(num_tasks=2)
    agent.save(tmp_path / "checkpoint")
    agent.train(2)
    agent.save(tmp_path / "checkpoint")
    again = toy_agent(num_tasks=2, seed=5)
    again.restore(tmp_path / "checkpoint")
    assert again.step == 2
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_checkpoint_can_be_read_by_a_person(tmp_path: Path) -> None:
    agent = toy_agent(num_tasks=2)
    agent.train(2)
    agent.save(tmp_path / "checkpoint")
    state = json.loads((tmp_path / "checkpoint" / "agent.json").read_text())
    assert state["step"] == 2
    assert state["hyperparameters"]["tasks"] == list(agent.suite.names)


def test_an_agent_of_no_parts_named_is_the_default_method() -> None:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy, lr=4.0), group_size=6)
    curriculum = make_method(DEFAULT_METHOD, RunFacts(2, 32)).curriculum(suite)
    assert agent.curriculum.hyperparameters == curriculum.hyperparameters
    assert agent.curriculum.hyperparameters == Curriculum(suite).hyperparameters
    assert agent.improvement is NoImprovement
    assert agent.curriculum.batch_size == 32
    agent.train(3)


def test_a_replay_buffer_that_is_given_is_the_one_that_is_used() -> None:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    own = ReplayBuffer(max_age=1)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy), curriculum=Curriculum(suite, replay=own))
    assert agent.curriculum.replay is own


def test_improvements_are_measured_where_the_rule_looks_at_them() -> None:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    for weights, improvement in ((ImprovementAwareWeights(2), StepImprovement), (UniformWeights(2), NoImprovement)):
        curriculum = Curriculum(suite, sampler=DynamicSampler(2, 8), task_weights=weights)
        agent = MTGRPOAgent(suite, policy, TabularLearner(policy), curriculum=curriculum)
        assert agent.improvement is improvement
        assert agent.curriculum.replay is None


def test_parts_that_differ_in_the_number_of_tasks_are_refused() -> None:
    suite, policy = toy_suite(3), TabularPolicy(3, 16, 4)
    for sampler, weights, name in (
        (DynamicSampler(2, 8), UniformWeights(3), "sampler expects 2"),
        (DynamicSampler(3, 8), UniformWeights(4), "task_weights expects 4"),
    ):
        with pytest.raises(ValueError, match=f"3 tasks, .*, the {name}"):
            MTGRPOAgent(suite, policy, TabularLearner(policy), method=Method(sampler, weights))


def test_parts_that_contradict_each_other_are_refused() -> None:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    learner, curriculum = TabularLearner(policy), Curriculum(suite)
    method = make_method("dapo", RunFacts(2, 8))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"policy": policy}, "go together"),
        ({"policy": "tabular", "learner": learner}, "go together"),
        ({"policy": policy, "learner": learner, "curriculum": curriculum, "method": "grpo"}, "got both"),
        ({"policy": policy, "learner": learner, "curriculum": curriculum, "share_by": absolute_advantage}, "got both"),
        ({"policy": policy, "learner": learner, "curriculum": Curriculum(toy_suite(2))}, "draw from the agent's suite"),
        ({"policy": policy, "learner": learner, "curriculum": curriculum, "batch_size": 8}, "batch_size must be"),
        ({"policy": policy, "learner": learner, "method": method, "batch_size": 9}, "batch_size must be"),
        ({"policy": "table"}, r"policy must be one of \['mlp', 'tabular'\] .* got 'table'"),
        ({"policy": "tabular", "method": "ppo"}, "method must be one of"),
    ]
    for parts, message in cases:
        with pytest.raises(ValueError, match=message):
            MTGRPOAgent(suite, **parts)


def test_a_task_out_of_reach_is_named_once_and_the_others_are_trained() -> None:
    agent = agent_of([Task("lock", partial(LockEnv, 1)), Task("hopeless", partial(Hopeless, 1))])
    with pytest.warns(StarvedTaskWarning, match=r"'hopeless'.*accuracy 0\.00") as caught:
        agent.train(14)
    assert len([w for w in caught if "hopeless" in str(w.message)]) == 1
    assert agent.evaluate(agent.suite.held_out(30)).accuracies[0] > 0.5


def test_by_default_a_task_out_of_reach_starves_no_other_although_it_has_most_of_the_weight() -> None:
    tasks = [Task("lock", partial(LockEnv, 2)), Task("hopeless", partial(Hopeless, 1))]
    suite, policy = TaskSuite(tasks), TabularPolicy(2, 16, 4)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy, lr=4.0), group_size=4)
    reports: list[TrainMetrics] = []
    with pytest.warns(StarvedTaskWarning, match="'hopeless'"):
        agent.train(20, callbacks=[lambda _, report: reports.append(report)])
    assert agent.curriculum.task_weights.probabilities[1] > 0.6
    assert agent.evaluate(agent.suite.held_out(40)).accuracies[0] > 0.6
    late = np.sum([report.generated for report in reports[8:]], axis=0)
    assert late[0] > 0.12 * late.sum()


def test_a_task_that_is_solved_is_named_once_too() -> None:
    agent = agent_of([Task("lock", partial(LockEnv, 2)), Task("solved", Solved)])
    with pytest.warns(StarvedTaskWarning, match=r"'solved'.*in 10 steps \(accuracy 1\.00\)") as caught:
        agent.train(14)
    assert len([w for w in caught if "solved" in str(w.message)]) == 1


def test_no_warning_comes_before_ten_steps_without_an_informative_group() -> None:
    agent = agent_of([Task("hopeless", partial(Hopeless, 1))])
    agent.train(9)  # a warning would be an error
    with pytest.warns(StarvedTaskWarning, match="'hopeless'"):
        agent.train(1)


def test_one_informative_group_starts_the_patience_anew() -> None:
    agent = agent_of([Task("hopeless", partial(Hopeless, 1))])
    agent.train(9)
    agent.curriculum.group_filter = every_group
    agent.train(1)
    agent.curriculum.group_filter = success_differs
    agent.train(9)  # a warning would be an error
    with pytest.warns(StarvedTaskWarning, match="'hopeless'"):
        agent.train(1)


def test_a_restored_agent_remembers_how_long_a_task_has_starved(tmp_path: Path) -> None:
    agent = agent_of([Task("hopeless", partial(Hopeless, 1))])
    agent.train(6)
    agent.save(tmp_path / "checkpoint")
    again = agent_of([Task("hopeless", partial(Hopeless, 1))])
    again.restore(tmp_path / "checkpoint")
    again.train(3)
    with pytest.warns(StarvedTaskWarning, match="'hopeless'"):
        again.train(1)


def test_steps_without_any_informative_group_change_nothing_and_end() -> None:
    agent = agent_of([Task("hopeless", partial(Hopeless, 1))])
    before = agent.policy.logits.copy()  # pyright: ignore[reportAttributeAccessIssue]
    reports: list[TrainMetrics] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StarvedTaskWarning)
        agent.train(12, [lambda _, report: reports.append(report)])
    assert all((r.actions == 0).all() and (r.abs_advantages == 0).all() for r in reports)
    assert np.array_equal(before, agent.policy.logits)  # pyright: ignore[reportAttributeAccessIssue]


def test_an_env_that_raises_is_named_and_the_agent_can_still_be_saved(tmp_path: Path) -> None:
    Breaking.episodes = 0
    agent = agent_of([Task("breaking", partial(Breaking, 1))])
    with pytest.raises(TaskError, match=r"task 'breaking' raised in reset.*the lock broke"):
        agent.train(50)
    agent.save(tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint" / "agent.json").is_file()


def test_gymnasium_envs_without_is_success_are_judged_by_their_reward_threshold() -> None:
    task = Task.from_id("CartPole-v1")
    assert task.success_threshold == gym.spec("CartPole-v1").reward_threshold


# By name: the front door


def test_tasks_policy_and_method_by_name_are_an_agent(tmp_path: Path) -> None:
    agent = MTGRPOAgent("FrozenLake-v1", policy="tabular", method="mt-grpo-0.9", batch_size=4, group_size=4)
    weights: Any = agent.curriculum.task_weights
    assert weights.reward_coef == 0.9
    assert agent.curriculum.batch_size == 4
    assert repr(agent) == (
        "MTGRPOAgent(FrozenLake-v1; TabularPolicy, ImprovementAwareWeights, RatioPreservingSampler; step 0)"
    )
    agent.train(2)
    agent.save(tmp_path / "a")
    loaded = MTGRPOAgent.load(tmp_path / "a")
    assert state_of(loaded) == state_of(agent)
    assert loaded.hyperparameters == agent.hyperparameters
    for each in (agent, loaded):
        each.train(1)
    assert np.array_equal(agent.policy.logits, loaded.policy.logits)  # pyright: ignore[reportAttributeAccessIssue]
    assert state_of(loaded) == state_of(agent)


def test_the_agent_of_the_readme_trains_evaluates_acts_and_comes_back_to_the_bit(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    def parameters(agent: MTGRPOAgent) -> Any:
        policy: Any = agent.policy
        return torch.cat([parameter.detach().flatten() for parameter in policy.network.parameters()])

    agent = MTGRPOAgent(["CartPole-v1", "Acrobot-v1"], policy="mlp", seed=0, batch_size=4, group_size=2)
    agent.train(1)
    result = agent.evaluate(agent.suite.held_out(2))
    assert result.names == ("CartPole-v1", "Acrobot-v1")
    observations = [agent.suite.envs(k, 1)[0].reset(seed=0)[0] for k in (0, 1)]
    actions = agent.act(observations, [0, 1], deterministic=True)
    assert all(agent.suite.envs(k, 1)[0].action_space.contains(actions[k]) for k in (0, 1))
    agent.save(tmp_path / "a")
    loaded = MTGRPOAgent.load(tmp_path / "a")
    assert loaded.suite.names == agent.suite.names
    for each in (agent, loaded):
        each.train(1)
    assert torch.equal(parameters(agent), parameters(loaded))
    assert state_of(loaded) == state_of(agent)


def test_by_default_a_hundred_held_out_problems_of_each_task_are_evaluated() -> None:
    agent = toy_agent(num_tasks=2)
    counts = np.zeros(2, dtype=int)

    def count(group: Group) -> None:
        counts[group.task_id] += 1

    agent.evaluate(on_group=count)
    assert counts.tolist() == [100, 100]


def saved_agent(folder: Path, tasks: Any = "FrozenLake-v1", **parts: Any) -> dict[str, Any]:
    """What the checkpoint says of a new agent."""
    MTGRPOAgent(tasks, policy="tabular", **parts).save(folder)
    return json.loads((folder / "agent.json").read_text())


def forge(folder: Path, state: dict[str, Any]) -> None:
    """Have a checkpoint say something else, as whoever made it might have."""
    (folder / "agent.json").write_text(json.dumps(state))
    (folder / "manifest.json").unlink()
    write_manifest(folder)


@pytest.mark.parametrize(
    ("file", "where", "value"),
    [
        *(("agent.json", ["step"], value) for value in (-1, True, 1.5, "1", None, 2**63, [])),
        *(("agent.json", ["hyperparameters"], value) for value in ([], 1)),
        *(("agent.json", ["agent", "method"], value) for value in (1, None, "none such")),
        *(("agent.json", ["agent", "tasks"], value) for value in (1, [1], {})),
        *(("agent.json", ["agent"], value) for value in ([1], "x", {"tasks": ["FrozenLake-v1"], "method": "dapo"})),
        ("agent.json", ["agent", "group_size"], "x"),
        *(("curriculum.json", [name], 7) for name in ("problems", "sampler", "task_weights", "reward_estimate")),
        *(("curriculum.json", ["rewards"], value) for value in ({}, ["x"])),
        ("curriculum.json", ["starved_for"], [2**70]),
        *(("learner.json", ["rng"], value) for value in (7, {}, {"bit_generator": "MT19937"})),
    ],
)
def test_odd_content_with_a_sound_manifest_is_refused_in_one_line_that_names_the_checkpoint(
    tmp_path: Path, file: str, where: list[str], value: Any
) -> None:
    saved_agent(tmp_path / "a")
    (path,) = (tmp_path / "a").glob(file.replace("learner", "*learner*"))
    state = read_object(path)
    part = state
    for name in where[:-1]:
        part = part[name]
    part[where[-1]] = value
    path.write_text(json.dumps(state))
    forge(tmp_path / "a", state if file == "agent.json" else read_object(tmp_path / "a" / "agent.json"))
    with pytest.raises(ValueError, match=r"a\b") as refused:
        MTGRPOAgent.load(tmp_path / "a")
    assert str(tmp_path / "a") in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "odd",
    [
        *({"records": records} for records in (7, [7], [{"step": 1}], [{"kind": "lost", "step": 1}], None)),
        *({"made_of": made} for made in (7, {"rows": 7}, {"rows": {"a": 7}})),
        {"has_learned": 1},
    ],
)
def test_an_odd_record_of_a_run_is_refused_in_one_line_that_names_its_file(tmp_path: Path, odd: dict[str, Any]) -> None:
    content = {"made_of": None, "records": [], "has_learned": True, **odd}
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(DamagedError, match=r"run\.json holds what this version cannot read: [^\n]+$"):
        RunRecord.of(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["trap:Trap"],
        ["FrozenLake-v1", "trap:Trap"],
        ["FrozenLake-v1,trap:Trap"],
        ["math-trap:Trap"],
        ["gym:trap:Trap-v0"],
        ["trap:Trap-v0"],
        ["trap.jsonl"],
    ],
)
def test_no_code_is_imported_because_a_checkpoint_names_it_as_a_task(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("trap", "math-trap"):
        (tmp_path / f"{module}.py").write_text("open('sprung', 'w').close()")
    monkeypatch.chdir(tmp_path)
    state = saved_agent(tmp_path / "a")
    state["agent"]["tasks"] = names
    forge(tmp_path / "a", state)
    with pytest.raises(ValueError, match="are not registered here: give them as `tasks`"):
        MTGRPOAgent.load("a")
    assert not (tmp_path / "sprung").exists()


def test_no_code_is_imported_because_a_checkpoint_names_it_as_a_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trap.py").write_text("open('sprung', 'w').close()")
    monkeypatch.chdir(tmp_path)
    state = saved_agent(tmp_path / "a")
    state["agent"]["method"] = "trap:own"
    forge(tmp_path / "a", state)
    with pytest.raises(ValueError, match="'trap:own' is code of your own: make the agent and call restore"):
        MTGRPOAgent.load("a")
    assert not (tmp_path / "sprung").exists()


def test_tasks_of_ones_own_are_given_again(tmp_path: Path) -> None:
    tasks = [Task("lock", partial(LockEnv, 1)), "FrozenLake-v1"]
    assert saved_agent(tmp_path / "a", tasks)["agent"]["tasks"] is None
    with pytest.raises(ValueError, match="give them as `tasks`"):
        MTGRPOAgent.load(tmp_path / "a")
    assert MTGRPOAgent.load(tmp_path / "a", tasks).suite.names == ("lock", "FrozenLake-v1")
    with pytest.raises(ValueError, match=r"hyper-parameters: tasks was \['lock', 'FrozenLake-v1'\], is"):
        MTGRPOAgent.load(tmp_path / "a", ["FrozenLake-v1"])


def test_an_agent_of_parts_without_names_is_made_again(tmp_path: Path) -> None:
    toy_agent(num_tasks=2).save(tmp_path / "policy")
    suite = toy_suite(2)
    saved_agent(tmp_path / "method", suite, method=make_method("dapo", RunFacts(2, 8)))
    saved_agent(tmp_path / "curriculum", suite, curriculum=Curriculum(suite))
    for name in ("policy", "method", "curriculum"):
        with pytest.raises(ValueError, match="made of parts without names: make it again and call restore"):
            MTGRPOAgent.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no agent checkpoint"):
        MTGRPOAgent.load(tmp_path / "nothing")


def test_a_checkpoint_of_an_older_version_is_refused_as_such(tmp_path: Path) -> None:
    state = saved_agent(tmp_path / "a")
    del state["hyperparameters"], state["format"]
    (tmp_path / "a" / "agent.json").write_text(json.dumps(state))
    (tmp_path / "a" / "manifest.json").unlink()
    for read in (MTGRPOAgent.load, MTGRPOAgent("FrozenLake-v1", policy="tabular").restore):
        with pytest.raises(ValueError, match="was written by an older version"):
            read(tmp_path / "a")


def test_an_improvement_signal_that_is_not_the_methods_must_be_given_again(tmp_path: Path) -> None:
    saved_agent(tmp_path / "a", improvement=StepImprovement)
    with pytest.raises(ValueError, match="improvement was 'StepImprovement', is 'NoImprovement'"):
        MTGRPOAgent.load(tmp_path / "a")


class Corridor(gym.Env[Any, Any]):
    """Walk to the end of a corridor of some length; a step back where there is no action for it is an error."""

    def __init__(self, length: int, num_actions: int) -> None:
        self.length = length
        self.observation_space = spaces.Discrete(length)
        self.action_space = spaces.Discrete(num_actions)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.left = 0, 2 * self.length
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.place, self.left = max(self.place + (1 if action == 0 else -1), 0), self.left - 1
        is_end = self.place == self.length - 1
        return self.place, float(is_end), is_end, self.left == 0, {"is_success": is_end}


def test_one_table_holds_discrete_tasks_of_unequal_sizes() -> None:
    """No task is given an action that it does not have, before and after training."""
    tasks = [Task("short", partial(Corridor, 3, 2)), Task("long", partial(Corridor, 5, 4))]
    agent = MTGRPOAgent(tasks, policy="tabular", group_size=6, batch_size=8)
    policy: Any = agent.policy
    assert policy.logits.shape == (2, 5, 4)
    before = agent.evaluate(agent.suite.held_out(30))
    agent.train(8)
    after = agent.evaluate(agent.suite.held_out(30))
    assert after.average > before.average + 0.2
    assert np.isneginf(policy.logits[0, :, 2:]).all()
    assert np.isfinite(policy.logits[0, :, :2]).all()
    assert np.isfinite(policy.logits[1]).all()


def test_a_table_needs_discrete_spaces_from_zero_on() -> None:
    class Shifted(Corridor):
        def __init__(self) -> None:
            super().__init__(3, 2)
            self.action_space = spaces.Discrete(2, start=1)

    for task, name in (("CartPole-v1", "CartPole-v1"), (Task("shifted", Shifted), "shifted")):
        with pytest.raises(ValueError, match=f"policy 'tabular' needs Discrete spaces from 0 on; task '{name}' has"):
            MTGRPOAgent([task], policy="tabular")


@pytest.mark.parametrize("method", RECIPES)
def test_a_batch_without_groups_moves_the_weights_and_trains_nothing(method: str) -> None:
    suite, policy = TaskSuite([Task(f"hopeless-{n}", partial(Hopeless, n)) for n in (1, 2)]), TabularPolicy(2, 16, 4)
    parts = make_method(method, RunFacts(2, 8, num_steps=4))
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy), method=parts, group_size=4)
    metrics = [agent.train_step() for _ in range(2)]
    assert (policy.logits == 0).all()
    assert all((m.improvements == 0).all() and m.improvements.shape == (2,) for m in metrics)
    assert all(m.learner == {} for m in metrics if not m.kept.any())
    assert agent.step == 2


@pytest.mark.parametrize("policy", ["tabular", "mlp"])
def test_groups_of_one_rollout_have_no_advantage_and_are_refused(policy: str) -> None:
    with pytest.raises(ValueError, match=r"group_size must be at least 2 for \w+Learner, got 1"):
        MTGRPOAgent("FrozenLake-v1", policy, group_size=1)


def test_a_learner_with_a_baseline_of_its_own_may_have_groups_of_one() -> None:
    class WithBaseline(TabularLearner):
        smallest_group = 1

    policy = TabularPolicy(1, 16, 4)
    assert MTGRPOAgent("FrozenLake-v1", policy, WithBaseline(policy), group_size=1).group_size == 1
