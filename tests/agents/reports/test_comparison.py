"""Comparisons: fair budgets, rates tuned alike, and files from which everything can be drawn again."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from comparisons import TASKS, make_comparison, make_history, make_run, make_settings

from mtgrpo_env.agents.reports.compared_runs import COSTS, run_of_history
from mtgrpo_env.agents.reports.comparison import Budget, Comparison, per_step
from mtgrpo_env.agents.reports.comparison_report import FIGURES, write_report
from mtgrpo_env.agents.reports.comparison_table import comparison_markdown
from mtgrpo_env.agents.reports.figure_style import color, line_style
from mtgrpo_env.agents.reports.figure_tasks import draw_heat_map
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.agents.reports.summary import summarise
from mtgrpo_env.agents.reports.task_statistics import overall_numbers

NINE = tuple(f"{name}-{level}" for name in ("countdown", "zebra", "arc") for level in ("easy", "medium", "hard"))

SLOW, FAST = Point.of(lr=2e-4), Point.of(lr=4e-4)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return make_comparison()


def test_seconds_are_those_of_training_until_the_evaluation() -> None:
    settings = make_settings()
    run = make_run(settings, "dapo", SLOW, 0)
    assert run.costs["steps"].tolist() == [0, 5, 10, 15, 20]
    assert run.costs["seconds"] == pytest.approx(0.75 * run.costs["steps"])
    assert run.costs["rollouts"] == pytest.approx(384 * run.costs["steps"])


def test_a_run_that_went_on_beyond_the_horizon_is_cut_there() -> None:
    settings = make_settings()
    history = make_history(settings, "dapo", SLOW, 0)
    whole, cut = (run_of_history(history, method="dapo", point=SLOW, seed=0, num_steps=n) for n in (20, 10))
    assert cut.costs["steps"].tolist() == [0, 5, 10]
    assert cut.costs["seconds"].tolist() == whole.costs["seconds"][:3].tolist()
    assert len(cut.records) == 10


def test_every_method_can_afford_the_equal_budgets(comparison: Comparison) -> None:
    assert [budget.cost for budget in comparison.budgets] == list(COSTS)
    for cost, amount in comparison.budgets:
        assert amount == min(run.costs[cost][-1] for method in comparison.tuned for run in comparison.chosen(method))
    assert comparison.horizon == 20


def test_methods_are_compared_at_the_horizon_and_at_the_end() -> None:
    comparison = make_comparison(horizon=10)
    assert comparison.budgets[:2] == (("steps", 10), ("steps", 20))
    summary = summarise(comparison, np.random.default_rng(0))
    for budget, evaluation in zip(comparison.budgets[:2], (2, 4), strict=True):
        worst = [run.worst[evaluation] for run in comparison.chosen("dapo")]
        assert summary.scores["dapo", "worst", budget].mean == pytest.approx(np.mean(worst))
    text = comparison_markdown(comparison, summary)
    assert "The horizon, chosen before the runs were made, is step 10;" in text
    assert text.index("## At equal training steps: 10") < text.index("## At equal training steps: 20")


def test_the_table_of_tasks_adds_up(comparison: Comparison) -> None:
    text = comparison_markdown(comparison, summarise(comparison, np.random.default_rng(0)))
    rows = [line.strip("| ").split(" | ") for line in text.split("## Tasks")[1].splitlines() if "-mini" in line]
    assert [(row[0], row[1]) for row in rows] == [(method, task) for method in comparison.tuned for task in TASKS]
    assert r"share of Σ\|advantage\| |" in text, "a bar inside a cell would end it"
    for column in range(4, 8):  # the weight and three shares
        assert sum(float(row[column]) for row in rows[:3]) == pytest.approx(100, abs=0.2)
    steps = [record for run in comparison.chosen("mt-grpo") for record in run.records]
    totals = {name: np.sum([record[name] for record in steps], axis=0) for name in ("accepted", "generated", "kept")}
    assert float(rows[2][3]) == pytest.approx(100 * (1 - totals["accepted"][2] / totals["generated"][2]), abs=0.06)
    assert float(rows[2][5]) == pytest.approx(100 * totals["kept"][2] / totals["kept"].sum(), abs=0.06)


def test_each_method_is_shown_at_the_rate_with_the_largest_area(comparison: Comparison) -> None:
    for method, best in comparison.tuned.items():
        areas = {point: comparison.area(method, point) for point in comparison.settings.points[method]}
        assert areas[best] == max(areas.values())
        assert {run.point for run in comparison.chosen(method)} == {best}


def test_a_point_that_spends_more_on_a_step_may_win_by_steps_and_lose_by_rollouts() -> None:
    settings = make_settings(methods=("dapo",))
    early, dear = (replace(make_run(settings, "dapo", point, 0), seed=0) for point in (SLOW, FAST))
    dear = replace(dear, costs={**dear.costs, "rollouts": 50 * dear.costs["rollouts"]})
    for choose_by, best in (("steps", FAST), ("rollouts", SLOW)):
        chosen_by = make_settings(methods=("dapo",), seeds=(0,), choose_by=choose_by)
        comparison = Comparison(chosen_by, [early, dear])
        assert comparison.ranking("dapo")[0] == best
        text = comparison_markdown(comparison, summarise(comparison, np.random.default_rng(0)))
        assert f"averaged over the {choose_by} that all of a method's points spent" in text


def test_both_crossings_are_reported(comparison: Comparison) -> None:
    text = comparison_markdown(comparison, summarise(comparison, np.random.default_rng(0)))
    rows = [line.strip("| ").split(" | ") for line in text.split("## Cost of 50%")[1].splitlines() if "| 50% |" in line]
    methods = [*comparison.tuned, *(f"{comparison.first} / {other}" for other in list(comparison.tuned)[1:])]
    assert [(row[0], row[2]) for row in rows] == [(name, kind) for name in methods for kind in ("first", "smoothed")]


def test_a_rate_at_which_a_seed_failed_loses_to_one_at_which_none_did() -> None:
    assert make_comparison().tuned["dapo"] == FAST
    comparison = make_comparison(missing=[("dapo", FAST, 1)])
    assert comparison.tuned["dapo"] == SLOW
    assert comparison.missing == [("dapo", FAST, 1)]


def test_a_point_is_chosen_on_the_tuning_seeds_and_reported_on_the_others() -> None:
    comparison = make_comparison(tuning_seeds=(0, 1), seeds=(2, 3, 4))
    for method in comparison.settings.methods:
        tried = [run for point in (SLOW, FAST) for run in comparison.tried(method, point)]
        assert {run.seed for run in tried} == {0, 1}
        assert [run.seed for run in comparison.chosen(method)] == [2, 3, 4]
    text = comparison_markdown(comparison, summarise(comparison, np.random.default_rng(0)))
    assert "chosen on seeds 0 and 1, not among those that are reported" in text
    assert "3 methods, 3 seeds, 20 steps" in text


def test_what_was_tuned_but_never_run_on_a_reported_seed_is_missing_and_not_shown() -> None:
    reported = [("dapo", point, seed) for point in (SLOW, FAST) for seed in (2, 3)]
    comparison = make_comparison(tuning_seeds=(0,), seeds=(2, 3), missing=reported)
    assert list(comparison.tuned) == ["mt-grpo", "grpo"]
    assert comparison.missing == [("dapo", comparison.ranking("dapo")[0], seed) for seed in (2, 3)]


def test_a_run_that_was_stopped_is_shown_with_its_steps_and_never_chosen() -> None:
    settings = make_settings(tuning_seeds=(0, 1), seeds=(2,), halve_at=(10,))
    whole = make_comparison(tuning_seeds=(0, 1), seeds=(2,)).runs
    histories = {seed: make_history(settings, "dapo", FAST, seed) for seed in (0, 1)}
    stopped = [
        run_of_history(records, method="dapo", point=FAST, seed=seed, num_steps=10)
        for seed, records in histories.items()
    ]
    others = [run for run in whole if (run.method, run.point, run.seed) not in {("dapo", FAST, 0), ("dapo", FAST, 1)}]
    others.append(make_run(settings, "dapo", SLOW, 2))
    comparison = Comparison(settings, [*others, *stopped])
    assert comparison.ranking("dapo") == [SLOW, FAST]  # though FAST is better as far as it went
    text = comparison_markdown(comparison, summarise(comparison, np.random.default_rng(0)))
    assert "after step 10 only the better half of a method's points, rounded up, went on" in text
    assert re.search(r"\| dapo \| lr 0.0004 \| \d+\.\d \| - \| 10 \| 2 of 2 \|", text)


def test_points_of_several_options_survive_their_files(tmp_path: Path) -> None:
    points = tuple(Point.of(lr=lr, max_replayed=share) for lr in (2e-4, 4e-4) for share in (0.5, 1.0))
    own = {"mt-grpo": points, "dapo": (SLOW, FAST), "grpo": (SLOW, FAST)}
    comparison = make_comparison(points=own)
    comparison.save(tmp_path)
    line = json.loads((tmp_path / "results.jsonl").read_text().splitlines()[0])
    assert (line["lr"], line["options"]) == (2e-4, {"max_replayed": 0.5})
    loaded = Comparison.load(tmp_path)
    assert loaded.settings == comparison.settings
    assert [(run.method, run.point) for run in loaded.runs] == [(run.method, run.point) for run in comparison.runs]
    text = comparison_markdown(loaded, summarise(loaded, np.random.default_rng(0)))
    assert "the same grid (lr 0.0002, 0.0004; max_replayed 0.5, 1), of which it has the options that it takes" in text


def test_a_folder_of_an_earlier_version_is_loaded_and_reported_alike(tmp_path: Path) -> None:
    """Every method then had the same learning rates, under one name."""
    comparison = make_comparison()
    comparison.save(tmp_path)
    file = tmp_path / "compare.json"
    settings = json.loads(file.read_text())
    for name in ("points", "clock", "tuning_seeds", "halve_at"):
        del settings[name]
    file.write_text(json.dumps(settings | {"lrs": [2e-4, 4e-4]}))
    texts = [
        comparison_markdown(one, summarise(one, np.random.default_rng(0)))
        for one in (comparison, Comparison.load(tmp_path))
    ]
    assert texts[0] == texts[1]


def test_the_base_changes_by_nothing_relative_to_itself(comparison: Comparison) -> None:
    for budget in comparison.budgets:
        scores = comparison.scores(comparison.chosen("dapo"), "relative", budget)
        assert scores == pytest.approx(np.zeros(3))


def test_the_relative_change_is_against_the_base_of_the_same_seed_at_the_same_budget(comparison: Comparison) -> None:
    own, base = (comparison.chosen(method)[1].at("rollouts", 1000.0) for method in ("grpo", "dapo"))
    found = comparison.scores(comparison.chosen("grpo")[1:2], "relative", Budget("rollouts", 1000.0))
    assert found[0] == pytest.approx(100 * np.mean(own / base - 1))


def test_without_the_base_no_relative_change_is_known() -> None:
    comparison = make_comparison(methods=("mt-grpo", "grpo"))
    assert np.isnan(comparison.scores(comparison.chosen("grpo"), "relative", Budget("steps", 20.0))).all()
    summary = summarise(comparison, np.random.default_rng(0))
    assert "| - |" in comparison_markdown(comparison, summary)


def test_differences_are_paired_over_the_seeds_that_both_methods_have() -> None:
    missing = [("dapo", point, 0) for point in (SLOW, FAST)]
    comparison = make_comparison(missing=missing)
    difference = summarise(comparison, np.random.default_rng(0)).differences["dapo", "worst", comparison.budgets[0]]
    own, base = ({run.seed: run.worst[-1] for run in comparison.chosen(m)} for m in ("mt-grpo", "dapo"))
    assert difference.mean == pytest.approx(np.mean([own[seed] - base[seed] for seed in (1, 2)]))


def test_a_summary_is_the_same_every_time(comparison: Comparison) -> None:
    texts = [comparison_markdown(comparison, summarise(comparison, np.random.default_rng(0))) for _ in range(2)]
    assert texts[0] == texts[1]


def test_results_have_a_tidy_line_for_each_evaluation_and_steps_one_for_each_step(
    comparison: Comparison, tmp_path: Path
) -> None:
    comparison.save(tmp_path)
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    steps = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert (len(results), len(steps)) == (3 * 2 * 3 * 5, 3 * 2 * 3 * 20)
    line = results[9]
    assert (line["method"], line["lr"], line["seed"], line["step"]) == ("mt-grpo", 2e-4, 1, 20)
    assert line["worst"] == min(line["accuracies"].values())
    assert tuple(line["accuracies"]) == TASKS
    assert steps[0]["kept"] == comparison.runs[0].records[0]["kept"]


def test_what_was_saved_is_loaded_and_reported_alike(comparison: Comparison, tmp_path: Path) -> None:
    comparison.save(tmp_path)
    loaded = Comparison.load(tmp_path)
    assert loaded.settings == comparison.settings
    assert loaded.tuned == comparison.tuned
    assert loaded.budgets == comparison.budgets
    texts = [comparison_markdown(one, summarise(one, np.random.default_rng(0))) for one in (comparison, loaded)]
    assert texts[0] == texts[1]


def test_tasks_that_were_not_played_survive_the_files(tmp_path: Path) -> None:
    settings = make_settings(methods=("grpo",), lrs=(2e-4,), seeds=(0,))
    history = make_history(settings, "grpo", SLOW, 0)
    history[0]["accuracies"][1] = None
    run = run_of_history(history, method="grpo", point=SLOW, seed=0, num_steps=20)
    Comparison(settings, [run]).save(tmp_path)
    (loaded,) = Comparison.load(tmp_path).runs
    assert math.isnan(loaded.accuracies[0, 1])
    assert np.array_equal(loaded.accuracies, run.accuracies, equal_nan=True)


def test_seconds_are_those_of_the_clock_that_the_settings_name() -> None:
    settings = make_settings(methods=("grpo",), lrs=(2e-4,), seeds=(0,), clock="cpu")
    history, named = make_history(settings, "grpo", SLOW, 0), {"method": "grpo", "point": SLOW, "seed": 0}
    by_clock = {clock: run_of_history(history, **named, num_steps=20, clock=clock) for clock in ("wall", "cpu")}
    assert by_clock["wall"].costs["seconds"][1] == pytest.approx(5 * (0.5 + 0.5))
    assert by_clock["cpu"].costs["seconds"].tolist() == [0, 15, 30, 45, 60]
    comparison = Comparison(settings, [by_clock["cpu"]])
    assert "## At equal CPU seconds of training: 60" in comparison_markdown(
        comparison, summarise(comparison, np.random.default_rng(0))
    )


def test_a_folder_without_a_comparison_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no compare\.json"):
        Comparison.load(tmp_path)


def test_the_report_names_its_command_budgets_rates_and_what_is_missing() -> None:
    comparison = make_comparison(missing=[("grpo", SLOW, 2)])
    text = comparison_markdown(comparison, summarise(comparison, np.random.default_rng(0)), figures=["a.png"])
    assert "`mtgrpo compare --suite mini`" in text
    assert "20 steps, 5,120 generated rollouts, 13 seconds" in text
    assert "**Missing runs (1):** grpo at lr 0.0002, seed 2." in text
    assert "| mt-grpo − dapo |" in text
    assert "![a.png](a.png)" in text
    rows = [line for line in text.splitlines() if line.startswith("| grpo | ") and " of 3 |" in line and "lr " in line]
    assert [row.endswith("| 2 of 3 |") for row in rows] == [True, False]
    assert "**lr 0.0004**" in rows[1]


def test_a_threshold_that_is_not_reached_is_known_only_to_cost_more() -> None:
    comparison = make_comparison(thresholds=(0.1, 0.99))
    text = comparison_markdown(comparison, summarise(comparison, np.random.default_rng(0)))
    assert "| dapo | 99% | first | 0 of 3 | > 20 | > 7,680 | > 15 |" in text
    assert "| dapo | 10% | smoothed | 3 of 3 |" in text


def test_nothing_finished_is_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one finished run"):
        write_report(Comparison(make_settings(), []), tmp_path, rng=np.random.default_rng(0))


def test_a_field_that_older_runs_lack_is_not_known(comparison: Comparison) -> None:
    runs = comparison.chosen("dapo")
    assert per_step(runs, "kept") == pytest.approx(np.mean([[r["kept"] for r in run.records] for run in runs], axis=0))
    assert per_step(make_comparison(recorded=False).chosen("dapo"), "actions") is None


def test_shares_count_what_was_trained_on_by_its_weight_in_the_loss(comparison: Comparison) -> None:
    run = comparison.chosen("dapo")[0]
    weighted = replace(run, records=[{**record, "loss_weights": [2.0, 1.0, 0.0]} for record in run.records])
    kept = np.sum([record["kept"] for record in run.records], axis=0)
    expected = kept * [2, 1, 0] / (kept * [2, 1, 0]).sum()
    assert overall_numbers([weighted])["prompt_share"] == pytest.approx(expected)
    assert overall_numbers([run])["prompt_share"] == pytest.approx(kept / kept.sum())


@pytest.mark.parametrize(
    "changed",
    [
        {"tasks": NINE, "methods": ("mt-grpo", "dapo"), "seeds": (0, 1), "lrs": (1e-3,)},
        {"tasks": ("only",), "methods": ("grpo",), "seeds": (0,), "lrs": (1e-3,), "recorded": False},
    ],
)
def test_every_figure_is_a_picture_and_nothing_else_is_left(changed: dict[str, Any], tmp_path: Path) -> None:
    write_report(make_comparison(**changed), tmp_path, rng=np.random.default_rng(0))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FIGURES, "results.md"])
    for name in FIGURES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert matplotlib.image.imread(tmp_path / name)[..., :3].std() > 0.01, name


def test_levels_of_tasks_are_columns_and_a_method_has_a_panel(tmp_path: Path) -> None:
    shapes = {}
    for tasks in (NINE, TASKS):
        draw_heat_map(make_comparison(tasks=tasks), tmp_path / "map.png")
        height, width = matplotlib.image.imread(tmp_path / "map.png").shape[:2]
        shapes[tasks] = width / height
    assert shapes[NINE] > 2 > shapes[TASKS], "three panels beside each other, or one"


def test_colours_do_not_repeat_below_20_tasks_nor_styles_below_60() -> None:
    assert len({color(k) for k in range(20)}) == 20
    assert len({tuple(line_style(k).values()) for k in range(30)}) == 30
