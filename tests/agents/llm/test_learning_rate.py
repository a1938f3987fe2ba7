"""The learning rate of a run's steps: all minibatches of a batch share it, and a restored run goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.schedules import LearningRate
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Batch

MakePolicy = Callable[..., LanguageModelPolicy]
RATE = LearningRate(1e-2, 10, "cosine", floor=0.1, warmup_steps=3)


class RateRecorder(TorchTrainEngine):
    """Keeps the learning rate of every optimiser step."""

    def __init__(self, module: torch.nn.Module, *, lr: float) -> None:
        super().__init__(module, lr=lr)
        self.rates: list[float] = []

    def step(self) -> float:
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return super().step()


def learner_of(policy: LanguageModelPolicy, *, seed: int = 0) -> LanguageModelLearner:
    engine = RateRecorder(policy.model, lr=1.0)
    return LanguageModelLearner(policy, engine, num_minibatches=2, learning_rate=RATE, seed=seed)


def agent_of(suite: TaskSuite, policy: LanguageModelPolicy, *, seed: int = 0) -> MTGRPOAgent:
    learner = learner_of(policy, seed=seed)
    return MTGRPOAgent(suite, policy, learner, group_size=4, batch_size=4, method="quota-mt-grpo", seed=seed)


def parameters_of(policy: LanguageModelPolicy) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in policy.model.parameters()])


def test_all_minibatches_of_a_batch_share_its_rate_and_an_empty_batch_has_one_too(
    policy: LanguageModelPolicy, sample: Callable[[LanguageModelPolicy], Batch]
) -> None:
    learner = learner_of(policy)
    assert learner.update(sample(policy))["lr"] == RATE(0)
    assert learner.update(sample(policy).part([])) == {}
    assert learner.update(sample(policy))["lr"] == RATE(2)
    assert isinstance(learner.engine, RateRecorder)
    assert learner.engine.rates == [RATE(0)] * 2 + [RATE(2)] * 2


def test_a_run_that_is_saved_at_five_and_restored_is_the_uninterrupted_one_to_the_bit(
    make_policy: MakePolicy, parity_suite: TaskSuite, tmp_path: Path
) -> None:
    policy, other_policy = make_policy(), make_policy(seed=9)
    whole = agent_of(parity_suite, policy)
    whole.train(5)
    whole.save(tmp_path / "step")
    reported: list[float] = []
    whole.train(5, [lambda _, metrics: reported.append(metrics.learner["lr"])])

    restored = agent_of(TaskSuite(parity_suite.tasks, seed=9), other_policy, seed=9)
    restored.train(1)
    restored.restore(tmp_path / "step")
    restored.train(5)
    assert torch.equal(parameters_of(policy), parameters_of(other_policy))
    assert reported == [RATE(step) for step in range(5, 10)]
    assert reported[-1] == pytest.approx(1e-3)
