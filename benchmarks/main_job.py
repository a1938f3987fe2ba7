"""The main job over several seeds and methods: how much does the worst task gain, and at what cost?

    python benchmarks/main_job.py --parallel 2

This is `mtgrpo compare` with the report kept: its table and the curves of the worst task go to benchmarks/results.
Every option of `mtgrpo compare` can be given.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from mtgrpo_env.cli import compare

RESULTS = Path(__file__).parent / "results"
KEPT = {"worst_task.png": "main_job.png", "budgets.png": "main_job_budgets.png", "threshold.png": "main_job_cost.png"}


@dataclass(frozen=True)
class Config(compare.Config):
    """MT-GRPO, DAPO and GRPO on the mini suite."""

    out: Path = Path("runs/main_job")
    """Where the runs are kept; the same command goes on with them."""


def main(config: Config) -> int:
    """Make the runs and keep the report, without the figures that are not kept."""
    code = compare.run(config)
    if code == 0:
        RESULTS.mkdir(exist_ok=True)
        lines = (config.out / "results.md").read_text().splitlines()
        text = "\n".join(line for line in lines if not line.startswith("![")).rstrip()
        text = text.replace("`mtgrpo compare", "`python benchmarks/main_job.py", 1)
        pictures = "\n\n".join(f"![{ours}]({ours})" for ours in KEPT.values())
        (RESULTS / "main_job.md").write_text(f"{text}\n\n{pictures}\n")
        for theirs, ours in KEPT.items():
            shutil.copyfile(config.out / theirs, RESULTS / ours)
    return code


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config)))
