"""TensorBoard reads what was written, under one tag for each task."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout  # pyright: ignore[reportAttributeAccessIssue]  # generated

from mtgrpo_env.agents.reports.scalars import Scalars
from mtgrpo_env.agents.reports.task_table import TaskRow
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.agents.trackers.base import TrackedRun
from mtgrpo_env.agents.trackers.tensorboard_events import TensorBoard, layout
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.types import ResponseCounts

NAMES = ("countdown-mini", "zebra-mini")
PER_TASK = (
    "task_weight",
    "target_share",
    "prompt_share",
    "token_share",
    "advantage_share",
    "reward",
    "improvement",
    "train_accuracy",
    "filter_rate",
)
PER_STEP = (
    "loss",
    "gradient_norm",
    "rollout_seconds",
    "update_seconds",
    "cpu_seconds",
    "rounds",
    "rollouts",
    "replayed",
    "replayed_share",
    "generated_groups",
    "informative_groups",
    "kept_groups",
)

MakeReport = Callable[..., TrainMetrics]
MakeEvaluation = Callable[..., Evaluation]


class Writer:
    """Writes what is given to it as TensorBoard's scalars."""

    def __init__(self, folder: Path, names: tuple[str, ...] = NAMES, *, first_step: int = 1) -> None:
        self._scalars = Scalars(names)
        run = TrackedRun("run", "", RunFolder(folder), {}, self._scalars.names, first_step)
        self._tracker = TensorBoard(run)
        self.close = self._tracker.close

    def add_step(self, metrics: TrainMetrics) -> None:
        self._tracker.log(self._scalars.of_step(metrics), metrics.step)

    def add_evaluation(self, step: int, evaluation: Evaluation) -> None:
        self._tracker.log(self._scalars.of_evaluation(evaluation), step)


def layouts_in(folder: Path) -> list[dict[str, dict[str, list[str]]]]:
    """Category to chart to tags, of every layout that was written."""
    events = EventAccumulator(str(RunFolder(folder).tensorboard))
    events.Reload()
    found: list[dict[str, dict[str, list[str]]]] = []
    for event in events.Tensors("custom_scalars__config__"):
        layout = Layout.FromString(event.tensor_proto.string_val[0])
        charts = {category.title: category.chart for category in layout.category}
        found.append({title: {c.title: list(c.multiline.tag) for c in charts[title]} for title in charts})
    return found


def scalars_in(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag to (step, value) pairs, as TensorBoard shows them."""
    events = EventAccumulator(str(RunFolder(folder).tensorboard))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_step_is_written_under_one_tag_for_each_task_and_one_for_each_scalar(
    tmp_path: Path, make_report: MakeReport
) -> None:
    writer = Writer(tmp_path, first_step=1)
    writer.add_step(make_report(1, num_tasks=2))
    writer.close()
    scalars = scalars_in(tmp_path)
    tags = {f"{quantity}/{name}" for quantity in PER_TASK for name in NAMES}
    assert set(scalars) == tags | {"train_accuracy/worst_task"} | {f"step/{name}" for name in PER_STEP}
    expected = {
        "task_weight/countdown-mini": 1 / 2,
        "target_share/countdown-mini": 1 / 3,
        "prompt_share/countdown-mini": 2 / 3,
        "prompt_share/zebra-mini": 1 / 3,
        "token_share/countdown-mini": 1 / 3,
        "advantage_share/zebra-mini": 2 / 3,
        "reward/zebra-mini": 1 / 2,
        "improvement/zebra-mini": -1 / 8,
        "train_accuracy/zebra-mini": 1 / 4,
        "filter_rate/zebra-mini": 3 / 4,
        "step/loss": -1 / 8,
        "step/rollouts": 96,
    }
    for tag, value in expected.items():
        assert scalars[tag] == [(1, pytest.approx(value))], tag


def test_shares_count_each_group_by_its_weight_in_the_loss(tmp_path: Path, make_report: MakeReport) -> None:
    """2 groups and 1, 10 actions and 20, weighted 1/2 and 2."""
    writer = Writer(tmp_path, first_step=1)
    writer.add_step(make_report(1, num_tasks=2, loss_weights=np.array([0.5, 2.0])))
    writer.close()
    scalars = scalars_in(tmp_path)
    assert scalars["prompt_share/zebra-mini"] == [(1, pytest.approx(2 / 3))]
    assert scalars["token_share/zebra-mini"] == [(1, pytest.approx(40 / 45))]


def test_files_of_two_processes_are_read_in_the_order_of_their_making(tmp_path: Path, make_report: MakeReport) -> None:
    """Their names hold a second, then the process: two of one second would be read in the order of the latter."""
    for first_step in (1, 3, 5):
        writer = Writer(tmp_path, first_step=first_step)
        for step in range(first_step, first_step + 3):
            writer.add_step(make_report(step, num_tasks=2))
        writer.close()
    seconds = [file.name.split(".")[3] for file in RunFolder(tmp_path).tensorboard.iterdir()]
    assert len(set(seconds)) == 3
    assert [step for step, _ in scalars_in(tmp_path)["step/rounds"]] == [1, 2, 3, 4, 5, 6, 7]


def test_files_with_names_like_those_of_events_are_none(tmp_path: Path, make_report: MakeReport) -> None:
    folder = RunFolder(tmp_path).tensorboard
    folder.mkdir(parents=True)
    for name in ("events.out.tfevents.x", "events.out.tfevents", "events.out.tfevents.12", "events.md"):
        (folder / name).touch()
    writer = Writer(tmp_path)
    writer.add_step(make_report(1, num_tasks=2))
    writer.close()
    assert len([file for file in folder.iterdir() if file.stat().st_size]) == 1


def test_an_evaluation_is_written_for_each_task_the_worst_and_the_average(
    tmp_path: Path, make_evaluation: MakeEvaluation
) -> None:
    writer = Writer(tmp_path, first_step=1)
    writer.add_evaluation(0, make_evaluation(0.25, 0.75))
    writer.close()
    assert scalars_in(tmp_path) == {
        "accuracy/countdown-mini": [(0, 0.25)],
        "accuracy/zebra-mini": [(0, 0.75)],
        "accuracy/worst_task": [(0, 0.25)],
        "accuracy/average": [(0, 0.5)],
    }


def test_the_table_of_the_tasks_is_a_text(tmp_path: Path) -> None:
    run = TrackedRun("run", "", RunFolder(tmp_path), {}, NAMES, 1)
    tracker = TensorBoard(run)
    tracker.log_table([TaskRow("a|b", 0.25, 0.5, 0.4, 0.6, math.nan, 0.2, 100)], 3)
    tracker.close()
    events = EventAccumulator(str(RunFolder(tmp_path).tensorboard))
    events.Reload()
    (event,) = events.Tensors("tasks/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    assert (event.step, text.splitlines()[2]) == (3, r"| a\|b | 0.25 | 0.5 | 0.4 | 0.6 | - | 0.2 | 100 |")
    assert tracker.place == f"scalars: tensorboard --logdir {RunFolder(tmp_path).tensorboard}"


def test_what_is_not_known_of_an_absent_task_is_left_out(tmp_path: Path, make_report: MakeReport) -> None:
    writer = Writer(tmp_path, first_step=1)
    zeros, unknown = np.array([2, 0]), np.array([0.5, math.nan])
    writer.add_step(make_report(1, num_tasks=2, generated=zeros, accepted=zeros, kept=0 * zeros, accuracies=unknown))
    writer.close()
    scalars = scalars_in(tmp_path)
    assert "train_accuracy/zebra-mini" not in scalars
    assert "filter_rate/zebra-mini" not in scalars
    assert scalars["filter_rate/countdown-mini"] == [(1, 0.0)]
    assert scalars["prompt_share/zebra-mini"] == [(1, 0.0)]


def test_what_a_killed_process_wrote_beyond_its_checkpoint_is_hidden(tmp_path: Path, make_report: MakeReport) -> None:
    killed = Writer(tmp_path, first_step=1)
    for step in (1, 2, 3, 4):
        killed.add_step(make_report(step, num_tasks=2, rounds=1))
    killed.close()
    resumed = Writer(tmp_path, first_step=3)
    resumed.add_step(make_report(3, num_tasks=2, rounds=5))
    resumed.close()
    assert scalars_in(tmp_path)["step/rounds"] == [(1, 1.0), (2, 1.0), (3, 5.0)]


def test_a_report_of_another_number_of_tasks_is_a_mistake(tmp_path: Path, make_report: MakeReport) -> None:
    writer = Writer(tmp_path, first_step=1)
    with pytest.raises(ValueError, match="longer"):
        writer.add_step(make_report(1, num_tasks=3))
    writer.close()


def test_tensorboard_has_a_category_for_each_question_and_a_chart_for_each_task(
    tmp_path: Path, make_report: MakeReport, make_evaluation: MakeEvaluation
) -> None:
    writer = Writer(tmp_path, first_step=1)
    evaluation = replace(make_evaluation(0.5, 0.25), mean_lengths=np.ones(2), truncated_shares=np.zeros(2))
    writer.add_evaluation(0, evaluation)
    ones = np.ones(2, dtype=np.int64)
    responses = ResponseCounts(ones, ones, ones, np.ones(2), ones, ones)
    writer.add_step(make_report(1, num_tasks=2, responses=responses))
    writer.close()
    (written_layout,) = layouts_in(tmp_path)
    expected = ["accuracy", "task weight against share", "filter rate", "reward"]
    expected += ["response length", "truncated responses", "entropy", "unanimous groups"]
    assert list(written_layout) == expected
    assert list(written_layout["accuracy"]) == ["worst task and average", *NAMES]
    assert list(written_layout["filter rate"]) == list(NAMES)
    written = scalars_in(tmp_path)
    patterns = [pattern for charts in written_layout.values() for tags in charts.values() for pattern in tags]
    for pattern in patterns:
        assert sum(re.match(pattern, tag) is not None for tag in written) == 1, pattern


def test_a_chart_does_not_take_in_a_task_whose_name_goes_on() -> None:
    tags = layout(("zebra-mini", "zebra-mini_hard"))["filter rate"]["zebra-mini"][1]
    assert [re.match(tag, "filter_rate/zebra-mini_hard") for tag in tags] == [None]


def test_the_layout_is_written_once_and_outlives_what_is_hidden(tmp_path: Path, make_report: MakeReport) -> None:
    for first_step in (1, 3, 2):
        writer = Writer(tmp_path, first_step=first_step)
        writer.add_step(make_report(first_step, num_tasks=2))
        writer.close()
    assert len(layouts_in(tmp_path)) == 1
    assert [step for step, _ in scalars_in(tmp_path)["step/rounds"]] == [1, 2]
