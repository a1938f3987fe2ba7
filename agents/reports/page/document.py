"""One HTML page of a run, of several, or of a comparison: a file that needs no other and no network."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from mtgrpo_env.agents.reports.page.charts import accuracy, every_task, filters, responses, steps, weights
from mtgrpo_env.agents.reports.page.content import PageContent
from mtgrpo_env.agents.reports.page.markup import Html, cell, element, safe, section, table
from mtgrpo_env.agents.reports.page.numbers import equal_budgets, glance, tasks, thresholds
from mtgrpo_env.agents.reports.page.samples import samples
from mtgrpo_env.agents.reports.page.style import SCRIPT, STYLE
from mtgrpo_env.files import atomic_file


def write_page(content: PageContent, file: Path) -> None:
    """Write the page; equal content gives equal bytes."""
    with atomic_file(file) as unfinished:
        unfinished.write_text(page(content), encoding="utf-8")


def page(content: PageContent) -> Html:
    """The page as text."""
    return Html(f'<!DOCTYPE html>\n<html lang="en">{_head(content.title)}{_body(content)}</html>\n')


def _head(title: str) -> Html:
    """Nothing may be loaded, and no script run but the page's own, whatever a text on it says."""
    own = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{own}'; base-uri 'none'"
    return element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", {}, safe(title)),
        element("style", {}, Html(STYLE)),
    )


def _body(content: PageContent) -> Html:
    main = element(
        "main",
        {},
        glance(content),
        accuracy(content),
        equal_budgets(content),
        thresholds(content),
        every_task(content),
        weights(content),
        filters(content),
        responses(content),
        steps(content),
        tasks(content),
        samples(content),
        _settings(content),
    )
    return element("body", {}, _header(content), main, element("script", {}, Html(SCRIPT)))


def _header(content: PageContent) -> Html:
    chips = element("ul", {"class": "chips"}, *(element("li", {}, safe(task)) for task in content.tasks))
    parts = [element("h1", {}, safe(content.title)), chips]
    parts.append(element("pre", {"class": "command"}, safe(content.made_by)))
    parts += [element("p", {"class": "remark"}, safe(note)) for note in content.notes]
    button = element("button", {"type": "button", "id": "theme", "hidden": ""}, safe("light or dark"))
    return element("header", {}, button, *parts)


def _settings(content: PageContent) -> Html:
    if not content.settings:
        return Html("")
    rows = ([safe(name), cell(json.dumps(value))] for name, value in content.settings.items())
    shown = table([safe("setting"), safe("value")], rows)
    folded = element("details", {}, element("summary", {}, safe(f"{len(content.settings)} settings")), shown)
    return section("Settings", "What all runs on this page have in common.", folded)
