"""What follows a benchmark."""

from __future__ import annotations

from mtgrpo_env.agents.reports.cell import Cell
from mtgrpo_env.experiments.benchmark_result import Skipped
from mtgrpo_env.problem_sets import ProblemSet


class BenchmarkCallback:
    """Follows a benchmark; every method may be left as it is."""

    def on_start(self, agent: str, problem_set: ProblemSet) -> None:
        """An agent begins with a problem set."""

    def on_response(self) -> None:
        """A language model gave a response."""

    def on_problem(self) -> None:
        """All rollouts of a problem are done."""

    def on_skip(self, skipped: Skipped) -> None:
        """An agent cannot play a problem set."""

    def on_cell(self, cell: Cell) -> None:
        """An agent has played a problem set."""
