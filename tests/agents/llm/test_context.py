"""A model's context: what does not fit is left out of a run and named, or refused before it if nothing fits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mtgrpo_env.agents.config import RunConfig, TrainConfig
from mtgrpo_env.agents.llm.context import run_prompts
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer
from mtgrpo_env.agents.trainer import Trainer
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.row_options import RowOptions

TASKS = ("countdown-mini", "zebra-mini")


def config_of(model: Path | None, *, max_new_tokens: int) -> RunConfig:
    given = None if model is None else str(model)
    return TrainConfig(model=given, tasks=TASKS, max_new_tokens=max_new_tokens).for_run()


def test_what_fits_passes(model_folder: Path) -> None:
    prompts = run_prompts(config_of(model_folder, max_new_tokens=6), read_tasks(TASKS))
    assert prompts.left_out == ()
    assert 0 < min(prompts.longest) <= max(prompts.longest) <= 58


def test_a_response_that_fills_the_context_is_refused(model_folder: Path) -> None:
    complaint = f"max_new_tokens must be below 64, the context of {model_folder}, got 64"
    with pytest.raises(ValueError, match=complaint):
        run_prompts(config_of(model_folder, max_new_tokens=64), read_tasks(TASKS))
    with pytest.raises(ValueError, match="must be below 128, the context of the tiny model, got 200"):
        run_prompts(config_of(None, max_new_tokens=200), read_tasks(TASKS))


def test_a_task_of_which_no_prompt_leaves_room_is_refused_before_anything_is_built(
    model_folder: Path, tmp_path: Path
) -> None:
    config = replace(config_of(model_folder, max_new_tokens=60), out=tmp_path / "run")
    expected = r"task .countdown-mini.: the shortest of 8 prompts has \d+ tokens, which .* 60 exceeds .*, 64: lower"
    with pytest.raises(ValueError, match=expected):
        Trainer(config=config, callbacks=[]).train()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_rows_without_room_are_left_out_of_training_and_evaluation_and_named(
    model_folder: Path, tmp_path: Path
) -> None:
    lines = [{"prompt": f"{n}+1=", "answer": str(n + 1)} for n in range(20)]
    lines[3]["prompt"] = "1" * 70 + "="
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = RowOptions(reward=("number",))
    suite = read_tasks(str(file), row_options=options)
    prompts = run_prompts(TrainConfig(model=str(model_folder), tasks=(str(file),), max_new_tokens=8).for_run(), suite)
    (left_out,) = prompts.left_out
    assert (left_out.task, left_out.place, left_out.reason) == ("sums", "sums.jsonl, row 4", "71 tokens")
    assert prompts.count_left_out(suite.names).tolist() == [1]
    drawn = [suite.next_problem(0).options["index"] for _ in range(40)]
    held_out = [problem.options["index"] for problem in suite.held_out(20)]
    assert 3 not in {*drawn, *held_out}
    assert len({*drawn, *held_out}) == 19


def test_a_generated_problem_without_room_is_left_out_and_another_comes(model_folder: Path) -> None:
    suite = read_tasks("zebra-mini")
    problems = [suite.next_problem(0) for _ in range(40)]
    lengths = [len(opening.prompt) for problem in problems if (opening := suite.opening(problem))]
    room = sorted(lengths)[len(lengths) // 2]  # about half of them fit
    again = read_tasks("zebra-mini")
    config = TrainConfig(model=str(model_folder), tasks=("zebra-mini",), max_new_tokens=64 - room).for_run()
    run_prompts(config, again)
    seen = [len(o.prompt) for _ in range(40) if (o := again.opening(again.next_problem(0)))]
    assert max(seen) <= room < max(lengths)


def test_worked_examples_stand_before_every_prompt_and_take_no_part(model_folder: Path) -> None:
    suite = read_tasks("countdown-mini")
    first = suite.opening(suite.held_out(1, split="train")[0])
    assert first is not None
    config = TrainConfig(tasks=("countdown-mini",), examples=1, prompt="paper", max_new_tokens=1).for_run()
    with pytest.raises(ValueError, match="exceeds the context of the tiny model, 128: show fewer --examples"):
        run_prompts(config, suite)  # the paper's frame alone is longer
    with pytest.raises(ValueError, match="examples need prompt chat or paper, got plain"):
        run_prompts(replace(config, prompt="plain"), suite)


def test_rows_of_which_none_is_left_to_train_on_are_refused_before_a_run(model_folder: Path, tmp_path: Path) -> None:
    lines = [
        {"prompt": "1" * 70, "answer": "1", "split": "train"},
        {"prompt": "2" * 71, "answer": "1", "split": "train"},
    ]
    lines += [{"prompt": f"{n}=", "answer": str(n), "split": "test"} for n in range(4)]
    file = tmp_path / "long.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    suite = read_tasks(str(file), row_options=RowOptions(reward=("number",)))
    config = TrainConfig(model=str(model_folder), tasks=(str(file),), max_new_tokens=8).for_run()
    with pytest.raises(ValueError, match="task 'long': all of its 2 train problems are left out"):
        run_prompts(config, suite)


def test_a_suite_that_was_used_before_is_shown_the_same_examples(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}|{% endfor %}"
    tiny_model(tokenizer, TinyModelConfig(hidden_size=16, num_layers=1, num_heads=2), seed=0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    suite = read_tasks("countdown-mini")
    config = TrainConfig(model=str(tmp_path), tasks=("countdown-mini",), examples=2, max_new_tokens=8).for_run()
    assert run_prompts(config, suite).samples == run_prompts(config, suite).samples


def test_rows_that_cannot_be_written_are_left_out_and_named(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
        "{{ m['content'] }}|{% endfor %}"
    )
    tiny_model(tokenizer, TinyModelConfig(hidden_size=16, num_layers=1, num_heads=2), seed=0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    lines = [{"prompt": [{"role": "user", "content": f"{n}+1="}], "answer": str(n + 1)} for n in range(20)]
    lines[3]["prompt"] = [{"role": "system", "content": "Add."}, {"role": "user", "content": "3+1="}]
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    suite = read_tasks(str(file), row_options=RowOptions(reward=("number",)))
    prompts = run_prompts(TrainConfig(model=str(tmp_path), tasks=(str(file),), max_new_tokens=8).for_run(), suite)
    (left_out,) = prompts.left_out
    assert left_out.place == "sums.jsonl, row 4"
    assert "refuses messages of system, user: no system here" in left_out.reason
    assert 3 not in {suite.next_problem(0).options["index"] for _ in range(40)}


def test_rows_that_end_with_an_end_token_are_left_out_and_named(model_folder: Path, tmp_path: Path) -> None:
    end = str(tiny_tokenizer().eos_token)
    lines = [{"prompt": f"{n}+1={end if n == 3 else ''}", "answer": str(n + 1)} for n in range(20)]
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    suite = read_tasks(str(file), row_options=RowOptions(reward=("number",)))
    config = TrainConfig(model=str(model_folder), tasks=(str(file),), max_new_tokens=8, prompt="plain").for_run()
    (left_out,) = run_prompts(config, suite).left_out
    assert left_out.place == "sums.jsonl, row 4"
    assert left_out.reason.startswith("expected a prompt that is open at its end")
