from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import guess_suite
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.samplers import (
    BatchSampler,
    DynamicSampler,
    MultinomialSampler,
    RatioPreservingPlan,
    RatioPreservingSampler,
)
from mtgrpo_env.schedule import Assignment, Progress, Schedule, Selection
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import UniformWeights
from mtgrpo_env.types import FloatArray, Group, GroupFilter, Problem, Rollout

SAMPLERS = [RatioPreservingSampler, DynamicSampler, MultinomialSampler]


def is_informative(group: Group) -> bool:
    """A property of the problem alone, so that it does not depend on who finished when."""
    return group.problem.seed % 3 > 0


def outcome_of(assignment: Assignment) -> Rollout:
    return Rollout((), reward=float(assignment.rollout), is_success=False)


def schedule_of(sampler: BatchSampler[Any], group_size: int = 2) -> Schedule:
    return scheduled(guess_suite([0.5] * sampler.num_tasks), sampler, group_size, is_informative)


def scheduled(suite: TaskSuite, sampler: BatchSampler[Any], group_size: int, group_filter: GroupFilter) -> Schedule:
    """Of a curriculum whose weights stay equal."""
    uniform = UniformWeights(suite.num_tasks)
    curriculum = Curriculum(suite, sampler=sampler, task_weights=uniform, group_filter=group_filter)
    return Schedule(curriculum, group_size=group_size)


Ending = tuple[Assignment, Progress]


def play(
    schedule: Schedule, slots: int, num_batches: int, rng: np.random.Generator
) -> tuple[list[Assignment], list[Ending]]:
    """Keep the slots busy, any of them finishing next, until that many batches are complete."""
    running: list[Assignment] = []
    given_out: list[Assignment] = []
    endings: list[Ending] = []
    complete = 0
    while complete < num_batches:
        while len(running) < slots:
            running.append(schedule.next_episode())
            given_out.append(running[-1])
        assignment = running.pop(int(rng.integers(len(running))))
        progress = schedule.finish(assignment, outcome_of(assignment))
        endings.append((assignment, progress))
        complete += progress.batch_complete
    return given_out, endings


def selected(progress: Progress) -> list[int] | None:
    """The groups to train on, if a batch is complete."""
    return None if progress.selection is None else progress.selection.selected_groups


def groups_of(assignments: list[Assignment]) -> dict[int, dict[int, list[Assignment]]]:
    """By batch and then by group."""
    found: dict[int, dict[int, list[Assignment]]] = defaultdict(lambda: defaultdict(list))
    for assignment in assignments:
        found[assignment.batch][assignment.group].append(assignment)
    return found


@given(st.sampled_from(SAMPLERS), st.integers(1, 20), st.integers(1, 4), st.integers(1, 6), st.integers(0, 10**6))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_every_group_of_a_finished_batch_was_played_n_times_whoever_finished_first(
    sampler_type: Any, slots: int, group_size: int, batch_size: int, seed: int
) -> None:
    schedule = schedule_of(sampler_type(2, batch_size), group_size)
    _, endings = play(schedule, slots, 4, np.random.default_rng(seed))
    finished = groups_of([assignment for assignment, _ in endings])
    problems: list[Problem] = []
    for batch in [assignment.batch for assignment, progress in endings if progress.batch_complete]:
        assert sorted(finished[batch]) == list(range(len(finished[batch])))
        for members in finished[batch].values():
            assert sorted(member.rollout for member in members) == list(range(group_size))
            assert len({member.problem for member in members}) == 1
            problems.append(members[0].problem)
    assert len(set(problems)) == len(problems)


@given(st.integers(1, 20), st.integers(1, 3), st.integers(0, 10**6))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_plans_are_told_of_groups_in_the_order_proposed(slots: int, group_size: int, seed: int) -> None:
    """DAPO keeps the first B informative groups that it is told of."""
    batch_size = 4
    schedule = schedule_of(DynamicSampler(2, batch_size, oversampling=1.5), group_size)
    _, endings = play(schedule, slots, 4, np.random.default_rng(seed))
    finished = groups_of([assignment for assignment, _ in endings])
    for assignment, progress in endings:
        if progress.batch_complete:
            groups = finished[assignment.batch]
            informative = [i for i in sorted(groups) if is_informative(Group(groups[i][0].problem, ()))]
            assert selected(progress) == informative[:batch_size]


class Remembering(RatioPreservingSampler):
    """Algorithm 2, with its plans to look at."""

    def reseed(self, seed: int) -> None:
        super().reseed(seed)
        self.plans: list[RatioPreservingPlan] = []

    def plan(self, probabilities: FloatArray) -> RatioPreservingPlan:
        self.plans.append(super().plan(probabilities))
        return self.plans[-1]


@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 10**6))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_every_batch_meets_its_own_targets_however_many_are_in_flight(slots: int, group_size: int, seed: int) -> None:
    sampler = Remembering(3, 8)
    schedule = schedule_of(sampler, group_size)
    schedule.reseed(seed)
    schedule.curriculum.set_task_weights([0.6, 0.3, 0.1])
    _, endings = play(schedule, slots, 4, np.random.default_rng(seed))
    finished = groups_of([assignment for assignment, _ in endings])
    for assignment, progress in endings:
        if progress.batch_complete:
            plan, groups = sampler.plans[assignment.batch], finished[assignment.batch]
            tasks = np.array([groups[i][0].task_id for i in sorted(groups)])
            assert (np.bincount(tasks, minlength=3) == plan.generated).all()
            assert not plan.deficits.any()
            assert (np.bincount(tasks[selected(progress)], minlength=3) == plan.targets).all()


@given(st.sampled_from(SAMPLERS), st.integers(2, 20), st.integers(0, 10**6))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_next_plan_is_opened_only_while_every_open_one_waits_for_running_episodes(
    sampler_type: Any, slots: int, seed: int
) -> None:
    schedule, rng = schedule_of(sampler_type(2, 2)), np.random.default_rng(seed)
    running: list[Assignment] = []
    completed: set[int] = set()
    opened = -1
    for _ in range(300):
        if len(running) < slots:
            assignment = schedule.next_episode()
            if assignment.batch > opened:
                assert assignment.batch == opened + 1
                assert {other.batch for other in running} == set(range(assignment.batch)) - completed
                opened = assignment.batch
            running.append(assignment)
        else:
            assignment = running.pop(int(rng.integers(len(running))))
            if schedule.finish(assignment, outcome_of(assignment)).batch_complete:
                completed.add(assignment.batch)
    assert opened > 3


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_one_slot_has_one_batch_open_at_a_time(sampler_type: Any) -> None:
    given_out, endings = play(schedule_of(sampler_type(2, 3)), 1, 5, np.random.default_rng(0))
    assert given_out == [assignment for assignment, _ in endings]
    batches = [assignment.batch for assignment, _ in endings]
    assert batches == sorted(batches)
    last = [i for i, (_, progress) in enumerate(endings) if progress.batch_complete]
    assert [i for i, (now, after) in enumerate(pairwise(batches)) if now != after] == last[:-1]


@given(st.integers(0, 10**6))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_a_batch_comes_out_the_same_whatever_order_its_episodes_finish_in(seed: int) -> None:
    """Rounds of DAPO have a known size, so the driver can wait for each before it asks for the next."""
    outcomes = []
    for rng in (None, np.random.default_rng(seed)):
        schedule = schedule_of(DynamicSampler(3, 4, oversampling=2))
        log: list[tuple[list[Assignment], list[int] | None]] = []
        for _ in range(6):
            of_round = [schedule.next_episode() for _ in range(8 * 2)]
            order = range(len(of_round)) if rng is None else rng.permutation(len(of_round)).tolist()
            progress = [schedule.finish(of_round[i], outcome_of(of_round[i])) for i in order]
            log.append((of_round, selected(progress[-1])))
        outcomes.append(log)
    assert outcomes[0] == outcomes[1]


def test_an_early_plan_is_drawn_with_the_weights_of_that_moment() -> None:
    schedule = schedule_of(MultinomialSampler(2, 3), group_size=1)
    schedule.curriculum.set_task_weights([1, 0])
    first = [schedule.next_episode() for _ in range(3)]
    schedule.curriculum.set_task_weights([0, 1])
    early = [schedule.next_episode() for _ in range(3)]
    assert [a.task_id for a in first] == [0, 0, 0]
    assert [(a.task_id, a.batch) for a in early] == [(1, 1)] * 3


def test_a_later_batch_may_be_complete_before_an_earlier_one() -> None:
    schedule = schedule_of(MultinomialSampler(1, 2), group_size=1)
    episodes = [schedule.next_episode() for _ in range(4)]
    complete = [schedule.finish(episodes[i], outcome_of(episodes[i])).batch_complete for i in (0, 2, 3, 1)]
    assert complete == [False, False, True, True]


def test_a_new_round_of_an_old_batch_comes_before_the_rest_of_a_younger_one() -> None:
    suite = guess_suite([0.5])
    sampler = DynamicSampler(1, 2, oversampling=1)
    schedule = scheduled(suite, sampler, 1, lambda group: False)
    first, second, early = (schedule.next_episode() for _ in range(3))
    assert (first.batch, second.batch, early.batch) == (0, 0, 1)
    for episode in (second, first):
        schedule.finish(episode, outcome_of(episode))
    assert [(a.batch, a.group) for a in (schedule.next_episode() for _ in range(3))] == [(0, 2), (0, 3), (1, 1)]


@pytest.mark.parametrize("sampler_type", SAMPLERS)
@pytest.mark.parametrize("slots", [1, 7])
def test_a_seed_starts_everything_anew_wherever_the_schedule_stands(sampler_type: Any, slots: int) -> None:
    used = schedule_of(sampler_type(2, 4))
    play(used, slots, 2, np.random.default_rng(1))
    logs = []
    for schedule in (used, schedule_of(sampler_type(2, 4))):
        schedule.reseed(5)
        given_out, endings = play(schedule, slots, 3, np.random.default_rng(2))
        logs.append((given_out, [(assignment, selected(progress)) for assignment, progress in endings]))
    assert logs[0] == logs[1]


def test_progress_says_only_what_there_is_to_say() -> None:
    assert Progress().info == {"batch_complete": False}
    assert Progress(group_informative=True).info == {"batch_complete": False, "group_informative": True}
    info = Progress(True, Selection([0, 2], [1.0, 1.0], [(3, 1)], [0.5], np.full(2, 0.5))).info
    assert (info["batch_complete"], info["selected_groups"], info["group_weights"]) == (True, [0, 2], [1, 1])
    assert (info["replayed_groups"], info["replay_weights"]) == ([(3, 1)], [0.5])
    assert info["task_weights"].tolist() == [0.5, 0.5]


def test_an_episode_that_is_not_running_cannot_be_finished() -> None:
    schedule = schedule_of(MultinomialSampler(2, 2))
    first = schedule.next_episode()
    schedule.finish(first, outcome_of(first))
    with pytest.raises(ValueError, match=r"not finished, got Assignment\("):
        schedule.finish(first, outcome_of(first))
    second = schedule.next_episode()
    schedule.reseed(1)
    with pytest.raises(ValueError, match="since the last reseed"):
        schedule.finish(second, outcome_of(second))
    schedule.next_episode()
    with pytest.raises(ValueError, match="since the last reseed"):
        schedule.finish(second, outcome_of(second))


def test_a_finished_batch_leaves_nothing_behind() -> None:
    schedule = schedule_of(MultinomialSampler(1, 2), group_size=1)
    play(schedule, 1, 50, np.random.default_rng(0))
    assert not schedule._batches


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match=r"there are 3 tasks, \[.*\], the sampler expects 2"):
        Curriculum(toy_suite(3), sampler=MultinomialSampler(2, 6))
    with pytest.raises(ValueError, match="group_size must be at least 1, got 0"):
        Schedule(Curriculum(toy_suite(2)), group_size=0)
    with pytest.raises(ValueError, match=r"a TaskSuite, got NumberedProblems.*: write Curriculum\(TaskSuite\("):
        Schedule(Curriculum(["math", "code"]))
    with pytest.raises(ValueError, match="task weights"):
        schedule_of(MultinomialSampler(2, 6)).curriculum.set_task_weights([0.5, 0.6])
