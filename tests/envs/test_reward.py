"""The scorer as plain functions: the verdicts of the envs, in the signatures of others, whatever the completion."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import own_rewards
import pytest

from mtgrpo_env.envs import reward as module
from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.export import export_rows, fresh_problems
from mtgrpo_env.envs.mtreason import REASON_TASKS, reason_suite
from mtgrpo_env.envs.reward import compute_score, reply, reward, trl_reward, verdict
from mtgrpo_env.envs.symbolic.grading import submit
from mtgrpo_env.envs.worker_pool import ScorerFailure
from mtgrpo_env.hostile import HOSTILE, judge_all
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, SCORER_ERROR, WRONG, Verdict

ALL_TASKS = [f"{name}-{level}" for name, task in REASON_TASKS.items() for level in task.LEVELS]
COUNTDOWN = {"task": "countdown-mini", "numbers": "3,5,7", "target": 22}
RIGHT, WRONG_BOX, NO_BOX = r"\boxed{3*5+7}", r"\boxed{3*5-7}", "22"
GUESSING = {"task": "guessing-easy", "low": 11, "high": 17, "number": 13, "guesses": 3}


def said(*contents: str | None) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": content} for content in contents]


def row_and_oracle(name: str) -> tuple[dict[str, Any], str, str]:
    """An exported row of a task, its oracle's answer and a guess that is wrong."""
    suite = reason_suite([name])
    (problem,) = fresh_problems(suite, 1)
    (row,) = export_rows(suite, [problem])
    (task,), opening = suite.envs(0, 1), suite.opening(problem)
    assert isinstance(task, BoxedTask)
    assert opening is not None
    right, rng = task.oracle(opening.puzzle), np.random.default_rng(0)
    if "\\boxed" in right:
        return row, right, right.replace("{", "{1")
    guesses = (task.guess(opening.puzzle, rng) for _ in range(100))
    return row, right, next(guess for guess in guesses if guess != right)


@pytest.mark.parametrize("name", ALL_TASKS)
def test_every_signature_gives_the_verdict_of_the_env(name: str) -> None:
    row, right, wrong = row_and_oracle(name)
    truth = row["reward_model"]["ground_truth"]
    # A first guess that is wrong is no answer yet where the conversation goes on.
    of_wrong = 0.0 if name.startswith("guessing") else 0.1
    for completion, expected in ((right, 1.0), (wrong, of_wrong), ("I do not know.", 0.0)):
        assert reward(row["prompt"], completion, truth) == expected
        assert reward(row["prompt"][0]["content"], said(completion), json.loads(truth)) == expected
        scored = compute_score(row["data_source"], completion, truth, row["extra_info"])
        assert scored == {"score": expected, "acc": float(expected == 1), "valid": 1.0}
        columns: dict[str, Any] = {key: [value] for key, value in row.items() if key != "prompt"}
        given = trl_reward([row["prompt"]], [said(completion)], completion_ids=[[1]], trainer_state=None, **columns)
        assert given == [expected]


@pytest.mark.parametrize("name", [f"{name}-{list(task.LEVELS)[-1]}" for name, task in REASON_TASKS.items()])
def test_no_hostile_completion_is_right_or_stops_the_scorer(name: str) -> None:
    row, _, _ = row_and_oracle(name)
    truth = row["reward_model"]["ground_truth"]
    judged = judge_all(lambda completion: verdict(row["prompt"], completion, truth))
    assert len(judged) == len(HOSTILE)
    for hostile in HOSTILE:
        assert isinstance(compute_score(row["data_source"], hostile.response, truth, row["extra_info"])["score"], float)


def test_the_question_travels_where_the_verdict_depends_on_it() -> None:
    """Repeating what was asked is no answer, and verl shows its scorer no prompt."""
    pytest.importorskip("sympy")
    asked, truth, copied = "Expand (x+1)^2.", {"task": "math-easy", "target": "x^2+2x+1"}, r"\boxed{(x+1)^2}"
    assert reward("", copied, truth) == 1.0
    assert reward(asked, copied, truth) == 0.1
    assert compute_score("math-easy-train", copied, truth, {"question": asked})["score"] == 0.1


def test_the_level_decides_how_an_answer_is_written() -> None:
    truth = {"target": "0 0 6"}
    assert reward("", r"\boxed{006}", {**truth, "task": "arc-mini"}) == 1.0
    assert reward("", r"\boxed{0 0 6}", {**truth, "task": "arc-easy"}) == 1.0
    assert reward("", r"\boxed{006}", {**truth, "task": "arc-easy"}) == 0.1


def test_the_task_may_stand_beside_a_ground_truth_that_does_not_name_it() -> None:
    bare = {key: value for key, value in COUNTDOWN.items() if key != "task"}
    assert reward("", RIGHT, bare, task="countdown") == reward("", RIGHT, bare, task="countdown-hard") == 1.0
    assert compute_score("countdown-very_hard-test", RIGHT, bare)["score"] == 1.0
    assert trl_reward([""], [RIGHT], reward_model=[{"ground_truth": bare}], data_source=["countdown-easy-test"]) == [
        1.0
    ]
    with pytest.raises(
        ValueError, match=r"nothing says what scores: expected a ground truth with a 'reward' .* 'task'"
    ):
        reward("", RIGHT, bare)


def test_of_messages_the_assistants_are_judged_and_the_last_one_decides() -> None:
    chat = [{"role": "system", "content": RIGHT}, *said(WRONG_BOX), {"role": "user", "content": RIGHT}]
    assert verdict("", chat, COUNTDOWN) == WRONG
    assert verdict("", [*chat, *said(RIGHT)], COUNTDOWN) == CORRECT
    assert verdict("", said(RIGHT, None), COUNTDOWN) == NO_ANSWER
    assert verdict("", [], COUNTDOWN) == NO_ANSWER


def test_a_conversation_goes_on_until_it_is_judged() -> None:
    first, second, third = (r"\boxed{14}", r"\boxed{12}", r"\boxed{13}")
    told = reply("", first, GUESSING)
    assert isinstance(told, str)
    assert "lower" in told
    assert verdict("", said(first, second), GUESSING) == NO_ANSWER
    assert verdict("", said(first, second, third), GUESSING) == CORRECT
    assert isinstance(reply("", said(first, second, second), GUESSING), Verdict)


def test_a_scorer_that_fails_gives_no_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN in the plain function, None for TRL, and for verl, which knows neither, a mark beside the zero."""

    def fails(*_: object, **__: object) -> bool:
        raise ScorerFailure("no result within 5 s")

    monkeypatch.setattr("mtgrpo_env.envs.mathematics.grade", fails)
    truth = {"task": "math", "target": r"\pi"}
    assert verdict("?", r"\boxed{x}", truth) == SCORER_ERROR
    assert math.isnan(reward("?", r"\boxed{x}", truth))
    assert compute_score("math-easy-test", r"\boxed{x}", truth) == {"score": 0.0, "acc": 0.0, "valid": 0.0}
    batch = {"reward_model": [{"ground_truth": json.dumps(truth)}] * 2, "data_source": ["math-easy-test"] * 2}
    assert trl_reward(["?"] * 2, [r"\boxed{x}", "none"], **batch) == [None, 0.0]


def test_a_batch_is_handed_to_the_slow_scorers_before_the_first_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sympy")
    handed: list[str] = []

    def watched(truth: str, answer: str, *, worked_out: bool = False, digits: int | None = None) -> None:
        handed.append(answer)
        submit(truth, answer, worked_out=worked_out, digits=digits)

    monkeypatch.setattr("mtgrpo_env.envs.mathematics.submit", watched)
    truth = json.dumps({"task": "math", "target": r"\sqrt{2}"})
    batch = {"reward_model": [{"ground_truth": truth}] * 3, "data_source": ["math-easy-test"] * 3}
    answers = [r"\boxed{\frac{2}{\sqrt{2}}}", r"\boxed{\sqrt{3}}", r"\boxed{2^{1/2}}"]
    assert trl_reward(["?"] * 3, answers, **batch) == [1.0, 0.1, 1.0]
    assert len(handed) == 3


@pytest.mark.parametrize(
    ("truth", "complaint"),
    [
        ("{", "nothing says what scores: .* or the argument reward; got task None and the ground truth '{'"),
        ("72", "nothing says what scores: .* got task None and the ground truth '72'"),
        ([1], "expected a ground truth like {'target': ...} or a text, got \\[1\\]"),
        ({"task": "chess"}, "nothing says what scores: .* got task 'chess'"),
        ({"task": "arc-odd"}, "nothing says what scores: .* got task 'arc-odd'"),
        ({"reward": "chess"}, r"reward must be one of \['exact', 'number', 'choice', 'countdown'"),
        ({"reward": "os:system", "target": "ls"}, "only you may name a function; got 'os:system'"),
        ({"reward": "number", "target": "forty"}, "the row to score, column ground_truth: expected .* a number"),
        ({"task": "countdown", "target": 3}, "ground truth needs 'numbers'"),
    ],
)
def test_a_malformed_ground_truth_is_an_error_that_says_what_was_expected(truth: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        reward("", RIGHT, truth)


def test_a_plain_truth_is_scored_by_a_verifier_or_by_a_reward() -> None:
    assert compute_score("math-easy-train", r"\boxed{72}", "72")["score"] == 1.0
    assert compute_score("openai/gsm8k", "It is 72.\n#### 72", "72", reward="number") == {
        "score": 1,
        "acc": 1,
        "valid": 1,
    }
    assert compute_score("openai/gsm8k", "The answer is 72.", "30 and 42\n#### 72", {}, reward="number")["score"] == 1.0
    assert compute_score("math-ai/amc-test", r"\boxed{72}", "72", reward="math")["score"] == 1.0
    assert reward("?", r"\boxed{B}", "B", task="science") == reward("?", "B", "B", reward="choice") == 1.0
    with pytest.raises(ValueError, match="nothing says what scores"):
        compute_score("openai/gsm8k", "72", "72")


def test_a_ground_truth_may_name_a_built_in_reward() -> None:
    truth = json.dumps({"target": "72", "task": "sums", "reward": "number"})
    assert reward("?", "The answer is 72.0", truth) == 1.0
    assert reward("?", "The answer is 73", truth, task="countdown", reward=own_rewards.city) == 0.0


def test_what_the_data_names_goes_before_the_argument_where_it_is_known() -> None:
    """So one argument serves a mixture of exported rows and rows of one's own."""
    assert reward("", RIGHT, COUNTDOWN, reward="exact") == 1.0
    bare = {"numbers": "3,5,7", "target": 22}
    assert compute_score("countdown-mini-train", RIGHT, bare, reward="exact")["acc"] == 1.0
    assert reward("", "Rome", {"task": "capitals", "target": "Rome"}, reward="own_rewards:city") == 1.0


def test_a_function_is_given_the_columns_that_verl_and_trl_pass() -> None:
    own_rewards.calls.clear()
    scored = compute_score("owner/cities", "Rome", "Rome", {"index": 3}, reward=own_rewards.compute_score)
    assert scored == {"score": 1.0, "acc": 1.0, "valid": 1.0}
    assert own_rewards.calls[-1] == ("owner/cities", "Rome", "Rome", {"index": 3})
    trainers = {"trainer_state": None, "completion_ids": [[1], [2]], "log_metric": print}
    for column in ("answer", "ground_truth"):
        given = trl_reward(["?", "?"], ["72", "73"], **{column: ["72", "72"]}, reward="number", **trainers)
        assert given == [1.0, 0.0]
    own = trl_reward(["?", "?"], ["Rome", "x"], answer=["Rome", "Rome"], reward=own_rewards.trl, **trainers)
    assert own == [1.0, 0.0]
    assert own_rewards.calls[-1][:2] == (["?", "?"], ["Rome", "x"])
    with pytest.raises(ValueError, match="expected a ground truth in a column reward_model, ground_truth or answer"):
        trl_reward(["?"], ["72"], target=["72"], reward="number")


def test_a_function_that_fails_gives_no_reward() -> None:
    def fails(completion: str) -> float:
        return 1 / (completion != "odd")

    assert math.isnan(reward("?", "odd", "72", reward=fails))
    assert trl_reward(["?", "?"], ["odd", "even"], answer=["1", "1"], reward=fails) == [None, 1.0]


def test_the_file_works_where_it_is_loaded_by_its_path() -> None:
    """As verl loads a `custom_reward_function.path`: executed, but in no table of modules."""
    spec = importlib.util.spec_from_file_location("custom_module", Path(module.__file__))
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    assert loaded.compute_score("countdown-easy-train", RIGHT, COUNTDOWN, {})["score"] == 1.0
