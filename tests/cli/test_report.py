"""`mtgrpo report`: a page of what is in a folder, in a real browser too; and the samples that a run keeps for it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comparisons import make_comparison
from pages import HOSTILE, parsed, write_run, write_samples
from training_runs import TASKS, assert_same_run, train

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.reports.samples import PER_VERDICT, RolloutSample, read_samples
from mtgrpo_env.cli import main

RunCommand = Callable[..., Any]
Refused = Callable[..., str]

SAMPLE_FILES = ("samples.jsonl", "training_samples.jsonl")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def finished(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run that nothing interrupted."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main([str(argument) for argument in train(out, model_folder)]) == 0
    return out


def test_a_run_a_pair_and_a_comparison_have_pages(command: RunCommand, tmp_path: Path) -> None:
    one, other = (write_run(tmp_path / str(seed), seed=seed) for seed in (0, 1))
    compared = tmp_path / "compared"
    compared.mkdir()
    make_comparison().save(compared)
    for i, folders in enumerate(([one], [one, other], [compared])):
        page = tmp_path / "pages" / f"{i}.html"
        result = command("report", *folders, "--out", page)
        assert (result.code, result.out, result.err) == (0, f"report {page}\n", "")
        assert parsed(page.read_text()).of("svg", "chart")


def test_a_page_that_cannot_be_written_is_named_before_anything_is_read(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file" / "x.html", tmp_path / "file" / "x" / "x.html"):
        assert "expected a f" in refused("report", tmp_path / "none", "--out", out)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_that_is_named_twice_is_shown_once(command: RunCommand, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", seed=0)
    pages = [tmp_path / "once.html", tmp_path / "twice.html"]
    for page, folders in zip(pages, ([run], [run, run / ".." / "run"]), strict=True):
        assert command("report", *folders, "--out", page).code == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_the_tasks_of_rows_are_those_of_the_checkpoint(command: RunCommand, tmp_path: Path) -> None:
    """The files may have gone."""
    run = write_run(tmp_path / "run", tasks=["gone.parquet"])
    names = ["algebra", "geometry", "number <theory>"]
    checkpoint = run / "checkpoints" / "step-000020"
    checkpoint.mkdir(parents=True)
    (checkpoint / "agent.json").write_text(json.dumps({"hyperparameters": {"tasks": names}}))
    assert command("report", run, "--out", tmp_path / "page.html").code == 0
    assert all(name in parsed((tmp_path / "page.html").read_text()).text("ul") for name in names)


def test_what_is_no_run_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert "is no run: expected config.yaml and history.jsonl" in refused("report", tmp_path)
    assert "got none" in refused("report")


def test_runs_of_different_tasks_are_refused(refused: Refused, tmp_path: Path) -> None:
    one = write_run(tmp_path / "one")
    other = write_run(tmp_path / "other", tasks=["countdown-mini", "zebra-mini", "zebra-mini_hard"])
    assert "expected runs of the same tasks" in refused("report", one, other)


def test_a_comparison_has_a_page_to_itself(refused: Refused, tmp_path: Path) -> None:
    make_comparison().save(tmp_path)
    assert "is a comparison" in refused("report", tmp_path, write_run(tmp_path / "run"))


def test_a_comparison_of_another_version_is_named(refused: Refused, tmp_path: Path) -> None:
    make_comparison().save(tmp_path)
    settings = json.loads((tmp_path / "compare.json").read_text())
    settings["threshold"] = settings.pop("thresholds")
    (tmp_path / "compare.json").write_text(json.dumps(settings))
    assert "made by another version" in refused("report", tmp_path)


def test_a_run_keeps_samples_of_every_evaluation_that_are_judged_the_same_again(
    command: RunCommand, finished: Path
) -> None:
    samples = read_samples(finished / "samples.jsonl")
    assert list(dict.fromkeys(sample.step for sample in samples)) == [0, 3, 6, 7]
    assert {sample.suite_task for sample in samples} == set(TASKS)
    counts = {(one.step, one.suite_task, one.is_success): 0 for one in samples}
    for one in samples:
        counts[one.step, one.suite_task, one.is_success] += 1
    assert max(counts.values()) == PER_VERDICT
    assert {one.is_success for one in samples} == {True, False}
    result = command("score", "--rows", finished / "samples.jsonl", "--json")
    verdicts = [json.loads(line) for line in result.out.splitlines()]
    names = ("reward", "is_success", "outcome", "ground_truth")
    assert [{name: verdict[name] for name in names} for verdict in verdicts] == [
        {name: one.row[name] for name in names} for one in samples
    ]


def test_a_run_keeps_samples_of_training_as_the_model_saw_them(command: RunCommand, finished: Path) -> None:
    samples = read_samples(finished / "training_samples.jsonl")
    assert list(dict.fromkeys(sample.step for sample in samples)) == [1, 3, 6, 7]
    assert {sample.suite_task for sample in samples} == set(TASKS)
    assert all(sample.prompt in sample.seen[0] for sample in samples)
    assert {ended for sample in samples for ended in sample.row["ended"]} <= {"stop", "length"}
    result = command("score", "--rows", finished / "training_samples.jsonl", "--json")
    verdicts = [json.loads(line)["is_success"] for line in result.out.splitlines()]
    assert verdicts == [sample.is_success for sample in samples]


@pytest.mark.parametrize("truncated", ["penalty", "mask"])
def test_a_training_sample_has_the_reward_that_was_trained_on(
    truncated: str, model_folder: Path, tmp_path: Path
) -> None:
    options = ("--truncated", truncated, "--max-new-tokens", 6, "--steps", 1)
    assert main([str(argument) for argument in train(tmp_path / "run", model_folder, *options)]) == 0
    rows = [sample.row for sample in read_samples(tmp_path / "run" / "training_samples.jsonl")]
    cut = [row for row in rows if row["ended"] == ["length"]]
    assert cut
    for row in cut:
        assert row["trained_reward"] == (row["reward"] - 1 if truncated == "penalty" else None)
    assert all(row["trained_reward"] <= row["reward"] for row in rows if row not in cut)


def test_keeping_samples_changes_no_run(
    model_folder: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RolloutSample, "add", lambda *_: None)
    assert main([str(argument) for argument in train(tmp_path / "run", model_folder)]) == 0
    for name in SAMPLE_FILES:
        assert read_samples(tmp_path / "run" / name) == []
    assert_same_run(tmp_path / "run", finished)


def test_a_run_that_goes_on_from_a_checkpoint_keeps_the_samples_it_would_have(
    model_folder: Path, finished: Path, tmp_path: Path
) -> None:
    resumed = tmp_path / "run"
    shutil.copytree(finished, resumed)
    for step in (6, 7):
        shutil.rmtree(resumed / "checkpoints" / f"step-{step:06d}")
    assert not (resumed / "checkpoints" / "step-000007").exists()
    assert main([str(argument) for argument in train(resumed, model_folder)]) == 0
    for name in SAMPLE_FILES:
        assert (resumed / name).read_bytes() == (finished / name).read_bytes()


def test_a_real_run_s_page_shows_prompts_verdicts_and_right_answers(
    command: RunCommand, finished: Path, tmp_path: Path
) -> None:
    assert command("report", finished, "--out", tmp_path / "page.html").code == 0
    shown = parsed((tmp_path / "page.html").read_text())
    samples = [sample for name in SAMPLE_FILES for sample in read_samples(finished / name)]
    assert len(shown.of("article")) == len(samples)
    assert len(shown.of("article", "right")) == sum(sample.is_success for sample in samples)
    assert all(sample.seen[0] in shown.text("pre") for sample in samples)
    assert shown.texts["h4"].count("prompt as the model saw it") == len(samples)
    assert shown.texts["h4"].count("a right answer") == len(samples)


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The page in a browser without a network."""
    assert BROWSER is not None
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking"]
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    line = [BROWSER, *quiet, *offline, profile, *options, page.as_uri()]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)


@needs_browser
def test_a_browser_without_a_network_shows_the_page_and_runs_its_script_alone(
    command: RunCommand, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", model=HOSTILE[3])
    write_samples(run, HOSTILE)
    page = tmp_path / "page.html"
    assert command("report", run, "--out", page).code == 0
    browsed = browse(page, "--dump-dom")
    assert "CONSOLE" not in browsed.stderr, browsed.stderr
    shown = parsed(page.read_text())
    dom = browsed.stdout
    assert dom.count('<svg class="chart"') == len(shown.of("svg", "chart")) > 0
    assert dom.count('<path class="line') == len(shown.of("path", "line"))
    assert dom.count("<article") == len(HOSTILE)
    assert "<title>mt-grpo on 3 tasks</title>" in dom, "a script of the model's has run"
    assert 'role="button"' in dom, "the page's own has not"
    assert dom.count("<script") == 1
    assert "<img" not in dom


@needs_browser
def test_a_browser_says_so_where_a_script_of_the_model_s_would_run(tmp_path: Path) -> None:
    """Without this the test above would prove nothing."""
    page = tmp_path / "page.html"
    page.write_text(f"<title>mine</title>{HOSTILE[0]}")
    browsed = browse(page, "--dump-dom")
    assert "CONSOLE" in browsed.stderr
    assert "<title>taken</title>" in browsed.stdout


@needs_browser
def test_a_browser_draws_the_page(command: RunCommand, tmp_path: Path) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    assert command("report", write_run(tmp_path / "run"), "--out", page).code == 0
    browse(page, "--window-size=1200,2000", f"--screenshot={picture}")
    from matplotlib.image import imread

    pixels = imread(picture)[..., :3].reshape(-1, 3)
    colors = {tuple(round(255 * part) for part in pixel) for pixel in pixels[::7].tolist()}
    assert {(0, 114, 178), (213, 94, 0), (0, 158, 115)} <= colors, "lines of three tasks in three colours"


def test_names_of_code_in_a_folder_are_not_imported(
    command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trap_of_a_report.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    TrainConfig().for_run().write(run / "config.yaml")
    with (run / "config.yaml").open("a") as file:
        file.write("tasks: ['trap_of_a_report:tasks', 'gym:trap_of_a_report:X-v0']\n")
    record = {"kind": "evaluation", "step": 0, "rollouts": 0, "accuracies": [0.5, 0.25], "counts": [4, 4]}
    (run / "history.jsonl").write_text(json.dumps(record) + "\n")
    result = command("report", run, "--out", tmp_path / "page.html")
    assert result.code == 0, result.err
    assert "task 1" in (tmp_path / "page.html").read_text("utf-8")
