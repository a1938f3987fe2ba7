"""Writing numbers and tables."""

from __future__ import annotations

from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines)


def number(value: float | None) -> str:
    """Three figures, with thousands separated; a dash for what was not measured."""
    if value is None:
        return "–"
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def times(ratio: float | None) -> str:
    """A ratio."""
    return "–" if ratio is None else f"{number(ratio)}x"


def percent(share: float) -> str:
    """A share."""
    return f"{share:.1%}"
