"""The scorer as plain functions: for trainers that have no envs, only a prompt, a completion and a ground truth.

`reward` is the function; `compute_score` has the signature that verl calls, `trl_reward` the one that TRL calls.
A completion is hostile input, as everywhere: it is never evaluated, and what needs a computer algebra
system is judged in a process that is killed at its deadline.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from mtgrpo_env.envs.answers import BoxedTask
from mtgrpo_env.envs.rows import task_type
from mtgrpo_env.text_env import NO_ANSWER, Verdict

Messages = Sequence[Mapping[str, Any]]
"""Of a chat: each has a "role" and a "content"."""

GroundTruth = Mapping[str, Any] | str
"""What a row says is right, or that as JSON text; in exported rows it also names its "task", like "arc-mini"."""


def reward(
    prompt: str | Messages, completion: str | Messages, ground_truth: GroundTruth, *, task: str | None = None
) -> float:
    r"""What a completion earns: 1.0 correct, 0.1 wrong, 0.0 no answer, and NaN where the scorer itself failed.

    >>> truth = {"task": "countdown-mini", "numbers": "3,5,7", "target": 22}
    >>> reward("C3,5,7=22:", r"\boxed{3*5+7}", truth), reward("C3,5,7=22:", r"\boxed{3*5-7}", truth)
    (1.0, 0.1)

    Args:
        prompt: what was asked; some tasks look for the answer's origin, or for the options, in it.
        completion: the response, or the messages that hold it; of a conversation, those of the assistant in order.
        ground_truth: of the row.
        task: whose ground truth it is, like "arc-mini" or "arc", where it does not say so itself; some answers are
            written otherwise at the mini levels.

    Raises:
        ValueError: if the ground truth names no known task, or is malformed, or the messages are none of a chat. No
            text raises.
    """
    judged = verdict(prompt, completion, ground_truth, task=task)
    return judged.reward if judged.valid else math.nan


def verdict(
    prompt: str | Messages, completion: str | Messages, ground_truth: GroundTruth, *, task: str | None = None
) -> Verdict:
    """`reward` with all there is to say: correctness, the outcome, and whether the scorer failed.

    Raises:
        ValueError: as in `reward`.
    """
    return _Case.of(prompt, completion, ground_truth, task).verdict()


def reply(
    prompt: str | Messages, completion: str | Messages, ground_truth: GroundTruth, *, task: str | None = None
) -> Verdict | str:
    """What a conversation so far is met with: a verdict that ends it, or the text of the next turn.

    Raises:
        ValueError: as in `reward`.
    """
    return _Case.of(prompt, completion, ground_truth, task).reply()


def compute_score(
    data_source: str, solution_str: str, ground_truth: GroundTruth, extra_info: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """What verl calls, as `custom_reward_function`: the reward as "score", correctness as "acc".

    verl has no word for a scorer that failed: the score is then 0.0, and "valid" says so.

    Raises:
        ValueError: as in `reward`.
    """
    question = (extra_info or {}).get("question") or ""
    judged = verdict(question, solution_str, ground_truth, task=_task_of(data_source))
    return {"score": judged.reward, "acc": float(judged.is_success), "valid": float(judged.valid)}


def trl_reward(
    prompts: Sequence[str | Messages],
    completions: Sequence[str | Messages],
    *,
    reward_model: Sequence[Mapping[str, Any]],
    data_source: Sequence[str],
    **_columns: Any,
) -> list[float | None]:
    """What TRL calls, as one of `reward_funcs`, with the columns of exported rows; None where the scorer failed.

    Slow verifiers judge the completions of a batch side by side.

    Raises:
        ValueError: as in `reward`.
    """
    cases = [
        _Case.of(prompt, completion, model["ground_truth"], _task_of(source))
        for prompt, completion, model, source in zip(prompts, completions, reward_model, data_source, strict=True)
    ]
    for case in cases:
        case.task.prefetch(case.puzzle, case.responses[-1])
    judged = [case.verdict() for case in cases]
    return [verdict.reward if verdict.valid else None for verdict in judged]


class _Case(NamedTuple):
    """A puzzle and the responses to it."""

    task: BoxedTask[Any]
    puzzle: Any
    responses: tuple[str, ...]

    @classmethod
    def of(
        cls, prompt: str | Messages, completion: str | Messages, ground_truth: GroundTruth, task: str | None
    ) -> _Case:
        truth = _read(ground_truth)
        name = truth.get("task", task)
        if not isinstance(name, str):
            raise ValueError(f"expected a ground truth with a str 'task', or the argument task, got {truth!r:.200}")
        judge = _judge(name)
        return cls(judge, judge.from_ground_truth(truth, _text(prompt)), _responses(completion))

    def reply(self) -> Verdict | str:
        return self.task.reply(self.puzzle, self.responses)

    def verdict(self) -> Verdict:
        told = self.reply()
        return told if isinstance(told, Verdict) else NO_ANSWER  # a conversation that goes on holds no answer yet


@cache
def _judge(name: str) -> BoxedTask[Any]:
    task, _, level = name.partition("-")
    env_type = task_type(task, "ground truth")
    return env_type(level) if level else env_type()


def _task_of(data_source: str) -> str:
    """`<task>-<level>-<split>` without the split."""
    return data_source.rpartition("-")[0]


def _read(ground_truth: GroundTruth) -> Mapping[str, Any]:
    truth = ground_truth
    if isinstance(truth, str):
        try:
            truth = json.loads(truth)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"expected a ground truth as JSON, got {ground_truth!r:.80}: {error}") from error
    if not isinstance(truth, Mapping):
        raise ValueError(f"expected a ground truth like {{'target': ...}}, got {ground_truth!r:.80}")
    return truth


def _text(prompt: str | Messages) -> str:
    """As `row_schema.prompt` joins messages."""
    return prompt if isinstance(prompt, str) else "\n\n".join(_content(message) for message in prompt)


def _responses(completion: str | Messages) -> tuple[str, ...]:
    """One for each turn of the assistant; an empty one where it said nothing."""
    if isinstance(completion, str):
        return (completion,)
    said = [message for message in completion if message.get("role") == "assistant"]
    return tuple(map(_content, said)) or ("",)


def _content(message: Mapping[str, Any]) -> str:
    """The text of a message, or of its parts; one that only calls tools has none.

    Raises:
        ValueError: if it is no message of a chat.
    """
    content = message.get("content") or ""
    try:
        return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"expected a message with text as its 'content', got {content!r:.80}") from error
