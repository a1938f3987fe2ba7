"""A page holds what it should, whatever was recorded and whatever a model wrote, and needs nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from comparisons import TASKS, make_comparison
from pages import CONFIG, HOSTILE, Parsed, parsed, write_run, write_samples

from mtgrpo_env.agents.reports.page.chart import Chart, Line, draw, style_of, value_range
from mtgrpo_env.agents.reports.page.content import PageContent, content_of_comparison, content_of_runs, read_run
from mtgrpo_env.agents.reports.page.document import page, write_page
from mtgrpo_env.agents.reports.page.markup import safe
from mtgrpo_env.agents.reports.points import Point

ADDRESS = re.compile(r"https?:|//|@import|url\(", re.IGNORECASE)
NAMESPACE = "http://www.w3.org/2000/svg"


def content_of(*folders: Path) -> PageContent:
    runs = [read_run(folder, lambda _, __: TASKS) for folder in folders]
    return content_of_runs(runs, thresholds=(0.5,), answer_of=lambda sample: sample.row["ground_truth"]["target"])


def page_of(*folders: Path) -> Parsed:
    return parsed(page(content_of(*folders)))


def headings(shown: Parsed) -> list[str]:
    return [text for text in shown.texts["h2"] if text]


def test_a_run_s_page_answers_every_question(tmp_path: Path) -> None:
    shown = page_of(write_run(tmp_path / "run"))
    assert headings(shown) == [
        "Held-out accuracy, and what it costs",
        "Task weights against realised shares",
        "What is generated",
        "Responses",
        "Steps: what they cost, and what the learner says",
        "Tasks",
        "Sample rollouts",
        "Settings",
    ]
    assert all(task in shown.text("ul") for task in TASKS)
    assert "made before runs kept samples" in shown.text("section")
    names = {line["data-name"] for line in shown.of("path", "line") if "data-name" in line}
    assert {*TASKS, "worst task", "average", "task weight", "share of tokens"} <= names


def test_the_numbers_at_a_glance_are_the_history_s(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    records = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    last = [record for record in records if record["kind"] == "evaluation"][-1]
    shown = page_of(run).text("dl")
    assert f"{100 * min(last['accuracies']):.1f} %" in shown
    assert f"{100 * np.mean(last['accuracies']):.1f} %" in shown
    assert f"{last['rollouts']:,}" in shown


def test_seeds_are_averaged_with_an_interval_and_methods_stand_side_by_side(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"{m}-{s}", method=m, seed=s) for m in ("mt-grpo", "dapo") for s in (0, 1, 2)]
    content = content_of(*runs)
    assert [(series.name, len(series.runs)) for series in content.series] == [("mt-grpo", 3), ("dapo", 3)]
    shown = parsed(page(content))
    assert "95 % bootstrap intervals of the mean over 3 seeds" in shown.text("p")
    assert shown.of("path", "band")
    assert {"At a glance", "At equal budgets", "Accuracy of every task"} <= set(headings(shown))
    assert "Sample rollouts" not in headings(shown)


def test_runs_are_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", lr=2e-4)
    second = write_run(tmp_path / "b", lr=4e-4, tolerance=0.05, steps=99)
    assert [series.name for series in content_of(first, second).series] == ["mt-grpo, lr 0.0002", "mt-grpo, lr 0.0004"]


def test_two_runs_of_one_seed_are_not_averaged(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name) for name in ("before", "after")]
    assert [series.name for series in content_of(*runs).series] == [f"mt-grpo ({run})" for run in runs]


def test_a_shorter_run_is_shown_as_far_as_it_went(tmp_path: Path) -> None:
    whole, cut = (write_run(tmp_path / str(seed), seed=seed) for seed in (0, 1))
    lines = (cut / "history.jsonl").read_text().splitlines(keepends=True)
    (cut / "history.jsonl").write_text("".join(lines[:13]))  # after step 10 and its evaluation
    content = content_of(whole, cut)
    assert [len(run.records) for run in content.series[0].even] == [10, 10]
    assert content.notes == (f"{cut} is not finished: step 10 of 20.",)
    assert parsed(page(content)).of("svg", "chart")


def test_a_run_that_was_only_evaluated_has_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "history.jsonl").write_text((run / "history.jsonl").read_text().splitlines(keepends=True)[0])
    assert "not recorded" in page_of(run).text("figure")


def test_what_old_histories_lack_is_said_to_be_not_recorded(tmp_path: Path) -> None:
    shown = page_of(write_run(tmp_path / "run", recorded=False))
    names = [line["data-name"] for line in shown.of("path", "line") if "data-name" in line]
    assert "share of prompts" in names
    assert "share of tokens" not in names
    assert "not recorded" in shown.text("figure")


RESPONSES = ("Length", "Cut off", "Entropy", "Groups of equal rewards", "Held out: length", "Held out: cut off")


def test_the_responses_of_a_run_have_a_chart_each_and_those_of_old_histories_none(tmp_path: Path) -> None:
    new, old = (page_of(write_run(tmp_path / str(recorded), recorded=recorded)) for recorded in (True, False))
    for title in RESPONSES:
        assert title in new.text("figcaption")
        assert title not in old.text("figcaption")


def test_a_run_that_learned_nothing_says_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    records = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    lines = [json.dumps({**record, "accepted": [0] * len(TASKS), "replayed": 0}) for record in records]
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n")
    assert "no model is the best, for no group of 20 steps was informative" in page_of(folder).text("p")


def test_what_old_histories_have_under_another_name_is_shown_under_today_s(tmp_path: Path) -> None:
    old, new = (write_run(tmp_path / name) for name in ("old", "new"))
    for run, name in ((old, "carried"), (new, "replayed")):
        records = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        lines = [json.dumps({**record, name: record["step"]}) for record in records]
        (run / "history.jsonl").write_text("\n".join(lines) + "\n")
    charts = [parsed(page(content_of(run))).of("path", "line") for run in (old, new)]
    assert charts[0] == charts[1]


def test_a_task_without_held_out_problems_is_left_out_of_the_worst(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    records = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    for record in records:
        if record["kind"] == "evaluation":
            record["accuracies"][2] = None
    (run / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    content = content_of(run)
    assert content.notes == ("1 of the tasks have no held-out problems; worst task and average are over the others.",)
    assert "nan" not in parsed(page(content)).text("main")


def test_a_comparison_s_page_shows_each_method_at_its_best_rate_and_what_is_missing() -> None:
    comparison = make_comparison(missing=[("dapo", Point.of(lr=4e-4), 1)])
    shown = parsed(page(content_of_comparison(comparison)))
    assert "$ mtgrpo compare --suite mini" in shown.text("pre")
    assert "dapo at lr 0.0004, seed 1" in shown.text("header")
    assert {"At equal budgets", "What a worst-task accuracy costs"} <= set(headings(shown))
    legend = [entry["data-name"] for entry in shown.of("li") if "data-name" in entry]
    assert legend[:3] == ["mt-grpo", "dapo", "grpo"]
    assert f"{20 * 768:,}" in shown.text("table")


def test_a_number_that_stands_twice_has_one_interval() -> None:
    shown = parsed(page(content_of_comparison(make_comparison())))
    cells = re.findall(r"(\d+\.\d) (\[\d+\.\d, \d+\.\d\])", shown.text("table"))
    intervals: dict[str, set[str]] = {}
    for mean, interval in cells:
        intervals.setdefault(mean, set()).add(interval)
    assert len(cells) > len(intervals)
    assert all(len(found) == 1 for found in intervals.values()), intervals


def test_a_comparison_without_a_run_has_no_page() -> None:
    nothing = make_comparison(methods=("dapo",), seeds=(0,), lrs=(4e-4,), missing=[("dapo", Point.of(lr=4e-4), 0)])
    with pytest.raises(ValueError, match="at least one finished run"):
        content_of_comparison(nothing)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_samples(run, HOSTILE)
    comparison = make_comparison(seeds=tuple(range(8)), lrs=(4e-4,))  # with enough seeds for resampling to matter
    for content in (content_of(run), content_of_comparison(comparison)):
        for name in ("a.html", "b.html"):
            write_page(content, tmp_path / name)
        assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_a_page_refers_to_nothing_outside_itself(tmp_path: Path, kind: str) -> None:
    content = content_of(write_run(tmp_path / "run")) if kind == "run" else content_of_comparison(make_comparison())
    text = page(content)
    shown = parsed(text)
    assert not [tag for tag, _ in shown.tags if tag in ("link", "img", "iframe", "object", "embed", "base", "use", "a")]
    assert not [one for _, one in shown.tags for name in one if name in ("src", "href", "xlink:href", "srcset")]
    assert not ADDRESS.search(text.replace(NAMESPACE, ""))
    (policy,) = [one["content"] for one in shown.of("meta") if "http-equiv" in one]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_what_a_model_wrote_is_shown_and_does_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_samples(run, HOSTILE)
    content = content_of(run)
    clean = parsed(page(content_of(write_run(tmp_path / "clean"))))
    text = page(content)
    shown = parsed(text)
    text.encode()  # half a character cannot be written
    assert len(shown.of("script")) == len(shown.of("style")) == 1
    assert {tag for tag, _ in shown.tags} - {tag for tag, _ in clean.tags} == {"article", "h3", "h4", "em"}
    assert not [name for _, one in shown.tags for name in one if name.startswith("on")]
    assert HOSTILE[0] in shown.text("pre")
    assert HOSTILE[1] in shown.text("pre")
    assert HOSTILE[4] in shown.text("pre")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\u2066\ud800]", text)
    assert "⟨U+202E⟩gnp.exe" in shown.text("pre")
    assert "96,000 of 100,000 characters are not shown" in shown.text("em")
    assert len(text) < 400_000


def test_names_from_files_are_as_hostile_as_responses(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", model=HOSTILE[3], tasks=[HOSTILE[1]])
    names = (HOSTILE[0], HOSTILE[3], "plain")
    folder = read_run(run, lambda _, __: names)
    shown = parsed(page(content_of_runs([folder], thresholds=(), answer_of=lambda _: None)))
    assert len(shown.of("script")) == 1
    assert not shown.of("img")
    assert HOSTILE[0] in shown.text("table")


def test_the_newest_evaluation_comes_first_and_the_worst_task_leads_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for step in (0, 20):
        for task in TASKS:
            write_samples(run, ["a response"], step=step, suite_task=task)
    shown = page_of(run)
    summaries = [text for text in shown.texts["summary"] if text.startswith("after")]
    assert summaries == ["after step 20", "after step 0"]
    assert [text.partition(":")[0] for text in shown.texts["h3"]][-3:] == ["arc-mini", "zebra-mini", "countdown-mini"]


def test_samples_of_training_stand_apart_and_say_which_were_cut_off(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_samples(run, ["held out"])
    row = json.loads((run / "samples.jsonl").read_text())
    row |= {"seen": ["<user>of training"], "ended": ["length"], "step": 19}
    (run / "training_samples.jsonl").write_text(json.dumps(row) + "\n")
    shown = page_of(run)
    assert [text for text in shown.texts["h2"] if text.startswith("Sample")] == [
        "Sample rollouts",
        "Sample rollouts of training",
    ]
    assert "<user>of training" in shown.texts["pre"]
    assert [text.endswith(", cut off") for text in shown.texts["p"] if "reward 0.1" in text] == [False, True]


@pytest.mark.parametrize("odd", [{"seen": "text"}, {"ended": [1]}])
def test_samples_with_odd_fields_are_refused(tmp_path: Path, odd: dict[str, object]) -> None:
    run = write_run(tmp_path / "run")
    write_samples(run, ["held out"])
    row = json.loads((run / "samples.jsonl").read_text())
    (run / "training_samples.jsonl").write_text(json.dumps(row | odd) + "\n")
    expected = rf"training_samples\.jsonl, line 1: expected {next(iter(odd))} to be a list of str"
    with pytest.raises(ValueError, match=expected):
        page_of(run)


def test_an_answer_that_is_not_known_is_the_ground_truth(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_samples(run, ["mine"])
    folder = read_run(run, lambda _, __: TASKS)
    shown = parsed(page(content_of_runs([folder], thresholds=(), answer_of=lambda _: None)))
    assert '{"target": "mine"}' in shown.text("pre")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no run: expected config\.yaml and history\.jsonl"):
        read_run(tmp_path, lambda _, __: TASKS)


def test_a_run_that_was_never_evaluated_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG))
    (tmp_path / "history.jsonl").write_text("")
    with pytest.raises(ValueError, match="has not been evaluated yet"):
        read_run(tmp_path, lambda _, __: TASKS)


def test_runs_of_different_tasks_are_refused(tmp_path: Path) -> None:
    first = read_run(write_run(tmp_path / "a"), lambda _, __: TASKS)
    second = read_run(write_run(tmp_path / "b"), lambda _, __: ("x", "y", "z"))
    with pytest.raises(ValueError, match=r"runs of the same tasks, got countdown-mini, .*a and x, y, z in .*b"):
        content_of_runs([first, second], thresholds=(), answer_of=lambda _: None)


def test_a_config_of_other_tasks_than_the_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its config names 1 tasks, its history has 3"):
        read_run(write_run(tmp_path / "run"), lambda _, __: ("one",))


def path_of(*values: float) -> str:
    line = Line("a", style_of(0), np.arange(float(len(values))), np.array(values))
    (drawn,) = parsed(draw(Chart("", "", (line,)), low=0, high=1)).of("path")
    return str(drawn["d"])


def test_a_line_leaves_a_gap_where_nothing_is_known() -> None:
    drawn = path_of(0.0, 1.0, float("nan"), 1.0)
    assert (drawn.count("M"), drawn.count("L")) == (2, 1)


def test_a_point_lies_where_its_value_is() -> None:
    assert path_of(0.0, 1.0) == "M44.0,212.0h0L388.0,10.0"


def test_twenty_four_lines_can_be_told_apart() -> None:
    assert len({style_of(i) for i in range(24)}) == 24


def test_an_axis_holds_the_intervals_too() -> None:
    line = Line("a", "", np.zeros(1), np.array([0.5]), np.array([-0.12]), np.array([0.83]))
    low, high = value_range([Chart("", "", (line,))])
    assert low <= -0.12
    assert high >= 0.83


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_that_was_made_safe_is_read_back_without_markup(text: str) -> None:
    shown = parsed(f"<p>{safe(text)}</p>")
    assert [tag for tag, _ in shown.tags] == ["p"]
