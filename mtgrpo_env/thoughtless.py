r"""Responses that commit to nothing: the prompt repeated, all options listed. No verifier may call them correct.

A verifier that looks for the right answer anywhere in a response does, and a model learns to list everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mtgrpo_env.answer_places import AnswerForm, answer_forms, texts_of, tokens_of
from mtgrpo_env.chat import last_question

_LABEL = re.compile(r"(?:^|[\s(])([A-Z])[.):](?=\s|$)", re.MULTILINE)
_SEPARATORS = (", ", " ", " or ")
_MOST = 24  # options of a listing


class Thoughtless(NamedTuple):
    """A response, and in words what it repeats or lists."""

    what: str
    response: str


def thoughtless_responses(prompt: str, oracle: str) -> Iterator[Thoughtless]:
    """The prompt and every listing of its options, but those that happen to be the answer.

    A list is left out if it is the answer itself, as where numbers to be sorted stand in order; and so is a prompt that
    shows the answer in its form, such as an example in a box.

    Args:
        prompt: of a problem.
        oracle: its right response.

    >>> [one.response for one in thoughtless_responses("Which is larger, 3 or 5?", "5")][:2]
    ['Which is larger, 3 or 5?', '3, 5']
    """
    forms = list(answer_forms(oracle))
    question = last_question(prompt)
    if not _shows_answer(question, oracle, forms):
        yield Thoughtless("the prompt repeated", question)
    answers = {tuple(answer) for _, answer in forms}
    for what, options in _options(question, forms):
        if len(set(options)) > 1 and tuple(options) not in answers:
            for separator in _SEPARATORS:
                listed = separator.join(options)
                yield Thoughtless(f"{what} listed", listed)
                if forms and (forms[0][0].before or forms[0][0].after):
                    yield Thoughtless(f"{what} listed", forms[0][0].filled([listed]))


def single_answers(prompt: str, oracle: str) -> list[str]:
    r"""Some numbers or words of the prompt, whichever the answer is, each in the oracle's form.

    >>> single_answers("Which is larger, 3 or 5?", r"\boxed{5}")
    ['\\boxed{3}', '\\boxed{5}']
    """
    for form, _ in answer_forms(oracle):
        texts = dict.fromkeys(texts_of(tokens_of(last_question(prompt)), are_numbers=form.are_numbers))
        return [form.filled([text]) for text in list(texts)[-_MOST:]]
    return []


def _shows_answer(question: str, oracle: str, forms: Sequence[tuple[AnswerForm, tuple[str, ...]]]) -> bool:
    has_dress = any(form.before or form.after for form, _ in forms)
    return question.strip() == oracle.strip() or (has_dress and oracle.strip() in question)


def _options(question: str, forms: Sequence[tuple[AnswerForm, tuple[str, ...]]]) -> Iterator[tuple[str, list[str]]]:
    """The letters of choices, and what stands in the prompt of the answer's kind: all of it, and on its last line."""
    yield "every letter", list(dict.fromkeys(_LABEL.findall(question)))[:_MOST]
    if not forms:
        return
    are_numbers = forms[0][0].are_numbers
    kind = "number" if are_numbers else "word"
    last_line = question.rstrip().rsplit("\n", 1)[-1]
    found = [texts_of(tokens_of(text), are_numbers=are_numbers)[-_MOST:] for text in (question, last_line)]
    yield f"every {kind} of the prompt", found[0]
    if found[1] != found[0]:
        yield f"every {kind} of the prompt's last line", found[1]
