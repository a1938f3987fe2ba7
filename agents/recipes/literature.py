"""Rules for the task weights from other publications, with GRPO: B draws that are all kept, a symmetric clip."""

from __future__ import annotations

from mtgrpo_env.agents.base import CLIP_SYMMETRIC
from mtgrpo_env.agents.recipes.method import Method, RunFacts
from mtgrpo_env.filters import rewards_differ
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.task_weights import TaskWeights
from mtgrpo_env.task_weights_literature import DUMPWeights, GDROWeights


def gdro(facts: RunFacts, *, weight_lr: float = 0.1) -> Method:
    """Prompt-GDRO (2601.19280) with GRPO, tasks for difficulty bins: multiplicative weights on 1 - J."""
    return _on_grpo(facts, GDROWeights(facts.num_tasks, lr=weight_lr))


def dump(facts: RunFacts) -> Method:
    """DUMP (2504.09710) with GRPO, tasks for distributions: an upper confidence bound on the advantage."""
    return _on_grpo(facts, DUMPWeights(facts.num_tasks))


def _on_grpo(facts: RunFacts, weights: TaskWeights) -> Method:
    sampler = MultinomialSampler(*facts.sizes, seed=facts.seed)
    return Method(sampler, weights, CLIP_SYMMETRIC, group_filter=rewards_differ)
