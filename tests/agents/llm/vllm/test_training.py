"""A few real steps: rollouts by vLLM, gradients by torch, and one set of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngine
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.weight_sync import WeightSyncError, check_agreement
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.samplers import RatioPreservingSampler
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import ImprovementAwareWeights

PROMPTS = [(5, 6, 7), (9, 10, 11, 12, 13)]
MakeSized = Callable[..., PreTrainedModel]
PlainLogProbs = Callable[[PreTrainedModel, Completion, float], torch.Tensor]


@pytest.fixture
def agent(
    engine: RolloutEngine, make_sized: MakeSized, tokenizer: PreTrainedTokenizerBase, parity_suite: TaskSuite
) -> MTGRPOAgent:
    policy = LanguageModelPolicy(make_sized(), tokenizer, decoding=Decoding(4), engine=engine)
    learner = LanguageModelLearner(policy, TorchTrainEngine(policy.model, lr=3e-3), num_minibatches=2)
    sampler = RatioPreservingSampler(parity_suite.num_tasks, batch_size=8)
    weights = ImprovementAwareWeights(parity_suite.num_tasks)
    curriculum = Curriculum(parity_suite, sampler=sampler, task_weights=weights)
    return MTGRPOAgent(parity_suite, policy, learner, curriculum=curriculum, group_size=8)


@pytest.fixture
def gap(plain_log_probs: PlainLogProbs) -> Callable[[LanguageModelPolicy], float]:
    """Checks a policy's engine against its model."""

    def check(policy: LanguageModelPolicy) -> float:
        def log_probs_of(completions: Sequence[Completion]) -> list[list[float]]:
            with torch.no_grad():
                return [plain_log_probs(policy.model, completion, 1.0).tolist() for completion in completions]

        with policy.generating():
            return check_agreement(policy.engine, log_probs_of, PROMPTS, tolerance=1e-4)

    return check


def test_engine_and_model_agree_after_every_step_and_what_is_trained_is_learned(
    agent: MTGRPOAgent, gap: Callable[[LanguageModelPolicy], float]
) -> None:
    policy = agent.policy
    assert isinstance(policy, LanguageModelPolicy)
    accuracies: list[float] = []
    for _ in range(12):
        accuracies.append(float(agent.train_step().accuracies.mean()))
        assert gap(policy) <= 1e-4
    assert sum(accuracies[-3:]) / 3 > sum(accuracies[:3]) / 3 + 0.15


def test_a_step_that_is_not_published_is_found(agent: MTGRPOAgent, gap: Callable[[LanguageModelPolicy], float]) -> None:
    policy = agent.policy
    assert isinstance(policy, LanguageModelPolicy)
    gap(policy)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(1.01)
    with pytest.raises(WeightSyncError):
        gap(policy)
    policy.publish()
    gap(policy)
