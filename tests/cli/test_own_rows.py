"""Own questions and a reward of ten lines, from two files to a worst-task curve, and through every other command."""

from __future__ import annotations

import json
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_runs import records_of

from mtgrpo_env.envs.rows import read_rows

RunCommand = Callable[..., Any]

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_rows"
FILES = ("sums.jsonl", "words.jsonl")
REWARD = ("--reward", "sums=number", "words=my_rewards:backwards")
SIZES = ("--batch-size", 4, "--group-size", 4, "--minibatches", 2, "--eval-problems", 20, "--max-new-tokens", 6)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the example's script makes: two files of rows and a tiny model."""
    folder = tmp_path_factory.mktemp("own_rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["make_rows.py", "--lesson", "40"])
        runpy.run_path(str(EXAMPLE / "make_rows.py"), run_name="__main__")
    (folder / "my_rewards.py").write_text((EXAMPLE / "my_rewards.py").read_text())
    return folder


@pytest.fixture(autouse=True)
def _in_the_folder(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(example)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)  # another test's


def test_rewards_are_checked_against_the_rows(command: RunCommand) -> None:
    result = command("check", "--rows", *FILES, *REWARD)
    assert result.code == 0, result
    assert "sums.jsonl" in result.out
    assert "words.jsonl" in result.out


def test_the_command_that_an_error_gives_is_the_one_that_was_typed_with_what_it_lacks(
    refused: Callable[..., str], command: RunCommand, example: Path
) -> None:
    rows = example / "my sums.jsonl"
    rows.write_text((example / "sums.jsonl").read_text())
    typed = ("train", "--tasks", rows, "--model", "tiny", "--out", "runs/a b", *SIZES, "--dry-run")
    program, *words = shlex.split(refused(*typed).partition("This would work: ")[2])
    assert (program, words) == ("mtgrpo", [*map(str, typed), "--reward", "number"])
    assert command(*words).code == 0


def test_two_files_a_reward_and_a_model_give_a_worst_task_curve(command: RunCommand, example: Path) -> None:
    run = ("train", "--tasks", *FILES, *REWARD, "--model", "tiny", "--out", "runs/own", "--device", "cpu", *SIZES)
    result = command(*run, "--steps", 2, "--eval-every", 1)
    assert result.code == 0, result
    records = [json.loads(line) for line in (example / "runs/own/history.jsonl").read_text().splitlines()]
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    assert [record["step"] for record in evaluations] == [0, 1, 2]
    assert all(1 < count < 20 for count in evaluations[0]["counts"])  # one in eight of 100 sums and of 150 words
    assert (example / "runs/own/progress.png").read_bytes().startswith(b"\x89PNG")
    again = command(*run, "--steps", 3, "--eval-every", 1)  # the rewards are found again on resuming
    assert again.code == 0, again


def test_the_same_rows_are_played_by_agents(command: RunCommand) -> None:
    result = command("evaluate", "--agent", "random", "--suite", "sums.jsonl", *REWARD[:2], "--json")
    held_out = json.loads(result.out)["tasks"]["sums"]["problems"]
    result = command("evaluate", "--agent", "random", "--rows", "sums.jsonl", *REWARD[:2], "--json")
    assert json.loads(result.out)["tasks"]["sums"]["problems"] == 100 > held_out > 1
    result = command("evaluate", "--agent", "random", "--rows", *FILES, *REWARD, "--problems", 5, "--json")
    played = [json.loads(line)["tasks"] for line in result.out.splitlines()]
    assert [{name: task["problems"] for name, task in tasks.items()} for tasks in played] == [{"sums": 5}, {"words": 5}]


def test_the_same_rows_are_compared_on(command: RunCommand) -> None:
    shared = ("compare", "--tasks", *FILES, *REWARD, "--model", "tiny", "--device", "cpu", *SIZES)
    result = command(*shared, "--methods", "grpo", "--seeds", 0, "--steps", 1, "--out", "runs/compare")
    assert result.code == 0, result


def test_the_same_rows_are_exported_and_score_the_same_elsewhere(command: RunCommand, example: Path) -> None:
    result = command("export", "--rows", "sums.jsonl", "--reward", "number", "--out", "exported.jsonl")
    assert result.code == 0, result
    from mtgrpo_env.envs.reward import compute_score, trl_reward

    rows = [json.loads(line) for line in Path("exported.jsonl").read_text().splitlines()]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    right = [f"The answer is {row.ground_truth}." for row in read_rows("sums.jsonl")]
    rewards = trl_reward(columns.pop("prompt"), right, **columns)
    assert rewards == [1.0] * 100
    truth = rows[0]["reward_model"]["ground_truth"]
    assert compute_score(rows[0]["data_source"], "The answer is 77.", truth)["score"] == 0.0
    assert command("evaluate", "--agent", "oracle", "--rows", "exported.jsonl").code == 0  # they say what scores them


def test_no_command_writes_over_the_rows_that_it_reads(refused: Callable[..., str], example: Path) -> None:
    before = (example / "sums.jsonl").read_text()
    reward = ("--reward", "number")
    for options in (("--suite", "sums.jsonl"), ("--rows", "./sums.jsonl")):
        assert "out must be another file" in refused("export", *options, *reward, "--out", "sums.jsonl")
        played = ("evaluate", "--agent", "oracle", *options, *reward)
        assert "save must be another file" in refused(*played, "--save", "sums.jsonl")
    assert (example / "sums.jsonl").read_text() == before


def test_a_comparison_does_not_move_into_the_folder_of_a_run(refused: Callable[..., str], example: Path) -> None:
    (example / "runs/taken").mkdir(parents=True)
    (example / "runs/taken/history.jsonl").write_text("")
    shared = ("compare", "--tasks", *FILES, *REWARD, "--model", "tiny", *SIZES, "--out", "runs/taken")
    assert "out must be a folder of its own" in refused(*shared)


@pytest.mark.parametrize("dry", [("--dry-run",), ()])
def test_one_row_that_is_too_long_for_the_model_is_named_at_the_start_and_left_out(
    command: RunCommand, example: Path, dry: tuple[str, ...]
) -> None:
    rows = [{"question": f"{n}+1=", "answer": n + 1} for n in range(40)] + [{"question": "9" * 200, "answer": 9}]
    (example / "long.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = (
        "train",
        "--tasks",
        "long.jsonl",
        "--reward",
        "number",
        "--model",
        "tiny",
        "--out",
        "runs/long",
        *SIZES,
        *dry,
    )
    result = command(*run)
    assert result.code == 0, result.err
    said = "left out, since they leave no room for a response: long.jsonl, row 41 (200 tokens)"
    assert said in result.out
    if not dry:
        counted = "problems left out, since no prompt can be made of them: 1 of long"
        assert counted in result.out
        evaluations = [record for record in records_of(example / "runs/long") if record["kind"] == "evaluation"]
        assert [record["left_out"] for record in evaluations] == [[1]] * len(evaluations)
        assert command("report", "runs/long", "--out", "long.html").code == 0
        assert counted in (example / "long.html").read_text()


@pytest.mark.parametrize("about", [{"data_source": "math-easy-test"}, {"task": "math"}])
def test_a_row_with_half_a_surrogate_pair_is_named_before_anything_is_played(
    command: RunCommand, about: dict[str, str], model_folder: Path, tmp_path: Path
) -> None:
    prompts = ("1+2 ", "1+2 \ud83d ")
    rows = [json.dumps({**about, "prompt": prompt, "ground_truth": {"target": "3"}}) for prompt in prompts]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    said = "rows.jsonl, row 2, column prompt: expected a text that can be encoded as UTF-8"
    checked = command("check", "--rows", tmp_path / "rows.jsonl")
    assert checked.code == 1
    assert said in checked.out
    refused = command("evaluate", "--agent", model_folder, "--rows", tmp_path / "rows.jsonl")
    assert refused.code == 2
    assert said in refused.err


def test_what_a_reward_of_ones_own_scored_is_stored_with_its_columns_and_scores_the_same_again(
    command: RunCommand, tmp_path: Path
) -> None:
    rows = [{"question": f"{w} backwards:", "word": w, "step": 7, "responses": "no"} for w in ("abc", "bca", "cab")]
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = ("--reward", "my_rewards:backwards")
    saved = tmp_path / "saved.jsonl"
    played = command(
        *("evaluate", "--agent", "hf:tiny", "--rows", tmp_path / "odd.jsonl", *own, "--max-new-tokens", 4),
        *("--save", saved, "--json", "--cache", tmp_path / "replies.sqlite"),
    )
    assert played.code == 0, played
    stored = [json.loads(line) for line in saved.read_text().splitlines()]
    assert {row["word"] for row in stored} == {"abc", "bca", "cab"}
    assert all("step" not in row and "responses" not in row for row in stored)
    again = command("score", "--rows", saved, *own, "--json")
    assert [json.loads(line)["reward"] for line in again.out.splitlines()] == [row["reward"] for row in stored]
