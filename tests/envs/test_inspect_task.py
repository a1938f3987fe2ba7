"""What exported tasks call in inspect-ai: conversations to their end, and failed scorers that are no zeros."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="inspect-ai is not installed: .[inspect]")

from inspect_ai.model import ChatMessageAssistant, ModelOutput  # pyright: ignore[reportMissingImports]
from inspect_ai.scorer import Target  # pyright: ignore[reportMissingImports]
from inspect_ai.solver import TaskState  # pyright: ignore[reportMissingImports]

from mtgrpo_env.envs.export import export_rows, fresh_problems, write_rows
from mtgrpo_env.envs.inspect_task import conversation, rows_task, verdict
from mtgrpo_env.envs.mtreason import reason_suite

pytestmark = pytest.mark.filterwarnings("ignore")  # of its many dependencies


def played(file: Path, *responses: str, reward: str | None = None) -> tuple[list[str], dict[str, float]]:
    """The roles of a conversation about the first row, and its scores."""
    (sample, *_) = rows_task(file, reward=reward).dataset
    given = iter(responses)
    state = TaskState("m", sample.id, 1, sample.input, list(sample.input), metadata=sample.metadata)

    async def generate(state: TaskState, **_: Any) -> TaskState:
        state.output = ModelOutput.from_content("m", next(given))
        state.messages.append(ChatMessageAssistant(content=state.output.completion))
        return state

    async def play() -> Any:
        return await verdict(reward)(await conversation(reward)(state, generate), Target(""))

    scores = asyncio.run(play()).value
    return [message.role for message in state.messages], scores


@pytest.fixture
def guessing(tmp_path: Path) -> Path:
    suite = reason_suite(["guessing-mini"], split="test", seed=0)
    write_rows(export_rows(suite, fresh_problems(suite, 2)), tmp_path / "guessing.jsonl")
    return tmp_path / "guessing.jsonl"


def test_a_task_of_several_turns_goes_on_until_its_verdict(guessing: Path) -> None:
    truth = json.loads(json.loads(guessing.read_text().splitlines()[0])["reward_model"]["ground_truth"])
    number = int(truth["number"])
    roles, scores = played(guessing, rf"\boxed{{{number + 1}}}", rf"\boxed{{{number}}}")
    assert roles == ["user", "assistant", "user", "assistant"]
    assert scores == {"acc": 1.0, "reward": 1.0}
    roles, scores = played(guessing, "I give up.")
    assert (roles, scores["acc"]) == (["user", "assistant"], 0.0)


def test_where_a_scorer_fails_a_sample_has_no_score(tmp_path: Path) -> None:
    row = {"data_source": "own", "extra_info": {"question": "?"}, "prompt": [{"role": "user", "content": "?"}]}
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({**row, "reward_model": {"ground_truth": None}}))
    _, scores = played(file, "poison", reward="own_rewards:trl_poisoned")
    assert all(map(math.isnan, scores.values()))
    assert played(file, "fine", reward="own_rewards:trl_poisoned")[1] == {"acc": 1.0, "reward": 1.0}
