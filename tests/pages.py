"""Run folders that a formula wrote, texts that want to break a page, and what a page is made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from comparisons import make_history, make_settings

from mtgrpo_env.agents.reports.points import Point

HOSTILE = (
    "<script>document.title = 'taken'; console.error('taken')</script>",
    "</pre></article></details></section></main></body></html><h1>mine</h1>",
    "</textarea></style></script><!-- <![CDATA[ --> <svg/onload=alert(1)>",
    "\"'><img src=x onerror=\"document.title='taken'\">",
    "&lt;b&gt; &amp;amp; &#60;",
    "javascript:alert(1) https://example.com/track.png url(https://example.com) @import 'x'",
    "\x00\x07\x1b[31m\x7f\x9b\r\n\ttab",
    "\u202egnp.exe\u2066\u2028\u200b\ud800",
    "Z\u0351\u0352\u0353" * 40,
    "<" * 100_000,
)
CONFIG = {"method": "mt-grpo", "lr": 4e-4, "seed": 0, "tasks": ["mini"], "steps": 20, "batch_size": 32, "out": "run"}
VOID = {"meta", "input", "line", "path"}


def write_run(folder: Path, *, method: str = "mt-grpo", recorded: bool = True, **config: Any) -> Path:
    """A run of the methods and rates of `make_settings`."""
    config = {**CONFIG, "method": method, **config}
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(json.dumps(config))  # which YAML contains
    records = make_history(make_settings(), method, Point.of(lr=config["lr"]), config["seed"], recorded=recorded)
    (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def write_samples(folder: Path, texts: Sequence[str], *, step: int = 20, suite_task: str = "arc-mini") -> None:
    """Wrong responses, each of which is the prompt and the right answer too."""
    rows = (
        {"step": step, "suite_task": suite_task, "prompt": text, "response": text, "reward": 0.1, "outcome": "wrong"}
        | {"ground_truth": {"target": text}}
        for text in texts
    )
    with (folder / "samples.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@dataclass
class Parsed(HTMLParser):
    """A page as a browser would take it apart; anything that is not closed in order is a mistake."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.texts.setdefault(tag, []).append(data)

    def text(self, tag: str) -> str:
        return "".join(self.texts.get(tag, []))

    def of(self, tag: str, cls: str = "") -> list[dict[str, str | None]]:
        """Attributes of the elements of a tag, and a class among theirs."""
        found = [attributes for name, attributes in self.tags if name == tag]
        return [one for one in found if not cls or cls in (one.get("class") or "").split()]


def parsed(text: str) -> Parsed:
    page = Parsed()
    page.feed(text)
    page.close()
    assert not page._open, f"left open: {page._open}"
    return page
