"""`TextVectorEnv`: many text episodes side by side, drawn from one schedule and judged together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mtgrpo_env.conversations import Conversation, Table
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.episode_statistics import EpisodeStatistics, EpisodeTally
from mtgrpo_env.ranges import Range
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.schedule import Assignment, Progress, Schedule
from mtgrpo_env.spaces import TEXT
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.task_weights import GivenWeights
from mtgrpo_env.text_env import NO_ANSWER, TextEnv, Verdict
from mtgrpo_env.types import FloatArray, IntArray, Rollout, Split
from mtgrpo_env.vector_arguments import check_actions, checked_mask, checked_mode
from mtgrpo_env.vector_infos import InfoLayout


class TextVectorEnv(VectorEnv[tuple[str, ...], Sequence[str], NDArray[Any]]):
    """Episodes of text tasks in `num_envs` slots, in the order of one schedule.

    A slot is an `Assignment` and a `Conversation`; no slot has an env of its own. With single-turn tasks
    and groups of N, slots 0 to N-1 are one group, N to 2N-1 the next. Verifiers that work in other
    processes judge a step's responses side by side.

    Observations, rewards and `infos` are what a `SyncVectorEnv` of as many envs would return in the
    same autoreset mode. `infos` says where each slot stands (`task`, `task_id`, `batch`, `group`,
    `rollout`) and where a new puzzle comes from (`provenance`). Of an episode that ended, the last
    info (in `final_info` if it was followed by a reset in the same step) holds `is_success`,
    `outcome`, `valid`, `episode_return`, `episode_length` and `batch_complete`; at the end of a group,
    `group_informative`; at the end of a batch, what `MultiTaskEnv` says of it (`selected_groups`, `group_weights`
    and so on). The keys of Gymnasium's wrappers, such as `episode`, are left to them.

    Args:
        schedule: which episodes; all its tasks must be `TextEnv`s.
        num_envs: slots.
        autoreset_mode: "SameStep" or "Disabled". In the latter, start the ended slots again by
            `reset(options={"reset_mask": mask})`.
        max_episode_steps: turns after which a conversation is truncated; None for as many as its task allows.
        render_mode: None or "ansi".

    Raises:
        ValueError: if an argument is out of its range, or a task needs an env for every slot.

    >>> from mtgrpo_env.envs.countdown import Countdown
    >>> env = make_text_vec(Countdown, num_envs=4, group_size=2, level="mini")
    >>> prompts, infos = env.reset(seed=0)
    >>> infos["group"], infos["rollout"]
    (array([0, 0, 1, 1]), array([0, 1, 0, 1]))
    >>> prompts[0] == prompts[1], prompts[1] == prompts[2]
    (True, False)
    """

    def __init__(
        self,
        schedule: Schedule,
        num_envs: int,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        for name, number in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
            if number is not None:
                Range(1).check(name, number)
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', got {render_mode!r}")
        self.schedule = schedule
        self.num_envs = num_envs
        self.autoreset_mode = checked_mode(autoreset_mode)
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        self.metadata = {"render_modes": ["ansi"], "render_fps": 4, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.single_action_space = TEXT
        self.observation_space = batch_space(TEXT, num_envs)
        self.action_space = batch_space(TEXT, num_envs)
        self._table = Table(schedule.suite)
        self._layout = InfoLayout(num_envs)
        self._assignments: list[Assignment] = []  # one a slot; none before the first reset
        self._conversations: list[Conversation] = []
        self._has_ended = np.zeros(num_envs, dtype=np.bool_)
        self._has_raised = False  # the latest step, which says nothing about the policy
        self.reset_statistics()

    @property
    def statistics(self) -> dict[str, EpisodeStatistics]:
        """How the episodes of each task went since the last `reset_statistics`, by the tasks' names."""
        return {name: self._tally.of(k) for k, name in enumerate(self.schedule.suite.names)}

    def reset_statistics(self) -> None:
        """Count from zero again; nothing else does, not even `reset`."""
        self._tally = EpisodeTally(self.schedule.suite.num_tasks)

    @property
    def task_weights(self) -> FloatArray:
        """(K,) z."""
        return self.schedule.curriculum.probabilities

    @task_weights.setter
    def task_weights(self, probabilities: GivenWeights | None) -> None:
        self.set_task_weights(probabilities)

    def set_task_weights(self, probabilities: GivenWeights | None) -> None:
        """Steer the ratio of tasks from the next plan on, as `Curriculum.set_task_weights`; None lets them move again.

        Raises:
            ValueError: if `probabilities` is not on the simplex, or names an unknown task.
        """
        self.schedule.curriculum.set_task_weights(probabilities)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Start an episode in every slot, or in those of `options["reset_mask"]`.

        Of a slot that is in mid-conversation the episode has ended as truncated, as in `MultiTaskEnv`; one that was not
        stepped yet plays it again, and so do all if the latest step raised.

        Args:
            seed: starts the whole schedule anew.
            options: None; or `task_weights`, as for `set_task_weights`; or a "reset_mask", a bool array of shape
                (num_envs,) with a True in it; or both.

        Raises:
            ValueError: if `seed` is not one int, there are other options, or the mask is not like that.
            TypeError: if the mask is not a bool array.
            gym.error.ResetNeeded: if there is a mask and there never was a reset without.
        """
        if not (seed is None or isinstance(seed, int)):
            raise ValueError(
                f"seed must be None or one int, got {seed!r:.80}: it names the whole plan, which chooses the problem "
                "of each slot; to play one problem in N slots use group_size=N"
            )
        options = dict(options or {})
        weights = {name: options.pop(name) for name in ("task_weights",) if name in options}
        slots = self._slots_to_reset(seed, options)
        super().reset(seed=seed)
        if weights:
            self.set_task_weights(weights["task_weights"])
        if seed is not None:
            self.schedule.reseed(seed)
            self._assignments, self._conversations = [], []
        truncated = self._truncate(slots)
        self._begin(slots)
        return self._observations(), self._positions(slots) | self._provenance(slots) | truncated

    def step(
        self, actions: Sequence[str]
    ) -> tuple[tuple[str, ...], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Judge a response in every slot; if one cannot be judged, no slot has changed.

        Args:
            actions: `num_envs` strings.

        Raises:
            ValueError: if they are not that.
            gym.error.ResetNeeded: before a reset, or when an ended slot was not reset.
            TaskError: if a verifier raises.
        """
        self._check_actions(actions)
        self._has_raised = True
        for conversation, action in zip(self._conversations, actions, strict=True):
            conversation.prefetch(action)
        self._conversations = [c.after(action) for c, action in zip(self._conversations, actions, strict=True)]
        self._has_raised = False
        verdicts = [conversation.verdict for conversation in self._conversations]
        rewards = np.array([0.0 if verdict is None else verdict.reward for verdict in verdicts], dtype=np.float64)
        terminated = np.array([verdict is not None for verdict in verdicts])
        truncated = ~terminated & self._is_at_limit()
        ended = np.flatnonzero(terminated | truncated)
        infos = self._end(ended)
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            infos = self._layout.final(ended, [self._conversations[i].observation for i in ended], infos)
            self._begin(ended)
            infos |= self._provenance(ended)
        infos |= self._positions(np.arange(self.num_envs))
        return self._observations(), rewards, terminated, truncated, infos

    def render(self) -> tuple[str, ...] | None:
        """What each slot's conversation came to so far.

        Raises:
            gym.error.ResetNeeded: before the first reset.
        """
        if self.render_mode is None:
            return None
        self._check_started()
        return tuple(conversation.render() for conversation in self._conversations)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the tasks' envs."""
        self.schedule.suite.close()

    def __repr__(self) -> str:
        names, group_size = ", ".join(self.schedule.suite.names), self.schedule.group_size
        return f"TextVectorEnv({names}; num_envs={self.num_envs}, group_size={group_size})"

    def _check_started(self) -> None:
        if not self._conversations:
            raise gym.error.ResetNeeded("no episode is running: call reset() first")

    def _check_actions(self, actions: Sequence[str]) -> None:
        self._check_started()
        if self._has_ended.any():
            ended = np.flatnonzero(self._has_ended).tolist()
            raise gym.error.ResetNeeded(f"the episodes of slots {ended} have ended: call reset(), with a 'reset_mask'")
        check_actions(actions, self.num_envs)

    def _slots_to_reset(self, seed: int | None, options: Mapping[str, Any] | None) -> IntArray:
        if not options:
            return np.arange(self.num_envs)
        if set(options) != {"reset_mask"}:
            raise ValueError(
                f"options must be 'task_weights' and a 'reset_mask', got {sorted(options)}: the plan chooses problems"
            )
        if seed is not None:
            raise ValueError("a seed starts all slots anew: give a seed or a 'reset_mask', got both")
        self._check_started()
        return np.flatnonzero(checked_mask(options["reset_mask"], self.num_envs))

    def _begin(self, slots: IntArray) -> None:
        """Start in each of the slots the episode that it has not stepped yet, or else the schedule's next."""
        if not self._conversations:
            while len(self._assignments) < self.num_envs:
                self._assignments.append(self.schedule.next_episode())
            self._conversations = [self._table.start(assignment.problem) for assignment in self._assignments]
            self._has_ended[:] = False
            return
        for i in slots.tolist():
            if self._has_ended[i]:
                self._assignments[i] = self.schedule.next_episode()
            self._conversations[i] = self._table.start(self._assignments[i].problem)
            self._has_ended[i] = False

    def _is_at_limit(self) -> NDArray[np.bool_]:
        if self.max_episode_steps is None:
            return np.zeros(self.num_envs, dtype=np.bool_)
        return np.array([len(conversation.responses) >= self.max_episode_steps for conversation in self._conversations])

    def _truncate(self, slots: IntArray) -> dict[str, Any]:
        """End those of the slots that are in mid-conversation; what `infos` says of them."""
        if self._has_raised or not self._conversations:
            self._has_raised = False
            return {}
        is_midway = ~self._has_ended & [bool(conversation.responses) for conversation in self._conversations]
        left = slots[is_midway[slots]]
        return self._layout.nested(left, "truncated_episode", self._end(left))

    def _end(self, ended: IntArray) -> dict[str, Any]:
        """Report the episodes of these slots; what their last `infos` say."""
        if not ended.size:
            return {}
        self._has_ended[ended] = True
        conversations = [self._conversations[i] for i in ended.tolist()]
        verdicts = [conversation.verdict or NO_ANSWER for conversation in conversations]
        progress = [self._finish(i, verdict) for i, verdict in zip(ended.tolist(), verdicts, strict=True)]
        self._tally.add([self._assignments[i].task_id for i in ended.tolist()], verdicts)
        lengths = [len(conversation.responses) for conversation in conversations]
        return self._positions(ended) | self._layout.endings(ended, verdicts, lengths, progress)

    def _finish(self, slot: int, verdict: Verdict) -> Progress:
        conversation = self._conversations[slot]
        rollout = Rollout(
            (),
            verdict.reward,
            verdict.is_success,
            verdict.valid,
            verdict.outcome,
            length=len(conversation.responses),
            is_truncated=conversation.verdict is None,
        )
        return self.schedule.finish(self._assignments[slot], rollout)

    def _observations(self) -> tuple[str, ...]:
        return tuple([conversation.observation for conversation in self._conversations])

    def _positions(self, slots: IntArray) -> dict[str, Any]:
        assignments = [self._assignments[i] for i in slots.tolist()]
        return self._layout.positions(slots, assignments, self.schedule.suite.names)

    def _provenance(self, slots: IntArray) -> dict[str, Any]:
        rows = [self._conversations[i].setting.opening.provenance._asdict() for i in slots.tolist()]
        return self._layout.columns(slots, {"provenance": rows})


def make_text_vec(
    env_type: type[TextEnv[Any]],
    *,
    num_envs: int = 1,
    group_size: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    split: Split = "train",
    seed: int = 0,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
    **env_options: Any,
) -> TextVectorEnv:
    """The batched env of one text task; `partial(make_text_vec, MyTask)` is a `vector_entry_point` for it.

    A batch of its schedule is what fits into the slots: `num_envs` // `group_size` groups, at least one.

    Args:
        env_type: the class of the env that judges.
        num_envs: slots.
        group_size: N, episodes of each problem.
        autoreset_mode: see `TextVectorEnv`.
        split: "train" or "test".
        seed: of the problems, until `reset(seed=...)` names another.
        max_episode_steps: see `TextVectorEnv`.
        render_mode: None or "ansi".
        **env_options: arguments of `env_type`, which refuses what it does not know.

    Raises:
        ValueError: if an argument is out of its range.
    """
    task = Task.from_text(env_type.__name__, partial(env_type, **env_options))
    suite = TaskSuite([task], split=split, seed=seed)
    sampler = MultinomialSampler(1, max(num_envs // max(group_size, 1), 1), seed=seed)
    return TextVectorEnv(
        Schedule(Curriculum(suite, sampler=sampler), group_size=group_size),
        num_envs,
        autoreset_mode=autoreset_mode,
        max_episode_steps=max_episode_steps,
        render_mode=render_mode,
    )
