"""The trackers of a run, of which none can end it: one that fails is named once and then left alone."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.reports.task_table import TaskRow
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.agents.trackers.base import TrackedRun, Tracker
from mtgrpo_env.files import atomic_file
from mtgrpo_env.redaction import redacted

_LOG = logging.getLogger(__name__)
_CLASSES = {
    "tensorboard": ("tensorboard_events", "TensorBoard"),
    "wandb": ("wandb_run", "WandB"),
    "trackio": ("trackio_run", "Trackio"),
    "mlflow": ("mlflow_run", "MLflow"),
}
"""By the names of options: the module, which alone needs the package, and the class in it."""


class Trackers:
    """Passes scalars on to each.

    Args:
        names: of trackers; "none" is none.
        run: that they show.
    """

    def __init__(self, names: Sequence[str], run: TrackedRun) -> None:
        self._open: dict[str, Tracker] = {}
        for name in names:
            if name in _CLASSES:
                self._guard(name, lambda name=name: self._open.update({name: _opened(name, run)}))

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """See `Tracker.log`."""
        for name, tracker in list(self._open.items()):
            self._guard(name, lambda tracker=tracker: tracker.log(scalars, step))

    def log_table(self, rows: Sequence[TaskRow], step: int) -> None:
        """See `Tracker.log_table`."""
        for name, tracker in list(self._open.items()):
            self._guard(name, lambda tracker=tracker: tracker.log_table(rows, step))

    def close(self) -> None:
        """Close all that are left."""
        for name, tracker in list(self._open.items()):
            self._guard(name, tracker.close)
        self._open.clear()

    @property
    def places(self) -> list[str]:
        """Where a person finds the run, a line for each tracker that works."""
        return [redacted(tracker.place) for tracker in self._open.values()]

    def _guard(self, name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # whatever a tracker's library may raise
            self._open.pop(name, None)
            reason = redacted(" ".join(str(error).split())) or type(error).__name__
            _LOG.warning("%s is left out from here on, the run goes on without it: %.300s", name, reason)


def tracked_run(config: TrainConfig, folder: RunFolder, tasks: tuple[str, ...], *, first_step: int) -> TrackedRun:
    """A run as its trackers know it; an id is kept beside it where one of them is not in its folder."""
    run_id = _kept_id(folder.trackers) if {*config.report_to} - {"tensorboard", "none"} else ""
    name = f"{folder.path.resolve().name}-{run_id}"
    options = {option: _without_secrets(value) for option, value in config.plain.items()}
    return TrackedRun(name, run_id, folder, options, tasks, first_step)


def _opened(name: str, run: TrackedRun) -> Tracker:
    module, kind = _CLASSES[name]
    return getattr(import_module(f"mtgrpo_env.agents.trackers.{module}"), kind)(run)


def _kept_id(file: Path) -> str:
    """Random, and the same whenever the run is resumed."""
    if file.is_file():
        return str(json.loads(file.read_text(encoding="utf-8"))["id"])
    run_id = secrets.token_hex(4)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as unfinished:
        unfinished.write_text(json.dumps({"id": run_id}), encoding="utf-8")
    return run_id


def _without_secrets(value: object) -> object:
    if isinstance(value, list):
        return [_without_secrets(part) for part in value]
    return redacted(value) if isinstance(value, str) else value
