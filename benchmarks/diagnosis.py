"""Runs of the tiny model on rows, one as it should be and others spoiled on purpose, and what `mtgrpo diagnose` says.

    python benchmarks/diagnosis.py

Each is a real run of `mtgrpo train` in a process of its own; one that is finished is not made again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tyro

from mtgrpo_env.agents.reports.diagnosis import diagnose
from mtgrpo_env.agents.reports.diagnosis.text import diagnosis_lines
from mtgrpo_env.agents.reports.figure_diagnosis import draw_findings
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.experiments.run_pages import run_of_folder
from mtgrpo_env.files import atomic_file

_EXAMPLE = Path(__file__).parents[1] / "examples" / "own_rows"
Options = Mapping[str, str]

HEALTHY: Options = {
    "--tasks": "sums.jsonl words.jsonl",
    "--reward": "sums=number words=my_rewards:backwards",
    "--filter": "reward",
    "--model": "tiny",
    "--device": "cpu",
    "--lr": "3e-4",
    "--steps": "40",
    "--batch-size": "32",
    "--group-size": "8",
    "--max-new-tokens": "8",
    "--eval-problems": "100",
    "--eval-every": "10",
    "--checkpoint-every": "60",
}


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A run with something wrong.

    Attributes:
        what: is wrong, in words.
        changed: the options that make it so.
    """

    what: str
    changed: Options


_HOPELESS = {"--tasks": "arc-mini math-mini", "--reward": "", "--max-new-tokens": "16"}
RUNS: Mapping[str, Spoiled] = {
    "healthy": Spoiled("nothing", {}),
    "rate-too-high": Spoiled("the learning rate is some sixty times too high", {"--lr": "2e-2"}),
    "rate-too-low": Spoiled("the learning rate is some thousand times too low", {"--lr": "1e-7"}),
    "hopeless-tasks": Spoiled("the model knows nothing of the tasks", _HOPELESS),
    "too-few-tokens": Spoiled("responses may have two tokens", {"--max-new-tokens": "2"}),
    "group-of-two": Spoiled(
        "a problem has two rollouts, and only right and wrong ones count as different",
        {"--group-size": "2", "--filter": "success"},
    ),
    "gradient-clip-tiny": Spoiled("gradients are scaled down to a hundredth", {"--max-grad-norm": "0.01"}),
    "old-data": Spoiled(
        "it goes on when most is learned, and all of a batch may be replayed", {"--steps": "80", "--max-replayed": "1"}
    ),
    "few-problems": Spoiled("a task is evaluated on five problems", {"--eval-problems": "5", "--steps": "20"}),
}
"""By the names of their folders."""


@dataclass(frozen=True)
class Config:
    """Make the runs that are missing, and report what is found in all of them."""

    out: Path = Path("runs/diagnosis")
    """Folder of the runs and of the model they start from."""
    report: Path = Path("benchmarks/results/diagnosis.md")
    """The page; its figures are beside it, in a folder of the same name."""


def main(config: Config) -> int:
    """Make, diagnose, write."""
    config.out.mkdir(parents=True, exist_ok=True)
    _make_start(config.out)
    for name, spoiled in RUNS.items():
        _make(config.out, name, spoiled.changed)
    figures = config.report.with_suffix("")
    figures.mkdir(parents=True, exist_ok=True)
    parts = [_head(config.out), *(_part(config.out / name, spoiled, figures) for name, spoiled in RUNS.items())]
    with atomic_file(config.report) as file:
        file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"report {config.report}")
    return 0


def _make_start(out: Path) -> None:
    """The rows, the reward and the model of the example; every other row is held out, or there would be too few."""
    if not (out / "tiny" / "config.json").is_file():
        shutil.copy(_EXAMPLE / "my_rewards.py", out)
        subprocess.run([sys.executable, str(_EXAMPLE / "make_rows.py")], cwd=out, check=True)
    for file in (out / "sums.jsonl", out / "words.jsonl"):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        halves = [row | {"split": ("train", "test")[i % 2]} for i, row in enumerate(rows)]
        file.write_text("".join(json.dumps(row) + "\n" for row in halves), encoding="utf-8")


def _make(out: Path, name: str, changed: Options) -> None:
    if RunFolder(out / name).newest_checkpoint is None:  # it is made at the end
        print(f"training {name}", flush=True)
        line = ["train", "--out", name, *words_of({**HEALTHY, **changed})]
        subprocess.run([sys.executable, "-m", "mtgrpo_env", *line], cwd=out, check=True, stdout=subprocess.DEVNULL)


def words_of(options: Options) -> list[str]:
    """Options as a command line has them; those without a value are left out."""
    return [word for name, value in options.items() if value for word in (name, *value.split())]


_HEAD = """# Diagnosis of faulty runs

**`mtgrpo diagnose` finds something in {found} of {faulty} runs with a planted fault,
and {healthy} in the healthy run.**

`python benchmarks/diagnosis.py` trains the tiny model of `examples/own_rows` on its two tasks, sums and words written
backwards, once correctly and then with one fault each. Below each run is the output of `mtgrpo diagnose`."""


def _head(out: Path) -> str:
    found = {name: bool(diagnose(run_of_folder(out / name))) for name in RUNS}
    healthy = "something" if found.pop("healthy") else "nothing"
    return _HEAD.format(found=sum(found.values()), faulty=len(found), healthy=healthy)


def _part(folder: Path, spoiled: Spoiled, figures: Path) -> str:
    run = run_of_folder(folder)
    findings = diagnose(run)
    options = f": `{' '.join(words_of(spoiled.changed))}`" if spoiled.changed else ""
    lines = [f"## {folder.name}", f"What is wrong: {spoiled.what}{options}."]
    lines.append("```text\n" + "\n".join(diagnosis_lines(run, findings)) + "\n```")
    if findings:
        figure = figures / f"{folder.name}.png"
        draw_findings(findings, figure)
        lines.append(f"![What is found in {folder.name}]({figures.name}/{figure.name})")
    return "\n\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config)))
