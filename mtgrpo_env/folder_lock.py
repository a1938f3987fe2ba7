"""One owner of a folder at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import errno
import gc
import json
import logging
import os
import socket
import stat
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from mtgrpo_env.processes import was_at_work

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_LOG = logging.getLogger(__name__)
_FILE = ".lock"
_LONGEST_RECORD = 8192  # bytes; a longer file names nobody
_ATTEMPTS = 3  # to lock a file that others delete meanwhile
_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link is followed, no pipe waited for
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # file systems that have none


class FolderInUseError(OSError):
    """Another process works in the folder; names it, and says what to do."""


@dataclass(frozen=True, slots=True)
class _Holder:
    pid: int
    host: str
    since: str
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.command}, since {self.since})"

    @property
    def is_here(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def has_ended(self) -> bool:
        """As far as can be seen: of another host's process it cannot."""
        return self.is_here and not was_at_work(self.pid, at=datetime.fromisoformat(self.since).timestamp())


class FolderLock:
    """The lock of a folder, which is made if it is not there.

    The system takes the lock back when the process ends, however it ends, so none is left behind. A file in the folder
    names the holder. Processes that are started with the descriptor share the lock; forked ones do not.

    Where a file system has no locks a second file is the lock: that of a process that has ended on this host is taken
    over, and of one on another host the error says which file to delete.

    Args:
        folder: to own.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._descriptors: list[int] = []  # of the file, and of the folder; emptied where they are closed
        self._claim: Path | None = None

    def __repr__(self) -> str:
        return f"FolderLock({str(self.folder)!r}{', held' if self._descriptors else ''})"

    def fileno(self) -> int:
        """Of the file that is locked; only while the lock is held."""
        return self._descriptors[0]

    def acquire(self, *, on_wait: Callable[[str], None] | None = None) -> None:
        """Become the owner; nothing happens if it is already.

        Args:
            on_wait: called with a line before another process is waited for; without it none is.

        Raises:
            FolderInUseError: naming who works in the folder.
            OSError: if the folder cannot be made or written, or the file of the lock is a link or another thing.
        """
        if self._descriptors:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptors = self._locked(on_wait)
        try:
            os.ftruncate(descriptors[0], 0)
            os.pwrite(descriptors[0], _record(), 0)
        except BaseException:
            _close(descriptors)
            raise
        self._descriptors = descriptors
        weakref.finalize(self, _close, descriptors)
        _HELD.add(self)

    def release(self) -> None:
        """Let others have the folder."""
        if self._descriptors:
            os.ftruncate(self._descriptors[0], 0)
            if self._claim is not None:
                self._claim.unlink(missing_ok=True)
            self.drop()

    def drop(self) -> None:
        """Close the file; the lock ends when every process that shares it has done so."""
        _close(self._descriptors)
        self._claim = None
        _HELD.discard(self)

    @contextmanager
    def held(self, *, on_wait: Callable[[str], None] | None = None) -> Iterator[Self]:
        """The lock, held inside the block; see `acquire`."""
        self.acquire(on_wait=on_wait)
        try:
            yield self
        finally:
            self.release()

    @property
    def _file(self) -> Path:
        return self.folder / _FILE

    def _locked(self, on_wait: Callable[[str], None] | None) -> list[int]:
        """The descriptor of the file that is locked and still bears the name: one that was deleted keeps nobody out."""
        for _ in range(_ATTEMPTS):
            descriptors = [_opened(self._file, os.O_RDWR | os.O_CREAT)]
            try:
                self._lock(descriptors[0], on_wait)
                if _is_at(self._file, descriptors[0]):
                    self._lock_folder(descriptors)
                    return descriptors
            except BaseException:
                _close(descriptors)
                raise
            _close(descriptors)
        raise FolderInUseError(f"{self.folder} is in use: {self._file} was replaced whenever it was locked")

    def _lock(self, descriptor: int, on_wait: Callable[[str], None] | None) -> None:
        try:
            if not _flock(descriptor):
                gc.collect()  # an owner in this process that nothing refers to any more lets go
                if not _flock(descriptor):
                    holder = _holder_in(self._file)
                    if on_wait is None:
                        raise self._in_use(holder, self._file)
                    on_wait(f"waiting for processes that still work in {self.folder}: {holder or 'unknown'}")
                    _flock(descriptor, wait=True)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            self._claim = self._claimed()
            return
        if (before := _holder_in(self._file)) is not None and not before.is_here:
            _LOG.warning(
                "%s was left by %s, whose lock is gone, so it is taken to have ended. If it still runs, this file "
                "system shares no locks between hosts: end one of the two.",
                self.folder,
                before,
            )

    def _lock_folder(self, descriptors: list[int]) -> None:
        """Lock the folder too, where that is possible: the file may be deleted while its owner is at work."""
        if fcntl is None:
            return
        descriptors.append(os.open(self.folder, os.O_RDONLY))
        try:
            is_ours = _flock(descriptors[1])
        except OSError:  # network file systems lock nothing that is not open for writing
            return
        if not is_ours:
            raise FolderInUseError(f"{self.folder} is in use by a process whose {_FILE} was deleted: stop it first")

    def _claimed(self) -> Path:
        """The file that is the lock where the file system has none."""
        claim = self._file.with_name(f"{_FILE}.held")
        for _ in range(2):
            try:
                descriptor = os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                holder = _holder_in(claim)
                if holder is None or not holder.has_ended:
                    raise self._in_use(holder, claim) from None
                claim.unlink(missing_ok=True)
            else:
                os.write(descriptor, _record())
                os.close(descriptor)
                return claim
        raise self._in_use(_holder_in(claim), claim)

    def _in_use(self, holder: _Holder | None, file: Path) -> FolderInUseError:
        if holder is None or not holder.is_here:
            what_to_do = f"stop it first, or delete {file} if it no longer runs"
        elif holder.pid == os.getpid():
            what_to_do = "this one: close what holds it first"
        else:
            what_to_do = "stop it first, or choose another folder"
        return FolderInUseError(f"{self.folder} is in use by {holder or 'another process'}: {what_to_do}")


_HELD: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _flock(descriptor: int, *, wait: bool = False) -> bool:
    """Whether the lock was granted."""
    if fcntl is None:
        raise OSError(errno.ENOSYS, "this system has no flock")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _opened(file: Path, flags: int) -> int:
    """The descriptor of a regular file; nothing else is followed, waited for, or written to."""
    message = f"expected {file} to be a regular file, or not to be there: delete what has this name"
    try:
        descriptor = os.open(file, flags | _CAREFULLY, 0o666)
    except OSError:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(file).st_mode):
                raise OSError(message) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(message)
    return descriptor


def _is_at(file: Path, descriptor: int) -> bool:
    """Whether the file that is open has this name still."""
    try:
        return os.path.samestat(os.stat(file, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def _drop_in_child() -> None:
    """A forked child must not keep the folder of a parent that was killed."""
    for lock in list(_HELD):
        lock.drop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_in_child)


def _record() -> bytes:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="milliseconds")
    return json.dumps(asdict(_Holder(os.getpid(), socket.gethostname(), since, _command()))).encode()


def _command() -> str:
    """The program and its first argument; others may hold passwords."""
    program = Path(sys.argv[0] if sys.argv else "")
    name = program.parent.name if program.name == "__main__.py" else program.name
    return " ".join([name, *sys.argv[1:2]]).strip() or "python"


def _holder_in(file: Path) -> _Holder | None:
    """Who is named in a file; None if nobody, or nothing that can be read."""
    with suppress(OSError, ValueError, TypeError, OverflowError, RecursionError):
        with open(_opened(file, os.O_RDONLY), "rb") as opened:
            holder = _Holder(**json.loads(opened.read(_LONGEST_RECORD)))
        datetime.fromisoformat(holder.since).timestamp()
        if type(holder.pid) is int and holder.pid > 0 and isinstance(holder.host, str):
            return holder
    return None
