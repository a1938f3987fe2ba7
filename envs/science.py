r"""Science as multiple choice: questions of our own or of a data set, answered by a letter in `\boxed{}`.

The levels take 1 to 4 steps and have 4, 4, 6 and 10 options, so a guess scores 25, 25, 17 and 10 %.
`mini` is one step in a short notation, within reach of a model with a few hundred thousand parameters.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from mtgrpo_env.envs.answers import BoxedTask, boxed
from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.fields import text_field
from mtgrpo_env.envs.science_answers import LETTERS, bare_letter, chosen_letter
from mtgrpo_env.envs.science_prompts import read_question
from mtgrpo_env.envs.science_questions import draw_compact, draw_question
from mtgrpo_env.paper_frame import question_of

_INSTRUCTION = "Return the letter of the answer in \\boxed{}, for example \\boxed{A}."
_MULTIPLE_CHOICE = re.compile(r"mcq\b.*|multiple[-_ ]choice.*")
_LEVEL_OF = {"L1": "easy", "L2": "medium", "L3": "hard", "L4": "very_hard", "L5": "very_hard"}


@dataclass(frozen=True, slots=True)
class SciencePuzzle:
    """A question, what may be chosen, and the letter of what is right.

    `choices` is empty where a data row does not show them: then only a letter can be an answer.
    """

    question: str
    choices: tuple[str, ...]
    answer: str


def options_question(puzzle: SciencePuzzle) -> str:
    """The question, one option per line, and how to answer; of a row without known options, its text as it was."""
    if not puzzle.choices:
        return puzzle.question
    lines = (f"{letter}. {choice}" for letter, choice in zip(LETTERS, puzzle.choices, strict=False))
    return "\n".join((puzzle.question, *lines, _INSTRUCTION))


def compact_question(puzzle: SciencePuzzle) -> str:
    """A prompt of some twenty characters.

    >>> compact_question(SciencePuzzle("m6a7F", ("13", "42", "48", "1"), "B"))
    'Sm6a7F:13,42,48,1:'
    """
    return f"S{puzzle.question}:{','.join(puzzle.choices)}:"


@dataclass(frozen=True, slots=True)
class ScienceLevel:
    """What questions of a level look like; the compact notation has one step and four options."""

    steps: int
    options: int
    compact: bool = False


class Science(BoxedTask[SciencePuzzle]):
    r"""Choose the right answer.

    A letter counts in any dress, and so does the text of one option, however it is typeset, or a letter with the text
    of its own option. Two letters, or a letter with another option's text, commit to nothing and are wrong.

    >>> task = Science("mini")
    >>> puzzle = SciencePuzzle("m6a7F", ("13", "42", "48", "1"), "B")
    >>> task.prompt(puzzle), task.oracle(puzzle)
    ('Sm6a7F:13,42,48,1:', '42\\boxed{B}')
    >>> [task.verify(puzzle, text).outcome for text in (r"\boxed{(b)}", r"\boxed{B: 42}", r"\boxed{A or B}")]
    ['correct', 'correct', 'wrong']
    """

    version: ClassVar[int] = 2
    LEVELS: ClassVar[Mapping[str, Hashable]] = MappingProxyType(
        {
            "mini": ScienceLevel(steps=1, options=4, compact=True),
            "easy": ScienceLevel(steps=1, options=4),
            "medium": ScienceLevel(steps=2, options=4),
            "hard": ScienceLevel(steps=3, options=6),
            "very_hard": ScienceLevel(steps=4, options=10),
        }
    )
    level: ScienceLevel

    def generate(self, rng: np.random.Generator) -> SciencePuzzle:
        dice, level = Dice(rng), self.level
        drawn = draw_compact(dice) if level.compact else draw_question(dice, steps=level.steps, options=level.options)
        choices = dice.shuffled((drawn.right, *drawn.wrong))
        return SciencePuzzle(drawn.text, tuple(choices), LETTERS[choices.index(drawn.right)])

    def prompt(self, puzzle: SciencePuzzle) -> str:
        return compact_question(puzzle) if self.level.compact else options_question(puzzle)

    def is_correct(self, puzzle: SciencePuzzle, answer: str) -> bool:
        return chosen_letter(answer, puzzle.choices) == puzzle.answer

    def oracle(self, puzzle: SciencePuzzle) -> str:
        """The letter; in the compact notation after what it stands for, which is what has to be worked out."""
        worked_out = puzzle.choices[LETTERS.index(puzzle.answer)] if self.level.compact else ""
        return worked_out + boxed(puzzle.answer)

    def guess(self, puzzle: SciencePuzzle, rng: np.random.Generator) -> str:
        """One of the letters; of the first four where the options are not known."""
        return boxed(LETTERS[int(rng.integers(len(puzzle.choices) or 4))])

    def key(self, puzzle: SciencePuzzle) -> str:
        """The question and its options, whatever their order."""
        return "|".join((puzzle.question, *sorted(puzzle.choices)))

    @classmethod
    def from_ground_truth(cls, ground_truth: Mapping[str, Any], question: str) -> SciencePuzzle:
        """Read `{"target": "B"}`, with the options from "choices", else from the question.

        Raises:
            ValueError: if the target is no letter of an option, or "choices" is not a list of 2 to 10 texts.
        """
        target = text_field(ground_truth, "target")
        letter = bare_letter(target)
        text, choices = read_question(question_of(question), letter or "")
        if ground_truth.get("choices") is not None:
            choices = _read_choices(ground_truth["choices"])
        letters = LETTERS[: len(choices)] if choices else LETTERS
        if letter is None or letter not in letters:
            raise ValueError(f"ground truth needs a letter {letters[0]}..{letters[-1]} as 'target', got {target!r:.80}")
        return SciencePuzzle(text, choices, letter)

    def ground_truth(self, puzzle: SciencePuzzle) -> dict[str, Any]:
        return _ground_truth(puzzle)


def _ground_truth(puzzle: SciencePuzzle) -> dict[str, Any]:
    found: dict[str, Any] = {"target": puzzle.answer}
    return {**found, "choices": list(puzzle.choices)} if puzzle.choices else found


def _read_choices(given: Any) -> tuple[str, ...]:
    if (
        not isinstance(given, list | tuple)
        or not 2 <= len(given) <= len(LETTERS)
        or not all(isinstance(choice, str) and choice.strip() for choice in given)
    ):
        raise ValueError(f"ground truth needs 'choices' as a list of 2 to {len(LETTERS)} str, got {given!r:.80}")
    return tuple(choice.strip() for choice in given)


def sciknoweval_row(record: Mapping[str, Any], *, split: str = "test", level: str | None = None) -> dict[str, Any]:
    """A multiple-choice record of the SciKnowEval format as a data row of the `science` task.

    Args:
        record: with "question", "choices" (lists "text" and "label") and "answerKey"; "type", "domain"
            and "details" are optional.
        split: the last part of the row's `data_source`.
        level: the middle part; by default from `details.level`, L1 to L5 being easy, medium, hard and very_hard
            twice, and medium where the record has none.

    Raises:
        ValueError: naming the field that is missing or malformed, or the type if it is not multiple choice.
    """
    kind = record.get("type")
    if kind is not None and not (isinstance(kind, str) and _MULTIPLE_CHOICE.fullmatch(kind)):
        raise ValueError(f"record needs a multiple-choice 'type' such as 'mcq-4-choices', got {kind!r:.80}")
    choices = _sciknoweval_choices(record.get("choices"))
    question = record.get("question")
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"record needs a non-empty str 'question', got {question!r:.80}")
    key = record.get("answerKey")
    if not isinstance(key, str) or key.strip() not in choices:
        raise ValueError(f"record needs an 'answerKey' among {list(choices)}, got {key!r:.80}")
    details = record.get("details")
    rated = details.get("level") if isinstance(details, Mapping) else None
    letter = LETTERS[list(choices).index(key.strip())]
    puzzle = SciencePuzzle(question.strip(), tuple(choices.values()), letter)
    return {
        "data_source": f"science-{level or _LEVEL_OF.get(str(rated), 'medium')}-{split}",
        "prompt": [{"role": "user", "content": options_question(puzzle)}],
        "ability": "science",
        "reward_model": {"ground_truth": _ground_truth(puzzle), "style": "rule"},
        "extra_info": {"question": puzzle.question, "split": split, "domain": record.get("domain")},
    }


def _sciknoweval_choices(given: Any) -> dict[str, str]:
    """Label to text."""
    if not isinstance(given, Mapping):
        raise ValueError(f"record needs 'choices' with lists 'text' and 'label', got {given!r:.80}")
    for name in ("text", "label"):
        values = given.get(name)
        if not isinstance(values, list | tuple) or not all(isinstance(v, str) and v.strip() for v in values):
            raise ValueError(f"record needs 'choices.{name}' as a list of non-empty str, got {values!r:.80}")
        if not 2 <= len(values) <= len(LETTERS):
            raise ValueError(f"record needs 2 to {len(LETTERS)} 'choices.{name}', got {len(values)}")
    texts, labels = given["text"], [label.strip() for label in given["label"]]
    if len(set(labels)) != len(texts) or len(labels) != len(texts):
        raise ValueError(f"record needs one different 'choices.label' per text, got {labels!r:.80} for {len(texts)}")
    return dict(zip(labels, (text.strip() for text in texts), strict=True))
