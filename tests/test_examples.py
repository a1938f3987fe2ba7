"""Every example runs to its end and says something."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.recipes import RunFacts, make_method
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.types import TaskStats

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
CONFIGS = sorted(FOLDER.rglob("*.yaml"))
ARGUMENTS = {
    "compare_methods": ["--steps", "6", "--figure", "methods.png"],
    "sb3_ppo": ["--steps", "2048", "--episodes", "1"],
    "train_qwen": ["--dry-run"],
}
NEEDS = {"sb3_ppo": "stable_baselines3"}
"""What no extra of ours brings."""


def run(example: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Run an example in a folder of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(example), *arguments])
    runpy.run_path(str(example), run_name="__main__")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_the_config_is_that_of_a_run(config: Path) -> None:
    given = yaml.safe_load(config.read_text("utf-8"))
    assert given
    assert TrainConfig.read(config).changed.keys() <= given.keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs(
    example: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if package := NEEDS.get(example.stem):
        pytest.importorskip(package, reason=f"the example needs {package}")
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


@pytest.mark.parametrize("name", ["own_method:exp3", "examples.own_method:exp3"])
def test_a_method_of_ones_own_is_made_by_name_and_comes_back_from_a_checkpoint(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = Path(__file__).parents[1]
    monkeypatch.syspath_prepend(root)
    monkeypatch.syspath_prepend(root / "examples")
    method = make_method(name, RunFacts(3, batch_size=8), exploration=0.3)
    np.testing.assert_allclose(method.task_weights.probabilities, 1 / 3)
    method.task_weights.update(TaskStats(np.zeros(3), np.zeros(3), np.array([0.9, np.nan, 0.1])))
    z = method.task_weights.probabilities
    assert z[0] > z[2] > z[1] > 0.1
    assert method.task_weights.hyperparameters["exploration"] == 0.3
    assert (np.abs(method.sampler.plan(z).targets - 8 * z) < 1).all()

    first, again = (MTGRPOAgent(toy_suite(3), policy="tabular", method=name, batch_size=8) for _ in range(2))
    first.train(2)
    first.save(tmp_path / "a")
    again.restore(tmp_path / "a")
    for each in (first, again):
        each.train(1)
    np.testing.assert_array_equal(first.curriculum.probabilities, again.curriculum.probabilities)
    with pytest.raises(ValueError, match=f"the method '{name}' is code of your own"):
        MTGRPOAgent.load(tmp_path / "a")


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
