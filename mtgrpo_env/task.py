"""A task: a name and a way to make its env, from any Gymnasium id or any `TextEnv`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from mtgrpo_env.text_env import TextEnv
from mtgrpo_env.types import SPLITS, Problem, Split

AnyEnv = gym.Env[Any, Any]

# Return from which one episode counts as solved. Gymnasium's own reward thresholds are means over a
# hundred episodes, and some of these envs have none.
SUCCESS_THRESHOLDS: Mapping[str, float] = {
    "CartPole-v1": 475.0,
    "Acrobot-v1": -100.0,
    "MountainCar-v0": -110.0,
    "MountainCarContinuous-v0": 90.0,
    "Pendulum-v1": -200.0,  # swung up and held from the middle of the episode on
    "Blackjack-v1": 1.0,  # won
    "FrozenLake-v1": 1.0,  # reached the goal
    "FrozenLake8x8-v1": 1.0,
    "CliffWalking-v1": -20.0,  # around the cliff; the shortest way takes 13 steps
    "Taxi-v4": 0.0,  # delivered in at most twenty steps
}

_PAID_FOR_SUCCESS = {"MiniGrid-": 0.05, "BabyAI-": 0.05}  # families of ids that pay 0.1 to 1 for success, else nothing

_SPLIT_OPTIONS: Mapping[Split, Mapping[str, Any]] = {split: {"split": split} for split in SPLITS}
_STEP_LIMITS = {"CliffWalking-v1": 200}  # a random walk would never end


TASK_FAULTS = (Exception, SystemExit, GeneratorExit)
"""What code of others may raise; an exit of the process would end a run as if all were well. An interrupt is none."""


class TaskError(RuntimeError):
    """A task's env raised; says which task, on which problem."""

    @classmethod
    def of(cls, task: Task, problem: Problem, call: str, error: BaseException) -> TaskError:
        """What to raise when `call` raised `error`."""
        where = f"seed {problem.seed}, options {dict(problem.options)}"
        return cls(f"task {task.name!r} raised in {call} on the problem of {where}: {error!r}")


@dataclass(frozen=True, slots=True)
class Task:
    """A name and a way to make its env.

    Attributes:
        name: unique within a suite.
        make: makes one env; called once for every rollout that runs at the same time. To be rendered otherwise than
            it is made, it must take `render_mode`.
        options: the `reset` options that select a split, for envs that know of splits. Without
            them the splits differ by their seeds alone.
        success_threshold: return from which an episode counts as correct, for envs whose last
            `info` has no "is_success". Without either the task's first episode is refused.
    """

    name: str
    make: Callable[..., AnyEnv]
    options: Mapping[Split, Mapping[str, Any]] = field(default_factory=dict)
    success_threshold: float | None = None

    @classmethod
    def from_id(
        cls,
        env_id: str,
        *,
        name: str | None = None,
        env_options: Mapping[str, Any] | None = None,
        success_threshold: float | None = None,
    ) -> Task:
        """A task from any registered Gymnasium id; one env is made to see whether it is a `TextEnv`.

        Success is what the env's last `info` says, else decided by the given threshold, else by that of
        `SUCCESS_THRESHOLDS`, else by the reward threshold that the id is registered with.

        Raises:
            ValueError: if the id is not registered, or its env cannot be made.

        >>> Task.from_id("CartPole-v1")
        Task('CartPole-v1', success_threshold=475.0)
        """
        limits = {"max_episode_steps": _STEP_LIMITS[env_id]} if env_id in _STEP_LIMITS else {}
        make = partial(gym.make, env_id, **{**limits, **(env_options or {})})
        try:
            env = make()
        except TASK_FAULTS as error:  # Gymnasium's errors share no base, and an id may import a package
            hint = "" if ":" in env_id else " (an id of another package names its module, as in 'ale_py:ALE/Pong-v5')"
            raise ValueError(f"expected a registered Gymnasium id, got {env_id!r}: {error}{hint}") from error
        is_text = isinstance(env.unwrapped, TextEnv)
        if success_threshold is None:
            success_threshold = _threshold_of(env.spec)
        env.close()
        return cls(name or env_id, make, _SPLIT_OPTIONS if is_text else {}, success_threshold)

    @classmethod
    def from_text(cls, name: str, make: Callable[[], AnyEnv]) -> Task:
        """A task from a `TextEnv`, whose splits are selected by the `split` option of `reset`."""
        return cls(name, make, _SPLIT_OPTIONS)

    @classmethod
    def from_class(cls, env_type: type[AnyEnv], *, name: str | None = None) -> Task:
        """A task from a class that needs no arguments, called by the class's name unless another is given.

        Raises:
            ValueError: if the class is no Gymnasium env.
        """
        if not issubclass(env_type, gym.Env):
            raise ValueError(f"a class must be a Gymnasium env to be a task, got {env_type.__name__}")
        make = cls.from_text if issubclass(env_type, TextEnv) else cls
        return make(name or env_type.__name__, env_type)

    def make_rendering(self, render_mode: str) -> AnyEnv:
        """One env that renders in a mode.

        Raises:
            ValueError: if it cannot be made so.
        """
        try:
            return self.make(render_mode=render_mode)
        except TASK_FAULTS as error:  # of code that others wrote
            wanted = f"task {self.name!r} cannot be made with render_mode={render_mode!r}"
            raise ValueError(f"{wanted}, which its `make` must take: {error}") from error

    def __repr__(self) -> str:
        threshold = "" if self.success_threshold is None else f", success_threshold={self.success_threshold}"
        return f"Task({self.name!r}{threshold})"


def _threshold_of(spec: EnvSpec | None) -> float | None:
    if spec is None:
        return None
    of_family = (threshold for prefix, threshold in _PAID_FOR_SUCCESS.items() if spec.id.startswith(prefix))
    return SUCCESS_THRESHOLDS.get(spec.id, next(of_family, spec.reward_threshold))
