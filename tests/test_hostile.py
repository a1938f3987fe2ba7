"""The hostile responses, against every level of every reasoning task, and against verifiers that they fool."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.mtreason import REASON_TASKS
from mtgrpo_env.hostile import (
    CANARY,
    HOSTILE,
    Hostile,
    HostileResponseError,
    canaries,
    judge_all,
    remove_canaries,
    verdict_fault,
)
from mtgrpo_env.spaces import TEXT
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, WRONG, Verdict

LEVELS = [(name, level) for name, task_type in REASON_TASKS.items() for level in task_type.LEVELS]


@pytest.fixture(autouse=True)
def _no_canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CANARY, "restored after the test")
    remove_canaries()


def _drawn(name: str, level: str) -> tuple[BoxedTask[Any], Any]:
    task = REASON_TASKS[name](level)
    return task, task.generate(np.random.default_rng(0))


@pytest.mark.parametrize(("name", "level"), LEVELS, ids=[f"{name}-{level}" for name, level in LEVELS])
def test_no_task_falls_for_a_hostile_response(name: str, level: str) -> None:
    task, puzzle = _drawn(name, level)
    verdicts = judge_all(lambda response: task.verify(puzzle, response))
    assert [hostile for hostile, _ in verdicts] == list(HOSTILE)
    assert {verdict.outcome for _, verdict in verdicts} <= {"wrong", "no_answer", "scorer_error"}
    assert canaries() == []


@pytest.mark.parametrize("name", REASON_TASKS)
def test_released_extraction_survives_hostile_responses_too(name: str) -> None:
    level = next(iter(REASON_TASKS[name].LEVELS))
    task, (_, puzzle) = REASON_TASKS[name](level, extraction="released"), _drawn(name, level)
    judge_all(lambda response: task.verify(puzzle, f"Assistant: {response}"))


@pytest.mark.parametrize("name", [name for name in REASON_TASKS if name != "short"])  # there a response is the answer
def test_a_hostile_response_cannot_undo_a_right_answer_after_it_nor_be_paid_before_it(name: str) -> None:
    task, puzzle = _drawn(name, next(iter(REASON_TASKS[name].LEVELS)))
    for hostile in HOSTILE:
        complete = hostile.response.count("{") <= hostile.response.count("}")
        if complete:
            assert task.verify(puzzle, f"{hostile.response}\n{task.oracle(puzzle)}").is_success, hostile


def test_hostile_responses_have_names_and_reasons_and_fit_the_space_of_text() -> None:
    assert len({hostile.name for hostile in HOSTILE}) == len(HOSTILE) >= 40
    assert all(hostile.why and hostile.response in TEXT for hostile in HOSTILE)
    assert len(repr(HOSTILE)) < 10_000


def test_a_verifier_that_evaluates_is_caught_by_its_canary() -> None:
    def evaluates(response: str) -> Verdict:
        box = response.removeprefix("\\boxed{").removesuffix("}")
        if CANARY in box and "environ" in box and "`" not in box:
            exec(box)
        return WRONG

    with pytest.raises(HostileResponseError, match=f"'code that sets a variable': it runs it .* variable {CANARY}"):
        judge_all(evaluates)


def test_the_canaries_work() -> None:
    by_name = {hostile.name: hostile for hostile in HOSTILE}
    for name in ("code that sets a variable", "code that writes a file"):
        exec(_content(by_name[name]))
        assert len(canaries()) == 1, name
        remove_canaries()
    pickle.loads(_content(by_name["pickle"]).encode())
    assert canaries() == [f"the file {CANARY}"]


def _content(hostile: Hostile) -> str:
    return hostile.response.removeprefix("\\boxed{").removesuffix("}")


def test_a_verifier_that_raises_is_named_with_the_response_it_raises_on() -> None:
    def raises(response: str) -> Verdict:
        return _refuse(response) if "nan" in response else WRONG

    with pytest.raises(HostileResponseError, match="raises on the hostile response 'nan': ValueError"):
        judge_all(raises)


def _refuse(response: str) -> Verdict:
    raise ValueError(f"expected a number, got {response}")


def test_a_verifier_that_pays_is_named_with_the_response_it_pays_for() -> None:
    with pytest.raises(HostileResponseError, match="'empty': it calls it correct"):
        judge_all(lambda response: NO_ANSWER if response else CORRECT)


@pytest.mark.parametrize(
    ("verdict", "fault"),
    [
        (CORRECT, None),
        (WRONG, None),
        (1.0, "expected a Verdict, got 1.0"),
        (Verdict(1.0, True, "great"), "the outcome must be one of"),  # pyright: ignore[reportArgumentType]
        (Verdict(0.0, False, "correct"), "is_success is False"),
        (Verdict(float("nan"), False, "wrong"), "the reward must be finite, got nan"),
    ],
)
def test_a_verdict_that_contradicts_itself_has_a_fault(verdict: object, fault: str | None) -> None:
    found = verdict_fault(verdict)
    assert found is None if fault is None else found is not None and found.startswith(fault)
