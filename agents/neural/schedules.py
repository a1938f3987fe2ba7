"""The learning rate of every training step: a warm-up, then constant or falling to a floor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mtgrpo_env.ranges import Range

ScheduleName = Literal["constant", "linear", "cosine"]

SCHEDULES: Mapping[ScheduleName, Callable[[float], float]] = {
    "constant": lambda progress: 0.0,
    "linear": lambda progress: progress,
    "cosine": lambda progress: (1.0 - math.cos(math.pi * progress)) / 2,
}
"""By name, from the progress after the warm-up to how much of the way from the peak to the floor is done; 0 to 1."""


@dataclass(frozen=True, slots=True)
class LearningRate:
    """From a training step, counted from 0, to its learning rate; nothing else decides it.

    Attributes:
        peak: after the warm-up, above 0.
        num_steps: of the run; steps after the last have its rate.
        schedule: what comes after the warm-up.
        floor: of the last step, as a share of the peak; `constant` has none.
        warmup_steps: over which the rate rises in equal parts, the first of them above 0.

    Raises:
        ValueError: if peak or steps are out of their range, the floor is not a share, or the warm-up is below 0 or as
            long as the run.

    >>> rate = LearningRate(1.0, num_steps=6, schedule="linear", floor=0.2, warmup_steps=1)
    >>> [round(rate(step), 2) for step in range(7)]
    [0.5, 1.0, 0.8, 0.6, 0.4, 0.2, 0.2]
    """

    peak: float
    num_steps: int
    schedule: ScheduleName = "constant"
    floor: float = 0.2
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        Range(0, above=True).check("peak", self.peak)
        Range(0).check("num_steps", self.num_steps)
        Range(0, 1).check("lr_floor", self.floor)
        if not 0 <= self.warmup_steps < max(self.num_steps, 1):
            raise ValueError(
                f"warmup_steps must be from 0 to below the run's steps, {self.num_steps}, got {self.warmup_steps}"
            )

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.peak * (step + 1) / (self.warmup_steps + 1)
        last = max(self.num_steps - 1, self.warmup_steps + 1)  # of a run too short to fall, the step after it
        progress = min(1.0, (step - self.warmup_steps) / (last - self.warmup_steps))
        return self.peak * (1 - (1 - self.floor) * SCHEDULES[self.schedule](progress))

    def __str__(self) -> str:
        parts = [] if self.schedule == "constant" else [f"{self.schedule} to {self.peak * self.floor:g}"]
        parts += [f"warm-up {self.warmup_steps}"] if self.warmup_steps else []
        return f"{self.peak:g} ({', '.join(parts)})" if parts else f"{self.peak:g}"
