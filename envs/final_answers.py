r"""The answer that a response commits to, whatever form it is asked for in, and the truth it is compared with.

Responses are hostile input: every search here is a single pass.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from mtgrpo_env.envs.answers import last_box
from mtgrpo_env.envs.fields import value_field
from mtgrpo_env.envs.row import GroundTruth
from mtgrpo_env.envs.thoughts import without_thoughts

_HASHES = "####"
_OPENING_TAG, _CLOSING_TAG = "<answer>", "</answer>"
_MARK = re.compile(rf"{_HASHES}|answer[*_]{{0,3}}(?: is:?|:)(?:[*_]{{1,3}}(?=\s))?", re.IGNORECASE)
_AROUND = " \t\r\n*"  # blanks, and the stars of bold text


def final_answer(response: str) -> str | None:
    r"""The one place of a response that holds its answer; None if there is none, or it is blank.

    The first of these that the response has:

    1. the last `\boxed{...}`, unless it is cut off;
    2. the last complete `<answer>...</answer>`;
    3. what follows the last of `####`, "answer:" (both to the end of the line) and "answer is" (to the end of the
       sentence);
    4. the whole response, if it is a single line.

    Thoughts are no part of it: see `thoughts.without_thoughts`.

    A place is never searched for a number or a word: the answer is all that stands there, but for blanks, the stars of
    bold text and one full stop around it.

    >>> final_answer("Half of 84 is 42.\n#### 42"), final_answer("So the answer is **Rome**. I hope it helps.")
    ('42', 'Rome')
    >>> print(final_answer("It may be 41,\nor 42."))
    None
    """
    place = _place(response)
    return place.sentence or None if place else None


def final_line(response: str) -> str | None:
    """Like `final_answer`, but to the end of its line, where that goes on behind the end of its sentence.

    >>> final_line("The answer is St. Louis. I hope so."), final_answer("The answer is St. Louis.")
    ('St. Louis. I hope so', 'St')
    """
    place = _place(response)
    return place.line or None if place else None


def answer_as_written(response: str) -> str | None:
    """Like `final_line`, but with the stars and full stops around it, which may be its own.

    >>> answer_as_written("**Answer:** *args"), answer_as_written("The answer is ...")
    ('*args', '...')
    """
    place = _place(response)
    return place.written or None if place else None


def marked_answer(response: str) -> str | None:
    """`final_answer` where a mark says that it is one, so not the whole response; "" if nothing stands there."""
    place = _marked_place(without_thoughts(response))
    return place.sentence if place else None


def target_text(ground_truth: GroundTruth) -> str:
    r"""The answer that a row says is right: its "target", or the text itself, without the reasoning before it.

    >>> target_text("30 and 42 are 72.\n#### 72"), target_text({"target": 72})
    ('72', '72')

    Raises:
        ValueError: if there is none.
    """
    fields = {"target": ground_truth} if isinstance(ground_truth, str) else ground_truth
    return without_reasoning(value_field(fields, "target"))


def without_reasoning(truth: str) -> str:
    r"""What follows the last "####" of a truth, as in GSM8K; else its last box, as in MATH; else the whole truth.

    >>> without_reasoning(r"Half of it is $\frac{1}{2}$: \boxed{\frac{1}{2}}.")
    '\\frac{1}{2}'
    """
    answer = truth.rpartition(_HASHES)[2].strip() if _HASHES in truth else last_box(truth)
    return answer or truth.strip()


def without_full_stop(text: str) -> str:
    """The text without one full stop at its end; two or more mean something.

    >>> without_full_stop("Rome."), without_full_stop("and so on ...")
    ('Rome', 'and so on ...')
    """
    return text if text.endswith("..") else text.removesuffix(".")


def _bare(text: str) -> str:
    return without_full_stop(text.strip(_AROUND)).strip(_AROUND)


class _Place(NamedTuple):
    """Where an answer stands: the line, and the sentence that it begins with, which for most marks is all of it."""

    written: str
    line: str
    sentence: str


def _place(response: str) -> _Place | None:
    text = without_thoughts(response)
    marked, text = _marked_place(text), text.strip()
    return _Place(text, _bare(text), _bare(text)) if marked is None and "\n" not in text else marked


def _marked_place(text: str) -> _Place | None:
    content = last_box(text)
    if content is not None:
        return _Place(content, content, content)
    tagged = _tagged(text)
    return _after_mark(text) if tagged is None else _Place(tagged, _bare(tagged), _bare(tagged))


def _tagged(text: str) -> str | None:
    end = text.rfind(_CLOSING_TAG)
    start = text.rfind(_OPENING_TAG, 0, max(end, 0))
    return text[start + len(_OPENING_TAG) : end].strip() if start >= 0 else None


def _after_mark(text: str) -> _Place | None:
    last = deque(_MARK.finditer(text), maxlen=1)
    if not last:
        return None
    rest = text[last[0].end() :]
    line = rest.lstrip(_AROUND).partition("\n")[0]
    sentence = line.partition(". ")[0] if "is" in last[0].group().lower() else line
    return _Place(rest.lstrip().partition("\n")[0].rstrip(), _bare(line), _bare(sentence))
