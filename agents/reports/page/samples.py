"""Sample rollouts on a page: newest first, worst task first, every text as hostile as it may be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mtgrpo_env.agents.reports.page.content import JudgedSample, PageContent
from mtgrpo_env.agents.reports.page.markup import Html, element, safe, section, shortened
from mtgrpo_env.agents.reports.samples import PER_VERDICT, StoredSample

_LONGEST = 4_000  # characters of a text that are shown
_CHOSEN = (
    f"up to {PER_VERDICT} correct rollouts of a task and {PER_VERDICT} others, the first ones in the order of the "
    "problems; the newest first, and the worst task of the evaluation first. All of it can be judged again: "
    "mtgrpo score --rows"
)


def samples(content: PageContent) -> Html:
    """A single run's rollouts of evaluations, and of training; a page of several has none."""
    if content.samples is None:
        return Html("")
    title = "Sample rollouts"
    if not content.samples:
        return section(title, "This run kept none: it was made before runs kept samples, or was not evaluated since.")
    note = f"From each evaluation {_CHOSEN} samples.jsonl."
    held_out = section(title, note, *_by_step(content, content.samples, "after step", is_open=True))
    if not content.training_samples:
        return held_out
    note = f"From training, the first step and the last before each evaluation: {_CHOSEN} training_samples.jsonl."
    trained = _by_step(content, content.training_samples, "step", is_open=False)
    return Html(held_out + section("Sample rollouts of training", note, *trained))


def _by_step(content: PageContent, chosen: Sequence[JudgedSample], words: str, *, is_open: bool) -> Iterator[Html]:
    steps = sorted({sample.step for sample, _ in chosen}, reverse=True)
    for step in steps:
        opened = {"open": ""} if is_open and step == steps[0] else {}
        of_step = [one for one in chosen if one[0].step == step]
        summary = element("summary", {}, safe(f"{words} {step}"))
        yield element("details", opened, summary, *_tasks(of_step, _accuracies(content, step)))


def _accuracies(content: PageContent, step: int) -> dict[str, float]:
    """Of the tasks in that evaluation."""
    (run,) = content.series[0].runs
    rows = run.accuracies[run.costs["steps"] == step]
    return {} if not len(rows) else dict(zip(content.tasks, np.nan_to_num(rows[0], nan=1.0).tolist(), strict=True))


def _tasks(chosen: Sequence[JudgedSample], accuracies: Mapping[str, float]) -> Iterator[Html]:
    names = {sample.suite_task for sample, _ in chosen}
    for name in sorted(names, key=lambda name: (accuracies.get(name, 1.0), name)):
        title = f"{name}: {accuracies[name]:.1%} correct held out" if name in accuracies else name
        cards = (_card(*one) for one in chosen if one[0].suite_task == name)
        yield element("div", {}, element("h3", {}, safe(title)), element("div", {"class": "samples"}, *cards))


def _card(sample: StoredSample, answer: str | None) -> Html:
    mark, kind = ("✓", "right") if sample.is_success else ("✗", "wrong")
    cut = ", cut off" if sample.is_cut_off else ""
    verdict = element(
        "p", {"class": "verdict"}, shortened(f"{mark} {sample.outcome}, reward {sample.reward:g}{cut}", _LONGEST)
    )
    return element("article", {"class": kind}, verdict, *_texts(sample, answer))


def _texts(sample: StoredSample, answer: str | None) -> Iterator[Html]:
    yield _text("prompt as the model saw it", sample.seen[0]) if sample.seen else _text("prompt", sample.prompt)
    for number, response in enumerate(sample.responses, start=1):
        yield _text("response" if len(sample.responses) == 1 else f"response {number}", response)
    if answer is not None:
        yield _text("a right answer", answer)
    elif "ground_truth" in sample.row:
        yield _text("ground truth", json.dumps(sample.row["ground_truth"], ensure_ascii=False))


def _text(name: str, text: str) -> Html:
    shown = shortened(text, _LONGEST) if text else element("em", {}, safe("empty"))
    return element("div", {}, element("h4", {}, safe(name)), element("pre", {"dir": "ltr"}, shown))
