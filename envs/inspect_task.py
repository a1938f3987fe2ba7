"""What the tasks call that `mtgrpo export --to inspect` writes for inspect-ai: a Task for a file of rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtgrpo_env.envs.reward import compute_score, reply
from mtgrpo_env.extras import imports_for
from mtgrpo_env.text_env import Verdict

with imports_for(__name__):
    from inspect_ai import Task  # pyright: ignore[reportMissingImports]
    from inspect_ai.dataset import MemoryDataset, Sample  # pyright: ignore[reportMissingImports]
    from inspect_ai.model import (  # pyright: ignore[reportMissingImports]
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        GenerateConfig,
    )
    from inspect_ai.scorer import (  # pyright: ignore[reportMissingImports]
        Score,
        Scorer,
        Target,
        accuracy,
        mean,
        scorer,
        stderr,
    )
    from inspect_ai.solver import Generate, Solver, TaskState, solver  # pyright: ignore[reportMissingImports]

_MESSAGES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


def rows_task(file: Path, *, max_tokens: int = 1024, reward: str | None = None) -> Task:
    """The rows of an exported file, played by our envs' rules and judged by our verifiers.

    Args:
        file: that `mtgrpo export` wrote.
        max_tokens: longest response.
        reward: that scores rows of one's own, as `mtgrpo export --reward` takes it.
    """
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    samples = [_sample(row, f"{file.stem}-{i}") for i, row in enumerate(rows)]
    return Task(
        dataset=MemoryDataset(samples, name=file.stem),
        solver=conversation(reward),
        scorer=verdict(reward),
        config=GenerateConfig(max_tokens=max_tokens),
    )


@solver
def conversation(reward: str | None = None) -> Solver:
    """Lets the model respond for as long as the task goes on; most tasks are over after one response."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        while True:
            state = await generate(state)
            row = state.metadata
            question, truth = row["extra_info"]["question"], row["reward_model"]["ground_truth"]
            task = row["data_source"].rpartition("-")[0] or None
            following = await asyncio.to_thread(reply, question, _said(state, row), truth, task=task, reward=reward)
            if state.completed or isinstance(following, Verdict):
                return state
            state.messages.append(ChatMessageUser(content=following))

    return solve


@scorer(metrics={"acc": [accuracy(), stderr()], "reward": [mean(), stderr()]})
def verdict(reward: str | None = None) -> Scorer:
    """The verdict of our verifier; a sample whose scorer failed is left unscored, which is no zero."""

    async def score(state: TaskState, target: Target) -> Score:
        row = state.metadata
        truth, about = row["reward_model"]["ground_truth"], row["extra_info"]
        said = _said(state, row)
        scored = await asyncio.to_thread(compute_score, row["data_source"], said, truth, about, reward=reward)
        answer = state.output.completion
        if not scored["valid"]:
            return Score(
                value={"acc": float("nan"), "reward": float("nan")}, answer=answer, explanation="scorer failed"
            )
        return Score(value={"acc": scored["acc"], "reward": scored["score"]}, answer=answer)

    return score


def _sample(row: Mapping[str, Any], name: str) -> Sample:
    messages = [_MESSAGES[message["role"]](content=message["content"]) for message in row["prompt"]]
    return Sample(input=messages, target=row["reward_model"]["ground_truth"] or "", id=name, metadata=dict(row))


def _said(state: TaskState, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The responses after the prompt, in which worked examples may stand."""
    after = state.messages[len(row["prompt"]) :]
    return [{"role": "assistant", "content": message.text} for message in after if message.role == "assistant"]
