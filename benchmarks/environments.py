"""Our tasks and their peers in one process, turn by turn: speed, repeats, hostile answers, the score of a guess.

    pip install -r benchmarks/peers.txt
    python benchmarks/environments.py

Writes benchmarks/environments.md.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import tyro
from compare import hostility, problems, speed
from compare.peers import versions
from compare.timing import Pace
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import mtgrpo_env  # registers the ids that vector envs are made from

RESULTS = Path(__file__).with_suffix(".md")
Said = Callable[[str], None]


@dataclass(frozen=True)
class Config:
    """How thoroughly to measure."""

    rounds: int = 5
    """In which contenders take turns; medians over them are reported."""
    seconds: float = 0.3
    """CPU seconds of each contender in each round."""
    problems: int = 2000
    """Drawn from each stream to look for repeats."""
    guesses: int = 300
    """Puzzles of each task and level to guess at."""
    out: Path = RESULTS
    """The file to write."""


def main(config: Config) -> None:
    """Measure everything and write the tables."""
    pace = Pace(config.rounds, config.seconds)
    columns = (SpinnerColumn(), *Progress.get_default_columns()[:2], TextColumn("{task.fields[now]}"))
    parts = [
        ("Puzzles generated per CPU-second", _GENERATION, lambda said: speed.generation(pace, said)),
        ("Responses scored per CPU-second", _SCORING, lambda said: speed.scoring(pace, said)),
        ("Episodes per CPU-second in vector envs", _VECTORS, lambda said: speed.vectors(pace, said)),
        ("Repeats", _REPEATS, lambda said: problems.repeats(said, count=config.problems)),
        ("Answers that fool a scorer", _NAMED, hostility.named),
        ("Hostile responses", _GENERIC, hostility.generic),
        ("Oracles and guesses", _ANSWERS, lambda said: problems.answers(said, count=config.guesses)),
    ]
    written = [_heading()]
    with Progress(*columns, TimeElapsedColumn()) as progress:
        bar = progress.add_task("tables", total=len(parts), now="")
        for title, note, write in parts:
            lines = write(lambda now: progress.update(bar, now=now))
            written += [f"## {title}", note, lines]
            progress.advance(bar)
    config.out.write_text("\n\n".join(written) + "\n")
    print(config.out.read_text())


_CONCLUSION = """**Ours generates Countdown and Zebra faster than reasoning-gym, and ARC half as fast.
No hostile answer fools or hangs its scorers. GEM is faster in ARC episodes one by one, and slower in groups.**"""
"""Of the committed run: read it again after a new one."""


def _heading() -> str:
    return (
        "# Environments beside their peers\n\n"
        f"{_CONCLUSION}\n\n"
        f"`python {' '.join(sys.argv)}`\n\n"
        f"{date.today()}; {_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}; "
        f"mtgrpo-env {mtgrpo_env.__version__}, {versions()}.\n\n"
        "Contenders take turns in one process, on one core. Rates are medians of CPU time; ratios are medians over "
        "the rounds, so they hold on a machine that others use at the same time."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


_GENERATION = (
    "Prompt included. reasoning-gym's sets are made to the same sizes: as many numbers with the same ranges, as many "
    "houses and characteristics, rows as long. `mini` levels have no peer. Ours also sees to it that an ARC puzzle's "
    "examples settle its answer and that each of its rows changes, which costs more than drawing it."
)
_SCORING = (
    "Ours finds the answer in a response of 2 kB; reasoning-gym's `score_answer` is handed what its own extraction "
    "finds in as long a response, or the bare answer, which for Zebra and ARC it only compares. The "
    "unsafe scorer is a stand-in written for this table, since the released code of the paper is not here: a regular "
    "expression on the last line and Python's own evaluator, run on our own right answers only. The released code "
    "itself, measured elsewhere, scores 49,000 / 170,000 / 148,000 responses a second (Countdown / Zebra / ARC)."
)
_VECTORS = (
    "An episode is a problem drawn, shown, answered and judged, at level `medium`; in groups of 8, as GRPO plays them, "
    "a problem is drawn once for eight episodes. Ours draws no problem twice and says where each came from, which the "
    "sync env, going on from wherever it stands, does not. GEM's envs draw from "
    "reasoning-gym's default sizes: 4 to 6 numbers, 4 houses, 10 to 30 cells. The async env has a process for each "
    "of its sub-envs and counts wall-clock seconds instead."
)
_REPEATS = (
    "Distinct problems among those a stream starts with, by our canonical keys and by their questions (Countdown: "
    "by numbers and target). Adjacent seeds should share nothing but chance hits of small tasks."
)
_NAMED = (
    "Each judged in a process of its own, killed after 5 seconds. `wrong` and `no_answer` are our verdicts; "
    "`refused` is a score of at most 0.05, the peer's credit for a wrong answer of the right form."
)
_GENERIC = (
    "The responses of `mtgrpo_env.hostile`, under the same conditions; shown are those on which anybody fails. "
    "reasoning-gym is handed what stands in the box; math_verify has a time limit of its own, here of 2 seconds, which "
    "needs the main thread of a process."
)
_ANSWERS = "The oracle must always be right; a guess is a well-formed answer made without thinking."


if __name__ == "__main__":
    main(tyro.cli(Config))
