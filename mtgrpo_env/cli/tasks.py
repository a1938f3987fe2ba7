"""`mtgrpo tasks`: what tasks there are, and what a guess scores on them."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from mtgrpo_env.envs.mtreason import REASON_TASKS, reason_suite
from mtgrpo_env.evaluation import evaluate_answers, guess, oracle


@dataclass(frozen=True)
class Config:
    """List every task and level."""

    problems: int = 50
    """Problems of each task that guess and oracle are tried on."""


def run(config: Config) -> int:
    """Try guess and oracle on every task and print a table."""
    if config.problems < 1:
        raise ValueError(f"problems must be at least 1, got {config.problems}")
    table = Table(title=f"Tasks ({config.problems} held-out problems each)")
    for column in ("task", "prompt characters", "a guess scores", "oracle"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for name, env_type in REASON_TASKS.items():
        for level in env_type.LEVELS:
            suite = reason_suite([f"{name}-{level}"])
            problems = suite.held_out(config.problems)
            env = suite.envs(0, 1)[0]
            lengths = [len(env.reset(seed=p.seed, options=dict(p.options))[0]) for p in problems]
            scores = [evaluate_answers(suite, answer, problems).average for answer in (guess, oracle)]
            table.add_row(suite.names[0], f"{sum(lengths) / len(lengths):.0f}", *(f"{score:.0%}" for score in scores))
    Console().print(table)
    return 0
