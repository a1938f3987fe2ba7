"""Names and servers of others: nothing of theirs steers a terminal, marks up a report, or shows a secret."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparisons import make_comparison
from faulty_server import Sent, faulty_server
from rich.progress import Progress
from training_runs import train

from mtgrpo_env.agents.recipes import RECIPES
from mtgrpo_env.agents.reports.comparison_report import write_report
from mtgrpo_env.experiments.compare_plan import CompareOptions, plan_runs
from mtgrpo_env.safe_console import SafeConsole

RunCommand = Callable[..., Any]

HOSTILE = "[/x] $\\frac$ <script>x</script> | `y` \x1b[31m \u202e ../../up \n # big " + "long" * 2500
"""A name that means ill in every medium."""
PRINTABLE = "[/x] $\\frac$ <script>x</script> | `y` ../../up # **big** &amp; {{ 1 }} %s \\input{a} " + "long" * 4
"""One that rows may give to their task."""
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")


def rows_of(folder: Path) -> Path:
    """Rows of a task of that name, some for training."""
    file = folder / "rows.jsonl"
    rows = [
        {"prompt": f"{i}+1?", "answer": str(i + 1), "task": PRINTABLE, "split": "train" if i < 16 else "test"}
        for i in range(24)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def assert_harmless(text: str) -> None:
    assert not STEERS.search(text.replace("\n", ""))
    assert "Traceback" not in text


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return rows_of(tmp_path)


def test_a_benchmark_of_a_hostile_name_is_shown_and_reported(command: RunCommand, rows: Path, tmp_path: Path) -> None:
    out, saved = tmp_path / "report", tmp_path / "saved.jsonl"
    line = ("evaluate", "--agent", "oracle", "--rows", rows, "--reward", "number", "--out", out, "--save", saved)
    result = command(*line)
    assert result.code == 0, result.err
    assert_harmless(result.out + result.err)
    assert "[/x]" in result.out
    report = (out / "benchmark.md").read_text()
    assert_harmless(report)
    assert "<script" not in report.replace(f"rows {rows}", "")
    assert max(map(len, report.splitlines())) < 2000
    assert (out / "benchmark.png").stat().st_size > 1000
    assert_harmless(command("score", "--rows", saved, "--reward", "number").out)


def test_comparisons_of_agents_and_reports_of_hostile_names_are_shown_and_reported(
    command: RunCommand, rows: Path, tmp_path: Path
) -> None:
    earlier, out = tmp_path / "[/x] earlier", tmp_path / "report"
    line = ("evaluate", "--agent", "oracle", "random", "--rows", rows, "--reward", "number")
    assert command(*line, "--out", earlier).code == 0
    file = earlier / "benchmark.json"
    report = json.loads(file.read_text())
    for cell in report["cells"]:
        cell["agent"] = HOSTILE
    file.write_text(json.dumps(report))
    result = command(*line, "--baseline", earlier, "--out", out)
    assert result.code == 0, result.err
    assert_harmless(result.out + result.err)
    written = (out / "benchmark.md").read_text()
    assert_harmless(written)
    assert "against \\[/x\\]" in written
    assert "The agents, the one with the best worst task first." in written
    assert "<script" not in written.replace(f"rows {rows}", "")
    assert max(map(len, written.splitlines())) < 2000
    result = command(*line, "--baseline", earlier, "--json")
    assert result.code == 0
    assert_harmless(result.out + result.err)


@pytest.mark.parametrize("form", ["lm-eval", "inspect"])
def test_a_folder_of_tasks_of_a_hostile_name_holds_no_code_of_it(
    command: RunCommand, rows: Path, tmp_path: Path, form: str
) -> None:
    out = tmp_path / "out"
    result = command("export", "--rows", rows, "--reward", "number", "--to", form, "--out", out)
    assert result.code == 0, result.err
    assert_harmless(result.out + result.err)
    code = [file for file in out.iterdir() if file.suffix != ".jsonl"]
    for file in [*code, *out.iterdir()]:
        assert re.fullmatch(r"[\w-]+[.]\w+", file.name)
    for file in code:
        assert_harmless(file.read_text())
        assert "script>" not in file.read_text()


def test_checks_and_exports_of_a_hostile_name_are_shown(command: RunCommand, rows: Path, tmp_path: Path) -> None:
    for line in (
        ("check", "--rows", rows, "--reward", "exact"),
        ("export", "--suite", rows, "--reward", "number", "--out", tmp_path / "out.jsonl", "--problems", 4),
        ("evaluate", "--agent", "[/x]\x1b[31m", "--suite", "mini"),
        ("evaluate", "--agent", "oracle", "--suite", "[/x]\x1b[31m"),
        ("tasks", "--tasks", "[/x]\x1b[31m"),
    ):
        result = command(*line)
        assert_harmless(result.out + result.err)
        assert result.code in (0, 1, 2)


def test_a_run_of_a_hostile_name_is_shown_drawn_and_paged(
    command: RunCommand, tmp_path: Path, model_folder: Path
) -> None:
    line = train(tmp_path / "[/x] run", model_folder, "--tasks", rows_of(tmp_path), "--reward", "number")
    at = line.index("--suite")
    del line[at : at + 2]
    result = command(*line, "--steps", 1)
    assert result.code == 0, result.err
    assert_harmless(result.out + result.err)
    assert (tmp_path / "[/x] run" / "progress.png").stat().st_size > 1000
    page = tmp_path / "report.html"
    assert command("report", tmp_path / "[/x] run", "--out", page).code == 0
    assert_harmless(page.read_text())
    assert "<script>x" not in page.read_text()


def test_a_comparison_of_hostile_names_is_reported_and_drawn(tmp_path: Path) -> None:
    names = (HOSTILE, "$\\frac$ [/x]", "c\x1b[31m")
    comparison = make_comparison(
        command=shlex.join(["mtgrpo", HOSTILE[:90]]),
        tasks=names,
        methods=(HOSTILE[:300], "$^$", "grpo"),
        steps=10,
        horizon=10,
    )
    write_report(comparison, tmp_path, rng=np.random.default_rng(0))
    report = (tmp_path / "results.md").read_text()
    assert_harmless(report)
    assert not re.search("^[^`]*<script", report, re.MULTILINE)
    assert len(list(tmp_path.glob("*.png"))) > 5


def test_the_folder_of_a_method_has_a_name_that_may_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mtgrpo_env.agents.config import TrainConfig

    methods = ("grpo", "../../" + "m" * 300, "../../" + "m" * 301)
    for method in methods[1:]:
        monkeypatch.setitem(RECIPES, method, RECIPES["grpo"])
    planned = plan_runs(TrainConfig(out=tmp_path).for_run(), CompareOptions(methods=methods, seeds=(0,)))
    folders = [run.config.out for run in planned]
    assert len(set(folders)) == 3
    for folder in folders:
        folder.mkdir(parents=True)
        assert folder.resolve().parent == tmp_path / "seed-0"


def test_a_console_shows_names_as_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "hunter2hunter2")
    console = SafeConsole()
    console.print("[/x] \x1b[31m\u202e http://me:pw@host :smile: hunter2hunter2", soft_wrap=True)
    with Progress(console=console, transient=True, disable=True):
        console.print("[red]x[/red]")
    shown = capsys.readouterr().out
    assert shown == "[/x] ⟨U+001B⟩[31m⟨U+202E⟩ http://host :smile: ***\n[red]x[/red]\n"


def test_no_secret_is_in_any_output(command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends the key, and its password, back wherever it can."""
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2hunter2")
    out, saved = tmp_path / "report", tmp_path / "saved.jsonl"
    cache = ("--cache", tmp_path / "replies.sqlite", "--retries", 0, "--concurrency", 1)
    with faulty_server(lambda _: "\\boxed{hunter2hunter2 pass-word t0kent0ken query-word}") as served:
        url = served.url.replace("//", "//me:pass-word@") + "?api_key=query-word"
        request = json.dumps({"user_token": "t0kent0ken", "metadata": {"who": "Jane Doe"}, "max_tokens": 9999})
        echoed = {"error": {"message": "key hunter2hunter2, pass-word, t0kent0ken, query-word\x1b[31m"}}
        line = ("evaluate", "--agent", f"openai:tiny@{url}", "--suite", "countdown-mini", "--problems", 4, *cache)
        more = ("--request", request, "--out", out, "--save", saved)
        good = command(*line, *more)
        served.faults = [Sent(echoed, 400, {"X-Key": "hunter2hunter2"}), Sent(echoed, 500)]
        some = command(*line, "--rollouts", 2, *more, "--json")
        served.faults = [Sent(echoed, 401)] * 9
        bad = command(*line, "--seed", 1, *more)
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        wrong = command("evaluate", "--agent", f"openai:@{url}", "--suite", "mini")
        train_on = command("train", "--rollouts", url, "--out", tmp_path / "run", "--model", "x")
    assert [result.code for result in (good, some, bad, wrong, train_on)] == [0, 0, 2, 2, 2]
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".png"]
    assert {"benchmark.md", "benchmark.json", "saved.jsonl", "replies.sqlite"} <= {file.name for file in files}
    texts = [file.read_bytes().decode(errors="replace") for file in files]
    for text in [*texts, *(part for one in (good, some, bad, wrong, train_on) for part in (one.out, one.err))]:
        for secret in ("hunter2", "pass-word", "t0kent0ken", "query-word", "Jane Doe"):
            assert secret not in text, text[max(0, text.index(secret) - 200) :][:300]
        assert "\x1b" not in text or text.startswith("SQLite")
    assert '"max_tokens": 9999' in (out / "benchmark.md").read_text()
