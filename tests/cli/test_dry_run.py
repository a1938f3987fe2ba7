"""`mtgrpo train --dry-run`: the plan and its memory, and nothing done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_runs import STEPS, TASKS, history_of, train
from transformers import AutoConfig, AutoModelForCausalLM

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.build import build_method
from mtgrpo_env.agents.llm.plan import sampled
from mtgrpo_env.agents.llm.timing import PassTimes, RunTime, run_times
from mtgrpo_env.agents.llm.tiny import tiny_tokenizer
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.named_tasks import read_tasks

RunCommand = Callable[..., Any]


def test_a_dry_run_says_what_would_be_done_and_leaves_nothing_behind(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    result = command(*train(tmp_path / "run", model_folder, "--dry-run"))
    assert (result.code, result.err) == (0, "")
    assert not list(tmp_path.iterdir())
    for said in (
        "QuotaSampler",
        "zebra-mini",
        "4 prompts x 4 = 16 rollouts",
        "tokens of responses",
        "at the most",
        f"every 2 steps in {tmp_path / 'run' / 'checkpoints'}",
    ):
        assert said in result.out
    assert "2 GPUs" not in result.out


def test_a_plan_shows_a_prompt_of_each_task_and_how_tokens_are_drawn(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    drawn = ("--temperature", 0.7, "--eval-temperature", 0, "--eval-top-k", 5)
    out = command(*train(tmp_path / "run", model_folder, "--dry-run", *drawn)).out
    for name in TASKS:
        assert f"\n  {name}: '" in out
    assert "sampling: up to 16 tokens, temperature 0.7; in evaluations temperature 0, top-p 1, top-k 5\n" in out


def test_what_a_step_generates_is_said_once_where_it_does_not_depend_on_the_groups(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    out = command(*train(tmp_path / "run", model_folder, "--dry-run", "--method", "grpo")).out
    assert out.count("it generates") == 1
    assert "it generates 16 in 1 round, up to 256 tokens of responses\n" in out
    out = command(*train(tmp_path / "run", model_folder, "--dry-run", "--method", "dapo")).out
    assert out.count("it generates") > 1
    assert "if no group carries a gradient" in out


def test_without_a_model_the_plan_is_of_the_tiny_one_which_is_not_made(command: RunCommand, tmp_path: Path) -> None:
    result = command("train", "--out", tmp_path / "run", "--dry-run", "--rollouts", "vllm")
    assert result.code == 0
    assert "161,088 parameters" in result.out
    assert "vLLM's share" in result.out
    assert not list(tmp_path.iterdir())


def test_ranks_share_the_memory_that_deepspeed_shares_out(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    sizes = {}
    for stage in (0, 2):
        options = ("--engine", "deepspeed", "--dtype", "bfloat16", "--zero-stage", stage, "--dry-run")
        result = command(*train(tmp_path / "run", model_folder, *options))
        assert result.code == 0, result.err
        (row,) = [line for line in result.out.splitlines() if "optimizer" in line]
        sizes[stage] = [cell.strip() for cell in row.split("│")[2:-1]]
    assert len(set(sizes[0])) == 1, "stage 0 shares out nothing"
    assert len(set(sizes[2])) == len(sizes[2]) == 4


def hybrid_model(folder: Path) -> Path:
    """A checkpoint with a layer of convolution and one of attention."""
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder)
    config = AutoConfig.for_model(
        "lfm2",
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        layer_types=["conv", "full_attention"],
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def test_a_hybrid_model_is_planned_without_its_memory_and_trains(command: RunCommand, tmp_path: Path) -> None:
    model = hybrid_model(tmp_path / "model")
    planned = command(*train(tmp_path / "run", model, "--dry-run"))
    assert (planned.code, planned.err) == (0, "")
    assert "memory: not estimated" in planned.out
    result = command(*train(tmp_path / "run", model, "--steps", 1))
    assert result.code == 0, result.err
    assert "memory: not estimated, expected a decoder with attention in every layer, got Lfm2Config" in result.out


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_an_encoder_is_refused_by_name_before_anything_starts(
    command: RunCommand, tmp_path: Path, options: tuple[object, ...]
) -> None:
    AutoConfig.for_model("bert", vocab_size=100).save_pretrained(tmp_path / "model")
    result = command(*train(tmp_path / "run", tmp_path / "model", *options))
    assert (result.code, result.out) == (2, "")
    assert "got 'bert': it is an encoder" in result.err
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("options", [("--method", "ppo"), ("--engine", "other"), ("--batch-size", 1)])
def test_a_mistake_is_refused_before_it_is_planned(
    command: RunCommand, model_folder: Path, tmp_path: Path, options: tuple[object, ...]
) -> None:
    result = command(*train(tmp_path / "run", model_folder, *options, "--dry-run"))
    assert (result.code, result.out) == (2, "")


def test_a_real_run_says_how_much_memory_it_takes_and_generates_at_least_what_was_planned(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    result = command(*train(tmp_path / "run", model_folder, "--steps", 1))
    (line,) = [line for line in result.out.splitlines() if line.startswith("memory: about ")]
    assert "activations" in line
    suite = read_tasks("zebra-mini,countdown-mini")
    config = TrainConfig(batch_size=4, group_size=4, lr=1e-3, steps=STEPS).for_run()
    planned = sampled(build_method(config, suite), 1.0)
    (step,) = [record for record in history_of(tmp_path / "run") if record["kind"] == "step"]
    assert planned.rounds == 1
    assert 4 <= planned.groups.sum() <= 12
    assert np.all(np.array(step["generated"]) >= planned.groups)


def test_a_timed_dry_run_says_how_long_the_run_takes_and_leaves_nothing_behind(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    result = command(*train(tmp_path / "run", model_folder, "--dry-run", "--timed"))
    assert (result.code, result.err) == (0, "")
    assert not list(tmp_path.iterdir())
    assert "responses take " in result.out
    (lengths,) = [line.split() for line in result.out.splitlines() if "if responses have" in line]
    assert [word for word in lengths if word.isdigit()] == ["4", "16"]
    assert "the run: 7 steps, 4 evaluations" in result.out
    shares = [line for line in result.out.splitlines() if "of it " in line]
    assert len(shares) == 3
    for column in (2, 3):
        assert 98 <= sum(int(line.split("│")[column].strip(" %")) for line in shares) <= 102


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--timed", "--model", "{model}"], "--timed goes with --dry-run"),
        (["--timed", "--dry-run"], "give --model, got the tiny one"),
    ],
)
def test_timing_what_cannot_be_timed_is_refused(
    command: RunCommand, model_folder: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    result = command("train", "--out", tmp_path / "run", *(option.format(model=model_folder) for option in options))
    assert result.code == 2
    assert said in result.err
    assert not list(tmp_path.iterdir())


def test_the_time_of_a_run_is_that_of_its_steps_and_evaluations() -> None:
    times = PassTimes(prompts=4, rows=16, prefill=2.0, decode=0.5, learn={1: 3.0, 5: 8.0})
    assert times.generation(8, 32, 5) == pytest.approx(8 * 0.5 + 32 * 4 * 0.5 / 16)
    run = RunTime(5, generation=4.0, learning=8.0, evaluation=10.0, steps=10, evaluations=3)
    assert run.total == pytest.approx(150)
    assert PassTimes(prompts=4, rows=16, prefill=2.0, decode=0.0, learn={1: 3.0}).generation(4, 16, 1) == 2.0
    assert run.shares == pytest.approx({"generation": 40 / 150, "learning": 80 / 150, "evaluation": 30 / 150})


def test_the_time_of_a_resumed_run_is_that_of_what_is_left(tmp_path: Path) -> None:
    suite = read_tasks("zebra-mini,countdown-mini")
    options = {"batch_size": 4, "group_size": 4, "lr": 1e-3, "steps": 7, "eval_every": 3, "eval_problems": 5}
    config = TrainConfig(out=tmp_path / "run", **options).for_run()
    times = PassTimes(prompts=4, rows=16, prefill=2.0, decode=0.5, learn={1: 3.0})

    def left() -> tuple[int, int]:
        (of_one_token,) = run_times(config, suite, times)
        assert of_one_token.evaluation == pytest.approx(10 * 2.0 / 4)
        return of_one_token.steps, of_one_token.evaluations

    assert left() == (7, 4)
    for step, expected in ((2, (5, 3)), (6, (1, 1)), (7, (0, 0)), (9, (0, 0))):
        RunFolder(config.out).checkpoint(step).mkdir(parents=True)
        assert left() == expected
