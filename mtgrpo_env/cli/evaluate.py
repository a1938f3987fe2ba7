"""`mtgrpo evaluate`: agents side by side on suites of tasks, the worst task first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from mtgrpo_env.cli.command_lines import command_line
from mtgrpo_env.cli.printing import say
from mtgrpo_env.envs.answers import Extraction
from mtgrpo_env.experiments.agent_options import AgentOptions
from mtgrpo_env.experiments.benchmark import benchmark
from mtgrpo_env.experiments.benchmark_display import BenchmarkDisplay
from mtgrpo_env.experiments.benchmark_result import REPORT
from mtgrpo_env.ranges import Count
from mtgrpo_env.redaction import redacted, redacted_json
from mtgrpo_env.row_options import RowOptions


@dataclass(frozen=True, kw_only=True)
class Config(RowOptions, AgentOptions):
    """Play held-out problems of suites, or the rows of files, and report the accuracy of every task."""

    agent: tuple[str, ...]
    """One or more of: oracle; random; a checkpoint, a folder or a hub id, with or without "hf:" before it; the folder
    of a run or of a saved agent; vllm:<checkpoint>; openai:<model>@<base url>, any server with OpenAI's protocol
    (its key is read from OPENAI_API_KEY), or completions:<model>@<base url> for a prompt that is continued as it
    stands; package.module:function, which makes a policy for a suite."""
    suite: Annotated[tuple[str, ...], arg(aliases=("--tasks",))] = ()
    """One or more of: a named suite (mini, mini-nine, short, easy, medium, hard, very_hard, nine); tasks
    like "countdown-easy,arc-hard"; control, six tasks of classic control; gym:<ids>, such as gym:CartPole-v1,Taxi-v4;
    reasoning-gym:<data sets>; package.module:function, which makes a suite; a file, folder or hub data set of rows, of
    which the held-out ones are played. By default mini, if there are no --rows."""
    rows: tuple[Path, ...] = ()
    """Files of rows that are all played, as the rows of a test set; one task for each task and level in them."""
    problems: Count | None = None
    """Held-out problems of each task of a suite, by default 300; of --rows the first of each task, by default all."""
    extraction: Extraction = "last-box"
    """How the answer is found in a response."""
    save: Path | None = None
    """Write every rollout to this .jsonl file, for `mtgrpo score`; it appears when all have been played."""
    out: Path | None = None
    """Folder for the report: benchmark.json, benchmark.md and benchmark.png."""
    baseline: tuple[Path, ...] = ()
    """Reports of earlier runs, each a benchmark.json or its folder: show how far every agent is from theirs, on equal
    problems."""
    json: bool = False
    """Print a line of JSON for each agent and suite instead of a table."""


def _command_line(config: Config) -> str:
    """What to type for the same result, without secrets."""
    if config.request != Config.request:
        config = replace(config, request=redacted_json(config.request))
    return redacted(command_line("evaluate", config, leave_out=("out", "save", "json")))


def run(config: Config) -> int:
    """Evaluate and print; progress goes to standard error. 2 if nothing could be played, 1 if an agent failed."""
    with BenchmarkDisplay(as_json=config.json) as display:
        played = benchmark(
            config.agent,
            [*config.rows, *(config.suite or (() if config.rows else ("mini",)))],
            problems=config.problems,
            rollouts=config.rollouts,
            seed=config.seed,
            max_new_tokens=config.max_new_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=config.top_k,
            stop=config.stop,
            device=config.device,
            vllm_memory=config.vllm_memory,
            prompts=config,
            endpoint=config,
            extraction=config.extraction,
            row_options=config,
            save=config.save,
            out=config.out,
            baseline=config.baseline,
            callback=display,
            command=_command_line(config),
        )
        display.show_comparisons(played)
    if config.out is not None and played.cells:
        say(f"report {config.out / REPORT}", to_stderr=True)
    if not played.cells:
        return 2
    return int(any(skipped.failed for skipped in played.skipped))
