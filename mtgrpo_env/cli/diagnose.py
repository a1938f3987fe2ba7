"""`mtgrpo diagnose`: what to change in a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mtgrpo_env.agents.reports.diagnosis import diagnose
from mtgrpo_env.agents.reports.diagnosis.text import diagnosis_json, diagnosis_lines
from mtgrpo_env.experiments.run_pages import run_of_folder


@dataclass(frozen=True)
class Config:
    """Say what is wrong with a run, the worst first: the numbers, the chart of its page, and the option that helps."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Of a run of `mtgrpo train`, which may still be going on; only its options and its history are read."""
    figure: Path | None = None
    """Draw the curves of every finding into this PNG."""
    json: bool = False
    """Print one JSON object instead of text."""


def run(config: Config) -> int:
    """Print what is found; 1 if anything is."""
    stored = run_of_folder(config.folder)
    findings = diagnose(stored)
    print(diagnosis_json(stored, findings) if config.json else "\n".join(diagnosis_lines(stored, findings)))
    if config.figure is not None and findings:
        from mtgrpo_env.agents.reports.figure_diagnosis import draw_findings  # here: text takes no matplotlib

        config.figure.parent.mkdir(parents=True, exist_ok=True)
        draw_findings(findings, config.figure)
    return 1 if findings else 0
