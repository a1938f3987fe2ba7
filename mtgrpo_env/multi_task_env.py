"""`MultiTaskEnv`: a sampler's plan driven by a plain `reset`/`step` loop."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike

from mtgrpo_env.filters import every_group, strict
from mtgrpo_env.rollout import success_of
from mtgrpo_env.samplers import BatchPlan, BatchSampler, checked_probabilities
from mtgrpo_env.suite import AnyEnv, TaskSuite
from mtgrpo_env.types import Group, GroupFilter, Problem, Rollout


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
        group_filter: says which groups are informative; by default `strict`, or `every_group` if N is 1.
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
        if suite.num_tasks != sampler.num_tasks:
            raise ValueError(f"the suite has {suite.num_tasks} tasks, the sampler expects {sampler.num_tasks}")
        if group_size < 1:
            raise ValueError(f"group_size must be at least 1, got {group_size}")
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', got {render_mode!r}")
        self.suite = suite
        self.sampler = sampler
        self.group_size = group_size
        self.group_filter = group_filter or (strict if group_size > 1 else every_group)
        self.render_mode = render_mode
        self.task_weights = np.full(suite.num_tasks, 1 / suite.num_tasks)
        self._envs = [suite.envs(k, 1)[0] for k in range(suite.num_tasks)]
        self._mixed = not _all_agree(self._envs)
        self.observation_space = self._common_space([env.observation_space for env in self._envs], spaces.OneOf)
        self.action_space = self._common_space([env.action_space for env in self._envs], spaces.Tuple)
        self._forget_plan()

    def set_task_weights(self, probabilities: ArrayLike) -> None:
        """Steer the ratio of tasks, (K,) on the simplex; takes effect with the next batch.

        Raises:
            ValueError: if `probabilities` is not on the simplex.
        """
        self.task_weights = checked_probabilities(probabilities, self.suite.num_tasks)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the next episode; with a seed, start everything anew.

        An episode left before its end is played again.

        Raises:
            ValueError: if there are any `options`: the plan alone chooses problems.
        """
        super().reset(seed=seed)
        if options:
            raise ValueError(f"MultiTaskEnv takes no reset options, got {sorted(options)}")
        if seed is not None:
            self.suite.reseed(seed)
            self.sampler.reseed(seed)
            self._forget_plan()
        if self._problem is None:
            self._open_group()
        problem = self._problem
        assert problem is not None
        observation, info = self._env.reset(seed=problem.seed, options=dict(problem.options) or None)
        self._return, self._episode_over = 0.0, False
        return self._tagged(observation), {**info, **self._position()}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play `action` in the active task.

        Raises:
            gym.error.ResetNeeded: before a reset, or after the episode ended.
        """
        if self._problem is None or self._episode_over:
            raise gym.error.ResetNeeded("no episode is running: call reset() first")
        played = action[self._problem.task_id] if self._mixed else action
        observation, reward, terminated, truncated, info = self._env.step(played)
        self._return += float(reward)
        info = {**info, **self._position()}
        if terminated or truncated:
            info = self._end_episode(info)
        return self._tagged(observation, self._active_task), float(reward), terminated, truncated, info

    def render(self) -> Any:
        """What the active task's env renders, also after its episode ended."""
        return None if self.render_mode is None else self._envs[self._active_task].render()

    def close(self) -> None:
        self.suite.close()

    @property
    def _env(self) -> AnyEnv:
        assert self._problem is not None
        return self._envs[self._problem.task_id]

    def _forget_plan(self) -> None:
        self._plan: BatchPlan | None = None
        self._problem: Problem | None = None
        self._proposal: list[int] = []
        self._rollouts: list[Rollout] = []
        self._group_index = 0
        self._active_task = 0
        self._return, self._episode_over = 0.0, True

    def _open_group(self) -> None:
        if self._plan is None:
            plan = self._plan = self.sampler.plan(self.task_weights)
            self._proposal = plan.propose()
            self._group_index = 0
        self._active_task = self._proposal.pop(0)
        self._problem = self.suite.next_problem(self._active_task)

    def _end_episode(self, info: dict[str, Any]) -> dict[str, Any]:
        task = self.suite.tasks[self._active_task]
        is_success = success_of(task, info, self._return)
        self._rollouts.append(Rollout((), self._return, is_success, bool(info.get("valid", True))))
        self._episode_over = True
        info = {**info, "is_success": is_success, "batch_complete": False}
        return info if len(self._rollouts) < self.group_size else self._end_group(info)

    def _end_group(self, info: dict[str, Any]) -> dict[str, Any]:
        assert self._plan is not None
        assert self._problem is not None
        informative = self.group_filter(Group(self._problem, tuple(self._rollouts)))
        self._plan.report([self._active_task], [informative])
        self._problem = None
        self._rollouts = []
        self._group_index += 1
        self._proposal = self._proposal or self._plan.propose()
        info = {**info, "group_informative": informative}
        return info if self._proposal else self._end_batch(info)

    def _end_batch(self, info: dict[str, Any]) -> dict[str, Any]:
        assert self._plan is not None
        selected, weights = self._plan.select()
        self.sampler.update(self._plan)
        self._plan = None
        return {**info, "batch_complete": True, "selected_groups": selected, "group_weights": weights}

    def _position(self) -> dict[str, Any]:
        task_id = self._active_task
        where = {"group": self._group_index, "rollout": len(self._rollouts)}
        return {"task": self.suite.names[task_id], "task_id": task_id, **where}

    def _tagged(self, observation: Any, task_id: int | None = None) -> Any:
        return (self._active_task if task_id is None else task_id, observation) if self._mixed else observation

    def _common_space(self, own: list[spaces.Space[Any]], combine: Any) -> spaces.Space[Any]:
        return combine(own) if self._mixed else own[0]


def _all_agree(envs: list[AnyEnv]) -> bool:
    first = envs[0]
    return all(e.observation_space == first.observation_space and e.action_space == first.action_space for e in envs)
