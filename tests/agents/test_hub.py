"""`mtgrpo push`: what leaves this machine, to whom, and the card that the hub reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("huggingface_hub", reason="the hub extra is not installed")

from hub_server import Hub, hub_server
from huggingface_hub import ModelCard

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.hub import push, upload_of
from mtgrpo_env.agents.reports.history import RunHistory
from mtgrpo_env.agents.reports.model_card import command_of, hub_id
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.chance import Chance
from mtgrpo_env.cli import main
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.manifest import write_manifest

TASKS = ("countdown-easy", "odd <b>|name")
CONFIG = TrainConfig(model="Qwen/Qwen2.5-0.5B-Instruct", tasks=TASKS, steps=3, lr=1e-5, seed=7, max_replayed=0.5)
STAYS = ("agent.json", "optimizer-00000-00000.safetensors", "replay.json", "policy_rng.json", ".env")
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


def run_of(folder: Path, config: TrainConfig = CONFIG, *, step: int = 3) -> RunFolder:
    """A run as training leaves it, with a checkpoint of files that are only named like a model's."""
    run = RunFolder(folder)
    config.write(run.config)
    history = RunHistory(run.history, last_step=-1)
    history.add_chance(Chance(np.array([0.1, 0.2]), np.array([0.3, np.nan]), ("always 12", "")))
    for at, accuracies in ((0, (0.2, 0.5)), (step, (0.9, 0.55))):
        history._add("step", {"step": at, "accepted": [1, 1], "generated": [1, 1]}) if at else None
        values, counts = np.array(accuracies), np.array([100, 50])
        history.add_evaluation(at, 8, Evaluation(TASKS, values, counts, 0 * counts, counts))
    checkpoint = run.checkpoint(step)
    checkpoint.mkdir(parents=True)
    state = '{"format": 2, "step": %d, "hyperparameters": {"tasks": ["countdown-easy", "odd <b>|name"]}}'
    for name in (*STAYS, "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (checkpoint / name).write_text(f"content of {name}")
    (checkpoint / "agent.json").write_text(state % step)
    (checkpoint / "vocab.json").symlink_to(run.config)
    (checkpoint / "notes").mkdir()
    (checkpoint / "notes" / "config.json").write_text("elsewhere")
    write_manifest(checkpoint)
    return run


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server() as (url, hub):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


def test_a_model_and_its_card_are_pushed_in_private_and_nothing_else(
    tmp_path: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path / "run")
    assert main(["push", str(run), "me/odd"]) == 0
    assert "me/odd" in capsys.readouterr().out
    assert hub.private == {"me/odd": True}
    names = {name for _, name in hub.files}
    assert names == {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert hub.files["me/odd", "model.safetensors"] == b"content of model.safetensors"
    assert f"Bearer {TOKEN}" in hub.tokens
    assert not any(str(tmp_path).encode() in content or TOKEN.encode() in content for content in hub.files.values())


def test_a_public_repository_is_left_alone_unless_that_is_asked_for(
    tmp_path: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path / "run")
    hub.private["me/odd"] = False
    assert main(["push", str(run), "me/odd"]) == 2
    assert "'me/odd' is public, so nothing was uploaded: --public" in capsys.readouterr().err
    assert not hub.files
    assert main(["push", str(run.checkpoint(3)), "me/odd", "--public"]) == 0
    assert ("me/odd", "README.md") in hub.files


def test_a_dry_run_sends_nothing_and_prints_the_card(
    tmp_path: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(run_of(tmp_path / "run")), "me/odd", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("---\n")
    assert "README.md\nconfig.json\nmodel.safetensors\n" in printed
    assert not hub.tokens


def test_what_the_hub_refuses_is_one_line(tmp_path: Path, hub: Hub) -> None:
    hub.refuses = True
    with pytest.raises(OSError, match=r"^cannot push to 'me/odd': .*403") as caught:
        push(upload_of(run_of(tmp_path / "run").path, "me/odd"), "me/odd")
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(OSError, match=r"^cannot push to 'me/odd': "):
        push(upload_of(run_of(tmp_path / "run").path, "me/odd"), "me/odd")


def test_the_hub_reads_the_card(tmp_path: Path) -> None:
    card = ModelCard(upload_of(run_of(tmp_path / "run").path, "me/odd").card)
    data: Any = card.data
    assert (data.base_model, data.library_name, data.pipeline_tag) == (CONFIG.model, "transformers", "text-generation")
    assert {"mtgrpo", "grpo", "multi-task"} <= set(data.tags)
    results = {result.dataset_name: (result.dataset_type, result.metric_value) for result in data.eval_results}
    assert results == {"countdown-easy": ("countdown-easy", 0.9), "odd <b>|name": ("odd-b-name", 0.55)}


def test_people_read_the_worst_task_first_with_chance_and_intervals(tmp_path: Path) -> None:
    card = upload_of(run_of(tmp_path / "run").path, "me/odd").card
    lines = [line for line in card.splitlines() if line.startswith("|")]
    assert lines[0] == "| task | start | accuracy | guess | best constant | problems |"
    assert re.fullmatch(
        r"\| odd &lt;b&gt;\\\|name \| 50\.0 \| 55\.0 \[4\d\.\d, 6\d\.\d\] \| 20\.0 \| - \| 50 \|", lines[2]
    )
    assert re.fullmatch(
        r"\| countdown-easy \| 20\.0 \| 90\.0 \[8\d\.\d, 9\d\.\d\] \| 10\.0 \| 30\.0 \| 100 \|", lines[3]
    )
    assert lines[4].startswith("| **average** | 35.0 | 72.5 |")
    assert "worst of 2 tasks is odd &lt;b&gt;|name, at 55.0 [" in card
    assert 'from_pretrained("me/odd")' in card
    assert "Best constant: countdown-easy always 12." in card
    assert "transformers" in card.rpartition("Versions")[2]


def test_the_command_makes_the_same_run_without_secrets_and_paths_of_this_machine(tmp_path: Path) -> None:
    rows = tmp_path / "my rows.jsonl"
    rows.touch()
    secret = {"system": f"use {TOKEN}", "rollouts": "http://me:pw@host:1", "out": str(tmp_path), "keep_checkpoints": 5}
    config = replace(CONFIG, tasks=(f"{rows},countdown-easy", "hf:openai/gsm8k"), activation_checkpointing=True)
    assert command_of(config.plain | secret) == (
        "mtgrpo train --model Qwen/Qwen2.5-0.5B-Instruct --tasks 'my rows.jsonl,countdown-easy' hf:openai/gsm8k "
        "--steps 3 --seed 7 --max-replayed 0.5 --lr 1e-05 --system 'use ***'"
    )


def test_adapters_are_pushed_for_a_model_that_the_hub_has(tmp_path: Path) -> None:
    run = run_of(tmp_path / "hub" / "run", replace(CONFIG, lora_rank=4))
    checkpoint = run.checkpoint(3)
    for name in ("config.json", "model.safetensors"):
        (checkpoint / name).unlink()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (checkpoint / name).write_text('{"base_model_name_or_path": "Qwen/Qwen2.5-0.5B-Instruct"}')
    write_manifest(checkpoint)
    upload = upload_of(run.path, "me/odd")
    assert set(upload.files) >= {"adapter_config.json", "adapter_model.safetensors"}
    data: Any = ModelCard(upload.card).data
    assert (data.library_name, data.base_model_relation) == ("peft", "adapter")
    with pytest.raises(ValueError, match=r"expected a whole model in .*merged, found none: train with --save-merged"):
        upload_of(run.path, "me/odd", is_merged=True)
    replace(CONFIG, lora_rank=4, model=str(tmp_path / "local")).write(run.config)
    (checkpoint / "adapter_config.json").write_text('{"base_model_name_or_path": "/data/local"}')
    write_manifest(checkpoint)
    with pytest.raises(ValueError, match=r"adapters for a model that is not on the hub.*push with --merged"):
        upload_of(run.path, "me/odd")
    (checkpoint / "merged").mkdir()
    for name in ("config.json", "model.safetensors"):
        (checkpoint / "merged" / name).touch()
    write_manifest(checkpoint)
    upload = upload_of(run.path, "me/odd", is_merged=True)
    assert set(upload.files) == {"config.json", "model.safetensors"}
    assert "base_model" not in upload.card
    assert str(tmp_path) not in upload.card


def test_what_is_no_checkpoint_of_a_run_or_was_not_evaluated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the folder of a run, or of one of its checkpoints, got"):
        upload_of(tmp_path, "me/odd")
    run = run_of(tmp_path / "run")
    run.checkpoint(3).rename(run.checkpoint(2))
    agent = run.checkpoint(2) / "agent.json"
    agent.write_text(agent.read_text().replace('"step": 3', '"step": 2'))
    write_manifest(run.checkpoint(2))
    with pytest.raises(ValueError, match=r"step-000002 was not evaluated, so its card would be empty"):
        upload_of(run.path, "me/odd")


@pytest.mark.parametrize("name", ["odd name", "a/b/c", "../odd", ""])
def test_a_name_that_the_hub_does_not_take_is_refused_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    run = run_of(tmp_path / "run")
    with pytest.raises(ValueError, match="Repo id must"):
        upload_of(run.path, name)


def test_a_damaged_checkpoint_is_not_pushed(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    (run.checkpoint(3) / "model.safetensors").write_text("CONTENT of model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors: expected the SHA-256"):
        upload_of(run.path, "me/odd")


def test_a_folder_is_no_model_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models/own").mkdir(parents=True)
    names = ("Qwen/Qwen2.5-0.5B", "models/own", "/data/model", "a/b/c", None)
    assert [hub_id(name) for name in names] == ["Qwen/Qwen2.5-0.5B", None, None, None, None]
