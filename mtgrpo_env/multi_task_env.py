"""`MultiTaskEnv`: a curriculum driven by a plain `reset`/`step` loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.named_tasks import TaskSpec, read_tasks
from mtgrpo_env.rollout import rollout_of
from mtgrpo_env.schedule import Assignment, Schedule
from mtgrpo_env.suite import AnyEnv, Task, TaskSuite
from mtgrpo_env.task_weights import GivenWeights
from mtgrpo_env.types import FloatArray


class MultiTaskEnv(gym.Env[Any, Any]):
    """Episodes of K tasks in the order of a curriculum.

    Each problem is played `group_size` times, then the plan of the batch names the next one. So a loop that knows
    nothing of groups gets tasks in the ratio of the task weights, also after the groups that the filter drops, and
    the weights move with every batch, until they are set. Equal seeds give equal problems.

    `info` holds `task`, `task_id`, `batch`, `group` and `rollout` (indices within the batch); after an episode's last
    step also `is_success`, `outcome` and `valid` (False if the scorer failed); after a group's last,
    `group_informative`; after a batch's last, `batch_complete` is True, `selected_groups` are the groups to train on
    with the loss weights `group_weights`, `replayed_groups` are (batch, group) pairs that fill the batch, with
    `replay_weights`, and `task_weights` is z from here on; `replayed_batches` holds the same two of any batches before
    it that replayed groups fill alone.

    A `reset` after at least one step, as a step limit around this env brings about, ends the episode as truncated. The
    info of that reset holds under `truncated_episode` what the last step's would have held; a step limit within a task
    has it there.

    If all tasks agree on their spaces these are the env's own. Otherwise observations are `OneOf`
    pairs (task_id, observation), and an action is a tuple with one slot for each task, of which the
    active task's is played; `wrappers.PaddedTasks` makes one Box and one action space of them.

    Args:
        curriculum: draws the batches; or tasks as `read_tasks` takes them, for the default curriculum on these.
        group_size: N.
        render_mode: None, or a mode of every task, whose own envs do the rendering; `metadata["render_modes"]` lists
            these.

    Raises:
        ValueError: if `group_size` is below 1, a task is unknown, or one cannot render so.

    Attributes:
        is_mixed: whether the tasks differ in their spaces.
        task_observation_spaces: (K) the tasks' own.
        task_action_spaces: (K) likewise.

    >>> env = MultiTaskEnv(["FrozenLake-v1", "Taxi-v4"], group_size=4)
    >>> _, info = env.reset(seed=0, options={"task_weights": {"Taxi-v4": 1}})
    >>> info["task"]
    'Taxi-v4'
    """

    def __init__(
        self,
        curriculum: Curriculum | TaskSuite | str | Sequence[TaskSpec],
        *,
        group_size: int = 1,
        render_mode: str | None = None,
    ) -> None:
        if not isinstance(curriculum, Curriculum):
            curriculum = Curriculum(read_tasks(curriculum))
        self.schedule = Schedule(curriculum, group_size=group_size)
        self.curriculum = curriculum
        self.suite = self.schedule.suite
        self.render_mode = render_mode
        self._envs = [_rendering(task, self.suite.envs(k, 1)[0], render_mode) for k, task in enumerate(self.suite)]
        self.metadata = _common_metadata(self._envs)
        self.task_observation_spaces = [env.observation_space for env in self._envs]
        self.task_action_spaces = [env.action_space for env in self._envs]
        self.is_mixed = not (_all_equal(self.task_observation_spaces) and _all_equal(self.task_action_spaces))
        self.observation_space = self._common_space(self.task_observation_spaces, spaces.OneOf)
        self.action_space = self._common_space(self.task_action_spaces, spaces.Tuple)
        self._unfinished: Assignment | None = None
        self._is_running = False
        self._active_task = 0
        self._return, self._num_steps = 0.0, 0
        self._info: dict[str, Any] = {}  # of the latest step

    @property
    def task_weights(self) -> FloatArray:
        """(K,) z; also set through wrappers, by `env.set_wrapper_attr("task_weights", z)`."""
        return self.curriculum.probabilities

    @task_weights.setter
    def task_weights(self, probabilities: GivenWeights | None) -> None:
        self.set_task_weights(probabilities)

    def set_task_weights(self, probabilities: GivenWeights | None) -> None:
        """Steer the ratio of tasks from the next batch on, as `Curriculum.set_task_weights`; None lets them move again.

        Raises:
            ValueError: if `probabilities` is not on the simplex, or names an unknown task.
        """
        self.curriculum.set_task_weights(probabilities)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the next episode; with a seed, start everything anew.

        An episode left after at least one step has ended as truncated; one left before its first, or because its latest
        raised, is played again.

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
        truncated: dict[str, Any] = {}
        if seed is not None:
            self.schedule.reseed(seed)
            self._unfinished = None
        elif self._unfinished is not None and self._num_steps:
            truncated = {"truncated_episode": self._finish(self._unfinished, is_interrupted=True, is_cut_off=True)}
        self._is_running, self._num_steps = False, 0
        episode = self._unfinished = self._unfinished or self.schedule.next_episode()
        problem, self._active_task = episode.problem, episode.task_id
        observation, info = self._env.reset(seed=problem.seed, options=dict(problem.options) or None)
        self._return, self._is_running = 0.0, True
        return self._tagged(observation), {**info, **self._position(episode), **truncated}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play `action` in the active task.

        Raises:
            gym.error.ResetNeeded: before a reset, or after the episode ended.
            ValueError: if the episode ends and its task has no success rule.
        """
        episode = self._unfinished
        if episode is None or not self._is_running:
            raise gym.error.ResetNeeded("no episode is running: call reset() first")
        played = action[self._active_task] if self.is_mixed else action
        num_steps, self._num_steps = self._num_steps, 0  # what raises says nothing about the policy
        observation, reward, terminated, truncated, self._info = self._env.step(played)
        self._return, self._num_steps = self._return + float(reward), num_steps + 1
        ended = terminated or truncated
        is_cut_off = truncated and not terminated
        info = self._finish(episode, is_cut_off=is_cut_off) if ended else {**self._info, **self._position(episode)}
        return self._tagged(observation), float(reward), terminated, truncated, info

    def render(self) -> Any:
        """What the active task's env renders, also after its episode ended."""
        return None if self.render_mode is None else self._env.render()

    def close(self) -> None:
        for env in self._envs:
            env.close()
        self.suite.close()

    def __repr__(self) -> str:
        return f"MultiTaskEnv({', '.join(self.suite.names)}; group_size={self.schedule.group_size})"

    def __str__(self) -> str:
        return f"<{self!r}>"  # as wrappers show what is in them

    @property
    def _env(self) -> AnyEnv:
        return self._envs[self._active_task]

    def _finish(self, episode: Assignment, *, is_interrupted: bool = False, is_cut_off: bool) -> dict[str, Any]:
        """Report the episode as ended by the latest step; the info of that step."""
        self._unfinished, self._is_running = None, False  # whatever a rule of one's own raises, the episode is over
        task = self.suite.tasks[episode.task_id]
        rollout = rollout_of(
            task,
            self._env,
            self._info,
            self._return,
            num_steps=self._num_steps,
            is_interrupted=is_interrupted,
            is_cut_off=is_cut_off,
        )
        progress = self.schedule.finish(episode, rollout)
        verdict = {"is_success": rollout.is_success, "outcome": rollout.outcome, "valid": rollout.valid}
        return {**self._info, **verdict, **progress.info, **self._position(episode)}

    def _position(self, episode: Assignment) -> dict[str, Any]:
        where = {"batch": episode.batch, "group": episode.group, "rollout": episode.rollout}
        return {"task": self.suite.names[episode.task_id], "task_id": episode.task_id, **where}

    def _tagged(self, observation: Any) -> Any:
        return (self._active_task, observation) if self.is_mixed else observation

    def _common_space(self, own: list[spaces.Space[Any]], combine: Any) -> spaces.Space[Any]:
        return combine(own) if self.is_mixed else own[0]


def _all_equal(own: list[spaces.Space[Any]]) -> bool:
    return all(space == own[0] for space in own)


def _rendering(task: Task, env: AnyEnv, render_mode: str | None) -> AnyEnv:
    """The env, or another of its task if it renders otherwise."""
    if render_mode in (None, env.render_mode):
        return env
    modes = _render_modes(env)
    if render_mode not in modes:
        raise ValueError(
            f"render_mode must be None or one of every task's, {modes} for {task.name!r}, got {render_mode!r}"
        )
    return task.make_rendering(render_mode)


def _render_modes(env: AnyEnv) -> list[str]:
    return list(env.metadata.get("render_modes") or ())


def _common_metadata(envs: list[AnyEnv]) -> dict[str, Any]:
    modes = [mode for mode in _render_modes(envs[0]) if all(mode in _render_modes(env) for env in envs)]
    return {"render_modes": modes, "render_fps": min(env.metadata.get("render_fps") or 30 for env in envs)}
