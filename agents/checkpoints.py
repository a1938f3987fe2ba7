"""Folders and files that appear whole or not at all, and which checkpoints of a run there are.

A run's checkpoints lie in `checkpoints/step-000010` and so on. What is being written has a name that begins with
a dot; a process that is killed leaves it behind, and the next one calls `recover` before it looks for anything.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = re.compile(r"step-(\d{6,})")
_KINDS = "unfinished", "old"
_SCRATCH = re.compile(r"\.(?P<name>.+)\.(?P<kind>unfinished|old)-\d+")


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder to write into; it takes the name `folder`, replacing any other, once the block is left.

    An error inside the block leaves the old folder as it was, and so does a kill, after `recover`: a folder that
    is replaced is out of place for a moment.
    """
    folder = Path(folder)
    scratch = unfinished, old = [folder.with_name(f".{folder.name}.{kind}-{os.getpid()}") for kind in _KINDS]
    _settle(scratch)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        _flush_tree(unfinished)
        if folder.exists():
            folder.rename(old)
        unfinished.rename(folder)
        _flush(folder.parent)
    finally:
        _settle(scratch)


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """A scratch file to write; it replaces `file` once the block is left without an error."""
    unfinished = file.with_name(f".unfinished-{file.name}")
    try:
        yield unfinished
        _flush(unfinished)
        unfinished.replace(file)
        _flush(file.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def recover(run: Path) -> None:
    """Undo what a killed process left half done among the run's checkpoints; for the one process that writes them."""
    _settle([path for path in (Path(run) / "checkpoints").glob(".*") if _SCRATCH.fullmatch(path.name)])


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where a run keeps its checkpoint of a step."""
    return Path(run) / "checkpoints" / f"step-{step:06d}"


def newest_checkpoint(run: Path) -> Path | None:
    """The run's checkpoint of the highest step, None if it has none."""
    steps = _steps(run)
    return checkpoint_folder(run, steps[-1]) if steps else None


def keep(run: Path, *, newest: int, also: Collection[int] = ()) -> None:
    """Delete all checkpoints but the `newest` ones and those of the steps `also`.

    Raises:
        ValueError: if `newest` is below 1.
    """
    if newest < 1:
        raise ValueError(f"newest must be at least 1, got {newest}")
    for step in set(_steps(run)[:-newest]).difference(also):
        doomed = checkpoint_folder(run, step)
        nameless = doomed.with_name(f".{doomed.name}.unfinished-{os.getpid()}")
        doomed.rename(nameless)  # first: a kill must not leave half of it under its name
        shutil.rmtree(nameless)


def _steps(run: Path) -> list[int]:
    folder = Path(run) / "checkpoints"
    names = [_NAME.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(match.group(1)) for match in names if match)


def _settle(scratch: Iterable[Path]) -> None:
    """Delete what is unfinished or no longer needed; give an old folder its name back where no new one has it."""
    for path in scratch:
        name = _SCRATCH.fullmatch(path.name)
        assert name is not None
        folder = path.with_name(name["name"])
        if name["kind"] == "old" and path.exists() and not folder.exists():
            path.rename(folder)
            _flush(folder.parent)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _flush_tree(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        _flush(path)


def _flush(path: Path) -> None:
    """Let the disk hold a file, or the names in a folder, before whatever is done next."""
    if os.name == "nt":  # opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
