"""GRPO on a real model: the objective it says it has, steps that raise it, and state that survives a restart."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from mtgrpo_env.advantages import group_advantages
from mtgrpo_env.agents.base import Objectives
from mtgrpo_env.agents.improvement import (
    MakeImprovementSignal,
    MinibatchImprovement,
    NoImprovement,
    SampledImprovement,
    StepImprovement,
    TrendImprovement,
)
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.losses import (
    GSPO_CLIPS,
    LOSSES,
    Objective,
    TokenWeights,
    named_importance,
    named_objective,
    sequence_mean,
    token_mean,
)
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
from mtgrpo_env.agents.recipes import RECIPES, RunFacts, make_method
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.samplers import RatioPreservingSampler
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import ImprovementAwareWeights
from mtgrpo_env.types import Batch, FloatArray, Group

BOTH_MEANS = pytest.mark.parametrize("token_weights", [sequence_mean, token_mean])

MakePolicy = Callable[..., LanguageModelPolicy]
PlainLogProbs = Callable[[PreTrainedModel, Completion, float], torch.Tensor]
Sample = Callable[[LanguageModelPolicy], Batch]


class GradientRecorder:
    """A train engine that keeps the gradient of each step, and takes none."""

    lr = 0.0

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.gradients: list[torch.Tensor] = []

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        loss.backward()

    def step(self) -> float:
        parameters = list(self.module.parameters())
        self.gradients.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]))
        self.module.zero_grad(set_to_none=True)
        return float(self.gradients[-1].norm())

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


def learner_of(policy: LanguageModelPolicy, *, lr: float = 1e-3, **options: Any) -> LanguageModelLearner:
    return LanguageModelLearner(policy, TorchTrainEngine(policy.model, lr=lr), **options)


def objective_of(loss: str) -> Objective:
    return named_objective(loss, max_tokens=8, clip_high=0.28)


def move_along(policy: LanguageModelPolicy, change: torch.Tensor) -> None:
    """Add a flat vector to the parameters."""
    parameters = list(policy.model.parameters())
    with torch.no_grad():
        for parameter, part in zip(parameters, change.split([p.numel() for p in parameters]), strict=True):
            parameter += part.view_as(parameter)


def gradients_of(policy: LanguageModelPolicy, batch: Batch, **options: Any) -> list[torch.Tensor]:
    recorder = GradientRecorder(policy.model)
    LanguageModelLearner(policy, recorder, **options).update(batch)
    return recorder.gradients


def parameters_of(policy: LanguageModelPolicy) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in policy.model.parameters()])


def total_of(objectives: FloatArray, batch: Batch) -> float:
    """The objective of the whole batch under sequence means."""
    return float(np.nansum(objectives * batch.kept) / batch.kept.sum())


def with_old_log_probs(batch: Batch, change: Callable[[tuple[float, ...]], tuple[float, ...]]) -> Batch:
    """The batch as if another policy had sampled it."""
    groups = [
        replace(
            group,
            rollouts=tuple(
                replace(r, steps=tuple(replace(s, extras=_changed(s.extras, change)) for s in r.steps))
                for r in group.rollouts
            ),
        )
        for group in batch.groups
    ]
    return replace(batch, groups=tuple(groups))


def _changed(completion: Completion, change: Callable[[tuple[float, ...]], tuple[float, ...]]) -> Completion:
    return replace(completion, log_probs=change(completion.log_probs))


def completions_of(batch: Batch) -> list[Completion]:
    return [step.extras for group in batch.groups for rollout in group.rollouts for step in rollout.steps]


def shifted(batch: Batch) -> Batch:
    """Old log-probabilities off by up to 0.6: ratios on both sides of both clips."""
    rng = np.random.default_rng(0)
    return with_old_log_probs(batch, lambda values: tuple(np.array(values) + rng.uniform(-0.6, 0.6, len(values))))


def test_an_update_moves_the_parameters_and_reports_finite_scalars(policy: LanguageModelPolicy, sample: Sample) -> None:
    before = parameters_of(policy)
    scalars = learner_of(policy).update(sample(policy))
    assert set(scalars) == {"loss", "gradient_norm", "lr", "log_ratio", "step_kl", "ratio_gap"}
    assert all(math.isfinite(value) for value in scalars.values())
    assert scalars["gradient_norm"] > 0
    assert not torch.equal(parameters_of(policy), before)


def test_a_small_step_raises_the_objective_of_the_batch_it_was_taken_on(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    learner, batch = learner_of(policy, lr=1e-4, num_minibatches=1), sample(policy)
    before = total_of(learner.objectives(batch), batch)
    learner.update(batch)
    assert total_of(learner.objectives(batch), batch) > before + 1e-4


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@BOTH_MEANS
def test_before_any_step_the_objectives_are_those_at_ratio_one(
    make_policy: MakePolicy, sample: Sample, token_weights: TokenWeights, temperature: float
) -> None:
    policy = make_policy(temperature=temperature)
    learner, batch = learner_of(policy, objective=Objective(token_weights)), sample(policy)
    np.testing.assert_allclose(learner.sampled_objectives(batch), learner.objectives(batch), atol=1e-5)


def test_at_ratio_one_the_objectives_of_whole_groups_are_zero_under_sequence_means(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    batch = sample(policy)
    assert any(group_advantages(group).any() for group in batch.groups)
    np.testing.assert_allclose(learner_of(policy).sampled_objectives(batch), np.zeros(2), atol=1e-6)


def test_a_task_that_is_not_in_the_batch_has_no_objective(policy: LanguageModelPolicy, sample: Sample) -> None:
    batch = sample(policy)
    batch = replace(batch, groups=batch.groups[:1], loss_weights=batch.loss_weights[:1])
    absent = 1 - batch.groups[0].task_id
    for objectives in (learner_of(policy).objectives(batch), learner_of(policy).sampled_objectives(batch)):
        assert np.isnan(objectives[absent])
        assert np.isfinite(objectives[1 - absent])


@pytest.mark.parametrize("tokens_per_forward", [20, 512])
@BOTH_MEANS
def test_the_objectives_equal_a_slow_loop_over_rollouts_and_tokens(
    policy: LanguageModelPolicy,
    sample: Sample,
    plain_log_probs: PlainLogProbs,
    token_weights: TokenWeights,
    tokens_per_forward: int,
) -> None:
    batch = shifted(sample(policy))
    learner = learner_of(policy, objective=Objective(token_weights), tokens_per_forward=tokens_per_forward)
    token_sums: list[list[float]] = [[], []]
    token_counts: list[list[int]] = [[], []]
    for group in batch.groups:
        for rollout, advantage in zip(group.rollouts, group_advantages(group), strict=True):
            completion = rollout.steps[0].extras
            with torch.no_grad():
                new = plain_log_probs(policy.model, completion, 1.0).tolist()
            ratios = [math.exp(a - b) for a, b in zip(new, completion.log_probs, strict=True)]
            values = [min(r * advantage, min(max(r, 0.8), 1.28) * advantage) for r in ratios]
            token_sums[group.task_id].append(sum(values))
            token_counts[group.task_id].append(len(values))
    if token_weights is sequence_mean:
        expected = [np.mean(np.array(s) / np.array(n)) for s, n in zip(token_sums, token_counts, strict=True)]
    else:
        expected = [sum(s) / sum(n) for s, n in zip(token_sums, token_counts, strict=True)]
    np.testing.assert_allclose(learner.objectives(batch), expected, atol=1e-5)


def test_the_loss_of_one_minibatch_is_minus_the_objective_of_the_batch(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    batch = shifted(sample(policy))
    learner = LanguageModelLearner(policy, GradientRecorder(policy.model), num_minibatches=1)
    assert learner.update(batch)["loss"] == pytest.approx(-total_of(learner.objectives(batch), batch), abs=1e-5)


@pytest.mark.parametrize("tokens_per_forward", [1, 20, 60])
@pytest.mark.parametrize("loss", LOSSES)
def test_tokens_per_forward_changes_no_gradient(
    policy: LanguageModelPolicy, sample: Sample, loss: str, tokens_per_forward: int
) -> None:
    batch = shifted(sample(policy))
    options = {"num_minibatches": 1, "objective": objective_of(loss)}
    (whole,) = gradients_of(policy, batch, **options)
    (parts,) = gradients_of(policy, batch, tokens_per_forward=tokens_per_forward, **options)
    assert whole.abs().max() > 1e-4
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_the_gradient_of_its_objective(policy: LanguageModelPolicy, sample: Sample, loss: str) -> None:
    """Along its own gradient the loss falls by the square of the norm for each unit of step, to first order."""
    batch, recorder = sample(policy), GradientRecorder(policy.model)
    unclipped = replace(objective_of(loss), clip_low=0.5, clip_high=0.5)
    learner = LanguageModelLearner(policy, recorder, num_minibatches=1, objective=unclipped)
    before = learner.update(batch)["loss"]
    (gradient,) = recorder.gradients
    step = 1e-3 / float(gradient.norm())
    move_along(policy, -step * gradient)
    fall = before - learner.update(batch)["loss"]
    assert fall == pytest.approx(step * float(gradient.square().sum()), rel=0.05)


def test_a_reference_holds_the_policy_near_and_changes_nothing_where_the_two_agree(
    make_policy: MakePolicy, sample: Sample
) -> None:
    policy = make_policy()
    here = deepcopy(policy.model)
    free, held = Objective(), Objective(kl_coef=0.5)
    at_reference = learner_of(policy, objective=held, reference=here)
    batch = at_reference.prepare(sample(policy))
    np.testing.assert_allclose(at_reference.objectives(batch), learner_of(policy).objectives(batch), atol=1e-6)
    move_along(policy, 0.05 * torch.randn(parameters_of(policy).shape, generator=torch.Generator().manual_seed(0)))
    without, with_reference = learner_of(policy, objective=free), learner_of(policy, objective=held, reference=here)
    assert (with_reference.objectives(batch) < without.objectives(batch) - 1e-3).all()
    again = learner_of(policy, objective=replace(held, kl_coef=1.0), reference=here)
    penalty = without.objectives(batch) - with_reference.objectives(batch)
    np.testing.assert_allclose(without.objectives(batch) - again.objectives(batch), 2 * penalty, rtol=1e-3)
    assert (with_reference.sampled_objectives(batch) <= 1e-6).all(), "the policy that sampled was the reference itself"


def test_a_reference_is_run_once_for_a_batch_however_often_it_is_trained_on(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    reference, passes = deepcopy(policy.model), []
    reference.register_forward_hook(lambda *_: passes.append(1))
    learner = learner_of(policy, objective=Objective(kl_coef=0.5), reference=reference)
    batch = learner.prepare(sample(policy))
    before = len(passes)
    assert before > 0
    learner.sampled_objectives(batch)
    learner.update(batch)
    learner.objectives(batch)
    assert len(passes) == before


@pytest.mark.parametrize("importance", ["token", "sequence"])
def test_the_gradient_is_that_of_the_surrogate_weighted_by_what_the_engine_got_wrong(
    policy: LanguageModelPolicy, sample: Sample, importance: str
) -> None:
    """An engine that calls every token likelier than it is: the model's own ratios are 1, the weights are not."""
    batch = with_old_log_probs(sample(policy), lambda values: tuple(value + 0.1 for value in values))
    objective = replace(Objective(), importance=named_importance(importance, 2.0))
    recorder = GradientRecorder(policy.model)
    learner = LanguageModelLearner(policy, recorder, num_minibatches=1, objective=objective)
    scalars = learner.update(learner.prepare(batch))
    assert scalars["engine_gap"] == pytest.approx(0.1, abs=1e-5)
    assert scalars["engine_gap_max"] == pytest.approx(0.1, abs=1e-5)
    completions = [step.extras for group in batch.groups for rollout in group.rollouts for step in rollout.steps]
    weights = {c: math.exp(-0.1 * (1 if importance == "token" else len(c.tokens))) for c in completions}
    surrogates = [
        weights[rollout.steps[0].extras] * advantage / len(rollout.steps[0].extras.tokens) * log_prob
        for group in batch.groups
        for rollout, advantage in zip(group.rollouts, group_advantages(group), strict=True)
        for log_prob in _log_probs(policy.model, rollout.steps[0].extras)
    ]
    (-torch.stack(surrogates).sum() / len(completions)).backward()
    expected = torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None])
    torch.testing.assert_close(recorder.gradients[0], expected, atol=1e-5, rtol=1e-3)
    assert expected.abs().max() > 1e-3


def _log_probs(model: PreTrainedModel, completion: Completion) -> torch.Tensor:
    whole = torch.tensor([[*completion.prompt, *completion.tokens]])
    logits = model(whole, use_cache=False).logits[0, len(completion.prompt) - 1 : -1]
    return torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(completion.tokens)[:, None]).squeeze(1)


def test_an_engine_that_is_right_needs_no_correction(make_policy: MakePolicy, sample: Sample) -> None:
    policy = make_policy()
    batch = sample(policy)
    corrected = learner_of(policy, objective=replace(Objective(), importance=named_importance("token", 2.0)))
    prepared = corrected.prepare(batch)
    np.testing.assert_allclose(corrected.objectives(prepared), learner_of(policy).objectives(batch), atol=1e-5)
    assert corrected.update(prepared)["engine_gap_max"] < 1e-4


def test_a_reference_and_its_weight_go_together(policy: LanguageModelPolicy) -> None:
    with pytest.raises(ValueError, match=r"a kl_coef of 0\.1 and a reference go together, got none"):
        learner_of(policy, objective=Objective(kl_coef=0.1))
    with pytest.raises(ValueError, match=r"a kl_coef of 0\.0 and a reference go together, got one"):
        learner_of(policy, reference=policy.model)


def test_the_gradient_is_linear_in_the_loss_weights(policy: LanguageModelPolicy, sample: Sample) -> None:
    batch = shifted(sample(policy))

    def gradient(weights: FloatArray) -> torch.Tensor:
        return gradients_of(policy, replace(batch, loss_weights=weights), num_minibatches=1)[0]

    first = np.array([1.0, 0.0, 2.0, 0.0, 1.0, 0.5])
    second = np.array([0.0, 3.0, 1.0, 0.0, 0.0, 0.5])
    torch.testing.assert_close(
        gradient(first) + 2 * gradient(second), gradient(first + 2 * second), atol=1e-6, rtol=1e-4
    )
    assert not gradient(np.zeros(6)).any()
    assert not torch.allclose(gradient(first), gradient(second), atol=1e-3)


@pytest.mark.parametrize(("num_minibatches", "steps"), [(1, 1), (4, 4), (6, 6), (50, 6)])
def test_a_step_is_taken_for_each_minibatch_and_no_minibatch_is_empty(
    policy: LanguageModelPolicy, sample: Sample, num_minibatches: int, steps: int
) -> None:
    assert len(gradients_of(policy, sample(policy), num_minibatches=num_minibatches)) == steps


def test_the_divergence_of_a_step_is_0_before_it_and_counts_every_token_alike(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    """k3 of the policy that is trained from the one that sampled, in a slow loop over tokens."""
    batch = sample(policy)
    assert learner_of(policy, lr=0.0, num_minibatches=1).update(batch)["step_kl"] == pytest.approx(0, abs=1e-6)
    moved = shifted(batch)
    pairs = zip(completions_of(batch), completions_of(moved), strict=True)
    log_ratios = [a - b for now, old in pairs for a, b in zip(now.log_probs, old.log_probs, strict=True)]
    expected = np.mean([math.exp(value) - 1 - value for value in log_ratios])
    for tokens_per_forward in (16_384, 40):
        learner = learner_of(policy, lr=0.0, num_minibatches=1, tokens_per_forward=tokens_per_forward)
        assert learner.update(moved)["step_kl"] == pytest.approx(expected, rel=1e-3)


def test_a_step_too_far_is_the_last_on_its_batch(policy: LanguageModelPolicy, sample: Sample) -> None:
    batch = shifted(sample(policy))
    for limit, skipped in ((1e-6, 3), (1e6, 0)):
        recorder = GradientRecorder(policy.model)
        learner = LanguageModelLearner(policy, recorder, num_minibatches=4, max_step_kl=limit)
        assert learner.update(batch)["skipped_minibatches"] == skipped
        assert len(recorder.gradients) == 4 - skipped
    with pytest.raises(ValueError, match="max_step_kl must be above 0, got 0"):
        learner_of(policy, max_step_kl=0.0)


def test_the_divergence_from_the_reference_is_reported(policy: LanguageModelPolicy, sample: Sample) -> None:
    reference = deepcopy(policy.model)
    learner = learner_of(policy, lr=1e-2, objective=Objective(kl_coef=0.1), reference=reference, num_minibatches=1)
    batch = learner.prepare(sample(policy))
    assert learner.update(batch)["kl"] == pytest.approx(0, abs=1e-6)
    assert learner.update(batch)["kl"] > 1e-4


def test_nothing_is_learned_from_masked_rollouts_not_even_to_stay_near_the_reference(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    reference = deepcopy(policy.model)
    move_along(policy, 0.05 * torch.randn(parameters_of(policy).shape, generator=torch.Generator().manual_seed(0)))
    options: dict[str, Any] = {"objective": Objective(kl_coef=0.5), "reference": reference, "num_minibatches": 1}
    batch = learner_of(policy, **options).prepare(sample(policy))
    for masks in (True, False):
        groups = [replace(g, rollouts=tuple(replace(r, is_masked=masks) for r in g.rollouts)) for g in batch.groups]
        (gradient,) = gradients_of(policy, replace(batch, groups=tuple(groups)), **options)
        assert bool(gradient.any()) != masks


def test_each_pass_over_a_batch_holds_every_group_once_in_other_minibatches(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    learner, batch = learner_of(policy, lr=0.0, num_minibatches=3, num_passes=2), sample(policy)
    seen: list[tuple[Group, ...]] = []
    learner.update(batch, lambda minibatch, _: seen.append(minibatch.groups))
    assert len(seen) == 6
    for of_pass in (seen[:3], seen[3:]):
        assert sorted(map(id, (group for groups in of_pass for group in groups))) == sorted(map(id, batch.groups))
    assert [set(map(id, groups)) for groups in seen[:3]] != [set(map(id, groups)) for groups in seen[3:]]


def test_a_step_too_far_ends_all_passes(policy: LanguageModelPolicy, sample: Sample) -> None:
    learner = learner_of(policy, lr=1e-2, num_minibatches=2, num_passes=3, max_step_kl=1e-9)
    scalars = learner.update(sample(policy))
    assert scalars["skipped_minibatches"] == 4  # the first step alone has nothing before it


def test_minibatches_hold_every_group_once_in_an_order_that_the_seed_names(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    batch = shifted(sample(policy))
    (whole,) = gradients_of(policy, batch, num_minibatches=1)
    parts, again, other = (gradients_of(policy, batch, num_minibatches=6, seed=seed) for seed in (0, 0, 1))
    torch.testing.assert_close(torch.stack(parts).mean(dim=0), whole, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(parts, again, atol=0, rtol=0)
    assert not torch.equal(torch.stack(parts), torch.stack(other))


def test_the_clip_is_the_learners(policy: LanguageModelPolicy, sample: Sample) -> None:
    """Ratios of 2: at clip 0.5 good tokens gain 1.5 times their advantage, at clip 2 all of it."""
    batch = with_old_log_probs(sample(policy), lambda values: tuple(value - math.log(2) for value in values))
    group = batch.groups[0]
    batch = replace(batch, groups=(group,), loss_weights=np.ones(1))
    advantages = group_advantages(group)
    for clip_high, gain in ((0.5, 1.5), (2.0, 2.0)):
        objective = learner_of(policy, objective=Objective(clip_high=clip_high)).objectives(batch)[group.task_id]
        expected = np.where(advantages > 0, gain, 2.0) @ advantages / len(advantages)
        assert objective == pytest.approx(expected, abs=1e-4)


def test_the_clip_of_a_method_reaches_the_objective_and_ones_own_stays(
    policy: LanguageModelPolicy, parity_suite: TaskSuite
) -> None:
    shared = learner_of(policy)
    for name in RECIPES:
        method = make_method(name, RunFacts(2, 8, num_steps=4))
        own = learner_of(policy, objective=Objective(clip_high=0.5))
        gspo = learner_of(policy, objective=named_objective("gspo", max_tokens=8))
        for learner, expected in ((shared, method.clip_high), (own, 0.5), (gspo, GSPO_CLIPS["clip_high"])):
            MTGRPOAgent(parity_suite, policy, learner, method=method)
            assert learner.objective.clip_high == learner.clip_high == expected
        assert gspo.objective.clip_low == gspo.clip_low == GSPO_CLIPS["clip_low"]


@pytest.mark.parametrize(
    "make", [NoImprovement, StepImprovement, MinibatchImprovement, SampledImprovement, TrendImprovement]
)
def test_a_signal_observes_and_never_trains(
    make: MakeImprovementSignal, make_policy: MakePolicy, sample: Sample
) -> None:
    batch = sample(make_policy())
    parameters: list[torch.Tensor] = []
    for is_observed in (False, True):
        policy = make_policy()
        learner = learner_of(policy, num_minibatches=3)
        if is_observed:
            signal = make(learner, batch)
            learner.update(batch, signal.on_minibatch)
            signal.end()
        else:
            learner.update(batch)
        parameters.append(parameters_of(policy))
    assert torch.equal(*parameters)


def test_a_gradient_that_is_not_finite_is_refused_and_leaves_everything_as_it_was(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    learner, batch = learner_of(policy, num_minibatches=1), sample(policy)
    broken = with_old_log_probs(batch, lambda values: tuple(-1e6 for _ in values))
    before = parameters_of(policy)
    with pytest.raises(FloatingPointError, match="the step was not taken"):
        learner.update(broken)
    assert torch.equal(parameters_of(policy), before)
    assert all(parameter.grad is None for parameter in policy.model.parameters())
    learner.update(batch)
    assert torch.isfinite(parameters_of(policy)).all()


@pytest.mark.parametrize("tokens_per_forward", [512, 20])
def test_each_minibatch_is_told_with_the_objectives_it_had_before_its_step(
    make_policy: MakePolicy, sample: Sample, tokens_per_forward: int
) -> None:
    policy = make_policy()
    batch = sample(policy)
    learner = learner_of(policy, lr=1e-2, num_minibatches=3, tokens_per_forward=tokens_per_forward)
    told: list[FloatArray] = []
    parts: list[Batch] = []

    def hear(part: Batch, before: Objectives) -> None:
        parts.append(part)
        told.append(before.current)
        np.testing.assert_allclose(before.sampled, learner.sampled_objectives(part), atol=1e-6)

    learner.update(batch, hear)
    assert sorted(id(g) for part in parts for g in part.groups) == sorted(id(g) for g in batch.groups)

    replayed_policy = make_policy()
    replayed = learner_of(replayed_policy, lr=1e-2, num_minibatches=1)
    for part, before in zip(parts, told, strict=True):
        np.testing.assert_allclose(before, replayed.objectives(part), atol=1e-5)
        replayed.update(part)
    assert np.abs(np.nan_to_num(told[1:])).max() > 1e-3
    torch.testing.assert_close(parameters_of(policy), parameters_of(replayed_policy), atol=1e-5, rtol=1e-4)


def test_tokens_are_counted_per_task(make_policy: MakePolicy, sample: Sample) -> None:
    policy = make_policy()
    batch = sample(policy)
    counted = np.zeros(2, dtype=np.int64)
    for group in batch.groups:
        counted[group.task_id] += sum(len(step.extras.tokens) for r in group.rollouts for step in r.steps)
    np.testing.assert_array_equal(learner_of(policy).action_counts(batch), counted)
    np.testing.assert_array_equal(learner_of(policy).action_counts(batch.part([])), [0, 0])


def agent_of(suite: TaskSuite, policy: LanguageModelPolicy, *, seed: int = 0, lr: float = 1e-3) -> MTGRPOAgent:
    learner = learner_of(policy, lr=lr, num_minibatches=3, seed=seed)
    sampler, weights = RatioPreservingSampler(2, 6, seed=seed), ImprovementAwareWeights(2)
    curriculum = Curriculum(suite, sampler=sampler, task_weights=weights)
    return MTGRPOAgent(suite, policy, learner, curriculum=curriculum, group_size=4)


def test_two_steps_saved_and_two_more_are_bit_for_bit_what_a_restored_agent_does(
    make_policy: MakePolicy, parity_suite: TaskSuite, tmp_path: Path
) -> None:
    policy = make_policy()
    agent = agent_of(parity_suite, policy)
    agent.train(2)
    agent.save(tmp_path / "step")
    after_two = parameters_of(policy)
    reports: list[FloatArray] = []
    agent.train(2, [lambda _, report: reports.append(report.improvements)])

    other_policy = make_policy(seed=9)
    other = agent_of(TaskSuite(parity_suite.tasks, seed=9), other_policy, seed=9)
    other.train(1)  # moments, generators and streams that must all give way
    other.restore(tmp_path / "step")
    assert torch.equal(parameters_of(other_policy), after_two)
    again: list[FloatArray] = []
    other.train(2, [lambda _, report: again.append(report.improvements)])
    np.testing.assert_array_equal(reports, again)
    assert torch.equal(parameters_of(policy), parameters_of(other_policy))
    assert not torch.equal(parameters_of(policy), after_two)


def test_training_makes_the_first_character_right(make_policy: MakePolicy, parity_suite: TaskSuite) -> None:
    """Chance is a half; the whole loop must beat it within a few steps."""
    agent = agent_of(parity_suite, make_policy(), lr=1e-2)
    problems = parity_suite.held_out(50)
    before = agent.evaluate(problems).average
    agent.train(50)
    assert agent.evaluate(problems).average > before + 0.2


def test_a_policy_that_always_takes_the_likeliest_token_cannot_learn(make_policy: MakePolicy) -> None:
    policy = make_policy(temperature=0)
    with pytest.raises(ValueError, match=r"must sample at a temperature above 0, got Decoding\(.*temperature=0, .*\)"):
        LanguageModelLearner(policy, TorchTrainEngine(policy.model, lr=1e-3))


@pytest.mark.parametrize("restriction", [{"top_p": 0.9}, {"top_k": 5}])
def test_a_policy_that_leaves_tokens_out_cannot_learn(make_policy: MakePolicy, restriction: dict[str, Any]) -> None:
    policy = make_policy()
    policy.decoding = Decoding(6, **restriction)
    with pytest.raises(ValueError, match=r"must sample with top_p 1 and top_k 0, got Decoding\("):
        LanguageModelLearner(policy, TorchTrainEngine(policy.model, lr=1e-3))


def test_a_batch_counts_what_the_model_generated(policy: LanguageModelPolicy, sample: Sample) -> None:
    batch = sample(policy)
    counts, completions = batch.responses, completions_of(batch)
    assert counts is not None
    assert counts.lengths.sum() == counts.scored_tokens.sum() == sum(len(one.tokens) for one in completions)
    assert counts.surprisals.sum() == pytest.approx(-sum(sum(one.log_probs) for one in completions))
    assert counts.truncated.sum() == sum(one.finish_reason == "length" for one in completions)
