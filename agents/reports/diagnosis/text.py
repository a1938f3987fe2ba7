"""A diagnosis as lines for people, and as one JSON object for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence

from mtgrpo_env.agents.reports.diagnosis.finding import Finding
from mtgrpo_env.agents.reports.page.content import StoredRun

_WIDTH = 110


def diagnosis_lines(run: StoredRun, findings: Sequence[Finding]) -> Iterator[str]:
    """What was looked at, then every finding with its numbers, its chart and what to change."""
    yield f"{run.folder}: {_looked_at(run)}"
    if not findings:
        yield "Nothing is wrong that the history shows."
    for number, finding in enumerate(findings, start=1):
        yield f"{number}. {finding.name} ({finding.severity})"
        for word, text in (("seen", finding.seen), ("chart", finding.chart), ("change", finding.advice)):
            yield from textwrap.wrap(
                text, _WIDTH, initial_indent=f"   {word:8}", subsequent_indent=" " * 11, break_on_hyphens=False
            )


def diagnosis_json(run: StoredRun, findings: Sequence[Finding]) -> str:
    """The same, on one line."""
    found = [
        {
            "name": finding.name,
            "severity": finding.severity,
            "seen": finding.seen,
            "chart": finding.chart,
            "advice": finding.advice,
            "options": finding.options,
        }
        for finding in findings
    ]
    return json.dumps({"run": str(run.folder), "looked_at": _looked_at(run), "findings": found})


def _looked_at(run: StoredRun) -> str:
    steps, evaluations = (
        [record["step"] for record in run.records if record["kind"] == kind] for kind in ("step", "evaluation")
    )
    planned = run.config.get("steps")
    of_planned = f" of {planned}" if planned is not None else ""
    counted = "1 evaluation" if len(evaluations) == 1 else f"{len(evaluations)} evaluations"
    return f"step {max(steps)}{of_planned}, {counted}, {len(run.tasks)} tasks"
