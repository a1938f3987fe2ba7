"""What a diagnosis finds in a run: what is seen, where it shows, and what to change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from mtgrpo_env.types import FloatArray

Severity = Literal["stops learning", "slows learning", "worth a look"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the worst on."""

Chart = Literal[
    "Held-out accuracy, and what it costs",
    "Task weights against realised shares",
    "What is generated",
    "Responses",
    "Steps: what they cost, and what the learner says",
]
"""Sections of the page of a single run."""

_OPTION = re.compile(r"(?<!\w)--([a-z][a-z-]*[a-z])")


@dataclass(frozen=True, slots=True)
class Curve:
    """(P,) values after as many training steps."""

    name: str
    steps: FloatArray
    values: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a run.

    Attributes:
        name: of what is found.
        severity: what it does to the run.
        seen: the numbers, and the steps that they are of.
        advice: what to change; options as the command line has them.
        chart: the section of the run's page that shows it.
        curves: that show it by themselves.
        measure: what their values are.
        limit: value of the curves at which it begins; None if it lies in their course.
    """

    name: str
    severity: Severity
    seen: str
    advice: str
    chart: Chart
    curves: tuple[Curve, ...]
    measure: str
    limit: float | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options in the advice, as a config has them."""
        return tuple(dict.fromkeys(name.replace("-", "_") for name in _OPTION.findall(self.advice)))
