"""Numbers, names and tables in Markdown, written alike in every report."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from mtgrpo_env.agents.reports.statistics import Interval
from mtgrpo_env.visible_text import one_line

_LONGEST = 200  # characters of a name


def percent(interval: Interval, form: str = ".1f") -> str:
    """A share with its interval, in per cent."""
    return with_interval(Interval(100 * interval.mean, 100 * interval.low, 100 * interval.high), form)


def with_interval(interval: Interval, form: str) -> str:
    """A mean with its interval, if it has one; "-" for NaN.

    >>> with_interval(Interval(2.0, 1.5, 2.5), ".1f")
    '2.0 [1.5, 2.5]'
    """
    if math.isnan(interval.mean):
        return "-"
    text = f"{interval.mean:{form}}"
    return text if math.isnan(interval.low) else f"{text} [{interval.low:{form}}, {interval.high:{form}}]"


def number_range(counts: Iterable[int]) -> str:
    """A number that several things have, or the least and the most of them.

    >>> number_range([300, 300]), number_range([300, 4, 40])
    ('300', '4 to 300')
    """
    numbers = sorted(set(counts))
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"


def text(name: str, most: int | None = _LONGEST) -> str:
    r"""A text of others, such as a name, in a line: its signs are shown, and mark nothing up.

    >>> text("[red]x[/red]\n<b>|$a$|"), text("zebra-very_hard")
    ('\\[red\\]x\\[/red\\] &lt;b&gt;|\\$a\\$|', 'zebra-very_hard')
    """
    line = one_line(name, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]$~]|^[#+-])", r"\\\1", line)


def code(text: str) -> str:
    """A text of others in a line, set as code.

    >>> code("mtgrpo evaluate"), code("a `b`")
    ('`mtgrpo evaluate`', '`` a `b` ``')
    """
    line = one_line(text)
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"`{line}`"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; whatever a cell holds stays in it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
