"""MLflow: the server that its environment names, else a database beside the run's folder."""

from __future__ import annotations

import csv
import io
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence

from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
from mlflow.entities import Metric, Param  # pyright: ignore[reportMissingImports]

from mtgrpo_env.agents.reports.task_table import COLUMNS, TaskRow, cells
from mtgrpo_env.agents.trackers.base import PROJECT, TrackedRun

_TAG = "mtgrpo.run"
_NOT_IN_A_NAME = re.compile(r"[^\w\-. :]")  # of what follows the quantity
_LONGEST_VALUE = 6000
_PARAMETERS, _METRICS = 100, 1000  # in a call, at most
_WAITING = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""How long a run waits for a server at most, unless the environment says otherwise."""


class MLflow:
    """A run of MLflow.

    Args:
        run: that it shows; a resumed one is continued there, and options that have changed become tags.
    """

    def __init__(self, run: TrackedRun) -> None:
        for name, value in _WAITING.items():
            os.environ.setdefault(name, value)
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        beside = run.folder.path.resolve().parent
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{beside / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=self._uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        if (known := self._client.get_experiment_by_name(name)) is not None:
            experiment = known.experiment_id
        else:
            location = None if "MLFLOW_TRACKING_URI" in os.environ else (beside / "mlflow").as_uri()
            experiment = self._client.create_experiment(name, artifact_location=location)
        found = self._client.search_runs([experiment], filter_string=f"tags.`{_TAG}` = '{run.id}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._client.create_run(experiment, run_name=run.name, tags={_TAG: run.id}).info.run_id
        self._names: dict[str, str] = {}
        self._log_options(run.options)

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        metrics = [Metric(self._name(tag), value, now, step) for tag, value in scalars.items()]
        for start in range(0, len(metrics), _METRICS):
            self._client.log_batch(self._id, metrics=metrics[start : start + _METRICS])

    def log_table(self, rows: Sequence[TaskRow], step: int) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *map(cells, rows)])
        self._client.log_text(self._id, text.getvalue(), "tasks.csv")

    def close(self) -> None:
        self._client.set_terminated(self._id)

    @property
    def place(self) -> str:
        is_local = self._uri.startswith("sqlite:")
        return f"mlflow: mlflow ui --backend-store-uri {self._uri}" if is_local else f"mlflow: {self._uri}"

    def _log_options(self, options: Mapping[str, object]) -> None:
        known = self._client.get_run(self._id).data.params
        given = {name: str(value)[:_LONGEST_VALUE] for name, value in options.items()}
        new = [Param(name, value) for name, value in given.items() if name not in known]
        for start in range(0, len(new), _PARAMETERS):
            self._client.log_batch(self._id, params=new[start : start + _PARAMETERS])
        for name, value in given.items():
            if known.get(name, value) != value:  # parameters cannot be changed
                self._client.set_tag(self._id, f"resumed.{name}", value)

    def _name(self, tag: str) -> str:
        """A tag in the letters that MLflow takes; no two tags have one name."""
        if tag not in self._names:
            quantity, slash, rest = tag.partition("/")
            name = quantity + slash + _NOT_IN_A_NAME.sub("_", rest).lstrip(".")
            taken = set(self._names.values())
            number = 2
            unique = name
            while unique in taken:
                unique, number = f"{name}_{number}", number + 1
            self._names[tag] = unique
        return self._names[tag]
