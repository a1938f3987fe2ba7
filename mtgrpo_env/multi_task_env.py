"""`MultiTaskEnv`: a sampler's plan driven by a plain `reset`/`step` loop."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium import spaces
from numpy.typing import ArrayLike

from mtgrpo_env.rollout import success_of
from mtgrpo_env.samplers import BatchSampler
from mtgrpo_env.schedule import Assignment, Schedule
from mtgrpo_env.suite import AnyEnv, TaskSuite
from mtgrpo_env.types import GroupFilter, Rollout


class MultiTaskEnv(gym.Env[Any, Any]):
    """Episodes of K tasks in the order of a sampler's plan.

    Each problem is played `group_size` times, then the plan names the next one. So a loop that knows
    nothing of groups gets tasks in the ratio of the task weights, also after the groups that the
    filter drops. The plan is the one `sample_batch` follows: equal seeds give equal problems.

    `info` holds `task`, `task_id`, `group` and `rollout` (their indices within the batch); after an
    episode's last step also `is_success`; after a group's last, `group_informative`; after a batch's
    last, `batch_complete` is True and `selected_groups` says which groups to train on, and
    `group_weights` with what weight in the loss.

    If all tasks agree on their spaces these are the env's own. Otherwise observations are `OneOf`
    pairs (task_id, observation), and an action is a tuple with one slot for each task, of which the
    active task's is played.

    Args:
        suite: the tasks.
        sampler: draws the plans.
        group_size: N.
        group_filter: says which groups are informative; see `Schedule`.
        render_mode: None or "ansi"; the tasks' own envs do the rendering.

    Raises:
        ValueError: if suite and sampler differ in the number of tasks, `group_size` is below 1, or
            `render_mode` is unknown.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}

    def __init__(
        self,
        suite: TaskSuite,
        sampler: BatchSampler[Any],
        *,
        group_size: int = 1,
        group_filter: GroupFilter | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', got {render_mode!r}")
        self.schedule = Schedule(suite, sampler, group_size=group_size, group_filter=group_filter)
        self.suite = suite
        self.render_mode = render_mode
        self._envs = [suite.envs(k, 1)[0] for k in range(suite.num_tasks)]
        self._mixed = not _all_agree(self._envs)
        self.observation_space = self._common_space([env.observation_space for env in self._envs], spaces.OneOf)
        self.action_space = self._common_space([env.action_space for env in self._envs], spaces.Tuple)
        self._unfinished: Assignment | None = None
        self._is_running = False
        self._active_task = 0
        self._return = 0.0

    def set_task_weights(self, probabilities: ArrayLike) -> None:
        """Steer the ratio of tasks, (K,) on the simplex; takes effect with the next batch.

        Raises:
            ValueError: if `probabilities` is not on the simplex.
        """
        self.schedule.set_task_weights(probabilities)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the next episode; with a seed, start everything anew.

        An episode left before its end is played again.

        Raises:
            ValueError: if there are any `options`: the plan alone chooses problems.
        """
        super().reset(seed=seed)
        if options:
            raise ValueError(f"MultiTaskEnv takes no reset options, got {sorted(options)}")
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

    @property
    def _env(self) -> AnyEnv:
        return self._envs[self._active_task]

    def _finish(self, episode: Assignment, info: dict[str, Any]) -> dict[str, Any]:
        is_success = success_of(self.suite.tasks[episode.task_id], info, self._return)
        valid, outcome = bool(info.get("valid", True)), str(info.get("outcome", ""))
        progress = self.schedule.finish(episode, Rollout((), self._return, is_success, valid, outcome))
        self._unfinished, self._is_running = None, False
        return {"is_success": is_success, **progress.info}

    def _position(self, episode: Assignment) -> dict[str, Any]:
        where = {"group": episode.group, "rollout": episode.rollout}
        return {"task": self.suite.names[episode.task_id], "task_id": episode.task_id, **where}

    def _tagged(self, observation: Any) -> Any:
        return (self._active_task, observation) if self._mixed else observation

    def _common_space(self, own: list[spaces.Space[Any]], combine: Any) -> spaces.Space[Any]:
        return combine(own) if self._mixed else own[0]


def _all_agree(envs: list[AnyEnv]) -> bool:
    first = envs[0]
    return all(e.observation_space == first.observation_space and e.action_space == first.action_space for e in envs)
