"""Text episodes that need no env of their own: one env of each task judges them all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.text_env import Opening, TextEnv, Verdict
from mtgrpo_env.types import Problem


@dataclass(frozen=True, slots=True)
class Setting:
    """What all the rollouts of a problem share.

    Attributes:
        task: whose problem it is.
        problem: the problem.
        env: judges the responses.
        opening: how it starts.
    """

    task: Task
    problem: Problem
    env: TextEnv[Any]
    opening: Opening


@dataclass(frozen=True, slots=True)
class Conversation:
    """One episode as far as it got; every response makes another one.

    Attributes:
        setting: what it is about.
        text: the prompt, and the turns so far unless the last one ended it.
        responses: of the policy.
        verdict: None until it is over.
    """

    setting: Setting
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
        with suppress(Exception):  # what it meets is met again where the response is judged
            self.setting.env.prefetch(self.setting.opening.puzzle, response)

    def after(self, response: str) -> Conversation:
        """The conversation that a response leads to.

        Raises:
            TaskError: if the task raises.
        """
        setting, responses = self.setting, (*self.responses, response)
        try:
            verdict, text = setting.env.advance(setting.opening.puzzle, self.text, responses)
        except Exception as error:
            raise TaskError.of(setting.task, setting.problem, f"step({response!r:.80})", error) from error
        return Conversation(setting, text, responses, verdict)


class Table:
    """Where the conversations about a suite's problems start.

    Args:
        suite: text tasks only.

    Raises:
        ValueError: if a task needs an env for every rollout.
    """

    def __init__(self, suite: TaskSuite) -> None:
        self._suite = suite
        self._envs = [_shared_env(task, suite.envs(k, 1)[0]) for k, task in enumerate(suite.tasks)]
        self._latest: Conversation | None = None

    def start(self, problem: Problem) -> Conversation:
        """The very episode that `rollout_groups` would start from the problem.

        Raises:
            TaskError: if the task raises.
        """
        # The rollouts of a group are handed out one after the other, so remembering one start is enough.
        if self._latest is None or self._latest.setting.problem is not problem:
            self._latest = self._start(problem)
        return self._latest

    def _start(self, problem: Problem) -> Conversation:
        task, env = self._suite.tasks[problem.task_id], self._envs[problem.task_id]
        opening = self._suite.opening(problem)
        assert opening is not None, "only text tasks have a seat at this table"
        return Conversation(Setting(task, problem, env, opening), opening.prompt)


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
