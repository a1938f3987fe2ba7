"""Accuracy per task on a fixed list of problems, for policies and for baselines that see the puzzle."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mtgrpo_env.metrics import average, worst_task
from mtgrpo_env.progress import EVALUATING, stage
from mtgrpo_env.rollout import Policy, RollOut, rollout_groups
from mtgrpo_env.suite import TaskError, TaskSuite
from mtgrpo_env.task import TASK_FAULTS
from mtgrpo_env.text_env import NoKnownSolution, TextEnv
from mtgrpo_env.types import FloatArray, Group, IntArray, Problem, Rollout, Step, per_task_mean
from mtgrpo_env.visible_text import one_line

if TYPE_CHECKING:
    from mtgrpo_env.chance import Chance

MOST_EPISODES = 512
"""Episodes that are played at a time."""

Answerer = Callable[[TextEnv[Any], Any, np.random.Generator], str]
GroupCallback = Callable[[Group], None]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeftOutProblem:
    """A problem that was not played, and counts as none.

    Attributes:
        task: its name.
        place: file and row, or what the task calls it and its seed.
        reason: why, in a few words.
    """

    task: str
    place: str
    reason: str

    @classmethod
    def of(cls, suite: TaskSuite, problem: Problem, reason: str) -> Self:
        """Of a text task of a suite."""
        opening, env = suite.opening(problem), suite.envs(problem.task_id, 1)[0].unwrapped
        assert opening is not None, "only problems of text tasks are left out"
        assert isinstance(env, TextEnv), "a task with an opening is a text task"
        seed = "" if "index" in problem.options else f", seed {problem.seed}"
        return cls(suite.names[problem.task_id], f"{env.source(opening.puzzle)}{seed}", reason)

    def __str__(self) -> str:
        return f"task {self.task!r}, {self.place}: {self.reason}"


LeftOutCallback = Callable[[LeftOutProblem], None]


def _warn(problem: LeftOutProblem) -> None:
    _LOG.warning("left out: %s", problem)


def ignore_group(_: Group) -> None:
    """Let a group pass."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of playing a list of problems.

    Attributes:
        names: of the K tasks.
        accuracies: (K,) share of correct episodes; NaN for a task without problems.
        counts: (K,) valid episodes played.
        invalid: (K,) episodes left out because the scorer failed.
        problems: (K,) those of which a valid episode was played: what is averaged over, whatever the episodes of each.
        mean_lengths: (K,) of the episodes, in tokens or env steps; NaN for a task without any, None where the record
            of an earlier run does not say.
        truncated_shares: (K,) of the episodes that a limit cut off, likewise.
        left_out: (K,) problems that take no part, since no prompt can be made of them; None where that is not known.
    """

    names: tuple[str, ...]
    accuracies: FloatArray
    counts: IntArray
    invalid: IntArray
    problems: IntArray
    mean_lengths: FloatArray | None = None
    truncated_shares: FloatArray | None = None
    left_out: IntArray | None = None

    @property
    def worst(self) -> float:
        """Accuracy of the worst task that was played; NaN if none was."""
        return worst_task(self.accuracies)

    @property
    def average(self) -> float:
        """Mean accuracy over the tasks that were played; NaN if none was."""
        return average(self.accuracies)

    @property
    def left_out_line(self) -> str:
        """How many problems of which tasks take no part; "" if none is known to."""
        counts = zip(self.names, () if self.left_out is None else self.left_out.tolist(), strict=False)
        named = ", ".join(f"{count:,} of {name}" for name, count in counts if count)
        return f"problems left out, since no prompt can be made of them: {named}" if named else ""

    def __str__(self) -> str:
        return self.table()

    def table(self, chance: Chance | None = None) -> str:
        """A table, the worst task first; with what no thinking comes to, where that is given."""
        names = [one_line(name) for name in self.names]
        width = max(map(len, (*names, "worst task")))
        beside = "  guess  constant" if chance else ""
        lines = [f"{'task':{width}}  accuracy{beside}  problems  episodes  invalid"]
        for k in np.argsort(self.accuracies, kind="stable").tolist():  # NaN comes last
            accuracy = f"{self.accuracies[k]:.1%}" if self.counts[k] else "-"
            numbers = f"{self.problems[k]:8,}  {self.counts[k]:8,}  {self.invalid[k]:7,}"
            shares = ""
            if chance is not None:
                guess, constant, _ = chance.of_task(k)
                shares = f"  {_percent(guess):>5}  {_percent(constant):>8}"
            lines.append(f"{names[k]:{width}}  {accuracy:>8}{shares}  {numbers}")
        lines += [f"{'worst task':{width}}  {self.worst:8.1%}", f"{'average':{width}}  {self.average:8.1%}"]
        return "\n".join(filter(None, (*lines, self.left_out_line)))


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.1%}"


def evaluate_policy(
    suite: TaskSuite,
    policy: Policy,
    problems: Sequence[Problem],
    *,
    rollouts_per_problem: int = 1,
    deterministic: bool = False,
    on_group: GroupCallback = ignore_group,
    roll_out: RollOut = rollout_groups,
) -> Evaluation:
    """Play every problem with a policy; `on_group` is given the rollouts of each, in the order of the problems."""
    chunk = max(1, MOST_EPISODES // max(1, rollouts_per_problem))
    tally = _Tally(suite, on_group)
    starts = range(0, len(problems), chunk)
    with stage(EVALUATING, "responses", parts=len(starts)):
        for start in starts:
            part = problems[start : start + chunk]
            for group in roll_out(suite, policy, part, rollouts_per_problem, deterministic=deterministic):
                tally.add(group)
    return tally.evaluation()


def evaluate_answers(
    suite: TaskSuite,
    answer: Answerer,
    problems: Sequence[Problem],
    *,
    rollouts_per_problem: int = 1,
    seed: int = 0,
    on_group: GroupCallback = ignore_group,
    on_left_out: LeftOutCallback = _warn,
) -> Evaluation:
    """Play every problem of a suite of text tasks with answers made from the puzzle itself (see `oracle`, `guess`).

    A problem without a known solution is left out; `on_left_out` is given each, by default to log it.

    Raises:
        ValueError: if a task is not a `TextEnv`.
        TaskError: if a task fails to answer one of its own puzzles.
    """
    rng = np.random.default_rng(seed)
    tally = _Tally(suite, on_group)
    for problem in problems:
        name = suite.names[problem.task_id]
        env = suite.envs(problem.task_id, 1)[0].unwrapped
        if not isinstance(env, TextEnv):
            raise ValueError(f"oracle and random answers need text tasks; task {name!r} is a {type(env).__name__}")
        try:
            rollouts = tuple(_play(env, name, problem, answer, rng) for _ in range(rollouts_per_problem))
        except NoKnownSolution as error:
            on_left_out(LeftOutProblem.of(suite, problem, str(error)))
            continue
        except (SystemExit, GeneratorExit) as error:
            raise TaskError.of(suite.tasks[problem.task_id], problem, "an episode", error) from error
        tally.add(Group(problem, rollouts))
    return tally.evaluation()


class RandomActions:
    """A policy that draws every action from the task's action space, uniformly where that means anything.

    Args:
        suite: the tasks.
        seed: of the draws.
    """

    def __init__(self, suite: TaskSuite, *, seed: int = 0) -> None:
        self._spaces = [copy.deepcopy(suite.envs(k, 1)[0].action_space) for k in range(suite.num_tasks)]
        for k, space in enumerate(self._spaces):
            space.seed(seed + k)

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[Any], list[None]]:
        """A draw for each observation."""
        return [self._spaces[k].sample() for k in task_ids], [None] * len(task_ids)


def oracle(env: TextEnv[Any], puzzle: Any, rng: np.random.Generator) -> str:
    """The env's own solution."""
    return env.oracle(puzzle)


def guess(env: TextEnv[Any], puzzle: Any, rng: np.random.Generator) -> str:
    """A well-formed answer made without thinking."""
    return env.guess(puzzle, rng)


def _play(env: TextEnv[Any], name: str, problem: Problem, answer: Answerer, rng: np.random.Generator) -> Rollout:
    observation, _ = env.reset(seed=problem.seed, options=dict(problem.options) or None)
    steps: list[Step] = []
    while True:
        try:
            response = answer(env, env.puzzle, rng)
        except NoKnownSolution:
            raise
        except TASK_FAULTS as error:
            raise TaskError(f"task {name!r} has no answer for {env.prompt(env.puzzle)!r:.300}: {error!r}") from error
        following, reward, terminated, _, info = env.step(response)
        steps.append(Step(observation, response, reward))
        observation = following
        if terminated:
            total = sum(step.reward for step in steps)
            verdict = (info["is_success"], info["valid"], info["outcome"])
            return Rollout(tuple(steps), total, *verdict, length=len(steps))


class _Tally:
    """Counts what groups come to, and passes them on."""

    def __init__(self, suite: TaskSuite, on_group: GroupCallback) -> None:
        self._suite, self._on_group = suite, on_group
        self._results: list[tuple[int, bool, bool]] = []
        self._lengths: list[tuple[int, bool]] = []
        self._problems = np.zeros(suite.num_tasks, dtype=np.int64)

    def add(self, group: Group) -> None:
        self._problems[group.task_id] += group.valid.any()
        self._results += [(group.task_id, rollout.is_success, rollout.valid) for rollout in group.rollouts]
        self._lengths += [(rollout.length, rollout.is_truncated) for rollout in group.rollouts]
        self._on_group(group)

    def evaluation(self) -> Evaluation:
        num_tasks = self._suite.num_tasks
        task_ids, correct, valid = np.array(self._results, dtype=np.int64).reshape(-1, 3).T
        lengths, truncated = np.array(self._lengths, dtype=np.float64).reshape(-1, 2).T
        scored = valid == 1
        return Evaluation(
            names=self._suite.names,
            accuracies=per_task_mean(correct[scored].astype(np.float64), task_ids[scored], num_tasks),
            counts=np.bincount(task_ids[scored], minlength=num_tasks),
            invalid=np.bincount(task_ids[~scored], minlength=num_tasks),
            problems=self._problems.copy(),
            mean_lengths=per_task_mean(lengths, task_ids, num_tasks),
            truncated_shares=per_task_mean(truncated, task_ids, num_tasks),
        )
