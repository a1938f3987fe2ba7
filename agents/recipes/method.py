"""`Method`: the parts in which methods differ, and the facts of a run that recipes make them from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mtgrpo_env.agents.base import CLIP_HIGHER
from mtgrpo_env.agents.improvement import MakeImprovementSignal
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.problem_streams import ProblemStream
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.reward_estimates import RewardEstimate
from mtgrpo_env.shares import GroupMeasure, count_groups
from mtgrpo_env.task_weights import TaskWeights
from mtgrpo_env.types import GroupFilter


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a recipe may need to know of the run.

    Attributes:
        num_tasks: K.
        batch_size: B, in groups.
        seed: of the sampler.
        num_steps: steps of the whole run; the sequential methods divide them and cannot do without.
        families: task ids that the sequential methods train on together, in order; by default each task is alone.
        policy_lr: learning rate of the policy; the released code clips improvements in proportion to it.
    """

    num_tasks: int
    batch_size: int
    seed: int = 0
    num_steps: int | None = None
    families: tuple[tuple[int, ...], ...] = ()
    policy_lr: float = 1e-6

    @property
    def sizes(self) -> tuple[int, int]:
        """K and B, as samplers take them."""
        return self.num_tasks, self.batch_size


@dataclass(frozen=True, slots=True)
class Method:
    """A composition of parts.

    Attributes:
        sampler: draws batches.
        task_weights: the ratio of tasks.
        clip_high: ε_high; the agent's learner takes it.
        group_filter: which groups are informative; None for the curriculum's default.
        reward_estimate: J, as the weight rule looks at it; None for the rule's default.
        improvement: I, likewise; None for the exact ones of each step, if the rule looks at any.
        replay: keeps informative groups for the batches after their own.
    """

    sampler: BatchSampler[Any]
    task_weights: TaskWeights
    clip_high: float = CLIP_HIGHER
    group_filter: GroupFilter | None = None
    reward_estimate: RewardEstimate | None = None
    improvement: MakeImprovementSignal | None = None
    replay: ReplayBuffer | None = None

    def curriculum(
        self, problems: ProblemStream | Sequence[str], *, share_by: GroupMeasure = count_groups
    ) -> Curriculum:
        """The curriculum of this method on problems of as many tasks."""
        return Curriculum(
            problems,
            sampler=self.sampler,
            task_weights=self.task_weights,
            reward_estimate=self.reward_estimate,
            replay=self.replay,
            group_filter=self.group_filter,
            share_by=share_by,
        )


Recipe = Callable[..., Method]
"""Makes a method from `RunFacts`; its keyword-only arguments are the options it takes."""
