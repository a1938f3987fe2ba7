"""Methods of multi-task RL beside each other: who lifts the worst task, how far, and at what cost?

    python benchmarks/methods.py three_tasks --parallel 2

Each study is one `mtgrpo compare`; its report stands in benchmarks/results/STUDY. The same command goes on with a study
that was stopped, and any option of `mtgrpo compare` can be added. Seconds mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from mtgrpo_env.cli import main as mtgrpo

RESULTS = Path(__file__).parent / "results"
KEPT = (
    "results.md",
    "results.jsonl",
    "budgets.png",
    "worst_task.png",
    "threshold.png",
    "heat_map.png",
    "weights.png",
    "shares_against_weights.png",
    "filters.png",
    "generation.png",
    "tasks.png",
)
FIVE_SEEDS = "--seeds 0 1 2 3 4"
STUDIES: Mapping[str, str] = {
    # Every method at its best of three learning rates; the horizon was fixed before, the rest is the tail.
    "three_tasks": f"--out runs/methods/mini --methods mt-grpo dapo grpo {FIVE_SEEDS} --lrs 2e-4 4e-4 8e-4 "
    "--steps 100 --horizon 30",
}


def main() -> int:
    """Run a study and keep its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    args, options = parser.parse_known_args()
    study = [*shlex.split(STUDIES[args.study]), *options]
    code = mtgrpo(["compare", *study])
    if code == 0:
        _keep(Path(study[study.index("--out") + 1]), RESULTS / args.study)
    return code


def _keep(made: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(made / name, kept / name)


if __name__ == "__main__":
    sys.exit(main())
