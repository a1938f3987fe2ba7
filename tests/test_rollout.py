from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from fakes import Guess, Scripted, ScriptedPolicy, Sum, guess_suite, sample_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.endpoints.replies import Reply
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.toy import LockEnv
from mtgrpo_env.evaluation import evaluate_answers, evaluate_policy
from mtgrpo_env.filters import every_group, rewards_differ, success_differs
from mtgrpo_env.log_once import forget_written
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.rollout import PolicyError, rollout_groups, rollout_of, success_of
from mtgrpo_env.samplers import MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.schedule import Schedule
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.task_weights import UniformWeights
from mtgrpo_env.text_env import CORRECT, TextEnv, Verdict
from mtgrpo_env.types import Group, Problem, Step
from mtgrpo_env.vector import TextVectorEnv

ZEROS = ScriptedPolicy(lambda observation, task_id, place: 0)
BITS = ScriptedPolicy(lambda observation, task_id, place: place % 2)  # the two rollouts of a group ask for one bit each


def locks(*lengths: int) -> TaskSuite:
    return TaskSuite([Task(f"lock-{n}", partial(LockEnv, n)) for n in lengths])


def scripted_suite(script: dict[str, tuple[float, dict[str, Any]]]) -> TaskSuite:
    """One task whose rewards and infos are looked up by the action."""
    return TaskSuite([Task("scripted", partial(Scripted, script.__getitem__))])


# Groups


@given(st.lists(st.integers(0, 2), max_size=6), st.integers(1, 4))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_every_problem_becomes_one_group_of_n_rollouts_from_one_start(task_ids: list[int], group_size: int) -> None:
    suite = locks(1, 2, 3)
    problems = [suite.next_problem(k) for k in task_ids]
    groups = rollout_groups(suite, ZEROS, problems, group_size)
    assert [group.problem for group in groups] == problems
    for group in groups:
        assert len(group.rollouts) == group_size
        assert len({rollout.steps[0].observation for rollout in group.rollouts}) == 1
        assert {len(rollout.steps) for rollout in group.rollouts} == {group.task_id + 1}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=6))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_a_problem_may_have_a_group_size_of_its_own(drawn: list[tuple[int, int]]) -> None:
    suite, sizes = locks(1, 2, 3), [size for _, size in drawn]
    problems = [suite.next_problem(k) for k, _ in drawn]
    groups = rollout_groups(suite, ZEROS, problems, sizes)
    assert [group.problem for group in groups] == problems
    assert [len(group.rollouts) for group in groups] == sizes


def test_group_sizes_are_one_for_each_problem() -> None:
    with pytest.raises(ValueError, match="group_size must be one, or one for each of 2 problems, got 3"):
        rollout_groups(locks(1), ZEROS, [Problem(0, 1), Problem(0, 2)], [1, 2, 3])
    with pytest.raises(ValueError, match="group_size must be at least 1, got 0"):
        rollout_groups(locks(1), ZEROS, [Problem(0, 1), Problem(0, 2)], [1, 0])


def test_a_problem_rolls_out_the_same_whatever_stands_beside_it() -> None:
    suite = locks(2, 3)
    first, *rest = [suite.next_problem(k) for k in (1, 0, 1, 1)]
    alone = rollout_groups(suite, ZEROS, [first], 2)
    together = rollout_groups(suite, ZEROS, [*rest, first], 2)
    assert together[-1] == alone[0]


def test_episodes_of_unequal_length_run_in_lock_step_over_those_still_alive() -> None:
    suite = locks(1, 3)
    policy = ScriptedPolicy(lambda observation, task_id, place: 0)
    problems = [suite.next_problem(k) for k in (1, 0, 1)]
    groups = rollout_groups(suite, policy, problems, 2)
    assert [task_ids for _, task_ids in policy.calls] == [[1, 1, 0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert [[len(r.steps) for r in group.rollouts] for group in groups] == [[3, 3], [1, 1], [3, 3]]


def test_equal_observations_stand_side_by_side() -> None:
    suite = guess_suite([0.5, 0.5])
    policy = ScriptedPolicy(lambda observation, task_id, place: 0)
    rollout_groups(suite, policy, [suite.next_problem(k) for k in (0, 1, 0)], 3)
    ((observations, _),) = policy.calls
    assert [len(set(observations[i : i + 3])) for i in (0, 3, 6)] == [1, 1, 1]
    assert len(set(observations)) == 3


def test_steps_hold_what_the_policy_saw_did_and_said() -> None:
    suite = locks(2)
    policy = ScriptedPolicy(lambda observation, task_id, place: 3)
    (group,) = rollout_groups(suite, policy, [suite.next_problem(0)], 1, deterministic=True)
    steps = group.rollouts[0].steps
    assert [step.observation for step in steps] == [observations[0] for observations, _ in policy.calls]
    assert [(step.action, step.extras) for step in steps] == [(3, ("extra", 3))] * 2
    assert policy.deterministic == [True, True]


def test_the_reward_of_a_rollout_is_the_sum_over_its_steps() -> None:
    class Paying(LockEnv):
        def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
            observation, _, terminated, truncated, _ = super().step(action)
            return observation, 0.5, terminated, truncated, {}

    suite = TaskSuite([Task("paying", partial(Paying, 3), success_threshold=1.5)])
    (group,) = rollout_groups(suite, ZEROS, [suite.next_problem(0)], 1)
    assert [step.reward for step in group.rollouts[0].steps] == [0.5] * 3
    assert group.rollouts[0].reward == 1.5
    assert group.rollouts[0].is_success


def test_a_truncated_episode_ends() -> None:
    task = Task.from_id("CartPole-v1", env_options={"max_episode_steps": 3})
    suite = TaskSuite([task])
    (group,) = rollout_groups(suite, ZEROS, [suite.next_problem(0)], 2)
    assert [len(rollout.steps) for rollout in group.rollouts] == [3, 3]


def test_envs_are_used_again_from_round_to_round() -> None:
    suite = guess_suite([0.5])
    for _ in range(3):
        rollout_groups(suite, ZEROS, [suite.next_problem(0)] * 2, 2)
    envs = [env for env in suite.envs(0, 4) if isinstance(env, Guess)]
    assert [len(env.seeds) for env in envs] == [3] * 4


def test_no_problems_make_no_groups() -> None:
    policy = ScriptedPolicy(lambda observation, task_id, place: 0)
    assert rollout_groups(locks(1), policy, [], 3) == []
    assert policy.calls == []


# What counts as correct


@pytest.mark.parametrize(
    ("threshold", "info", "total", "expected"),
    [
        (None, {"is_success": False}, 1.0, False),
        (0.5, {"is_success": True}, 0.0, True),
        (0.5, {}, 0.5, True),
        (0.5, {}, 0.4, False),
        (-100.0, {}, -90.0, True),
    ],
)
def test_the_env_decides_success_else_the_threshold(
    threshold: float | None, info: dict[str, Any], total: float, expected: bool
) -> None:
    assert success_of(Task("t", Guess, success_threshold=threshold), info, total) is expected


def test_a_text_episode_that_a_step_limit_of_its_task_ends_has_no_answer() -> None:
    suite = TaskSuite([Task.from_id("MTReason/Guessing-v0", env_options={"max_episode_steps": 2, "level": "mini"})])
    policy = ScriptedPolicy(lambda observation, task_id, place: r"\boxed{0}")
    (group,) = rollout_groups(suite, policy, [suite.next_problem(0)], 2)
    for rollout in group.rollouts:
        assert len(rollout.steps) == 2
        assert (rollout.is_success, rollout.valid, rollout.outcome) == (False, True, "no_answer")


@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf, 1e308, np.float32(np.inf)])
def test_a_return_that_is_not_finite_is_the_scorers_failure_in_every_driver(
    reward: float, caplog: pytest.LogCaptureFixture
) -> None:
    forget_written()
    suite = scripted_suite({"go": (reward, {"is_success": True})})
    policy = ScriptedPolicy(lambda observation, task_id, place: "go")
    (group,) = rollout_groups(suite, policy, [suite.next_problem(0)], 1)
    env = MultiTaskEnv(suite)
    env.reset(seed=0)
    info = env.step("go")[4]
    rollout = group.rollouts[0]
    assert (rollout.is_success, rollout.valid, rollout.outcome) == (False, False, "scorer_error")
    assert (info["is_success"], info["valid"], info["outcome"]) == (False, False, "scorer_error")
    (said,) = caplog.messages
    assert f"{suite.names[0]}': expected a return that is a finite number, got {reward:.0e}" in said


class Boundless(Sum):
    """Rewards one answer beyond all measure."""

    def verify(self, puzzle: Any, response: str) -> Verdict:
        return Verdict(float(response), is_success=True, outcome="correct")


@pytest.mark.parametrize("reward", ["nan", "inf", "-inf", "1e308"])
def test_a_verdict_whose_reward_is_not_finite_is_the_scorers_failure_in_every_driver(reward: str) -> None:
    suite = TaskSuite([Task.from_text("boundless", Boundless)])
    problem = suite.next_problem(0)
    (group,) = rollout_groups(suite, ScriptedPolicy(lambda observation, task_id, place: reward), [problem], 2)
    answered: list[Group] = []
    evaluate_answers(suite, lambda env, puzzle, rng: reward, [problem], on_group=answered.append)
    for rollout in (*group.rollouts, *answered[0].rollouts):
        assert (rollout.reward, rollout.is_success, rollout.valid) == (0.0, False, False)
    curriculum = Curriculum(suite, batch_size=1, task_weights=UniformWeights(1))
    envs = TextVectorEnv(Schedule(curriculum, group_size=2), 2)
    envs.reset(seed=0)
    infos = envs.step([reward, "1"])[4]
    assert infos["final_info"]["valid"].tolist() == [False, True]


@pytest.mark.parametrize("reward", ["much", None, 10**400])
def test_a_reward_that_is_no_number_is_named_with_its_task(reward: Any) -> None:
    suite = scripted_suite({"go": (reward, {"is_success": True})})
    policy = ScriptedPolicy(lambda observation, task_id, place: "go")
    with pytest.raises(TaskError, match=rf"task '{suite.names[0]}' raised in step\('go'\)"):
        rollout_groups(suite, policy, [suite.next_problem(0) for _ in range(8)], 1)


def test_nothing_is_learned_from_an_episode_without_a_token() -> None:
    task, env = Task("lock", LockEnv), LockEnv()
    replies = [Reply("", 5, count) for count in (0, 3)]
    empty, short = (rollout_of(task, env, {"is_success": True}, 1.0, steps=[Step("", "", 1.0, r)]) for r in replies)
    assert (empty.is_learnable, short.is_learnable) == (False, True)


# Failures


class BreaksInStep(LockEnv):
    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        raise ZeroDivisionError("the dial fell off")


class BreaksAtTimes(Sum):
    """A verifier that fails on every other problem."""

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        if puzzle[0] % 2:
            raise AttributeError("'NoneType' object has no attribute 'strip'")
        return super().verify(puzzle, response)


def test_a_problem_whose_env_raises_costs_itself_only(caplog: pytest.LogCaptureFixture) -> None:
    suite = TaskSuite([Task.from_text("moody", BreaksAtTimes)])
    problems = [suite.next_problem(0) for _ in range(20)]
    groups = rollout_groups(suite, ScriptedPolicy(lambda *_: "7"), problems, 2)
    openings = [suite.opening(problem) for problem in problems]
    assert [bool(group.valid.all()) for group in groups] == [o is not None and o.puzzle[0] % 2 == 0 for o in openings]
    assert {rollout.outcome for group in groups for rollout in group.rollouts} == {"wrong", "scorer_error"}
    (said,) = [record.getMessage() for record in caplog.records]
    assert "task 'moody' raised in step('7') on the problem of seed" in said
    assert "has no attribute 'strip'" in said


EXITS = [SystemExit(), SystemExit(0), GeneratorExit()]


@pytest.mark.parametrize("exit_", EXITS, ids=repr)
@pytest.mark.parametrize("method", ["prefetch", "verify"])
def test_a_task_that_ends_the_process_costs_its_problem_only(method: str, exit_: BaseException) -> None:
    suite = TaskSuite([Task.from_text("leaver", leaving(method, exit_))])
    (group,) = rollout_groups(suite, ScriptedPolicy(lambda *_: "7"), [suite.next_problem(0)], 2)
    assert group.valid.all() == (method == "prefetch")


@pytest.mark.parametrize("exit_", EXITS, ids=repr)
@pytest.mark.parametrize("method", ["prompt", "generate"])
def test_a_task_that_ends_the_process_as_it_makes_a_problem_is_named(method: str, exit_: BaseException) -> None:
    suite = TaskSuite([Task.from_text("leaver", leaving(method, exit_))])
    with pytest.raises(TaskError, match="task 'leaver' raised in reset"):
        suite.next_problem(0)
    with pytest.raises(TaskError, match="task 'leaver' raised in reset"):
        rollout_groups(suite, ZEROS, [Problem(0, 5, {})], 2)


@pytest.mark.parametrize("exit_", EXITS, ids=repr)
@pytest.mark.parametrize("method", ["generate", "verify", "oracle"])
def test_a_task_that_ends_the_process_as_its_own_answers_are_played_is_named(method: str, exit_: BaseException) -> None:
    suite = TaskSuite([Task.from_text("leaver", leaving(method, exit_))])
    with pytest.raises(TaskError, match="task 'leaver'"):
        evaluate_answers(suite, lambda env, puzzle, rng: env.oracle(puzzle), [Problem(0, 5, {})])


def test_an_interrupt_within_a_task_stays_one() -> None:
    suite = TaskSuite([Task.from_text("leaver", leaving("verify", KeyboardInterrupt()))])
    with pytest.raises(KeyboardInterrupt):
        rollout_groups(suite, ScriptedPolicy(lambda *_: "7"), [suite.next_problem(0)], 2)


def leaving(method: str, exit_: BaseException) -> type[Sum]:
    """A task of which a method ends the process."""

    def leave(*_: Any) -> Any:
        raise exit_

    return type("Leaver", (Sum,), {method: leave})


def test_a_prefetch_that_raises_costs_nothing() -> None:
    class Eager(Sum):
        def prefetch(self, puzzle: tuple[int, int], response: str) -> None:
            raise RuntimeError("no worker")

    suite = TaskSuite([Task.from_text("eager", Eager)])
    (group,) = rollout_groups(suite, ScriptedPolicy(lambda *_: "7"), [suite.next_problem(0)], 2)
    assert group.valid.all()


def test_a_prompt_without_room_in_a_later_turn_ends_its_episode_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    class Endless(Sum):
        def reply(self, puzzle: tuple[int, int], responses: Sequence[str]) -> Verdict | str:
            return "go on"

    class ShortOfBreath:
        def act(self, observations: Sequence[str], task_ids: Sequence[int], *, deterministic: bool = False) -> Any:
            turns = [observation.count("go on") for observation in observations]
            return [("", "hm")[turn < 2] for turn in turns], [
                Reply("", 5, 3 * (t < 2), is_truncated=t > 1) for t in turns
            ]

    suite = TaskSuite([Task.from_text("endless", Endless)])
    (group,) = rollout_groups(suite, ShortOfBreath(), [suite.next_problem(0)], 2)
    for rollout in group.rollouts:
        assert (len(rollout.steps), rollout.is_truncated, rollout.outcome, rollout.valid) == (
            3,
            True,
            "no_answer",
            True,
        )
    (said,) = [record.getMessage() for record in caplog.records]
    assert "task 'endless': a prompt leaves no room for a response in turn 3 of Endless" in said


def test_an_env_that_raises_in_the_steps_of_eight_problems_is_named_with_the_last() -> None:
    suite = TaskSuite([Task("good", LockEnv), Task("bad", BreaksInStep)])
    for _ in range(7):
        (group,) = rollout_groups(suite, ZEROS, [suite.next_problem(1)], 2)
        assert not group.valid.any()
    problem = suite.next_problem(1)
    with pytest.raises(
        TaskError, match=rf"task 'bad' raised in step\(0\) .*{problem.seed}.*the dial fell off"
    ) as caught:
        rollout_groups(suite, ZEROS, [suite.next_problem(0), problem], 2)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_env_that_raises_in_a_reset_is_named_with_its_problem() -> None:
    suite = TaskSuite([Task.from_text("sum", Sum)])
    with pytest.raises(
        TaskError, match=r"task 'sum' raised in reset on the problem of seed 5.*'level': 3.*options must"
    ):
        rollout_groups(suite, ZEROS, [Problem(0, 5, {"level": 3})], 2)


def test_a_suite_can_be_used_after_an_env_raised() -> None:
    suite = TaskSuite([Task.from_text("sum", Sum)])
    answer = ScriptedPolicy(lambda observation, task_id, place: "17")
    too_long = ScriptedPolicy(lambda observation, task_id, place: "7" * 10**6 + "7")
    (group,) = rollout_groups(suite, too_long, [suite.next_problem(0)], 2)
    assert not group.valid.any()
    assert len(rollout_groups(suite, answer, [suite.next_problem(0)], 2)) == 1


@pytest.mark.parametrize("group_size", [0, -1])
def test_a_group_has_at_least_one_rollout(group_size: int) -> None:
    with pytest.raises(ValueError, match=f"group_size must be at least 1, got {group_size}"):
        rollout_groups(locks(1), ZEROS, [Problem(0, 1)], group_size)


class Returning:
    """A policy that returns this, whatever it is asked."""

    def __init__(self, chosen: Any) -> None:
        self.chosen = chosen

    def act(self, *_: Any, **__: Any) -> Any:
        return self.chosen


class StreamingReturning(Returning):
    def stream(self, *_: Any, **__: Any) -> Any:
        yield from self.chosen


@pytest.mark.parametrize(
    ("chosen", "given"),
    [
        (([0], [None]), "1 and 1"),
        (([0, 0, 0], [None, None, None]), "3 and 3"),
        (([0, 0], [None]), "2 and 1"),
        (([0, 0], None), "a tuple"),
        ([0, 0], "a list"),
        (None, "a NoneType"),
        (0, "a int"),
    ],
)
def test_a_policy_that_returns_something_else_is_named_with_what_act_must_return(chosen: Any, given: str) -> None:
    expected = rf"^act of Returning must return a pair \(actions, extras\) of 2 each, got {given}$"
    with pytest.raises(PolicyError, match=expected):
        rollout_groups(locks(1), Returning(chosen), [Problem(0, 1)], 2)


@pytest.mark.parametrize(
    ("chosen", "given"),
    [
        ([(0, 0, None)], r"none for \[1\]"),
        ([(0, 0, None), (0, 0, None)], r"\(0, 0, None\)"),
        ([(0, 0), (1, 0)], r"\(0, 0\)"),
        ([(2, 0, None)], r"\(2, 0, None\)"),
    ],
)
def test_a_stream_that_leaves_a_place_out_is_named(chosen: Any, given: str) -> None:
    expected = r"^stream of StreamingReturning must return \(place, action, extras\) once for each of 2 places, got "
    with pytest.raises(PolicyError, match=expected + given):
        rollout_groups(locks(1), StreamingReturning(chosen), [Problem(0, 1)], 2)


def test_an_action_that_is_no_text_for_a_text_task_is_named_with_the_task() -> None:
    suite = TaskSuite([Task.from_text("sum", Sum)])
    with pytest.raises(PolicyError, match="act of Returning must return a str for the text task 'sum', got 7"):
        rollout_groups(suite, Returning(([7], [None])), [suite.next_problem(0)], 1)


# Batches

SCRIPT = {
    "right": (1.0, {"is_success": True}),
    "wrong": (0.1, {"is_success": False}),
    "crash": (0.0, {"is_success": False, "valid": False, "outcome": "scorer_error"}),
}


def one_batch(answers: list[str], *, batch_size: int = 1) -> Any:
    """A batch of groups whose rollouts give these answers, over and over."""
    suite = scripted_suite(SCRIPT)
    policy = ScriptedPolicy(lambda observation, task_id, place: answers[place % len(answers)])
    sampler, z = MultinomialSampler(1, batch_size), np.ones(1)
    return sample_batch(suite, policy, sampler, z, group_size=len(answers) // batch_size, group_filter=rewards_differ)


def test_a_rollout_whose_scorer_failed_counts_nowhere() -> None:
    batch = one_batch(["right", "crash", "wrong", "right"])
    np.testing.assert_allclose(batch.rewards, [(1 + 0.1 + 1) / 3])
    np.testing.assert_allclose(batch.accuracies, [2 / 3])
    assert [r.valid for r in batch.groups[0].rollouts] == [True, False, True, True]
    assert batch.groups[0].rollouts[1].outcome == "scorer_error"
    assert batch.num_rollouts == 4
    assert one_batch(["right", "crash"]).accepted.tolist() == [0]


def test_rewards_are_means_over_rollouts_also_when_groups_lost_some() -> None:
    batch = one_batch(["right", "crash", "crash", "wrong", "wrong", "wrong"], batch_size=2)
    np.testing.assert_allclose(batch.rewards, [(1 + 3 * 0.1) / 4])
    np.testing.assert_allclose(batch.accuracies, [1 / 4])


def test_a_task_whose_scorer_always_failed_has_no_reward() -> None:
    batch = one_batch(["crash", "crash"])
    assert np.isnan(batch.rewards).all()
    assert np.isnan(batch.accuracies).all()


@given(st.integers(0, 50))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_a_batch_keeps_its_books(seed: int) -> None:
    suite, sampler = guess_suite([0.5, 0.1, 0.9], seed=seed), RatioPreservingSampler(3, 8, seed=seed)
    batch = sample_batch(suite, BITS, sampler, np.array([0.2, 0.5, 0.3]), group_size=2)
    assert batch.targets.sum() == 8
    assert (batch.kept <= batch.accepted).all()
    assert (batch.accepted <= batch.generated).all()
    assert (batch.kept >= np.minimum(batch.targets, batch.accepted)).all()
    assert batch.generated.sum() == batch.rounds * sampler.round_size
    assert all(success_differs(group) and len(group.rollouts) == 2 for group in batch.groups)
    assert batch.loss_weights.shape == (len(batch.groups),)
    assert suite.state_dict()["cursors"] == batch.generated.tolist()
    np.testing.assert_array_equal(sampler.filter_rates > 0, batch.accepted < batch.generated)


def test_rewards_are_means_over_all_generated_groups_and_not_only_those_kept() -> None:
    suite = guess_suite([0.9])
    batch = sample_batch(suite, BITS, RatioPreservingSampler(1, 20, seed=0), np.ones(1), group_size=2)
    assert batch.generated[0] > batch.kept[0]
    assert np.mean([group.rewards.mean() for group in batch.groups]) == 0.5
    assert batch.rewards[0] > 0.8
    np.testing.assert_array_equal(batch.accuracies, batch.rewards)


def test_a_task_that_was_not_generated_has_no_reward() -> None:
    batch = sample_batch(guess_suite([0.5, 0.5]), BITS, MultinomialSampler(2, 4), np.array([1.0, 0.0]), group_size=2)
    assert np.isfinite(batch.rewards[0])
    assert np.isnan(batch.rewards[1])
    assert np.isnan(batch.accuracies[1])


def test_a_batch_may_come_out_empty() -> None:
    batch = sample_batch(guess_suite([0.0]), BITS, RatioPreservingSampler(1, 2), np.ones(1), group_size=2)
    assert batch.groups == ()
    assert batch.kept.tolist() == [0]
    assert batch.rewards.tolist() == [0.0]


def test_equal_seeds_sample_equal_batches() -> None:
    def draw() -> Any:
        suite, sampler = guess_suite([0.5, 0.1]), RatioPreservingSampler(2, 4)
        z = np.array([0.5, 0.5])
        return [
            sample_batch(suite, BITS, sampler, z, group_size=2, group_filter=keep).groups
            for keep in (success_differs, every_group, success_differs)
        ]

    assert draw() == draw()


def test_mean_advantages_are_over_all_that_was_generated_and_those_of_filtered_groups_are_0() -> None:
    """Two one-step rollouts that ask for a bit each: |A| is 1 if the bits differ, else 0; twenty groups of B = 4."""
    suite = guess_suite([0.5, 0.9])
    sampler = RatioPreservingSampler(2, 4, seed=1)
    batch = sample_batch(suite, BITS, sampler, np.array([0.5, 0.5]), group_size=2)
    assert batch.kept.sum() < batch.accepted.sum(), "surplus groups count as well"
    np.testing.assert_allclose(batch.mean_abs_advantages, batch.accepted / batch.generated)


def test_what_the_filter_drops_counts_as_0_although_its_rewards_differ() -> None:
    suite = scripted_suite({"a": (0.1, {"is_success": False}), "b": (0.0, {"is_success": False})})
    policy = ScriptedPolicy(lambda observation, task_id, place: "ab"[place % 2])
    for group_filter, mean in ((success_differs, 0.0), (rewards_differ, 1.0)):
        batch = sample_batch(
            suite, policy, MultinomialSampler(1, 3), np.ones(1), group_size=2, group_filter=group_filter
        )
        np.testing.assert_allclose(batch.mean_abs_advantages, [mean])


def test_accuracies_are_also_known_round_by_round() -> None:
    suite = guess_suite([0.5, 0.95])
    sampler = RatioPreservingSampler(2, 8, seed=0, oversampling=1)
    batch = sample_batch(suite, BITS, sampler, np.array([0.5, 0.5]), group_size=2)
    assert batch.rounds > 2
    assert batch.round_accuracies.shape == (batch.rounds, 2)
    assert np.isnan(batch.round_accuracies).any(), "a task without deficit is absent from a resample"
    assert (np.nanmin(batch.round_accuracies, axis=0) <= batch.accuracies).all()
    assert (batch.accuracies <= np.nanmax(batch.round_accuracies, axis=0)).all()


def test_a_task_that_was_not_generated_has_no_mean_advantage() -> None:
    batch = sample_batch(guess_suite([0.5, 0.5]), BITS, MultinomialSampler(2, 4), np.array([1.0, 0.0]), group_size=2)
    assert np.isnan(batch.mean_abs_advantages).tolist() == [False, True]


class Streaming(ScriptedPolicy):
    """Hands its actions over one by one, the last observation's first."""

    def stream(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Iterator[tuple[int, str, str]]:
        for i in reversed(range(len(observations))):
            Overheard.log.append(f"generate {i}")
            yield i, f"answer {i}", f"extra {i}"


class Overheard(TextEnv[int]):
    """Notes when a response begins to be judged, and when its verdict is due."""

    log: list[str] = []

    def generate(self, rng: np.random.Generator) -> int:
        return int(rng.integers(100))

    def prompt(self, puzzle: int) -> str:
        return str(puzzle)

    def prefetch(self, puzzle: int, response: str) -> None:
        self.log.append(f"prefetch {response}")

    def verify(self, puzzle: int, response: str) -> Verdict:
        self.log.append(f"verify {response}")
        return CORRECT

    def oracle(self, puzzle: int) -> str:
        return str(puzzle)


def test_verifiers_begin_on_what_a_streaming_policy_has_while_it_still_generates() -> None:
    Overheard.log.clear()
    suite = TaskSuite([Task.from_text("overheard", Overheard)])
    (group,) = rollout_groups(suite, Streaming(lambda *_: ""), [suite.next_problem(0)], 2)
    assert Overheard.log == [
        "generate 1",
        "prefetch answer 1",
        "generate 0",
        "prefetch answer 0",
        "verify answer 0",
        "verify answer 1",
    ]
    assert [(r.steps[0].action, r.steps[0].extras) for r in group.rollouts] == [
        ("answer 0", "extra 0"),
        ("answer 1", "extra 1"),
    ]


# What a rollout knows of its length


class Texts:
    """Answers every prompt alike, with extras that know how the text was generated."""

    def __init__(self, *, is_truncated: bool = False, log_prob: float | None = -1.5) -> None:
        self.extras = GeneratedResponse(3, is_truncated, log_prob)

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[str], list[GeneratedResponse]]:
        return ["7"] * len(observations), [self.extras] * len(observations)


@dataclass(frozen=True)
class GeneratedResponse:
    num_tokens: int
    is_truncated: bool
    log_prob: float | None


@pytest.mark.parametrize(("is_truncated", "log_prob"), [(False, -1.5), (True, None)])
def test_a_response_is_as_long_as_the_extras_say_and_cut_off_where_they_say_so(
    is_truncated: bool, log_prob: float | None
) -> None:
    suite = TaskSuite([Task.from_text("sum", Sum)])
    policy = Texts(is_truncated=is_truncated, log_prob=log_prob)
    (group,) = rollout_groups(suite, policy, [suite.next_problem(0)], 2)
    for rollout in group.rollouts:
        assert (rollout.length, rollout.is_truncated, rollout.log_prob) == (3, is_truncated, log_prob)
    evaluation = evaluate_policy(suite, policy, suite.held_out(4))
    assert evaluation.mean_lengths is not None
    assert evaluation.truncated_shares is not None
    assert (evaluation.mean_lengths.tolist(), evaluation.truncated_shares.tolist()) == ([3.0], [float(is_truncated)])


def test_without_such_extras_a_rollout_is_as_long_as_its_episode_and_a_time_limit_cuts_it_off() -> None:
    suite = TaskSuite([Task.from_id("CartPole-v1", success_threshold=475.0)])
    pushing = ScriptedPolicy(lambda observation, task_id, place: 0)
    balancing = ScriptedPolicy(lambda observation, task_id, place: int(observation[2] + 0.5 * observation[3] > 0))
    for policy, is_truncated in ((pushing, False), (balancing, True)):
        (group,) = rollout_groups(suite, policy, [suite.next_problem(0)], 1)
        (rollout,) = group.rollouts
        assert rollout.length == len(rollout.steps) == rollout.reward
        assert rollout.is_truncated == is_truncated
        assert rollout.log_prob is None
