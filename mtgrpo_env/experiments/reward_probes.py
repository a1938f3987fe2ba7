"""Responses that show what a reward is worth: what a policy finds if it is paid, and right answers in other dress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mtgrpo_env.envs.answers import boxed, last_box
from mtgrpo_env.envs.function_scorer import bare_answer
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.science import LETTERS
from mtgrpo_env.envs.symbolic.numbers import written_number

_NUM_OTHERS = 3
_MADE_UP = ("17", "xyzzy", "4", "no")  # where the other rows have no other answers


class Probe(NamedTuple):
    """A response, and what it is."""

    what: str
    response: str


class KnownAnswer(NamedTuple):
    """The answer of a row, in the form in which its reward takes it.

    Attributes:
        row: whose.
        answer: the bare answer.
        written: writes any answer in the form of the oracle's.
    """

    row: Row
    answer: str
    written: Callable[[str], str]

    @classmethod
    def of(cls, row: Row, oracle: str) -> KnownAnswer:
        """Read it from a response that is right."""
        inside = last_box(oracle)
        if inside is not None:
            return cls(row, inside, boxed)
        answer = bare_answer(row)
        before, found, after = oracle.rpartition(answer)
        return cls(row, answer, lambda text: f"{before}{text}{after}") if found else cls(row, answer, str)

    def is_other(self, answer: str) -> bool:
        """Whether an answer is another one, as far as can be told without the reward."""
        return _normal(answer) != _normal(self.answer)


def other_answers(known: KnownAnswer, answers: Sequence[str]) -> list[str]:
    """A few different answers that are not the row's: those of other rows, where there are any."""
    found: dict[object, str] = {}
    for answer in (*answers, *_MADE_UP):
        if known.is_other(answer):
            found.setdefault(_normal(answer), answer)
        if len(found) == _NUM_OTHERS:
            break
    return list(found.values())


def wrong_probes(known: KnownAnswer, others: Sequence[str]) -> Iterator[Probe]:
    """Responses that commit to no answer, or to a wrong one in the end, though the right one stands in some."""
    right, (first, second, *_) = known.answer, others
    yield Probe("an empty response", "")
    yield Probe("the right answer between wrong ones", "\n".join(map(known.written, (first, right, second))))
    yield Probe("the right answer in a list", known.written(f"{first}, {right}, {second}"))
    yield Probe("several boxed answers", " ".join(map(boxed, (first, right, second))))
    yield from (Probe("all options listed", response) for response in _options_listed(known.row))


def dressed_probes(known: KnownAnswer) -> Iterator[Probe]:
    """The right answer in forms that people and models use; X stands for it."""
    answer, right = known.answer, known.written(known.answer)
    yield Probe(r"\boxed{X}", boxed(answer))
    yield Probe("The answer is X.", f"The answer is {answer}.")
    yield Probe("**X**", f"**{answer}**")
    yield Probe("a blank line after it", f"{right}\n")
    value = written_number(answer)
    if value is not None and value.denominator == 1:
        yield Probe("X.0", known.written(f"{value}.0"))
        yield Probe("$X", known.written(f"${value}"))
    if value is not None and value.denominator > 1:
        yield Probe("as a fraction", known.written(f"{2 * value.numerator}/{2 * value.denominator}"))


def _options_listed(row: Row) -> list[str]:
    truth = row.ground_truth
    choices = truth.get("choices") if isinstance(truth, Mapping) else None
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
        return []
    labelled = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    letters = ", ".join(LETTERS[: len(choices)])
    return ["\n".join(labelled), " ".join(labelled), boxed(letters), letters, boxed(", ".join(map(str, choices)))]


def _normal(answer: str) -> object:
    value = written_number(answer)
    return "".join(answer.split()).casefold() if value is None else value
