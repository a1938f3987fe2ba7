"""Folders and files that appear whole or not at all, and finding the newest checkpoint."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = re.compile(r"step-(\d{6,})")


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder to write into; it takes the name `folder`, replacing any other, once the block is left.

    A process killed inside the block leaves the old folder as it was.
    """
    folder = Path(folder)
    unfinished = folder.with_name(f".{folder.name}.unfinished-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        _flush_to_disk(unfinished)
        old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
        if folder.exists():
            folder.rename(old)
        unfinished.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """A scratch file to write; it replaces `file` once the block is left without an error."""
    unfinished = file.with_name(f".unfinished-{file.name}")
    yield unfinished
    unfinished.replace(file)


def checkpoint_folder(run: Path, step: int) -> Path:
    """Where a run keeps its checkpoint of a step."""
    return Path(run) / "checkpoints" / f"step-{step:06d}"


def newest_checkpoint(run: Path) -> Path | None:
    """The run's checkpoint of the highest step, None if it has none."""
    steps = _steps(run)
    return checkpoint_folder(run, steps[-1]) if steps else None


def keep_newest(run: Path, count: int) -> None:
    """Delete all but the `count` newest checkpoints, and what killed processes left unfinished.

    Raises:
        ValueError: if `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    for step in _steps(run)[:-count]:
        shutil.rmtree(checkpoint_folder(run, step))
    for leftover in (Path(run) / "checkpoints").glob(".step-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _steps(run: Path) -> list[int]:
    folder = Path(run) / "checkpoints"
    names = [_NAME.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(match.group(1)) for match in names if match)


def _flush_to_disk(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
