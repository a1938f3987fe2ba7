"""`mtgrpo export --to`: folders of tasks, and the evaluators that they are for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from harness_tasks import read_task

from mtgrpo_env.envs import lm_eval_task
from mtgrpo_env.paper_frame import NEXT_TURNS


def test_a_system_message_and_worked_examples_become_what_the_harness_has_for_them(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    frame = ("--system", "Be {{brief}}.", "--examples", 2)
    out = tmp_path / "out"
    line = ("--suite", "arc-mini", "--problems", 3, "--to", "lm-eval", "--out", out)
    assert command("export", *line, *frame).code == 0
    task = read_task(out / "mtgrpo_arc-mini.yaml")
    assert (task["num_fewshot"], task["fewshot_config"]["sampler"], task["description"]) == (
        2,
        "first_n",
        "description",
    )
    row = json.loads((out / "arc-mini.jsonl").read_text().splitlines()[0])
    shown = [text for example in task["fewshot_config"]["samples"] for text in example.values()]
    assert shown == [message["content"] for message in row["prompt"][1:-1]]
    assert lm_eval_task.system_message(row) == "Be {{brief}}."


def test_the_papers_prompts_end_at_the_next_turn(command: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ("--suite", "arc-mini", "--problems", 2, "--prompt", "paper", "--to", "lm-eval", "--out", out)
    assert command("export", *line).code == 0
    assert read_task(out / "mtgrpo_arc-mini.yaml")["generation_kwargs"]["until"] == list(NEXT_TURNS)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("--suite", "guessing-mini", "--to", "lm-eval"),
            "guessing-mini-train: lm-eval asks once, and this task has sev",
        ),
        (
            ("--suite", "arc-mini", "--to", "lm-eval", "--max-new-tokens", "0"),
            "max_new_tokens must be at least 1, got 0",
        ),
        (
            ("--suite", "arc-mini", "--to", "inspect", "--correct-at", "0.5"),
            "correct_at must be 1 for tasks of inspect",
        ),
        (("--suite", "control", "--to", "inspect"), "cannot be exported: a"),
    ],
)
def test_what_an_evaluator_has_no_place_for_is_refused(
    arguments: tuple[str, ...], complaint: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    assert complaint in refused("export", "--suite", *arguments, "--problems", 2, "--out", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    line = refused("export", "--suite", "arc-mini", "--problems", 1, "--to", "inspect", "--out", tmp_path)
    assert "out must be a new folder" in line
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_where_no_folder_can_be_made_nothing_is_exported(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    line = ("export", "--suite", "arc-mini", "--problems", 10_000_000, "--to", "inspect")
    assert "expected a folder, got the file" in refused(*line, "--out", tmp_path / "mine" / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


@pytest.fixture(scope="module")
def chat_model(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the plainest chat template there is."""
    folder = tmp_path_factory.mktemp("chat") / "model"
    shutil.copytree(model_folder, folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "chat_template": TEMPLATE}))
    return folder


TASKS = "zebra-mini", "countdown-mini"
TOKENS = 10


def exported(command: Callable[..., Any], folder: Path, to: str) -> Path:
    line = ("--suite", ",".join(TASKS), "--split", "test", "--problems", 8, "--max-new-tokens", TOKENS, "--to", to)
    assert command("export", *line, "--out", folder / to).code == 0
    return folder / to


def ours(command: Callable[..., Any], model: Path, folder: Path) -> dict[str, list[tuple[str, bool, float]]]:
    """Responses of our own evaluation of exported rows, greedy, with their verdicts, by task."""
    files, saved = [folder / f"{task}.jsonl" for task in TASKS], folder.parent / "own.jsonl"
    line = ("--rows", *files, "--temperature", 0, "--max-new-tokens", TOKENS, "--save", saved)
    kept = ("--cache", folder.parent / "replies.sqlite", "--json")
    assert command("evaluate", "--agent", f"hf:{model}", *line, *kept).code == 0
    rows = [json.loads(text) for text in saved.read_text().splitlines()]
    own = {task: [row for row in rows if row["suite"].endswith(f"{task}.jsonl")] for task in TASKS}
    return {task: [(r["response"], r["is_success"], r["reward"]) for r in of_task] for task, of_task in own.items()}


def run_tool(*line: object, environment: dict[str, str], folder: Path) -> None:
    offline = {**environment, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub"), "NO_COLOR": "1"}
    words = [sys.executable, "-m", *map(str, line)]
    done = subprocess.run(words, env=offline, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="the lm-evaluation-harness is not installed: .[lm-eval]")
def test_the_harness_comes_to_our_responses_and_verdicts(
    command: Callable[..., Any], chat_model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = exported(command, tmp_path, "lm-eval")
    (group,) = {file.stem for file in folder.glob("mtgrpo_*.yaml")} - {f"mtgrpo_{task}" for task in TASKS}
    model = ("--model", "hf", "--model_args", f"pretrained={chat_model},dtype=float32", "--device", "cpu")
    more = ("--include_path", folder, "--apply_chat_template", "--batch_size", 4, "--output_path", tmp_path / "out")
    line = ("lm_eval", "run", *model, "--tasks", group, *more, "--log_samples")
    run_tool(*line, environment=environment, folder=tmp_path)
    own = ours(command, chat_model, folder)
    for task in TASKS:
        (file,) = (tmp_path / "out").rglob(f"samples_mtgrpo_{task}_*.jsonl")
        samples = sorted((json.loads(text) for text in file.read_text().splitlines()), key=lambda one: one["doc_id"])
        theirs = [(one["resps"][0][0], bool(one["acc"]), one["reward"]) for one in samples]
        assert theirs == own[task]
    (results,) = (tmp_path / "out").rglob("results_*.json")
    accuracy = json.loads(results.read_text())["results"]["mtgrpo_zebra-mini"]["acc,none"]
    assert accuracy == pytest.approx(sum(right for _, right, _ in own["zebra-mini"]) / 8)


@pytest.mark.skipif(find_spec("inspect_ai") is None, reason="inspect-ai is not installed: .[inspect]")
def test_inspect_comes_to_our_responses_and_verdicts(
    command: Callable[..., Any], chat_model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = exported(command, tmp_path, "inspect")
    model = ("--model", "hf/tiny", "-M", f"model_path={chat_model}", "-M", "device=cpu", "-M", "do_sample=false")
    more = ("--log-format", "json", "--log-dir", tmp_path / "logs", "--display", "plain")
    # It takes no absolute path.
    run_tool("inspect_ai", "eval", "inspect/tasks.py", *model, *more, environment=environment, folder=tmp_path)
    own = ours(command, chat_model, folder)
    logs = [json.loads(file.read_text()) for file in (tmp_path / "logs").glob("*.json")]
    assert {log["status"] for log in logs} == {"success"}
    for task in TASKS:
        (log,) = [log for log in logs if log["eval"]["task"] == task.replace("-", "_")]
        samples = sorted(log["samples"], key=lambda one: int(one["id"].rpartition("-")[2]))
        scores = [next(iter(one["scores"].values()))["value"] for one in samples]
        texts = [one["output"]["choices"][0]["message"]["content"] for one in samples]
        theirs = [(t, bool(s["acc"]), s["reward"]) for t, s in zip(texts, scores, strict=True)]
        assert theirs == own[task]
