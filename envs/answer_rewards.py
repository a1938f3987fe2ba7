r"""Rewards by the final answer: 1.0 if it is right, else 0.0. Written as you would write your own.

A reward function gives a response its score, and may have any of the parameters that `reward_functions` lists. These
raise a ValueError on a ground truth that they cannot read, so that the row is refused when it is read. Where a response
holds its answer is the same for all of them: see `final_answers.final_answer`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from mtgrpo_env.envs.dress import bare_words
from mtgrpo_env.envs.final_answers import (
    answer_as_written,
    final_answer,
    final_line,
    target_text,
    without_full_stop,
)
from mtgrpo_env.envs.row import GroundTruth
from mtgrpo_env.envs.science import Science
from mtgrpo_env.envs.science_answers import LETTERS, bare_letter, begins_with_option, chosen_letter, takes_back
from mtgrpo_env.envs.symbolic.forms import speaks_of_percent
from mtgrpo_env.envs.symbolic.numbers import Quantity, calculated, quantity

_CODE = re.compile(r"[*_\s]*(`+)(?P<code>[^`]+)\1[*_\s.]*")  # what stands in backticks may have marks of its own


def exact(completion: str, ground_truth: GroundTruth) -> float:
    r"""The answer is the truth, letter by letter.

    Case, runs of blanks, and one full stop at the end do not count, and composed characters equal decomposed ones
    (Unicode NFC, so that x² is not x2). Nor does the dress of the answer (`dress.undressed`): fonts, maths delimiters,
    Markdown; that of the truth only if it is LaTeX, because `__init__` and `*args` may mean just that.

    >>> exact("The answer is new  york.", "New York"), exact("New York or Boston", "New York")
    (1.0, 0.0)
    >>> exact(r"\boxed{\textbf{New York}}", "New York"), exact("`__init__`", "__init__"), exact("`init`", "__init__")
    (1.0, 1.0, 0.0)
    """
    truth = target_text(ground_truth)
    truths = {_plain(truth), _plain(bare_words(truth) if "\\" in truth or "$" in truth else truth)}
    found = (final_answer(completion), final_line(completion), answer_as_written(completion))
    short = [text for text in found if text is not None and len(text) <= 4 * len(truth) + 100]
    code = [match["code"] for text in short if (match := _CODE.fullmatch(text))]
    return float(any(_plain(text) in truths for text in (*short, *code, *map(bare_words, short))))


def number(completion: str, ground_truth: GroundTruth, prompt: str = "") -> float:
    r"""The answer is one number, and has exactly the value of the truth.

    Thousands separators, decimals, fractions (`3/4`, `\frac{3}{4}`), mixed numbers and exponents (`6e23`) are read, and
    magnitudes ("million", "dozen") multiply. Units convert if the truth has one too; else they are dropped, and so are
    words that name what is counted: nouns of a table, and words of the prompt and the truth. `50%` is 50, and 0.5;
    `0.5%` is 0.5 only if the prompt speaks of per cent. Nothing is rounded: 0.33 is not 1/3. A calculation that comes
    to the number at its end, `12 + 7 = 19`, is that number; a list, a range, or a sum to be worked out is none.

    >>> number("#### 1,234.0", "1234"), number("The answer is $0.75.", "3/4"), number("70, 71, 72", "72")
    (1.0, 1.0, 0.0)
    >>> number("12 + 7 = 19", "19"), number("7 = 19", "19"), number("12 + 7", "19"), number("19 = 12 + 7", "7")
    (1.0, 0.0, 0.0, 0.0)
    >>> number("8 hours", "480 minutes"), number("8 million", "8"), number("8 odd foos", "8", "How many odd foos?")
    (1.0, 0.0, 1.0)
    """
    text = target_text(ground_truth)
    truth = quantity(text, text)
    if truth is None:
        raise ValueError(f"expected a ground truth that is a number, got {text!r:.80}")
    answer = final_answer(completion)
    given = None if answer is None else _quantity(answer, f"{prompt} {text}")
    return float(given is not None and given.same_as(truth, in_percent=speaks_of_percent(prompt)))


def _quantity(answer: str, question: str) -> Quantity | None:
    return quantity(answer, question) or calculated(answer, question)


def choice(prompt: str, completion: str, ground_truth: GroundTruth) -> float:
    """The answer is the letter of the right option, its text, or both, however they are typeset.

    The truth is a letter, A to J; the options are its "choices", else the lines of the prompt that begin with A., B., …
    Without options only a letter counts. Two letters, or a letter with another option's text, are wrong.

    >>> truth = {"target": "B", "choices": ["gold", "iron"]}
    >>> [choice("", answer, truth) for answer in ("(b)", "Answer: Iron", "B. iron", "A. iron", "A or B")]
    [1.0, 1.0, 1.0, 0.0, 0.0]
    """
    fields = {} if isinstance(ground_truth, str) else ground_truth
    puzzle = Science.from_ground_truth({**fields, "target": target_text(ground_truth)}, prompt)
    return float(_chosen(completion, puzzle.choices) == puzzle.answer)


def _chosen(completion: str, choices: Sequence[str]) -> str | None:
    """The letter that the final line chooses, else its first sentence; in "B. Gold" the stop ends no sentence."""
    line, sentence = final_line(completion) or "", final_answer(completion) or ""
    whole, first = chosen_letter(line, choices), chosen_letter(sentence, choices)
    if whole is not None or first is None:
        return whole
    others = [choice for letter, choice in zip(LETTERS, choices, strict=False) if letter != first]
    rest = line[len(sentence) :]
    is_label_of_other = bare_letter(sentence) is not None and begins_with_option(rest, others)
    return None if is_label_of_other or takes_back(rest, first, choices) else first


def _plain(text: str) -> str:
    composed = unicodedata.normalize("NFC", " ".join(text.split()).casefold())
    return without_full_stop(composed).rstrip() or composed
