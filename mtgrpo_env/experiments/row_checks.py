"""Checks of tasks by playing them, and of rows by playing their reward."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from mtgrpo_env.checker import TaskCheckError, check_task, hostile_complaint
from mtgrpo_env.envs.final_answers import final_answer, marked_answer
from mtgrpo_env.envs.function_scorer import FunctionScorer, answer_forms
from mtgrpo_env.envs.math_questions import MathPuzzle
from mtgrpo_env.envs.records import read_records
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_rewards import RowScorers
from mtgrpo_env.envs.row_schema import row_of
from mtgrpo_env.envs.row_scorers import RowScorer
from mtgrpo_env.envs.rows_env import RowPuzzle, RowsEnv
from mtgrpo_env.envs.symbolic.grading import grade
from mtgrpo_env.envs.symbolic.spelling import respelled
from mtgrpo_env.envs.symbolic.tokens import MathSyntaxError
from mtgrpo_env.experiments.reward_probes import KnownAnswer, Probe, dressed_probes, other_answers, wrong_probes
from mtgrpo_env.suite import Task
from mtgrpo_env.task import TASK_FAULTS
from mtgrpo_env.text_env import WRONG, NoKnownSolution, NoSolution, Verdict

_CHUNK = 256  # rows that a slow reward scores side by side
_MAX_ROWS = 5  # that a line names
_MAX_SHOWN = 60  # characters of a response
_PATIENCE = 10.0  # seconds for a hostile response
_WORKERS_PATIENCE = 30.0  # a worker starts first, and keeps a deadline of its own


@dataclass(frozen=True, slots=True)
class TaskCheck:
    """What `check_task` found.

    Attributes:
        task: its name.
        fault: the promise that the task breaks; None if it keeps all.
        warnings: what may be meant so.
    """

    task: str
    fault: str | None
    warnings: tuple[str, ...] = ()


def checked_task(task: Task, *, num_problems: int) -> TaskCheck:
    """Check a task by playing `num_problems` problems of each split."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            check_task(task, num_problems=num_problems)
    except TaskCheckError as error:
        return TaskCheck(task.name, str(error))
    return TaskCheck(task.name, None, tuple(str(warning.message) for warning in caught))


@dataclass(frozen=True, slots=True)
class UsableRows:
    """The rows of a file that can be read and scored.

    Attributes:
        rows: those that can.
        refused: why each of the others cannot, with its place.
    """

    rows: tuple[Row, ...]
    refused: tuple[str, ...]

    @classmethod
    def read(cls, source: str | Path, *, columns: Mapping[str, str] | None = None) -> Self:
        """Those of a file; all are looked at.

        Raises:
            ValueError: if the file cannot be read, or no row of it can.
        """
        return cls._of(source, (partial(row_of, record, i, columns) for i, record in enumerate(read_records(source))))

    def scored(self, source: str | Path, scorers: RowScorers) -> Self:
        """Those that can be scored, too.

        Raises:
            MissingReward: if nothing scores the rows of a task.
            ValueError: if there is no such reward, or none can.
        """
        made = {row.name: scorers.of(row) for row in self.rows}
        usable = self._of(source, (partial(_scorable, row, made[row.name]) for row in self.rows))
        return replace(usable, refused=(*self.refused, *usable.refused))

    @classmethod
    def _of(cls, source: str | Path, calls: Iterable[Callable[[], Row]]) -> Self:
        rows: list[Row] = []
        refused: list[str] = []
        for call in calls:
            try:
                rows.append(call())
            except ValueError as error:
                refused.append(str(error))
        if refused and not rows:
            raise ValueError(f"{source}: all of its {len(refused)} rows are refused: {'; '.join(first_of(refused))}")
        return cls(tuple(rows), tuple(refused))


def first_of(lines: Sequence[str]) -> list[str]:
    """A few of them, and how many more there are."""
    more = [f"and {len(lines) - _MAX_ROWS} more"] if len(lines) > _MAX_ROWS else []
    return [*lines[:_MAX_ROWS], *more]


def _scorable(row: Row, scorer: RowScorer) -> Row:
    scorer.problem(row)
    return row


@dataclass(frozen=True, slots=True)
class RowsCheck:
    """What playing the reward of a task's rows found.

    Attributes:
        reward: its name.
        num_rows: how many there are.
        unsolved: the rows of which no response that was tried is scored as correct.
        unanswered: the rows that hold no answer to try.
        unknown: the rows whose solution would take too long to find.
        faults: what a policy would exploit, or what breaks; a line for each kind, with a row and a response.
        notes: what may be meant so.
        seconds: that a call takes.
    """

    reward: str
    num_rows: int
    unsolved: tuple[Row, ...]
    unanswered: tuple[Row, ...]
    unknown: tuple[Row, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float


def checked_rows(env: RowsEnv, *, num_rows: int = 20) -> RowsCheck:
    """Play the reward of a task's rows.

    Every row's own answer must be scored as correct, one in mathematics in another spelling, too. On the first
    `num_rows`, no response that commits to no answer, or to a wrong one, may be; see `reward_probes`. A reward function
    must survive `mtgrpo_env.hostile`, too.
    """
    trial = _Trial(env)
    known: list[tuple[RowPuzzle, KnownAnswer]] = []
    unanswered: list[RowPuzzle] = []
    unsolved: list[Row] = []
    unknown: list[Row] = []
    for puzzle, oracle in _solutions(env):
        if isinstance(oracle, NoKnownSolution):
            unknown.append(puzzle.row)
        elif oracle is not None:
            known.append((puzzle, KnownAnswer.of(puzzle.row, oracle)))
        elif puzzle.row.ground_truth == "":
            unanswered.append(puzzle)
        else:
            unsolved.append(puzzle.row)
    answers = list(dict.fromkeys(answer.answer for _, answer in known))
    for puzzle, answer in known[:num_rows]:
        trial.try_twice(puzzle, answer)
        trial.try_wrong(puzzle, answer, other_answers(answer, answers))
        if isinstance(env.scorer, FunctionScorer):
            trial.try_dressed(puzzle, answer)
    trial.look_at_prompts([*(puzzle for puzzle, _ in known), *unanswered][:num_rows])
    if isinstance(env.scorer, FunctionScorer):
        for puzzle, answer in (known or [(puzzle, None) for puzzle in unanswered])[:1]:
            trial.try_hostile(puzzle, answer)
    faults = tuple(trial.faults.values())
    notes = (*trial.notes.values(), *trial.remarks(), *_contradictions(env), *_texts(env))
    return RowsCheck(
        reward=env.scorer.name,
        num_rows=len(env.puzzles),
        unsolved=tuple(unsolved),
        unanswered=tuple(puzzle.row for puzzle in unanswered),
        unknown=tuple(unknown),
        faults=faults,
        notes=notes,
        seconds=trial.seconds,
    )


def _contradictions(env: RowsEnv) -> Iterator[str]:
    """Problems that rows answer differently: one of them is played."""
    table, first = env.table, dict[str, int]()
    for i in sorted(table.distinct):
        one = first.setdefault(table.keys[i], i)
        if one != i:
            rows = [table.puzzles[j].row for j in (one, i)]
            yield f"{rows[0].source} and {rows[1].source}: one problem with different answers, of which one is played"
            return


def _solutions(env: RowsEnv) -> Iterator[tuple[RowPuzzle, str | NoKnownSolution | None]]:
    """A response to each row that is scored as correct, if it has one; a slow reward scores many rows side by side."""
    scorer = env.scorer
    for start in range(0, len(env.puzzles), _CHUNK):
        chunk = env.puzzles[start : start + _CHUNK]
        if isinstance(scorer, FunctionScorer):
            for puzzle in chunk:
                scorer.prefetch(puzzle.problem, next(answer_forms(puzzle.row), ""))
            yield from ((puzzle, scorer.solution(puzzle.problem)) for puzzle in chunk)
        else:
            yield from ((puzzle, _verified(env, puzzle)) for puzzle in chunk)


def _verified(env: RowsEnv, puzzle: RowPuzzle) -> str | NoKnownSolution | None:
    try:
        oracle = env.oracle(puzzle)
        is_right = _is_understood(puzzle.problem) and env.verify(puzzle, oracle).is_success
    except NoKnownSolution as error:
        return None if isinstance(error, NoSolution) else error
    except TASK_FAULTS:  # whatever a verifier of one's own may raise
        return None
    return oracle if is_right else None


def _is_understood(problem: Any) -> bool:
    """Whether a truth in mathematics is right in another spelling too: its own text would be right if misread."""
    if not isinstance(problem, MathPuzzle) or not _is_mathematics(problem.answer):
        return True
    spelling = respelled(problem.answer)
    return spelling is None or grade(problem.answer, spelling)


def _is_mathematics(truth: str) -> bool:
    try:
        respelled(truth)
    except MathSyntaxError:
        return False
    return True


def _texts(env: RowsEnv) -> Iterator[str]:
    """Truths of questions in mathematics that are none themselves: only the same text is right."""
    problems = [(puzzle.row, puzzle.problem) for puzzle in env.puzzles]
    texts = [(row, p.answer) for row, p in problems if isinstance(p, MathPuzzle) and not _is_mathematics(p.answer)]
    if texts:
        shown = ", ".join(f"{row.source} {truth!r:.60}" for row, truth in texts[:_MAX_ROWS])
        more = f" and {len(texts) - _MAX_ROWS} more" if len(texts) > _MAX_ROWS else ""
        yield f"no mathematics that can be read, so that only the same text is right: {shown}{more}"


@dataclass
class _Trial:
    """One pass over the rows of an env: calls the reward, and keeps what is wrong with it, once for each kind."""

    env: RowsEnv
    faults: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    _calls: int = 0
    _seconds: float = 0.0
    _low: float = math.inf
    _high: float = -math.inf
    _undressed: dict[str, Row] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self._seconds / max(1, self._calls)

    def try_twice(self, puzzle: RowPuzzle, known: KnownAnswer) -> None:
        """The reward of a response should depend on the response."""
        right = known.written(known.answer)
        first, second = self._verdict(puzzle, right), self._verdict(puzzle, right)
        if first != second:
            what = f"gives {first.reward:g} and then {second.reward:g} for"
            self.notes.setdefault("depends", self._line(puzzle, what, right))

    def try_wrong(self, puzzle: RowPuzzle, known: KnownAnswer, others: Sequence[str]) -> None:
        """Responses that must not be correct."""
        for probe in wrong_probes(known, others):
            if self._verdict(puzzle, probe.response).is_success:
                self._fault(puzzle, probe)
        # One other answer may be right, written otherwise; all of them are not.
        if all(self._verdict(puzzle, known.written(other)).is_success for other in others):
            self._fault(puzzle, Probe("any other answer", known.written(others[0])))

    def try_dressed(self, puzzle: RowPuzzle, known: KnownAnswer) -> None:
        """Right responses in other forms."""
        for probe in dressed_probes(known):
            if not self._verdict(puzzle, probe.response).is_success:
                self._undressed.setdefault(probe.what, puzzle.row)

    def look_at_prompts(self, puzzles: Sequence[RowPuzzle]) -> None:
        """A prompt, repeated, must not be correct. One with an example may be so by chance, but most may not."""
        paid = [puzzle for puzzle in puzzles if self._verdict(puzzle, puzzle.row.prompt).is_success]
        for puzzle in paid:
            if marked_answer(puzzle.row.prompt) is None or 2 * len(paid) > len(puzzles):
                self._fault(puzzle, Probe("the prompt repeated", puzzle.row.prompt))

    def try_hostile(self, puzzle: RowPuzzle, known: KnownAnswer | None) -> None:
        """The hostile responses, in a process that is killed if the reward hangs."""

        def verify(response: str) -> Verdict:
            if known is not None and not known.is_other(final_answer(response) or ""):
                return WRONG  # "None" may well be the right answer
            verdict = self.env.verify(puzzle, response)
            if not verdict.valid and (why := self._failure(puzzle, response)) is not None:
                raise RuntimeError(why)
            return verdict

        is_in_workers = self._name.startswith("worker:")
        complaint = hostile_complaint(verify, seconds=_WORKERS_PATIENCE if is_in_workers else _PATIENCE)
        if complaint is not None:
            self.faults["hostile"] = f"{puzzle.row.source}: {self._name}: {complaint}"

    def remarks(self) -> Iterator[str]:
        """What can be said in the end."""
        prompts = [puzzle.row.prompt for puzzle in self.env.puzzles]
        if self._name == "math" and not any("boxed" in prompt for prompt in prompts):
            where = self.env.puzzles[0].row.source
            yield f"{where}: math scores only what stands in \\boxed{{}}, and no prompt asks for it"
        if self._low < 0 or self._high > 1:
            yield f"the rewards of {self._name} reach from {self._low:g} to {self._high:g}, outside of 0 to 1"
        if self._undressed:
            forms, row = ", ".join(self._undressed), next(iter(self._undressed.values()))
            yield f"{row.source}: {self._name} does not score the right answer X as correct when it is written {forms}"

    def _verdict(self, puzzle: RowPuzzle, response: str) -> Verdict:
        start = time.perf_counter()
        verdict = self.env.verify(puzzle, response)
        self._seconds += time.perf_counter() - start
        self._calls += 1
        if verdict.valid:
            self._low, self._high = min(self._low, verdict.reward), max(self._high, verdict.reward)
        elif (why := self._failure(puzzle, response)) is not None:
            self.faults.setdefault("fails", self._line(puzzle, f"fails ({why}) on", response))
        return verdict

    def _failure(self, puzzle: RowPuzzle, response: str) -> str | None:
        scorer: Any = self.env.scorer
        return scorer.fault(puzzle.problem, response) if isinstance(scorer, FunctionScorer) else None

    def _fault(self, puzzle: RowPuzzle, probe: Probe) -> None:
        self.faults.setdefault(probe.what, self._line(puzzle, f"scores {probe.what} as correct:", probe.response))

    @property
    def _name(self) -> str:
        return self.env.scorer.name

    def _line(self, puzzle: RowPuzzle, what: str, response: str) -> str:
        short = response if len(response) <= _MAX_SHOWN else f"{response[:_MAX_SHOWN]}…"
        return f"{puzzle.row.source}: {self._name} {what} {short!r}"
