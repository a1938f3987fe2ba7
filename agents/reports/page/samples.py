"""Sample rollouts on a page: newest evaluation first, worst task first, every text as hostile as it may be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from mtgrpo_env.agents.reports.page.content import PageContent
from mtgrpo_env.agents.reports.page.markup import Html, element, safe, section, shortened
from mtgrpo_env.agents.reports.samples import PER_VERDICT, StoredSample

_LONGEST = 4_000  # characters of a text that are shown

_Sample = tuple[StoredSample, str | None]


def samples(content: PageContent) -> Html:
    """A single run's rollouts; a page of several has none."""
    if content.samples is None:
        return Html("")
    title = "Sample rollouts"
    if not content.samples:
        return section(title, "This run kept none: it was made before runs kept samples, or was not evaluated since.")
    note = (
        f"From each evaluation up to {PER_VERDICT} correct rollouts of a task and {PER_VERDICT} others, the first ones "
        "in the order of the problems; the newest evaluation first, and its worst task first. All of it can be judged "
        "again: mtgrpo score --rows samples.jsonl."
    )
    steps = sorted({sample.step for sample, _ in content.samples}, reverse=True)
    return section(title, note, *(_evaluation(content, step, is_open=step == steps[0]) for step in steps))


def _evaluation(content: PageContent, step: int, *, is_open: bool) -> Html:
    chosen = [one for one in content.samples or () if one[0].step == step]
    accuracies = _accuracies(content, step)
    names = sorted({sample.suite_task for sample, _ in chosen}, key=lambda name: (accuracies.get(name, 1.0), name))
    tasks = (_task(name, accuracies, [one for one in chosen if one[0].suite_task == name]) for name in names)
    opened = {"open": ""} if is_open else {}
    return element("details", opened, element("summary", {}, safe(f"after step {step}")), *tasks)


def _accuracies(content: PageContent, step: int) -> dict[str, float]:
    """Of the tasks in that evaluation."""
    (run,) = content.series[0].runs
    rows = run.accuracies[run.costs["steps"] == step]
    return {} if not len(rows) else dict(zip(content.tasks, np.nan_to_num(rows[0], nan=1.0).tolist(), strict=True))


def _task(name: str, accuracies: dict[str, float], chosen: Sequence[_Sample]) -> Html:
    title = f"{name}: {accuracies[name]:.1%} correct" if name in accuracies else name
    cards = element("div", {"class": "samples"}, *(_card(*one) for one in chosen))
    return element("div", {}, element("h3", {}, safe(title)), cards)


def _card(sample: StoredSample, answer: str | None) -> Html:
    mark = "✓" if sample.is_success else "✗"
    verdict = f"{mark} {sample.outcome}, reward {sample.reward:g}"
    kind = "right" if sample.is_success else "wrong"
    return element(
        "article", {"class": kind}, element("p", {"class": "verdict"}, safe(verdict)), *_texts(sample, answer)
    )


def _texts(sample: StoredSample, answer: str | None) -> Iterator[Html]:
    yield _text("prompt", sample.prompt)
    for number, response in enumerate(sample.responses, start=1):
        yield _text("response" if len(sample.responses) == 1 else f"response {number}", response)
    if answer is not None:
        yield _text("a right answer", answer)
    elif "ground_truth" in sample.row:
        yield _text("ground truth", json.dumps(sample.row["ground_truth"], ensure_ascii=False))


def _text(name: str, text: str) -> Html:
    shown = shortened(text, _LONGEST) if text else element("em", {}, safe("empty"))
    return element("div", {}, element("h4", {}, safe(name)), element("pre", {"dir": "ltr"}, shown))
