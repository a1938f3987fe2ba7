"""`mtgrpo report`: one page of a run, of several, or of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mtgrpo_env.agents.reports.page.document import write_page
from mtgrpo_env.cli.printing import say
from mtgrpo_env.experiments.run_pages import page_content
from mtgrpo_env.files import refuse_unwritable_file, refuse_unwritable_folder
from mtgrpo_env.ranges import Share


@dataclass(frozen=True)
class Config:
    """Write one HTML page that needs no network: curves, shares, filters, tasks, sample rollouts."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of runs of the same tasks, whose seeds are averaged, or the folder of one comparison."""
    out: Path = Path("report.html")
    """The page."""
    thresholds: tuple[Share, ...] = (0.5,)
    """Worst-task accuracies whose cost is shown; a comparison has its own."""


def run(config: Config) -> int:
    """Write the page."""
    if config.out.parent.is_dir():
        refuse_unwritable_file(config.out)
    else:
        refuse_unwritable_folder(config.out.parent)
    content = page_content(config.runs, thresholds=config.thresholds)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    write_page(content, config.out)
    say(f"report {config.out}")
    return 0
