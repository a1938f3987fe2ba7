"""The numbers of each task: laws of shares and rates, and every reader of a step agrees on them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batches import drawn_batch
from fakes import ScriptedPolicy, guess_suite
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.reports.history import RunHistory, read_history, read_record
from mtgrpo_env.batch_metrics import (
    SHARES,
    BatchMetrics,
    TrainMetrics,
    batch_scalars,
    filter_rates,
    scalars,
    shares,
    task_amounts,
    task_numbers,
    task_ratios,
    task_scalars,
)
from mtgrpo_env.drafts import count_responses
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.shares import absolute_advantage, count_groups, totals
from mtgrpo_env.types import Batch, FloatArray, Group, Problem, Rollout

NUMBERS = {
    "task_weight",
    "target_share",
    "prompt_share",
    "token_share",
    "advantage_share",
    "reward",
    "improvement",
    "train_accuracy",
    "filter_rate",
    "response_length",
    "truncated_share",
    "entropy",
    "unanimous_share",
}
OF_A_BATCH = NUMBERS - {"reward", "improvement", "token_share"}
AMOUNTS = arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=st.just(0.0) | st.floats(1e-6, 1e6)
)
COUNTS = st.lists(st.integers(0, 50), min_size=3, max_size=3)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A step of three tasks, any of which may be absent from it."""
    generated = draw(COUNTS)
    positive = st.lists(st.floats(0.01, 10), min_size=3, max_size=3)
    rewards = st.lists(st.none() | st.floats(0, 1), min_size=3, max_size=3)
    return {
        "probabilities": shares(draw(positive)).tolist(),
        "targets": draw(COUNTS),
        "kept": draw(COUNTS),
        "accepted": [draw(st.integers(0, count)) for count in generated],
        "generated": generated,
        "accuracies": draw(rewards),
        "rewards": draw(rewards),
        "improvements": draw(rewards),
        "actions": draw(COUNTS),
        "abs_advantages": draw(positive),
        "loss_weights": draw(positive),
        "responses": [4 * count for count in generated],
        "lengths": draw(COUNTS),
        "truncated": [draw(st.integers(0, 4 * count)) for count in generated],
        "surprisals": draw(positive),
        "scored_tokens": draw(COUNTS),
        "unanimous": [draw(st.integers(0, count)) for count in generated],
    }


@given(amounts=AMOUNTS)
def test_shares_sum_to_1_or_are_all_0_where_there_is_nothing(amounts: FloatArray) -> None:
    found = shares(amounts)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=-1), (amounts.sum(axis=-1) > 0).astype(float))


@given(amounts=AMOUNTS, factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_shares_do_not_see_the_unit_of_their_amounts(amounts: FloatArray, factor: float) -> None:
    np.testing.assert_allclose(shares(factor * amounts), shares(amounts))


@given(amounts=AMOUNTS)
def test_shares_of_several_steps_are_those_of_each(amounts: FloatArray) -> None:
    np.testing.assert_array_equal(shares(amounts), [shares(step) for step in amounts])


@given(pairs=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1))
def test_a_filter_rate_is_a_share_and_unknown_only_where_nothing_was_generated(pairs: list[tuple[int, int]]) -> None:
    accepted, rejected = np.array(pairs).T
    rates = filter_rates(accepted, accepted + rejected)
    np.testing.assert_array_equal(np.isnan(rates), accepted + rejected == 0)
    np.testing.assert_allclose(np.nan_to_num(rates * (accepted + rejected)), rejected, atol=1e-9)


@given(record=records(), order=st.permutations(range(3)))
def test_permuted_tasks_have_permuted_numbers(record: dict[str, Any], order: list[int]) -> None:
    permuted = task_numbers({name: [values[k] for k in order] for name, values in record.items()})
    for name, values in task_numbers(record).items():
        np.testing.assert_allclose(permuted[name], values[order], err_msg=name)


@given(record=records())
def test_a_record_holds_every_number_and_what_is_not_known_is_nan(record: dict[str, Any]) -> None:
    numbers = task_numbers(record)
    assert set(numbers) == NUMBERS
    for name, field in (("train_accuracy", "accuracies"), ("reward", "rewards"), ("improvement", "improvements")):
        np.testing.assert_array_equal(np.isnan(numbers[name]), [value is None for value in record[field]])
    for name in ("task_weight", "target_share", *SHARES):
        assert not np.isnan(numbers[name]).any(), name


@given(record=records(), factor=st.sampled_from([0.5, 4.0]))
def test_loss_weights_count_relative_to_each_other_and_only_in_what_is_trained_on(
    record: dict[str, Any], factor: float
) -> None:
    scaled = {**record, "loss_weights": [factor * weight for weight in record["loss_weights"]]}
    for name, values in task_numbers(record).items():
        np.testing.assert_allclose(task_numbers(scaled)[name], values, err_msg=name)
    unweighted = {name: values for name, values in record.items() if name != "loss_weights"}
    ones = {**record, "loss_weights": [1.0] * 3}
    np.testing.assert_equal(task_numbers(unweighted), task_numbers(ones))


@given(steps=st.lists(records(), min_size=1, max_size=4))
def test_ratios_of_added_amounts_weigh_each_step_by_what_it_holds(steps: list[dict[str, Any]]) -> None:
    amounts = [task_amounts(step) for step in steps]
    pooled = task_ratios({name: np.sum([one[name] for one in amounts], axis=0) for name in amounts[0]})
    generated = np.array([one["generated"] for one in amounts])
    rates = np.array([task_ratios(one)["filter_rate"] for one in amounts])
    rejected = np.where(generated > 0, np.nan_to_num(rates) * generated, 0).sum(axis=0)
    np.testing.assert_allclose(np.nan_to_num(pooled["filter_rate"]) * generated.sum(axis=0), rejected, atol=1e-9)
    sizes = np.array([one["kept"].sum() for one in amounts])
    each = np.array([task_ratios(one)["prompt_share"] for one in amounts])
    np.testing.assert_allclose(pooled["prompt_share"] * sizes.sum(), sizes @ each, atol=1e-9)


@given(record=records(), names=st.sets(st.sampled_from(["kept", "generated", "accepted", "rewards"])))
def test_what_was_not_recorded_is_left_out(record: dict[str, Any], names: set[str]) -> None:
    numbers = task_numbers({name: values for name, values in record.items() if name not in names})
    of_generated = {"filter_rate", "unanimous_share"}
    lost = {"kept": {"prompt_share"}, "generated": of_generated, "accepted": {"filter_rate"}, "rewards": {"reward"}}
    assert set(numbers) == NUMBERS.difference(*(lost[name] for name in names))


def test_every_share_has_a_label_and_is_a_number_of_its_tasks() -> None:
    assert set(SHARES) <= NUMBERS
    assert len(set(SHARES.values())) == len(SHARES) == 3


# What a real run reports.


def make_agent() -> MTGRPOAgent:
    """Fewer groups than tasks, so that some are absent from a batch."""
    return MTGRPOAgent(toy_suite(5, num_digits=2, seed=0), policy="tabular", batch_size=4, group_size=4)


@pytest.fixture(scope="module")
def steps() -> tuple[tuple[str, ...], list[TrainMetrics]]:
    """The tasks' names, and the metrics of a run that knew no group of some task, and replayed some."""
    agent = make_agent()
    found: list[TrainMetrics] = []
    agent.train(12, [lambda _, metrics: found.append(metrics)])
    assert any((metrics.generated == 0).any() for metrics in found)
    assert any(metrics.replayed for metrics in found)
    return agent.suite.names, found


def test_the_history_holds_every_number_of_a_step(
    tmp_path: Path, steps: tuple[tuple[str, ...], list[TrainMetrics]]
) -> None:
    history = RunHistory(tmp_path / "history.jsonl", last_step=-1)
    for metrics in steps[1]:
        history.add_step(metrics)
    for metrics, record in zip(steps[1], read_history(history.file), strict=True):
        assert set(record) == {"kind", *metrics.record}
        assert set(task_numbers(record)) == NUMBERS
        np.testing.assert_equal(task_numbers(record), task_numbers(metrics.record))


def test_tensorboard_shows_every_number_of_a_step_that_is_known(
    tmp_path: Path, steps: tuple[tuple[str, ...], list[TrainMetrics]]
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from mtgrpo_env.agents.reports.scalars import Scalars
    from mtgrpo_env.agents.run_folder import RunFolder
    from mtgrpo_env.agents.trackers.base import TrackedRun
    from mtgrpo_env.agents.trackers.tensorboard_events import TensorBoard

    names, found = steps
    folder = RunFolder(tmp_path)
    tracker = TensorBoard(TrackedRun("run", "", folder, {}, names, first_step=1))
    for metrics in found:
        tracker.log(Scalars(names).of_step(metrics), metrics.step)
    tracker.close()
    events = accumulator.EventAccumulator(str(folder.tensorboard))
    events.Reload()
    shown = {(tag, event.step): event.value for tag in events.Tags()["scalars"] for event in events.Scalars(tag)}
    expected = {(tag, one.step): value for one in found for tag, value in task_scalars(names, one).items()}
    expected |= {(f"step/{tag}", one.step): value for one in found for tag, value in batch_scalars(one).items()}
    assert shown == pytest.approx(expected, rel=1e-6)


def test_a_log_of_one_s_own_is_given_every_number_of_a_step_that_is_known(
    steps: tuple[tuple[str, ...], list[TrainMetrics]],
) -> None:
    names, found = steps
    for metrics in found:
        logged = scalars(names, metrics)
        for number, values in task_numbers(metrics.record).items():
            for name, value in zip(names, values, strict=True):
                assert logged.get(f"{number}/{name}", np.nan) == pytest.approx(value, nan_ok=True)
        assert logged["replayed"] == metrics.replayed
        assert logged["kept_groups"] == metrics.kept.sum()
        assert logged["rollout_seconds"] == metrics.rollout_seconds
        assert set(metrics.learner) <= set(logged)
        json.dumps(logged, allow_nan=False)


def test_the_worst_task_is_among_those_that_are_known(steps: tuple[tuple[str, ...], list[TrainMetrics]]) -> None:
    names, found = steps
    for metrics in found:
        assert task_scalars(names, metrics).get("train_accuracy/worst_task", np.nan) == pytest.approx(
            np.nanmin(metrics.accuracies) if not np.isnan(metrics.accuracies).all() else np.nan, nan_ok=True
        )


def test_a_batch_has_the_numbers_that_its_groups_have() -> None:
    agent = make_agent()
    batches: list[Batch] = [agent.curriculum.draw(agent.roll_out)]
    while not batches[-1].groups:
        batches.append(agent.curriculum.draw(agent.roll_out))
    batch = batches[-1]
    numbers = task_numbers(BatchMetrics.of(batch).record)
    assert set(numbers) == OF_A_BATCH
    for name, measure in (("prompt_share", count_groups), ("advantage_share", absolute_advantage)):
        np.testing.assert_allclose(numbers[name], shares(totals(batch, measure)), err_msg=name)
    np.testing.assert_array_equal(numbers["task_weight"], batch.task_weights)


def test_a_tasks_loss_weight_is_the_mean_of_its_groups_and_weighs_no_advantage_twice() -> None:
    policy = ScriptedPolicy(lambda observation, task_id, place: place % 2)
    batch = drawn_batch(guess_suite([0.5, 0.9]), policy, MultinomialSampler(2, 8), np.full(2, 0.5), group_size=2)
    weighted = BatchMetrics.of(replace(batch, loss_weights=1.0 + np.arange(len(batch.groups))))
    for k in np.unique(batch.task_ids):
        assert weighted.loss_weights[k] == pytest.approx(1 + np.flatnonzero(batch.task_ids == k).mean())
    alike = replace(batch, loss_weights=np.ones(len(batch.groups)))
    np.testing.assert_allclose(weighted.abs_advantages, totals(alike, absolute_advantage))


def test_the_curriculum_logs_what_the_step_recorded() -> None:
    agent = make_agent()
    for _ in range(3):
        metrics = agent.train_step()
        logged = agent.curriculum.metrics()
        expected = scalars(agent.suite.names, metrics)
        assert OF_A_BATCH - {"entropy"} <= {tag.partition("/")[0] for tag in logged}
        assert {tag: expected[tag] for tag in logged} == pytest.approx(logged)


def test_records_of_earlier_versions_are_read_by_today_s_names() -> None:
    record = read_record('{"kind": "step", "step": 1, "carried": 3}')
    assert record == {"kind": "step", "step": 1, "replayed": 3}
    assert task_amounts({"kept": [2, 1]})["kept"].tolist() == [2, 1]  # before there were loss weights


# What is generated.


def test_what_was_generated_is_counted_by_task_whatever_was_trained_on() -> None:
    def rollout(reward: float, **facts: Any) -> Rollout:
        return Rollout((), reward, is_success=reward == 1, **facts)

    groups = [
        Group(Problem(0, 0), (rollout(1.0, length=4, log_prob=-2.0), rollout(1.0, length=2, is_truncated=True))),
        Group(Problem(0, 1), (rollout(0.0, length=6, log_prob=-1.0), rollout(1.0, length=8, valid=False))),
        Group(Problem(2, 0), (rollout(0.0, length=1), rollout(0.1, length=2, is_masked=True))),
    ]
    counts = count_responses(groups, num_tasks=3)
    numbers = task_ratios({**asdict(counts), "generated": [2, 0, 1]})
    np.testing.assert_equal(numbers["response_length"], [5.0, np.nan, 1.5])
    np.testing.assert_equal(numbers["truncated_share"], [0.25, np.nan, 0.0])
    np.testing.assert_equal(numbers["entropy"], [0.3, np.nan, np.nan])  # 3 nats over the 10 tokens that are known
    np.testing.assert_equal(numbers["unanimous_share"], [1.0, np.nan, 0.0])


def test_the_share_replayed_is_of_the_groups_wanted(steps: tuple[tuple[str, ...], list[TrainMetrics]]) -> None:
    found = [metrics for metrics in steps[1] if metrics.replayed]
    assert found
    for metrics in found:
        short = replace(metrics, kept=metrics.kept - 1)
        assert batch_scalars(short)["replayed_share"] == metrics.replayed / metrics.targets.sum()


def test_a_record_without_counts_of_responses_shows_none_of_their_numbers() -> None:
    agent = make_agent()
    metrics = replace(BatchMetrics.of(agent.curriculum.draw(agent.roll_out)), responses=None)
    assert not task_numbers(metrics.record).keys() & {"response_length", "entropy"}
    assert "response_length" not in batch_scalars(metrics)
