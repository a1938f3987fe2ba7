"""Weights & Biases: online where there is a key, else offline in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import wandb  # pyright: ignore[reportMissingImports]

from mtgrpo_env.agents.reports.task_table import COLUMNS, TaskRow, cells
from mtgrpo_env.agents.trackers.base import PROJECT, TrackedRun

_SECONDS = {"WANDB_INIT_TIMEOUT": "30", "WANDB_FINISH_TIMEOUT": "60"}
"""That a run waits for a server at most, unless the environment says otherwise."""
_SETTINGS = {
    "silent": True,  # the run has a display of its own
    "console": "off",
    "save_code": False,
    "disable_git": True,  # a remote's URL may hold a token, and so may a command line
    "x_disable_meta": True,
    "x_save_requirements": False,
}


class WandB:
    """A run of Weights & Biases.

    Args:
        run: that it shows; a resumed one is continued there, where steps that it takes again are left as they were.
    """

    def __init__(self, run: TrackedRun) -> None:
        for name, seconds in _SECONDS.items():
            os.environ.setdefault(name, seconds)
        has_key = "WANDB_MODE" in os.environ or wandb.login(prompt=False, verify=False)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            id=run.id,
            resume="allow",
            dir=run.folder.path,
            config=dict(run.options),
            mode=None if has_key else "offline",
            settings=wandb.Settings(**_SETTINGS),
        )

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        self._run.log(dict(scalars), step=step)

    def log_table(self, rows: Sequence[TaskRow], step: int) -> None:
        self._run.log({"tasks": wandb.Table(columns=list(COLUMNS), data=[cells(row) for row in rows])}, step=step)

    def close(self) -> None:
        self._run.finish()

    @property
    def place(self) -> str:
        if self._run.offline:
            parts = os.path.dirname(os.path.dirname(self._run.dir))  # a folder for each time that the run was resumed
            return f"wandb: written offline; wandb sync {parts}/offline-run-*-{self._run.id}"
        return f"wandb: {self._run.url}"
