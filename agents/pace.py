"""How long the rest of a run takes, by what its steps and evaluations have taken."""

from __future__ import annotations

from collections import deque
from statistics import fmean

from mtgrpo_env.progress import EVALUATING, GENERATING, Stage, in_words

_STEPS, _EVALUATIONS = 8, 3  # the latest, which are averaged over


class Pace:
    """Seconds of a run's latest steps and evaluations.

    Args:
        steps: of the run in all.
        eval_every: steps from one evaluation to the next.
    """

    def __init__(self, *, steps: int, eval_every: int) -> None:
        self._num_steps, self._eval_every = steps, eval_every
        self._rollout_seconds: deque[float] = deque(maxlen=_STEPS)
        self._update_seconds: deque[float] = deque(maxlen=_STEPS)
        self._evaluation_seconds: deque[float] = deque(maxlen=_EVALUATIONS)

    def add_step(self, *, rollout_seconds: float, update_seconds: float) -> None:
        """A step was taken."""
        self._rollout_seconds.append(rollout_seconds)
        self._update_seconds.append(update_seconds)

    def add_evaluation(self, seconds: float) -> None:
        """The policy was evaluated."""
        self._evaluation_seconds.append(seconds)

    def step_left(self, stage: Stage) -> float | None:
        """Seconds of the step that a stage belongs to, or of the evaluation; None where nothing is known."""
        update = _mean(self._update_seconds)
        left = stage.seconds_left
        if stage.name != GENERATING:
            return left
        if self._rollout_seconds:  # rounds differ: what the latest steps took knows better than the round
            left = max(0.0, fmean(self._rollout_seconds) - stage.seconds)
        return None if left is None else left + (update or 0.0)

    def run_left(self, step: int, stage: Stage | None = None) -> float | None:
        """Seconds of the run after so many steps, with what is left of a stage that goes on; None before any step."""
        if not self._rollout_seconds:
            return None
        whole = fmean(self._rollout_seconds) + fmean(self._update_seconds)
        evaluations = self.evaluations_after(step) * (_mean(self._evaluation_seconds) or 0.0)
        if stage is None:
            return (self._num_steps - step) * whole + evaluations
        begun = self.step_left(stage) or 0.0
        if stage.name == EVALUATING:
            return begun + (self._num_steps - step) * whole + evaluations
        return begun + (self._num_steps - step - 1) * whole + evaluations

    def evaluations_after(self, step: int) -> int:
        """Those due after a step's own."""
        multiples = self._num_steps // self._eval_every - step // self._eval_every
        return multiples + (self._num_steps % self._eval_every > 0 and step < self._num_steps)

    def left_text(self, step: int, stage: Stage) -> str:
        """Of the stage's step or evaluation, and of the run; "" where nothing is known."""
        what = "the evaluation" if stage.name == EVALUATING else f"step {step + 1}"
        known = [(self.step_left(stage), what), (self.run_left(step, stage), "the run")]
        parts = [f"{in_words(seconds)} of {of}" for seconds, of in known if seconds is not None]
        return f"left: {', '.join(parts)}" if parts else ""


def _mean(values: deque[float]) -> float | None:
    return fmean(values) if values else None
