"""What a vector env of text is given, checked before anything changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from mtgrpo_env.spaces import TEXT


def check_actions(actions: Sequence[str], num_envs: int) -> None:
    """Refuse what is not a text for each slot.

    Raises:
        ValueError: if it is not.
    """
    if isinstance(actions, str) or len(actions) != num_envs:
        given = "one str" if isinstance(actions, str) else f"{len(actions)} of them"
        raise ValueError(f"actions must be a sequence of {num_envs} strings, got {given}")
    for i, action in enumerate(actions):
        if not TEXT.contains(action):
            given = f"{len(action)}" if isinstance(action, str) else f"{type(action).__name__}: {action!r:.80}"
            raise ValueError(f"action of slot {i} must be a str of at most {TEXT.max_length} characters, got {given}")


def checked_mask(mask: Any, num_envs: int) -> NDArray[np.bool_]:
    """(num_envs,) which slots to reset, once it is certain that it says so.

    Raises:
        TypeError: if it is not a bool array.
        ValueError: if it has another shape, or no True.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"options['reset_mask'] must be a bool array, got {mask!r:.80}")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(f"options['reset_mask'] must have shape ({num_envs},) and a True, got {mask!r:.80}")
    return mask


def checked_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """The autoreset mode, once it is certain that a vector env of text has it.

    Raises:
        ValueError: if it has not.
    """
    known = AutoresetMode(mode)
    if known is AutoresetMode.NEXT_STEP:
        raise ValueError(
            "autoreset_mode must be 'SameStep' or 'Disabled', got 'NextStep': "
            "single-turn tasks would spend every second step on nothing but a reset"
        )
    return known
