"""The figure is drawn whole for any run, the shortest included; every warning is an error here."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from mtgrpo_env.agents.reports.figure import draw_run
from mtgrpo_env.agents.reports.history import RunHistory
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.evaluation import Evaluation

MakeReport = Callable[..., TrainMetrics]
MakeEvaluation = Callable[..., Evaluation]


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    return RunHistory(tmp_path / "history.jsonl", last_step=-1)


def drawn(history: RunHistory, num_tasks: int, folder: Path) -> np.ndarray:
    """Draw into a folder of its own; the picture's pixels."""
    file = folder / "figure" / "progress.png"
    file.parent.mkdir(exist_ok=True)
    draw_run(history, [f"a-task-with-a-long-name-{k}" for k in range(num_tasks)], file, title="mt-grpo: step 12")
    assert [path.name for path in file.parent.iterdir()] == ["progress.png"], "no unfinished file may be left"
    assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return matplotlib.image.imread(file)


@pytest.mark.parametrize("num_tasks", [1, 3, 12])
def test_a_run_of_any_number_of_tasks_is_drawn(
    history: RunHistory, make_report: MakeReport, make_evaluation: MakeEvaluation, tmp_path: Path, num_tasks: int
) -> None:
    history.add_evaluation(0, 0, make_evaluation(*[0.1] * num_tasks))
    for step in range(1, 9):
        history.add_step(make_report(step, num_tasks))
    history.add_evaluation(8, 768, make_evaluation(*[0.6] * num_tasks))
    pixels = drawn(history, num_tasks, tmp_path)
    height, width = pixels.shape[:2]
    panels = [pixels[r : r + height // 2, c : c + width // 2] for r in (0, height // 2) for c in (0, width // 2)]
    assert all(panel.std() > 0.02 for panel in panels), "every panel must show something"


def test_a_run_that_was_only_evaluated_is_drawn(
    history: RunHistory, make_evaluation: MakeEvaluation, tmp_path: Path
) -> None:
    history.add_evaluation(0, 0, make_evaluation(0.1, 0.2, 0.3))
    assert drawn(history, 3, tmp_path).std() > 0


def test_a_run_that_was_never_evaluated_is_drawn(history: RunHistory, make_report: MakeReport, tmp_path: Path) -> None:
    history.add_step(make_report(1))
    assert drawn(history, 3, tmp_path).std() > 0


def test_tasks_that_were_not_played_or_not_generated_are_no_obstacle(
    history: RunHistory, make_report: MakeReport, make_evaluation: MakeEvaluation, tmp_path: Path
) -> None:
    none = np.zeros(3, dtype=np.int64)
    history.add_evaluation(0, 0, make_evaluation(0.1, math.nan, 0.3))
    history.add_step(make_report(1, kept=none, generated=none, accepted=none, accuracies=np.full(3, math.nan)))
    assert drawn(history, 3, tmp_path).std() > 0


def test_a_figure_replaces_the_one_before(
    history: RunHistory, make_report: MakeReport, make_evaluation: MakeEvaluation, tmp_path: Path
) -> None:
    history.add_evaluation(0, 0, make_evaluation(0.1, 0.2, 0.3))
    before = drawn(history, 3, tmp_path)
    history.add_step(make_report(1))
    assert not np.array_equal(drawn(history, 3, tmp_path), before)


def test_drawing_makes_the_same_picture_every_time_and_opens_no_window(
    history: RunHistory, make_evaluation: MakeEvaluation, tmp_path: Path
) -> None:
    history.add_evaluation(0, 0, make_evaluation(0.1, 0.2, 0.3))
    assert np.array_equal(drawn(history, 3, tmp_path), drawn(history, 3, tmp_path))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
