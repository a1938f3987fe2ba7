"""Numbers that the paper's experiments on three and on nine tasks do not share, and what all its methods do."""

from __future__ import annotations

from dataclasses import dataclass

from mtgrpo_env.agents.recipes.method import RunFacts
from mtgrpo_env.filters import released_rewards_differ, rewards_differ, success_differs
from mtgrpo_env.task_weights_baselines import SequentialWeights
from mtgrpo_env.types import GroupFilter


@dataclass(frozen=True, slots=True)
class Scale:
    """An experiment of the paper."""

    weight_decay: float
    improvement_clip: float
    resamples: int
    paper_filter: GroupFilter
    released_filter: GroupFilter
    released_max_inflation: float
    released_ratio_from_step: int


_THREE_TASKS = Scale(1e-5, 0.1, 10, success_differs, success_differs, 1.0, 1)
_NINE_TASKS = Scale(1e-4, 0.2, 2, rewards_differ, released_rewards_differ, 5.0, 10)


def scale_of(facts: RunFacts) -> Scale:
    """The experiment on nine tasks, if there are as many or more."""
    return _NINE_TASKS if facts.num_tasks >= 9 else _THREE_TASKS


def sequential_weights(facts: RunFacts, *, backward: bool) -> SequentialWeights:
    """One family after the other, in their order or in the opposite one.

    Raises:
        ValueError: if the facts do not say how many steps there are.
    """
    if facts.num_steps is None:
        raise ValueError("sequential methods need num_steps, the steps of the whole run, got None")
    families = facts.families or tuple((k,) for k in range(facts.num_tasks))
    return SequentialWeights(families[::-1] if backward else families, num_steps=facts.num_steps)
