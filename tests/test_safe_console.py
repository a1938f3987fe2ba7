"""Tables in consoles of any width."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("rich")

from rich.table import Table

from mtgrpo_env.safe_console import SafeConsole

NAME, INTERVAL = "countdown-very_hard", "21.2 [15.7, 32.3] ≈"


def printed(table: Table, width: int | None = None) -> str:
    console = SafeConsole()
    console.file = out = io.StringIO()
    if width is not None:
        console.width = width
    console.print(table)
    return out.getvalue()


def scores() -> Table:
    table = Table(title="random on mini", caption="brackets are intervals")
    table.add_column("task")
    for name in ("accuracy %", "guess", "best constant", "pass@2 %", "rollouts"):
        table.add_column(name, justify="right")
    table.add_row(NAME, INTERVAL, "12.5", "20.0", "37.9", "160", style="bold")
    table.add_section()
    table.add_row("worst task", INTERVAL)
    return table


@pytest.mark.parametrize("width", [None, 200, 88, 80])
def test_a_row_stays_on_a_line_of_a_table(width: int | None) -> None:
    (line,) = [line for line in printed(scores(), width).splitlines() if NAME in line]
    assert INTERVAL in line
    assert "160" in line
    assert len(line) <= (width or 200)


def test_where_no_table_fits_a_row_is_a_text_that_names_its_columns() -> None:
    lines = printed(scores(), 40).splitlines()
    text = " ".join(line.rstrip() for line in lines)
    assert text == (
        f"random on mini {NAME}  accuracy % {INTERVAL}, guess 12.5, best constant 20.0, pass@2 % 37.9, rollouts 160 "
        f"worst task  accuracy % {INTERVAL} brackets are intervals"
    )
    assert max(map(len, lines)) <= 40


def test_a_terminal_that_draws_nothing_twice_is_given_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert not SafeConsole().is_interactive
