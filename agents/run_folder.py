"""The folder of a training run: what lies where, which checkpoints there are, and whose run it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.checkpoint_files import drop_optimizer_state
from mtgrpo_env.agents.config import MAY_CHANGE, TrainConfig, read_yaml
from mtgrpo_env.agents.options import OPTION_NAMES
from mtgrpo_env.files import clean_up_scratch, refuse_unwritable_folder, remove_folder
from mtgrpo_env.folder_lock import FolderLock
from mtgrpo_env.manifest import DamagedError
from mtgrpo_env.ranges import Range

RUN_FILE = "run.json"
"""In a checkpoint: what it knows of its run; see `RunRecord`."""

_CHECKPOINT = re.compile(r"step-(\d{6,})")
_BY_CONTENT = frozenset({"model", "tasks"})  # options that such a file says more of than their text


class RunFolder:
    """The one owner of the file names of a run.

    Args:
        path: of the folder, which need not exist.

    Attributes:
        lock: of the process that trains here.

    >>> RunFolder("runs/main").checkpoint(60).as_posix()
    'runs/main/checkpoints/step-000060'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.history = self.path / "history.jsonl"
        self.samples = self.path / "samples.jsonl"
        self.training_samples = self.path / "training_samples.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.trackers = self.path / "trackers.json"
        self.figure = self.path / "progress.png"
        self.checkpoints = self.path / "checkpoints"
        self.log = self.path / "train.log"
        self.failures = self.path / "failures.log"
        self.lock = FolderLock(self.path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def is_run(self) -> bool:
        """Whether it holds a run's options and history."""
        return self.config.is_file() and self.history.is_file()

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step is kept."""
        return self.checkpoints / f"step-{step:06d}"

    @property
    def steps(self) -> list[int]:
        """Of the checkpoints, in order."""
        paths = self.checkpoints.iterdir() if self.checkpoints.is_dir() else []
        names = [_CHECKPOINT.fullmatch(path.name) for path in paths if path.is_dir()]
        return sorted(int(name.group(1)) for name in names if name)

    @property
    def newest_checkpoint(self) -> Path | None:
        """The checkpoint of the highest step, None if there is none."""
        steps = self.steps
        return self.checkpoint(steps[-1]) if steps else None

    def prune_checkpoints(self, *, newest: int, also: Collection[int] = ()) -> None:
        """Delete all checkpoints but the `newest` ones and those of the steps `also`.

        Raises:
            ValueError: if `newest` is below 1.
        """
        Range(1).check("newest", newest)
        for step in set(self.steps[:-newest]).difference(also):
            remove_folder(self.checkpoint(step))

    def prune_optimizer_states(self, *, newest: int) -> None:
        """Leave the optimiser's state in the `newest` checkpoints only, from which a run may be resumed."""
        for step in self.steps[:-newest]:
            drop_optimizer_state(self.checkpoint(step))

    def clean_up_interrupted_saves(self) -> None:
        """Undo what a killed process left half done; for the holder of the lock."""
        for folder in (self.path, self.checkpoints):
            clean_up_scratch(folder)

    def refuse_unwritable(self) -> None:
        """Make sure that a run can be written here.

        Raises:
            OSError: naming the folder that cannot be.
        """
        for folder in (self.path, self.checkpoints):
            refuse_unwritable_folder(folder)

    def read_options(self) -> Mapping[str, Any]:
        """The run's options as they stand in its file, of whatever version; no name in them is looked up."""
        return read_yaml(self.config)

    def refuse_another_run(self, config: TrainConfig, *, may_change: frozenset[str] | None = None) -> None:
        """Make sure that a folder that holds a run holds this one; without a step there is nothing to lose.

        Args:
            config: of this run.
            may_change: options that may differ; by default those that do not change what is trained, and the paths of
                model and tasks where the newest checkpoint knows their content (`refuse_changes`).

        Raises:
            DamagedError: if the file of the options was cut short or overwritten.
            ValueError: naming the fields that differ.
        """
        newest = self.newest_checkpoint
        if may_change is None:
            may_change = MAY_CHANGE | (_BY_CONTENT if newest and (newest / RUN_FILE).is_file() else frozenset())
        has_steps = newest is not None or (
            self.history.is_file() and '"kind": "step"' in self.history.read_text("utf-8")
        )
        if not (self.config.is_file() and has_steps):
            return
        written, own = self._sound_options(), config.plain
        saved = TrainConfig().plain | dict(written)
        fixed: dict[str, str] = {}
        if config.method.startswith("sequential"):
            fixed["steps"] = ", which decide which task comes when"
        elif config.lr_schedule != "constant":
            fixed["steps"] = ", over which the learning rate falls"
        differing = {
            name: f"{name} was {saved[name]!r}, is {own[name]!r}{fixed.get(name, '')}"
            for name in own
            if (name in fixed or name not in may_change) and saved[name] != own[name]
        }
        if differing and written.keys().isdisjoint(differing) and list(written) == OPTION_NAMES[: len(written)]:
            raise self._damaged(f"it ends before {OPTION_NAMES[len(written)]}")
        if differing:
            raise ValueError(f"{self} holds another run ({'; '.join(differing.values())}): choose another folder")

    def _sound_options(self) -> Mapping[str, Any]:
        try:
            options = self.read_options()
        except ValueError as error:
            raise self._damaged(str(error)) from error
        if not self.config.read_bytes().endswith(b"\n"):
            raise self._damaged("it ends within a line" if options else "it is empty")
        return options

    def _damaged(self, why: str) -> DamagedError:
        return DamagedError(
            f"{self.config} is damaged: {why}. The checkpoints beside it may be sound: restore it, or move it away and "
            "run again with the options that the run had, which are then written anew"
        )


def set_aside(path: Path) -> Path:
    """Give what is damaged another name beside it, by which nothing is looked for; the new path."""
    name, number = f"{path.name}.damaged", 2
    while (target := path.with_name(name)).exists():
        name, number = f"{path.name}.damaged-{number}", number + 1
    return path.rename(target)
