"""The grid of a comparison: values of options of a run, and the combinations that a method tries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Any, get_args, get_type_hints

from mtgrpo_env.agents.config import METHOD_OPTIONS, TrainConfig
from mtgrpo_env.agents.options import GROUPS
from mtgrpo_env.agents.recipes import named_method, options_of
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.named_objects import did_you_mean

Grid = Mapping[str, Sequence[Any]]
"""Values to be tried, by the names of their options."""

_SETTLED = frozenset(
    {"out", "method", "seed", "tasks", "steps", "start", "eval_problems", "eval_every", "eval_temperature"}
    | {"eval_top_p", "eval_top_k", "checkpoint_every", "keep_checkpoints"}
)
"""What all runs of a comparison must have in common, or what it sets itself."""


def parsed_grid(parts: Sequence[str]) -> Grid:
    """A grid from parts like "lr=1e-5,2e-5"; the group of an option may stand before it, as in "optimizer.lr=1e-5".

    Raises:
        ValueError: naming what is expected and what came.

    >>> parsed_grid(["optimizer.lr=1e-5,2e-5", "loss=dr-grpo,gspo"])
    {'lr': (1e-05, 2e-05), 'loss': ('dr-grpo', 'gspo')}
    """
    grid: dict[str, Sequence[Any]] = {}
    for part in parts:
        given, equals, values = part.partition("=")
        name = _option(given) if equals else ""
        if not values:
            raise ValueError(f"grid must be parts like lr=1e-5,2e-5, got {part!r}")
        if name in grid:
            raise ValueError(f"grid must name an option once, got {name} twice")
        grid[name] = tuple(_value(name, value) for value in values.split(","))
        if len(set(grid[name])) < len(grid[name]):
            raise ValueError(f"grid must have different values of {name}, got {values!r}")
    return grid


def points_of_method(grid: Grid, method: str) -> tuple[Point, ...]:
    """All combinations of the options that a method has, in the order of the grid.

    >>> [str(point) for point in points_of_method({"lr": (0.1, 0.2), "max_replayed": (0.5, 1.0)}, "dapo")]
    ['lr 0.1', 'lr 0.2']
    """
    taken = taken_by(method)
    own = {name: values for name, values in grid.items() if name not in METHOD_OPTIONS or name in taken}
    return tuple(Point.of(**dict(zip(own, values, strict=True))) for values in product(*own.values()))


def taken_by(method: str) -> frozenset[str]:
    """The options of a method by name."""
    return options_of(named_method(method))


def _option(given: str) -> str:
    group, dot, name = given.rpartition(".")
    known = [field.name for field in fields(GROUPS[group])] if group in GROUPS else []
    options = known if dot else [field.name for field in fields(TrainConfig) if field.name not in _SETTLED]
    name = name.replace("-", "_")
    if name in _SETTLED:
        raise ValueError(f"grid cannot hold {name}: all runs of a comparison have it in common")
    if name not in options:
        known_ones = did_you_mean(name, options) or f"; expected one of {options}"
        raise ValueError(f"grid: there is no option {given!r}{known_ones}")
    return name


def _value(name: str, text: str) -> Any:
    """As the option's type has it; the run's config then says whether it is allowed."""
    import yaml

    hint = get_type_hints(TrainConfig)[name]
    kinds = set(get_args(hint)) | {hint}
    try:
        if float in kinds:
            return float(text)
        if str in kinds:
            return text
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"grid: {name} must be {'a number' if float in kinds else 'a value'}, got {text!r}") from error
