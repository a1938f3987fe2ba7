"""Trackers show a run, a resumed one in the same place, and none of them learns a secret or ends the run.

What they stored is read by their own packages; where one is not installed, its tests are skipped.
"""

from __future__ import annotations

import csv
import glob
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from offline_wandb import rows_of, run_of
from training_runs import TASKS

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.reports.task_table import COLUMNS, TaskRow, task_rows
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.agents.trackers.base import TrackedRun
from mtgrpo_env.agents.trackers.reporting import Trackers, tracked_run
from mtgrpo_env.agents.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the packages warn of what they use themselves

os.environ["TRACKIO_DIR"] = tempfile.mkdtemp()  # which it reads when it is imported
NAMES = ("wandb", "trackio", "mlflow")
ROWS = [TaskRow("zebra", 0.25, 0.5, 0.4, 0.6, 0.1, float("nan"), 100), TaskRow("a,b", 0.5, 0.75, 0.7, 0.8, 0.1, 0.2, 9)]
SECRETS = ("pa55word9", "hf_abcdefghijklmnop1234", "sk-0123456789abcdefghij", "t0ken-in-environment")


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No tracker finds the settings, keys or stores of whoever runs the tests."""
    for variable in list(os.environ):
        if variable.startswith(("WANDB_", "MLFLOW_", "TRACKIO_PROJECT")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("MY_SERVICE_TOKEN", SECRETS[3])
    monkeypatch.setenv("TRACKIO_PROJECT", f"p-{tmp_path.name}")
    monkeypatch.setattr(sys, "argv", ["mtgrpo", "--rollouts", f"http://me:{SECRETS[0]}@host:8000"])


def run_in(folder: Path, *, first_step: int = 1, report_to: Any = NAMES, **options: Any) -> TrackedRun:
    config = TrainConfig(report_to=report_to, **options)
    secret = {"rollouts": f"http://me:{SECRETS[0]}@host:8000", "system": f"{SECRETS[1]} {SECRETS[2]} {SECRETS[3]}"}
    for name, value in secret.items():  # which a config refuses, as far as it knows them
        object.__setattr__(config, name, value)
    return tracked_run(config, RunFolder(folder), ("zebra", "a,b"), first_step=first_step)


def show(name: str, folder: Path) -> str:
    """A run of four steps, killed after the third and resumed after the second; where it is found."""
    pytest.importorskip(name, reason=f"the {name} extra is not installed")
    place = ""
    for first_step, last_step in ((1, 3), (3, 4)):
        trackers = Trackers([name], run_in(folder, first_step=first_step, steps=last_step))
        if first_step == 1:
            trackers.log({"accuracy/zebra": 0.25, "accuracy/worst_task": 0.25}, 0)
        for step in range(first_step, last_step + 1):
            trackers.log({"filter_rate/zebra": step / 8, "reward/a,b": 0.5, "step/loss": -step}, step)
        trackers.log({"accuracy/zebra": 0.5, "accuracy/worst_task": 0.5}, last_step)
        trackers.log_table(ROWS, last_step)
        (place,) = trackers.places
        trackers.close()
    return place


def assert_no_secret_below(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    for path in files:
        for secret in SECRETS:
            assert secret.encode() not in path.read_bytes(), path


def test_wandb_is_written_offline_where_there_is_no_key(tmp_path: Path) -> None:
    place = show("wandb", tmp_path / "run")
    assert place.startswith("wandb: written offline; wandb sync ")
    (part,) = glob.glob(place.rpartition(" ")[2])  # a resumed run has several, all of which are named
    assert Path(part).is_dir()
    import wandb  # pyright: ignore[reportMissingImports]

    wandb.teardown()  # as when Python ends: its own process writes the rest
    files = sorted((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2, "one of each process, which sync joins by the id"
    kept = json.loads((tmp_path / "run" / "trackers.json").read_text())["id"]
    for file, steps in zip(files, ([0, 1, 2, 3], [3, 4]), strict=True):
        run, rows = run_of(file), rows_of(file)
        assert (run.run_id, run.project, run.display_name) == (kept, "mtgrpo", f"run-{kept}")
        assert [row["_step"] for row in rows] == steps
        assert rows[-1]["accuracy/worst_task"] == 0.5
        assert rows[-1]["filter_rate/zebra"] == steps[-1] / 8
        options = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert (options["steps"], options["rollouts"]) == (steps[-1], "http://host:8000")
    table = json.loads((files[1].parent / "files" / rows_of(files[1])[-1]["tasks.path"]).read_text())
    assert table["columns"] == list(COLUMNS)
    assert table["data"][0] == ["zebra", 0.25, 0.5, 0.4, 0.6, 0.1, None, 100]
    assert_no_secret_below(tmp_path)


def test_trackio_shows_one_run_with_its_options_and_the_table(tmp_path: Path) -> None:
    place = show("trackio", tmp_path / "run")
    import trackio  # pyright: ignore[reportMissingImports]
    from trackio.sqlite_storage import SQLiteStorage  # pyright: ignore[reportMissingImports]

    project = os.environ["TRACKIO_PROJECT"]
    (run,) = trackio.Api().runs(project)
    assert place == f"trackio: trackio show --project {project}, run {run.name}"
    assert run.config["rollouts"] == "http://host:8000"
    rows = SQLiteStorage.get_logs(project, run.name)
    assert {row["step"]: row["filter_rate/zebra"] for row in rows if "filter_rate/zebra" in row} == {
        step: step / 8 for step in (1, 2, 3, 4)
    }
    assert [row["accuracy/worst_task"] for row in rows if "accuracy/worst_task" in row] == [0.25, 0.5, 0.5]
    tables = [row["tasks"]["_value"] for row in rows if "tasks" in row]
    assert [one["task"] for one in tables[-1]] == ["zebra", "a,b"]
    assert_no_secret_below(Path(os.environ["TRACKIO_DIR"]))


def test_mlflow_shows_one_run_with_its_options_and_the_table(tmp_path: Path) -> None:
    place = show("mlflow", tmp_path / "run")
    from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert place == f"mlflow: mlflow ui --backend-store-uri {uri}"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mtgrpo")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["rollouts"] == "http://host:8000"
    assert (run.data.params["steps"], run.data.tags["resumed.steps"]) == ("3", "4")
    values = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "filter_rate/zebra")}
    assert values == {step: step / 8 for step in (1, 2, 3, 4)}
    assert run.data.metrics["reward/a_b"] == 0.5
    table = client.download_artifacts(run.info.run_id, "tasks.csv")
    with open(table, encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            list(COLUMNS),
            ["zebra", "0.25", "0.5", "0.4", "0.6", "0.1", "", "100"],
            ["a,b", "0.5", "0.75", "0.7", "0.8", "0.1", "0.2", "9"],
        ]
    assert_no_secret_below(tmp_path)


def test_mlflow_gives_no_two_tags_one_name(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the mlflow extra is not installed")
    from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

    trackers = Trackers(["mlflow"], run_in(tmp_path / "run"))
    tags = {f"accuracy/{name}": value for value, name in enumerate(["a,b", "a;b", "../x", "ä(1)", "a/b//c", "x" * 200])}
    trackers.log(tags, 1)
    trackers.close()
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mtgrpo")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.metrics.values()) == list(range(6))
    assert {"accuracy/a_b", "accuracy/a_b_2"} <= set(run.data.metrics)


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("wandb", {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_INIT_TIMEOUT": "1"}),
        ("mlflow", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}),
    ],
)
def test_a_server_that_does_not_answer_costs_one_warning(
    tmp_path: Path, name: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    pytest.importorskip(name, reason=f"the {name} extra is not installed")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    trackers = Trackers(["tensorboard", name], run_in(tmp_path / "run"))
    for step in (1, 2):
        trackers.log({"step/loss": 1.0}, step)
    warnings = [record.getMessage() for record in caplog.records if record.name.startswith("mtgrpo_env")]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{name} is left out from here on, the run goes on without it: ")
    assert len(trackers.places) == 1
    trackers.close()


class Failing:
    """A tracker that fails at one of its calls, with a secret in what it says."""

    def __init__(self, at: str) -> None:
        self.at, self.calls = at, list[str]()

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.at:
            raise RuntimeError(f"POST http://me:{SECRETS[0]}@host failed\n\n{SECRETS[1]}")

    def log(self, scalars: Any, step: int) -> None:
        self._call("log")

    def log_table(self, rows: Any, step: int) -> None:
        self._call("log_table")

    def close(self) -> None:
        self._call("close")

    @property
    def place(self) -> str:
        return "here"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Failing]:
    def make(at: str) -> Failing:
        tracker = Failing(at)
        monkeypatch.setattr("mtgrpo_env.agents.trackers.reporting._opened", lambda name, run: tracker)
        return tracker

    return make


@pytest.mark.parametrize("at", ["log", "log_table", "close"])
def test_a_tracker_that_fails_is_named_once_without_secrets_and_left_alone(
    tmp_path: Path, at: str, opened: Callable[[str], Failing], caplog: Any
) -> None:
    tracker = opened(at)
    trackers = Trackers(["wandb"], run_in(tmp_path / "run"))
    for _ in range(2):
        trackers.log({}, 1)
    trackers.log_table(ROWS, 1)
    trackers.close()
    assert tracker.calls.count(at) == 1
    assert tracker.calls[-1] == at
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "wandb is left out from here on, the run goes on without it: POST http://host failed ***"
    )


def test_an_id_is_kept_where_a_tracker_needs_one(tmp_path: Path) -> None:
    assert run_in(tmp_path / "a", report_to="tensorboard").id == ""
    assert not (tmp_path / "a").exists()
    first, again, other = (run_in(tmp_path / name) for name in ("a", "a", "b"))
    assert first.id == again.id != other.id
    assert first.name == f"a-{first.id}"


def test_a_run_shows_its_scalars_and_its_table_in_the_trackers_that_it_is_told(
    model_folder: Path, tmp_path: Path, opened: Callable[[str], Failing]
) -> None:
    tracker = opened("")
    sizes: dict[str, Any] = {"batch_size": 4, "group_size": 4, "minibatches": 2, "eval_problems": 4, "steps": 2}
    config = TrainConfig(report_to=("tensorboard",), tasks=TASKS, max_new_tokens=8, device="cpu", lr=1e-3, **sizes)
    trainer = Trainer(model_folder, out=tmp_path / "run", config=config)
    trainer.train()
    assert tracker.calls == ["log", "log", "log", "log", "log_table", "close"]  # two evaluations, two steps
    rows = task_rows(trainer.suite.names, trainer.history.records)
    assert sorted(row.task for row in rows) == sorted(TASKS)
    assert rows[0].accuracy <= rows[1].accuracy
    for row in rows:
        assert row.low <= row.accuracy <= row.high


def test_the_table_is_of_the_evaluation_that_is_asked_for_the_worst_task_first() -> None:
    accuracies: list[list[float | None]] = [[0.5, 0.25, None], [0.1, 0.5, None], [0.9, 0.4, None]]
    records = [
        {"kind": "evaluation", "step": 10 * n, "accuracies": of, "counts": [10, 10, 0]}
        for n, of in enumerate(accuracies)
    ]
    names = ("a", "b", "c")
    assert [row.task for row in task_rows(names, records)] == ["b", "a", "c"]
    first, second, unknown = task_rows(names, records, step=10)
    assert (first.task, first.start, first.accuracy, second.task) == ("a", 0.5, 0.1, "b")
    assert np.isnan([unknown.accuracy, unknown.low, first.guess]).all()
    assert task_rows(names, records, step=5) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("tensorboard", "neptune"), "report_to must be one of .*'none'.*, got 'neptune'"),
        (("wandb", "none"), "report_to must be none alone or trackers, got wandb none"),
    ],
)
def test_a_tracker_that_is_not_known_is_refused(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(report_to=given)  # pyright: ignore[reportArgumentType]
