"""Chance beside accuracy: the cells, the mark and the footnote that the tables of all reports share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mtgrpo_env.agents.reports.statistics import share_interval
from mtgrpo_env.chance import Chance, TaskChance

COLUMNS = ("guess", "best constant")
"""Headers, in the order of `cells`."""
MARK = "≈"
"""Beside an accuracy that is not above chance by more than its interval."""


def cells(chance: TaskChance, *, unit: str = "") -> tuple[str, str]:
    """A guess and the best constant answer in per cent; "-" where one is not known.

    >>> cells(TaskChance(0.25, math.nan, ""))
    ('25.0', '-')
    """
    guess, constant = (
        "-" if math.isnan(share) else f"{100 * share:.1f}{unit}" for share in (chance.guess, chance.constant)
    )
    return guess, constant


def mark(low: float, chance: TaskChance) -> str:
    """The mark of an accuracy whose interval begins at `low`, where it does not lie above chance; else nothing."""
    return f" {MARK}" if low <= chance.best else ""


def is_near_chance(accuracy: float, problems: float, chance: float) -> bool:
    """Whether an accuracy on so many problems may be chance's: its interval does not lie above it.

    False where either is unknown.

    >>> is_near_chance(0.55, 100, 0.5), is_near_chance(0.65, 100, 0.5), is_near_chance(0.1, 100, math.nan)
    (True, False, False)
    """
    return share_interval(accuracy, problems).low <= chance


def constants_of(tasks: Mapping[str, TaskChance]) -> str:
    """Which constants are meant; "" if none is ever right."""
    named = [f"{task} {chance.name}" for task, chance in tasks.items() if chance.name and chance.constant > 0]
    return f"best constant: {'; '.join(named)}." if named else ""


def footnote(tasks: Mapping[str, TaskChance]) -> str:
    """`constants_of`, and what the mark means; "" if no chance is known."""
    if all(math.isnan(chance.best) for chance in tasks.values()):
        return ""
    mark = f"{MARK}: not above the better of both by more than its 95 % interval."
    return f"{constants_of(tasks)} {mark}".lstrip()


def mean_chance(chances: Sequence[Chance | None]) -> Chance | None:
    """Of several runs of the same tasks, with the constants' names in the first; None if one of them knows none."""
    known = [chance for chance in chances if chance is not None]
    if not known or len(known) < len(chances):
        return None
    guess = np.mean([chance.guess for chance in known], axis=0)
    constant = np.mean([chance.constant for chance in known], axis=0)
    return Chance(guess, constant, known[0].names)
