"""Rows of multiple choice: options as data sets write them, and the answer as a letter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtgrpo_env.envs.records import Record
from mtgrpo_env.envs.science import LETTERS


@dataclass(frozen=True, slots=True)
class Option:
    """One that can be chosen; `label` is the row's own, `letter` the one that is shown."""

    letter: str
    label: str
    text: str


def choices_of(record: Record) -> tuple[Option, ...]:
    """The options in the column `choices` or `options`; () if the row has none.

    They are a list of texts, two lists `text` and `label`, or texts by their labels.

    Raises:
        ValueError: naming file, row and column, if they are anything else, or not 2 to 10.
    """
    found = record.find("choices", "options")
    if found is None:
        return ()
    if isinstance(found, Mapping) and {"text", "label"} <= found.keys():
        labels, texts = found["label"], found["text"]
    elif isinstance(found, Mapping):
        known = {label: text for label, text in found.items() if text is not None}  # parquet gives all rows all labels
        labels, texts = list(known), list(known.values())
    else:
        texts = found
        labels = list(LETTERS[: len(texts)]) if isinstance(texts, list) else []
    is_good = isinstance(texts, list) and isinstance(labels, list) and 2 <= len(texts) == len(labels) <= len(LETTERS)
    if not is_good or not all(isinstance(part, str) and part.strip() for part in (*texts, *labels)):
        raise record.error("choices or options", f"2 to {len(LETTERS)} texts, or lists 'text' and 'label'", found)
    return tuple(
        Option(letter, label.strip(), text.strip()) for letter, label, text in zip(LETTERS, labels, texts, strict=False)
    )


def letter_of(record: Record, answer: str | int, options: Sequence[Option]) -> str:
    """The letter of the right option, from its label, its text, or its place from 0.

    Raises:
        ValueError: naming file and row, if the answer is none of these.
    """
    if isinstance(answer, int):
        if 0 <= answer < len(options):
            return options[answer].letter
        raise record.error("answer", f"a place from 0 to {len(options) - 1}", answer)
    answers = {"label": answer.strip(" ().:").upper(), "text": answer.strip()}
    for name, said in answers.items():
        letters = [option.letter for option in options if _same(name, getattr(option, name), said)]
        if len(letters) == 1:
            return letters[0]
    raise record.error("answer", f"the label or the text of one of the {len(options)} options", answer)


def _same(name: str, given: str, said: str) -> bool:
    return given.upper() == said if name == "label" else given == said


def with_options(question: str, options: Sequence[Option]) -> str:
    """The question with its options, one a line, unless it shows them all already."""
    shown = r"(?m)^[ \t]*\(?{letter}[).:]?[ \t]+{text}"
    if all(re.search(shown.format(letter=o.letter, text=re.escape(o.text)), question) for o in options):
        return question
    return "\n".join([question, *(f"{option.letter}. {option.text}" for option in options)])
