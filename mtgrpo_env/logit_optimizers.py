"""Optimisers of the task logits ξ, a vector of K numbers.

The choice decides what the task weights do (see `task_weights`): plain gradient descent moves in
proportion to the signal, Adam moves at one speed whatever its size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from mtgrpo_env.ranges import Range
from mtgrpo_env.stateful import Stateful
from mtgrpo_env.types import FloatArray


class LogitOptimizer(Stateful, ABC):
    """Turns a gradient into the next logits; keeps its own moments."""

    @abstractmethod
    def step(self, logits: FloatArray, gradient: FloatArray) -> FloatArray:
        """(K,) logits after one descent step."""


class GradientDescent(LogitOptimizer):
    """ξ ← ξ − β(g + ηξ): the line that Subroutines 1 and 2 print.

    Args:
        lr: β.
        l2: η.

    Raises:
        ValueError: if an argument is out of its range.
    """

    hyperparameter_names = ("lr", "l2")

    def __init__(self, lr: float = 0.025, *, l2: float = 0.0) -> None:
        _check(lr, l2)
        self.lr = lr
        self.l2 = l2

    def step(self, logits: FloatArray, gradient: FloatArray) -> FloatArray:
        return logits - self.lr * (gradient + self.l2 * logits)


class Adam(LogitOptimizer):
    """Adam with the decay *coupled* into the gradient, as the paper's released code runs it.

    Args:
        lr: β.
        l2: coupled weight decay: strong enough, it keeps a persistent gap from collapsing z.
        betas: decay of the first and the second moment.
        eps: keeps a vanishing gradient from being blown up.

    Raises:
        ValueError: if an argument is out of its range.
    """

    hyperparameter_names = ("lr", "l2", "betas", "eps")

    def __init__(
        self, lr: float = 0.025, *, l2: float = 1e-5, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        _check(lr, l2)
        for beta in betas:
            Range(0, 1, below=True).check("betas", beta)
        Range(0).check("eps", eps)
        self.lr, self.l2, self.betas, self.eps = lr, l2, betas, eps
        self._steps = 0
        self._mean: FloatArray | float = 0.0
        self._square: FloatArray | float = 0.0

    def step(self, logits: FloatArray, gradient: FloatArray) -> FloatArray:
        return logits - self.lr * self._direction(gradient + self.l2 * logits)

    def _direction(self, gradient: FloatArray) -> FloatArray:
        fast, slow = self.betas
        self._steps += 1
        self._mean = fast * self._mean + (1 - fast) * gradient
        self._square = slow * self._square + (1 - slow) * gradient**2
        mean = self._mean / (1 - fast**self._steps)
        square = self._square / (1 - slow**self._steps)
        return mean / (np.sqrt(square) + self.eps)

    def state_dict(self) -> dict[str, Any]:
        mean, square = np.asarray(self._mean).tolist(), np.asarray(self._square).tolist()
        return {"steps": self._steps, "mean": mean, "square": square}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        steps, moments = state["steps"], [np.asarray(state[name], dtype=np.float64) for name in ("mean", "square")]
        is_sound = type(steps) is int and steps >= 0 and moments[0].shape == moments[1].shape
        if not is_sound or not np.isfinite(moments).all() or (moments[1] < 0).any():
            raise ValueError(f"expected the steps and moments of {type(self).__name__}, got {state!r:.80}")
        self._steps, (self._mean, self._square) = steps, moments


class AdamW(Adam):
    """Adam with decoupled decay, as the paper's appendix names it; `l2` then shrinks ξ directly."""

    def step(self, logits: FloatArray, gradient: FloatArray) -> FloatArray:
        return logits * (1 - self.lr * self.l2) - self.lr * self._direction(gradient)


def _check(lr: float, l2: float) -> None:
    Range(0, above=True).check("lr", lr)
    Range(0).check("l2", l2)
