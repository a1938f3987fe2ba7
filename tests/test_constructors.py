"""Numbers that the parts of a method are made with: NaN and what is below their range are refused, by name."""

from __future__ import annotations

import importlib
import inspect
import math
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import pytest

MODULES = (
    "group_sizes",
    "logit_optimizers",
    "quota_sampler",
    "recent_shares",
    "replay",
    "reward_estimates",
    "samplers",
    "samplers_released",
    "task_weights",
    "task_weights_baselines",
    "task_weights_floored",
    "task_weights_literature",
)
GIVEN = {"num_tasks": 3, "batch_size": 6, "names": ("a", "b", "c")}
NO_LIMIT = {"improvement_clip", "max_generated", "max_inflation", "memory", "temperature", "weight_clip"}
"""Of which infinity means that there is none, or nothing is forgotten, or all are alike."""


def is_number(hint: Any) -> bool:
    kinds = set((hint,) if get_origin(hint) is tuple else get_args(hint) or (hint,)) - {type(None)}
    return bool(kinds) and kinds <= {int, float}


def parts() -> Iterator[tuple[type[Any], dict[str, Any], str, type[Any]]]:
    """Every class that can be made of GIVEN, and each of its numbers."""
    for name in MODULES:
        module = importlib.import_module(f"mtgrpo_env.{name}")
        for kind in vars(module).values():
            if not inspect.isclass(kind) or kind.__module__ != module.__name__ or kind.__name__.startswith("_"):
                continue
            if inspect.isabstract(kind) or kind.__init__ is object.__init__:
                continue
            wanted = inspect.signature(kind).parameters.values()
            needed = [p.name for p in wanted if p.default is p.empty and "VAR" not in p.kind.name]
            if set(needed) <= GIVEN.keys() | {"memory", "prior_trials"}:
                made_with = {name: GIVEN.get(name, 1.0) for name in needed}
                hints = get_type_hints(kind.__init__)
                yield from ((kind, made_with, n, h) for n, h in hints.items() if is_number(h))


CASES = [pytest.param(*part, id=f"{part[0].__name__}.{part[2]}") for part in parts()]


def test_the_walk_finds_the_parts() -> None:
    found = {case.id for case in CASES}
    assert {"QuotaSampler.max_generated", "Adam.lr", "RecentShares.memory", "AverageAccuracy.decay"} <= found


@pytest.mark.parametrize(("kind", "made_with", "name", "hint"), CASES)
def test_a_number_out_of_its_range_is_refused(
    kind: type[Any], made_with: dict[str, Any], name: str, hint: type[Any]
) -> None:
    kind(**made_with)
    takes_fractions = hint is float or float in get_args(hint)
    odd = [-1, *((math.nan, -math.inf) if takes_fractions else ())]
    if takes_fractions and name not in NO_LIMIT:
        odd.append(math.inf)
    for value in odd:
        said = "negative" if name == "seed" else f"negative|{re.escape(str(value))}"  # some of it by numpy
        with pytest.raises(ValueError, match=said):
            kind(**{**made_with, name: value})
