"""Warnings about responses that cannot teach anything: most are cut off, empty, without an answer, or all the same."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtgrpo_env.agents.callbacks import TrainerCallback
from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.batch_metrics import TrainMetrics, response_numbers
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.types import Group, Rollout

if TYPE_CHECKING:
    from mtgrpo_env.agents.trainer import Trainer

_logger = logging.getLogger(__name__)

MOST = 0.5
"""Share of a task's responses from which a fault is worth a warning."""
FEWEST_PROBLEMS = 4
"""Of a task whose responses are compared with each other: two may be equal by chance."""
_SHOWN = 160  # characters of a prompt's end, and of a response


@dataclass(frozen=True, slots=True)
class ResponseFault:
    """What may be wrong with most responses.

    Attributes:
        name: what the responses are.
        has: whether one is.
        advice: what to change, given the run's options.
    """

    name: str
    has: Callable[[Rollout], bool]
    advice: Callable[[TrainConfig], str]


def _is_empty(rollout: Rollout) -> bool:
    return not any(str(step.action).strip() for step in rollout.steps)


FAULTS = (
    ResponseFault(
        "cut off",
        lambda rollout: rollout.is_truncated,
        lambda config: f"raise --max-new-tokens ({config.max_new_tokens}), or ask for shorter answers (--system)",
    ),
    ResponseFault(
        "empty",
        _is_empty,
        lambda config: "the model ends at once: is its chat template used? --prompt chat",
    ),
    ResponseFault(
        "without an answer",
        lambda rollout: rollout.outcome == "no_answer",
        lambda config: "show how to answer with --examples 2, or say so in --system",
    ),
)
"""In the order of their causes: what was cut off has no answer either."""

_EQUAL_ADVICE = "the same to every problem: raise --temperature ({temperature:g}), or check what the prompt shows"


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
                "can be learned from them: take easier tasks, more rollouts (--group-size) or a graded reward"
            )


def response_warnings(config: TrainConfig, names: Sequence[str], groups: Sequence[Group]) -> Iterator[str]:
    """A warning for each fault that most responses of some tasks have; a task is named by the first of its faults.

    Args:
        config: of the run.
        names: of the K tasks.
        groups: rollouts of language models on held-out problems.
    """
    left = {k: [group for group in groups if group.task_id == k] for k in range(len(names))}
    for fault in FAULTS:
        found = {k: _those_with(fault, own) for k, own in left.items()}
        found = {k: rollouts for k, rollouts in found.items() if len(rollouts) > MOST * _num_rollouts(left[k])}
        if found:
            counts = {k: (len(rollouts), _num_rollouts(left[k])) for k, rollouts in found.items()}
            yield _warning(names, counts, fault.name, next(iter(found.values()))[0], fault.advice(config))
        left = {k: own for k, own in left.items() if k not in found}
    equal = {k: own for k, own in left.items() if len(own) >= FEWEST_PROBLEMS and _are_equal(own)}
    if equal:
        counts = {k: (_num_rollouts(own), _num_rollouts(own)) for k, own in equal.items()}
        sample = next(iter(equal.values()))[0].rollouts[0]
        yield _warning(names, counts, "equal", sample, _EQUAL_ADVICE.format(temperature=config.temperature))


def shown(text: str, *, end: bool = False) -> str:
    """The beginning, or the end, of a text in quotes; what would steer a terminal is escaped."""
    quoted = repr(text[-_SHOWN:] if end else text[:_SHOWN])
    return quoted if len(text) <= _SHOWN else f"…{quoted}" if end else f"{quoted}…"


def _warning(names: Sequence[str], counts: dict[int, tuple[int, int]], fault: str, sample: Rollout, advice: str) -> str:
    shares = ", ".join(f"{count} of {among} in {names[k]}" for k, (count, among) in counts.items())
    step = sample.steps[0]
    prompt, response = shown(str(step.observation), end=True), shown(str(step.action))
    return f"responses are {fault} ({shares}), such as {response} to {prompt}: {advice}"


def _those_with(fault: ResponseFault, groups: Sequence[Group]) -> list[Rollout]:
    return [rollout for group in groups for rollout in group.rollouts if rollout.steps and fault.has(rollout)]


def _num_rollouts(groups: Sequence[Group]) -> int:
    return sum(len(group.rollouts) for group in groups)


def _are_equal(groups: Sequence[Group]) -> bool:
    responses = Counter(str(rollout.steps[0].action) for group in groups for rollout in group.rollouts if rollout.steps)
    return len(responses) == 1
