"""Options of a science question: one that is right, and wrong ones that do not give it away.

Wrong options are mistakes that people make. The right one is as likely to be the smallest as the largest
or any between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from mtgrpo_env.envs.dice import Dice
from mtgrpo_env.envs.science_facts import QUANTITIES

_APART = 0.03  # options differ by more than this share, so that rounding on the way does no harm
_FAR = 1000  # what is wrong by this factor is seen to be wrong without any calculation
_LONGEST_PLAIN = 1e6  # numbers from here on are written with a power of ten
# Wrong factors, for when there are too few mistakes. More of them than options, and so far from each
# other that no value is close to two: there are always enough.
_SLIPS = (1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0)


class Question(NamedTuple):
    """A question with its right answer and wrong ones; all are options as they are shown."""

    text: str
    right: str
    wrong: tuple[str, ...]


def numeric_question(
    dice: Dice, said: str, asked: str, right: float, mistaken: Sequence[float], options: int
) -> Question:
    """A question for a positive number; `asked` is a key of `QUANTITIES`, and `mistaken` are wrong results."""
    slips = dice.shuffled(_SLIPS)
    likely = [value for value in dice.shuffled(mistaken) if right / _FAR < value < right * _FAR]
    candidates = (*likely, *(right * slip for slip in slips), *(right / slip for slip in slips))
    wrong = choose_wrong(dice, right, candidates, options - 1, _apart)
    phrase, unit = QUANTITIES[asked]
    unit = f" {unit}" if unit else ""
    text = f"{said} What is {phrase}, to three significant figures?"
    return Question(text, written(right) + unit, tuple(written(value) + unit for value in wrong))


def written(value: float) -> str:
    """A positive number to three significant figures.

    >>> written(12.345), written(0.5), written(1234.5), written(1234567.0), written(98.97)
    ('12.3', '0.5', '1230', '1.23 × 10^6', '99')
    """
    text = f"{value:.3g}"
    if "e" not in text:
        return text
    if 1 <= value < _LONGEST_PLAIN:
        return str(int(float(text)))
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa} × 10^{int(exponent)}"


def choose_wrong(
    dice: Dice, right: float, candidates: Iterable[float], count: int, apart: Callable[[float, float], bool]
) -> list[float]:
    """The first `count` candidates above zero that differ from the right value and each other.

    How many of them are smaller than the right value is drawn first, so that its rank says nothing; only
    where candidates on one side run out are there more of the other.
    """
    smaller = dice.below(count + 1)
    wanted = {True: smaller, False: count - smaller}
    chosen: list[float] = []
    spare: list[float] = []
    for value in candidates:
        if value <= 0 or not apart(value, right) or not all(apart(value, other) for other in chosen):
            continue
        if wanted[value < right]:
            wanted[value < right] -= 1
            chosen.append(value)
            if len(chosen) == count:
                return chosen
        else:
            spare.append(value)
    for value in spare:
        if len(chosen) < count and all(apart(value, other) for other in chosen):
            chosen.append(value)
    return chosen


def _apart(a: float, b: float) -> bool:
    ratio = a / b
    return ratio > 1 + _APART or ratio < 1 - _APART
