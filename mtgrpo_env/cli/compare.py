"""`mtgrpo compare`: methods by points of a grid by seeds, at equal budgets, with intervals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Suppress

from mtgrpo_env.agents.config import METHOD_OPTIONS, TrainConfig
from mtgrpo_env.agents.options import GROUPS
from mtgrpo_env.agents.recipes import DEFAULT_METHOD
from mtgrpo_env.agents.reports.comparison_report import REPORT
from mtgrpo_env.cli import options
from mtgrpo_env.cli.command_lines import command_line
from mtgrpo_env.experiments.compare import compare, plan_lines, redraw
from mtgrpo_env.experiments.compare_plan import CompareOptions
from mtgrpo_env.ranges import Count, Seed
from mtgrpo_env.redaction import redacted
from mtgrpo_env.safe_console import SafeConsole


@dataclass(frozen=True, kw_only=True)
class RunOptions(options.RunOptions):
    """What is trained on, for how long, and what is kept of it."""

    out: Path = Path("runs/compare")
    """Folder of the comparison: the runs, results.md, figures, and the numbers behind them."""
    eval_every: Count = 5
    """Steps between evaluations, and so how finely costs are known."""
    seed: Suppress[Seed] = 0


@dataclass(frozen=True, kw_only=True)
class MethodOptions(options.MethodOptions):
    """How tasks are weighted and batches composed; given to the methods that have such an option."""

    method: Suppress[str] = DEFAULT_METHOD


@dataclass(frozen=True)
class Config(options.GroupedOptions):
    """Train by several methods, options and seeds, and compare them at equal steps, rollouts and seconds.

    Every other option is one of `mtgrpo train` and is the same for all runs. The same command resumes a comparison
    that was stopped, and adds the runs that are missing.
    """

    run: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    method: OmitArgPrefixes[MethodOptions] = field(default_factory=MethodOptions)
    comparison: OmitArgPrefixes[CompareOptions] = field(default_factory=CompareOptions)
    dry_run: bool = False
    """Say which runs would be made, and how far each is; make none."""
    redraw: bool = False
    """Only write results.md and the figures again, from the numbers in --out, for these --thresholds and this
    --horizon; needs no run."""


def run(config: Config) -> int:
    """Make what is missing and report; 0 when done or stopped by SIGTERM, 130 when interrupted, 1 when a run failed."""
    console, out = SafeConsole(), config.run.out
    report = f"report {out / REPORT}"
    if config.redraw:
        redraw(out, config.comparison)
        console.print(report, soft_wrap=True)
        return 0
    shared = {name: value for group in GROUPS for name, value in vars(getattr(config, group)).items()}
    for_methods = {name: value for name in METHOD_OPTIONS if (value := shared.pop(name)) is not None}
    if config.dry_run:
        lines = plan_lines(TrainConfig(**shared), config.comparison, method_options=for_methods)
        console.print("\n".join(lines), soft_wrap=True)
        return 0
    command = redacted(command_line("compare", config))
    result = compare(
        TrainConfig(**shared), config.comparison, method_options=for_methods, command=command, console=console
    )
    num_finished = len(result.comparison.runs)
    if result.interrupted:
        resume = "Run the same command to resume; --redraw reports what there is."
        console.print(f"Stopped with {num_finished} of {result.num_runs} runs finished. {resume}", soft_wrap=True)
    elif num_finished:
        console.print(report, soft_wrap=True)
    return result.exit_code
