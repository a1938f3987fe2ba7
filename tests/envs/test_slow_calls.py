"""A call that does not return is named while it goes on."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from mtgrpo_env.envs.slow_calls import SlowCalls


def test_a_call_that_goes_on_is_named_once_and_a_short_one_never(caplog: pytest.LogCaptureFixture) -> None:
    calls = SlowCalls(seconds=0.3)
    named = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named.set()

    logger = logging.getLogger("mtgrpo_env.envs.slow_calls")
    logger.addHandler(handler := Heard())
    try:
        with calls.watched("rows.jsonl, row 1: the reward short"):
            pass
        with calls.watched("rows.jsonl, row 3: the reward my_rewards:f", "; stop it"):
            assert named.wait(60)
            time.sleep(0.8)
    finally:
        logger.removeHandler(handler)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["rows.jsonl, row 3: the reward my_rewards:f has not returned for 0.3 s; stop it"]
