"""Running episodes: groups in lock-step, and whole batches by a sampler's plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.carry_over import CarryOver
from mtgrpo_env.filters import strict
from mtgrpo_env.plans import BatchPlan, BatchSampler
from mtgrpo_env.suite import AnyEnv, Task, TaskError, TaskSuite
from mtgrpo_env.text_env import TextEnv
from mtgrpo_env.types import Batch, FloatArray, Group, GroupFilter, Problem, Rollout, Step, per_task_mean


class Policy(Protocol):
    """Chooses actions for many episodes at once: per-step control and LLM generation are one call."""

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """One action for each observation, and what the learner will want to know about it ("extras")."""
        ...


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

    Raises:
        ValueError: if `group_size` is below 1.
        TaskError: if an env raises.
    """
    if group_size < 1:
        raise ValueError(f"group_size must be at least 1, got {group_size}")
    episodes = _start_episodes(suite, problems, group_size)
    live = episodes
    while live:
        task_ids = [episode.problem.task_id for episode in live]
        observations = [episode.observation for episode in live]
        choices: dict[int, tuple[Any, Any]] = {}
        for i, action, extra in _stream(policy, observations, task_ids, deterministic=deterministic):
            live[i].prefetch(action)
            choices[i] = action, extra
        for i, episode in enumerate(live):
            episode.step(*choices[i])
        live = [episode for episode in live if not episode.done]
    rollouts = [episode.rollout() for episode in episodes]
    return [Group(p, tuple(rollouts[i * group_size : (i + 1) * group_size])) for i, p in enumerate(problems)]


def sample_batch(
    suite: TaskSuite,
    policy: Policy,
    sampler: BatchSampler[Any],
    probabilities: FloatArray,
    *,
    group_size: int,
    group_filter: GroupFilter = strict,
    roll_out: RollOut = rollout_groups,
    carry_over: CarryOver | None = None,
) -> Batch:
    """Generate one batch: follow the sampler's plan for z, (K,) `probabilities`, and teach it what was filtered.

    With `carry_over` the plan begins with the groups that earlier batches left, and leaves its own surplus there.
    """
    plan = sampler.plan(probabilities)
    groups = [] if carry_over is None else carry_over.offer(plan)
    while proposal := plan.propose():
        round_groups = roll_out(suite, policy, [suite.next_problem(k) for k in proposal], group_size)
        plan.report(proposal, [group_filter(group) for group in round_groups])
        groups += round_groups
    sampler.update(plan)
    selected, weights = plan.select()
    if carry_over is not None:
        carry_over.keep(plan, groups, selected)
    return _batch(plan, groups, selected, weights, group_size)


def success_of(task: Task, info: dict[str, Any], total_reward: float) -> bool:
    """Whether a finished episode was correct: what the env says, else its threshold, else any reward."""
    if "is_success" in info:
        return bool(info["is_success"])
    if task.success_threshold is not None:
        return total_reward >= task.success_threshold
    return total_reward > 0


class _Episode:
    """One running episode."""

    def __init__(self, task: Task, env: AnyEnv, problem: Problem) -> None:
        self.task, self.env, self.problem = task, env, problem
        bare = env.unwrapped
        self._text_env = bare if isinstance(bare, TextEnv) else None
        self.steps: list[Step] = []
        self.done = False
        self.info: dict[str, Any] = {}
        try:
            self.observation, _ = env.reset(seed=problem.seed, options=dict(problem.options) or None)
        except Exception as error:
            raise TaskError.of(task, problem, "reset", error) from error

    def prefetch(self, action: Any) -> None:
        """Let a verifier that works in other processes start on the action, before `step` waits for its verdict."""
        if self._text_env is not None and isinstance(action, str):
            self._text_env.prefetch(self._text_env.puzzle, action)

    def step(self, action: Any, extras: Any) -> None:
        try:
            observation, reward, terminated, truncated, self.info = self.env.step(action)
        except Exception as error:
            raise TaskError.of(self.task, self.problem, f"step({action!r:.80})", error) from error
        self.steps.append(Step(self.observation, action, float(reward), extras))
        self.observation = observation
        self.done = terminated or truncated

    def rollout(self) -> Rollout:
        total = sum(step.reward for step in self.steps)
        is_success = success_of(self.task, self.info, total)
        valid, outcome = bool(self.info.get("valid", True)), str(self.info.get("outcome", ""))
        return Rollout(tuple(self.steps), total, is_success, valid, outcome)


def _stream(
    policy: Policy, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool
) -> Iterator[tuple[int, Any, Any]]:
    if isinstance(policy, StreamingPolicy):
        yield from policy.stream(observations, task_ids, deterministic=deterministic)
        return
    actions, extras = policy.act(observations, task_ids, deterministic=deterministic)
    yield from zip(range(len(observations)), actions, extras, strict=True)


def _start_episodes(suite: TaskSuite, problems: Sequence[Problem], group_size: int) -> list[_Episode]:
    counts = np.bincount([problem.task_id for problem in problems], minlength=suite.num_tasks)
    pools = [iter(suite.envs(k, int(count) * group_size)) for k, count in enumerate(counts)]
    return [
        _Episode(suite.tasks[problem.task_id], next(pools[problem.task_id]), problem)
        for problem in problems
        for _ in range(group_size)
    ]


def _batch(
    plan: BatchPlan, groups: list[Group], selected: Sequence[int], weights: FloatArray, group_size: int
) -> Batch:
    num_tasks, generated = plan.num_tasks, groups[plan.carried :]
    return Batch(
        groups=tuple(groups[i] for i in selected),
        weights=weights,
        targets=plan.targets,
        accepted=plan.generated - plan.filtered,
        generated=plan.generated,
        rewards=_mean_per_task(generated, [group.rewards for group in generated], num_tasks),
        accuracies=_accuracies(generated, num_tasks),
        mean_abs_advantages=_mean_per_task(generated, _abs_advantages(plan, generated), num_tasks),
        round_accuracies=_round_accuracies(plan, generated),
        rounds=plan.rounds,
        group_size=group_size,
        carried=sum(i < plan.carried for i in selected),
    )


def _round_accuracies(plan: BatchPlan, generated: list[Group]) -> FloatArray:
    """(rounds, K) of the groups of each generation round."""
    ends = np.cumsum([of_round.sum() for of_round, _ in plan.history], dtype=np.int64)
    rounds = [generated[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=False)]
    return np.array([_accuracies(groups, plan.num_tasks) for groups in rounds]).reshape(-1, plan.num_tasks)


def _accuracies(groups: Sequence[Group], num_tasks: int) -> FloatArray:
    return _mean_per_task(groups, [group.successes for group in groups], num_tasks)


def _abs_advantages(plan: BatchPlan, groups: Sequence[Group]) -> list[FloatArray]:
    """(N,) |A| of each group, 0 throughout unless it is informative."""
    pairs = zip(groups, plan.informative[plan.carried :], strict=True)
    return [np.abs(group_advantages(g)) if informative else np.zeros(len(g.rollouts)) for g, informative in pairs]


def _mean_per_task(groups: Sequence[Group], values: Sequence[ArrayLike], num_tasks: int) -> FloatArray:
    """(K,) mean over each task's valid rollouts, given (N,) values of each group; NaN where there is none."""
    if not groups:
        return np.full(num_tasks, np.nan)
    task_ids = [np.full(group.valid.sum(), group.task_id) for group in groups]
    valid_values = [np.asarray(of_group)[group.valid] for group, of_group in zip(groups, values, strict=True)]
    return per_task_mean(np.concatenate(valid_values), np.concatenate(task_ids), num_tasks)
