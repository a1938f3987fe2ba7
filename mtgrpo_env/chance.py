"""What a task's accuracy is without thinking: of a guess, and of the best constant answer.

A task can be "learned" as "always the second number". An accuracy means something only above what such an answer
has, so every report shows both.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mtgrpo_env.answer_places import AnswerForm, Place, answer_forms, places_of, texts_of, tokens_of
from mtgrpo_env.chat import last_question
from mtgrpo_env.metrics import average
from mtgrpo_env.suite import TaskError, TaskSuite
from mtgrpo_env.task import TASK_FAULTS
from mtgrpo_env.text_env import SCORER_ERROR, TextEnv, Verdict
from mtgrpo_env.types import FloatArray, Problem

_LOG = logging.getLogger(__name__)
_MOST_TURNS = 32
_LONGEST_NAME = 24  # characters of a constant


class TaskChance(NamedTuple):
    """What one task comes to without thinking; see `Chance`."""

    guess: float
    constant: float
    name: str

    @property
    def best(self) -> float:
        """The larger of the two; NaN where neither is known."""
        return float(np.fmax(self.guess, self.constant))


UNKNOWN = TaskChance(math.nan, math.nan, "")
"""Of a task whose chance was not measured."""


@dataclass(frozen=True, slots=True)
class Chance:
    """What K tasks come to without thinking.

    Attributes:
        guess: (K,) success of `TextEnv.guess`; NaN where a task has none.
        constant: (K,) success of the best constant answer; NaN where no answer is known.
        names: (K,) of those answers: "always even", "always number 2 from the end"; "" where there is none.
    """

    guess: FloatArray
    constant: FloatArray
    names: tuple[str, ...]

    @property
    def best(self) -> FloatArray:
        """(K,) the larger of the two; NaN where neither is known."""
        return np.fmax(self.guess, self.constant)

    @property
    def average(self) -> TaskChance:
        """Over the tasks where it is known."""
        return TaskChance(average(self.guess), average(self.constant), "")

    def of_task(self, k: int) -> TaskChance:
        """Of one task."""
        return TaskChance(float(self.guess[k]), float(self.constant[k]), self.names[k])

    @classmethod
    def of_tasks(cls, tasks: Iterable[TaskChance]) -> Chance:
        """Of all tasks."""
        guesses, constants, names = zip(*tasks, strict=True)
        return cls(np.array(guesses), np.array(constants), names)

    @classmethod
    def unknown(cls, num_tasks: int) -> Chance:
        """Of tasks whose chance was not measured."""
        return cls.of_tasks([UNKNOWN] * num_tasks)


class _Shown(NamedTuple):
    """A puzzle and the question in its prompt."""

    puzzle: Any
    question: str


def measure_chance(
    suite: TaskSuite,
    problems: Sequence[Problem],
    *,
    draws: int = 4,
    examples: int = 100,
    seconds: float = 5.0,
    seed: int = 0,
) -> Chance:
    """Play problems without thinking: by guesses, by the most frequent answer, and by a fixed place of the prompt.

    The constants are chosen on problems of the train split, where the suite has some, and scored by each task's own
    verifier on `problems`: a verifier judges at most `draws` + 3 responses to a problem.

    Args:
        suite: the tasks; one that is no `TextEnv` has no chance.
        problems: held out.
        draws: guesses at each problem.
        examples: problems of each task on which the constants are chosen.
        seconds: after which each of the measures of a task is of the problems reached so far.
        seed: of the guesses.
    """
    chosen_on = _train_problems(suite, examples) or problems
    rng = np.random.default_rng(seed)
    found: list[TaskChance] = []
    for k in range(suite.num_tasks):
        env = suite.envs(k, 1)[0].unwrapped
        shown = _shown(suite, [problem for problem in problems if problem.task_id == k])
        if not isinstance(env, TextEnv) or not shown:
            found.append(UNKNOWN)
            continue
        known = _shown(suite, [problem for problem in chosen_on if problem.task_id == k][:examples])
        judge = _Judge(env, seconds)
        found.append(TaskChance(_guess(judge, shown, draws, rng), *_constant(judge, shown, known or shown)))
    return Chance.of_tasks(found)


def _train_problems(suite: TaskSuite, count: int) -> Sequence[Problem]:
    try:
        return suite.held_out(count, split="train")
    except (TaskError, ValueError):  # of rows that are all held out there are none
        return ()


def _shown(suite: TaskSuite, problems: Iterable[Problem]) -> list[_Shown]:
    try:
        openings = [suite.opening(problem) for problem in problems]
    except TaskError as error:
        _LOG.info("no chance is known: %s", error)
        return []
    return [_Shown(opening.puzzle, last_question(opening.prompt)) for opening in openings if opening is not None]


class _Judge:
    """A task's verifier, with a limit on the time of each measure.

    Args:
        env: the task.
        seconds: of a measure.
    """

    def __init__(self, env: TextEnv[Any], seconds: float) -> None:
        self.env = env
        self._seconds = seconds

    def until_late(self, shown: Iterable[_Shown]) -> Iterable[_Shown]:
        """Puzzles for as long as there is time, but one at least."""
        deadline = time.monotonic() + self._seconds
        for one in shown:
            yield one
            if time.monotonic() > deadline:
                _LOG.info("the chance of a task is of fewer problems: its verifier takes long")
                return

    def oracle(self, puzzle: Any) -> str:
        """The right response, "" where none is known."""
        try:
            return str(self.env.oracle(puzzle))
        except TASK_FAULTS as error:  # whatever a task of one's own may raise; rows may have no answer
            _LOG.debug("no oracle: %r", error)
            return ""

    def guess(self, one: _Shown, rng: np.random.Generator) -> str:
        """A guess, "" where there is none."""
        try:
            return str(self.env.guess(one.puzzle, rng) or "")
        except TASK_FAULTS as error:
            _LOG.debug("no guess: %r", error)
            return ""

    def share(self, shown: Iterable[_Shown], respond: Callable[[_Shown], str | None]) -> float:
        """How many of the puzzles are solved by these responses; one that there is not is wrong."""
        successes = [self._success(one, respond) for one in self.until_late(shown)]
        valid = [success for success in successes if not math.isnan(success)]
        return sum(valid) / len(valid) if valid else math.nan

    def _success(self, one: _Shown, respond: Callable[[_Shown], str | None]) -> float:
        responses: list[str] = []
        try:
            while len(responses) < _MOST_TURNS:
                response = respond(one)
                if response is None:
                    return 0.0
                responses.append(response)
                told = self.env.reply(one.puzzle, responses)
                if isinstance(told, Verdict):
                    return math.nan if told == SCORER_ERROR else float(told.is_success)
        except TASK_FAULTS as error:  # the evaluation that follows says so
            _LOG.debug("no verdict: %r", error)
            return math.nan
        return 0.0


def _guess(judge: _Judge, shown: Sequence[_Shown], draws: int, rng: np.random.Generator) -> float:
    if not judge.guess(shown[0], rng):  # the default: the task has none, and its verifier may be dear
        return math.nan
    # Draw after draw: what is reached in time is spread over the problems.
    return judge.share((one for _ in range(draws) for one in shown), lambda one: judge.guess(one, rng))


def _constant(judge: _Judge, shown: Sequence[_Shown], known: Sequence[_Shown]) -> tuple[float, str]:
    """The better of the constants by form and by place, with its name."""
    solved = [(one, response) for one in judge.until_late(known) if (response := judge.oracle(one.puzzle))]
    if not solved:
        return math.nan, ""
    response = Counter(response for _, response in solved).most_common(1)[0][0]
    found = [(judge.share(shown, lambda _: response), f"always {_shortened(response)}")]
    for form, place in _best_places(solved):
        share = judge.share(shown, lambda one, form=form, place=place: _at(place, form, one.question))
        found.append((share, f"always {place.name(form)}"))
    return max(found, key=lambda one: -1.0 if math.isnan(one[0]) else one[0])


def _best_places(solved: Sequence[tuple[_Shown, str]]) -> Iterator[tuple[AnswerForm, Place]]:
    """Where one token of the answer stands most often, and where a run of several does, each in its usual form."""
    forms: Counter[AnswerForm] = Counter()
    places: Counter[tuple[int, bool, Place]] = Counter()
    for one, response in solved:
        asked = tokens_of(one.question)
        for form, answer in answer_forms(response):
            forms[form] += 1
            texts = texts_of(asked, are_numbers=form.are_numbers)
            places.update({(form.size, form.are_numbers, place) for place in places_of(answer, texts)})
    for is_run in (False, True):
        found = [key for key in places if (key[0] > 1) == is_run]
        if found:  # of equals the one that is counted from the start
            best = max(found, key=lambda key: (places[key], key[2].start >= 0, -key[2].start, not key[2].is_reversed))
            of_kind = [form for form in forms if (form.size, form.are_numbers) == best[:2]]
            yield max(of_kind, key=lambda form: forms[form]), best[2]


def _at(place: Place, form: AnswerForm, question: str) -> str | None:
    run = place.read(texts_of(tokens_of(question), are_numbers=form.are_numbers), form.size)
    return None if run is None else form.filled(run)


def _shortened(response: str) -> str:
    """One short line that every file and terminal takes."""
    text = "".join(character if character.isprintable() else " " for character in response[:1000])
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
