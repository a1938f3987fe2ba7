"""Text to HTML. What a model wrote is hostile: every text goes through `safe`, and only `Html` goes onto a page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from mtgrpo_env.visible_text import visible

_VOID = {"meta", "input", "line", "path", "br"}


class Html(str):
    """Markup that is safe to put on a page."""

    __slots__ = ()


def safe(text: str) -> Html:
    r"""A text as it will be read: markup is shown, and what cannot be seen is named.

    >>> safe("<b>\x00\u202e & \ud800")
    '&lt;b&gt;⟨U+0000⟩⟨U+202E⟩ &amp; ⟨U+D800⟩'
    """
    return Html(html.escape(visible(text)))


def shortened(text: str, most: int) -> Html:
    """A text, or its start and a note of what was left out."""
    if len(text) <= most:
        return safe(text)
    note = f" … {len(text) - most:,} of {len(text):,} characters are not shown"
    return Html(safe(text[:most]) + element("em", {}, safe(note)))


def element(tag: str, attributes: Mapping[str, str | float], *children: Html) -> Html:
    """An element.

    >>> element("p", {"class": "note", "title": '"'}, safe("a < b"))
    '<p class="note" title="&quot;">a &lt; b</p>'
    """
    opened = "".join(f' {name}="{safe(str(value))}"' for name, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{opened}/>")
    return Html(f"<{tag}{opened}>{''.join(children)}</{tag}>")


def joined(parts: Iterable[Html]) -> Html:
    """Parts one after the other."""
    return Html("".join(parts))


def table(header: Sequence[Html], rows: Iterable[Sequence[Html]]) -> Html:
    """A table that scrolls where it is wider than the page; rows are a name and their cells."""
    head = element("tr", {}, *(element("th", {"scope": "col"}, cell) for cell in header))
    body = joined(element("tr", {}, element("th", {"scope": "row"}, first), *cells) for first, *cells in rows)
    whole = element("table", {}, element("thead", {}, head), element("tbody", {}, body))
    return element("div", {"class": "wide", "tabindex": 0}, whole)


def cell(text: str) -> Html:
    """A cell of a table."""
    return element("td", {}, safe(text))


def section(title: str, note: str, *children: Html) -> Html:
    """A part of the page under a heading, and how to read it."""
    return element(
        "section", {}, element("h2", {}, safe(title)), element("p", {"class": "note"}, safe(note)), *children
    )
