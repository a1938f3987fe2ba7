"""A suite in verifiers, played through its own machinery against a server that speaks OpenAI's protocol.

Skipped where verifiers is not installed: it needs many packages, and nothing else here needs it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from local_server import Handler, local_server

vf = pytest.importorskip("verifiers.v1", reason="verifiers 0.4 is not installed")

import mtgrpo_env  # noqa: E402
from mtgrpo_env.envs.mtreason import PAPER_TASKS, REASON_TASKS  # noqa: E402
from mtgrpo_env.envs.reward import verdict  # noqa: E402
from mtgrpo_env.envs.verifiers_env import TASKSET, SuiteEnv, load_environment  # noqa: E402
from mtgrpo_env.text_env import SCORER_ERROR  # noqa: E402
from mtgrpo_env.types import SPLITS, Split  # noqa: E402

Answer = Callable[[list[dict[str, str]]], str]
"""From the messages of a request to the model's response."""

EVERY_TASK = [
    f"{name}-{'easy' if 'easy' in task.LEVELS else next(iter(task.LEVELS))}" for name, task in REASON_TASKS.items()
]
TASKSET_MODULE = """
from mtgrpo_env.envs.verifiers_env import ChatHarness, SuiteEnv, SuiteTaskset

__all__ = ["ChatHarness", "SuiteEnv", "SuiteTaskset"]
"""


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """The base URL of a server whose model says what `answer` says."""

    class Model(Handler):
        def do_POST(self) -> None:
            request = self.read_json()
            message = {"role": "assistant", "content": answer(request["messages"])}
            reply = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": request["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
            self.send(200, json.dumps(reply).encode())

    with local_server(Model) as address:
        yield f"{address}/v1"


def played(env: SuiteEnv, answer: Answer) -> dict[str, Any]:
    """The episode of every task, by its data source."""

    async def play(url: str) -> list[Any]:
        client = vf.EvalClientConfig(base_url=url, api_key_var="UNSET")
        context = vf.ModelContext(model="scripted", client=client)
        async with env.serving():
            return await asyncio.gather(
                *(env.run_slot(slot, context) for task in env.taskset for slot in env.slots(task))
            )

    with served(answer) as url:
        return {episode.task.data.data_source: episode for episode in asyncio.run(play(url))}


def oracles(env: SuiteEnv) -> Answer:
    """Knows every ground truth of the taskset."""
    truths = {task.data.prompt: json.loads(task.data.ground_truth) for task in env.taskset}

    def answer(messages: list[dict[str, str]]) -> str:
        prompt = messages[0]["content"]
        name, level = truths[prompt]["task"].split("-")
        task = REASON_TASKS[name](level)
        return task.oracle(task.from_ground_truth(truths[prompt], prompt))

    return answer


def halving(messages: list[dict[str, str]]) -> str:
    """Finds a number by what it was told."""
    words = messages[0]["content"].split("from ", 1)[1].split()
    low, high = int(words[0]), int(words[2].rstrip("."))
    for said, told in zip(messages[1::2], messages[2::2], strict=True):
        guess = int(said["content"].strip("\\boxed{}"))
        low, high = (guess + 1, high) if "higher" in told["content"] else (low, guess - 1)
    return f"\\boxed{{{(low + high) // 2}}}"


@pytest.mark.parametrize("split", SPLITS)
def test_every_oracle_has_the_full_reward_in_both_splits(split: Split) -> None:
    env = load_environment(",".join(EVERY_TASK), problems=1, split=split)
    episodes = played(env, oracles(env))
    assert set(episodes) == {f"{name}-{split}" for name in EVERY_TASK}
    for episode in episodes.values():
        (trace,) = episode.traces
        assert episode.ok, episode.errors
        assert (trace.reward, trace.metrics["correct"], trace.num_turns) == (1.0, 1.0, 1)


def test_a_wrong_answer_and_none_have_less() -> None:
    env = load_environment("easy", problems=1)
    for answer, reward in ((r"\boxed{0}", 0.1), ("Who knows?", 0.0)):
        for episode in played(env, lambda _, answer=answer: answer).values():
            (trace,) = episode.traces
            assert (episode.ok, trace.reward, trace.metrics["correct"]) == (True, reward, 0.0)


def test_a_task_of_several_turns_is_a_conversation() -> None:
    env = load_environment("guessing-medium", problems=1)
    (episode,) = played(env, halving).values()
    (trace,) = episode.traces
    assert (trace.reward, trace.metrics["correct"]) == (1.0, 1.0)
    assert 1 < trace.num_turns <= 6
    assert [message.role for message in trace.messages] == ["user", "assistant"] * trace.num_turns
    (stubborn,) = played(env, lambda _: r"\boxed{0}").values()
    assert (stubborn.traces[0].reward, stubborn.traces[0].num_turns) == (0.1, 6)


def test_a_limit_on_the_turns_ends_a_conversation_without_an_answer() -> None:
    env = load_environment("guessing-medium", problems=1)
    env.config.agent.max_turns = 2
    (episode,) = played(env, lambda _: r"\boxed{0}").values()
    (trace,) = episode.traces
    assert (episode.ok, trace.reward, trace.num_turns, trace.stop_condition) == (True, 0.0, 2, "max_turns")


def test_a_scorer_that_fails_is_an_error_of_the_rollout_and_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> Any:
        judged = verdict(*arguments)
        return SCORER_ERROR if judged.is_success else judged

    monkeypatch.setattr("mtgrpo_env.envs.verifiers_env.verdict", fails)
    env = load_environment("zebra-mini", problems=1)
    (episode,) = played(env, oracles(env)).values()
    (trace,) = episode.traces
    assert not episode.ok
    assert "scorer failed" in trace.errors[-1].message
    assert trace.rewards == {"reward": None}


def test_a_server_that_answers_nonsense_is_an_error_of_the_rollout() -> None:
    env = load_environment("zebra-mini", problems=1)

    def breaks(_: list[dict[str, str]]) -> str:
        raise RuntimeError("the server closes the connection without a reply")

    (episode,) = played(env, breaks).values()
    assert not episode.ok
    assert episode.traces[0].errors


def test_the_same_arguments_give_the_same_tasks_and_the_splits_share_none() -> None:
    def keys(**arguments: Any) -> list[str]:
        return [task.key for task in load_environment("mini", problems=5, **arguments).taskset]

    assert len(set(keys())) == 15
    assert keys() == keys() != keys(seed=1)
    ids = [{task.data.id for task in load_environment("mini", problems=50, split=split).taskset} for split in SPLITS]
    assert not ids[0] & ids[1]


def test_their_command_evaluates_a_suite_by_a_module_on_the_path(tmp_path: Path) -> None:
    """`vf-eval` in another process, which knows nothing of the alias that `load_environment` makes."""
    (tmp_path / f"{TASKSET}.py").write_text(TASKSET_MODULE, "utf-8")
    env = load_environment("mini", problems=2, split="test", seed=3)
    with served(oracles(env)) as url:
        command = [str(Path(sys.executable).with_name("vf-eval")), "mtgrpo-suite", "--no-push", "--no-rich"]
        command += ["--model", "scripted", "--client.base-url", url, "--client.api-key-var", "UNSET"]
        command += ["--env.taskset.suite", "mini", "--env.taskset.problems", "2", "--env.taskset.seed", "3"]
        command += ["--output-dir", str(tmp_path / "out")]
        paths = os.pathsep.join([str(tmp_path), str(Path(mtgrpo_env.__file__).parents[1])])
        environment = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (traces,) = (tmp_path / "out").rglob("traces.jsonl")
    episodes = [json.loads(line) for line in traces.read_text("utf-8").splitlines()]
    rewards = [episode["traces"][0]["rewards"]["reward"]["score"] for episode in episodes]
    assert rewards == [1.0] * 2 * len(PAPER_TASKS)
