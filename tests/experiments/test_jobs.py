"""Jobs beside each other: how many, which may start, and that none outlives the command that started it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mtgrpo_env.experiments.jobs import Job, JobRunner, tail
from mtgrpo_env.folder_lock import FolderLock
from mtgrpo_env.signals import StopSignals

ENDLESS = ("evaluate", "--agent", "oracle", "--problems", "10000000")


@pytest.fixture(autouse=True)
def _importable(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])


def make_job(folder: Path, name: str, *arguments: str) -> Job:
    return Job(name, arguments or ("nonsense",), folder / f"{name}.log")


def anything_goes(job: Job, running: Sequence[Job]) -> bool:
    return True


def is_locked(folder: Path) -> bool:
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def poll_until_idle(runner: JobRunner) -> tuple[list[Job], int]:
    """The jobs in the order in which they ended, and the most that were going on at a time."""
    ended: list[Job] = []
    most = 0
    while True:
        ended += runner.poll()
        most = max(most, len(runner.running))
        if not runner.running:
            return ended, most
        time.sleep(0.01)


def test_jobs_are_run_at_most_so_many_at_a_time_and_their_logs_say_what_was_run(tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, f"job-{i}") for i in range(3)]
    with FolderLock(tmp_path).held() as lock:
        runner = JobRunner(jobs, parallel=2, may_start=anything_goes, threads=1, lock=lock)
        with runner:
            ended, most = poll_until_idle(runner)
    assert set(ended) == set(jobs)
    assert most == 2
    assert tail(jobs[0].log, num_lines=30).startswith("$ mtgrpo nonsense\nmtgrpo: there is no command")
    assert len(tail(jobs[0].log, num_lines=1).splitlines()) == 1
    assert tail(tmp_path / "none.log") == ""


def test_a_job_that_may_not_start_yet_is_passed_over_and_run_later(tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, name) for name in ("a-1", "a-2", "b-1")]

    def one_of_a_letter(job: Job, running: Sequence[Job]) -> bool:
        return all(other.name[0] != job.name[0] for other in running)

    with FolderLock(tmp_path).held() as lock:
        runner = JobRunner(jobs, parallel=3, may_start=one_of_a_letter, threads=1, lock=lock)
        with runner:
            runner.poll()
            assert [job.name for job in runner.running] == ["a-1", "b-1"]
            ended, _ = poll_until_idle(runner)
    assert {job.name for job in ended} == {"a-1", "a-2", "b-1"}


def test_leaving_stops_the_jobs_and_frees_the_folder(tmp_path: Path) -> None:
    job = make_job(tmp_path, "endless", *ENDLESS)
    with FolderLock(tmp_path).held() as lock:
        runner = JobRunner([job], parallel=1, may_start=anything_goes, threads=1, lock=lock)
        with runner:
            runner.poll()
            assert runner.running == [job]
    assert not is_locked(tmp_path)


def test_a_job_keeps_the_folder_locked_when_its_parent_has_let_go(tmp_path: Path) -> None:
    job = make_job(tmp_path, "endless", *ENDLESS)
    with FolderLock(tmp_path).held() as lock:
        runner = JobRunner([job], parallel=1, may_start=anything_goes, threads=1, lock=lock)
        runner.poll()
    with runner:
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_job_is_started_comes_when_the_job_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    job = make_job(tmp_path, "endless", *ENDLESS)
    start = JobRunner._start

    def start_signalled(runner: JobRunner, job: Job) -> object:
        process = start(runner, job)
        signal.raise_signal(number)
        return process

    monkeypatch.setattr(JobRunner, "_start", start_signalled)
    with FolderLock(tmp_path).held() as lock:
        runner = JobRunner([job], parallel=1, may_start=anything_goes, threads=1, lock=lock)
        with pytest.raises(KeyboardInterrupt), StopSignals(), runner:
            runner.poll()
        assert runner.running == [job]
    assert not is_locked(tmp_path), "the job has ended"


def test_a_second_interrupt_does_not_wait_for_jobs_and_leaves_none(tmp_path: Path) -> None:
    job = Job("deaf", ("nonsense",), tmp_path / "deaf.log")
    lock = FolderLock(tmp_path)
    lock.acquire()
    runner = JobRunner([job], parallel=1, may_start=anything_goes, threads=1, lock=lock)
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"deaf\n"
    runner._processes[job] = process
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), StopSignals(), runner:
        pass  # left, it waits for a process that heeds no SIGTERM
    assert process.poll() == -signal.SIGKILL
    process.stdout.close()
    lock.release()
