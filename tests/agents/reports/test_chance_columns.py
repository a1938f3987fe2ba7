"""Chance in the history, in comparisons, on pages and in the table at the end of a run."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from comparisons import make_comparison, make_history, make_settings
from pages import CONFIG, parsed
from rich.console import Console

from mtgrpo_env.agents.display import result_table
from mtgrpo_env.agents.reports.chance_columns import MARK, footnote, is_near_chance, mean_chance
from mtgrpo_env.agents.reports.comparison import Comparison
from mtgrpo_env.agents.reports.comparison_table import comparison_markdown
from mtgrpo_env.agents.reports.history import RunHistory, chance_of, read_history
from mtgrpo_env.agents.reports.page.document import page
from mtgrpo_env.agents.reports.points import Point
from mtgrpo_env.agents.reports.statistics import share_interval
from mtgrpo_env.agents.reports.summary import summarise
from mtgrpo_env.chance import Chance
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.experiments.run_pages import page_content

CHANCE = Chance(np.array([0.25, 0.9, math.nan]), np.array([0.2, 0.0, math.nan]), ("always 7", "always 8", ""))


def same(left: Chance | None, right: Chance) -> bool:
    return left is not None and repr(left) == repr(right)


def test_the_history_keeps_the_chance_of_its_tasks(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    history = RunHistory(file, last_step=-1)
    assert chance_of(history.records) is None
    history.add_chance(CHANCE)
    assert "NaN" not in file.read_text()
    assert same(chance_of(read_history(file)), CHANCE)
    assert same(chance_of(RunHistory(file, last_step=0).records), CHANCE), "a run that is resumed measures no more"


def test_an_accuracy_is_above_chance_by_more_than_its_interval() -> None:
    assert is_near_chance(0.5, 100, 0.5)
    assert is_near_chance(0.3, 100, 0.5)
    assert not is_near_chance(0.61, 100, 0.5)
    assert is_near_chance(0.61, 20, 0.5)
    assert not is_near_chance(math.nan, 0, 0.5)
    assert not is_near_chance(0.5, 100, math.nan)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_interval_of_a_share_covers_it(share: float) -> None:
    rng = np.random.default_rng(0)
    for count in (10, 100):
        found = [share_interval(drawn / count, count) for drawn in rng.binomial(count, share, size=500).tolist()]
        covered = np.mean([one.low - 1e-9 <= share <= one.high + 1e-9 for one in found])
        assert covered >= 0.9


def test_the_table_at_the_end_shows_chance_and_marks_what_is_not_above_it(
    make_evaluation: Callable[..., Evaluation],
) -> None:
    start, end = make_evaluation(0.1, 0.9, 0.0), make_evaluation(0.3, 1.0, 0.5)
    table = result_table(("a", "b", "c"), start, end, rollouts=10, chance=CHANCE)
    stream = io.StringIO()
    Console(file=stream, width=200).print(table)
    lines = [line.split("│") for line in stream.getvalue().splitlines() if "│" in line]
    cells = {line[1].strip(): [cell.strip() for cell in line[2:-1]] for line in lines}
    assert cells["a"] == ["10.0%", f"30.0% {MARK}", "+20.0 points", "25.0%", "20.0%"]
    assert cells["b"] == ["90.0%", "100.0%", "+10.0 points", "90.0%", "0.0%"]
    assert cells["c"][-2:] == ["-", "-"]
    assert cells["worst task"] == ["0.0%", f"30.0% {MARK}", "+30.0 points", "25.0%", "20.0%"]
    assert str(table.caption).startswith("best constant: a always 7. ≈:")


def test_a_run_without_a_chance_has_dashes_and_no_footnote(make_evaluation: Callable[..., Evaluation]) -> None:
    evaluation = make_evaluation(0.1)
    assert result_table(("a",), evaluation, evaluation, rollouts=10).caption is None
    assert footnote({"a": Chance.unknown(1).of_task(0)}) == ""


def test_a_comparison_keeps_the_chance_of_its_runs(tmp_path: Path) -> None:
    made = make_comparison()
    assert "| guess |" not in comparison_markdown(made, summarise(made, np.random.default_rng(0)))
    known = Comparison(made.settings, [replace(run, chance=CHANCE) for run in made.runs])
    known.save(tmp_path)
    loaded = Comparison.load(tmp_path)
    assert all(same(run.chance, CHANCE) and run.problems == (100, 100, 100) for run in loaded.runs)
    text = comparison_markdown(loaded, summarise(loaded, np.random.default_rng(0)))
    assert "| guess | - | - | - | 25.0 | 90.0 | - |" in text
    assert "| best constant | - | - | - | 20.0 | 0.0 | - |" in text
    assert "best constant: countdown-mini always 7." in text


def test_a_page_shows_chance_and_marks_what_is_not_above_it(tmp_path: Path) -> None:
    records = make_history(make_settings(), "mt-grpo", Point.of(lr=4e-4), 0)
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG))
    chance = {"kind": "chance", "step": 0, "guess": [0.25, 0.95, None], "constant": [0.2, 0.0, None]}
    hostile = "always <script>"
    records = [chance | {"constant_names": [hostile, "", ""]}, *records]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    shown = parsed(page(page_content([tmp_path], thresholds=())))
    assert hostile in " ".join(shown.texts["p"])
    assert shown.texts["small"].count(MARK) == 1


def test_runs_of_which_one_has_no_chance_have_none_together() -> None:
    both = mean_chance([CHANCE, replace(CHANCE, guess=np.array([0.35, 0.9, math.nan]))])
    assert both is not None
    assert both.guess[0] == pytest.approx(0.3)
    assert mean_chance([CHANCE, None]) is None
    assert mean_chance([]) is None
