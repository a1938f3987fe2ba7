"""A folder of a model: what its files lack is named, and never drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.policy import load_model

MakeModel = Callable[[], PreTrainedModel]
_LOST, _OTHER = "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight"


@pytest.fixture
def folder(make_model: MakeModel, tmp_path: Path) -> Path:
    make_model().save_pretrained(tmp_path)
    return tmp_path


def without(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in weights.items() if name != _LOST}


def renamed(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace("model.", "backbone."): weight for name, weight in weights.items()}


def cut(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {**weights, _OTHER: weights[_OTHER][:1].clone()}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without, rf"missing: {_LOST}$"),
        (renamed, r"missing: .* more; its files have backbone\.\S+, which it does not know"),
        (cut, rf"of other shapes than its config says: {_OTHER} \(\[1, \d+\], not \[\d+, \d+\]\)"),
    ],
)
def test_weights_that_are_not_there_as_the_model_has_them_are_refused_by_name(
    folder: Path, change: Callable[[Mapping[str, torch.Tensor]], dict[str, torch.Tensor]], complaint: str
) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, {"format": "pt"})
    with pytest.raises(OSError, match=complaint):
        load_model(folder)


def test_weights_that_the_model_does_not_know_are_no_fault(folder: Path) -> None:
    file = folder / "model.safetensors"
    save_file({**load_file(file), "value_head.weight": torch.ones(1)}, file, {"format": "pt"})
    load_model(folder)


def test_a_weight_that_is_tied_to_another_is_stored_once(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path)
    assert torch.equal(loaded.get_parameter("lm_head.weight"), model.get_parameter("model.embed_tokens.weight"))
