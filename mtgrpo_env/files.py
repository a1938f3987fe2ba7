"""Files and folders that appear whole or not at all.

What is being written has a name that begins with a dot; a process that is killed leaves it behind, and the next one
calls `clean_up_scratch` before it looks for anything.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_KINDS = "unfinished", "old"
_SCRATCH = re.compile(r"\.(?P<name>.+)\.(?P<kind>unfinished|old)-\d+")


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder to write into; it takes the name `folder`, replacing any other, once the block is left.

    An error inside the block leaves the old folder as it was, and so does a kill, after `clean_up_scratch`: a folder
    that is replaced is out of place for a moment.

    Raises:
        NotADirectoryError: if there is a file of that name, which would be lost.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"expected a folder, got the file {str(folder)!r}")
    scratch = unfinished, old = [_scratch(folder, kind) for kind in _KINDS]
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
    """A scratch file to write; it replaces `file` once the block is left without an error.

    Raises:
        FileNotFoundError: if there is no folder for it.
    """
    if not file.parent.is_dir():
        raise FileNotFoundError(f"expected a folder for {file.name}, got {str(file.parent)!r}, which is none")
    unfinished = file.with_name(f".unfinished-{file.name}")
    try:
        yield unfinished
        _flush(unfinished)
        unfinished.replace(file)
        _flush(file.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Delete a folder; a kill leaves it whole or without its name, never half of it under its name."""
    nameless = _scratch(folder, "unfinished")
    folder.rename(nameless)
    shutil.rmtree(nameless)


def clean_up_scratch(parent: Path) -> None:
    """Undo what killed processes left half done in a folder; for the one process that writes there."""
    _settle([path for path in Path(parent).glob(".*") if _SCRATCH.fullmatch(path.name)])


def _scratch(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.{kind}-{os.getpid()}")


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
