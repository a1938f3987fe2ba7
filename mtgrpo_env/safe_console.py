"""A console for texts of others: names, errors and responses are shown as they are, and steer nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from mtgrpo_env.redaction import redacted
from mtgrpo_env.visible_text import visible


class SafeConsole(Console):
    """Everything that is printed passes here: no markup of names, no sequence that steers the terminal, no secret.

    Args:
        stderr: whether it writes to standard error.
        quiet: whether it writes nothing.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """See `Console`; what is given as a string, in a cell of a table too, is made a text by it."""
        return super().render_str(redacted(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `Console`; all that is printed, cells of tables included, is rendered by it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))
