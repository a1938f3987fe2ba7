"""Several ranks do what one does: the same groups, plan, loss, gradient and weights, however the work divides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from thread_ranks import results_of
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
from mtgrpo_env.agents.ranks import OneRank, Ranks
from mtgrpo_env.agents.sharded import ShardedRollouts
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.samplers import RatioPreservingSampler
from mtgrpo_env.spaces import TEXT
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.task_weights import ImprovementAwareWeights
from mtgrpo_env.types import Group

MakeModel = Callable[[], PreTrainedModel]
SIZES = pytest.mark.parametrize("size", [2, 3])


class SummingEngine(TorchTrainEngine):
    """Adds up the gradients of all ranks before a step, as an engine for several ranks must."""

    def __init__(self, module: torch.nn.Module, ranks: Ranks, *, lr: float) -> None:
        super().__init__(module, lr=lr)
        self.ranks = ranks
        self.gradients: list[torch.Tensor] = []

    def step(self) -> float:
        parameters = list(self.module.parameters())
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad = torch.stack(self.ranks.gather(parameter.grad)).sum(dim=0)
        self.gradients.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
        return super().step()

    def save(self, folder: Path) -> None:
        if self.ranks.rank == 0:
            super().save(folder)


@pytest.fixture
def make_model(make_model: MakeModel) -> MakeModel:
    """Copies of one model: torch's global generator, which draws its parameters, is shared by threads."""
    return partial(deepcopy, make_model())


@pytest.fixture
def make_agent(
    make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, parity_suite: TaskSuite
) -> Callable[..., MTGRPOAgent]:
    """Makes the agent of a rank: every one with a suite, a model and a sampler of its own."""

    def make(ranks: Ranks, *, seed: int = 0, batch_size: int = 5, tokens: int = 60) -> MTGRPOAgent:
        suite = TaskSuite(parity_suite.tasks, seed=seed)
        policy = LanguageModelPolicy(make_model(), tokenizer, decoding=Decoding(6), ranks=ranks, seed=seed)
        engine = SummingEngine(policy.model, ranks, lr=1e-2)
        learner = LanguageModelLearner(policy, engine, num_minibatches=2, tokens_per_forward=tokens, seed=seed)
        sampler = RatioPreservingSampler(2, batch_size, seed=seed)
        curriculum = Curriculum(suite, sampler=sampler, task_weights=ImprovementAwareWeights(2))
        return MTGRPOAgent(suite, policy, learner, curriculum=curriculum, group_size=3, ranks=ranks)

    return make


def parameters_of(agent: MTGRPOAgent) -> torch.Tensor:
    policy = agent.policy
    assert isinstance(policy, LanguageModelPolicy)
    return torch.cat([parameter.detach().flatten() for parameter in policy.model.parameters()])


def trained(
    make_agent: Callable[..., MTGRPOAgent], ranks: Ranks, **options: Any
) -> tuple[MTGRPOAgent, list[TrainMetrics]]:
    agent, reports = make_agent(ranks, **options), list[TrainMetrics]()
    agent.train(3, [lambda _, report: reports.append(report)])
    return agent, reports


@SIZES
@pytest.mark.parametrize("batch_size", [2, 5])
def test_ranks_have_the_plan_the_loss_the_gradient_and_the_weights_of_one(
    make_agent: Callable[..., MTGRPOAgent], size: int, batch_size: int
) -> None:
    """5 groups of 3 divide among neither 2 nor 3 ranks; of 2 groups, a third rank gets none."""
    alone, reports = trained(make_agent, OneRank(), batch_size=batch_size)
    for agent, theirs in results_of(size, lambda ranks: trained(make_agent, ranks, batch_size=batch_size)):
        for ours, other in zip(reports, theirs, strict=True):
            for name in ("targets", "kept", "accepted", "generated", "rewards", "actions", "rollouts"):
                np.testing.assert_array_equal(getattr(other, name), getattr(ours, name), err_msg=name)
            for name in ("probabilities", "improvements"):
                np.testing.assert_allclose(getattr(other, name), getattr(ours, name), atol=1e-5, err_msg=name)
            assert other.learner == pytest.approx(ours.learner, abs=1e-5, rel=1e-5)
        gradients, expected = gradients_of(agent), gradients_of(alone)
        torch.testing.assert_close(gradients[0], expected[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(gradients, expected, atol=1e-4, rtol=1e-4)  # Adam makes steps of last bits
        torch.testing.assert_close(parameters_of(agent), parameters_of(alone), atol=1e-4, rtol=1e-3)
    assert gradients_of(alone).abs().max() > 1e-3


@SIZES
def test_all_ranks_end_a_batch_at_the_same_step_too_far(make_agent: Callable[..., MTGRPOAgent], size: int) -> None:
    """The first of five minibatches is at no distance, the second is too far."""

    def work(ranks: Ranks) -> tuple[float, int]:
        agent = make_agent(ranks)
        assert isinstance(agent.learner, LanguageModelLearner)
        agent.learner.num_minibatches, agent.learner.max_step_kl = 5, 1e-5
        return agent.train_step().learner["skipped_minibatches"], len(gradients_of(agent))

    assert results_of(size, work) == [(3.0, 2)] * size


def gradients_of(agent: MTGRPOAgent) -> torch.Tensor:
    learner = agent.learner
    assert isinstance(learner, LanguageModelLearner)
    assert isinstance(learner.engine, SummingEngine)
    return torch.stack(learner.engine.gradients)


def test_ranks_end_with_the_same_state_to_the_bit(make_agent: Callable[..., MTGRPOAgent]) -> None:
    first, second = (agent for agent, _ in results_of(2, lambda ranks: trained(make_agent, ranks)))
    assert torch.equal(parameters_of(first), parameters_of(second))
    assert first.curriculum.state_dict() == second.curriculum.state_dict()
    assert (first.step, first.rollouts) == (second.step, second.rollouts)
    assert first.policy.rng.bit_generator.state == second.policy.rng.bit_generator.state


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 2), (2, 3)])
def test_a_run_goes_on_with_another_number_of_ranks(
    make_agent: Callable[..., MTGRPOAgent], tmp_path: Path, before: int, after: int
) -> None:
    def first_half(ranks: Ranks) -> None:
        agent = make_agent(ranks)
        agent.train(2)
        agent.save(tmp_path / "step")

    def second_half(ranks: Ranks) -> MTGRPOAgent:
        agent = make_agent(ranks, seed=7)
        agent.restore(tmp_path / "step")
        agent.train(1)
        return agent

    whole, _ = trained(make_agent, OneRank())
    results_of(before, first_half)
    for agent in results_of(after, second_half):
        assert agent.rollouts == whole.rollouts
        torch.testing.assert_close(parameters_of(agent), parameters_of(whole), atol=1e-4, rtol=1e-3)
        weights = agent.curriculum.probabilities
        np.testing.assert_allclose(weights, whole.curriculum.probabilities, atol=1e-6)


@SIZES
def test_ranks_evaluate_as_one_does(make_agent: Callable[..., MTGRPOAgent], size: int) -> None:
    problems = make_agent(OneRank()).suite.held_out(7)
    alone = make_agent(OneRank()).evaluate(problems)
    for evaluation in results_of(size, lambda ranks: make_agent(ranks).evaluate(problems)):
        np.testing.assert_array_equal(evaluation.accuracies, alone.accuracies)
        np.testing.assert_array_equal(evaluation.counts, alone.counts)


class UntilEven(gym.Env[str, str]):
    """Goes on until a response begins with an even character, or for four turns."""

    observation_space = TEXT
    action_space = TEXT

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.prompt, self.turns = f"{self.np_random.integers(10**6)}:", 0
        return self.prompt, {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.turns += 1
        done = self.turns == 4 or (bool(action) and ord(action[0]) % 2 == 0)
        return f"{self.prompt}{self.turns}", float(done), done, False, {}


def responses_of(groups: Sequence[Group]) -> list[list[str]]:
    return [[step.action for step in rollout.steps] for group in groups for rollout in group.rollouts]


@SIZES
def test_episodes_of_several_turns_draw_the_same_on_any_number_of_ranks(
    make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, size: int
) -> None:
    def work(ranks: Ranks) -> tuple[list[list[str]], float]:
        suite = TaskSuite([Task("until even", UntilEven, success_threshold=1.0)])
        policy = LanguageModelPolicy(make_model(), tokenizer, decoding=Decoding(4), ranks=ranks)
        problems = [suite.next_problem(0) for _ in range(5)]
        groups = ShardedRollouts(ranks)(suite, policy, problems, [2, 3, 1, 2, 4])
        return responses_of(groups), float(policy.rng.random())

    expected = work(OneRank())
    assert len({len(responses) for responses in expected[0]}) > 2, "episodes of several lengths are needed"
    assert results_of(size, work) == [expected] * size


def test_an_env_that_raises_on_one_rank_stops_them_all_by_its_name(
    make_agent: Callable[..., MTGRPOAgent],
) -> None:
    def work(ranks: Ranks) -> str:
        agent = make_agent(ranks, batch_size=2)
        if ranks.rank == 1:
            agent.suite.envs(0, 20)
            for env in [*agent.suite.envs(0, 20), *agent.suite.envs(1, 20)]:
                env.unwrapped.reset = None  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(TaskError) as caught:
            agent.train_step()
        return str(caught.value)

    own, elsewhere = sorted(results_of(2, work), key=len)
    assert elsewhere == f"rank 1: {own}"
