"""Adapters: few parameters are trained, and their merged weights are a model that behaves the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, MixtralConfig, MixtralForCausalLM, PreTrainedModel

from mtgrpo_env.agents.llm.lora import merged_weights, with_lora
from mtgrpo_env.agents.llm.weights import folder_weights, plain_weights
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine

pytest.importorskip("peft", reason="the lora extra is not installed")
MakeModel = Callable[[], PreTrainedModel]
IDS = torch.arange(10, 30)[None]


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS, use_cache=False).logits


def adapted(make_model: MakeModel, targets: Sequence[str] = ("all-linear",)) -> Any:
    """With adapters that have been trained a little."""
    model = with_lora(make_model(), rank=2, targets=targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_()
    return model


def merged(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    return ((weight.name, weight.compute().detach()) for weight in merged_weights(model))


def test_a_fresh_adapter_changes_nothing_and_is_all_that_is_trained(make_model: MakeModel) -> None:
    model = with_lora(make_model(), rank=2)
    assert torch.equal(logits(model), logits(make_model()))
    assert all(("lora_" in name) == parameter.requires_grad for name, parameter in model.named_parameters())
    assert not model.training


@pytest.mark.parametrize("targets", [["all-linear"], ["q_proj", "down_proj"]])
def test_merged_weights_under_the_names_of_the_base_give_the_same_logits(
    make_model: MakeModel, targets: list[str]
) -> None:
    model, whole = adapted(make_model, targets=targets), make_model()
    before = logits(whole)
    names = dict(merged(model))
    assert list(names) == [weight.name for weight in plain_weights(whole)]
    whole.load_state_dict(names)
    torch.testing.assert_close(logits(whole), logits(model), atol=1e-4, rtol=1e-4)
    assert (logits(model) - before).abs().max() > 0.1


def test_merging_leaves_the_model_as_it_is(make_model: MakeModel) -> None:
    model = adapted(make_model)
    before = logits(model)
    dict(merged(model))
    assert torch.equal(logits(model), before)


def test_a_folder_of_merged_weights_is_an_ordinary_checkpoint(make_model: MakeModel, tmp_path: Path) -> None:
    model = adapted(make_model)
    model.get_base_model().save_pretrained(tmp_path, state_dict=dict(merged(model)))
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(loaded), logits(model), atol=1e-4, rtol=1e-4)
    saved = dict(folder_weights(tmp_path))
    assert all(torch.equal(saved[name], weight) for name, weight in merged(model))


def test_adapters_are_the_same_for_a_seed_and_differ_between_seeds(make_model: MakeModel) -> None:
    first, again, other = (dict(with_lora(make_model(), 2, seed=seed).named_parameters()) for seed in (0, 0, 1))
    name = next(name for name in first if "lora_A" in name)
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


def test_a_step_moves_the_adapters_only_and_a_saved_state_brings_them_back(
    make_model: MakeModel, tmp_path: Path
) -> None:
    model, fresh = (with_lora(make_model(), rank=2) for _ in range(2))
    engine = TorchTrainEngine(model, lr=0.1)
    model(IDS, use_cache=False).logits.logsumexp(-1).sum().backward()
    engine.step()
    assert not torch.equal(logits(model), logits(fresh))
    engine.save(tmp_path)
    TorchTrainEngine(fresh, lr=0.1).load(tmp_path)
    assert torch.equal(logits(fresh), logits(model))


def test_a_rank_below_one_is_refused(model: PreTrainedModel) -> None:
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        with_lora(model, rank=0)


def test_a_tied_weight_gets_no_adapter(make_model: MakeModel) -> None:
    tied = make_model()
    tied.config.tie_word_embeddings = True
    tied.tie_weights()
    tied.all_tied_weights_keys = tied.get_expanded_tied_weights_keys()
    with pytest.raises(ValueError, match="got lm_head, which is tied"):
        with_lora(tied, rank=2, targets=["lm_head"])


def test_a_model_without_adapters_has_none_to_merge(model: PreTrainedModel) -> None:
    with pytest.raises(ValueError, match="expected a model with adapters, got a Qwen2ForCausalLM"):
        next(merged_weights(model))


@pytest.mark.filterwarnings("ignore:The following .* keys did not match:RuntimeWarning")  # of what peft asks itself
def test_a_mixture_of_experts_is_refused_since_its_adapters_could_not_be_merged() -> None:
    config = MixtralConfig(
        vocab_size=10,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        num_local_experts=2,
    )
    with pytest.raises(ValueError, match=r"got model\.layers\.0\.mlp\..*, a part of a mixture of experts"):
        with_lora(MixtralForCausalLM(config), rank=2)
