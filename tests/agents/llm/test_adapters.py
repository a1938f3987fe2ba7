"""Folders of adapters: peft, transformers and our own loader make the same model of them, merged or not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.checkpoint_files import MERGED
from mtgrpo_env.agents.llm.adapters import (
    adapter_weights,
    base_of,
    save_adapters,
    saved_adapters,
    whole_model,
)
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.lora import merged_weights, with_lora
from mtgrpo_env.agents.llm.model_folder import AdapterFolder, WholeModel
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy, load_config, load_model, load_tokenizer
from mtgrpo_env.agents.llm.weights import ModelParameters

peft = pytest.importorskip("peft", reason="the lora extra is not installed")
MakeModel = Callable[[], PreTrainedModel]
IDS = torch.arange(10, 30)[None]
TARGETS = [("all-linear",), ("q_proj", "down_proj"), ("embed_tokens", "v_proj")]


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS, use_cache=False).logits


@pytest.fixture
def base(make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> Path:
    """The folder of a starting model."""
    for part in (make_model(), tokenizer):
        part.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def adapted(base: Path, targets: tuple[str, ...] = ("all-linear",)) -> Any:
    """The starting model with adapters that have been trained a little."""
    model: Any = with_lora(load_model(base).eval(), rank=2, alpha=6, targets=targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for _, parameter in sorted(model.named_parameters()):
            if parameter.requires_grad:
                parameter.data.normal_()
    return model


def stored(model: Any, tokenizer: PreTrainedTokenizerBase, *, is_merged: bool = False) -> AdapterFolder:
    whole = WholeModel(model.get_base_model(), ModelParameters(model, merged_weights), tokenizer)
    return AdapterFolder(model, ModelParameters(model, adapter_weights), tokenizer, whole if is_merged else None)


@pytest.mark.parametrize("targets", TARGETS)
def test_peft_transformers_and_the_merged_model_have_the_logits_of_the_model_that_was_saved(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, targets: tuple[str, ...]
) -> None:
    model, folder = adapted(base, targets), tmp_path / "adapters"
    folder.mkdir()
    stored(model, tokenizer, is_merged=True).save(folder, is_writer=True)
    expected = logits(model)
    assert (expected - logits(load_model(base))).abs().max() > 0.1
    by_peft = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base).eval(), folder)
    assert torch.equal(logits(by_peft), expected)
    by_peft_alone = peft.AutoPeftModelForCausalLM.from_pretrained(folder).eval()
    assert torch.equal(logits(by_peft_alone), expected)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(folder).eval()), expected)
    for merged in (
        load_model(folder),
        load_model(folder / MERGED),
        AutoModelForCausalLM.from_pretrained(folder / MERGED),
    ):
        torch.testing.assert_close(logits(merged.eval()), expected, atol=1e-4, rtol=1e-4)
        assert not any("lora" in name for name, _ in merged.named_parameters())


def test_a_folder_of_adapters_holds_nothing_of_the_model_and_is_the_same_each_time(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model = adapted(base)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        stored(model, tokenizer).save(tmp_path / name, is_writer=True)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names >= {"adapter_config.json", "adapter_model.safetensors", "tokenizer_config.json"}
    assert not names & {"config.json", "model.safetensors", MERGED, "README.md"}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (2, 6, str(base))
    assert config["target_modules"] == sorted(config["target_modules"])


def test_saved_adapters_are_loaded_to_the_bit(base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    trained, fresh = adapted(base), with_lora(load_model(base).eval(), rank=2, alpha=6)
    stored(trained, tokenizer).save(tmp_path, is_writer=True)
    stored(fresh, tokenizer).load(tmp_path)
    assert torch.equal(logits(fresh), logits(trained))


def test_a_checkpoint_of_adapters_is_a_model_of_every_loader_here(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    stored(adapted(base), tokenizer).save(tmp_path, is_writer=True)
    assert base_of(tmp_path) == str(base)
    assert base_of(base) is None
    assert load_config(tmp_path).to_dict() == load_config(base).to_dict()
    assert load_tokenizer(tmp_path).get_vocab() == tokenizer.get_vocab()
    policy = LanguageModelPolicy.from_pretrained(tmp_path, decoding=Decoding(4), device="cpu")
    assert all(parameter.requires_grad for parameter in policy.model.parameters())


def test_what_reads_no_adapters_is_given_the_merged_model_or_refused(
    base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    stored(adapted(base), tokenizer).save(tmp_path, is_writer=True)
    assert whole_model(str(base)) == str(base)
    with pytest.raises(ValueError, match=rf"holds adapters for {str(base)!r}, where a whole model is needed.*--save-m"):
        whole_model(str(tmp_path))
    stored(adapted(base), tokenizer, is_merged=True).save(tmp_path, is_writer=True)
    assert whole_model(str(tmp_path)) == str(tmp_path / MERGED)


def test_a_starting_model_that_is_gone_is_named(base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    folder = tmp_path / "adapters"
    folder.mkdir()
    stored(adapted(base), tokenizer).save(folder, is_writer=True)
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(
        FileNotFoundError, match=rf"beside the model in {re.escape(repr(str(base)))}, which is not there"
    ):
        load_model(folder)


def test_a_folder_without_adapters_is_named(base: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"base holds no adapters: it has no adapter_model\.safetensors"):
        saved_adapters(base)


def test_adapters_in_the_type_of_the_model_are_saved_in_it(base: Path, tmp_path: Path) -> None:
    model: Any = with_lora(load_model(base, dtype=torch.bfloat16).eval(), rank=2)
    weights = {weight.name: weight.compute() for weight in adapter_weights(model)}
    save_adapters(model, weights, tmp_path)
    assert {weight.dtype for weight in saved_adapters(tmp_path).values()} == {torch.bfloat16}
    loaded = load_model(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
