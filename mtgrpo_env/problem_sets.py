"""Problem sets: lists of problems that never change, with a fingerprint by which people know that theirs are one."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtgrpo_env.named_objects import named_object
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.ranges import Range
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.text_env import TextEnv
from mtgrpo_env.types import Problem
from mtgrpo_env.worked_examples import worked_examples

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """What agents are compared on.

    Attributes:
        name: for people.
        suite: the tasks.
        problems: in the order in which they are played.
        judged_by: what else decides how a response is judged, such as the way an answer is found in it.
    """

    name: str
    suite: TaskSuite
    problems: tuple[Problem, ...]
    judged_by: str = ""

    def without_examples(self, count: int) -> ProblemSet:
        """The problem set without the first `count` worked examples of each task, which agents are shown.

        Raises:
            ValueError: as in `worked_examples`.
        """
        examples = worked_examples(self.suite, count)
        openings = ((problem, self.suite.opening(problem)) for problem in self.problems)
        kept = tuple(p for p, o in openings if o is None or not examples.shows(p.task_id, o))
        if len(kept) < len(self.problems):
            few = f"{len(self.problems) - len(kept)} of {len(self.problems)} problems"
            _LOG.warning("%s: %s are shown as examples and not played: name other rows to train on", self.name, few)
        return replace(self, problems=kept)

    def fingerprint(self) -> str:
        """12 hexadecimal digits that are equal for equal problems, judged alike.

        They cover what a text task shows, its puzzle and its version; of any other env the task's name, the seed and
        the options, so what its package makes of them is not covered.

        Raises:
            TaskError: if a task cannot make a puzzle.

        >>> from mtgrpo_env.envs.toy import toy_suite
        >>> suite = toy_suite(2)
        >>> first, again = (ProblemSet("locks", suite, tuple(suite.held_out(3))) for _ in range(2))
        >>> first.fingerprint() == again.fingerprint()
        True
        """
        digest = hashlib.sha256(self.judged_by.encode())
        for problem in self.problems:
            digest.update(json.dumps(_identity(self.suite, problem), sort_keys=True, default=repr).encode())
        return digest.hexdigest()[:12]

    def key(self, problem: Problem) -> str:
        """12 hexadecimal digits of one problem, covering what `fingerprint` covers: equal keys are equal problems.

        Raises:
            TaskError: if the task cannot make the puzzle.
        """
        identity = json.dumps(_identity(self.suite, problem), sort_keys=True, default=repr)
        return hashlib.sha256(f"{self.judged_by}{identity}".encode()).hexdigest()[:12]

    def keys(self) -> dict[str, set[str]]:
        """The keys of all problems, by the task's name; raises as `key` does."""
        keys: dict[str, set[str]] = {}
        for problem in self.problems:
            keys.setdefault(self.suite.names[problem.task_id], set()).add(self.key(problem))
        return keys

    def levels(self) -> dict[str, str]:
        """The level of every text task that has one, by the task's name.

        Raises:
            TaskError: if a task cannot make a puzzle.
        """
        first = {problem.task_id: problem for problem in reversed(self.problems)}
        openings = {k: self.suite.opening(problem) for k, problem in sorted(first.items())}
        return {self.suite.names[k]: o.provenance.level for k, o in openings.items() if o and o.provenance.level}


def named_problem_set(
    name: str, *, count: int, seed: int = 0, extraction: str = "last-box", row_options: RowOptions | None = None
) -> ProblemSet:
    """The first `count` held-out problems of every task.

    Args:
        name: of a suite or of tasks, as `read_tasks` reads it, and of the problem set.
        count: of each task.
        seed: of the suite.
        extraction: how an answer is found in a response.
        row_options: how rows are read and scored.

    Raises:
        ValueError: if there is no such suite, or `count` is below 1.
    """
    Range(1).check("problems", count)
    suite = read_tasks(name, seed=seed, extraction=extraction, row_options=row_options)
    return ProblemSet(name, suite, tuple(suite.held_out(count)), judged_by=extraction)


def rows_problem_set(
    source: str | Path,
    *,
    count: int | None = None,
    extraction: str = "last-box",
    row_options: RowOptions | None = None,
) -> ProblemSet:
    """The rows of a file, one task for each task and level in it; rows that repeat another's problem and truth once.

    Args:
        source: as of `read_rows`.
        count: how many of each task, the first ones; by default all.
        extraction: how an answer is found in a response.
        row_options: how rows are read and scored.

    Raises:
        ValueError: naming file, row and column, if a row cannot be read or scored.
    """
    options = row_options or RowOptions()
    rows = named_object("mtgrpo_env.envs.rows:read_rows")(source, columns=options.column_names)
    make_scorers = named_object("mtgrpo_env.envs.row_rewards:RowScorers")
    scorers = make_scorers(options.rewards, correct_at=options.correct_at, extraction=extraction)
    suite = named_object("mtgrpo_env.envs.rows:scored_suite")(rows, scorers, split="test")
    problems = named_object("mtgrpo_env.envs.rows:rows_problems")(suite, rows)
    problems = named_object("mtgrpo_env.envs.rows_env:distinct_problems")(suite, problems)
    if count is not None:
        of_task = [[problem for problem in problems if problem.task_id == k][:count] for k in range(suite.num_tasks)]
        problems = [problem for first in of_task for problem in first]
    # What is right stands in the rows, and is no part of every puzzle's key.
    judged_by = f"{extraction} {named_object('mtgrpo_env.envs.export:content_hash')(rows)}"
    return ProblemSet(str(source), suite, tuple(problems), judged_by=judged_by)


def _identity(suite: TaskSuite, problem: Problem) -> Sequence[object]:
    name, opening = suite.names[problem.task_id], suite.opening(problem)
    if opening is None:
        return name, problem.seed, dict(problem.options)
    return name, opening.provenance.task, opening.provenance.version, opening.provenance.hash, opening.prompt


def plays_text(suite: TaskSuite, task_id: int) -> bool:
    """Whether a task is a `TextEnv`, so that a language model can play it."""
    return isinstance(suite.envs(task_id, 1)[0].unwrapped, TextEnv)
