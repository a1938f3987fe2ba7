r"""Short answers: questions in plain English that a small instruct model can be asked, one kind of question a level.

The whole response is the answer. White space around it and one full stop at its end are no part of it, and neither is
a `\boxed{}` around all of it, because a policy that is also trained on boxed tasks answers so; a sentence, a list of
the options or the question itself is no answer. The kinds are made so that no place in the prompt and no constant is
right more often than a guess: an answer that stands in the prompt stands at each of its places equally often, and one
that does not is drawn uniformly (but for products, one in sixteen of which is 12).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask, Extraction
from mtgrpo_env.envs.boxes import boxes
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, WRONG, Verdict
from mtgrpo_env.types import Split

_LONGEST = 80  # characters of a response that may be an answer

_LISTED = """
anchor apple arrow badge basket beach bench berry blade bottle branch bread bridge brush bucket butter button cabin
camel candle canoe castle chain chair cheese cherry circle cloud clock coast collar corner cotton cousin crown
curtain desert doctor donkey dragon eagle engine evening farmer feather fence finger flame flower forest garden gate
glove grape guitar hammer harbor helmet honey horse hotel island jacket jungle kettle kitchen ladder lamp lemon
letter lizard magnet market meadow mirror monkey morning mountain needle number ocean office orange oven palace
paper pencil pepper piano pillow planet pocket potato queen rabbit ribbon river rocket saddle salad school shadow
shirt silver spider spoon stone street summer table ticket tiger tower tunnel turtle valley velvet village violin
wagon wallet water whale window winter wolf yellow zebra
"""
_WORDS = tuple(_LISTED.split())
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_PLACES = {**{name: place for place, name in enumerate(_ORDINALS)}, "last": -1}
_PRODUCTS = (
    "What is {} times {}?",
    "How much is {} times {}?",
    "What is {} multiplied by {}?",
    "Multiply {} by {}.",
    "What is the product of {} and {}?",
    "Work out {} x {}.",
    "Calculate {} times {}.",
    "{} x {} = ?",
)
_SPELLINGS = (
    'What is the {place} letter of the word "{word}"?',
    'Which letter is the {place} one of "{word}"?',
    'Name the {place} letter of "{word}".',
    'Spell "{word}": what is its {place} letter?',
)
_NUMBER, _WORD = re.compile("0|[1-9][0-9]*"), re.compile("[A-Za-z]+")
_NUMBERS = re.compile(rf"(?:{_NUMBER.pattern})(?:(?:, ?| )(?:{_NUMBER.pattern}))+")
_LETTER = re.compile("[A-Za-z]")
_TOKEN = re.compile("[A-Za-z]+|[0-9]+")
_UNORDERED = {"larger", "sort", "biggest", "alphabet"}


class Asked(NamedTuple):
    """A question, its answer, and the answers among which a guess is made."""

    question: str
    answer: str
    choices: tuple[str, ...]


class Kind(NamedTuple):
    """One kind of question.

    Attributes:
        make: draws a question.
        form: of every answer, right or wrong.
        demand: the form in words, at the end of the prompt.
    """

    make: Callable[[Dice], Asked]
    form: re.Pattern[str]
    demand: str


@dataclass(frozen=True, slots=True)
class ShortQuestion:
    """A question as it is shown, its answer, and its kind, a key of `KINDS`."""

    kind: str
    question: str
    answer: str
    choices: tuple[str, ...]


def _larger(dice: Dice) -> Asked:
    low, high = sorted(_distinct(dice, 2, 100, 999))
    first, second = dice.shuffled((low, high))
    return Asked(f"Which number is larger, {first} or {second}?", str(high), (str(first), str(second)))


def _biggest(dice: Dice) -> Asked:
    numbers = _distinct(dice, 5, 10, 99)
    shown = tuple(map(str, numbers))
    return Asked(f"Which of these numbers is the biggest: {', '.join(shown)}?", str(max(numbers)), shown)


def _sort(dice: Dice) -> Asked:
    numbers = _distinct(dice, 3, 10, 99)
    orders = tuple(", ".join(str(numbers[place]) for place in order) for order in _ORDERS)
    question = f"Sort these numbers from the smallest to the largest: {orders[0]}."
    return Asked(question, ", ".join(map(str, sorted(numbers))), orders)


def _product(dice: Dice) -> Asked:
    """Two factors of 2..9: with 1 the answer would stand in the prompt."""
    factors = dice.between(2, 9), dice.between(2, 9)
    return Asked(dice.pick(_PRODUCTS).format(*factors), str(factors[0] * factors[1]), _TABLE)


def _alphabet(dice: Dice) -> Asked:
    words = tuple(dice.shuffled(_WORDS)[:5])
    return Asked(f"Which of these words comes first in the alphabet: {', '.join(words)}?", min(words), words)


def _nth_word(dice: Dice) -> Asked:
    words = tuple(dice.shuffled(_WORDS)[:5])
    place = dice.below(5)
    return Asked(f"What is the {_ORDINALS[place]} word of this list: {', '.join(words)}?", words[place], words)


def _letter(dice: Dice) -> Asked:
    letter = dice.pick(tuple(_LETTERS))
    word, place = dice.pick(_LETTERS[letter])
    return Asked(dice.pick(_SPELLINGS).format(place=place, word=word), letter, tuple(_LETTERS))


def _count(dice: Dice) -> Asked:
    many = dice.between(2, 9)
    words = ", ".join(dice.shuffled(_WORDS)[:many])
    return Asked(f"How many words are in this list: {words}?", str(many), tuple(map(str, range(2, 10))))


def _weekday(dice: Dice) -> Asked:
    today, days = dice.below(7), dice.between(1, 21)
    if dice.below(2):
        return Asked(f"Today is {_DAYS[today]}. Which day is it in {_days(days)}?", _DAYS[(today + days) % 7], _DAYS)
    return Asked(f"Today is {_DAYS[today]}. Which day was it {_days(days)} ago?", _DAYS[(today - days) % 7], _DAYS)


def _days(count: int) -> str:
    return f"{count} day{'s' if count > 1 else ''}"


def _distinct(dice: Dice, count: int, low: int, high: int) -> list[int]:
    """Different numbers of low..high in random order."""
    numbers: dict[int, None] = {}
    while len(numbers) < count:
        numbers[dice.between(low, high)] = None
    return list(numbers)


def _by_letter(count: int = 17) -> dict[str, tuple[tuple[str, str], ...]]:
    """Of each letter that stands in that many words, as many words with its place, so that none comes more often."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word in _WORDS:
        for name, place in _PLACES.items():
            if place < len(word):
                found.setdefault(word[place], []).append((word, name))
    enough = {letter: places for letter, places in sorted(found.items()) if len(places) >= count}
    return {letter: tuple(places[:: len(places) // count][:count]) for letter, places in enough.items()}


_LETTERS = _by_letter()
_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
_TABLE = tuple(map(str, sorted({left * right for left in range(2, 10) for right in range(2, 10)})))

KINDS: Mapping[str, Kind] = {
    "larger": Kind(_larger, _NUMBER, "Reply with the number only."),
    "sort": Kind(_sort, _NUMBERS, "Reply with the numbers only, separated by commas."),
    "biggest": Kind(_biggest, _NUMBER, "Reply with the number only."),
    "product": Kind(_product, _NUMBER, "Reply with the number only."),
    "alphabet": Kind(_alphabet, _WORD, "Reply with the word only."),
    "nth_word": Kind(_nth_word, _WORD, "Reply with the word only."),
    "letter": Kind(_letter, _LETTER, "Reply with the letter only."),
    "count": Kind(_count, _NUMBER, "Reply with the number only."),
    "weekday": Kind(_weekday, _WORD, "Reply with the day only."),
}
"""The kinds by the names of their levels."""


class ShortAnswers(BoxedTask[ShortQuestion]):
    """A question whose whole response is its answer: a number, some numbers, a word or a letter.

    Rewards: 1.0 for the answer, 0.1 for another one of its form, such as one whole number, 0.0 for anything else.
    Letters may be of either case, and several numbers may have commas, blanks or both between them.

    The table of one-digit products has 64 entries only, so each is asked for in eight ways: a question of the test
    split is new, its product is not.

    Args:
        level: a key of `KINDS`.
        extraction: says nothing here: the whole response is the answer.
        split: see `TextEnv`.
        render_mode: see `TextEnv`.

    >>> task = ShortAnswers("larger")
    >>> question = ShortQuestion("larger", "Which number is larger, 347 or 892?", "892", ("347", "892"))
    >>> [task.verify(question, said).outcome for said in ("892.", "347", "347 or 892")]
    ['correct', 'wrong', 'no_answer']
    """

    LEVELS: ClassVar[Mapping[str, Hashable]] = {kind: kind for kind in KINDS}
    level: str

    def __init__(
        self,
        level: str = "larger",
        *,
        extraction: Extraction = "last-box",
        split: Split = "train",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(level, extraction=extraction, split=split, render_mode=render_mode)

    def generate(self, rng: np.random.Generator) -> ShortQuestion:
        return ShortQuestion(self.level, *KINDS[self.level].make(Dice(rng)))

    def prompt(self, puzzle: ShortQuestion) -> str:
        return f"{puzzle.question} {KINDS[puzzle.kind].demand}"

    def verify(self, puzzle: ShortQuestion, response: str) -> Verdict:
        answer = _bare(response)
        if len(answer) > _LONGEST or KINDS[puzzle.kind].form.fullmatch(answer) is None:
            return NO_ANSWER
        return CORRECT if self.is_correct(puzzle, answer) else WRONG

    def is_correct(self, puzzle: ShortQuestion, answer: str) -> bool:
        return answer.lower().replace(",", " ").split() == puzzle.answer.lower().replace(",", " ").split()

    def oracle(self, puzzle: ShortQuestion) -> str:
        return puzzle.answer

    def guess(self, puzzle: ShortQuestion, rng: np.random.Generator) -> str:
        """One of the choices; of a data row, which has none, nothing."""
        return puzzle.choices[int(rng.integers(len(puzzle.choices)))] if puzzle.choices else ""

    def key(self, puzzle: ShortQuestion) -> str:
        """The prompt; where the order of what is listed is no part of the question, its words in any order."""
        if puzzle.kind not in _UNORDERED:
            return self.prompt(puzzle)
        return " ".join(sorted(_TOKEN.findall(puzzle.question)))

    @classmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> ShortQuestion:
        """Read `{"kind": "larger", "answer": "892"}`, with or without its `choices`."""
        kind, answer, choices = (ground_truth.get(name) for name in ("kind", "answer", "choices"))
        if kind not in KINDS:
            raise ValueError(f"ground truth needs a 'kind' among {list(KINDS)}, got {kind!r:.80}")
        if not isinstance(answer, str) or KINDS[kind].form.fullmatch(answer[: _LONGEST + 1]) is None:
            raise ValueError(f"ground truth needs an 'answer' of the form of {kind!r}, got {answer!r:.80}")
        listed = tuple(choices) if isinstance(choices, list | tuple) else ()
        if not all(isinstance(choice, str) for choice in listed):
            raise ValueError(f"ground truth needs 'choices' that are strings, got {choices!r:.80}")
        return ShortQuestion(kind, question.removesuffix(KINDS[kind].demand).rstrip(), answer, listed)

    def ground_truth(self, puzzle: ShortQuestion) -> dict[str, Any]:
        return {"kind": puzzle.kind, "answer": puzzle.answer, "choices": list(puzzle.choices)}


def _bare(response: str) -> str:
    r"""A response without the white space, the full stop and the box around all of it.

    >>> _bare(" 12.\n"), _bare(r"\boxed{12}"), _bare(r"So \boxed{12}")
    ('12', '12', 'So \\boxed{12}')
    """
    text = response.strip()
    found = boxes(text) if len(text) <= _LONGEST + len("\\boxed{}.") else []
    if len(found) == 1 and not (text[: found[0].start] + text[found[0].end :]).strip(" $."):
        return found[0].content
    return text.removesuffix(".")
