"""Reading data rows: fields of the ground truth, with errors that name them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

_MAX_DIGITS = 500
_NUMBERS = (int, float, Decimal, Fraction, np.integer, np.floating)


def read_json(text: str | bytes) -> Any:
    """What JSON text says, numbers to the last digit: those that no float holds are Decimals.

    >>> read_json('[0.1, 9007199254740993.0]')
    [0.1, Decimal('9007199254740993.0')]

    Raises:
        ValueError, RecursionError: if it is no JSON.
    """
    return json.loads(text, parse_float=_exact)


def _exact(digits: str) -> float | Decimal:
    number, exact = float(digits), Decimal(digits)
    return number if Decimal(repr(number)) == exact else exact


def text_field(ground_truth: Mapping[str, Any], name: str) -> str:
    """A text field that must be there and hold something.

    >>> text_field({"target": " alice "}, "target")
    'alice'

    Raises:
        ValueError: naming the field and what was found instead.
    """
    value = ground_truth.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"ground truth needs a non-empty str {name!r}, got {value!r:.80}")
    return value.strip()


def value_field(ground_truth: Mapping[str, Any], name: str) -> str:
    """A text field, or a number in plain digits; it must be there and hold something.

    >>> value_field({"target": 2e-05}, "target"), value_field({"target": "2/3"}, "target")
    ('0.00002', '2/3')

    Raises:
        ValueError: naming the field and what was found instead.
    """
    value = ground_truth.get(name)
    try:
        number = written(value)
    except ValueError as error:
        raise ValueError(f"ground truth needs a text or a number as {name!r}: {error}") from error
    text = value.strip() if isinstance(value, str) else number
    if not text:
        raise ValueError(f"ground truth needs a text or a number as {name!r}, got {value!r:.80}")
    return text


def written(number: object) -> str | None:
    """A number of a data file in plain digits, exactly as it stands there; None for what is no number.

    A float has the digits of its shortest spelling, also one in single precision: those that the file has.

    >>> written(2e-05), written(7e18), written(np.float32(0.1)), written(8.0), written(True)
    ('0.00002', '7000000000000000000', '0.1', '8', None)

    Raises:
        ValueError: if it is not finite, or has too many digits.
    """
    if isinstance(number, bool) or not isinstance(number, _NUMBERS):
        return None
    if isinstance(number, Fraction):
        top, bottom = written(number.numerator), written(number.denominator)
        return top if bottom == "1" else f"{top}/{bottom}"
    decimal = Decimal(int(number) if isinstance(number, int | np.integer) else str(number))
    if not decimal.is_finite():
        raise ValueError(f"expected a finite number, got {number}")
    if abs(decimal.adjusted()) > _MAX_DIGITS or len(decimal.as_tuple().digits) > _MAX_DIGITS:
        raise ValueError(f"expected a number of at most {_MAX_DIGITS} digits, got {decimal:.3e}")
    return "0" if decimal.is_zero() else f"{decimal:f}".removesuffix(".0")


def whole(number: object) -> int | None:
    """A whole number of a data file, which may be written as `8.0`; None for anything else.

    >>> whole(8.0), whole(np.int64(8)), whole(8.5), whole("8"), whole(float("inf"))
    (8, 8, None, None, None)
    """
    try:
        text = written(number)
    except ValueError:
        return None
    digits, _, decimals = (text or "").partition(".")
    return int(digits) if digits and "/" not in digits and not decimals.strip("0") else None


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers of other types as ints, or as texts in plain digits.

    >>> plain({"target": Decimal("0.10"), "numbers": [np.int64(3), 5.5]})
    {'target': '0.10', 'numbers': [3, 5.5]}

    Raises:
        ValueError: if a number that JSON has no type for is not finite, or has too many digits.
    """
    if isinstance(value, Mapping):
        return {name: plain(field) for name, field in value.items()}
    if isinstance(value, list | tuple):
        return list(map(plain, value))
    if not isinstance(value, Decimal | Fraction | np.generic):
        return value
    if (number := whole(value)) is not None:
        return number
    text = written(value)
    return value.item() if text is None and isinstance(value, np.generic) else text
