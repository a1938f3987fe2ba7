"""Reward functions for worker processes: the attribute "package.module:function" is that function, from JSON to JSON.

A worker finds what it calls by the name of a module and of an attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mtgrpo_env.envs.reward_calls import score_once
from mtgrpo_env.envs.reward_functions import RewardFunction


def __getattr__(name: str) -> Callable[[Any], float | None]:
    if ":" not in name:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(score_once, RewardFunction.named(name))
