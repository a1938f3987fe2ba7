"""What the tasks call that `mtgrpo export --to lm-eval` writes for the lm-evaluation-harness."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtgrpo_env.envs.reward import compute_score
from mtgrpo_env.extras import imports_for


def documents(file: Path) -> Any:
    """The exported rows of a file as a data set of the harness; the column "description" is the system message.

    Raises:
        MissingPackageError: if datasets, which the harness brings, is not installed.
    """
    with imports_for("a task of the lm-evaluation-harness"):
        from datasets import Dataset
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return Dataset.from_list([{**row, "description": system_message(row)} for row in rows])


def system_message(row: Mapping[str, Any]) -> str:
    """The one before an exported row's prompt; "" if there is none."""
    return next((message["content"] for message in row["prompt"] if message["role"] == "system"), "")


def worked_examples(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The questions and answers before an exported row's prompt.

    Raises:
        ValueError: if there is anything else, for which the harness has no place.
    """
    messages = [message for message in row["prompt"][:-1] if message["role"] != "system"]
    roles = [message["role"] for message in messages]
    if roles != ["user", "assistant"] * (len(roles) // 2) or row["prompt"][-1]["role"] != "user":
        shown = ", ".join(message["role"] for message in row["prompt"])
        raise ValueError(f"{row['data_source']}: a prompt for lm-eval must be questions and answers, got {shown}")
    texts = [message["content"] for message in messages]
    return [{"question": asked, "answer": said} for asked, said in zip(texts[::2], texts[1::2], strict=True)]


def example_prompt(example: Mapping[str, str]) -> str:
    """The question of a worked example."""
    return example["question"]


def example_response(example: Mapping[str, str]) -> str:
    """Its answer."""
    return example["answer"]


def prompt(document: Mapping[str, Any]) -> str:
    """What is asked; the harness puts the model's chat template around it."""
    return document["prompt"][-1]["content"]


def results(document: Mapping[str, Any], responses: Sequence[str], *, reward: str | None = None) -> dict[str, float]:
    """The verdict on a response: correctness, reward, and whether the scorer failed.

    Where it failed, correctness and reward are left out: the harness averages what it is given.

    Args:
        document: an exported row.
        responses: the first one is scored.
        reward: that scores rows of one's own, as `mtgrpo export --reward` takes it.

    Raises:
        ValueError: as in `compute_score`.
    """
    truth = document["reward_model"]["ground_truth"]
    scored = compute_score(document["data_source"], responses[0], truth, document["extra_info"], reward=reward)
    known = {"acc": scored["acc"], "reward": scored["score"]} if scored["valid"] else {}
    return {**known, "scored": scored["valid"]}
