"""Every number among the options of every command has a range, and is refused outside it by its name."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

import pytest
import tyro

from mtgrpo_env.ranges import Range, check_ranges, ranges_of

COMMANDS = {
    "train": (),
    "compare": (),
    "report": ("runs/a",),
    "evaluate": ("--agent", "random"),
    "tasks": (),
    "check": ("--tasks", "mini"),
    "score": ("--rows", "rows.jsonl"),
    "export": ("--out", "rows.jsonl"),
}
"""The commands, and what they cannot do without."""


def groups_of(command: str) -> Iterator[Any]:
    """The options of a command, group by group."""
    config = tyro.cli(importlib.import_module(f"mtgrpo_env.cli.{command}").Config, args=list(COMMANDS[command]))
    yield config
    yield from (group for group in vars(config).values() if is_dataclass(group))


def numbers_of(group: Any) -> Iterator[tuple[str, type[int] | type[float], bool]]:
    """The options that are numbers, of what kind, and whether several may be given."""
    hints = get_type_hints(type(group))
    for field in fields(group):
        hint = hints[field.name]
        parts = {hint, *get_args(hint)}
        if numbers := parts & {int, float}:
            yield field.name, float if float in numbers else int, tuple in {hint, getattr(hint, "__origin__", None)}


def outside(within: Range, kind: type[int] | type[float]) -> list[float]:
    low = within.least if within.above else within.least - 1
    high = within.most if within.below else within.most * 2 + 1
    return [low, high, -(10**30), 10**30, *((math.nan, math.inf, -math.inf) if kind is float else ())]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_number_has_a_range_and_is_refused_outside_it(name: str) -> None:
    seen = 0
    for group in groups_of(name):
        check_ranges(group)
        for option, kind, is_list in numbers_of(group):
            within = ranges_of(type(group)).get(option)
            assert within is not None, f"{option} of {name} has no range"
            for bad in outside(within, kind):
                with pytest.raises(ValueError, match=f"^{option} must be (at least|above) .*, got "):
                    check_ranges(replace(group, **{option: (bad,) if is_list else bad}))
                seen += 1
    assert seen


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line_refuses_what_is_outside(refused: Callable[..., str], name: str) -> None:
    for group in groups_of(name):
        for option, *_ in numbers_of(group):
            if (name, option) == ("compare", "seed"):  # --seeds stands for it
                continue
            complaint = refused(name, *COMMANDS[name], f"--{option.replace('_', '-')}", 10**30)
            assert f"{option} must be " in complaint
            assert " at most " in complaint or " below " in complaint, complaint


def test_a_range_says_what_it_is_and_only_what_is_wrong_where_its_end_is_no_real_one() -> None:
    with pytest.raises(ValueError, match=r"^share must be above 0 and at most 1, got nan$"):
        Range(0, 1, above=True).check("share", math.nan)
    with pytest.raises(ValueError, match=r"^steps must be at least 1, got 0$"):
        Range(1).check("steps", 0)
    with pytest.raises(ValueError, match=r"^steps must be at least 1 and at most 1,000,000,000, got 1e[+]30$"):
        Range(1).check("steps", 1e30)
