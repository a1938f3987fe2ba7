"""Which rollouts a run keeps, how much of them, and that keeping them changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.reports.samples import EVALUATIONS, RolloutSample, SampleFile, read_samples
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.chat import Message, messages_of
from mtgrpo_env.chat_columns import chat_text, column_of
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.types import Group, Problem, Rollout, Step

NAMES = ("countdown-mini", "zebra-mini")


def make_group(task_id: int, seed: int, *verdicts: bool) -> Group:
    rollouts = tuple(
        Rollout((Step("prompt", f"{seed}.{i}", float(verdict)),), float(verdict), verdict, outcome="wrong")
        for i, verdict in enumerate(verdicts)
    )
    return Group(Problem(task_id, seed), rollouts)


def make_rows(group: Group) -> Iterator[dict[str, Any]]:
    for rollout in group.rollouts:
        verdict = {"reward": rollout.reward, "is_success": rollout.is_success, "outcome": rollout.outcome}
        yield {"prompt": "?", "response": rollout.steps[0].action, **verdict}


def make_sample(*groups: Group) -> RolloutSample:
    sample = RolloutSample()
    for group in groups:
        sample.add(group)
    return sample


def open_file(folder: Path, *steps: int) -> SampleFile:
    return SampleFile(folder / "samples.jsonl", NAMES, make_rows, steps=steps)


def test_the_first_two_of_each_verdict_are_chosen_task_by_task_and_correct_ones_first() -> None:
    sample = make_sample(
        make_group(1, 7, False, True, False, False),
        make_group(0, 8, True),
        make_group(0, 9, True),
        make_group(0, 1, True),
    )
    chosen = [(group.task_id, group.rollouts[0].steps[0].action) for group in sample.groups]
    assert chosen == [(0, "8.0"), (0, "9.0"), (1, "7.1"), (1, "7.0"), (1, "7.2")]
    assert all(len(group.rollouts) == 1 for group in sample.groups)


def test_what_was_kept_is_read_back_with_its_step_and_task(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    file.add(0, make_sample(make_group(1, 3, True)))
    file.add(10, make_sample(make_group(0, 4, False)))
    first, second = read_samples(file.file)
    assert (first.step, first.suite_task, first.responses, first.is_success) == (0, "zebra-mini", ("3.0",), True)
    assert (second.step, second.suite_task, second.reward, second.outcome) == (10, "countdown-mini", 0.0, "wrong")


def test_the_turns_of_a_conversation_are_read_back(tmp_path: Path) -> None:
    row = {"step": 1, "suite_task": "a", "prompt": "", "responses": ["1", "2"], "reward": 0, "outcome": "wrong"}
    (tmp_path / "samples.jsonl").write_text(json.dumps(row) + "\n")
    (sample,) = read_samples(tmp_path / "samples.jsonl")
    assert sample.responses == ("1", "2")


def test_a_prompt_that_is_a_chat_is_read_back_as_one(tmp_path: Path) -> None:
    chat = chat_text([Message("system", "Be brief."), Message("user", "1+1?")])
    row = {"step": 1, "suite_task": "a", "prompt": column_of(chat), "response": "2", "reward": 1, "outcome": "correct"}
    (tmp_path / "samples.jsonl").write_text(json.dumps(row) + "\n")
    (sample,) = read_samples(tmp_path / "samples.jsonl")
    assert (sample.prompt, messages_of(sample.prompt)) == (chat, chat.messages)


def test_the_first_and_the_newest_evaluations_bound_the_file(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    for step in range(0, 300, 10):
        file.add(step, make_sample(make_group(0, step, True)))
    kept = [sample.step for sample in read_samples(file.file)]
    assert kept == [0, *range(300 - 10 * (EVALUATIONS - 1), 300, 10)]


def test_samples_of_evaluations_that_will_be_made_again_are_dropped(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    for step in (0, 10, 20):
        file.add(step, make_sample(make_group(0, step, True)))
    resumed = open_file(tmp_path, 0, 10)
    assert [sample.step for sample in read_samples(resumed.file)] == [0, 10]
    resumed.add(20, make_sample(make_group(0, 99, True)))
    assert [sample.responses for sample in read_samples(resumed.file)] == [("0.0",), ("10.0",), ("99.0",)]


def test_a_run_that_was_begun_before_samples_were_kept_has_none(tmp_path: Path) -> None:
    file = open_file(tmp_path, 0, 10)
    assert not file.file.exists()
    assert read_samples(file.file) == []


def test_a_row_that_cannot_be_shown_is_named(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text('{"step": 1, "suite_task": "zebra", "prompt": 7}\n')
    with pytest.raises(ValueError, match=r"samples.jsonl, line 1, prompt: expected a text or chat messages, got 7"):
        read_samples(tmp_path / "samples.jsonl")


def test_an_evaluation_is_the_same_whether_or_not_it_is_watched() -> None:
    suite = toy_suite(3)
    policy = TabularPolicy(suite.num_tasks, num_observations=16, num_actions=4)
    agent = MTGRPOAgent(suite, policy, TabularLearner(policy))
    problems, sample = suite.held_out(20), RolloutSample()
    unwatched, watched = agent.evaluate(problems), agent.evaluate(problems, on_group=sample.add)
    np.testing.assert_array_equal(watched.accuracies, unwatched.accuracies)
    assert {group.task_id for group in sample.groups} == {0, 1, 2}
