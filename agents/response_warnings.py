"""What is wrong with most responses of a model, with one of them and what to change.

They are cut off, empty, without an answer, or all the same: nothing can be concluded from such responses, or learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mtgrpo_env.types import Group, Rollout


class ResponseOptions(Protocol):
    """The options that advice is given on; those of a run and of a benchmark alike."""

    @property
    def max_new_tokens(self) -> int | None: ...
    @property
    def temperature(self) -> float: ...
    @property
    def examples(self) -> int: ...
    @property
    def prefill(self) -> str: ...
    @property
    def prompt(self) -> str | None: ...


MOST = 0.5
"""Share of a task's responses from which a fault is worth a warning."""
FEWEST_PROBLEMS = 4
"""Of a task whose responses are compared with each other: two may be equal by chance."""
NO_GRADIENT_ADVICE = "take easier --tasks, more rollouts of a problem (--group-size) or a graded reward"
"""Where all groups earn the same throughout."""
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
    advice: Callable[[ResponseOptions], str]


def _how_to_ask(config: ResponseOptions) -> str:
    if config.prefill:
        return f"is it right as the beginning of an answer? --prefill {config.prefill!r}"
    shown = "more" if config.examples else "show how to answer with"
    return f"{shown} --examples {config.examples + 2}, or say in --system how to answer"


def _why_empty(config: ResponseOptions) -> str:
    if config.prompt == "chat":
        return f"reasoning may have used up the tokens: raise --max-new-tokens ({config.max_new_tokens})"
    return "the model ends at once: is its chat template used? --prompt chat; of an endpoint, the agent openai:…"


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
        lambda config: _why_empty(config),
    ),
    ResponseFault(
        "without an answer",
        lambda rollout: rollout.outcome == "no_answer",
        lambda config: _how_to_ask(config),
    ),
)
"""In the order of their causes: what was cut off has no answer either."""

_EQUAL_ADVICE = "the same to every problem: raise --temperature ({temperature:g}), or check what the prompt shows"


def response_warnings(config: ResponseOptions, names: Sequence[str], groups: Sequence[Group]) -> Iterator[str]:
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
