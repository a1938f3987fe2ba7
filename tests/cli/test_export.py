"""`mtgrpo export`: whole files or none, and another trainer that trains on what was written."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.chat import messages_of
from mtgrpo_env.cli import main
from mtgrpo_env.envs.export import content_hash
from mtgrpo_env.envs.reward import trl_reward
from mtgrpo_env.envs.rows import read_rows, shared_problems
from mtgrpo_env.paper_frame import PREAMBLE

RunCommand = Callable[..., Any]

CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def test_a_suite_is_written_and_named_by_the_hash_of_its_content(command: RunCommand, tmp_path: Path) -> None:
    out = tmp_path / "train.parquet"
    result = command("export", "--suite", "mini", "--problems", 5, "--out", out)
    assert (result.code, result.err) == (0, "")
    said = re.fullmatch(r"(.*): 15 rows of 3 tasks, content hash ([0-9a-f]{16})\n", result.out)
    assert said is not None
    rows = read_rows(out)
    assert said.groups() == (str(out), content_hash(rows))
    assert [row.task for row in rows[:3]] == ["countdown", "zebra", "arc"]
    again = command("export", "--suite", "mini", "--problems", 5, "--out", tmp_path / "train.jsonl")
    assert again.out.endswith(f" content hash {said[2]}\n")


def test_the_two_splits_of_a_suite_share_no_problem(command: RunCommand, tmp_path: Path) -> None:
    for split in ("train", "test"):
        out = tmp_path / f"{split}.jsonl"
        assert command("export", "--suite", "easy", "--problems", 60, "--split", split, "--out", out).code == 0
    train, test = (read_rows(tmp_path / f"{split}.jsonl") for split in ("train", "test"))
    assert ({row.split for row in train}, {row.split for row in test}) == ({"train"}, {"test"})
    assert not shared_problems(train, test)
    checked = command("check", "--rows", tmp_path / "train.jsonl", tmp_path / "test.jsonl")
    assert (checked.code, checked.out.count("ok ")) == (0, 3)


def test_rows_are_written_again_in_their_order(command: RunCommand, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.parquet"
    said = [
        command("export", "--suite", "mini-nine", "--problems", 2, "--out", first).out,
        command("export", "--rows", first, "--out", second).out,
    ]
    assert [row.prompt for row in read_rows(first)] == [row.prompt for row in read_rows(second)]
    assert len({line.rsplit(" ", 1)[-1] for line in said}) == 1


@pytest.mark.parametrize("prompt", ["chat", "paper"])
def test_prompts_have_the_system_message_and_worked_examples_which_are_no_rows(
    prompt: str, command: RunCommand, tmp_path: Path
) -> None:
    out = tmp_path / "train.jsonl"
    frame = ("--system", "Be brief.", "--examples", 2, "--prompt", prompt)
    assert command("export", "--suite", "zebra-mini,math-easy", "--problems", 20, "--out", out, *frame).code == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    rows = read_rows(out)
    assert [row.task for row in rows] == ["zebra", "math"] * 20
    if prompt == "paper":
        assert {len(line["prompt"]) for line in lines} == {1}
        assert all(line["prompt"][0]["content"].startswith(f"Be brief.\n{PREAMBLE}") for line in lines)
        return
    for row in rows:
        messages = messages_of(row.prompt)
        assert [message.role for message in messages] == ["system", *["user", "assistant"] * 2, "user"]
        assert messages[-1].content == row.question not in {message.content for message in messages[:-1]}
    assert {messages_of(row.prompt)[:5] for row in rows} == {messages_of(row.prompt)[:5] for row in rows[:2]}
    assert command("check", "--rows", out).code == 0


def test_rows_that_are_shown_as_examples_are_not_written_again(command: RunCommand, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    command("export", "--suite", "zebra-mini", "--problems", 16, "--out", first)
    assert command("export", "--rows", first, "--examples", 1, "--out", second).code == 0
    (example,) = {messages_of(row.prompt)[0].content for row in read_rows(second)}
    questions = [row.question for row in read_rows(first)]
    assert [row.question for row in read_rows(second)] == [asked for asked in questions if asked != example]
    assert example in questions


def test_an_error_on_the_way_leaves_the_file_as_it_was(refused: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    out.write_text("mine", "utf-8")
    line = refused("export", "--suite", "guessing-mini", "--problems", 2000, "--out", out)
    assert "task 'guessing-mini' has about" in line
    assert out.read_text("utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--out", "train.csv"), "expected a file name that ends in .parquet or .jsonl, got '.csv'"),
        (("--out", "nowhere/train.jsonl"), "expected a folder for train.jsonl, got 'nowhere', which is none"),
        (("--out", "train.jsonl", "--problems", "0"), "problems must be at least 1, got 0"),
        (("--out", "train.jsonl", "--examples", "-1"), "examples must be at least 0, got -1"),
        (("--out", "train.jsonl", "--suite", "chess"), "or a suite, one of"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    arguments: tuple[str, ...], complaint: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert complaint in refused("export", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_process_that_is_killed_leaves_no_file_under_the_name(environment: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    line = [sys.executable, "-m", "mtgrpo_env", "export", "--suite", "mini", "--problems", "10000000", "--out", out]
    with subprocess.Popen(line, env=environment, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not any(path.stat().st_size for path in tmp_path.glob(".*/*")):
            time.sleep(0.02)
        process.kill()
    assert not out.exists()
    (scratch,) = tmp_path.iterdir()
    assert scratch.name.startswith(f".train.jsonl.unfinished-{process.pid}@")
    assert main(["export", "--suite", "mini", "--problems", "1", "--out", str(out)]) == 0
    assert list(tmp_path.iterdir()) == [out], "what the killed process left is cleared away"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_leaves_the_older_file_one_line_and_nothing_else(
    start_process: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "train.jsonl"
    out.write_text("older")
    process = start_process(["export", "--suite", "mini", "--problems", 10_000_000, "--out", out])
    while not any(path.stat().st_size for path in tmp_path.glob(".*/*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err in ("mtgrpo export: stopped by SIGTERM\n", "mtgrpo export: interrupted\n")
    assert out.read_text() == "older"
    assert list(tmp_path.iterdir()) == [out]


def test_where_no_file_can_be_written_nothing_is_made(refused: Callable[..., str], tmp_path: Path) -> None:
    complaint = "expected a file, got the folder"
    assert complaint in refused("export", "--suite", "mini", "--problems", 10_000_000, "--out", tmp_path)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # TRL sets options that transformers renames
@pytest.mark.parametrize(("suffix", "kind"), [(".jsonl", "json"), (".parquet", "parquet")])
def test_trl_trains_on_the_file_with_our_reward(
    suffix: str, kind: str, command: RunCommand, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps of TRL's own trainer; every reward it logs is the mean of ours."""
    datasets, trl = pytest.importorskip("datasets"), pytest.importorskip("trl")
    from transformers import AutoTokenizer

    out = tmp_path / f"train{suffix}"
    assert command("export", "--suite", "zebra-mini,countdown-mini", "--problems", 4, "--out", out).code == 0
    dataset = datasets.load_dataset(kind, data_files=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    given: list[list[float | None]] = []

    def watched(*arguments: Any, **columns: Any) -> list[float | None]:
        given.append(trl_reward(*arguments, **columns))
        return given[-1]

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tokenizer.chat_template = CHAT_TEMPLATE
    trainer = trl.GRPOTrainer(
        model=str(model_folder),
        reward_funcs=watched,
        args=trl.GRPOConfig(
            output_dir=str(tmp_path / "run"),
            max_steps=2,
            per_device_train_batch_size=8,
            num_generations=4,
            max_completion_length=12,
            logging_steps=1,
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    trainer.train()
    assert [len(batch) for batch in given] == [8, 8]
    assert {reward for batch in given for reward in batch} <= {0.0, 0.1, 1.0}
    logged = [entry["rewards/watched/mean"] for entry in trainer.state.log_history if "rewards/watched/mean" in entry]
    means = [sum(reward for reward in batch if reward is not None) / len(batch) for batch in given]
    assert logged == pytest.approx(means, abs=1e-6)
    assert any(means), "the model of this test knows how an answer looks"
