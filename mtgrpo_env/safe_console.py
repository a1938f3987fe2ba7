"""A console for texts of others: names, errors and responses are shown whole and as they are, and steer nothing."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mtgrpo_env.redaction import redacted
from mtgrpo_env.visible_text import visible

_WIDTH_OF_FILES = 200
_UNBOUNDED = 10_000  # columns, more than any table has


class SafeConsole(Console):
    """Everything that is printed passes here: no markup of names, no sequence that steers the terminal, no secret.

    Tables lose nothing where they find no room: their headers are broken, then their lines left out, and in the end
    each row is written as text.

    Args:
        stderr: whether it writes to standard error.
        quiet: whether it writes nothing.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, markup=False, emoji=False)
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = _WIDTH_OF_FILES

    def render_str(self, text: str, **options: Any) -> Text:
        """See `Console`; what is given as a string, in a cell of a table too, is made a text by it."""
        return super().render_str(redacted(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `Console`; all that is printed, cells of tables included, is rendered by it."""
        options = options or self.options
        if isinstance(renderable, Table) and renderable.show_header:
            renderable = self._fitted(renderable, options)
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))

    def _fitted(self, table: Table, options: ConsoleOptions) -> RenderableType:
        for form in (table, broken := _with_broken_headers(table), _without_lines(broken)):
            if Measurement.get(self, options.update_width(_UNBOUNDED), form).maximum <= options.max_width:
                return form
        return Group(*self._texts_of(table))

    def _texts_of(self, table: Table) -> Iterator[RenderableType]:
        """A line for each row: its first cell, and every other behind the header of its column."""
        if table.title:
            yield table.title
        first, *others = table.columns
        for i, (name, *cells) in enumerate(zip(first.cells, *(column.cells for column in others), strict=True)):
            filled = [(self._text(c.header), self._text(cell)) for c, cell in zip(others, cells, strict=True) if cell]
            parts = [Text(" ").join(pair) for pair in filled]
            row = Text("  ").join([self._text(name), *([Text(", ").join(parts)] if parts else [])])
            row.stylize(table.rows[i].style or "")
            yield row
        if table.caption:
            yield table.caption

    def _text(self, cell: RenderableType) -> Text:
        return cell if isinstance(cell, Text) else self.render_str(str(cell))


def _with_broken_headers(table: Table) -> Table:
    table = copy.copy(table)
    headers = [c.header.replace(" ", "\n") if isinstance(c.header, str) else c.header for c in table.columns]
    table.columns = [replace(column, header=header) for column, header in zip(table.columns, headers, strict=True)]
    return table


def _without_lines(table: Table) -> Table:
    table = copy.copy(table)
    table.box, table.pad_edge = None, False
    return table
