"""Scorers by name: the built-in rewards, the registered verifiers, and reward functions of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from mtgrpo_env.envs import answer_rewards
from mtgrpo_env.envs.answers import BoxedTask, Extraction, boxed, reason_tasks
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.function_scorer import BuiltInScorer, FunctionScorer, Guess, bare_answer
from mtgrpo_env.envs.mathematics import similar
from mtgrpo_env.envs.reward_calls import DirectCalls, WorkerCalls, calls_here
from mtgrpo_env.envs.reward_functions import RewardFunction
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_scorers import RowScorer, VerifierScorer
from mtgrpo_env.envs.science import LETTERS
from mtgrpo_env.named_objects import named_object

Reward = str | Callable[..., Any]
"""A reward by name, or a function."""

_WORKER = "worker:"


def named_scorer(reward: Reward, *, extraction: Extraction = "last-box", correct_at: float = 1.0) -> RowScorer:
    """The scorer of a reward.

    Args:
        reward: a function, or one of these:

            - "exact", "number", "choice", "math": built in; see `answer_rewards`, and for "math" `Mathematics`;
            - "arc", "arc-mini", …: a registered verifier, whose level matters where answers are written otherwise;
            - "package.module:function": imported, and called in this process;
            - "worker:package.module:function": called in worker processes that are killed at a deadline;
            - "package.module:Class", or the class: a `BoxedTask` of your own, whose verifier scores.
        extraction: how a verifier, "math" among them, finds the answer in a response.
        correct_at: the least score of a right response; a verifier says itself what is right.

    Raises:
        ValueError: if there is no such reward, or its signature is none that is known.
    """
    found = named_object(reward.removeprefix(_WORKER)) if isinstance(reward, str) and ":" in reward else reward
    if isinstance(found, type) and issubclass(found, BoxedTask):
        name = reward if isinstance(reward, str) else f"{found.__module__}:{found.__qualname__}"
        return VerifierScorer(found(extraction=extraction), name=name)
    if callable(reward):
        function = RewardFunction.of(reward)
        return FunctionScorer(calls_here(function), name=function.name, correct_at=correct_at)
    if not isinstance(reward, str):
        raise ValueError(f"reward must be a name or a function, got {reward!r:.80}")
    if ":" not in reward:
        return known_scorer(reward, extraction=extraction, correct_at=correct_at)
    function = RewardFunction.named(reward.removeprefix(_WORKER))
    calls = WorkerCalls(function) if reward.startswith(_WORKER) else calls_here(function)
    return FunctionScorer(calls, name=reward, correct_at=correct_at)


def known_scorer(reward: str, *, extraction: Extraction = "last-box", correct_at: float = 1.0) -> RowScorer:
    """A built-in reward or a registered verifier, and nothing that has to be imported: what a data file may name.

    Args:
        reward: its name.
        extraction: as in `named_scorer`.
        correct_at: likewise.

    Raises:
        ValueError: if there is none of that name, or the verifier has no such level.

    >>> known_scorer("number").name, known_scorer("countdown-hard").name
    ('number', 'countdown-hard')
    """
    if ":" in reward:
        raise ValueError(
            f"data may name built-in rewards and verifiers, only you may name a function; got {reward!r:.80}"
        )
    if reward in _BUILT_IN:
        function, guess = _BUILT_IN[reward]
        calls = DirectCalls(RewardFunction.of(function))
        return BuiltInScorer(calls, name=reward, correct_at=correct_at, guess=guess)
    verifiers = reason_tasks()
    name, _, own_level = reward.partition("-")
    if name not in verifiers:
        raise ValueError(_unknown(reward, [*_BUILT_IN, *verifiers]))
    return VerifierScorer(verifiers[name](own_level or "easy", extraction=extraction), name=reward)


def is_known(name: str) -> bool:
    """Whether `known_scorer` knows a name, its level included.

    >>> is_known("number"), is_known("arc-mini"), is_known("math-ai/amc")
    (True, True, False)
    """
    base, _, level = name.partition("-")
    verifier = reason_tasks().get(base)
    return name in _BUILT_IN or (verifier is not None and (name == base or level in verifier.LEVELS))


def _unknown(reward: str, known: list[str]) -> str:
    near = get_close_matches(reward, known, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return (
        f"reward must be one of {known}, with or without a level as in 'arc-mini', "
        f"or a function, 'package.module:function' or 'worker:package.module:function'; got {reward!r:.80}{guess}"
    )


def _no_guess(row: Row, rng: np.random.Generator) -> str:
    return ""


def _guess_number(row: Row, rng: np.random.Generator) -> str:
    return boxed(similar(bare_answer(row), Dice(rng)))


def _guess_letter(row: Row, rng: np.random.Generator) -> str:
    choices = row.ground_truth.get("choices") if isinstance(row.ground_truth, Mapping) else None
    return boxed(LETTERS[int(rng.integers(len(choices or "ABCD")))])


_BUILT_IN: Mapping[str, tuple[Callable[..., float], Guess]] = {
    "exact": (answer_rewards.exact, _no_guess),
    "number": (answer_rewards.number, _guess_number),
    "choice": (answer_rewards.choice, _guess_letter),
}
