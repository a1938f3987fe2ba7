"""Vector entry points of registered tasks: `task_vectors.countdown` makes the batched "MTReason/Countdown-v0".

Gymnasium resolves an entry point by the name of a module and of an attribute, so a spec stays JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mtgrpo_env.task_registry import task_class, task_names
from mtgrpo_env.vector import TextVectorEnv, make_text_vec


def __getattr__(name: str) -> Callable[..., TextVectorEnv]:
    if name not in task_names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(make_text_vec, task_class(name))
