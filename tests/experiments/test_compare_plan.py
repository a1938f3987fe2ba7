"""The runs of a comparison: which there are, which may start, and what a terminal shows of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.experiments.compare_display import CompareDisplay
from mtgrpo_env.experiments.compare_plan import CompareOptions, may_start, plan_runs
from mtgrpo_env.experiments.jobs import Job


def test_one_method_or_seed_alone_is_a_list_of_one() -> None:
    options: Any = {"methods": "dapo", "seeds": 3, "lrs": 1e-3, "thresholds": 0.4}
    assert CompareOptions(**options) == CompareOptions(methods=("dapo",), seeds=(3,), lrs=(1e-3,), thresholds=(0.4,))


def test_every_method_gets_every_rate_and_seed_and_the_runs_of_a_seed_share_a_folder() -> None:
    options = CompareOptions(methods=("dapo", "grpo"), lrs=(2e-4, 8e-4), seeds=(3, 4))
    planned = plan_runs(TrainConfig(steps=5, eval_every=5, out=Path("there")).for_run(), options)
    assert [(run.config.method, run.config.lr, run.config.seed) for run in planned] == [
        (method, lr, seed) for seed in (3, 4) for lr in (2e-4, 8e-4) for method in ("dapo", "grpo")
    ]
    assert len({run.config.out for run in planned}) == len(planned)
    assert {run.config.out.parent for run in planned if run.config.seed == 3} == {Path("there/seed-3")}
    assert all((run.config.steps, run.config.eval_every) == (5, 5) for run in planned)
    assert planned[0].name == "dapo, lr 0.0002, seed 3"


def test_without_rates_the_configs_own_is_taken() -> None:
    planned = plan_runs(TrainConfig(lr=1e-3).for_run(), CompareOptions(methods=("dapo",), seeds=(0,)))
    assert [run.config.lr for run in planned] == [1e-3]


def test_a_method_is_given_the_options_that_it_takes() -> None:
    options = CompareOptions(methods=("quota-mt-grpo", "mt-grpo", "dapo"), seeds=(0,))
    planned = plan_runs(TrainConfig().for_run(), options, {"tolerance": 0.05, "reward_coef": 0.3})
    assert [run.config.method_options for run in planned] == [{"tolerance": 0.05}, {"reward_coef": 0.3}, {}]
    with pytest.raises(ValueError, match=r"weight_lr is no option of the methods \['dapo'\]"):
        plan_runs(TrainConfig().for_run(), CompareOptions(methods=("dapo",)), {"weight_lr": 1.0})


def test_a_recipe_of_ones_own_has_a_folder_that_any_file_system_holds() -> None:
    name = "mtgrpo_env.agents.recipes.paper:dapo"
    (own,) = plan_runs(TrainConfig(out=Path("there")).for_run(), CompareOptions(methods=(name,), seeds=(0,)))
    assert own.config.method == name
    assert own.config.out == Path("there/seed-0/mtgrpo_env.agents.recipes.paper-dapo-lr-0.0004")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"methods": ()}, r"methods must be at least one and all different, got \[\]"),
        ({"seeds": (1, 1)}, r"seeds must be at least one and all different, got \[1, 1\]"),
        ({"lrs": (1.0, 1.0)}, r"lrs must be at least one and all different, got \[1.0, 1.0\]"),
        ({"threads": 0}, "threads must be at least 1 and at most 10,000, got 0"),
    ],
)
def test_options_that_make_no_comparison_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CompareOptions(**options).check()


def test_one_run_of_a_seed_makes_the_starting_model_and_the_others_wait_for_it(tmp_path: Path) -> None:
    options = CompareOptions(methods=("dapo", "grpo"), seeds=(0, 1))
    planned = plan_runs(TrainConfig(out=tmp_path).for_run(), options)
    first, second, other_seed, _ = planned
    assert may_start(first, [], planned)
    assert not may_start(second, [first], planned)
    assert may_start(other_seed, [first], planned)
    first.config.out.mkdir(parents=True)
    first.folder.history.touch()  # which a run begins after it has found or made its start
    assert may_start(second, [first], planned)
    given = plan_runs(TrainConfig(out=tmp_path / "other", model="m").for_run(), options)
    assert may_start(given[1], given[:1], given)


def test_a_terminal_shows_what_is_going_on(tmp_path: Path) -> None:
    options = CompareOptions(methods=("mt-grpo", "dapo"), seeds=(0,))
    planned = plan_runs(TrainConfig(out=tmp_path, steps=20).for_run(), options)
    jobs = {Job(run.name, ("train",), run.folder.log): run for run in planned}
    first, second = jobs
    planned[0].config.out.mkdir(parents=True)
    records = [
        {"kind": "evaluation", "step": 0, "rollouts": 0, "accuracies": [0.5, 0.25, None], "counts": [4, 4, 0]},
        {"kind": "step", "step": 1, "rollouts": 1234},
    ]
    planned[0].folder.history.write_text("".join(json.dumps(record) + "\n" for record in records))
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with CompareDisplay(console, jobs, total=2, parallel=2) as display:
        display.show_running([first, second])
        display.show_end(second, error="Traceback\n[weird] last words")
        text = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    for shown in ("mt-grpo", "1/20", "25.0%", "1,234", "starting", "0 of 2 done", "[weird] last words"):
        assert shown in text, shown
