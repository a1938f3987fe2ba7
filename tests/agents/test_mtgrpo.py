import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from mtgrpo_env.agents.methods import METHODS, MethodConfig
from mtgrpo_env.agents.signals import once_per_step, unmeasured
from mtgrpo_env.carry_over import CarryOver

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent, StarvedTaskWarning, StepReport
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.envs.toy import LockEnv, toy_suite
from mtgrpo_env.filters import every_group, strict
from mtgrpo_env.logit_optimizers import AdamW
from mtgrpo_env.samplers import DynamicSampler, RatioPreservingSampler
from mtgrpo_env.shares import prompt, totals
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.task_weights import ImprovementAwareWeights, UniformWeights
from mtgrpo_env.types import Batch, FloatArray, Group, TaskStats


def toy_agent(
    name: str = "mt-grpo", *, num_tasks: int = 4, seed: int = 0, weight_lr: float = 0.025, preset: str = "default"
) -> MTGRPOAgent:
    suite = toy_suite(num_tasks, seed=seed)
    policy = TabularPolicy(num_tasks, 16, 4, seed=seed)
    config = MethodConfig(num_tasks, batch_size=16, seed=seed, weight_lr=weight_lr, preset=preset, num_steps=8)
    method = METHODS[name](config)
    learner = TabularLearner(policy, lr=4.0, clip_high=method.clip_high, seed=seed)
    return method.agent(suite, policy, learner, group_size=6)


def agent_of(tasks: list[Task], *, num_actions: int = 4) -> MTGRPOAgent:
    suite = TaskSuite(tasks)
    policy = TabularPolicy(len(tasks), 16, num_actions)
    sampler = RatioPreservingSampler(len(tasks), 8, max_resamples=1)
    return MTGRPOAgent(
        suite, policy, TabularLearner(policy), sampler, ImprovementAwareWeights(len(tasks)), group_size=4
    )


class FixedOnce(UniformWeights):
    """Weights that are given and stay."""

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
    agent = toy_agent(weight_lr=0.05)
    start = agent.evaluate(agent.suite.held_out(40), rollouts_per_problem=4)
    agent.train(40)
    end = agent.evaluate(agent.suite.held_out(40), rollouts_per_problem=4)
    assert start.worst < 0.05
    assert end.worst > 0.4
    assert end.average > start.average + 0.4


@pytest.mark.parametrize("method", ["mt-grpo", "dapo", "grpo"])
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


def calls_of_a_step(preset: str) -> list[str]:
    agent, calls = toy_agent(num_tasks=2, preset=preset), []
    parts: Any = agent
    parts.sampler = Recorder(agent.sampler, calls, ("plan", "update"))
    parts.learner = Recorder(agent.learner, calls, ("sampled_objectives", "update", "objectives"))
    parts.task_weights = Recorder(agent.task_weights, calls, ("probabilities", "update"))
    agent.train_step()
    return calls


def test_a_step_samples_then_learns_then_moves_the_weights() -> None:
    assert calls_of_a_step("default") == [
        "DisparityWeights.probabilities",
        "QuotaSampler.plan",
        "QuotaSampler.update",
        "TabularLearner.update",
        "DisparityWeights.update",
    ]


def test_the_papers_step_measures_before_it_moves_the_weights() -> None:
    assert calls_of_a_step("paper") == [
        "ImprovementAwareWeights.probabilities",
        "RatioPreservingSampler.plan",
        "RatioPreservingSampler.update",
        "TabularLearner.sampled_objectives",
        "TabularLearner.update",
        "TabularLearner.objectives",
        "ImprovementAwareWeights.update",
    ]


def test_an_improvement_is_the_objective_after_the_update_because_before_it_is_zero() -> None:
    agent, batches = toy_agent(preset="paper"), []
    sample = agent._sample

    def remembered(z: Any) -> Batch:
        batches.append(sample(z))
        return batches[-1]

    agent._sample = remembered
    for _ in range(3):
        report = agent.train_step()
        after = np.nan_to_num(agent.learner.objectives(batches[-1]))
        assert np.allclose(report.improvements, after, atol=1e-12)
        assert np.abs(report.improvements).max() > 1e-3


def test_rewards_of_a_task_that_was_not_generated_are_its_last_known() -> None:
    agent = toy_agent("grpo", num_tasks=2)
    z = [np.array([0.5, 0.5]), np.array([1.0, 0.0])]
    first = agent.train_step()
    agent.task_weights = FixedOnce(z[1])
    second = agent.train_step()
    assert second.generated[1] == 0
    assert np.isnan(second.accuracies[1])
    assert second.rewards[1] == first.rewards[1]
    assert second.improvements[1] == 0


def test_a_step_is_algorithm_1() -> None:
    """The weights that sampled the batch are those before the step; the weights after come from I and J."""
    agent = toy_agent(preset="paper")
    z = agent.task_weights.probabilities
    report = agent.train_step()
    assert np.array_equal(report.probabilities, z)
    expected = ImprovementAwareWeights(4, optimizer=AdamW(l2=1e-5))
    expected.update(TaskStats(report.rewards, report.improvements, np.zeros(4)))
    assert np.array_equal(agent.task_weights.probabilities, expected.probabilities)
    assert report.step == agent.step == 1
    assert report.rollouts == agent.rollouts == report.generated.sum() * agent.group_size
    assert (report.kept <= report.accepted).all()


def test_improvements_are_measured_on_the_batch_just_trained() -> None:
    agent = toy_agent(preset="paper")
    report = agent.train_step()
    present = report.kept > 0
    assert (report.improvements[present] > 0).all()
    assert (report.improvements[~present] == 0).all()


def test_a_report_counts_what_each_task_was_trained_on() -> None:
    """Locks of 1, 2, 3 and 4 digits, 6 rollouts of a group: k + 1 actions a rollout."""
    agent, batches = toy_agent(), []
    sample = agent._sample
    agent._sample = lambda z: batches.append(sample(z)) or batches[-1]
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

    plain, by_steps = toy_agent(), toy_agent()
    by_steps.share_by = steps
    batch, matched_batch = (agent._sample(np.full(4, 1 / 4)) for agent in (plain, by_steps))
    assert matched_batch.groups == batch.groups
    wanted = totals(batch, prompt) / totals(batch, prompt).sum()
    np.testing.assert_allclose(totals(matched_batch, steps) / totals(matched_batch, steps).sum(), wanted)
    assert np.abs(totals(batch, steps) / totals(batch, steps).sum() - wanted).max() > 0.02


def test_the_weights_move_once_a_step_or_once_a_minibatch_as_the_method_has_it() -> None:
    for preset, updates in (("paper", 1), ("released", 4)):
        agent, calls = toy_agent(preset=preset), []
        parts: Any = agent
        parts.task_weights = Recorder(agent.task_weights, calls, ("update",))
        report = agent.train_step()
        assert report.kept.sum() >= 4
        assert len(calls) == updates


def test_callbacks_hear_of_every_step_in_order() -> None:
    heard: list[StepReport] = []
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


@pytest.mark.parametrize(
    ("method", "preset"), [*((name, "default") for name in METHODS), ("sec-dapo", "released"), ("mt-grpo", "released")]
)
def test_a_restored_agent_goes_on_bit_for_bit(method: str, preset: str, tmp_path: Path) -> None:
    agent = toy_agent(method, preset=preset, num_tasks=2)
    agent.train(2)
    agent.save(tmp_path / "checkpoint")
    saved = agent._state_dict()
    agent.train(2)
    again = toy_agent(method, preset=preset, num_tasks=2, seed=3)
    again.restore(tmp_path / "checkpoint")
    assert again._state_dict() == saved
    again.train(2)
    assert np.array_equal(agent.policy.logits, again.policy.logits)  # pyright: ignore[reportAttributeAccessIssue]
    assert agent._state_dict() == again._state_dict()


def test_a_checkpoint_of_another_composition_is_refused_by_name(tmp_path: Path) -> None:
    toy_agent("mt-grpo").save(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match=r"QuotaSampler.*DynamicSampler"):
        toy_agent("dapo").restore(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="lock-3"):
        toy_agent("mt-grpo", num_tasks=3).restore(tmp_path / "checkpoint")
    with pytest.raises(FileNotFoundError, match="no agent checkpoint"):
        toy_agent().restore(tmp_path / "nothing")


def test_a_refused_checkpoint_leaves_the_agent_as_it_was(tmp_path: Path) -> None:
    trained = toy_agent("mt-grpo", num_tasks=3)
    trained.train(2)
    trained.save(tmp_path / "checkpoint")
    other = toy_agent("mt-grpo", num_tasks=4)
    before = json.dumps(other._state_dict())
    with pytest.raises(ValueError, match="names"):
        other.restore(tmp_path / "checkpoint")
    assert json.dumps(other._state_dict()) == before
    trained.group_size = 7
    with pytest.raises(ValueError, match=r"'group_size': 6.*'group_size': 7"):
        trained.restore(tmp_path / "checkpoint")


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
    assert state["suite"]["names"] == list(agent.suite.names)


def test_an_agent_of_no_parts_named_is_the_default_method() -> None:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy, lr=4.0), group_size=6)
    method = METHODS["mt-grpo"](MethodConfig(2, 32))
    for name in ("sampler", "task_weights", "reward_estimate", "carry_over"):
        assert type(getattr(agent, name)) is type(getattr(method, name))
    assert agent.improve is method.improve
    assert agent.sampler.batch_size == 32
    agent.train(3)


def test_a_carry_over_that_is_given_is_the_one_that_is_used() -> None:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    own = CarryOver(max_age=1)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy), carry_over=own)
    assert agent.carry_over is own


def test_improvements_are_measured_where_the_rule_looks_at_them() -> None:
    suite, policy = toy_suite(2), TabularPolicy(2, 16, 4)
    for weights, improve in ((ImprovementAwareWeights(2), once_per_step), (UniformWeights(2), unmeasured)):
        agent = MTGRPOAgent(suite, policy, TabularLearner(policy), DynamicSampler(2, 8), weights)
        assert agent.improve is improve
        assert agent.carry_over is None


def test_parts_that_differ_in_the_number_of_tasks_are_refused() -> None:
    suite, policy = toy_suite(3), TabularPolicy(3, 16, 4)
    for sampler, weights, name in (
        (DynamicSampler(2, 8), UniformWeights(3), "sampler"),
        (DynamicSampler(3, 8), UniformWeights(4), "task_weights"),
    ):
        with pytest.raises(ValueError, match=f"3 tasks, the {name}"):
            MTGRPOAgent(suite, policy, TabularLearner(policy), sampler, weights)


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
    reports: list[StepReport] = []
    with pytest.warns(StarvedTaskWarning, match="'hopeless'"):
        agent.train(20, callbacks=[lambda _, report: reports.append(report)])
    assert agent.task_weights.probabilities[1] > 0.6
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
    agent.group_filter = every_group
    agent.train(1)
    agent.group_filter = strict
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
    reports: list[StepReport] = []
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
