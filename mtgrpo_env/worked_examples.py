"""Solved problems of a task, to be shown before its others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtgrpo_env.chat import Message, answered, messages_of
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task import TASK_FAULTS
from mtgrpo_env.text_env import Opening, TextEnv


@dataclass(frozen=True, slots=True)
class WorkedExamples:
    """Of each of K tasks, some problems with the oracle's responses.

    Attributes:
        turns: of each task, messages in turn of the user and the assistant.
        puzzles: of each task, the hashes of the puzzles shown.
    """

    turns: tuple[tuple[Message, ...], ...] = ()
    puzzles: tuple[frozenset[str], ...] = ()

    def shows(self, task_id: int, opening: Opening) -> bool:
        """Whether what starts like this is one of a task's examples; a `LeftOut` of suites."""
        return bool(self.puzzles) and opening.provenance.hash in self.puzzles[task_id]


def worked_examples(suite: TaskSuite, count: int) -> WorkedExamples:
    """The first `count` problems to train on of every task, solved by its oracle; none for 0.

    Raises:
        ValueError: naming a task that has fewer, or whose answers are not known.
    """
    if not count:
        return WorkedExamples()
    turns: list[tuple[Message, ...]] = []
    puzzles: list[frozenset[str]] = []
    problems = suite.held_out(count, split="train")
    for task_id, name in enumerate(suite.names):
        own = [problem for problem in problems if problem.task_id == task_id]
        if len(own) < count:
            raise ValueError(f"task {name!r} has {len(own)} problems to train on, examples={count} takes more")
        openings = [opening for problem in own if (opening := suite.opening(problem)) is not None]
        env = suite.envs(task_id, 1)[0].unwrapped
        if not isinstance(env, TextEnv) or len(openings) < count:
            raise ValueError(f"examples need text tasks, got {name!r}")
        turns.append(tuple(message for opening in openings for message in _solved(env, name, opening.puzzle)))
        puzzles.append(frozenset(opening.provenance.hash for opening in openings))
    return WorkedExamples(tuple(turns), tuple(puzzles))


def _solved(env: TextEnv, name: str, puzzle: object) -> Sequence[Message]:
    """A problem's own messages but for a system message, and the response that is right.

    Raises:
        ValueError: if the task does not know it.
    """
    try:
        response = env.oracle(puzzle)
    except TASK_FAULTS as error:  # whatever a task of one's own may raise
        raise ValueError(f"examples need answers, and task {name!r} has none: {error}") from error
    asked = [message for message in messages_of(env.prompt(puzzle)) if message.role != "system"]
    return answered(asked, response)
