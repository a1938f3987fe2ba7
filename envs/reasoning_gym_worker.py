"""reasoning-gym's data sets, and their scorers as they run in a worker process: see `worker_pool`."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mtgrpo_env.extras import imports_for

with contextlib.suppress(ImportError):  # here, so that a worker has paid for the import before its first clock starts
    import reasoning_gym  # noqa: F401  # registers the data sets


def make_dataset(name: str, config: Mapping[str, Any], *, seed: int, size: int) -> Any:
    """A data set by name.

    Raises:
        ImportError: if reasoning-gym is not installed.
        ValueError: if there is no such data set, or the config does not fit it.
    """
    with imports_for(f"the data set {name!r}"):
        from reasoning_gym.factory import DATASETS, create_dataset
    if name not in DATASETS:
        raise ValueError(f"data set must be one of the installed reasoning-gym's, {sorted(DATASETS)}, got {name!r}")
    if config.keys() & {"seed", "size"}:
        raise ValueError(
            f"config of {name!r} must not set 'seed' or 'size', which name the puzzles, got {dict(config)}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # some leave it to Python to close their files
            return create_dataset(name, seed=seed, size=size, **config)
    except (AssertionError, TypeError, ValueError) as error:  # how their configs refuse
        raise ValueError(f"config of {name!r} does not fit: {error}, got {dict(config)}") from error


def score(request: Mapping[str, Any]) -> float:
    """What the data set's own scorer says of an answer; an answer that it cannot read scores nothing.

    Args:
        request: "name", "config" and "entry" as JSON text, "reference" for an answer known to be right, "answer".

    Raises:
        Exception: whatever the scorer raised, if it cannot score the reference either.
    """
    dataset = _dataset(request["name"], request["config"])
    try:
        return float(dataset.score_answer(request["answer"], json.loads(request["entry"])))
    except Exception:
        # A malformed answer makes some scorers raise; a scorer that is broken raises for the right answer as well.
        dataset.score_answer(request["reference"], json.loads(request["entry"]))
        return 0.0


@lru_cache(maxsize=16)
def _dataset(name: str, config: str) -> Any:
    return make_dataset(name, json.loads(config), seed=0, size=1)
