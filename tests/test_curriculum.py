"""A curriculum draws batches, moves its weights, watches for starved tasks, and may have several batches open."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from curricula import CHANCES, B, K, draws, guessing, roll_out
from fakes import group_of, guess_suite
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.curriculum import Curriculum, StarvedTaskWarning
from mtgrpo_env.filters import every_group, rewards_differ, success_differs
from mtgrpo_env.problem_streams import NumberedProblems
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.reward_estimates import LatestReward, RecentAccuracy, RewardEstimate
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.types import Batch, Group, Problem, Rollout, TaskStats


def batch_with(*groups: Group, num_tasks: int = 2) -> Batch:
    """What one round of these groups comes to under a sampler that keeps all."""
    curriculum = Curriculum(["a", "b"][:num_tasks], sampler=MultinomialSampler(num_tasks, len(groups)))
    given_groups = iter(groups)
    curriculum.set_task_weights(np.eye(num_tasks)[groups[0].task_id])
    return curriculum.draw(lambda problems: [Group(problem, next(given_groups).rollouts) for problem in problems])


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


def test_a_rule_without_a_number_of_tasks_is_refused_with_what_a_rule_needs() -> None:
    class Nameless(UniformWeights):
        def __init__(self) -> None:
            pass

    for rule, name in ((Nameless(), "Nameless"), ([0.5, 0.5], "list")):
        with pytest.raises(ValueError, match=rf"num_tasks \(K\), .*, got {name} without num_tasks"):
            guessing(task_weights=rule)


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


def test_weights_are_set_by_name_and_tasks_that_are_not_named_get_none() -> None:
    curriculum, _ = guessing()
    first, second, third = curriculum.names
    curriculum.set_task_weights({third: 0.75, first: 0.25})
    assert curriculum.probabilities.tolist() == [0.25, 0.0, 0.75]
    with pytest.raises(ValueError, match=rf"by the names of tasks, \['{first}', '{second}', .*, got \['soda'\]"):
        curriculum.set_task_weights({first: 0.5, "soda": 0.5})
    with pytest.raises(ValueError, match=r"sum to 1, got \[0.5, 0.0, 0.0\]"):
        curriculum.set_task_weights({first: 0.5})
    assert curriculum.probabilities.tolist() == [0.25, 0.0, 0.75]


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


@pytest.mark.parametrize(
    ("rule", "estimate"),
    [(DisparityWeights, RecentAccuracy), (ImprovementAwareWeights, LatestReward), (UniformWeights, LatestReward)],
)
def test_only_rules_that_look_at_accuracy_are_given_it_by_default(
    rule: Callable[[int], TaskWeights], estimate: type[RewardEstimate]
) -> None:
    assert type(Curriculum(["a", "b"], task_weights=rule(2)).reward_estimate) is estimate


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
    assert "success_differs" in shown

    class Enough:
        def __call__(self, group: Group) -> bool:
            return True

    for group_filter, name in ((partial(success_differs), "partial"), (Enough(), "Enough")):
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
    while task_ids := draft.propose():
        draft.report(roll_out(suite)([suite.next_problem(k) for k in task_ids]))
    batch = draft.finish()
    assert batch.groups == tuple(draft.groups[i] for i in draft.selected or [])
    assert batch.accepted.tolist() == batch.generated.tolist(), "of the filter that was given"


def test_invalid_rollouts_count_nowhere() -> None:
    groups = [Group(Problem(0, 0), (Rollout((), 1.0, True), Rollout((), 0.0, False, valid=False)))]
    batch = batch_with(*groups)
    assert (batch.rewards[0], batch.accuracies[0], batch.accepted[0]) == (1.0, 1.0, 0)


def test_a_suite_with_thresholds_on_the_return_keeps_groups_whose_returns_differ() -> None:
    assert Curriculum(TaskSuite(["CartPole-v1"])).group_filter is rewards_differ
    assert Curriculum(guess_suite([0.5])).group_filter is success_differs
    assert Curriculum(TaskSuite(["CartPole-v1"]), group_filter=success_differs).group_filter is success_differs


def test_rewards_of_rollouts_that_are_not_valid_may_be_anything() -> None:
    rollouts = (Rollout((), math.nan, False, False), Rollout((), 1.0, True), Rollout((), 0.0, False))
    batch = Curriculum(["a", "b"]).draw(lambda problems: [Group(problem, rollouts) for problem in problems])
    assert batch.accuracies.tolist() == [0.5, 0.5]
