"""Methods of multi-task RL beside each other: who lifts the worst task, how far, and at what cost?

    python benchmarks/methods.py three_tasks --parallel 2

Each study is one `mtgrpo compare`; its report stands in benchmarks/results/STUDY. The same command goes on with a study
that was stopped, and any option of `mtgrpo compare` can be added. Seconds mean something on an idle machine only.

`quota-mt-grpo` is ours, `mt-grpo` the paper's. The reports of all but the first two studies are of an older `mt-grpo`:
Subroutine 1, with the released code's Adam, and Algorithm 2; the names below come closest to that. An option of a
method goes to those that take it.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtgrpo_env.agents.reports.comparison_report import FIGURES, REPORT
from mtgrpo_env.cli import main as mtgrpo

RESULTS = Path(__file__).parent / "results"
KEPT = (REPORT, "results.jsonl", *FIGURES)
FIVE_SEEDS = "--seeds 0 1 2 3 4"
# All seeds of nine tasks start from one model, since teaching it takes ten minutes.
NINE_START = "train --out runs/methods/nine-start/run --suite mini-nine --steps 1 --eval-problems 1"
NINE = (
    f"compare --suite mini-nine --model runs/methods/nine-start/start-8a27ae90 {FIVE_SEEDS} --batch-size 36 --lr 8e-4 "
    "--steps 40 --eval-problems 100 --thresholds 0.1"
)
# What helps every method is given to every method; rate, batch and passes are chosen for each along its rollouts.
EQUAL_KNOBS = (
    "--methods quota-mt-grpo mt-grpo dapo grpo --lr-schedule linear --stratified --min-group-size 4 --minibatches 6 "
    "--grid lr=4e-4,8e-4 batch_size=32,64 passes=2,4 --choose-by rollouts --tuning-seeds 10 --halve-at 6 12 "
    f"{FIVE_SEEDS} --steps 30 --eval-every 3 --eval-problems 200 --thresholds 0.5 0.6"
)
# The same where each has as many groups in a step, judged by steps.
EQUAL_BATCH = (
    "--methods quota-mt-grpo dapo grpo --lr 8e-4 --lr-schedule linear --batch-size 64 --stratified --min-group-size 4 "
    f"--minibatches 6 --grid passes=2,4 --tuning-seeds 10 {FIVE_SEEDS} --steps 30 --eval-every 3 --eval-problems 200 "
    "--thresholds 0.5 0.6"
)
STUDIES: Mapping[str, Sequence[str]] = {
    "equal_knobs": [f"compare --out runs/methods/equal {EQUAL_KNOBS}"],
    "equal_batch": [f"compare --out runs/methods/equal-batch {EQUAL_BATCH}"],
    # Each method at the better of two learning rates. The horizon was fixed beforehand; what follows is the tail.
    "three_tasks": [
        f"compare --out runs/methods/beyond --methods quota-mt-grpo mt-grpo dapo grpo {FIVE_SEEDS} --lrs 4e-4 8e-4 "
        "--steps 100 --horizon 30 --eval-every 2 --thresholds 0.5 0.6"
    ],
    # All that the paper compares and more, at one rate.
    "every_method": [
        "compare --out runs/methods/mini --methods mt-grpo dapo grpo rps-only iwu-only iwu-dapo "
        "no-acceptance sec-dapo sec-grpo reg-1e-5 reg-5e-4 reg-1e-2 sequential-forward sequential-backward "
        f"{FIVE_SEEDS} --lr 4e-4 --steps 40 --horizon 30"
    ],
    # The two ideas apart, where filter rates differ strongly: next to no group of ARC has a gradient.
    "rare_task": [
        "compare --out runs/methods/rare --start rare "
        f"--methods mt-grpo iwu-dapo rps-only iwu-only dapo grpo {FIVE_SEEDS} --lr 4e-4 --steps 40 --horizon 30"
    ],
    # λ between the worst and the average, with the gradient descent that Subroutine 1 prints.
    "nine_tasks": [
        NINE_START,
        f"{NINE} --out runs/methods/nine-gd --methods quota-iwu-0.9 quota-iwu-0.3 quota-iwu-0.1 dapo grpo "
        "--weight-optimizer gradient-descent --weight-lr 4",
    ],
    # The same with the Adam of the released code, under which λ is next to nothing.
    "nine_tasks_adam": [
        NINE_START,
        f"{NINE} --out runs/methods/nine --methods quota-iwu-0.3 quota-iwu-0.03 quota-iwu-0.01 "
        "quota-iwu-0.003 dapo grpo",
    ],
}


def main() -> int:
    """Run a study and keep its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    args, options = parser.parse_known_args()
    *before, compare = map(shlex.split, STUDIES[args.study])
    for command in (*before, [*compare, *options]):
        if code := mtgrpo(command):
            return code
    _keep(Path(compare[compare.index("--out") + 1]), RESULTS / args.study)
    return 0


def _keep(made: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(made / name, kept / name)


if __name__ == "__main__":
    sys.exit(main())
