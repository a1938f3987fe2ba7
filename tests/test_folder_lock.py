"""One owner of a folder: the second is refused by the name of the first, and no lock outlives its holder."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtgrpo_env import folder_lock
from mtgrpo_env.folder_lock import FolderInUseError, FolderLock

HOLD = """
import os, sys
from mtgrpo_env.folder_lock import FolderLock
lock = FolderLock(sys.argv[2])
lock.acquire()
if sys.argv[1] == "forks" and os.fork() == 0:
    print("forked", os.getpid(), flush=True)
print("held", flush=True)
sys.stdin.readline()
lock.release()
"""


@contextmanager
def held_elsewhere(folder: Path, environment: dict[str, str], how: str = "plainly") -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock until a line is written to it, or it is killed."""
    line = [sys.executable, "-c", HOLD, how, str(folder)]
    with subprocess.Popen(line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "held\n":
            assert process.poll() is None
        try:
            yield process
        finally:
            process.kill()


def record(*, pid: int, host: str) -> str:
    return json.dumps({"pid": pid, "host": host, "since": "2026-01-01 10:00:00.000+00:00", "command": "mtgrpo train"})


def ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_owner_is_refused_in_a_line_that_names_the_first(tmp_path: Path, environment: dict[str, str]) -> None:
    with held_elsewhere(tmp_path / "new", environment) as process:
        with pytest.raises(FolderInUseError) as refused:
            FolderLock(tmp_path / "new").acquire()
        (line,) = str(refused.value).splitlines()
        assert f"new is in use by process {process.pid} on {socket.gethostname()} (-c plainly, since 2" in line
        process.communicate("\n")
    with FolderLock(tmp_path / "new").held() as lock:
        lock.acquire()  # it is the owner already


def test_deleting_the_file_lets_nobody_in_while_its_owner_is_at_work(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with held_elsewhere(tmp_path, environment) as process:
        (tmp_path / ".lock").unlink()
        with pytest.raises(FolderInUseError, match=r"in use by a process whose \.lock was deleted: stop it first"):
            FolderLock(tmp_path).acquire()
        process.communicate("\n")
    with FolderLock(tmp_path).held():
        pass


def test_a_killed_owner_leaves_no_lock(tmp_path: Path, environment: dict[str, str]) -> None:
    with held_elsewhere(tmp_path, environment) as process:
        process.kill()
        process.wait()
        with FolderLock(tmp_path).held():
            assert f'"pid": {os.getpid()}' in (tmp_path / ".lock").read_text()
    assert not (tmp_path / ".lock").read_text()


def test_a_forked_child_does_not_keep_the_folder_of_a_killed_parent(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with held_elsewhere(tmp_path, environment, "forks") as process:
        with pytest.raises(FolderInUseError):
            FolderLock(tmp_path).acquire()
        process.kill()
        process.wait()
        FolderLock(tmp_path).acquire()


def test_an_owner_that_nothing_refers_to_any_more_lets_go(tmp_path: Path) -> None:
    class Owner:
        def __init__(self) -> None:
            self.lock = FolderLock(tmp_path)
            self.myself = self

    Owner().lock.acquire()
    lock = FolderLock(tmp_path)
    lock.acquire()
    with pytest.raises(FolderInUseError, match="this one: close what holds it first"):
        FolderLock(tmp_path).acquire()
    assert lock.fileno() > 2


def test_who_waits_says_so_and_is_next(tmp_path: Path, environment: dict[str, str]) -> None:
    said: list[str] = []
    with held_elsewhere(tmp_path, environment) as process:

        def on_wait(line: str) -> None:
            said.append(line)
            process.send_signal(signal.SIGKILL)

        with FolderLock(tmp_path).held(on_wait=on_wait):
            pass
    assert len(said) == 1
    assert said[0].startswith(f"waiting for processes that still work in {tmp_path}: process {process.pid} on ")


def test_what_another_host_left_without_its_lock_is_taken_over_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".lock").write_text(record(pid=7, host="elsewhere"))
    with caplog.at_level(logging.WARNING), FolderLock(tmp_path).held():
        assert "was left by process 7 on elsewhere (mtgrpo train, since 2026" in caplog.text


ODD_RECORDS = [
    "",
    "{",
    "[]",
    "[" * 100_000,
    '{"pid": 1}',
    record(pid=1, host="x").replace("2026-01", "soon"),
    record(pid=1, host=socket.gethostname()).replace("2026-01-01 10:00:00.000+00:00", "0001-01-01 00:00:00"),
    record(pid=1, host=socket.gethostname()).replace('"pid": 1', '"pid": "one"'),
    record(pid=-1, host=socket.gethostname()),
]


@pytest.mark.parametrize("left", ODD_RECORDS)
def test_a_lock_file_that_says_nothing_is_no_lock(tmp_path: Path, left: str) -> None:
    (tmp_path / ".lock").write_text(left)
    with FolderLock(tmp_path).held():
        pass


def test_what_is_no_regular_file_is_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / ".lock").symlink_to(tmp_path / "precious")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / ".lock")
    (tmp_path / "folder" / ".lock").mkdir(parents=True)
    for name in ("link", "pipe", "folder"):
        with pytest.raises(OSError, match=rf"expected .*{name}/\.lock to be a regular file"):
            FolderLock(tmp_path / name).acquire()
    assert (tmp_path / "precious").read_text() == "kept"


def test_who_waited_for_a_file_that_was_deleted_meanwhile_locks_the_one_that_has_the_name(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with held_elsewhere(tmp_path, environment) as process:

        def on_wait(line: str) -> None:
            (tmp_path / ".lock").unlink()
            process.send_signal(signal.SIGKILL)

        with FolderLock(tmp_path).held(on_wait=on_wait):
            assert f'"pid": {os.getpid()}' in (tmp_path / ".lock").read_text()
            with pytest.raises(FolderInUseError, match="this one"):
                FolderLock(tmp_path).acquire()


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has no locks; none such is here."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_flock")
def test_without_locks_a_file_is_the_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with lock.held(), pytest.raises(FolderInUseError, match="this one: close what holds it first"):
        FolderLock(tmp_path).acquire()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with FolderLock(tmp_path).held():
        pass


@pytest.mark.usefixtures("no_flock")
@pytest.mark.parametrize("left", ODD_RECORDS)
def test_without_locks_a_file_that_names_nobody_is_named_itself(tmp_path: Path, left: str) -> None:
    (tmp_path / ".lock.held").write_text(left)
    with pytest.raises(FolderInUseError, match=r"another process: stop it first, or delete .*\.lock\.held"):
        FolderLock(tmp_path).acquire()


@pytest.mark.usefixtures("no_flock")
def test_without_locks_that_of_an_ended_process_is_taken_over_and_of_another_host_s_it_is_said_what_to_delete(
    tmp_path: Path,
) -> None:
    file = tmp_path / ".lock.held"
    file.write_text(record(pid=ended_pid(), host=socket.gethostname()))
    with FolderLock(tmp_path).held():
        pass
    file.write_text(record(pid=os.getppid(), host=socket.gethostname()))
    with FolderLock(tmp_path).held():  # the number of a process that began after the lock was taken
        pass
    file.write_text(record(pid=7, host="elsewhere"))
    with pytest.raises(
        FolderInUseError, match=r"process 7 on elsewhere .*or delete .*\.lock\.held if it no longer runs"
    ):
        FolderLock(tmp_path).acquire()
    file.unlink()
    with FolderLock(tmp_path).held():
        pass


def test_no_argument_that_might_hold_a_password_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/mtgrpo_env/__main__.py", "train", "--rollouts", "http://me:secret@server"])
    with FolderLock(tmp_path).held():
        assert json.loads((tmp_path / ".lock").read_text())["command"] == "mtgrpo_env train"
