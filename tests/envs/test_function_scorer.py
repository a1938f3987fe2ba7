"""Rows scored by functions: signatures, values, errors, event loops, batches and workers."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import own_rewards
import pytest
from fakes import ScriptedPolicy

from mtgrpo_env.envs import reward_worker
from mtgrpo_env.envs.function_scorer import FunctionScorer
from mtgrpo_env.envs.named_scorers import known_scorer, named_scorer
from mtgrpo_env.envs.reward_functions import RewardFunction, as_score
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_scorers import RowScorer, VerifierScorer
from mtgrpo_env.envs.rows_env import RowsEnv
from mtgrpo_env.envs.worker_pool import WorkerPool
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.text_env import SCORER_ERROR, Verdict
from mtgrpo_env.types import Problem

COLUMNS = {"prompt": "Capital of Italy?", "answer": "Rome", "country": "Italy", "extra_info": {"index": 7}}


def row_of(truth: Any = None, **changes: Any) -> Row:
    fields: dict[str, Any] = {"task": "capitals", "level": None, "split": None, "prompt": "Capital of Italy?"}
    fields |= {"index": 0, "question": "Capital of Italy?", "source": "rows.jsonl, row 1", "columns": COLUMNS}
    return Row(**{**fields, "ground_truth": {"target": "Rome"} if truth is None else truth, **changes})


def reply(scorer: RowScorer, response: str, row: Row | None = None) -> Verdict:
    verdict = scorer.reply(scorer.problem(row or row_of()), [response])
    assert isinstance(verdict, Verdict)
    return verdict


@pytest.fixture(autouse=True)
def calls() -> list[Any]:
    own_rewards.calls.clear()
    return own_rewards.calls


def test_a_function_is_given_the_columns_that_it_names() -> None:
    scorer = named_scorer("own_rewards:city")
    assert scorer.name == "own_rewards:city"
    assert reply(scorer, "Rome") == Verdict(1.0, True, "correct")
    assert reply(scorer, "Paris") == Verdict(0.0, False, "wrong")
    assert reply(scorer, " ") == Verdict(0.0, False, "no_answer")


def test_a_function_with_keyword_arguments_is_given_everything(calls: list[Any]) -> None:
    scorer = named_scorer(own_rewards.everything, correct_at=0.5)
    assert reply(scorer, "x") == Verdict(0.5, True, "correct")
    assert calls[-1] == {
        **COLUMNS,
        "prompt": "Capital of Italy?",
        "completion": "x",
        "ground_truth": {"target": "Rome"},
    }


def test_a_column_cannot_take_the_place_of_what_is_scored(calls: list[Any]) -> None:
    row = row_of(columns={"completion": "forged", "ground_truth": "forged", "prompt": "forged"})
    reply(named_scorer(own_rewards.everything), "x", row)
    assert calls[-1] == {"completion": "x", "ground_truth": {"target": "Rome"}, "prompt": "Capital of Italy?"}


def test_verls_function_is_called_as_verl_does(calls: list[Any]) -> None:
    columns = {"data_source": "openai/gsm8k", "reward_model": {"ground_truth": "72"}, "extra_info": {"index": 3}}
    scorer = named_scorer("own_rewards:compute_score")
    assert reply(scorer, "it is 72", row_of("72", columns=columns)).is_success
    assert calls[-1] == ("openai/gsm8k", "it is 72", "72", {"index": 3})
    reply(scorer, "x", row_of("72", columns={}))
    assert calls[-1] == ("capitals", "x", "72", {})


def test_trls_function_is_called_with_a_batch_of_texts(calls: list[Any]) -> None:
    scorer = named_scorer("own_rewards:trl")
    row = scorer.problem(row_of())
    calls.clear()
    for response in ("Rome", "Paris", "Rome"):
        scorer.prefetch(row, response)
    rewards = [reply(scorer, response).reward for response in ("Rome", "Paris", "Rome")]
    assert rewards == [1.0, 0.0, 1.0]
    columns = sorted(COLUMNS.keys() - {"prompt", "answer"} | {"ground_truth"})
    assert calls == [(["Capital of Italy?"] * 3, ["Rome", "Paris", "Rome"], ["Rome"] * 3, columns)]
    assert reply(scorer, "Rome").reward == 1.0
    assert len(calls) == 2


def test_trls_function_sees_messages_where_the_row_is_a_chat(calls: list[Any]) -> None:
    chat = [{"role": "user", "content": "Capital of Italy?"}]
    assert reply(named_scorer("own_rewards:trl"), "Rome", row_of(columns={"prompt": chat, "answer": "Rome"})).is_success
    assert calls[-1][:2] == ([chat], [[{"role": "assistant", "content": "Rome"}]])


def test_a_batch_that_raises_is_scored_one_by_one() -> None:
    scorer = named_scorer("own_rewards:trl_poisoned")
    row = scorer.problem(row_of())
    for response in ("a", "poison", "b"):
        scorer.prefetch(row, response)
    assert [reply(scorer, response).valid for response in ("b", "poison", "a")] == [True, False, True]


def test_async_calls_of_a_batch_run_side_by_side() -> None:
    """Each waits until all three have begun."""
    begun: list[str] = []
    everyone = threading.Event()

    async def meets(completion: str) -> float:
        begun.append(completion)
        while not everyone.is_set():
            await asyncio.sleep(0)
        return float(completion == "b")

    everyone.set()
    scorer = named_scorer(meets)
    row = scorer.problem(row_of())
    everyone.clear()
    begun.clear()
    for response in ("a", "b", "b"):
        scorer.prefetch(row, response)
    while len(begun) < 3:
        pass
    everyone.set()
    assert [reply(scorer, response).reward for response in ("b", "a", "b")] == [1.0, 0.0, 1.0]
    assert sorted(begun) == ["a", "b", "b"]


def test_an_async_function_is_called_inside_a_running_loop_too() -> None:
    async def inside() -> Verdict:
        return reply(named_scorer("own_rewards:awaits"), "Rome")

    assert asyncio.run(inside()).is_success
    assert reply(named_scorer("own_rewards:trl_async"), "Rome").is_success
    assert reply(named_scorer(functools.partial(own_rewards.awaits)), "Rome").is_success


def test_an_interrupt_ends_the_wait_for_an_async_function() -> None:
    async def never(completion: str) -> float:
        if completion == "wait":
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(1000)
        return 0.0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        scorer = named_scorer(never)
        scorer.problem(row_of())
        with pytest.raises(KeyboardInterrupt):
            reply(scorer, "wait")
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers with a short deadline."""
    pools: dict[str, WorkerPool] = {}

    def pool(function: str) -> WorkerPool:
        return pools.setdefault(function, WorkerPool(function, num_workers=1, seconds=1.0))

    monkeypatch.setattr("mtgrpo_env.envs.reward_calls.shared_pool", pool)
    yield
    for made in pools.values():
        made.close()


@pytest.mark.usefixtures("_impatient")
def test_a_function_in_workers_may_hang_or_end_its_process() -> None:
    scorer = named_scorer("worker:own_rewards:unruly")
    row = scorer.problem(row_of())
    for response in ("hang", "die", "right"):
        scorer.prefetch(row, response)
    assert [reply(scorer, response) for response in ("hang", "die")] == [SCORER_ERROR] * 2
    assert reply(scorer, "right").is_success


@pytest.mark.parametrize("name", ["compute_score", "trl", "awaits", "everything"])
def test_a_worker_calls_a_function_of_any_signature(name: str) -> None:
    row, function = row_of("Rome" if name == "compute_score" else None), RewardFunction.named(f"own_rewards:{name}")
    request = json.loads(json.dumps(function.arguments(row, "Rome")))
    assert getattr(reward_worker, f"own_rewards:{name}")(request) == (0.5 if name == "everything" else 1.0)
    assert not hasattr(reward_worker, "own_rewards")


def test_what_is_no_json_cannot_go_to_a_worker() -> None:
    scorer = named_scorer("worker:own_rewards:everything")
    with pytest.raises(ValueError, match=r"^rows\.jsonl, row 1: .* TypeError: Object of type bytes is not JSON"):
        scorer.problem(row_of(columns={"image": b"png"}))


@pytest.mark.parametrize(
    ("value", "score"),
    [
        *[(1, 1.0), (True, 1.0), (-0.25, -0.25), (np.float32(0.5), 0.5), (np.array(1), 1.0), (np.array([2.0]), 2.0)],
        *[({"score": 0.5, "acc": 1}, 0.5), ({"score": None}, None), (None, None), (np.bool_(True), 1.0)],
    ],
)
def test_a_score_is_a_number_alone_or_in_a_dict(value: Any, score: float | None) -> None:
    assert as_score(value) == score
    assert reply(named_scorer(lambda completion: value, correct_at=1.0), "x").valid == (score is not None)


def test_a_tensor_is_a_score() -> None:
    torch = pytest.importorskip("torch")
    assert as_score(torch.tensor(0.5)) == as_score(torch.tensor([0.5])) == 0.5
    with pytest.raises(ValueError, match="expected one number"):
        as_score(torch.zeros(2))


NO_SCORES = [float("nan"), float("inf"), "1.0", [1.0], {"acc": 1.0}, object(), 1j, np.zeros(2), np.nan, 10**400, b"1"]


@pytest.mark.parametrize("position", range(len(NO_SCORES)))
def test_what_is_no_score_is_an_error_and_no_zero(position: int, caplog: pytest.LogCaptureFixture) -> None:
    def broken(completion: str) -> Any:
        return NO_SCORES[position] if completion == "odd" else 0.0

    scorer = named_scorer(broken)
    with caplog.at_level(logging.WARNING):
        assert reply(scorer, "odd") == reply(scorer, "odd") == SCORER_ERROR
    (record,) = caplog.records
    assert "rows.jsonl, row 1: the reward" in record.getMessage()
    assert "expected" in record.getMessage()
    with pytest.raises(
        ValueError, match=r"rows\.jsonl, row 1: the reward .* fails on an empty response: ValueError: exp"
    ):
        named_scorer(lambda completion: 0.0 if completion else NO_SCORES[position]).problem(row_of())


@pytest.mark.parametrize("kind", [Decimal("0.5"), Fraction(1, 2)])
def test_other_numbers_must_be_made_floats(kind: Any) -> None:
    with pytest.raises(ValueError, match="expected a number, None, or a dict with a 'score'"):
        as_score(kind)


@pytest.mark.parametrize("prefix", ["", "worker:"])
@pytest.mark.parametrize(("name", "error"), [("typo", "KeyError: 'targte'"), ("text", "ValueError: expected a number")])
def test_a_function_that_fails_is_refused_at_its_first_row(prefix: str, name: str, error: str) -> None:
    scorer = named_scorer(f"{prefix}own_rewards:{name}")
    with pytest.raises(
        ValueError, match=f"^rows.jsonl, row 1: the reward {prefix}own_rewards:{name} fails on the row's own"
    ):
        scorer.problem(row_of())
    with pytest.raises(ValueError, match=error):
        RowsEnv(scorer, [row_of()])


def test_each_kind_of_error_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def raises(completion: str) -> float:
        if completion == "key":
            raise KeyError("gone")
        return 1 / (completion != "zero")

    scorer = named_scorer(raises)
    with caplog.at_level(logging.WARNING):
        assert {reply(scorer, response) for response in ("key", "zero", "key", "zero")} == {SCORER_ERROR}
    assert [("KeyError: 'gone'" in r.getMessage(), "division by zero" in r.getMessage()) for r in caplog.records] == [
        (True, False),
        (False, True),
    ]


def test_a_row_without_a_column_that_the_function_needs_is_refused() -> None:
    def needs(completion: str, capital: str) -> float:
        return 0.0

    rows = [row_of(columns={"capital": "Rome"}), row_of(columns={"captial": "Rome"}, source="rows.jsonl, row 2")]
    with pytest.raises(
        ValueError, match=r"^rows\.jsonl, row 2: the reward .*needs 'capital', .* it can have \['captial'"
    ):
        RowsEnv(named_scorer(needs), rows)


def _positional(completion: str, /) -> float:
    return 0.0


@pytest.mark.parametrize("function", [lambda response: 1.0, lambda *answers: 1.0, lambda: 1.0, _positional, len])
def test_a_function_with_other_parameters_is_refused_with_the_three_signatures(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"must have a parameter 'completion' \(ours\), 'solution_str' \(verl's\)"):
        named_scorer(function)


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("numbr", "reward must be one of .*'exact', 'number', 'choice', 'countdown'.* did you mean 'number'"),
        ("my_rewards.city", "or a function, 'package.module:function'"),
        ("own_rewards:cty", "expected 'package.module:name', got 'own_rewards:cty'"),
        ("worker:own_rewards", "reward must be one of|expected 'package.module:name'"),
        ("own_rewards:calls", "reward own_rewards:calls must be a function, got"),
        ("arc-odd", "level of Arc must be one of"),
        (["number"], "reward must be a name or a function, got"),
    ],
)
def test_a_reward_that_is_not_there_is_refused(reward: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        named_scorer(reward)


def test_a_data_file_names_no_function() -> None:
    with pytest.raises(ValueError, match="only you may name a function; got 'os:system'"):
        known_scorer("os:system")
    assert known_scorer("number").name == "number"


@pytest.mark.parametrize("correct_at", [float("nan"), float("inf")])
def test_the_least_score_of_a_right_response_is_finite(correct_at: float) -> None:
    with pytest.raises(ValueError, match="correct_at must be finite"):
        named_scorer("number", correct_at=correct_at)


def test_a_verifier_is_named_with_or_without_its_level() -> None:
    for name, answer in (("arc-mini", "006"), ("arc", "0 0 6")):
        scorer = named_scorer(name)
        assert isinstance(scorer, VerifierScorer)
        assert reply(scorer, f"\\boxed{{{answer}}}", row_of({"target": "0 0 6"})).is_success
    assert reply(named_scorer("math"), r"\boxed{72}", row_of("30+42 is 72\n#### 72")).is_success


@pytest.mark.parametrize(
    ("reward", "truth", "oracle"),
    [
        ("number", "30 and 42.\n#### 72", "72"),
        ("exact", {"target": "}"}, "}"),
        ("choice", {"target": "B", "choices": ["gold", "iron"]}, "B"),
        ("own_rewards:city", None, "Rome"),
        ("own_rewards:contains", {"target": "x", "more": 1}, "x"),
        (lambda completion: float("boxed" in completion), None, r"\boxed{Rome}"),
        (lambda completion: float(completion == "<answer>Rome</answer>"), None, "<answer>Rome</answer>"),
        (lambda completion: float("#### Rome" in completion), None, "#### Rome"),
        (lambda completion: float(completion == "Answer: Rome"), None, "Answer: Rome"),
        (lambda completion: 0.0, None, "Rome"),
    ],
)
def test_the_oracle_is_the_first_form_of_the_truth_that_is_right(reward: Any, truth: Any, oracle: str) -> None:
    scorer = named_scorer(reward)
    assert scorer.oracle(scorer.problem(row_of(truth))) == oracle


def test_a_solution_in_a_column_is_an_oracle() -> None:
    scorer = named_scorer(lambda completion: float(len(completion) == 4))
    row = row_of("nothing", columns={"solution": "four", "completion": [{"role": "assistant", "content": "four!"}]})
    assert scorer.oracle(scorer.problem(row)) == "four"


@pytest.mark.parametrize(("reward", "truth"), [("number", "forty"), ("choice", "iron"), ("exact", {"answer": "Rome"})])
def test_a_truth_that_a_built_in_reward_cannot_read_is_refused_at_every_row(reward: str, truth: Any) -> None:
    good = row_of({"target": "1" if reward == "number" else "B"})
    bad = row_of(truth, source="rows.jsonl, row 9")
    with pytest.raises(ValueError, match=r"^rows\.jsonl, row 9, column ground_truth: "):
        RowsEnv(named_scorer(reward), [good, bad])


def test_guesses_of_built_in_rewards_are_well_formed() -> None:
    rng = np.random.default_rng(0)
    numbers, letters, texts = (named_scorer(name) for name in ("number", "choice", "exact"))
    guesses = [numbers.guess(numbers.problem(row_of("72")), rng) for _ in range(200)]
    assert 0 < np.mean([reply(numbers, guess, row_of("72")).is_success for guess in guesses]) < 0.1
    row = letters.problem(row_of({"target": "B", "choices": ["gold", "iron"]}))
    assert {letters.guess(row, rng) for _ in range(50)} == {r"\boxed{A}", r"\boxed{B}"}
    assert texts.guess(texts.problem(row_of()), rng) == ""


def test_rows_with_one_prompt_are_one_problem() -> None:
    scorer = named_scorer("exact")
    first, second = row_of(), row_of({"target": "Roma"}, prompt="Capital  of\nItaly?", source="rows.jsonl, row 2")
    assert scorer.key(scorer.problem(first)) == scorer.key(scorer.problem(second))


@pytest.mark.parametrize("name", ["number", "own_rewards:trl", "own_rewards:awaits", "worker:own_rewards:city"])
def test_a_copy_scores_the_same_and_has_nothing_on_its_way(name: str) -> None:
    scorer = named_scorer(name)
    assert isinstance(scorer, FunctionScorer)
    row = row_of("7") if name == "number" else row_of()
    scorer.prefetch(scorer.problem(row), "Rome")
    for other in (copy.deepcopy(scorer), pickle.loads(pickle.dumps(scorer))):
        assert (other.name, other.correct_at) == (scorer.name, scorer.correct_at)
        assert reply(other, "Rome", row) == reply(scorer, "Rome", row)


def test_an_env_of_rows_plays_with_a_function() -> None:
    env = RowsEnv(named_scorer("own_rewards:city"), [row_of()])
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step("Rome")
    assert (reward, terminated, info["is_success"], info["outcome"]) == (1.0, True, True, "correct")


def test_a_batch_of_rollouts_is_one_call_of_a_batch_function(calls: list[Any]) -> None:
    scorer = named_scorer("own_rewards:trl")
    rows = [row_of(), row_of({"target": "Lima"}, prompt="Capital of Peru?", columns={"answer": "Lima"})]
    suite = TaskSuite([Task.from_text("capitals", functools.partial(RowsEnv, scorer, rows))])
    problems = [Problem(0, 0, {"index": index}) for index in (0, 1)]
    policy = ScriptedPolicy(lambda observation, _, place: "Rome" if place % 2 else "Lima")
    suite.envs(0, 1)
    calls.clear()
    groups = rollout_groups(suite, policy, problems, 4)
    assert [[rollout.reward for rollout in group.rollouts] for group in groups] == [[0, 1, 0, 1], [1, 0, 1, 0]]
    assert [len(completions) for _, completions, *_ in calls] == [8]


def test_a_score_in_single_precision_reaches_its_bound() -> None:
    assert reply(named_scorer(lambda completion: np.float32(0.9), correct_at=0.9), "x").is_success
    assert not reply(named_scorer(lambda completion: 0.8999, correct_at=0.9), "x").is_success


def test_an_async_reward_that_blocks_on_another_is_an_error_and_no_deadlock() -> None:
    inner = named_scorer("own_rewards:awaits")

    async def outer(completion: str) -> float:
        return reply(inner, completion).reward if completion == "nested" else 0.0

    inner.problem(row_of())
    assert not reply(named_scorer(outer), "nested").is_success


def test_a_function_is_named_by_what_a_partial_holds() -> None:
    assert named_scorer(functools.partial(own_rewards.city, country="Italy")).name == "own_rewards:city"


def test_a_function_may_change_what_it_is_given_and_not_the_row() -> None:
    def greedy(completion: str, ground_truth: dict[str, Any], extra_info: dict[str, Any]) -> float:
        extra_info.pop("index")
        return float(completion == ground_truth.pop("target"))

    scorer, row = named_scorer(greedy), row_of()
    assert [reply(scorer, "Rome", row).reward for _ in range(3)] == [1.0] * 3
    assert row == row_of()


def test_a_function_that_ends_the_process_is_a_scorer_error() -> None:
    def leaves(completion: str) -> float:
        return raise_exit() if completion == "now" else 0.0

    async def leaves_too(completion: str) -> float:
        return raise_exit() if completion == "now" else 0.0

    def raise_exit() -> float:
        raise SystemExit(0)

    for function in (leaves, leaves_too):
        assert reply(named_scorer(function), "now") == SCORER_ERROR


def test_an_error_that_cannot_be_shown_is_an_error_like_any_other() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fails(completion: str) -> float:
        if completion == "now":
            raise Mute
        return 0.0

    assert reply(named_scorer(fails), "now") == SCORER_ERROR
