"""Files and folders that appear whole or not at all.

What is being written has a name that begins with a dot and ends with the process and its host. A process that is killed
leaves it behind; the next one to write under the same name clears it away, and one that looks for what was written
calls `clean_up_scratch` before. What is written by a process that lives is left alone.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mtgrpo_env.processes import was_at_work

_KINDS = "unfinished", "old"
_SCRATCH = re.compile(r"\.(?P<name>.+)\.(?P<kind>unfinished|old)-(?P<pid>\d+)(?:@(?P<host>.+))?")


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder to write into; it takes the name `folder`, replacing any other, once the block is left.

    An error inside the block leaves the old folder as it was, and so does a kill, after `clean_up_scratch`: a folder
    that is replaced is out of place for a moment. A link of that name is replaced; what it points to stays.

    Raises:
        NotADirectoryError: if there is a file of that name, which would be lost.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"expected a folder, got the file {str(folder)!r}")
    scratch = unfinished, old = [_scratch(folder, kind) for kind in _KINDS]
    _settle([*scratch, *_left_behind(folder)])
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        _flush_tree(unfinished)
        if folder.exists() or folder.is_symlink():
            folder.rename(old)
        unfinished.rename(folder)
        _flush(folder.parent)
    finally:
        _settle(scratch)


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """A scratch file to write; it replaces `file` once the block is left without an error.

    Of a link the file that it points to is replaced. A device or a pipe, such as /dev/stdout, is written as it is.

    Raises:
        FileNotFoundError: if there is no folder for it.
        IsADirectoryError: if there is a folder of that name.
    """
    _check_file(file)
    if _is_stream(file):
        yield file
        return
    file = file.resolve()
    scratch = _scratch(file, "unfinished")
    _settle([scratch, *_left_behind(file)])
    scratch.mkdir()
    unfinished = scratch / file.name  # what writes it may look at the ending
    try:
        yield unfinished
        _flush(unfinished)
        unfinished.replace(file)
        _flush(file.parent)
    finally:
        _settle([scratch])


def append_flushed(file: Path, text: str) -> None:
    """Append to a file, which is made if it is not there, and wait until the disk holds it."""
    is_new = not file.exists()
    with file.open("a", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    if is_new:
        _flush(file.parent)


def refuse_unwritable_file(file: Path) -> None:
    """Make sure that a file can be written, before the work that it is to hold; nothing is changed.

    Raises:
        OSError: naming it.
    """
    _check_file(file)
    if file.exists() and not os.access(file, os.W_OK):  # renaming would not mind
        raise PermissionError(f"{file} cannot be written: it is read-only")
    if not _is_stream(file):
        _try_to_write(file.resolve().parent, needed_for=file)


def refuse_unwritable_folder(folder: Path) -> None:
    """Make sure that files can be written into a folder, which is to be made if it is not there; nothing is changed.

    Raises:
        OSError: naming it.
    """
    place = folder
    resolved(folder)
    while not place.exists():
        if place.is_symlink():
            raise FileNotFoundError(
                f"{folder} cannot be written: {place} links to {place.readlink()}, which is not there"
            )
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"expected a folder, got the file {str(place)!r}")
    _try_to_write(place, needed_for=folder)


def resolved(path: Path) -> Path:
    """Where a path leads, be it there or not: two names of one file lead to one place.

    Raises:
        OSError: naming it, if it leads in a circle or no file can have the name.
    """
    try:
        path.stat()
    except ValueError as error:  # a NUL, or what cannot be encoded
        raise OSError(f"expected a path that a file can have, got {str(path)!r}: {error}") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(f"expected a path that leads to a place, got {str(path)!r}, a link in a circle") from error
    return path.resolve()


def remove_folder(folder: Path) -> None:
    """Delete a folder; a kill leaves it whole or without its name, never half of it under its name.

    Of a link to a folder the link alone is deleted.
    """
    nameless = _scratch(folder, "unfinished")
    folder.rename(nameless)
    _delete(nameless)


def clean_up_scratch(parent: Path) -> None:
    """Undo what killed processes left half done in a folder; for the one process that writes there."""
    _settle([path for path in Path(parent).glob(".*") if _SCRATCH.fullmatch(path.name) and not _is_being_written(path)])


def _scratch(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}-{os.getpid()}@{socket.gethostname()}")


def _left_behind(path: Path) -> list[Path]:
    """What processes of this host that are gone were writing under a name; of other hosts' nothing is known."""
    found = [(one, _SCRATCH.fullmatch(one.name)) for one in path.parent.glob(".*")]
    of_host = [
        one for one, name in found if name and name["name"] == path.name and name["host"] == socket.gethostname()
    ]
    return [one for one in of_host if not _is_being_written(one)]


def _is_being_written(scratch: Path) -> bool:
    """Whether the process in its name is one of this host and lives."""
    name = _SCRATCH.fullmatch(scratch.name)
    assert name is not None
    if name["host"] not in (None, socket.gethostname()):
        return False
    try:
        changed = scratch.lstat().st_ctime
    except FileNotFoundError:  # it has just been finished
        return True
    return was_at_work(int(name["pid"]), at=changed)


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
            _delete(path, ignore_errors=True)


def _delete(path: Path, *, ignore_errors: bool = False) -> None:
    """A file, a link or a folder; never what a link points to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=ignore_errors)
    else:
        path.unlink(missing_ok=True)


def _check_file(file: Path) -> None:
    resolved(file)
    if file.is_dir():
        raise IsADirectoryError(f"expected a file, got the folder {str(file)!r}")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"expected a folder for {file.name}, got {str(file.parent)!r}, which is none")


def _is_stream(file: Path) -> bool:
    return file.exists() and not file.is_file()


def _try_to_write(folder: Path, *, needed_for: Path) -> None:
    """By doing so: permissions do not tell of a file system that is read-only."""
    probe = _scratch(folder / "probe", "unfinished")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise type(error)(f"{needed_for} cannot be written: {error.strerror}") from error


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
