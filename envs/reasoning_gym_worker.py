"""reasoning-gym's generators and scorers as they run in worker processes: see `worker_pool`.

The generators need one too: some run programs, draw from the global generators or go through sets, whose order
is the same in every worker and another in every other process.
"""

from __future__ import annotations

import contextlib
import json
import random
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

with contextlib.suppress(ImportError):  # here, so that a worker has paid for the import before its first clock starts
    import reasoning_gym  # noqa: F401  # registers the data sets


_NUM_ITEMS = 2**31  # a few of their data sets pass seed + index to numpy, which takes 32 bits
# These prepare all items of a data set when it is made, or limit their number, so that each item here is
# the first of a data set of its own; five is the fewest that they make.
_PREPARED = frozenset({"acre", "gsm_symbolic", "list_functions", "word_ladder"})
_PREPARED_SIZE = 5


def make(request: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a data set, with what JSON has no form for as text.

    Args:
        request: "name", "config" as JSON text, "number" of the item, or None to look at the config alone, and
            "twice": whether to make sure that the item can be repeated.

    Returns:
        "refused", if there is no such data set or the config does not fit it: why. Else "item", if there is one
        and it is not another one the second time.

    Raises:
        Exception: whatever the data set raised.
    """
    try:
        _dataset(request["name"], request["config"])
    except ValueError as error:
        return {"refused": str(error)}
    if request["number"] is None:
        return {}
    items = [_item(request["name"], request["config"], request["number"]) for _ in range(1 + request["twice"])]
    return {"item": items[0]} if items[0] == items[-1] else {}


def _item(name: str, config: str, number: int) -> dict[str, Any]:
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - theirs
    if name in _PREPARED:
        item = _make_dataset(name, json.loads(config), seed=number, size=_PREPARED_SIZE)[0]
    else:
        item = _dataset(name, config)[number]
    return json.loads(json.dumps(item, default=_plain))


def _make_dataset(name: str, config: Mapping[str, Any], *, seed: int, size: int) -> Any:
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


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


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
    """One data set for all its items: some take a third of a second to make. Items do not change it."""
    size = _PREPARED_SIZE if name in _PREPARED else _NUM_ITEMS
    return _make_dataset(name, json.loads(config), seed=0, size=size)
