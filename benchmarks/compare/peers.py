"""The peers, each behind what the benchmark asks of it; one that is not installed is left out of the tables."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("reasoning_gym", "gem-llm", "math-verify", "gymnasium", "numpy")
LEVELS = ("easy", "medium", "hard", "very_hard")

_SIZES: Mapping[str, tuple[int, int, int, int]] = {
    "countdown": (3, 4, 5, 6),
    "zebra": (3, 4, 5, 6),
    "arc": (10, 20, 30, 40),
}
_SETS = {"countdown": "countdown", "zebra": "zebra_puzzles", "arc": "arc_1d"}


def optional(module: str) -> Any:
    """A module, or None if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def versions() -> str:
    """Name and version of what is compared."""
    return ", ".join(f"{name} {_version(name)}" for name in PACKAGES)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def reasoning_gym_set(task: str, level: str, *, seed: int, size: int) -> Any:
    """The reasoning-gym data set of the same size of puzzle; None if there is none."""
    package = optional("reasoning_gym")
    if package is None or task not in _SETS or level not in LEVELS:
        return None
    extent = _SIZES[task][LEVELS.index(level)]
    options: Mapping[str, Mapping[str, int]] = {
        "countdown": {"min_numbers": extent, "max_numbers": extent, "min_target": 1, "max_target": 1000},
        "zebra": {"num_people": extent, "num_characteristics": extent},
        "arc": {"min_size": extent, "max_size": extent},
    }
    return package.create_dataset(_SETS[task], seed=seed, size=size, **options[task])


def gem_vector(task: str, *, num_envs: int, seed: int) -> Any:
    """GEM's vector env over the reasoning-gym set of its registry, whose sizes are fixed; None if there is none."""
    if task not in _SETS:
        return None
    # Importing GEM sets up the root logger, and making an env prints.
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with contextlib.redirect_stdout(io.StringIO()):
        gem = optional("gem")
        if gem is None or optional("gem.envs") is None:
            return None
        envs = gem.make_vec([f"rg:{_SETS[task]}"] * num_envs, seed=seed)
    root.handlers[:] = handlers
    root.setLevel(level)
    return envs
