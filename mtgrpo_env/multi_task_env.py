"""`MultiTaskEnv`: a curriculum driven by a plain `reset`/`step` loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from numpy.typing import ArrayLike

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.named_tasks import TaskSpec, read_tasks
from mtgrpo_env.rollout import success_of
from mtgrpo_env.schedule import Assignment, Schedule
from mtgrpo_env.suite import AnyEnv, TaskSuite
from mtgrpo_env.types import FloatArray, Rollout


class MultiTaskEnv(gym.Env[Any, Any]):
    """Episodes of K tasks in the order of a curriculum.

    Each problem is played `group_size` times, then the plan of the batch names the next one. So a loop that knows
    nothing of groups gets tasks in the ratio of the task weights, also after the groups that the filter drops, and
    the weights move with every batch, until they are set. Equal seeds give equal problems.

    `info` holds `task`, `task_id`, `batch`, `group` and `rollout` (indices within the batch); after an episode's last
    step also `is_success`; after a group's last, `group_informative`; after a batch's last, `batch_complete` is True,
    `selected_groups` are the groups to train on with the loss weights `group_weights`, `replayed_groups` are (batch,
    group) pairs that fill the batch, with `replay_weights`, and `task_weights` is z from here on; `replayed_batches`
    holds the same two of any batches before it that replayed groups fill alone.

    If all tasks agree on their spaces these are the env's own. Otherwise observations are `OneOf`
    pairs (task_id, observation), and an action is a tuple with one slot for each task, of which the
    active task's is played.

    Args:
        curriculum: draws the batches; or tasks as `read_tasks` takes them, for the default curriculum on these.
        group_size: N.
        render_mode: None or "ansi"; the tasks' own envs do the rendering.

    Raises:
        ValueError: if `group_size` is below 1, or `render_mode` or a task is unknown.

    >>> env = MultiTaskEnv(["FrozenLake-v1", "Taxi-v4"], group_size=4)
    >>> _, info = env.reset(seed=0, options={"task_weights": [0, 1]})
    >>> info["task"]
    'Taxi-v4'
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}

    def __init__(
        self,
        curriculum: Curriculum | TaskSuite | str | Sequence[TaskSpec],
        *,
        group_size: int = 1,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', got {render_mode!r}")
        if not isinstance(curriculum, Curriculum):
            curriculum = Curriculum(read_tasks(curriculum))
        self.schedule = Schedule(curriculum, group_size=group_size)
        self.curriculum = curriculum
        self.suite = self.schedule.suite
        self.render_mode = render_mode
        self._envs = [self.suite.envs(k, 1)[0] for k in range(self.suite.num_tasks)]
        self._mixed = not _all_agree(self._envs)
        self.observation_space = self._common_space([env.observation_space for env in self._envs], spaces.OneOf)
        self.action_space = self._common_space([env.action_space for env in self._envs], spaces.Tuple)
        self._unfinished: Assignment | None = None
        self._is_running = False
        self._active_task = 0
        self._return = 0.0

    @property
    def task_weights(self) -> FloatArray:
        """(K,) z; also set through wrappers, by `env.set_wrapper_attr("task_weights", z)`."""
        return self.curriculum.probabilities

    @task_weights.setter
    def task_weights(self, probabilities: ArrayLike | None) -> None:
        self.set_task_weights(probabilities)

    def set_task_weights(self, probabilities: ArrayLike | None) -> None:
        """Steer the ratio of tasks, (K,) on the simplex, from the next batch on; None lets them move again.

        Raises:
            ValueError: if `probabilities` is not on the simplex.
        """
        self.curriculum.set_task_weights(probabilities)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the next episode; with a seed, start everything anew.

        An episode left before its end is played again.

        Args:
            seed: of everything.
            options: None, or `task_weights`, as for `set_task_weights`.

        Raises:
            ValueError: if there are other options: the plan alone chooses problems.
        """
        super().reset(seed=seed)
        if other := sorted(set(options or {}) - {"task_weights"}):
            raise ValueError(f"the only reset option is 'task_weights', got {other}: the plan chooses problems")
        if options:
            self.set_task_weights(options["task_weights"])
        self._is_running = False
        if seed is not None:
            self.schedule.reseed(seed)
            self._unfinished = None
        episode = self._unfinished = self._unfinished or self.schedule.next_episode()
        problem, self._active_task = episode.problem, episode.task_id
        observation, info = self._env.reset(seed=problem.seed, options=dict(problem.options) or None)
        self._return, self._is_running = 0.0, True
        return self._tagged(observation), {**info, **self._position(episode)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play `action` in the active task.

        Raises:
            gym.error.ResetNeeded: before a reset, or after the episode ended.
        """
        episode = self._unfinished
        if episode is None or not self._is_running:
            raise gym.error.ResetNeeded("no episode is running: call reset() first")
        played = action[self._active_task] if self._mixed else action
        observation, reward, terminated, truncated, info = self._env.step(played)
        self._return += float(reward)
        if terminated or truncated:
            info = {**info, **self._finish(episode, info)}
        return self._tagged(observation), float(reward), terminated, truncated, {**info, **self._position(episode)}

    def render(self) -> Any:
        """What the active task's env renders, also after its episode ended."""
        return None if self.render_mode is None else self._env.render()

    def close(self) -> None:
        self.suite.close()

    def __repr__(self) -> str:
        return f"MultiTaskEnv({', '.join(self.suite.names)}; group_size={self.schedule.group_size})"

    def __str__(self) -> str:
        return f"<{self!r}>"  # as wrappers show what is in them

    @property
    def _env(self) -> AnyEnv:
        return self._envs[self._active_task]

    def _finish(self, episode: Assignment, info: dict[str, Any]) -> dict[str, Any]:
        is_success = success_of(self.suite.tasks[episode.task_id], info, self._return)
        valid, outcome = bool(info.get("valid", True)), str(info.get("outcome", ""))
        self._unfinished, self._is_running = None, False  # whatever a rule of one's own raises, the episode is over
        progress = self.schedule.finish(episode, Rollout((), self._return, is_success, valid, outcome))
        return {"is_success": is_success, **progress.info}

    def _position(self, episode: Assignment) -> dict[str, Any]:
        where = {"batch": episode.batch, "group": episode.group, "rollout": episode.rollout}
        return {"task": self.suite.names[episode.task_id], "task_id": episode.task_id, **where}

    def _tagged(self, observation: Any) -> Any:
        return (self._active_task, observation) if self._mixed else observation

    def _common_space(self, own: list[spaces.Space[Any]], combine: Any) -> spaces.Space[Any]:
        return combine(own) if self._mixed else own[0]


def _all_agree(envs: list[AnyEnv]) -> bool:
    first = envs[0]
    return all(e.observation_space == first.observation_space and e.action_space == first.action_space for e in envs)
