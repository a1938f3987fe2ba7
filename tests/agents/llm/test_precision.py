"""bfloat16 autocast: parameters and losses stay float32, generation and training compute alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.lora import with_lora
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.precision import Autocast, autocast_log_probs, bfloat16_autocast, has_bfloat16
from mtgrpo_env.agents.llm.prefix import completion_log_probs, full_sequence_log_probs
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
from mtgrpo_env.types import Batch

MakePolicy = Callable[..., LanguageModelPolicy]
Sample = Callable[[LanguageModelPolicy], Batch]
CPU = torch.device("cpu")


@pytest.fixture
def autocast(monkeypatch: pytest.MonkeyPatch) -> Autocast:
    """Also on CPUs that are slow with it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    return bfloat16_autocast(CPU)


@pytest.fixture
def mixed_policy(make_policy: MakePolicy, autocast: Autocast) -> LanguageModelPolicy:
    """A policy that generates under autocast."""
    policy = make_policy()
    scale_down(policy.model)
    policy.engine = TransformersEngine(policy.model, pad_id=policy.pad_id, end_ids=policy.end_ids, autocast=autocast)
    return policy


class CastCounter(TorchDispatchMode):
    """Counts how often a tensor is copied to another type."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__()
        self.tensor, self.count = tensor, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._to_copy.default and args[0] is self.tensor
        return func(*args, **(kwargs or {}))


def scale_down(model: PreTrainedModel) -> None:
    """The matrices as a trained model has them, small: on those of `make_model` rounding weighs far more."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.div_(4)


def learner_of(policy: LanguageModelPolicy, autocast: Autocast, **options: Any) -> LanguageModelLearner:
    engine = TorchTrainEngine(policy.model, lr=1e-3)
    return LanguageModelLearner(policy, engine, log_probs=autocast_log_probs(completion_log_probs, autocast), **options)


def log_ratios(policy: LanguageModelPolicy, batch: Batch, learner: LanguageModelLearner) -> torch.Tensor:
    """log r_t of every token of the batch, of the policy as it is now."""
    (part, _), *others = learner._parts(batch.groups, batch.loss_weights)
    assert not others
    return (learner.log_probs(policy.model, part, 1.0) - part.old_log_probs)[part.mask > 0]


def test_training_has_the_log_probabilities_of_generation_but_for_rounding(
    mixed_policy: LanguageModelPolicy, autocast: Autocast, sample: Sample
) -> None:
    batch = sample(mixed_policy)
    mixed = log_ratios(mixed_policy, batch, learner_of(mixed_policy, autocast))
    assert mixed.dtype == torch.float32
    assert mixed.abs().max() < 0.1


@pytest.mark.parametrize("log_probs", [completion_log_probs, full_sequence_log_probs])
def test_autocast_changes_log_probabilities_by_little_and_computes_in_bfloat16(
    mixed_policy: LanguageModelPolicy, autocast: Autocast, sample: Sample, log_probs: Callable[..., torch.Tensor]
) -> None:
    model, batch = mixed_policy.model, sample(mixed_policy)
    (part, _), *_ = learner_of(mixed_policy, autocast)._parts(batch.groups, batch.loss_weights)
    plain, mixed = log_probs(model, part, 1.0), autocast_log_probs(log_probs, autocast)(model, part, 1.0)
    assert plain.dtype == mixed.dtype == torch.float32
    assert 1e-5 < float((plain - mixed).abs()[part.mask > 0].max().detach()) < 0.1


def test_an_update_reports_how_far_generation_and_training_are_apart_and_keeps_parameters_in_float32(
    mixed_policy: LanguageModelPolicy, autocast: Autocast, sample: Sample
) -> None:
    batch = sample(mixed_policy)
    learner = learner_of(mixed_policy, autocast, num_minibatches=1)
    gaps = log_ratios(mixed_policy, batch, learner).detach().abs()
    before = [parameter.detach().clone() for parameter in mixed_policy.model.parameters()]
    scalars = learner.update(batch)
    assert scalars["ratio_gap"] == pytest.approx(float(gaps.mean()), rel=1e-3)
    assert 0 < scalars["ratio_gap"] < 0.02
    after = list(mixed_policy.model.parameters())
    assert {parameter.dtype for parameter in after} == {torch.float32}
    assert all(float((new - old).abs().max().detach()) > 1e-5 for new, old in zip(after, before, strict=True))


def test_in_float32_the_gap_is_rounding_and_replayed_groups_have_none(
    policy: LanguageModelPolicy, sample: Sample
) -> None:
    learner = LanguageModelLearner(policy, TorchTrainEngine(policy.model, lr=1e-3), num_minibatches=2)
    batch = sample(policy)
    assert 0 <= learner.update(batch)["ratio_gap"] < 1e-4
    scalars = learner.update(replace(batch, replayed=1))
    assert "ratio_gap" not in scalars
    assert scalars["log_ratio"] > 1e-3


def test_a_weight_is_cast_once_in_a_generation(mixed_policy: LanguageModelPolicy) -> None:
    head = mixed_policy.model.get_output_embeddings()
    assert head is not None
    with CastCounter(head.weight) as counter:
        mixed_policy.act(["e12:"] * 4, [0] * 4)
    assert counter.count == 1


def test_adapters_train_under_autocast(mixed_policy: LanguageModelPolicy, autocast: Autocast, sample: Sample) -> None:
    pytest.importorskip("peft")
    adapted = with_lora(mixed_policy.model, 4)
    learner = LanguageModelLearner(
        mixed_policy,
        TorchTrainEngine(adapted, lr=1e-2),
        log_probs=autocast_log_probs(completion_log_probs, autocast),
        num_minibatches=2,
    )
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in trained]
    scalars = learner.update(sample(mixed_policy))
    assert scalars["ratio_gap"] < 0.02
    assert {parameter.dtype for parameter in adapted.parameters()} == {torch.float32}
    assert all(not torch.equal(new, old) for new, old in zip(trained, before, strict=True))


def test_a_device_that_does_not_compute_in_bfloat16_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "amx_bf16": False})
    assert not has_bfloat16(CPU)
    with pytest.raises(ValueError, match="dtype bfloat16 needs a device that computes in it, got cpu, which does not"):
        bfloat16_autocast(CPU)
