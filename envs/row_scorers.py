"""What scores responses to the rows of a file: a task's own verifier here, reward functions in `function_scorer`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from mtgrpo_env.chat import last_question
from mtgrpo_env.envs.answers import BoxedTask, boxed
from mtgrpo_env.envs.final_answers import without_reasoning
from mtgrpo_env.envs.row import GroundTruth, Row
from mtgrpo_env.spaces import MAX_TEXT_LENGTH
from mtgrpo_env.text_env import Verdict


class RowScorer(ABC):
    """Scores responses to rows. As in a `TextEnv`, no method changes it.

    Attributes:
        name: by which another process can make it again: "math", "number" or "package.module:function".
        version: as of `TextEnv`.
    """

    name: str
    version: int = 1

    @abstractmethod
    def problem(self, row: Row) -> Hashable:
        """What the other methods need of a row.

        Raises:
            ValueError: naming file, row and column, if the row cannot be scored.
        """

    @abstractmethod
    def reply(self, problem: Any, responses: Sequence[str]) -> Verdict | str:
        """As `TextEnv.reply`."""

    @abstractmethod
    def oracle(self, problem: Any) -> str:
        """A response that is right."""

    @abstractmethod
    def key(self, problem: Any) -> str:
        """Two rows with one key are the same problem."""

    def guess(self, problem: Any, rng: np.random.Generator) -> str:
        """A well-formed response made without thinking."""
        return ""

    def prefetch(self, problem: Any, response: str) -> None:  # noqa: B027 - only slow scorers have something to start
        """As `TextEnv.prefetch`."""


class VerifierScorer(RowScorer):
    """A registered task's verifier.

    Args:
        task: whose.
        name: that it is registered by.
    """

    def __init__(self, task: BoxedTask[Any], *, name: str) -> None:
        self.task = task
        self.name = name
        self.version = task.version

    def problem(self, row: Row) -> Hashable:
        fields = as_fields(row.needed_truth)
        try:
            _check_length(fields)
            # Of the prompt, not `row.question`: it is what the policy reads, so it is what a guess may go by.
            return self.task.from_ground_truth(fields, last_question(row.prompt))
        except ValueError as error:
            raise ValueError(f"{row.source}, column ground_truth: {error}") from error

    def reply(self, problem: Any, responses: Sequence[str]) -> Verdict | str:
        return self.task.reply(problem, responses)

    def oracle(self, problem: Any) -> str:
        return self.task.oracle(problem)

    def key(self, problem: Any) -> str:
        return self.task.key(problem)

    def guess(self, problem: Any, rng: np.random.Generator) -> str:
        return self.task.guess(problem, rng)

    def prefetch(self, problem: Any, response: str) -> None:
        self.task.prefetch(problem, response)


def as_fields(ground_truth: GroundTruth) -> Mapping[str, Any]:
    r"""The ground truth as a verifier reads it: a plain text is its target, of GSM8K's form what follows "####".

    >>> as_fields("30 and 42 are 72.\n#### 72")
    {'target': '72'}
    """
    return {"target": without_reasoning(ground_truth)} if isinstance(ground_truth, str) else ground_truth


def _check_length(fields: Mapping[str, Any]) -> None:
    """Refuse an answer that no response could hold."""
    target = fields.get("target")
    most = MAX_TEXT_LENGTH - len(boxed(""))
    if isinstance(target, str) and len(target) > most:
        raise ValueError(f"ground truth needs a 'target' of at most {most:,} characters, got {len(target):,}")
