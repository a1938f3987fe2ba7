"""Text episodes that need no env of their own: one env of each task judges them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.text_env import TextEnv, Verdict
from mtgrpo_env.types import Problem


@dataclass(frozen=True, slots=True)
class Opening:
    """A puzzle on the table: what all the rollouts of its problem share.

    Attributes:
        task: whose puzzle it is.
        problem: that it came from.
        env: judges the responses to it.
        puzzle: the puzzle.
        provenance: what `reset` says of it.
    """

    task: Task
    problem: Problem
    env: TextEnv[Any]
    puzzle: Any
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One episode as far as it got; every response makes another one.

    Attributes:
        opening: how it started.
        text: the prompt, and the turns so far unless the last one ended it.
        responses: of the policy.
        verdict: None until it is over.
    """

    opening: Opening
    text: str
    responses: tuple[str, ...] = ()
    verdict: Verdict | None = None

    @property
    def observation(self) -> str:
        """What the policy sees: nothing once it is over."""
        return self.text if self.verdict is None else ""

    def render(self) -> str:
        """As `TextEnv.render`."""
        return self.text if self.verdict is None else f"{self.text}\n> {self.responses[-1]}"

    def prefetch(self, response: str) -> None:
        """See `TextEnv.prefetch`."""
        self.opening.env.prefetch(self.opening.puzzle, response)

    def after(self, response: str) -> Conversation:
        """The conversation that a response leads to.

        Raises:
            TaskError: if the task raises.
        """
        opening, responses = self.opening, (*self.responses, response)
        try:
            verdict, text = opening.env.advance(opening.puzzle, self.text, responses)
        except Exception as error:
            raise TaskError.of(opening.task, opening.problem, f"step({response!r:.80})", error) from error
        return Conversation(opening, text, responses, verdict)


class Table:
    """Where the conversations about a suite's problems start.

    Args:
        suite: text tasks only.

    Raises:
        ValueError: if a task needs an env for every rollout.
    """

    def __init__(self, suite: TaskSuite) -> None:
        self._tasks = suite.tasks
        self._envs = [_shared_env(task, suite.envs(k, 1)[0]) for k, task in enumerate(suite.tasks)]
        self._latest: Conversation | None = None

    def start(self, problem: Problem) -> Conversation:
        """The very episode that `rollout_groups` would start from the problem.

        Raises:
            TaskError: if the task raises.
        """
        # The rollouts of a group are handed out one after the other, so remembering one start is enough.
        if self._latest is None or self._latest.opening.problem is not problem:
            self._latest = self._start(problem)
        return self._latest

    def _start(self, problem: Problem) -> Conversation:
        task, env = self._tasks[problem.task_id], self._envs[problem.task_id]
        try:
            prompt, info = env.reset(seed=problem.seed, options=dict(problem.options) or None)
        except Exception as error:
            raise TaskError.of(task, problem, "reset", error) from error
        return Conversation(Opening(task, problem, env, env.puzzle, info["provenance"]), prompt)


def _shared_env(task: Task, env: gym.Env[Any, Any]) -> TextEnv[Any]:
    """The env that judges for all slots, once it is certain that one can."""
    bare = env
    while isinstance(bare, OrderEnforcing | PassiveEnvChecker):
        bare = bare.env
    if not isinstance(bare, TextEnv):
        raise ValueError(f"task {task.name!r} must be a bare TextEnv, got {env}: use gymnasium.vector.SyncVectorEnv")
    if type(bare).reset is not TextEnv.reset or type(bare).step is not TextEnv.step:
        raise ValueError(
            f"task {task.name!r} must leave reset and step as TextEnv has them, but {type(bare).__name__} overrides "
            "them: use gymnasium.vector.SyncVectorEnv"
        )
    return bare
