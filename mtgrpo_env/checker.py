"""`check_task`: does an env keep the promises that groups and verifiable rewards rest on?"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit

from mtgrpo_env.hostile import HostileResponseError, judge_all
from mtgrpo_env.rollout import rollout_of
from mtgrpo_env.suite import AnyEnv, Task, TaskError, TaskSuite
from mtgrpo_env.task import TASK_FAULTS
from mtgrpo_env.task_registry import TaskSpec, tasks_of
from mtgrpo_env.text_env import WRONG, TextEnv, Verdict
from mtgrpo_env.thoughtless import Thoughtless, single_answers, thoughtless_responses
from mtgrpo_env.types import LARGEST_REWARD, SPLITS, Problem

_LONGEST_EPISODE = 1000  # steps


class TaskCheckError(AssertionError):
    """A task breaks a promise; says which, and on which problem."""


def check_task(task: TaskSpec, *, num_problems: int = 20, seconds: float = 10.0) -> None:
    """Check a task by playing it: call this on an env of your own before training on it.

    1. Gymnasium's `check_env` passes.
    2. A group is one problem: resets with one seed give one observation, in the same env and in another.
    3. Different problems differ. (Other envs than a `TextEnv` may have one start only; that is a warning.)
    4. For a `TextEnv`: the oracle is judged correct on every problem, an empty response is not, nor, but by
       coincidence, are the prompt repeated, its options listed, or each of them (`mtgrpo_env.thoughtless`); and no
       puzzle of the train split is in the test split.
    5. An episode of random actions ends, and it is known whether it was a success. (One that does not end in 1000
       steps, where there is no step limit, is a warning: the env may have a limit of its own that is longer.)
    6. For a `TextEnv`: no response of `mtgrpo_env.hostile` is called correct, raises, or keeps the verifier
       busy for long. They are judged in a child process, which is killed if one does.

    Args:
        task: a task, a class or a name; see `TaskSpec`. If it stands for several, each is checked.
        num_problems: how many problems of each split to play.
        seconds: how long a verifier may take over one hostile response.

    Raises:
        TaskCheckError: naming the first promise broken.
        ValueError: if there is no such task.
    """
    for one in tasks_of(task):
        _check(one, num_problems, seconds)


def _check(task: Task, num_problems: int, seconds: float) -> None:
    suite = TaskSuite([task])
    try:
        envs = suite.envs(0, 2)
        _check_interface(task, envs[0])
        _check_problems(task, suite, envs, num_problems)
        if isinstance(envs[0].unwrapped, TextEnv):
            _check_hostile(task, envs[0].unwrapped, seconds)
        _check_episode(task, suite, envs[0])
    finally:
        suite.close()


def _check_interface(task: Task, env: AnyEnv) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Not able to test alternative render modes.*")
        try:
            check_env(env.unwrapped, skip_render_check=True)
        except TASK_FAULTS as error:
            raise TaskCheckError(f"task {task.name!r} fails gymnasium's check_env: {error}") from error


def _check_problems(task: Task, suite: TaskSuite, envs: list[AnyEnv], num_problems: int) -> None:
    try:
        problems = {split: suite.held_out(num_problems, split=split) for split in SPLITS}
    except (TaskError, ValueError) as error:
        raise TaskCheckError(str(error)) from error
    for error in suite.first_unmade.values():  # a run leaves such problems out
        raise TaskCheckError(str(error)) from error
    everything = [problem for split in SPLITS for problem in problems[split]]
    observations = [_check_group(task, envs, problem) for problem in everything]
    has_one_start = len({repr(observation) for observation in observations}) == 1 and len(observations) > 1
    complaint = f"task {task.name!r} shows the same first observation for every seed"
    if isinstance(envs[0].unwrapped, TextEnv):
        if has_one_start:
            raise TaskCheckError(complaint)
        checked = {split: [_check_verifier(task, envs[0], one) for one in problems[split]] for split in SPLITS}
        _check_thoughtless(task, [one for split in SPLITS for _, one in checked[split] if one], len(everything))
        keys = {split: {key for key, _ in checked[split]} for split in SPLITS}
        if shared := keys["train"] & keys["test"]:
            raise TaskCheckError(f"task {task.name!r} has puzzles in both splits: {sorted(shared)[:3]}")
    elif has_one_start:
        warnings.warn(f"{complaint}: if its seeds change nothing else, it has but one problem", stacklevel=3)


def _reset(env: AnyEnv, problem: Problem) -> Any:
    return env.reset(seed=problem.seed, options=dict(problem.options) or None)[0]


def _check_group(task: Task, envs: list[AnyEnv], problem: Problem) -> Any:
    first, again, elsewhere = _reset(envs[0], problem), _reset(envs[0], problem), _reset(envs[1], problem)
    for observation, where in ((again, "reset twice"), (elsewhere, "reset in another env")):
        if not _same(first, observation):
            raise TaskCheckError(
                f"task {task.name!r} is not one problem under seed {problem.seed} when {where}: "
                f"{first!r:.200} and {observation!r:.200}"
            )
    return first


def _check_verifier(task: Task, env: AnyEnv, problem: Problem) -> tuple[str, Thoughtless | None]:
    """The puzzle's key, and a response without thought that its verifier accepts."""
    text_env: TextEnv[Any] = env.unwrapped  # pyright: ignore[reportAssignmentType]
    # Resets cannot show this: the envs of one process share the puzzles they have drawn.
    one, other = (text_env.generate(np.random.default_rng(problem.seed)) for _ in range(2))
    if one != other:
        raise TaskCheckError(
            f"task {task.name!r} generates another puzzle from the same generator: {one!r:.200} and {other!r:.200}"
        )
    prompt = _reset(env, problem)
    puzzle = text_env.puzzle
    oracle = text_env.oracle(puzzle)
    if not text_env.verify(puzzle, oracle).is_success:
        raise TaskCheckError(
            f"task {task.name!r} rejects its own oracle {oracle!r:.200} under seed {problem.seed}: "
            f"{text_env.verify(puzzle, oracle)}"
        )
    if text_env.verify(puzzle, "").is_success:
        raise TaskCheckError(f"task {task.name!r} accepts an empty response under seed {problem.seed}")
    return text_env.key(puzzle), _accepted_thoughtless(task, text_env, prompt, oracle)


def _accepted_thoughtless(task: Task, env: TextEnv[Any], prompt: str, oracle: str) -> Thoughtless | None:
    """The first response that repeats, lists or takes any place of the prompt and is called correct."""

    def is_success(response: str) -> bool:
        return _verdict(task, env, env.puzzle, response).is_success

    for one in thoughtless_responses(prompt, oracle):
        if is_success(one.response):
            return one
    alone = single_answers(prompt, oracle)
    if len(alone) > 1 and all(map(is_success, alone)):
        return Thoughtless("each option alone", alone[0])
    return None


def _check_thoughtless(task: Task, accepted: Sequence[Thoughtless], num_problems: int) -> None:
    """Once may be a coincidence, and so may one problem in ten."""
    if len(accepted) >= max(2, num_problems / 10):
        raise TaskCheckError(
            f"task {task.name!r} accepts {accepted[0].what}, {accepted[0].response!r:.200}; responses that commit to "
            f"nothing are right on {len(accepted)} of {num_problems} problems"
        )


def _verdict(task: Task, env: TextEnv[Any], puzzle: Any, response: str) -> Verdict:
    try:
        return env.verify(puzzle, response)
    except TASK_FAULTS as error:
        raise TaskCheckError(f"task {task.name!r}: the verifier raises on {response!r:.200}: {error!r}") from error


def _check_episode(task: Task, suite: TaskSuite, env: AnyEnv) -> None:
    _reset(env, suite.next_problem(0))
    draw_action = _random_actions(env)
    total = 0.0
    for _ in range(_LONGEST_EPISODE):
        _, reward, terminated, truncated, info = env.step(draw_action())
        total += float(reward)
        if not abs(total) <= LARGEST_REWARD:
            raise TaskCheckError(f"task {task.name!r}: expected rewards whose sum is a finite number, got {total}")
        if terminated or truncated:
            try:
                rollout_of(task, env, info, total)
            except ValueError as error:
                raise TaskCheckError(str(error)) from error
            return
    if not _has_step_limit(env):
        is_text = isinstance(env.unwrapped, TextEnv)
        remedy = "let `reply` end it after some turns" if is_text else "give its env a limit (`max_episode_steps`)"
        warnings.warn(
            f"task {task.name!r} has no step limit, and an episode of random actions did not end in "
            f"{_LONGEST_EPISODE} steps: where it may never end, {remedy}",
            stacklevel=4,
        )


def _random_actions(env: AnyEnv) -> Callable[[], Any]:
    text_env = env.unwrapped
    if isinstance(text_env, TextEnv):
        return partial(text_env.guess, text_env.puzzle, np.random.default_rng(0))
    env.action_space.seed(0)
    return env.action_space.sample


def _has_step_limit(env: AnyEnv) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            return True
        env = env.env
    return False


def _check_hostile(task: Task, env: TextEnv[Any], seconds: float) -> None:
    puzzle = env.puzzle
    oracle = env.oracle(puzzle)

    def verify(response: str) -> Verdict:
        # A yes-or-no task may well have "True" for its answer.
        return WRONG if response == oracle else env.verify(puzzle, response)

    complaint = hostile_complaint(verify, seconds=seconds)
    if complaint is not None:
        raise TaskCheckError(f"task {task.name!r}: {complaint}")


def hostile_complaint(verify: Callable[[str], Verdict], *, seconds: float = 10.0) -> str | None:
    """What is wrong with a verifier of hostile responses; None if nothing.

    A forked child does the judging, so that it can be killed when it is silent for `seconds`. Where there
    is no fork, what hangs, hangs here.
    """
    if not hasattr(os, "fork"):
        return _fault(verify)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_judge_for_parent, args=(verify, sender), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: the child only judges
        child.start()
    sender.close()
    judging = None
    try:
        while receiver.poll(seconds):
            is_done, news = receiver.recv()
            if is_done:
                return news
            judging = news
        return f"the verifier takes more than {seconds:g} s over the hostile response {judging!r}"
    except EOFError:
        return f"the verifier ends the process on the hostile response {judging!r}"
    finally:
        child.kill()
        child.join()
        receiver.close()


def _judge_for_parent(verify: Callable[[str], Verdict], parent: Connection) -> None:
    """Tell the parent which response comes next, and at the end what was wrong."""

    def announced(response: str) -> Verdict:
        parent.send((False, response[:60]))
        return verify(response)

    parent.send((True, _fault(announced)))


def _fault(verify: Callable[[str], Verdict]) -> str | None:
    try:
        judge_all(verify)
    except HostileResponseError as error:
        return str(error)
    return None


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    return bool(np.array_equal(left, right))
