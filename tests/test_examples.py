"""Every example runs to its end and says something."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
ARGUMENTS = {
    "compare_methods": ["--steps", "6", "--figure", "methods.png"],
    "train_qwen": ["--dry-run"],
}


def run(example: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Run an example in a folder of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(example), *arguments])
    runpy.run_path(str(example), run_name="__main__")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs(
    example: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(example, ARGUMENTS.get(example.stem, []), monkeypatch, tmp_path)
    assert capsys.readouterr().out.count("\n") >= 3


def test_the_comparison_shows_every_method_asked_for_and_draws_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    example = next(path for path in EXAMPLES if path.stem == "compare_methods")
    methods = ["sequential-forward", "sec-dapo", "grpo"]
    run(example, ["--tasks", "3", "--steps", "4", "--methods", *methods], monkeypatch, tmp_path)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row[0] in methods] == methods
    assert (tmp_path / "runs" / "compare_methods.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("method", ["quota-mt-grpo", "mt-grpo-0.9", "mt-grpo@released"])
def test_the_plan_of_the_nine_task_experiment_names_its_tasks_and_sizes(
    method: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    example = next(path for path in EXAMPLES if path.stem == "train_qwen")
    run(example, ["--experiment", "nine", "--method", method, "--dry-run"], monkeypatch, tmp_path)
    printed = capsys.readouterr().out
    assert "256 prompts x 8 = 2,048 rollouts" in printed
    assert all(f"{name}-{level}" in printed for name in ("zebra", "arc") for level in ("easy", "medium", "hard"))
    assert not list(tmp_path.iterdir())
