"""The engines of `mtgrpo train` by option: each trains the same run, and what cannot work is refused by name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import assert_same_run, history_of, state_of, train
from transformers import AutoModelForCausalLM

from mtgrpo_env.agents.llm.precision import has_bfloat16
from mtgrpo_env.agents.neural.losses import IMPORTANCE
from mtgrpo_env.agents.run_folder import RunFolder

RunCommand = Callable[..., Any]
FEW = ("--steps", 2, "--eval-every", 2, "--checkpoint-every", 1)


@pytest.fixture
def trained(command: RunCommand, model_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Two small steps with the given options."""

    def run(name: str, *options: object) -> Path:
        out = tmp_path / name / "run"
        result = command(*train(out, model_folder, *FEW, *options))
        assert result.code == 0, result
        return out

    return run


@pytest.mark.parametrize(
    "options",
    [
        ("--activation-checkpointing",),
        ("--tokens-per-forward", 100),
        pytest.param(("--engine", "deepspeed"), marks=pytest.mark.skipif(torch.cuda.is_available(), reason="on a CPU")),
    ],
)
def test_an_engine_changes_nothing_but_rounding(trained: Callable[..., Path], options: tuple[object, ...]) -> None:
    if "deepspeed" in options:
        pytest.importorskip("deepspeed")
    plain, other = trained("plain"), trained("other", *options)
    for ours, theirs in zip(history_of(plain), history_of(other), strict=True):
        assert ours.get("generated") == theirs.get("generated")
        np.testing.assert_allclose(ours.get("improvements", []), theirs.get("improvements", []), atol=1e-5)
    torch.testing.assert_close(state_of(plain)[0], state_of(other)[0], rtol=1e-3, atol=1e-4)


def test_adapters_are_trained_saved_and_go_on_bit_for_bit(
    trained: Callable[..., Path], command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="the lora extra is not installed")
    adapters = ("--lora-rank", 4, "--lora-alpha", 16, "--lora-targets", "q_proj", "down_proj")
    whole, part = trained("whole", *adapters, "--save-merged"), tmp_path / "part" / "run"
    for steps in (1, 2):
        options = (*adapters, "--steps", steps, "--eval-every", 2)
        result = command(*train(part, model_folder, *FEW, *options))
        assert result.code == 0, result
    assert [r for r in history_of(part) if r["kind"] == "step"] == [r for r in history_of(whole) if r["kind"] == "step"]
    kept, other = RunFolder(whole).newest_checkpoint, RunFolder(part).newest_checkpoint
    assert kept is not None
    assert other is not None
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (kept / name).read_bytes() == (other / name).read_bytes()
    assert not (other / "model.safetensors").exists(), "the whole model only where it is asked for"
    torch.testing.assert_close(state_of(part)[1], state_of(whole)[1], rtol=0, atol=0)
    start = AutoModelForCausalLM.from_pretrained(model_folder).state_dict()
    merged = AutoModelForCausalLM.from_pretrained(kept / "merged").state_dict()
    assert merged.keys() == start.keys()
    moved = {name.split(".")[-2] for name, weight in merged.items() if not torch.equal(weight, start[name])}
    assert moved == {"q_proj", "down_proj"}
    torch.testing.assert_close(state_of(part)[0], merged, rtol=1e-4, atol=1e-6)


def test_adapters_of_a_run_are_played_as_they_are_and_start_another_run_once_merged(
    trained: Callable[..., Path], command: RunCommand, refused: Callable[..., str], tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="the lora extra is not installed")
    checkpoint = RunFolder(trained("run", "--lora-rank", 2)).newest_checkpoint
    assert checkpoint is not None
    played = ["--suite", "zebra-mini", "--problems", 2, "--max-new-tokens", 8, "--out", tmp_path / "scores"]
    result = command("evaluate", "--agent", checkpoint, *played)
    assert result.code == 0, result
    again = train(tmp_path / "again" / "run", checkpoint, *FEW, "--steps", 1, "--eval-every", 1)
    assert "holds adapters for" in refused(*again, "--lora-rank", 2)
    result = command(*again)
    assert result.code == 0, result


def test_a_run_may_go_on_with_other_engine_options_but_not_with_another_precision(
    trained: Callable[..., Path], command: RunCommand, refused: Callable[..., str], model_folder: Path
) -> None:
    out = trained("run")
    assert command(*train(out, model_folder, *FEW, "--steps", 3, "--tokens-per-forward", 50)).code == 0
    message = refused(*train(out, model_folder, *FEW, "--steps", 4, "--lora-rank", 2))
    assert "holds another run (lora_rank was 0, is 2)" in message


def test_a_run_in_bfloat16_with_a_falling_rate_keeps_its_parameters_in_float32_and_goes_on_bit_for_bit(
    trained: Callable[..., Path], command: RunCommand, refused: Callable[..., str], model_folder: Path
) -> None:
    if not has_bfloat16(torch.device("cpu")):
        pytest.skip("this CPU has no bfloat16")
    options = ("--dtype", "bfloat16", "--lr-schedule", "linear", "--warmup-steps", 1, "--weight-decay", 0.01)
    whole, part = trained("whole", *options), trained("part", *options)
    shutil.rmtree(RunFolder(part).newest_checkpoint or "")
    assert command(*train(part, model_folder, *FEW, *options)).code == 0
    assert_same_run(part, whole)
    assert {weight.dtype for weight in state_of(whole)[0].values()} == {torch.float32}
    rates = {r["step"]: r["learner"].get("lr") for r in history_of(whole) if r["kind"] == "step"}
    assert any(rates.values())
    assert all(rate in (None, 5e-4 * step) for step, rate in rates.items())  # a batch without groups has none
    message = refused(*train(part, model_folder, *FEW, *options, "--steps", 3))
    assert "steps was 2, is 3, over which the learning rate falls" in message


@pytest.mark.parametrize("importance", sorted(set(IMPORTANCE) - {"none"}))
def test_the_gap_between_the_engines_is_reported_where_it_is_corrected(
    trained: Callable[..., Path], importance: str
) -> None:
    """Here one model does both, so there is next to none, where no group was generated for an earlier step."""
    run = trained("run", "--importance", importance, "--max-replayed", 0)
    steps = [r for r in history_of(run) if r["kind"] == "step"]
    assert all(0 <= step["learner"]["engine_gap"] <= step["learner"]["engine_gap_max"] < 1e-4 for step in steps)
    assert all(abs(step["learner"]["importance_mean"] - 1) < 1e-3 for step in steps)


def test_a_killed_runs_divergence_is_from_the_model_it_began_with(
    trained: Callable[..., Path], command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    whole = trained("whole", "--kl-coef", 0.1, "--steps", 3, "--eval-every", 3)
    part = tmp_path / "part" / "run"
    for steps in (1, 3):
        options = ("--kl-coef", 0.1, "--steps", steps, "--eval-every", 3)
        assert command(*train(part, model_folder, *FEW, *options)).code == 0
    assert [r for r in history_of(part) if r["kind"] == "step"] == [r for r in history_of(whole) if r["kind"] == "step"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "tpu"), "invalid choice 'tpu' for argument '--engine'"),
        (("--engine", "deepspeed", "--zero-stage", 1), "invalid choice '1' for argument '--zero-stage'"),
        (("--dtype", "float16"), "invalid choice 'float16' for argument '--dtype'"),
        (("--lr-schedule", "step"), "invalid choice 'step' for argument '--lr-schedule'"),
        (("--lr-floor", 0.1), "lr_floor needs lr_schedule linear or cosine, which is not chosen: got lr_floor=0.1"),
        (("--offload", "optimizer"), "offload needs engine deepspeed, which is not chosen: got offload='optimizer'"),
        (("--engine", "deepspeed", "--offload", "all"), "offload_parameters needs stage 3 or above, got stage 2"),
        (("--lora-rank", -1), "lora_rank must be at least 0, got -1"),
        (("--lora-rank", 2, "--lora-alpha", 0), "lora_alpha must be at least 1, got 0"),
        (("--lora-alpha", 4), "lora_alpha needs lora_rank above 0, which is not chosen: got lora_alpha=4"),
        (("--save-merged",), "save_merged needs lora_rank above 0, which is not chosen: got save_merged=True"),
        (("--rollouts", "tgi"), "rollouts must be transformers, vllm or http:// URLs, got 'tgi'"),
        (("--vllm-sleep", 2), "invalid choice '2' for argument '--vllm-sleep'"),
        (("--share-by", "letters"), "invalid choice 'letters' for argument '--share-by'"),
        (("--importance", "all"), "invalid choice 'all' for argument '--importance'"),
        (("--importance-cap", 0.5), "importance_cap must be at least 1, got 0.5"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_built(
    command: RunCommand, model_folder: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    out = tmp_path / "run"
    result = command(*train(out, model_folder, *options))
    assert (result.code, result.out) == (2, "")
    assert message in " ".join(re.sub("[│╭╰╮╯─|-]* *\n[│|]? *", " ", result.err).split())  # the parser folds its lines
    assert not out.exists()
