"""Worker pools, with real processes: deadlines hit the guilty only, and nothing is lost, forged or left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.envs.worker_pool import ScorerFailure, WorkerPool, shared_pool


def _gone(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"


def _wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_calls_give_what_the_function_gives() -> None:
    with WorkerPool("judges:double") as pool:
        assert [pool.call(number) for number in (1, 2, 2, 30)] == [2, 4, 4, 60]


def test_a_hang_costs_its_own_request_only() -> None:
    with WorkerPool("judges:negative_hangs", num_workers=1, seconds=0.5) as pool:
        for number in (1, -1, 2, -2, 3):
            pool.submit(number)
        assert [pool.call(number) for number in (1, 2, 3)] == [1, 2, 3]
        for number in (-1, -2):
            with pytest.raises(ScorerFailure, match=r"no result within 0\.5 s"):
                pool.call(number)


def test_two_hundred_requests_queued_behind_a_hang_all_get_their_results() -> None:
    with WorkerPool("judges:negative_hangs", num_workers=1, seconds=0.5) as pool:
        for number in range(-1, 200):
            pool.submit(number)
        assert [pool.call(number) for number in range(200)] == list(range(200))


def test_a_hang_is_remembered_and_not_tried_again() -> None:
    with WorkerPool("judges:negative_hangs", num_workers=1, seconds=0.3) as pool:
        with pytest.raises(ScorerFailure):
            pool.call(-1)
        assert not pool._workers
        with pytest.raises(ScorerFailure):
            pool.call(-1)
        assert not pool._workers, "a worker was started for a request whose outcome was known"


def test_equal_requests_are_computed_once() -> None:
    with WorkerPool("judges:dies_as_often_as_told", num_workers=1) as pool:
        pool.submit([__file__, 0])
        pool.submit([__file__, 0])
        assert len(pool._unfinished) == 1


def test_outcomes_are_forgotten_from_the_oldest_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtgrpo_env.envs.worker_pool._MAX_FINISHED", 3)
    with WorkerPool("judges:double", num_workers=1) as pool:
        for number in (0, 1, 2, 0, 3):
            pool.call(number)
        assert list(pool._finished) == ["2", "0", "3"]


def test_a_reply_that_is_there_counts_however_late_the_parent_looks() -> None:
    with WorkerPool("judges:sleep", num_workers=1, seconds=0.5) as pool:
        pool.call(0)
        pool.submit(0.1)
        time.sleep(1.0)
        assert pool.call(0.1) == 0.1


def test_a_worker_nobody_watches_ends_itself_past_the_deadline() -> None:
    with WorkerPool("judges:negative_hangs", num_workers=1, seconds=0.1) as pool:
        pool.call(0)
        pool.submit(-1)
        assert pool._workers[0].process.wait() == -signal.SIGALRM
        with pytest.raises(ScorerFailure, match=r"no result within 0\.1 s"):
            pool.call(-1)


def test_the_clock_does_not_run_while_a_request_waits_in_the_queue() -> None:
    with WorkerPool("judges:sleep", num_workers=1, seconds=0.6) as pool:
        requests = [0.2 + i / 1000 for i in range(6)]
        for seconds in requests:
            pool.submit(seconds)
        assert [pool.call(seconds) for seconds in requests] == requests


def test_a_worker_killed_from_outside_loses_nothing() -> None:
    with WorkerPool("judges:process_id", num_workers=1) as pool:
        first = pool.call("idle")
        os.kill(first, signal.SIGKILL)
        assert pool.call("next") != first


@pytest.mark.parametrize(("deaths", "survives"), [(1, True), (2, False)])
def test_a_request_whose_worker_dies_is_tried_once_more(tmp_path: Path, deaths: int, survives: bool) -> None:
    with WorkerPool("judges:dies_as_often_as_told", num_workers=1) as pool:
        request = [str(tmp_path / "deaths"), deaths]
        if survives:
            assert pool.call(request) == deaths
        else:
            with pytest.raises(ScorerFailure, match="died with exit code -9"):
                pool.call(request)
        assert pool.call([str(tmp_path / "none"), 0]) == 0


@pytest.mark.parametrize(("text", "message"), [("no", "ZeroDivisionError: no"), ("exit", "SystemExit: exit")])
def test_a_function_that_raises_fails_its_request_and_the_worker_lives_on(text: str, message: str) -> None:
    with WorkerPool("judges:raises", num_workers=1) as pool:
        with pytest.raises(ScorerFailure, match=message):
            pool.call(text)
        assert [worker.idle for worker in pool._workers] == [True]


def test_what_the_function_prints_or_reads_never_meets_the_replies() -> None:
    with WorkerPool("judges:prints", num_workers=1) as pool:
        assert [pool.call(text) for text in ("a", "b")] == ["a", "b"]


def test_a_function_that_takes_too_much_memory_fails_its_request() -> None:
    with WorkerPool("judges:grows", num_workers=1, memory_bytes=2**30) as pool:
        with pytest.raises(ScorerFailure, match="MemoryError"):
            pool.call(2**31)
        assert pool.call(10) == 10


def test_requests_and_results_larger_than_a_pipe_arrive_whole() -> None:
    with WorkerPool("judges:echoes", num_workers=2) as pool:
        texts = [letter * 500_000 for letter in "abc"]
        for text in texts:
            pool.submit(text)
        assert [pool.call(text) for text in texts] == texts


def test_a_result_that_is_no_json_is_a_failure() -> None:
    with WorkerPool("judges:gives_no_json") as pool, pytest.raises(ScorerFailure, match="not JSON serializable"):
        pool.call(0)


@pytest.mark.parametrize(
    ("function", "reason"), [("judges:nothing", "no attribute 'nothing'"), ("no_such_module:f", "No module named")]
)
def test_workers_that_cannot_start_say_why(function: str, reason: str) -> None:
    with WorkerPool(function) as pool:
        for _ in range(2):
            with pytest.raises(RuntimeError, match=reason) as caught:
                pool.call(0)
            assert not isinstance(caught.value, ScorerFailure)


def test_a_request_that_is_only_announced_never_raises() -> None:
    with WorkerPool("no_such_module:f", num_workers=1) as pool:
        pool.submit(0)
        _wait_until(lambda: not pool._workers or pool._workers[0].process.poll() is not None)
        for number in range(3):
            pool.submit(number)
        with pytest.raises(RuntimeError, match="No module named"):
            pool.call(0)


def test_a_system_without_room_for_a_process_is_an_error_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*arguments: Any, **options: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    with WorkerPool("judges:double", num_workers=2) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", no_memory)
            pool.submit(1)
            with pytest.raises(RuntimeError, match=r"'judges:double' did not start: .*Cannot allocate memory"):
                pool.call(1)
        assert pool.call(1) == 2, "once there is memory it goes on"
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", no_memory)
            pool.submit(3)
            pool.submit(4)
            assert [pool.call(number) for number in (3, 4)] == [6, 8], "by the worker that there is"


def test_a_start_that_hangs_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleepy_judge.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("mtgrpo_env.envs.worker_process.START_SECONDS", 0.3)
    with WorkerPool("sleepy_judge:f", num_workers=1) as pool:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="did not start within"):
                pool.call(0)
            assert not pool._workers


def test_close_may_be_called_twice_and_ends_the_workers() -> None:
    pool = WorkerPool("judges:process_id", num_workers=1)
    process_id = pool.call(0)
    pool.close()
    pool.close()
    assert _gone(process_id)
    assert pool.call(1) != process_id
    pool.close()


def test_there_is_one_shared_pool_for_each_function() -> None:
    assert shared_pool("judges:double") is shared_pool("judges:double")
    assert shared_pool("judges:double") is not shared_pool("judges:echoes")


def test_after_a_fork_the_child_has_workers_of_its_own_and_the_parents_go_on() -> None:
    pool = shared_pool("judges:process_id")
    before = pool.call("before")
    pool.submit("unfinished")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # whatever happens, this copy of pytest must end here
        try:
            assert pool.call("unfinished")
            os.write(write, str(pool.call("child")).encode())
            pool.close()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        in_child = int(pipe.read())
    os.waitpid(child, 0)
    ours = {pool.call("after"), pool.call("unfinished"), before}
    assert in_child not in ours
    assert pool.call("before") == before
    pool.close()


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    hung, idle = tmp_path / "hung", tmp_path / "idle"
    program = (
        "import sys, time; from pathlib import Path; from mtgrpo_env.envs.worker_pool import WorkerPool\n"
        "idle = WorkerPool('judges:process_id'); Path(sys.argv[1]).write_text(str(idle.call(0)))\n"
        "hung = WorkerPool('judges:hangs_after_leaving_its_id', seconds=0.5); hung.submit(sys.argv[2])\n"
        "while not Path(sys.argv[2]).exists(): hung.submit(sys.argv[2])\n"
        "time.sleep(1000)"
    )
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    parent = subprocess.Popen([sys.executable, "-c", program, idle, hung], env=os.environ | {"PYTHONPATH": path})
    try:
        _wait_until(lambda: hung.exists() and bool(hung.read_text()))
    finally:
        parent.kill()
        parent.wait()
    for file in (idle, hung):
        process_id = int(file.read_text())
        _wait_until(lambda process_id=process_id: _gone(process_id))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_workers": 0}, "num_workers must be at least 1, got 0"),
        ({"seconds": 0.0}, "seconds must be above 0, got 0"),
        ({"seconds": float("nan")}, "seconds must be above 0, got nan"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorkerPool("judges:double", **arguments)
    with pytest.raises(ValueError, match=r"like 'package\.module:name', got 'judges'"):
        WorkerPool("judges")


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="the system has no process groups")
def test_what_a_hanging_function_has_started_ends_with_it(tmp_path: Path) -> None:
    file = tmp_path / "child"
    with WorkerPool("judges:starts_a_child", num_workers=1, seconds=1.0) as pool, pytest.raises(ScorerFailure):
        pool.call(str(file))
    _wait_until(lambda: _gone(int(file.read_text())))
