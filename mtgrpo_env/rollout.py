"""Running episodes: groups in lock-step."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from mtgrpo_env.log_once import log_once
from mtgrpo_env.progress import advance, begin_part
from mtgrpo_env.ranges import Range
from mtgrpo_env.suite import AnyEnv, Task, TaskError, TaskSuite
from mtgrpo_env.task import TASK_FAULTS
from mtgrpo_env.text_env import NO_ANSWER, SCORER_ERROR, TextEnv
from mtgrpo_env.types import LARGEST_REWARD, GeneratedText, Group, MayFail, Problem, Rollout, Step

_logger = logging.getLogger(__name__)

ExtraT = TypeVar("ExtraT")


class Policy(Protocol):
    """Chooses actions for many episodes at once: per-step control and LLM generation are one call."""

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """One action for each observation, and what the learner will want to know about it ("extras")."""
        ...


class PolicyError(ValueError):
    """A policy returned something else than an action for each observation."""


@runtime_checkable
class StreamingPolicy(Policy, Protocol):
    """A policy that hands over each action as soon as it has it: verifiers begin while others are still generated."""

    def stream(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Iterator[tuple[int, Any, Any]]:
        """What `act` returns in any order: the place of an observation, its action and its extras."""
        ...


class RollOut(Protocol):
    """Who rolls out a round of problems; `rollout_groups` does it in this process."""

    def __call__(
        self,
        suite: TaskSuite,
        policy: Any,
        problems: Sequence[Problem],
        group_size: int,
        *,
        deterministic: bool = False,
    ) -> list[Group]:
        """A group of `group_size` rollouts of each problem, in the order of the problems."""
        ...


def rollout_groups(
    suite: TaskSuite, policy: Policy, problems: Sequence[Problem], group_size: int, *, deterministic: bool = False
) -> list[Group]:
    """Roll out `group_size` episodes of each problem, all in lock-step: one `act` per time step.

    Equal observations stand side by side in the call, so a policy can share work within a group.

    An episode whose env raises in a step is invalid, as if its scorer had failed; the first of each task is logged. One
    whose prompt leaves no room for a response ends there, cut off.

    Raises:
        ValueError: if `group_size` is below 1, or a task has no success rule.
        PolicyError: if the policy does not return an action for each observation, and a str for each text.
        TaskError: if an env raises in a reset, or in all steps of eight problems of its task in a row.
    """
    Range(1).check("group_size", group_size)
    episodes = _start_episodes(suite, problems, group_size)
    live = episodes
    begin_part(len(live))
    while live:
        task_ids = [episode.problem.task_id for episode in live]
        observations = [episode.observation for episode in live]
        choices: dict[int, tuple[Any, Any]] = {}
        for i, action, extra in _stream(policy, observations, task_ids, deterministic=deterministic):
            if live[i].is_text and not isinstance(action, str):
                raise _policy_error(policy, f"a str for the text task {live[i].task.name!r}", f"{action!r:.80}")
            live[i].prefetch(action)
            choices[i] = action, extra
            advance(1)
        for i, episode in enumerate(live):
            episode.step(*choices[i])
        live = [episode for episode in live if not episode.done]
        advance(more=len(live))
    _refuse_broken_tasks(suite, problems, episodes, group_size)
    rollouts = [episode.rollout() for episode in episodes]
    return [Group(p, tuple(rollouts[i * group_size : (i + 1) * group_size])) for i, p in enumerate(problems)]


def success_of(task: Task, info: Mapping[str, Any], total_reward: float) -> bool:
    """Whether a finished episode was correct: what its last `info` says, else the task's threshold on the return.

    Raises:
        ValueError: if there is neither: a task without a rule would count as failed for ever, and own the task weights.
    """
    if "is_success" in info:
        return bool(info["is_success"])
    if task.success_threshold is not None:
        return total_reward >= task.success_threshold
    raise ValueError(
        f"task {task.name!r} has no success rule: an episode of return {total_reward:.6g} ended without 'is_success' "
        "in its last info, and the task has no success_threshold. Give the return from which an episode counts, as in "
        "Task(..., success_threshold=...) or Task.from_id(..., success_threshold=...), or put 'is_success' into the "
        "info of every step"
    )


def rollout_of(
    task: Task,
    env: AnyEnv,
    info: Mapping[str, Any],
    total_reward: float,
    *,
    steps: Sequence[Step] = (),
    num_steps: int | None = None,
    is_interrupted: bool = False,
    is_cut_off: bool = False,
) -> Rollout:
    """What an episode came to, by the `info` of its last step.

    A text episode that a step limit ended before its verdict has no answer. A return that is not finite, or too large
    to be reckoned with, says nothing about the policy: the scorer failed, which is logged once for each task. Nor does
    one with a response that was not to be had. An episode without a token has nothing to learn from.

    Args:
        task: what was played.
        env: where.
        info: of the last step.
        total_reward: the return.
        steps: what a learner needs of the episode.
        num_steps: time steps of the episode; by default as many as `steps`.
        is_interrupted: whether it ended without its env; then it is no success unless `info` or the threshold says so.
        is_cut_off: whether a limit of time steps ended it.

    Raises:
        ValueError: if the env ended the episode, and its task has no success rule.
    """
    if not abs(total_reward) <= LARGEST_REWARD:
        _warn_of_return(task, total_reward)
        info, total_reward = SCORER_ERROR.info, 0.0
    elif any(isinstance(step.extras, MayFail) and step.extras.is_failed for step in steps):
        info, total_reward = {**SCORER_ERROR.info, "outcome": "no_response"}, 0.0
    elif "is_success" not in info and isinstance(env.unwrapped, TextEnv):
        info = NO_ANSWER.info
    elif "is_success" not in info and task.success_threshold is None and is_interrupted:
        info = {**info, "is_success": False}
    is_success = success_of(task, info, total_reward)
    valid, outcome = bool(info.get("valid", True)), str(info.get("outcome", ""))
    texts = [step.extras for step in steps if isinstance(step.extras, GeneratedText)]
    length, log_prob = len(steps) if num_steps is None else num_steps, None
    if texts:
        length = sum(text.num_tokens for text in texts)
        log_probs = [text.log_prob for text in texts]
        log_prob = sum(known) if len(known := [p for p in log_probs if p is not None]) == len(texts) else None
    return Rollout(
        tuple(steps),
        total_reward,
        is_success,
        valid,
        outcome,
        length=length,
        is_truncated=is_cut_off or any(text.is_truncated for text in texts),
        is_masked=bool(texts) and not length,
        log_prob=log_prob,
    )


def _warn_of_return(task: Task, total_reward: float) -> None:
    expected = f"task {task.name!r}: expected a return that is a finite number, got {total_reward:.0e}"
    log_once(_logger, logging.WARNING, f"{expected}: such rollouts are invalid, count as none, and teach nothing")


def _warn_of_task(name: str, kind: str, message: str) -> None:
    """Log the first of a kind for a task: the others differ in the problem alone."""
    log_once(_logger, logging.WARNING, f"task {name!r}: {message} (shown once)", kind=(name, kind))


def _found_no_room(action: Any, extras: Any) -> bool:
    return isinstance(extras, GeneratedText) and extras.is_truncated and not extras.num_tokens and action == ""


def _refuse_broken_tasks(
    suite: TaskSuite, problems: Sequence[Problem], episodes: Sequence[_Episode], group_size: int
) -> None:
    """Log what envs raised, and raise it once too many problems in a row of one task can be judged by nothing."""
    for i, problem in enumerate(problems):
        faults = [episode.fault for episode in episodes[i * group_size : (i + 1) * group_size]]
        failed = [fault for fault in faults if fault is not None]
        if failed:
            _warn_of_task(suite.names[problem.task_id], "fault", f"{failed[0]}: such rollouts are invalid")
        if suite.count_failure(problem.task_id, is_failed=len(failed) == len(faults)):
            raise failed[0]


class _Episode:
    """One running episode."""

    def __init__(self, task: Task, env: AnyEnv, problem: Problem) -> None:
        self.task, self.env, self.problem = task, env, problem
        bare = env.unwrapped
        self._text_env = bare if isinstance(bare, TextEnv) else None
        self.is_text = self._text_env is not None
        self.steps: list[Step] = []
        self.done, self.is_cut_off = False, False
        self.info: dict[str, Any] = {}
        self.fault: TaskError | None = None
        try:
            self.observation, _ = env.reset(seed=problem.seed, options=dict(problem.options) or None)
        except TASK_FAULTS as error:
            raise TaskError.of(task, problem, "reset", error) from error

    def prefetch(self, action: Any) -> None:
        """Let a verifier that works in other processes start on the action, before `step` waits for its verdict."""
        if self._text_env is None:
            return
        try:
            self._text_env.prefetch(self._text_env.puzzle, action)
        except TASK_FAULTS as error:  # `step` will ask again, and what it meets is the verdict
            _logger.debug("task %r raised in prefetch: %r", self.task.name, error)

    def step(self, action: Any, extras: Any) -> None:
        if _found_no_room(action, extras):
            self._end_without_room(action, extras)
            return
        try:
            observation, given, terminated, truncated, self.info = self.env.step(action)
            reward = float(given)
        except TASK_FAULTS as error:
            self.fault = TaskError.of(self.task, self.problem, f"step({action!r:.80})", error)
            self.fault.__cause__ = error
            observation, reward, terminated, truncated, self.info = "", 0.0, True, False, SCORER_ERROR.info
        self.steps.append(Step(self.observation, action, reward, extras))
        self.observation = observation
        self.done, self.is_cut_off = terminated or truncated, truncated and not terminated

    def _end_without_room(self, action: Any, extras: Any) -> None:
        place, turn = "", len(self.steps) + 1
        if self._text_env is not None:
            place = f" in turn {turn} of {self._text_env.source(self._text_env.puzzle)}"
        ends = f"a prompt leaves no room for a response{place}: such episodes end there, cut off"
        _warn_of_task(self.task.name, "room", ends)
        self.steps.append(Step(self.observation, action, 0.0, extras))
        self.done, self.is_cut_off, self.info = True, True, {}

    def rollout(self) -> Rollout:
        total = sum(step.reward for step in self.steps)
        return rollout_of(self.task, self.env, self.info, total, steps=self.steps, is_cut_off=self.is_cut_off)


def in_order(choices: Iterable[tuple[int, str, ExtraT]]) -> tuple[list[str], list[ExtraT]]:
    """What a `StreamingPolicy` streams, as its `act` returns it: actions and extras in the order of the observations.

    >>> in_order([(1, "b", 2.0), (0, "a", 1.0)])
    (['a', 'b'], [1.0, 2.0])
    """
    ordered = sorted(choices, key=lambda choice: choice[0])
    return [action for _, action, _ in ordered], [extra for *_, extra in ordered]


def _stream(
    policy: Policy, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool
) -> Iterator[tuple[int, Any, Any]]:
    if isinstance(policy, StreamingPolicy):
        choices = policy.stream(observations, task_ids, deterministic=deterministic)
        yield from _checked_stream(policy, choices, len(observations))
        return
    chosen, count = policy.act(observations, task_ids, deterministic=deterministic), len(observations)
    lengths = _lengths(chosen)
    if lengths != [count, count]:
        given = f"a {type(chosen).__name__}" if lengths is None else " and ".join(map(str, lengths))
        raise _policy_error(policy, f"a pair (actions, extras) of {count} each", given)
    yield from zip(range(count), *chosen, strict=True)


def _checked_stream(policy: Policy, choices: Iterable[Any], count: int) -> Iterator[tuple[int, Any, Any]]:
    """The choices, once it is certain that each place is there once."""
    missing, expected = set(range(count)), f"(place, action, extras) once for each of {count} places"
    for choice in choices:
        if not (isinstance(choice, tuple) and len(choice) == 3 and choice[0] in missing):
            raise _policy_error(policy, expected, f"{choice!r:.80}")
        missing.remove(choice[0])
        yield choice
    if missing:
        raise _policy_error(policy, expected, f"none for {sorted(missing)[:3]}")


def _lengths(chosen: Any) -> list[int] | None:
    """Of the parts of a tuple; None for anything else."""
    try:
        return [len(part) for part in chosen] if isinstance(chosen, tuple) else None
    except TypeError:
        return None


def _policy_error(policy: Policy, expected: str, given: str) -> PolicyError:
    method = "stream" if isinstance(policy, StreamingPolicy) else "act"
    return PolicyError(f"{method} of {type(policy).__name__} must return {expected}, got {given}")


def _start_episodes(suite: TaskSuite, problems: Sequence[Problem], group_size: int) -> list[_Episode]:
    counts = np.bincount([problem.task_id for problem in problems], minlength=suite.num_tasks)
    pools = [iter(suite.envs(k, int(count) * group_size)) for k, count in enumerate(counts)]
    return [
        _Episode(suite.tasks[problem.task_id], next(pools[problem.task_id]), problem)
        for problem in problems
        for _ in range(group_size)
    ]
