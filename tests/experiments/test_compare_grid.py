"""The grid of a comparison, and which of its runs go on: decided by histories that a formula wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from comparisons import make_settings

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.reports.compared_runs import Settings
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.experiments.compare_grid import parsed_grid
from mtgrpo_env.experiments.compare_plan import CompareOptions, PlannedRun, plan_runs
from mtgrpo_env.experiments.compare_tuning import compared, halvings, reported, still_going

RATES = (1e-4, 2e-4, 4e-4, 8e-4, 1e-3)


def test_a_grid_has_values_of_the_options_types() -> None:
    grid = parsed_grid(
        ["optimizer.lr=1e-5,2", "group-size=4,8", "filter=reward", "activation_checkpointing=true,false"]
    )
    assert grid == {
        "lr": (1e-5, 2.0),
        "group_size": (4, 8),
        "filter": ("reward",),
        "activation_checkpointing": (True, False),
    }


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ("lr", "grid must be parts like lr=1e-5,2e-5, got 'lr'"),
        ("lr=", "grid must be parts like lr=1e-5,2e-5, got 'lr='"),
        ("lr=fast", "grid: lr must be a number, got 'fast'"),
        ("lr=1,1.0", "grid must have different values of lr, got '1,1.0'"),
        ("learning_rate=1", "grid: there is no option 'learning_rate'"),
        ("sampling.lr=1", "grid: there is no option 'sampling.lr'"),
        ("seed=1,2", "grid cannot hold seed: all runs of a comparison have it in common"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(part: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parsed_grid([part])


def test_an_option_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="grid must name an option once, got lr twice"):
        parsed_grid(["lr=1", "optimizer.lr=2"])


def test_every_method_tries_the_combinations_of_the_options_that_it_has() -> None:
    options = CompareOptions(methods=("quota-mt-grpo", "dapo"), seeds=(0,), grid=("lr=1e-4,2e-4", "max_replayed=0.5,1"))
    planned = plan_runs(TrainConfig(out=Path("there")).for_run(), options)
    points = [(run.config.method, str(run.point)) for run in planned]
    assert points[:2] == [("quota-mt-grpo", "lr 0.0001, max_replayed 0.5"), ("dapo", "lr 0.0001")]
    assert len(points) == 4 + 2
    assert {(run.config.lr, run.config.max_replayed) for run in planned if run.config.method == "dapo"} == {
        (1e-4, None),
        (2e-4, None),
    }
    assert planned[0].config.out == Path("there/seed-0/quota-mt-grpo-lr-0.0001-max_replayed-0.5")


def test_a_value_that_no_run_may_have_is_refused_by_its_name() -> None:
    config = TrainConfig().for_run()
    with pytest.raises(ValueError, match="group_size must be at least 2, got 1"):
        plan_runs(config, CompareOptions(methods=("dapo",), grid=("group_size=1,8",)))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tuning_seeds": (0,)}, r"tuning_seeds must be other than seeds, which are reported: \[0\] are in both"),
        ({"tuning_seeds": (7, 7)}, "tuning_seeds must be at least one and all different"),
        ({"halve_at": (5,)}, "halve_at needs tuning_seeds"),
        ({"grid": ("colour=red",)}, "there is no option 'colour'"),
    ],
)
def test_options_that_make_no_choice_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CompareOptions(**options).check()


@pytest.mark.parametrize("step", [0, 3, 20])
def test_runs_are_stopped_where_they_are_evaluated_and_before_their_end(step: int) -> None:
    options = CompareOptions(tuning_seeds=(7,), halve_at=(step,))
    with pytest.raises(ValueError, match=f"halve_at must be multiples of eval_every, 5, below steps, 20, got {step}"):
        options.halving_steps(TrainConfig(steps=20, eval_every=5).for_run())


def planned_runs(out: Path) -> tuple[Settings, list[PlannedRun]]:
    """Five rates of one method on two tuning seeds and one that is reported, halved after 5 and 10 of 20 steps."""
    options = CompareOptions(methods=("dapo",), lrs=RATES, tuning_seeds=(0, 1), seeds=(2,), halve_at=(5, 10))
    config = TrainConfig(out=out, steps=20, eval_every=5).for_run()
    planned = plan_runs(config, options, seeds=(0, 1, 2))
    points = {"dapo": tuple(Point.of(lr=lr) for lr in RATES)}
    changed: dict[str, Any] = {"points": points, "tuning_seeds": (0, 1), "seeds": (2,), "halve_at": (5, 10)}
    return make_settings(methods=("dapo",), **changed), planned


def write_history(run: PlannedRun, last: int, *, better_later: Sequence[float] = ()) -> None:
    """Accuracies that rise with the rate, but for those that only do so after step 5."""
    rate = 1000 * run.config.lr
    records: list[dict[str, Any]] = []
    for step in range(last + 1):
        if step:
            records.append({"kind": "step", "step": step, "rollout_seconds": 1.0, "update_seconds": 1.0, "replayed": 0})
        if step % 5 == 0:
            late = run.config.lr in better_later and step > 5
            accuracy = min(1.0, step / 20 * (1.0 if late else rate))
            counts = {"accuracies": [accuracy] * 3, "counts": [100] * 3, "rollouts": step}
            records.append({"kind": "evaluation", "step": step, **counts})
    run.folder.path.mkdir(parents=True, exist_ok=True)
    run.folder.history.write_text("".join(json.dumps(record) + "\n" for record in records))


def rates(runs: Sequence[PlannedRun]) -> set[float]:
    return {run.config.lr for run in runs}


def test_the_better_half_goes_on_at_each_step_and_the_best_is_reported(tmp_path: Path) -> None:
    settings, planned = planned_runs(tmp_path)
    tuning = [run for run in planned if run.config.seed != 2]
    assert still_going(settings, planned, up_to=0) == tuning
    for run in tuning:
        write_history(run, 7)  # stopped a little after its step
    assert rates(still_going(settings, planned, up_to=1)) == {4e-4, 8e-4, 1e-3}
    said = "dapo: after step 5 3 of 5 points go on: lr 0.001; lr 0.0008; lr 0.0004"
    assert list(halvings(settings, planned, up_to=1)) == [said]
    for run in still_going(settings, planned, up_to=1):
        write_history(run, 12)
    assert rates(still_going(settings, planned, up_to=2)) == {8e-4, 1e-3}
    for run in still_going(settings, planned, up_to=2):
        write_history(run, 20)
    (best,) = reported(settings, planned)
    assert (best.config.lr, best.config.seed) == (1e-3, 2)
    write_history(best, 20)
    comparison = compared(settings, planned)
    lengths = {run.point.values["lr"]: run.costs["steps"][-1] for run in comparison.runs if run.seed == 0}
    assert lengths == {1e-4: 5, 2e-4: 5, 4e-4: 10, 8e-4: 20, 1e-3: 20}
    assert comparison.missing == []
    assert [run.seed for run in comparison.chosen("dapo")] == [2]


def test_a_decision_rests_on_what_was_known_at_its_step_alone(tmp_path: Path) -> None:
    """A run that went on a little before it was stopped, and turned out well, is still out when the rest is resumed."""
    settings, planned = planned_runs(tmp_path)
    for run in planned:
        write_history(run, 20, better_later=(1e-4,))
    assert 1e-4 not in rates(still_going(settings, planned, up_to=1))
    (lost,) = [run for run in compared(settings, planned).runs if run.seed == 0 and run.point == Point.of(lr=1e-4)]
    assert lost.costs["steps"].tolist() == [0, 5]


def test_a_point_of_which_a_run_failed_loses(tmp_path: Path) -> None:
    settings, planned = planned_runs(tmp_path)
    for run in planned:
        if (run.config.lr, run.config.seed) != (1e-3, 1):
            write_history(run, 7)
    assert rates(still_going(settings, planned, up_to=1)) == {2e-4, 4e-4, 8e-4}
    one_of_two = replace(settings, halve_at=())
    assert compared(one_of_two, planned).ranking("dapo") == []  # nothing has reached the end
