"""Warnings about responses that cannot teach anything: most are cut off, empty, without an answer, or all the same."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mtgrpo_env.agents.callbacks import TrainerCallback
from mtgrpo_env.agents.response_warnings import FAULTS, MOST, NO_GRADIENT_ADVICE, response_warnings
from mtgrpo_env.batch_metrics import TrainMetrics, response_numbers
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.types import Group

if TYPE_CHECKING:
    from mtgrpo_env.agents.trainer import Trainer

_logger = logging.getLogger(__name__)


class ResponseWatch(TrainerCallback):
    """Warns at the first evaluation, and at the first training step of what that could not show."""

    def __init__(self) -> None:
        self._groups: list[Group] = []
        self._has_warned = False

    def on_group(self, trainer: Trainer, group: Group) -> None:
        if trainer.agent.step == 0:
            self._groups.append(group)

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        for warning in response_warnings(trainer.config, trainer.suite.names, self._groups):
            self._has_warned = True
            _logger.warning(warning)
        self._groups = []

    def on_step(self, trainer: Trainer, metrics: TrainMetrics) -> None:
        if metrics.step != 1 or self._has_warned:
            return
        numbers = response_numbers(metrics)
        if numbers.get("truncated_share", 0.0) > MOST:
            advice = FAULTS[0].advice(trainer.config)
            _logger.warning(f"{numbers['truncated_share']:.0%} of the responses in training are cut off: {advice}")
        elif numbers.get("unanimous_share", 0.0) == 1.0:
            _logger.warning(
                f"all {metrics.generated.sum()} groups of the first step earned the same throughout, so that nothing "
                f"can be learned from them: {NO_GRADIENT_ADVICE}"
            )
